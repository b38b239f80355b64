//! The examples, the reference page and the JSON Schema say the same.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use watchpost_wire::config::{is_secret, read, schema};
use watchpost_wire::tree::{Format, Input, Reader, SecretFiles, Shapes, Tree};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All example files, those of a folder together.
fn examples() -> Vec<Vec<PathBuf>> {
    let list = |folder: &Path| {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| Format::of_path(path).is_some());
        paths.sort();
        paths
    };
    let examples = repository().join("examples");
    let mut all: Vec<Vec<PathBuf>> = list(&examples).into_iter().map(|path| vec![path]).collect();
    all.push(list(&examples.join("directory")));
    assert!(all.len() >= 8, "{all:?}");
    all
}

fn parse(files: &[PathBuf]) -> Tree {
    let input = |path: &PathBuf| Input {
        path: path.display().to_string(),
        format: Format::of_path(path).unwrap(),
        bytes: std::fs::read(path).unwrap(),
    };
    let inputs: Vec<Input> = files.iter().map(input).collect();
    Tree::parse(&inputs).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn every_example_loads() {
    for files in examples() {
        let mut tree = parse(&files);
        tree.substitute(&|_| None).unwrap_or_else(|problems| panic!("{problems}"));
        let secrets = SecretFiles { is_secret: &is_secret, read: &|path, _| std::fs::read(path) };
        tree.read_secret_files(secrets).unwrap_or_else(|problems| panic!("{problems}"));
        let loaded = read(tree).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(!loaded.monitors.is_empty(), "{files:?}");
    }
}

#[test]
fn examples_go_nowhere_but_loopback_and_reserved_names() {
    for files in examples() {
        let mut tree = parse(&files);
        tree.substitute(&|_| None).unwrap();
        let secrets = SecretFiles { is_secret: &is_secret, read: &|path, _| std::fs::read(path) };
        tree.read_secret_files(secrets).unwrap();
        for monitor in read(tree).unwrap().monitors {
            let target = monitor.spec.target();
            let reserved = ["127.0.0.1", "[::1]", "localhost", ".invalid", "example.org"];
            assert!(reserved.iter().any(|name| target.contains(name)), "{target}");
        }
    }
}

#[test]
fn the_schema_accepts_every_example() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for files in examples() {
        let tree = parse(&files);
        let reader = Reader::new(Shapes::default());
        let value: Value = reader.read(&tree.root).unwrap();
        let said: Vec<String> = validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(said.is_empty(), "{files:?}: {said:#?}");
    }
}

/// The keys that a schema knows, by name.
fn keys(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::Object(properties)) = map.get("properties") {
                found.extend(properties.keys().cloned());
            }
            map.values().for_each(|value| keys(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

#[test]
fn the_reference_page_has_every_key() {
    let page = std::fs::read_to_string(repository().join("docs/reference/configuration.md")).unwrap();
    let mut known = BTreeSet::new();
    keys(&schema(), &mut known);
    assert!(known.len() > 70, "{known:?}");
    let said = |key: &str| {
        let words = page.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        words.into_iter().any(|word| word == key)
    };
    let missing: Vec<&String> = known.iter().filter(|key| !said(key)).collect();
    assert!(missing.is_empty(), "not in docs/reference/configuration.md: {missing:?}");
}

#[test]
fn every_example_in_the_reference_page_is_right() {
    let page = std::fs::read_to_string(repository().join("docs/reference/configuration.md")).unwrap();
    let blocks: Vec<&str> = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 8, "{blocks:?}");
    let top = ["server:", "log:", "storage:", "network:", "alerting:", "defaults:", "monitors:"];
    for block in blocks {
        let whole = match top.iter().any(|key| block.starts_with(key)) {
            true => block.to_owned(),
            false => {
                let kind = if block.starts_with("expect:") { "    http: https://example.org\n" } else { "" };
                format!("monitors:\n  -\n{kind}{}", block.lines().map(|l| format!("    {l}\n")).collect::<String>())
            }
        };
        let mut tree = Tree::parse_text("configuration.md", Format::Yaml, &whole).unwrap_or_else(|p| panic!("{p}"));
        let secrets = SecretFiles { is_secret: &is_secret, read: &|_, _| Ok(b"secret".to_vec()) };
        tree.read_secret_files(secrets).unwrap_or_else(|p| panic!("{p}"));
        read(tree).unwrap_or_else(|problems| panic!("{problems}"));
    }
}
