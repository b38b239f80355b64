//! How the process and its configuration stand, for the pages.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use watchpost_core::{Definition, MonitorId, Timestamp};
use watchpost_web::{ConfigError, Standing, StandingNow};

use crate::config::{self, Loaded};

/// The standing, swapped as a whole when it changes.
pub struct Site {
    now: ArcSwap<Snapshot>,
}

#[derive(Clone)]
struct Snapshot {
    standing: StandingNow,
    /// Documents are made of these when somebody asks: of 100,000 monitors they would take hundreds of megabytes.
    definitions: Arc<BTreeMap<MonitorId, Arc<Definition>>>,
}

impl Site {
    /// The standing at the start.
    #[must_use]
    pub fn new(loaded: &Loaded, listen: Vec<SocketAddr>, at: Timestamp) -> Site {
        let standing = StandingNow {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: at,
            listen,
            source: loaded.source.shown(),
            loaded_at: Some(at),
            generation: 1,
            error: None,
        };
        Site { now: ArcSwap::from_pointee(Snapshot { standing, definitions: Arc::new(definitions(loaded)) }) }
    }

    /// A configuration was taken over.
    pub fn taken_over(&self, loaded: &Loaded, at: Timestamp) {
        let old = self.now.load();
        let standing = StandingNow {
            source: loaded.source.shown(),
            loaded_at: Some(at),
            generation: old.standing.generation + 1,
            error: None,
            ..old.standing.clone()
        };
        self.now.store(Arc::new(Snapshot { standing, definitions: Arc::new(definitions(loaded)) }));
    }

    /// A configuration was refused; the one before goes on.
    pub fn refused(&self, text: String, at: Timestamp) {
        let mut snapshot = Snapshot::clone(&self.now.load());
        snapshot.standing.error = Some(ConfigError { at, text });
        self.now.store(Arc::new(snapshot));
    }
}

fn definitions(loaded: &Loaded) -> BTreeMap<MonitorId, Arc<Definition>> {
    loaded.monitors.iter().map(|w| (w.definition.id.clone(), Arc::clone(&w.definition))).collect()
}

impl Standing for Site {
    fn standing(&self) -> StandingNow {
        self.now.load().standing.clone()
    }

    fn document(&self, id: &MonitorId) -> Option<serde_json::Value> {
        self.now.load().definitions.get(id).map(|definition| config::shown(definition))
    }
}
