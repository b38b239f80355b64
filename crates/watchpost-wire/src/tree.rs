//! One document tree for YAML, TOML and JSON, in which every key and value knows where it is written.
//!
//! Text stays text: a scalar keeps its spelling (`010`, `1.10`, `off`, `12:30`), and only the reader of a field decides
//! whether it is a number. What hostile or broken input can cost is bounded: bytes, nodes, nesting and what aliases
//! expand to all have a named limit.
//!
//! Reading order: [`Tree`] is parsed from files, `${NAME}` is filled in ([`Tree::substitute`]), `<key>_file` is read
//! ([`Tree::read_secret_files`]), and a [`Reader`] turns nodes into typed documents, collecting every problem it finds.

mod json;
mod merge;
mod problem;
mod reader;
mod substitute;
mod toml;
mod words;
mod yaml;

use std::path::Path;
use std::sync::Arc;

pub use problem::{PROBLEMS_MAX, Problem, Problems};
pub use reader::{Reader, Shapes};
pub use substitute::{SECRET_FILE_BYTES_MAX, SecretFiles};
pub use words::nearest;

/// Bytes of one file: 100,000 monitors of fifteen lines are about 40 MB.
pub const FILE_BYTES_MAX: usize = 64 << 20;
/// Nodes of all files together, aliases expanded: 100,000 monitors have about 1.5 million. Bounds memory to about 1 GB.
pub const NODES_MAX: usize = 8_000_000;
/// Lists and maps inside each other: the documents need eight; bounds the stack of everything that walks a tree.
pub const NESTING_MAX: usize = 64;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2 with the merge keys of 1.1.
    Yaml,
    /// TOML 1.1.
    Toml,
    /// JSON (RFC 8259).
    Json,
}

impl Format {
    /// From a file's extension: `yml`, `yaml`, `toml`, `json`.
    #[must_use]
    pub fn of_path(path: &Path) -> Option<Format> {
        match path.extension()?.to_str()? {
            "yml" | "yaml" => Some(Format::Yaml),
            "toml" => Some(Format::Toml),
            "json" => Some(Format::Json),
            _ => None,
        }
    }
}

/// A file's content before it is parsed.
#[derive(Clone, Debug)]
pub struct Input {
    /// The path as it is to be shown.
    pub path: String,
    /// How it is written.
    pub format: Format,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Where something is written. Lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Which of the [`Sources`].
    pub file: u32,
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

/// The texts that places point into.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
    /// Where secrets begin: they are left out when a line is shown.
    secrets: std::collections::HashSet<Place>,
}

#[derive(Clone, Debug)]
struct SourceFile {
    path: Arc<str>,
    text: Arc<str>,
}

impl Sources {
    /// The path of the file that a place is in.
    #[must_use]
    pub fn path(&self, place: Place) -> Arc<str> {
        self.files.get(place.file as usize).map_or_else(|| Arc::from(""), |file| file.path.clone())
    }

    /// `path:line:column`.
    #[must_use]
    pub fn show(&self, place: Place) -> String {
        format!("{}:{}:{}", self.path(place), place.line, place.column)
    }

    fn hides(&self, place: Place) -> bool {
        self.secrets.contains(&place)
    }

    fn text(&self, place: Place) -> &str {
        self.files.get(place.file as usize).map_or("", |file| &file.text)
    }

    fn add(&mut self, path: &str, text: &str) -> u32 {
        self.files.push(SourceFile { path: Arc::from(path), text: Arc::from(text) });
        u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX)
    }
}

/// A value and where it is written.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Value {
    /// A text, number, truth value or nothing.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order it is written.
    Map(Vec<Entry>),
}

/// A scalar as it is written, escapes and quotes resolved.
#[derive(Clone, Debug)]
pub struct Scalar {
    /// Its text.
    pub text: Box<str>,
    /// Whether its spelling may mean something other than text.
    pub style: Style,
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Bare: a number, `true`, `null` or an unquoted text.
    Plain,
    /// Quoted, a block scalar, or filled in from the environment or a file: always text.
    Quoted,
}

/// A key of a map with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: Box<str>,
    /// Where the key is written.
    pub place: Place,
    /// Its value.
    pub value: Node,
}

impl Scalar {
    /// Nothing: a bare `null` or `~`, or a key without a value (YAML 1.2 section 10.2.1.1).
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.style == Style::Plain && matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL")
    }
}

impl Node {
    /// An empty map that is written nowhere in particular.
    fn empty(place: Place) -> Node {
        Node { place, value: Value::Map(Vec::new()) }
    }

