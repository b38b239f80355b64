//! The effective configuration as text, secrets masked.

use serde_json::{Map, Value};

use watchpost_core::Definition;
use watchpost_wire::config::{Masking, document, settings_document};

use super::Loaded;

/// The whole effective configuration: what is written, with all defaults filled in and secrets as `***`.
#[must_use]
pub fn effective(loaded: &Loaded) -> Value {
    let mut whole = settings_document(&loaded.settings);
    let monitors = loaded.monitors.iter().map(|wanted| shown(&wanted.definition)).collect();
    if let Value::Object(map) = &mut whole {
        map.insert("monitors".to_owned(), Value::Array(monitors));
    }
    whole
}

/// The same as YAML.
#[must_use]
pub fn effective_yaml(loaded: &Loaded) -> String {
    let mut text = String::new();
    write_yaml(&mut text, &effective(loaded), 0);
    text.trim_start_matches('\n').to_owned()
}

/// One monitor's effective document, secrets as `***`.
#[must_use]
pub fn shown(definition: &Definition) -> Value {
    document(definition, Masking::Hidden)
}

/// Writes a value after `key:` or `-`: small things on the same line, others below, indented.
fn write_yaml(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in in_reading_order(map) {
                text.push('\n');
                text.push_str(&" ".repeat(indent));
                write_pair(text, key, value, indent);
            }
            if indent == 0 {
                text.push('\n');
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for item in items {
                text.push('\n');
                text.push_str(&" ".repeat(indent));
                text.push('-');
                write_item(text, item, indent + 2);
            }
        }
        other => {
            text.push(' ');
            write_flow(text, other);
        }
    }
}

fn write_pair(text: &mut String, key: &str, value: &Value, indent: usize) {
    text.push_str(&scalar(key));
    text.push(':');
    write_yaml(text, value, indent + 2);
}

/// The first key of a map in a list stands behind the dash.
fn write_item(text: &mut String, item: &Value, indent: usize) {
    let map = match item {
        Value::Object(map) if !map.is_empty() => map,
        other => return write_yaml(text, other, indent),
    };
    for (i, (key, value)) in in_reading_order(map).into_iter().enumerate() {
        match i {
            0 => text.push(' '),
            _ => {
                text.push('\n');
                text.push_str(&" ".repeat(indent));
            }
        }
        write_pair(text, key, value, indent);
    }
}

fn write_flow(text: &mut String, value: &Value) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                text.push_str(if i > 0 { ", " } else { "" });
                write_flow(text, item);
            }
            text.push(']');
        }
        Value::String(word) => text.push_str(&scalar(word)),
        other => text.push_str(&quoted(other)),
    }
}

/// JSON as YAML reads alike, which wants more characters escaped (YAML 1.2 section 5.1).
fn quoted(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                text.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => text.push(c),
        }
    }
    text
}

/// A text bare where that is safe beyond doubt, else quoted as JSON, which YAML reads alike.
fn scalar(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    let begins = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let meaning = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&&*word.to_ascii_lowercase());
    match begins && !meaning && word.chars().all(plain) || is_quantity(word) {
        true => word.to_owned(),
        false => quoted(&Value::from(word)),
    }
}

/// A duration or size, such as `1h30m` or `2GiB`: no number ends in its last letters, but for hexadecimal ones.
fn is_quantity(word: &str) -> bool {
    let digits = word.starts_with(|c: char| c.is_ascii_digit());
    digits && word.ends_with(['s', 'm', 'h', 'd', 'B']) && word.chars().all(|c| c.is_ascii_alphanumeric() && c != 'x')
}

fn in_reading_order(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    const FIRST: [&str; 5] = ["server", "id", "name", "group", "tags"];
    const LAST: &str = "monitors";
    let rank = |key: &str| match FIRST.iter().position(|first| *first == key) {
        Some(rank) => rank,
        None if key == LAST => FIRST.len() + 1,
        None => FIRST.len(),
    };
    let mut pairs: Vec<_> = map.iter().collect();
    pairs.sort_by_key(|(key, _)| rank(key));
    pairs
}
