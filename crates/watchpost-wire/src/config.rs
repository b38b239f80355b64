//! Configuration documents, version 1: one schema for file, API, import and export.
//!
//! A [`Tree`] is read into documents ([`Document`], [`MonitorDoc`]), which are turned into the core's types with their
//! limits checked; every problem names its place. The way back, [`document`], is the effective document of a
//! definition, with its secrets masked.
//!
//! Keys of the contract whose feature is not built yet are known, and refused as "not supported yet".

mod convert;
mod expect;
mod masked;
mod monitor;
mod settings;
mod target;
mod values;

use std::collections::HashMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use watchpost_core::{Definition, monitor::Source};

use crate::tree::{Node, Place, Problem, Problems, Reader, Shapes, Tree, Value};

pub use masked::{Masking, document, fingerprint, settings_document};
pub use monitor::MonitorDoc;
pub use settings::{
    Defaults, LogFormat, LogLevel, LogSettings, NetworkSettings, ServerSettings, Settings, StorageSettings,
};
pub use target::{NotATarget, monitor_for_url};
pub use values::{duration_text, parse_duration, parse_size, size_text};

use monitor::{CertificateDoc, Interval, LatencyDoc, LossDoc, PaceDoc, Results, Timeout};
use values::{Flag, Size, Time, optional_text, texts};

/// Characters of an id, a name or a group; longer ones break every list they are shown in.
pub const NAME_CHARS_MAX: usize = 200;
/// Characters of a tag.
pub const TAG_CHARS_MAX: usize = 100;
/// Tags of one monitor.
pub const TAGS_MAX: usize = 50;

/// A whole configuration.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename = "Configuration")]
pub struct Document {
    /// The web server.
    pub server: Option<ServerDoc>,
    /// The log, written to standard error.
    pub log: Option<LogDoc>,
    /// Where results and states are kept.
    pub storage: Option<StorageDoc>,
    /// What checks may reach, and whom they trust.
    pub network: Option<NetworkDoc>,
    /// When somebody is told.
    pub alerting: Option<AlertingDoc>,
    /// What monitors take over unless they say otherwise.
    pub defaults: Option<DefaultsDoc>,
    /// What is watched.
    pub monitors: Vec<MonitorDoc>,
}

/// The web server.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename = "Server")]
pub struct ServerDoc {
    /// Addresses to listen on: `address:port` or `localhost:port`.
    #[schemars(schema_with = "texts", extend("default" = ["127.0.0.1:8080"]))]
    pub listen: Option<Vec<String>>,
    /// Address that people reach it at; may have a sub-path.
    #[schemars(schema_with = "optional_text", extend("examples" = ["https://watch.example.org/sub"]))]
    pub base_url: Option<String>,
}

/// The log.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename = "Log")]
pub struct LogDoc {
    /// Least important messages that are written.
    #[schemars(extend("default" = "info"))]
    pub level: Option<LogLevel>,
    /// How lines are written.
    #[schemars(extend("default" = "text"))]
    pub format: Option<LogFormat>,
    /// File that lines are appended to, instead of standard error; relative to the configuration file.
    #[schemars(schema_with = "optional_text")]
    pub file: Option<String>,
}

/// The store.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename = "Storage")]
pub struct StorageDoc {
    /// The database: `sqlite://file`, relative to the data folder.
    #[schemars(schema_with = "optional_text", extend("default" = "sqlite://watchpost.db"))]
    pub url: Option<String>,
    /// How long things are kept.
    pub keep: Option<KeepDoc>,
    /// The oldest results go when the database grows larger than this.
    #[schemars(extend("default" = "2GiB"))]
    pub size_max: Option<Size<16_777_216, 17_592_186_044_416>>,
}

/// How long things are kept.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename = "Keep")]
pub struct KeepDoc {
    /// Single results.
    #[schemars(extend("default" = "35d"))]
    pub results: Option<Time<3_600_000, 3_153_600_000_000>>,
    /// Hourly figures, states and incidents.
    #[schemars(extend("default" = "5y"))]
    pub history: Option<Time<86_400_000, 3_153_600_000_000>>,
}

/// What checks may reach.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename = "Network")]
pub struct NetworkDoc {
    /// Files with certificate authorities (PEM) to trust beside the system's; relative to the configuration file.
    #[schemars(schema_with = "texts", extend("examples" = [["company-ca.pem"]]))]
    pub ca_files: Vec<String>,
    /// `deny`: loopback, private and link-local addresses are refused, after DNS and redirects too.
    #[schemars(extend("default" = "allow"))]
    pub private_targets: Option<PrivateTargets>,
}

/// Whether private addresses may be checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PrivateTargets {
    /// They may.
    #[default]
    Allow,
    /// They are refused.
    Deny,
}

/// When somebody is told.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename = "Alerting")]
pub struct AlertingDoc {
    /// After so long without a usable result a monitor counts as "cannot tell".
    #[schemars(extend("default" = "15m"))]
    pub cannot_tell_after: Option<CannotTell>,
}

