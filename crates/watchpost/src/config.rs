//! Configuration files: found, loaded and watched. What a file may say is in `watchpost_wire::config`.

mod show;
mod watch;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use watchpost_core::Definition;
use watchpost_core::plan::{Document, Wanted};
use watchpost_wire::config::{self as document, Masking};
use watchpost_wire::tree::{FILE_BYTES_MAX, Format, Input, Problems, SecretFiles, Tree};

pub use document::{NotATarget, PrivateTargets, Settings, schema};
pub use show::{effective, effective_yaml, shown};
pub use watch::{Watcher, watch};

/// Files of one folder that are merged; more is a folder chosen by mistake.
const FOLDER_FILES_MAX: usize = 10_000;

/// Where the configuration is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nowhere: it is empty.
    Nothing,
    /// In one file.
    File(PathBuf),
    /// In the files of a folder (`*.yml`, `*.yaml`, `*.toml`, `*.json`; not of folders in it, not hidden ones).
    Folder(PathBuf),
}

impl Source {
    /// The path as given, for showing.
    #[must_use]
    pub fn shown(&self) -> Option<String> {
        self.path().map(|path| path.display().to_string())
    }

    /// The path, if there is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Source::Nothing => None,
            Source::File(path) | Source::Folder(path) => Some(path),
        }
    }
}

/// The path as given, or what stands in for it.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            Some(path) => path.display().fmt(f),
            None => f.write_str("(no configuration file)"),
        }
    }
}

/// Where variables come from: the process's environment, or a test's.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Finds the configuration: `--config`, `$WATCHPOST_CONFIG`, `./watchpost.yml`, `/etc/watchpost/watchpost.yml`, else
/// nothing. A path that was named is taken even when it does not exist: loading then says so.
#[must_use]
pub fn find(named: Option<&Path>) -> Source {
    find_in(named, &process_environment)
}

fn find_in(named: Option<&Path>, env: Environment<'_>) -> Source {
    const SEARCHED: [&str; 2] = ["watchpost.yml", "/etc/watchpost/watchpost.yml"];
    let from_env = || env("WATCHPOST_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    // An empty one is none: so the variable comes out of a compose file in which it is not set.
    let named = named.filter(|path| !path.as_os_str().is_empty());
    let path = named.map(Path::to_path_buf).or_else(from_env).or_else(|| {
        // A broken symlink is a configuration that is broken, not one that is absent.
        SEARCHED.into_iter().map(PathBuf::from).find(|path| path.symlink_metadata().is_ok())
    });
    match path {
        None => Source::Nothing,
        Some(path) if path.is_dir() => Source::Folder(path),
        Some(path) => Source::File(path),
    }
}

/// The data folder: `--data`, `$WATCHPOST_DATA`, else `data` beside the configuration file (in the folder, for a
/// folder; in the current folder without a configuration).
#[must_use]
pub fn data_folder(named: Option<&Path>, loaded: &Loaded) -> PathBuf {
    data_folder_in(named, &process_environment, &loaded.source)
}

fn data_folder_in(named: Option<&Path>, env: Environment<'_>, source: &Source) -> PathBuf {
    let from_env = || env("WATCHPOST_DATA").filter(|path| !path.is_empty()).map(PathBuf::from);
    let named = named.filter(|path| !path.as_os_str().is_empty());
    named.map(Path::to_path_buf).or_else(from_env).unwrap_or_else(|| match source {
        Source::Nothing => PathBuf::from("data"),
        Source::File(file) => file.parent().unwrap_or(Path::new("")).join("data"),
        Source::Folder(folder) => folder.join("data"),
    })
}

/// A configuration that holds.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Where it was found.
    pub source: Source,
    /// Everything but the monitors.
    pub settings: Settings,
    /// The monitors, in the order written, with unique ids.
    pub monitors: Vec<Wanted>,
    /// The files it was read from, in the order they were merged.
    pub files: Vec<PathBuf>,
}

impl Loaded {
    fn empty() -> Loaded {
        Loaded { source: Source::Nothing, settings: Settings::default(), monitors: Vec::new(), files: Vec::new() }
    }
}