    /// Nothing.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.is_null())
    }

    /// The value of a key, when this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// A key with its value, when this is a map that has it.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| &*entry.key == key),
            Value::Scalar(_) | Value::List(_) => None,
        }
    }

    /// Where the value at the end of a path is written: each step is a key, or the number of an item counted from 0.
    /// Where a step leads nowhere, the last place reached answers: that is where the missing thing belongs. A number leads
    /// to the value itself where a single one stands for a list.
    #[must_use]
    pub fn locate<'p>(&self, path: impl IntoIterator<Item = &'p str>) -> Place {
        let mut here = self;
        for step in path {
            let next = match &here.value {
                Value::Map(_) => here.get(step).or_else(|| step.parse::<usize>().ok().map(|_| here)),
                Value::List(items) => step.parse::<usize>().ok().and_then(|i| items.get(i)),
                Value::Scalar(_) => None,
            };
            match next {
                Some(next) => here = next,
                None => break,
            }
        }
        here.place
    }
}

/// A parsed document: its root is a map.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The root.
    pub root: Node,
    /// What it was read from.
    pub sources: Sources,
}

impl Tree {
    /// Parses files and merges them in the order given: maps are joined, the lists `monitors`, `maintenance` and
    /// `status_pages` are appended. No files: an empty map.
    ///
    /// # Errors
    /// All syntax errors (the first of each file), a key set twice, and every limit that is exceeded.
    pub fn parse(inputs: &[Input]) -> Result<Tree, Problems> {
        let mut sources = Sources::default();
        let mut problems = Vec::new();
        let mut nodes = 0;
        let mut roots = Vec::new();
        for input in inputs {
            match parse_one(input, &mut sources, &mut nodes) {
                Ok(Some(root)) => roots.push(root),
                Ok(None) => {}
                Err(found) => problems.extend(found),
            }
        }
        let mut merged = Node::empty(Place { file: 0, line: 1, column: 1 });
        for (i, root) in roots.into_iter().enumerate() {
            match i {
                0 => merged = root,
                _ => merge::join(&mut merged, root, &sources, &mut problems),
            }
        }
        match problems.is_empty() {
            true => Ok(Tree { root: merged, sources }),
            false => Err(Problems::new(problems, sources)),
        }
    }

    /// Parses one text, for documents that come from elsewhere than a file.
    ///
    /// # Errors
    /// As [`Tree::parse`].
    pub fn parse_text(path: &str, format: Format, text: &str) -> Result<Tree, Problems> {
        Tree::parse(&[Input { path: path.to_owned(), format, bytes: text.as_bytes().to_vec() }])
    }
}

impl Tree {
    /// Problems with what is in this tree. Lines are shown without the values of keys that are secret, which is asked
    /// as in [`SecretFiles`].
    #[must_use]
    pub fn problems(&self, list: Vec<Problem>, is_secret: &dyn Fn(&[&str], &str) -> bool) -> Problems {
        let mut sources = self.sources.clone();
        let mut path = Vec::new();
        find_secrets(&self.root, &mut path, is_secret, &mut |place| {
            sources.secrets.insert(place);
        });
        Problems::new(list, sources)
    }

    /// Takes the value of a key at the top out of the tree, which has nothing there afterwards.
    pub(crate) fn take(&mut self, key: &str) -> Option<Node> {
        let Value::Map(entries) = &mut self.root.value else { return None };
        let entry = entries.iter_mut().find(|entry| &*entry.key == key)?;
        let nothing = Node { place: entry.value.place, value: Value::Map(Vec::new()) };
        Some(std::mem::replace(&mut entry.value, nothing))
    }

    /// Remembers what is secret in a part that was taken out, so that it may go and still is left out of shown lines.
    pub(crate) fn remember_secrets(&mut self, taken: &Node, is_secret: &dyn Fn(&[&str], &str) -> bool) {
        let secrets = &mut self.sources.secrets;
        find_secrets(taken, &mut Vec::new(), is_secret, &mut |place| {
            secrets.insert(place);
        });
    }
}

/// Tells where the scalars are that a secret key holds, however they are nested.
fn find_secrets<'n>(
    node: &'n Node,
    path: &mut Vec<&'n str>,
    is_secret: &dyn Fn(&[&str], &str) -> bool,
    found: &mut dyn FnMut(Place),
) {
    match &node.value {
        Value::Scalar(_) => {}
        Value::List(items) => {
            for item in items {
                path.push("0");
                find_secrets(item, path, is_secret, found);
                path.pop();
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                match is_secret(path, &entry.key) {
                    true => all_scalars(&entry.value, found),
                    false => {
                        path.push(&entry.key);
                        find_secrets(&entry.value, path, is_secret, found);
                        path.pop();
                    }
                }
            }
        }
    }
}

fn all_scalars(node: &Node, found: &mut dyn FnMut(Place)) {
    match &node.value {
        Value::Scalar(_) => found(node.place),
        Value::List(items) => items.iter().for_each(|item| all_scalars(item, found)),
        Value::Map(entries) => entries.iter().for_each(|entry| all_scalars(&entry.value, found)),
    }
}