/// Bounds of `cannot_tell_after`: 1 s to 30 days.
type CannotTell = Time<1_000, 2_592_000_000>;

/// What monitors take over.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename = "Defaults")]
pub struct DefaultsDoc {
    /// As the monitor's key.
    #[schemars(extend("default" = "60s"))]
    pub interval: Option<Interval>,
    /// As the monitor's key.
    #[schemars(schema_with = "optional_text", extend("default" = "UTC"))]
    pub timezone: Option<String>,
    /// As the monitor's key.
    #[schemars(extend("default" = "10s"))]
    pub timeout: Option<Timeout>,
    /// As the monitor's key.
    #[schemars(extend("default" = 1))]
    pub fail_after: Option<Results>,
    /// As the monitor's key.
    #[schemars(extend("default" = 1))]
    pub recover_after: Option<Results>,
    /// As the monitor's key.
    pub retry: Option<PaceDoc>,
    /// As the monitor's key.
    pub while_down: Option<PaceDoc>,
    /// As the monitor's key.
    #[schemars(schema_with = "optional_text")]
    pub group: Option<String>,
    /// As the monitor's key; a monitor with tags of its own has only those.
    #[schemars(schema_with = "texts")]
    pub tags: Option<Vec<String>>,
    /// As the monitor's key.
    #[schemars(extend("default" = true))]
    pub active: Option<Flag>,
    /// Expectations, for the kinds of monitors that they fit; a monitor's own of the same key replaces them.
    pub expect: Option<DefaultExpectDoc>,
}

/// Expectations that make sense for many monitors.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename = "DefaultExpect")]
pub struct DefaultExpectDoc {
    /// http
    #[schemars(schema_with = "texts", extend("default" = "200-399"))]
    pub status: Option<Vec<String>>,
    /// all kinds
    pub latency: Option<LatencyDoc>,
    /// http, tls
    pub certificate: Option<CertificateDoc>,
    /// icmp
    pub loss: Option<LossDoc>,
}

/// What may be written short, and what the contract knows but this version does not do.
const SHAPES: Shapes = Shapes {
    short_forms: &[
        ("Http", "url"),
        ("Tcp", "address"),
        ("Tls", "address"),
        ("Udp", "address"),
        ("Icmp", "host"),
        ("Dns", "name"),
        ("BodyExpect", "contains"),
        ("HeaderExpect", "equals"),
        ("Certificate", "warn"),
    ],
    not_yet: &[
        (
            "Configuration",
            &["channels", "maintenance", "status_pages", "notion", "compatibility", "cluster", "watchdog", "event_log"],
        ),
        ("Server", &["tls", "trusted_proxies"]),
        ("Network", &["uplink"]),
        ("Alerting", &["send", "announce_start", "routes", "group", "flapping"]),
        ("Defaults", &["remind_every", "alert", "alert_on", "regions", "down", "depends_on", "cron"]),
        ("Monitor", &["heartbeat", "push", "job", "depends_on", "alert", "alert_on", "remind_every", "down"]),
    ],
};

/// A configuration that holds.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// Everything but the monitors.
    pub settings: Settings,
    /// The monitors, in the order written. Their ids are unique.
    pub monitors: Vec<Arc<Definition>>,
}

/// Reads a whole configuration. The tree's monitors go as they are read: of 100,000 they and their tree at once would
/// take twice the memory.
///
/// # Errors
/// Everything that is wrong with it: at least one problem for each broken monitor and section.
pub fn read(mut tree: Tree) -> Result<Configuration, Problems> {
    let reader = Reader::new(SHAPES);
    let monitors = tree.take("monitors");
    if let Some(nothing) = tree.root.get("monitors") {
        reader.skip(nothing);
    }
    let head: Document = reader.read_rest(&tree.root).unwrap_or_default();
    let settings = settings::convert(&head, &tree, &reader);
    let monitors = read_monitors(monitors, &mut tree, &settings.defaults, &reader);
    let problems = reader.into_problems();
    match problems.is_empty() {
        true => Ok(Configuration { settings, monitors }),
        false => Err(tree.problems(problems, &is_hidden)),
    }
}

