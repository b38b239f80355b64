use expect_test::{Expect, expect};
use serde_json::json;

use super::*;
use crate::fixture::{definition, tcp};

/// Monitors of one side, written `id name target[ key=value...]`; keys of the known ones are their places from 1.
fn known(text: &str) -> Vec<Known> {
    let parse = |(key, line): (u32, &str)| {
        let (definition, document) = entry(line);
        Known {
            key: MonitorKey(key),
            id: definition.id.clone(),
            name: definition.name.clone(),
            kind: definition.kind().to_string(),
            target: definition.spec.target(),
            document: Document::new(&document),
        }
    };
    (1..).zip(lines(text)).map(parse).collect()
}

fn wanted(text: &str) -> Vec<Wanted> {
    let parse = |line: &str| {
        let (definition, document) = entry(line);
        Wanted { definition: Arc::new(definition), document: Document::new(&document) }
    };
    lines(text).map(parse).collect()
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('|').map(str::trim).filter(|line| !line.is_empty())
}

fn entry(line: &str) -> (Definition, Value) {
    let mut words = line.split(' ');
    let (id, name, target) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
    let mut document = json!({ "name": name, "tcp": target });
    for word in words {
        let (key, value) = word.split_once('=').unwrap();
        document[key] = json!(value);
    }
    let spec = match target.strip_prefix("icmp:") {
        Some(host) => crate::Spec::Icmp(crate::spec::IcmpSpec {
            host: host.to_owned(),
            count: 1,
            size: 56,
            ip: crate::spec::IpVersion::Any,
        }),
        None => tcp(target),
    };
    let definition =
        Definition { id: MonitorId::new(id), name: name.to_owned(), ..definition(spec, crate::Expect::default()) };
    (definition, document)
}

/// One line per monitor: `+ id`, `- id`, `~ old -> new: keys`, `= id`.
#[expect(clippy::needless_pass_by_value, reason = "an expect! is written in place")]
fn check(have: &str, want: &str, expected: Expect) {
    let (have, want) = (known(have), wanted(want));
    let count = want.len();
    let plan = plan(have, want);
    assert_eq!(plan.added.len() + plan.changed.len() + plan.unchanged.len(), count);
    let mut lines = Vec::new();
    lines.extend(plan.added.iter().map(|w| format!("+ {}", w.definition.id)));
    lines.extend(plan.removed.iter().map(|k| format!("- {} ({})", k.id, k.key.0)));
    for changed in &plan.changed {
        let keys: Vec<String> = changed.differences.iter().map(|d| d.key.clone()).collect();
        let notes = [(changed.renamed(), " renamed"), (changed.rekinded(), " rekinded")];
        let notes: String = notes.iter().filter(|(is, _)| *is).map(|(_, note)| *note).collect();
        lines.push(format!(
            "~ {} ({}) -> {}: {}{notes}",
            changed.from.id,
            changed.from.key.0,
            changed.to.definition.id,
            keys.join(" ")
        ));
    }
    lines.extend(plan.unchanged.iter().map(|(key, w)| format!("= {} ({})", w.definition.id, key.0)));
    lines.push(format!("empty: {}", plan.is_empty()));
    expected.assert_eq(&(lines.join("\n") + "\n"));
}

#[test]
fn the_same_is_nothing_to_do() {
    check(
        "a A h:1 | b B h:2",
        "b B h:2 | a A h:1",
        expect![[r#"
        = b (2)
        = a (1)
        empty: true
    "#]],
    );
}

#[test]
fn what_differs_is_named() {
    check(
        "a A h:1 interval=30s",
        "a A2 h:1 timeout=5s",
        expect![[r#"
        ~ a (1) -> a: interval name timeout
        empty: false
    "#]],
    );
}

#[test]
fn a_rename_keeps_the_monitor_by_its_target_or_else_by_its_name() {
    check(
        "a A h:1 | b B h:2 | c C h:3",
        "a2 A2 h:1 | b2 B h:9 | d D h:8",
        expect![[r#"
        + d
        - c (3)
        ~ a (1) -> a2: name renamed
        ~ b (2) -> b2: tcp renamed
        empty: false
    "#]],
    );
}

#[test]
fn monitors_that_swap_their_targets_keep_their_ids() {
    check(
        "a A h:1 | b B h:2",
        "a A h:2 | b B h:1",
        expect![[r#"
        ~ a (1) -> a: tcp
        ~ b (2) -> b: tcp
        empty: false
    "#]],
    );
}

#[test]
fn monitors_that_swap_their_ids_are_those_of_the_ids() {
    check(
        "a A h:1 | b B h:2",
        "b A h:1 | a B h:2",
        expect![[r#"
        ~ b (2) -> b: name tcp
        ~ a (1) -> a: name tcp
        empty: false
    "#]],
    );
}

#[test]
fn an_id_that_is_taken_over_leaves_the_renamed_one_without_its_own() {
    // `a` is still `a`, though it looks elsewhere now; `b` looks where `a` looked and is new.
    check(
        "a A h:1",
        "a A h:2 | b B h:1",
        expect![[r#"
        + b
        ~ a (1) -> a: tcp
        empty: false
    "#]],
    );
}

#[test]
fn renames_that_could_be_either_are_not_guessed() {
    check(
        "a X h:1 | b X h:1",
        "c X h:1 | d X h:1",
        expect![[r#"
        + c
        + d
        - a (1)
        - b (2)
        empty: false
    "#]],
    );
    // Where the name tells them apart it decides.
    check(
        "a A h:1 | b B h:1",
        "c B h:1 | d A h:1",
        expect![[r#"
        ~ b (2) -> c:  renamed
        ~ a (1) -> d:  renamed
        empty: false
    "#]],
    );
}

#[test]
fn another_kind_under_the_same_id_is_the_same_monitor_but_under_another_id_a_new_one() {
    check(
        "a A h:1 | b B h:2",
        "a A icmp:h | c B icmp:h2",
        expect![[r#"
        + c
        - b (2)
        ~ a (1) -> a: tcp rekinded
        empty: false
    "#]],
    );
}

#[test]
fn a_secret_that_changes_is_a_difference_by_its_fingerprint() {
    check(
        "a A h:1 token=sha256:1 | b B h:2 token=sha256:1",
        "a A h:1 token=sha256:2 | b B h:2 token=sha256:1",
        expect![[r#"
        ~ a (1) -> a: token
        = b (2)
        empty: false
    "#]],
    );
}

#[test]
fn a_document_that_is_no_object_differs_in_nothing_that_can_be_named() {
    let document = |value| Document::new(&value);
    assert_eq!(differences(&document(Value::Null), &document(json!({}))), []);
    let gained = differences(&document(json!([1])), &document(json!({ "a": 1 })));
    assert_eq!(gained, [Difference { key: "a".to_owned(), from: None, to: Some(json!(1)) }]);
}
