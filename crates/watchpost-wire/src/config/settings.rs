//! The document's sections other than monitors, as values.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use watchpost_core::monitor::{Pace, Thresholds};
use watchpost_core::schedule::Cron;

use super::{Asked, DefaultExpectDoc, DefaultsDoc, Document, PrivateTargets};
use crate::tree::{Reader, Tree};

/// Everything but the monitors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// The web server.
    pub server: ServerSettings,
    /// The log.
    pub log: LogSettings,
    /// The store.
    pub storage: StorageSettings,
    /// What checks may reach.
    pub network: NetworkSettings,
    /// What monitors take over.
    pub defaults: Defaults,
}

/// The web server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// Addresses to listen on; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// The address that people reach it at, without a final slash; `None`: links are relative.
    pub base_url: Option<String>,
}

impl Default for ServerSettings {
    fn default() -> ServerSettings {
        ServerSettings { listen: vec![SocketAddr::from(([127, 0, 0, 1], 8080))], base_url: None }
    }
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Least important messages written: `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// One JSON object a line, instead of text for people.
    pub json: bool,
    /// The file appended to; `None`: standard error.
    pub file: Option<PathBuf>,
}

impl Default for LogSettings {
    fn default() -> LogSettings {
        LogSettings { level: LogLevel::default().as_str().to_owned(), json: false, file: None }
    }
}

/// How important a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something needs attention.
    Warn,
    /// What happens.
    #[default]
    Info,
    /// How it happens.
    Debug,
    /// Every step.
    Trace,
}

impl LogLevel {
    /// The word in the configuration.
    const fn as_str(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageSettings {
    /// The SQLite file; when relative, to the data folder.
    pub file: PathBuf,
    /// How long single results are kept.
    pub keep_results: Duration,
    /// How long hourly figures, states and incidents are kept.
    pub keep_history: Duration,
    /// Bytes beyond which the oldest results go; `None`: no limit.
    pub size_max: Option<u64>,
}

impl Default for StorageSettings {
    fn default() -> StorageSettings {
        StorageSettings {
            file: PathBuf::from("watchpost.db"),
            keep_results: DAY * 35,
            keep_history: DAY * 365 * 5,
            size_max: Some(2 << 30),
        }
    }
}

const DAY: Duration = Duration::from_secs(86_400);

/// What checks may reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkSettings {
    /// PEM files with authorities to trust beside the system's, resolved against the configuration file.
    pub ca_files: Vec<PathBuf>,
    /// Whether private addresses may be checked.
    pub private_targets: PrivateTargets,
}

/// What a monitor takes over for keys that it does not set.
#[derive(Clone, Debug, PartialEq)]
pub struct Defaults {
    /// Time between checks.
    pub interval: Duration,
    /// Time zone of `cron`.
    pub timezone: String,
    /// Deadline of a check.
    pub timeout: Duration,
    /// Results that make a state.
    pub thresholds: Thresholds,
    /// Pace while failing.
    pub pace: Pace,
    /// Group.
    pub group: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Not paused.
    pub active: bool,
    /// After how long without a usable result we say that we cannot tell.
    pub cannot_tell_after: Duration,
    pub(super) expect: ExpectDefaults,
}

/// Default expectations: a document, for they are judged only with the monitor that takes them over.
#[derive(Clone, Debug, Default)]
pub(super) struct ExpectDefaults(pub(super) DefaultExpectDoc);

impl PartialEq for ExpectDefaults {
    fn eq(&self, other: &ExpectDefaults) -> bool {
        format!("{:?}", self.0) == format!("{:?}", other.0)
    }
}

impl Default for Defaults {
    fn default() -> Defaults {
        Defaults {
            interval: Duration::from_secs(60),
            timezone: "UTC".to_owned(),
            timeout: Duration::from_secs(10),
            thresholds: Thresholds::default(),
            pace: Pace::default(),
            group: None,
            tags: Vec::new(),
            active: true,
            cannot_tell_after: Duration::from_secs(15 * 60),
            expect: ExpectDefaults::default(),
        }
    }
}

/// Turns the sections into values; what is wrong is noted, and the default stands in for it.
pub(super) fn convert(head: &Document, tree: &Tree, reader: &Reader) -> Settings {
    let asked = Asked { node: &tree.root, reader };
    let mut settings = Settings::default();
    if let Some(server) = &head.server {
        if let Some(listen) = &server.listen {
            settings.server.listen = addresses(listen, asked);
        }
        settings.server.base_url =
            server.base_url.as_deref().and_then(|text| asked.check(&["server", "base_url"], base_url(text)));
    }
    if let Some(log) = &head.log {
        let file = log.file.as_deref().filter(|file| !file.is_empty());
        settings.log = LogSettings {
            level: log.level.unwrap_or_default().as_str().to_owned(),
            json: log.format.unwrap_or_default() == LogFormat::Json,
            file: file.map(|file| beside(tree, &["log", "file"], file)),
        };
    }
    storage(head, asked, &mut settings.storage);
    if let Some(network) = &head.network {
        settings.network.private_targets = network.private_targets.unwrap_or_default();
        for (i, file) in network.ca_files.iter().enumerate() {
            let at = i.to_string();
            let path = ["network", "ca_files", &at];
            match file.is_empty() {
                true => asked.refuse(&path, "expected the path of a file"),
                false => settings.network.ca_files.push(beside(tree, &path, file)),
            }
        }
    }
    if let Some(defaults) = &head.defaults {
        settings.defaults = convert_defaults(defaults, asked);
    }
    if let Some(after) = head.alerting.and_then(|alerting| alerting.cannot_tell_after) {
        settings.defaults.cannot_tell_after = after.0;
    }
    settings
}

/// A path of the document, relative to the file that it is written in.
fn beside(tree: &Tree, path: &[&str], file: &str) -> PathBuf {
    let written_in = tree.sources.path(tree.root.locate(path.iter().copied()));
    Path::new(&*written_in).parent().unwrap_or(Path::new("")).join(file)
}

fn addresses(listen: &[String], asked: Asked<'_>) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    if listen.is_empty() {
        asked.refuse(&["server", "listen"], "expected at least one address, such as 127.0.0.1:8080");
    }
    for (i, text) in listen.iter().enumerate() {
        let at = i.to_string();
        let path = ["server", "listen", &at];
        let local = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        match local.as_ref().unwrap_or(text).parse::<SocketAddr>() {
            Ok(address) if address.port() != 0 && addresses.contains(&address) => {
                asked.refuse(&path, format!("`{text}` is listed twice"));
            }
            Ok(address) => addresses.push(address),
            Err(_) => asked.refuse(
                &path,
                format!("`{text}` is not an address to listen on; write for example 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080"),
            ),
        }
    }
    addresses
}

fn base_url(text: &str) -> Result<String, String> {
    let example = "write for example https://watch.example.org/sub";
    let url = url::Url::parse(text).map_err(|e| format!("not a URL: {e}; {example}"))?;
    let plain =
        url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    match matches!(url.scheme(), "http" | "https") && url.host().is_some() && plain {
        true => Ok(text.trim_end_matches('/').to_owned()),
        false => Err(format!("the base URL is an http(s) address without user, query and fragment; {example}")),
    }
}

fn storage(head: &Document, asked: Asked<'_>, settings: &mut StorageSettings) {
    let Some(storage) = &head.storage else { return };
    if let Some(url) = &storage.url {
        let path = ["storage", "url"];
        let file = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"));
        match file {
            Some(file) if !file.is_empty() && !file.contains(['?', '#']) => settings.file = PathBuf::from(file),
            None if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                asked.refuse(
                    &path,
                    "`storage.url: postgres://` is not supported yet in this version; write sqlite://watchpost.db",
                );
            }
            Some(_) | None => asked.refuse(&path, "expected sqlite://FILE, such as sqlite://watchpost.db"),
        }
    }
    let keep = storage.keep.unwrap_or_default();
    settings.keep_results = keep.results.map_or(settings.keep_results, |time| time.0);
    settings.keep_history = keep.history.map_or(settings.keep_history, |time| time.0);
    settings.size_max = storage.size_max.map_or(settings.size_max, |size| Some(size.0));
    if settings.keep_history < settings.keep_results && keep.history.is_some() {
        asked.refuse(&["storage", "keep", "history"], "history cannot be kept for less time than results");
    }
}

