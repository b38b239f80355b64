//! A monitor: what is watched, how often, and when its failing counts.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::expect::Expect;
use crate::schedule::Schedule;
use crate::spec::{Kind, Spec};

/// What a monitor's history hangs on: given once by the store, kept through renames and edits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonitorKey(pub u32);

/// The name people and scripts use for a monitor: any non-empty text, unique, `id:` in the configuration.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonitorId(Arc<str>);

impl MonitorId {
    /// Takes the text as it is.
    #[must_use]
    pub fn new(text: &str) -> MonitorId {
        MonitorId(Arc::from(text))
    }

    /// The text as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The default id of a monitor that is written with a name only: lower case, runs of anything but letters and
    /// digits become one `-`.
    ///
    /// ```
    /// # use watchpost_core::MonitorId;
    /// assert_eq!(MonitorId::slug("Média Server (2)").as_str(), "média-server-2");
    /// ```
    #[must_use]
    pub fn slug(name: &str) -> MonitorId {
        let mut slug = String::with_capacity(name.len());
        for c in name.chars().flat_map(char::to_lowercase) {
            if c.is_alphanumeric() {
                slug.push(c);
            } else if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
        }
        MonitorId::new(slug.trim_end_matches('-'))
    }
}

impl fmt::Display for MonitorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MonitorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Where a check runs from; `local` unless agents are used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(Arc<str>);

impl Region {
    /// The region of a process that runs its own checks.
    #[must_use]
    pub fn local() -> Region {
        Region(Arc::from("local"))
    }

    /// A named region.
    #[must_use]
    pub fn new(name: &str) -> Region {
        Region(Arc::from(name))
    }

    /// The name as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is never shown: its `Debug` prints `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes the text.
    #[must_use]
    pub fn new(text: &str) -> Secret {
        Secret(Arc::from(text))
    }

    /// The text itself, for the one place that sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Everything a person can write about a monitor. Two definitions are equal when an apply between them would do nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// The id, unique among all monitors.
    pub id: MonitorId,
    /// The name shown.
    pub name: String,
    /// The group it is listed in.
    pub group: Option<String>,
    /// Labels for filters and routes.
    pub tags: Vec<String>,
    /// What is checked.
    pub spec: Spec,
    /// What is expected of it.
    pub expect: Arc<Expect>,
    /// When it is due.
    pub schedule: Schedule,
    /// How fast it is checked while it fails.
    pub pace: Pace,
    /// How many results make a state.
    pub thresholds: Thresholds,
    /// The whole check's deadline, from its first packet to its verdict.
    pub timeout: Duration,
    /// False: paused.
    pub active: bool,
    /// After how long without a usable result somebody is told that we cannot tell.
    pub cannot_tell_after: Duration,
    /// Where it is written.
    pub source: Source,
}

impl Definition {
    /// The kind of check.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.spec.kind()
    }
}

/// Where a monitor is written down, and so where it may be changed.
#[derive(Clone, Debug)]
pub enum Source {
    /// In a configuration file: locked in page and API.
    File {
        /// The file's path as given.
        path: Arc<str>,
        /// The line its entry begins on, counted from 1.
        line: u32,
    },
    /// Made in the page or the API.
    Api,
}

/// Moving an entry to another line of the same file changes nothing.
impl PartialEq for Source {
    fn eq(&self, other: &Source) -> bool {
        match (self, other) {
            (Source::File { path: a, .. }, Source::File { path: b, .. }) => a == b,
            (Source::Api, Source::Api) => true,
            (Source::File { .. }, Source::Api) | (Source::Api, Source::File { .. }) => false,
        }
    }
}

/// How fast a monitor is checked while it fails; `None` keeps the schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Between failing results before `fail_after` is reached (`retry.every`).
    pub retry: Option<Duration>,
    /// While down (`while_down.every`).
    pub while_down: Option<Duration>,
}

/// How many consecutive results make a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Failing results that open an incident.
    pub fail_after: NonZeroU32,
    /// Passing results that close it.
    pub recover_after: NonZeroU32,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds { fail_after: NonZeroU32::MIN, recover_after: NonZeroU32::MIN }
    }
}

/// A definition with the identity that its history hangs on.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitor {
    /// The identity.
    pub key: MonitorKey,
    /// What is written about it.
    pub definition: Arc<Definition>,
}

impl Deref for Monitor {
    type Target = Definition;

    fn deref(&self) -> &Definition {
        &self.definition
    }
}