fn parse_one(input: &Input, sources: &mut Sources, nodes: &mut usize) -> Result<Option<Node>, Vec<Problem>> {
    let file = u32::try_from(sources.files.len()).unwrap_or(u32::MAX);
    if input.bytes.len() > FILE_BYTES_MAX {
        sources.add(&input.path, "");
        let message = format!("the file has {} bytes, more than {FILE_BYTES_MAX}", input.bytes.len());
        return Err(vec![Problem::at(Place { file, line: 1, column: 1 }, message)]);
    }
    let bytes = input.bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&input.bytes);
    let text = match check_text(bytes, file) {
        Ok(text) => text,
        Err(problem) => {
            sources.add(&input.path, "");
            return Err(vec![problem]);
        }
    };
    match input.format {
        // A carriage return alone ends a line, too (YAML 1.2 section 5.4), and places are counted so.
        Format::Yaml if text.contains('\r') => {
            sources.add(&input.path, &text.replace("\r\n", "\n").replace('\r', "\n"))
        }
        Format::Yaml | Format::Json | Format::Toml => sources.add(&input.path, text),
    };
    let mut budget = Budget { nodes: *nodes, expanded: 0 };
    let root = match input.format {
        Format::Yaml => yaml::parse(text, file, &mut budget).map_err(|p| vec![p])?,
        Format::Json => json::parse(text, file, &mut budget).map_err(|p| vec![p])?,
        Format::Toml => toml::parse(text, file, &mut budget)?,
    };
    *nodes = budget.nodes;
    match root {
        Some(root) if root.is_null() => Ok(None),
        None => Ok(None),
        Some(root @ Node { value: Value::Map(_), .. }) => Ok(Some(root)),
        Some(other) => {
            let what = describe(&other);
            let message = format!("expected a map of keys such as `monitors:` at the top, got {what}");
            Err(vec![Problem::at(other.place, message)])
        }
    }
}

/// Text is UTF-8 without NUL; the first byte that breaks this is named.
fn check_text(bytes: &[u8], file: u32) -> Result<&str, Problem> {
    let (valid, bad) = match std::str::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(e) => {
            let (good, rest) = bytes.split_at(e.valid_up_to());
            (std::str::from_utf8(good).unwrap_or(""), rest.first().copied())
        }
    };
    if let Some(at) = valid.find('\0') {
        let message = format!("a NUL byte at offset {at}; the file must be text");
        return Err(Problem::at(place_of(valid, at, file), message));
    }
    match bad {
        None => Ok(valid),
        Some(byte) => {
            let at = valid.len();
            let message = format!("byte 0x{byte:02x} at offset {at} is not UTF-8; save the file as UTF-8");
            Err(Problem::at(place_of(valid, at, file), message))
        }
    }
}

/// Line and column of a byte offset.
fn place_of(text: &str, offset: usize, file: u32) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    Place { file, line: small(line), column: small(column) }
}

fn small(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// What a node is, in words, for "expected ..., got ...".
fn describe(node: &Node) -> String {
    match &node.value {
        Value::Scalar(scalar) if scalar.is_null() => "nothing".to_owned(),
        Value::Scalar(scalar) => format!("`{}`", shorten(&scalar.text)),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a map".to_owned(),
    }
}

/// A text for a message: one line, not long.
fn shorten(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    let line = text.lines().next().unwrap_or("");
    match line.len() == text.trim_end_matches('\n').len() && line.chars().count() <= SHOWN_MAX {
        true => line.to_owned(),
        false => format!("{}...", line.chars().take(SHOWN_MAX).collect::<String>()),
    }
}

/// What has been spent on nodes so far.
struct Budget {
    nodes: usize,
    /// Nodes that came from aliases, weighted by their text.
    expanded: usize,
}

impl Budget {
    fn spend(&mut self, place: Place) -> Result<(), Problem> {
        self.nodes += 1;
        match self.nodes > NODES_MAX {
            true => Err(Problem::at(place, format!("the configuration has more than {NODES_MAX} values"))),
            false => Ok(()),
        }
    }
}

/// The entries of a map while it is built: finds a key set twice without comparing each with each.
#[derive(Default)]
struct Entries {
    list: Vec<Entry>,
    index: Option<std::collections::HashMap<Box<str>, Place>>,
}

/// Maps of up to this size are searched one by one, which is quicker than hashing.
const SEARCHED_MAX: usize = 16;

impl Entries {
    fn find(&self, key: &str) -> Option<Place> {
        match &self.index {
            Some(index) => index.get(key).copied(),
            None => self.list.iter().find(|entry| &*entry.key == key).map(|entry| entry.place),
        }
    }

    fn push(&mut self, entry: Entry) {
        if let Some(index) = &mut self.index {
            index.insert(entry.key.clone(), entry.place);
        } else if self.list.len() >= SEARCHED_MAX {
            self.index = Some(self.list.iter().chain([&entry]).map(|e| (e.key.clone(), e.place)).collect());
        }
        self.list.push(entry);
    }

    /// Adds an entry unless its key is there already.
    fn add(&mut self, entry: Entry) -> Result<(), Problem> {
        if let Some(first) = self.find(&entry.key) {
            let message = format!("`{}` is set twice here; first in line {}", shorten(&entry.key), first.line);
            return Err(Problem::at(entry.place, message));
        }
        self.push(entry);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
