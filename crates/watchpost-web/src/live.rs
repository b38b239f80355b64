//! What became durable lately, for those who watch live.
//!
//! One ring serves all readers: each remembers how far it has read. A reader that comes back resumes from its place; one
//! that is so slow that the ring has moved past its place is told to fetch anew. Publishing therefore never waits for
//! anybody, and what a reader costs is bounded by the ring.

mod ring;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::watch;
use watchpost_core::evaluate::Change;
use watchpost_core::ports::{Clock, News, Publish};
use watchpost_core::{CheckResult, Monitor, State, Timestamp};
use watchpost_store::VerdictKind;
use watchpost_wire::api;

use ring::Ring;

/// Events kept: at 10,000 monitors a minute a reader may be away for a minute and a half, and 2,000 results a second
/// leave it eight seconds. Full, it takes about 10 MB.
const EVENTS_KEPT_MAX: usize = 16_384;

/// The ring of events and the counts of what went through it. Implements [`Publish`].
pub struct LiveHub {
    clock: Arc<dyn Clock>,
    /// Tells this process' events from those of the one before it: a place from another life is not resumed.
    epoch: i64,
    ring: Mutex<Ring<Event>>,
    checks: Mutex<BTreeMap<VerdictKind, u64>>,
    newest: watch::Sender<u64>,
}

/// One event.
pub(crate) struct Event {
    pub(crate) at: Timestamp,
    pub(crate) what: What,
    /// The full view's JSON, made once for all readers.
    json: OnceLock<Arc<str>>,
}

/// What happened.
pub(crate) enum What {
    /// A result became durable.
    Result { monitor: Arc<Monitor>, state: Box<State>, result: Box<CheckResult> },
    /// Definitions changed, or a state without a result.
    Monitors,
    /// The process' standing changed.
    Status,
}

impl Event {
    /// The data of the event in the full view.
    pub(crate) fn json(&self) -> Arc<str> {
        let made = self.json.get_or_init(|| {
            let json = match &self.what {
                What::Result { monitor, state, result } => {
                    serde_json::to_string(&api::ResultEvent::of(monitor, state, result))
                }
                What::Monitors | What::Status => serde_json::to_string(&api::Notice { at: self.at.into() }),
            };
            // Our documents have text keys and finite numbers, so writing them cannot fail.
            Arc::from(json.unwrap_or_default())
        });
        Arc::clone(made)
    }
}

/// What a reader finds past its place.
pub(crate) enum Read {
    /// The next events, in order; none when it has read all.
    Events(Vec<(u64, Arc<Event>)>),
    /// Its place is gone. It goes on from here.
    Lost(u64),
}

impl LiveHub {
    /// A hub that has seen nothing.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> LiveHub {
        LiveHub::with_capacity(clock, EVENTS_KEPT_MAX)
    }

    /// A hub that keeps at most so many events.
    #[must_use]
    pub fn with_capacity(clock: Arc<dyn Clock>, events: usize) -> LiveHub {
        let epoch = clock.now().as_millis();
        LiveHub {
            clock,
            epoch,
            ring: Mutex::new(Ring::new(events)),
            checks: Mutex::new(BTreeMap::new()),
            newest: watch::Sender::new(0),
        }
    }

    /// Tells readers that what `/api/v1/status` says has changed: a configuration was refused, or is good again.
    pub fn status_changed(&self) {
        self.push([What::Status]);
    }

    /// Checks that became durable since the start, by verdict. Ticks that nobody ran are not checks.
    pub(crate) fn checks(&self) -> BTreeMap<VerdictKind, u64> {
        lock(&self.checks).clone()
    }

    /// The newest place.
    pub(crate) fn position(&self) -> u64 {
        lock(&self.ring).newest()
    }

    /// A place as readers keep it.
    pub(crate) fn cursor(&self, position: u64) -> String {
        format!("{:x}-{position}", self.epoch)
    }

    /// The place that a cursor names, if it can be resumed from.
    pub(crate) fn resume(&self, cursor: &str) -> Option<u64> {
        let (epoch, position) = cursor.split_once('-')?;
        let position = position.parse().ok()?;
        let ours = i64::from_str_radix(epoch, 16).ok()? == self.epoch;
        (ours && lock(&self.ring).holds(position)).then_some(position)
    }

    /// At most `max` events after a place.
    pub(crate) fn after(&self, position: u64, max: usize) -> Read {
        lock(&self.ring).after(position, max)
    }

    /// Tells when there is more to read.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    fn push(&self, events: impl IntoIterator<Item = What>) {
        let at = self.clock.now();
        let newest = {
            let mut ring = lock(&self.ring);
            for what in events {
                ring.push(Arc::new(Event { at, what, json: OnceLock::new() }));
            }
            ring.newest()
        };
        // Not under the lock; should two publishers swap here, a reader finds the rest at its next look.
        self.newest.send_if_modified(|known| {
            let more = *known < newest;
            *known = newest.max(*known);
            more
        });
    }
}

impl Publish for LiveHub {
    fn committed(&self, news: &[News]) {
        {
            let mut checks = lock(&self.checks);
            for result in news.iter().filter_map(|news| news.result.as_ref()).filter(|r| !r.is_placeholder()) {
                *checks.entry(VerdictKind::of(&result.verdict)).or_default() += 1;
            }
        }
        self.push(news.iter().filter_map(what));
    }

    fn redefined(&self) {
        self.push([What::Monitors]);
    }
}

/// What readers are told of a piece of news.
fn what(news: &News) -> Option<What> {
    match &news.result {
        Some(result) => Some(What::Result {
            monitor: Arc::clone(&news.monitor),
            state: Box::new(news.state.clone()),
            result: Box::new(result.clone()),
        }),
        None => {
            let shown = news.changes.iter().any(|change| matches!(change, Change::Shown { .. }));
            shown.then_some(What::Monitors)
        }
    }
}

/// A panic of another holder leaves these as they were: every change to them is a single step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
