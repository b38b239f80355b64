//! Notices that the configuration has changed on disk: edits in place, rename into place, and swapped symlinks as
//! Kubernetes makes them. The kernel's notices (inotify) make it quick; looking every second makes it certain, also on
//! file systems that have none.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt;
use inotify::{EventStream, Inotify, WatchMask};
use tokio::time::{Instant, sleep_until};

use watchpost_wire::tree::Format;

use super::{Source, files_of};

/// Without notices of the kernel a change is seen within this time.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A change is told when nothing more has happened for this time: editors and scripts write in steps.
const QUIET: Duration = Duration::from_millis(200);
/// A change is told after this time at the latest, however busy the folder is.
const QUIET_MAX: Duration = Duration::from_millis(800);
/// Bytes for notices of the kernel read at once: some dozens of names.
const NOTICES_BYTES: usize = 4_096;
/// Symlinks followed to a file, as the kernel does.
const SYMLINKS_MAX: usize = 40;

/// Starts to watch a configuration; changes from now on are noticed. Needs a tokio runtime.
#[must_use]
pub fn watch(source: &Source) -> Watcher {
    Watcher::new(source)
}

/// Watches a configuration. Dropping it ends the watch.
pub struct Watcher {
    source: Source,
    notices: Option<EventStream<Vec<u8>>>,
    /// Names whose notices matter, in the folders watched; empty: all that may be configuration.
    names: BTreeSet<OsString>,
    seen: Vec<Stamp>,
    next_look: Instant,
    pending: Option<Pending>,
}

/// A change that is waiting for quiet.
#[derive(Clone, Copy)]
struct Pending {
    first: Instant,
    last: Instant,
}

impl Pending {
    fn due(self) -> Instant {
        (self.last + QUIET).min(self.first + QUIET_MAX)
    }
}

/// What tells one state of a file from another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    path: PathBuf,
    /// Device, inode, bytes, time of change; `None`: it is not there.
    state: Option<(u64, u64, u64, i64, i64)>,
}

impl Watcher {
    fn new(source: &Source) -> Watcher {
        let (notices, names) = match subscribe(source) {
            Ok(subscribed) => subscribed,
            Err(e) => {
                tracing::debug!(error = %e, "no notices of file changes; looking every second");
                (None, BTreeSet::new())
            }
        };
        let seen = stamps(source);
        Watcher { source: source.clone(), notices, names, seen, next_look: Instant::now() + LOOK_EVERY, pending: None }
    }

    /// There is no configuration to watch.
    #[must_use]
    pub fn watches_nothing(&self) -> bool {
        self.source == Source::Nothing
    }

    /// Waits for the next change; always `Some`. Cancel-safe: a change noticed while nobody waits is told at the next call. It may tell
    /// of a change that is none (a file written anew with the same content).
    pub async fn recv(&mut self) -> Option<()> {
        loop {
            let due = self.pending.map(Pending::due);
            tokio::select! {
                biased;
                () = sleep_until(due.unwrap_or(self.next_look)), if due.is_some() => {
                    self.pending = None;
                    self.seen = stamps(&self.source);
                    self.renew();
                    return Some(());
                }
                noticed = next_notice(self.notices.as_mut()) => self.noticed(noticed),
                () = sleep_until(self.next_look) => self.look(),
            }
        }
    }

    /// As where the kernel has none.
    #[cfg(test)]
    pub(super) fn without_notices(&mut self) {
        self.notices = None;
    }

    fn noticed(&mut self, name: Option<OsString>) {
        match name {
            // The watched folder itself has gone or moved, or the notices have ended: look instead.
            None => {
                self.notices = None;
                self.look();
            }
            Some(name) if self.matters(&name) => self.touch(),
            Some(_) => {}
        }
    }

    fn matters(&self, name: &OsString) -> bool {
        let path = Path::new(name);
        // Kubernetes swaps `..data`; the files themselves stay the same links.
        name.as_encoded_bytes().starts_with(b"..")
            || match self.names.is_empty() {
                true => Format::of_path(path).is_some() && !name.as_encoded_bytes().starts_with(b"."),
                false => self.names.contains(name),
            }
    }

    fn look(&mut self) {
        let now = Instant::now();
        self.next_look = now + LOOK_EVERY;
        let stamps = stamps(&self.source);
        if stamps != self.seen {
            self.seen = stamps;
            self.touch();
        }
    }

    fn touch(&mut self) {
        let now = Instant::now();
        self.pending = Some(Pending { first: self.pending.map_or(now, |pending| pending.first), last: now });
    }

    /// Symlinks may lead elsewhere now, and a folder may have been made anew.
    fn renew(&mut self) {
        if let Ok((notices, names)) = subscribe(&self.source) {
            self.notices = notices;
            self.names = names;
        }
    }
}

/// The name in the next notice; `None` when there will be no more. Never ends when there are none at all.
async fn next_notice(notices: Option<&mut EventStream<Vec<u8>>>) -> Option<OsString> {
    match notices {
        Some(stream) => match stream.next().await {
            Some(Ok(event)) => Some(event.name.unwrap_or_default()).filter(|name| !name.is_empty()),
            Some(Err(_)) | None => None,
        },
        None => std::future::pending().await,
    }
}

type Subscribed = (Option<EventStream<Vec<u8>>>, BTreeSet<OsString>);

/// Asks the kernel for notices of the folders that the configuration, or a symlink on the way to it, is in.
fn subscribe(source: &Source) -> std::io::Result<Subscribed> {
    let (folders, names) = match source {
        Source::Nothing => return Ok((None, BTreeSet::new())),
        Source::Folder(folder) => (BTreeSet::from([folder.clone()]), BTreeSet::new()),
        Source::File(file) => on_the_way(file),
    };
    let inotify = Inotify::init()?;
    let mask = WatchMask::CLOSE_WRITE
        | WatchMask::MOVED_TO
        | WatchMask::MOVED_FROM
        | WatchMask::CREATE
        | WatchMask::DELETE
        | WatchMask::DELETE_SELF
        | WatchMask::MOVE_SELF;
    for folder in folders {
        inotify.watches().add(folder, mask)?;
    }
    Ok((Some(inotify.into_event_stream(vec![0; NOTICES_BYTES])?), names))
}

/// The folders and names through which a path leads to its file.
fn on_the_way(file: &Path) -> (BTreeSet<PathBuf>, BTreeSet<OsString>) {
    let (mut folders, mut names) = (BTreeSet::new(), BTreeSet::new());
    let mut here = file.to_path_buf();
    for _ in 0..SYMLINKS_MAX {
        let parent =
            here.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf();
        names.extend(here.file_name().map(OsString::from));
        let target = std::fs::read_link(&here).ok();
        folders.insert(parent.clone());
        match target {
            Some(target) => here = parent.join(target),
            None => break,
        }
    }
    (folders, names)
}

fn stamps(source: &Source) -> Vec<Stamp> {
    let paths = match source {
        Source::Nothing => Vec::new(),
        Source::File(file) => vec![file.clone()],
        Source::Folder(folder) => files_of(folder).unwrap_or_default(),
    };
    let state = |path: &Path| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.dev(), meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()))
    };
    paths.into_iter().map(|path| Stamp { state: state(&path), path }).collect()
}