/// Why a configuration does not hold. Displays as all problems with their places.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file or folder cannot be read.
    #[error("cannot read the configuration {}: {cause}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// What is written does not hold.
    #[error("{0}")]
    Wrong(#[from] Box<Problems>),
}

impl From<Problems> for ConfigError {
    fn from(problems: Problems) -> ConfigError {
        ConfigError::Wrong(Box::new(problems))
    }
}

/// Finds and loads the configuration, with this process's environment. Blocks as [`load`] does.
///
/// # Errors
/// As [`load`].
pub fn find_and_load(named: Option<&Path>) -> Result<Loaded, ConfigError> {
    load(&find(named), &process_environment)
}

/// Loads the configuration. Blocks while it reads files; 100,000 monitors take seconds.
///
/// # Errors
/// When a file cannot be read, or anything is wrong with what is written: then with every problem found.
pub fn load(source: &Source, env: Environment<'_>) -> Result<Loaded, ConfigError> {
    let files = match source {
        Source::Nothing => return Ok(Loaded::empty()),
        Source::File(file) => vec![file.clone()],
        Source::Folder(folder) => {
            files_of(folder).map_err(|cause| ConfigError::Unreadable { path: folder.clone(), cause })?
        }
    };
    let mut inputs = Vec::with_capacity(files.len());
    for path in &files {
        let read = read_at_most(path, FILE_BYTES_MAX + 1);
        let bytes = read.map_err(|cause| ConfigError::Unreadable { path: path.clone(), cause })?;
        // A single file may have any name; YAML is what people write.
        let format = Format::of_path(path).unwrap_or(Format::Yaml);
        inputs.push(Input { path: path.display().to_string(), format, bytes });
    }
    let mut tree = Tree::parse(&inputs)?;
    drop(inputs);
    tree.substitute(env)?;
    tree.read_secret_files(SecretFiles { is_secret: &document::is_secret, read: &read_at_most })?;
    let read = document::read(tree)?;
    let monitors = with_documents(&read.monitors);
    Ok(Loaded { source: source.clone(), settings: read.settings, monitors, files })
}

/// Writes each monitor's document, on two threads: of 100,000 it is a fifth of a start.
fn with_documents(monitors: &[Arc<Definition>]) -> Vec<Wanted> {
    let wanted = |definition: &Arc<Definition>| {
        let document = Document::new(&document::document(definition, Masking::Fingerprint));
        Wanted { definition: Arc::clone(definition), document }
    };
    let (one, two) = monitors.split_at(monitors.len() / 2);
    std::thread::scope(|scope| {
        let second = scope.spawn(|| two.iter().map(wanted).collect::<Vec<_>>());
        let mut all: Vec<Wanted> = one.iter().map(wanted).collect();
        match second.join() {
            Ok(mut rest) => all.append(&mut rest),
            Err(panic) => std::panic::resume_unwind(panic),
        }
        all
    })
}

/// The monitor for a URL given on the command line, with the configuration's defaults.
///
/// # Errors
/// When it is no URL that can be checked.
pub fn monitor_for_url(url: &str, loaded: &Loaded) -> Result<Definition, NotATarget> {
    document::monitor_for_url(url, &loaded.settings.defaults)
}

/// The environment of this process, for [`load`].
#[must_use]
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The configuration files of a folder, by name.
fn files_of(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && Format::of_path(&path).is_some() && path.is_file() {
            files.push(path);
        }
        if files.len() > FOLDER_FILES_MAX {
            return Err(io::Error::other(format!("more than {FOLDER_FILES_MAX} files in the folder")));
        }
    }
    files.sort();
    Ok(files)
}

fn read_at_most(path: &Path, bytes: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    // A pipe by name is not even opened: that would wait until somebody writes to it. The shell's `<(...)` has a writer.
    let kind = path.metadata()?.file_type();
    if kind.is_fifo() && !path.starts_with("/dev") && !path.starts_with("/proc") {
        return Err(io::Error::other("it is a pipe, not a file"));
    }
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    file.take(u64::try_from(bytes).unwrap_or(u64::MAX)).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests;
