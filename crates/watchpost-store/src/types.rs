//! What goes in and comes out of a store.

use std::sync::Arc;
use std::time::Duration;

use watchpost_core::backfill::Backfilled;
use watchpost_core::plan::Wanted;
use watchpost_core::{Change, CheckResult, Incident, Monitor, MonitorKey, Shown, State, Timestamp, Verdict};

/// Results of one monitor that [`crate::Views::recent`] can give.
pub const RECENT_MAX: usize = 100;

/// Rows on one page at most.
pub const PAGE_MAX: usize = 1_000;

/// What a station wants to make durable.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Commit {
    /// When the batch was closed.
    pub at: Timestamp,
    /// Per monitor, in the order evaluated; a monitor may occur more than once.
    pub entries: Vec<Entry>,
}

impl Commit {
    /// Something changed, so it must survive power loss.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.entries.iter().any(Entry::has_changes)
    }
}

/// What happened to one monitor.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Whose.
    pub monitor: MonitorKey,
    /// Results to append.
    pub results: Vec<CheckResult>,
    /// Its state, when more than its newest tick changed.
    pub state: Option<State>,
    /// When it wants to be woken; written together with `state`.
    pub wake: Option<Timestamp>,
    /// What changed: state intervals and incidents follow from it. [`Change::Shown`] replaces all intervals from its
    /// `since` on.
    pub changes: Vec<Change>,
    /// What late results changed: replaces the intervals that begin before the last one it lists (later ones belong to
    /// the state machine, which may have gone on meanwhile) and adds the incidents.
    pub backfilled: Option<Backfilled>,
}

impl Entry {
    /// It holds more than results.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.state.is_some() || !self.changes.is_empty() || self.backfilled.is_some()
    }
}

/// An edit of the catalogue.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Redefine {
    /// When.
    pub at: Timestamp,
    /// All monitors there shall be, in their order: known ones with their key, new ones without.
    pub monitors: Vec<(Option<MonitorKey>, Wanted)>,
    /// Those that go; their history stays.
    pub removed: Vec<MonitorKey>,
    /// The state changes that follow from the edit, for known monitors.
    pub entries: Vec<Entry>,
}

/// A monitor as pages show it.
#[derive(Clone, Debug)]
pub struct MonitorView {
    /// Identity and definition.
    pub monitor: Arc<Monitor>,
    /// Its state.
    pub state: State,
    /// Its newest result.
    pub last: Option<CheckResult>,
}

/// Which results.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResultQuery {
    /// Only of this monitor.
    pub monitor: Option<MonitorKey>,
    /// Only with these verdicts; all when empty.
    pub verdicts: Vec<VerdictKind>,
    /// Scheduled at or after this.
    pub from: Option<Timestamp>,
    /// Scheduled before this.
    pub to: Option<Timestamp>,
    /// Only what comes after this place.
    pub after: Option<ResultCursor>,
    /// At most so many, 1..=[`PAGE_MAX`].
    pub limit: usize,
}

/// A verdict without its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VerdictKind {
    /// Pass.
    Pass,
    /// Degraded.
    Degraded,
    /// Fail.
    Fail,
    /// Inconclusive.
    Inconclusive,
}

impl VerdictKind {
    /// Of a verdict.
    #[must_use]
    pub fn of(verdict: &Verdict) -> VerdictKind {
        match verdict {
            Verdict::Pass => VerdictKind::Pass,
            Verdict::Degraded(_) => VerdictKind::Degraded,
            Verdict::Fail(_) => VerdictKind::Fail,
            Verdict::Inconclusive(_) => VerdictKind::Inconclusive,
        }
    }
}

/// A place in the list of results: newest tick first, then by monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResultCursor {
    /// Tick of the last result given.
    pub scheduled_at: Timestamp,
    /// Its monitor.
    pub monitor: MonitorKey,
}

/// A page of results.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResultPage {
    /// Newest first.
    pub items: Vec<CheckResult>,
    /// Where the next page begins, if there is one.
    pub next: Option<ResultCursor>,
}

/// Which incidents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IncidentQuery {
    /// Only of this monitor.
    pub monitor: Option<MonitorKey>,
    /// Only open ones (true) or closed ones (false).
    pub open: Option<bool>,
    /// Only what comes after this place: (opened_at, id) of the last one given.
    pub after: Option<(Timestamp, watchpost_core::IncidentId)>,
    /// At most so many, 1..=[`PAGE_MAX`].
    pub limit: usize,
}

/// A page of incidents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IncidentPage {
    /// Newest first.
    pub items: Vec<Incident>,
    /// There are more.
    pub more: bool,
}

/// What is kept how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// The time now.
    pub now: Timestamp,
    /// Single results.
    pub results: Duration,
    /// Counts, state intervals and incidents.
    pub history: Duration,
    /// Bytes the store may take, `None`: no limit.
    pub size_max: Option<u64>,
}

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Hours closed.
    pub hours: u32,
    /// Blocks written.
    pub blocks: u32,
    /// Results in them.
    pub results: u64,
}

/// What a pruning did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Blocks of results dropped.
    pub blocks: u64,
    /// Rows of counts, intervals and incidents dropped.
    pub history: u64,
}

/// Figures about the store itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Bytes it takes on disk, 0 in memory.
    pub bytes: u64,
    /// Results kept.
    pub results: u64,
    /// Open incidents.
    pub incidents_open: u64,
    /// Monitors by shown state, in the order of [`Shown::ALL`].
    pub shown: [u64; Shown::ALL.len()],
}

/// What a caller can do about a store that did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the data folder.
    #[error(
        "the data folder {folder} is in use by another watchpost (process {pid}); stop that one, or give another --data"
    )]
    Locked {
        /// The folder.
        folder: String,
        /// The holder's process id as it wrote it down, or `?`.
        pid: String,
    },
    /// The folder or file cannot be used.
    #[error("cannot use {path}: {source}{}", advice(source))]
    Path {
        /// The path.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The database was made by a newer version.
    #[error("the database was written by a newer watchpost (schema {found}, this one knows {known}); use that version")]
    Newer {
        /// Schema found.
        found: i64,
        /// Newest schema known.
        known: i64,
    },
    /// The database is damaged: what was found.
    #[error("the database is damaged: {0}; restore a backup, or move the file away to begin anew")]
    Damaged(String),
    /// The backend failed; trying again later may help.
    #[error("the store failed: {0}")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It was closed.
    #[error("the store is closed")]
    Closed,
}

/// What to do about a folder or file that cannot be used, where that is plain.
fn advice(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::ReadOnlyFilesystem => "; mount it for writing, or choose another folder with --data",
        std::io::ErrorKind::PermissionDenied => {
            "; give the account that runs watchpost the right to write there, or choose another folder with --data"
        }
        std::io::ErrorKind::StorageFull => "; make room",
        _ => "",
    }
}