fn convert_defaults(doc: &DefaultsDoc, asked: Asked<'_>) -> Defaults {
    let plain = Defaults::default();
    if let Some(zone) = &doc.timezone {
        asked.check(&["defaults", "timezone"], Cron::parse("@daily", zone));
    }
    if let Some(expect) = &doc.expect {
        super::expect::check_defaults(expect, asked);
    }
    let count = |results: Option<super::Results>, default| {
        results.and_then(|count| NonZeroU32::new(count.0)).unwrap_or(default)
    };
    let tags = doc.tags.clone().unwrap_or_default();
    super::convert::check_tags(&tags, &["defaults", "tags"], asked);
    Defaults {
        interval: doc.interval.map_or(plain.interval, |time| time.0),
        timezone: doc.timezone.clone().unwrap_or(plain.timezone),
        timeout: doc.timeout.map_or(plain.timeout, |time| time.0),
        thresholds: Thresholds {
            fail_after: count(doc.fail_after, plain.thresholds.fail_after),
            recover_after: count(doc.recover_after, plain.thresholds.recover_after),
        },
        pace: Pace { retry: doc.retry.map(|pace| pace.every.0), while_down: doc.while_down.map(|pace| pace.every.0) },
        group: doc.group.clone().filter(|group| !group.is_empty()),
        tags,
        active: doc.active.is_none_or(|flag| flag.0),
        cannot_tell_after: plain.cannot_tell_after,
        expect: ExpectDefaults(doc.expect.clone().unwrap_or_default()),
    }
}