fn read_monitors(list: Option<Node>, tree: &mut Tree, defaults: &Defaults, reader: &Reader) -> Vec<Arc<Definition>> {
    let Some(list) = list.filter(|list| !list.is_null()) else { return Vec::new() };
    let Value::List(nodes) = list.value else {
        reader.report(Problem::at(list.place, "expected a list of monitors, each beginning with `- `".to_owned()));
        return Vec::new();
    };
    let mut ids: HashMap<String, Place> = HashMap::with_capacity(nodes.len());
    let mut paths: HashMap<u32, Arc<str>> = HashMap::new();
    let mut monitors: Vec<Arc<Definition>> = Vec::with_capacity(nodes.len());
    for node in nodes {
        tree.remember_secrets(&node, &is_hidden);
        if reader.is_full() {
            continue;
        }
        let Some(doc) = reader.read::<MonitorDoc>(&node) else { continue };
        let path = paths.entry(node.place.file).or_insert_with(|| tree.sources.path(node.place));
        let source = Source::File { path: path.clone(), line: node.place.line };
        let Some(mut definition) = convert::definition(&doc, &node, (defaults, source), reader) else { continue };
        // Most monitors expect what their neighbour does: of many, that would be a quarter of what they take.
        if let Some(before) = monitors.last().filter(|before| before.expect == definition.expect) {
            definition.expect = Arc::clone(&before.expect);
        }
        let place = node.entry("id").or(node.entry("name")).map_or(node.place, |entry| entry.value.place);
        match ids.entry(definition.id.as_str().to_owned()) {
            std::collections::hash_map::Entry::Occupied(first) => {
                let message = format!(
                    "the id `{}` is already used at {}; give one of them another `id`",
                    first.key(),
                    tree.sources.show(*first.get())
                );
                reader.report(Problem::at(place, message));
            }
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(place);
                monitors.push(Arc::new(definition));
            }
        }
    }
    monitors
}

/// Reads one monitor's document, as the API takes it: the root of the tree is the monitor.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_monitor(tree: &Tree, defaults: &Defaults) -> Result<Definition, Problems> {
    let reader = Reader::new(SHAPES);
    let read = reader
        .read::<MonitorDoc>(&tree.root)
        .and_then(|doc| convert::definition(&doc, &tree.root, (defaults, Source::Api), &reader));
    match (read, reader.into_problems()) {
        (Some(definition), problems) if problems.is_empty() => Ok(definition),
        (_, problems) => Err(tree.problems(problems, &is_hidden)),
    }
}

/// Whether a key of a map at this path (keys and item numbers from the top) is a secret, and so may be given as
/// `<key>_file`.
#[must_use]
pub fn is_secret(path: &[&str], key: &str) -> bool {
    match path {
        [.., "http", "headers"] => true,
        [.., "http", "auth", "basic"] => key == "password",
        [.., "http", "auth"] => key == "bearer",
        [.., "http"] => matches!(key, "body" | "url"),
        [.., "tcp" | "udp"] => key == "send",
        _ => false,
    }
}

/// Whether a value is left out when a line is shown. Of a URL only the password is. Of credentials and headers all
/// is: a password that stands in the wrong place is one still.
fn is_hidden(path: &[&str], key: &str) -> bool {
    match path {
        [.., "http"] if key == "auth" || key == "headers" => true,
        _ => key != "url" && is_secret(path, key),
    }
}

/// The JSON Schema (draft 2020-12) of [`Document`], for editors. It describes what is written, before `${NAME}` is
/// filled in; limits that span several keys are checked only when the configuration is read.
#[must_use]
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Document);
    schema.insert("title".to_owned(), "Watchpost configuration".into());
    let mut schema = schema.to_value();
    add_secret_files(&mut schema);
    schema
}

/// Adds `<key>_file` beside the secret keys.
fn add_secret_files(schema: &mut serde_json::Value) {
    for (name, keys) in [
        ("Basic", &["password"][..]),
        ("Auth", &["bearer"]),
        ("Http", &["body", "url"]),
        ("Tcp", &["send"]),
        ("Udp", &["send"]),
    ] {
        for place in [format!("/$defs/{name}"), format!("/$defs/{name}/anyOf/0")] {
            let Some(object) = schema.pointer_mut(&place).and_then(|s| s.as_object_mut()) else { continue };
            if let Some(required) = object.get_mut("required").and_then(|r| r.as_array_mut()) {
                required.retain(|key| !keys.iter().any(|secret| key == secret));
            }
            let Some(properties) = object.get_mut("properties").and_then(|p| p.as_object_mut()) else { continue };
            for key in keys {
                let about = format!("File that holds `{key}`; relative to the configuration file.");
                properties.insert(format!("{key}_file"), serde_json::json!({ "type": "string", "description": about }));
            }
        }
    }
}

/// Where a problem of a document lies: its node and the reader that collects.
#[derive(Clone, Copy)]
struct Asked<'a> {
    node: &'a Node,
    reader: &'a Reader,
}

impl Asked<'_> {
    /// Notes a problem with the value at a path below the node.
    fn refuse(self, path: &[&str], message: impl Into<String>) {
        let place = self.node.locate(path.iter().copied());
        self.reader.report(Problem::at(place, message.into()));
    }

    /// The value, or a note of what is wrong with it.
    fn check<T, E: std::fmt::Display>(self, path: &[&str], result: Result<T, E>) -> Option<T> {
        result.map_err(|e| self.refuse(path, e.to_string())).ok()
    }
}

#[cfg(test)]
mod tests;
