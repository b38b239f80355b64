//! The difference between the monitors that are and those that are wanted: what an apply would do.
//!
//! A rename is not a removal and an addition: a monitor whose id changed but whose target (or, failing that, whose name)
//! did not is the same monitor, and keeps its history.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::monitor::{Definition, MonitorId, MonitorKey};

/// A document as plans compare it and the store keeps it: the text of a JSON value with its keys in order, so that equal
/// documents are equal texts. A tree of 100,000 documents would take hundreds of megabytes, their texts take tens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document(Arc<str>);

impl Document {
    /// The document of a value.
    #[must_use]
    pub fn new(value: &Value) -> Document {
        Document(value.to_string().into())
    }

    /// Takes a text that [`Document::as_text`] gave.
    #[must_use]
    pub fn from_text(text: &str) -> Document {
        Document(text.into())
    }

    /// The text, for keeping.
    #[must_use]
    pub fn as_text(&self) -> &str {
        &self.0
    }

    /// The value; null when the text is no JSON.
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

/// A monitor as the store knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// What its history hangs on.
    pub key: MonitorKey,
    /// Its id.
    pub id: MonitorId,
    /// Its name.
    pub name: String,
    /// Its kind's word.
    pub kind: String,
    /// Its target as shown.
    pub target: String,
    /// Its whole document with defaults filled in and secrets replaced by fingerprints: comparable, not usable.
    pub document: Document,
}

/// A monitor as it is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The parsed definition.
    pub definition: Arc<Definition>,
    /// The same form as [`Known::document`].
    pub document: Document,
}

/// What an apply would do. Each wanted monitor is in exactly one of `added`, `changed` and `unchanged`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// New monitors.
    pub added: Vec<Wanted>,
    /// Monitors that change.
    pub changed: Vec<Changed>,
    /// Monitors that go; their history stays.
    pub removed: Vec<Known>,
    /// Monitors of which nothing changes but perhaps the line they are written on.
    pub unchanged: Vec<(MonitorKey, Wanted)>,
}

/// A monitor that changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// As it is.
    pub from: Known,
    /// As it is wanted.
    pub to: Wanted,
    /// The top-level keys of the document that differ, in alphabetical order.
    pub differences: Vec<Difference>,
}

/// A key whose value differs; absent on a side where it is not set.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The key.
    pub key: String,
    /// Its value now.
    pub from: Option<Value>,
    /// Its value wanted.
    pub to: Option<Value>,
}

impl Changed {
    /// Its id changes.
    #[must_use]
    pub fn renamed(&self) -> bool {
        self.from.id != self.to.definition.id
    }

    /// It checks something of another kind: its open incident is closed.
    #[must_use]
    pub fn rekinded(&self) -> bool {
        self.from.kind != self.to.definition.kind().as_str()
    }
}

impl Plan {
    /// Nothing would be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

/// Compares. `wanted` has unique ids (the document's validation sees to that).
#[must_use]
pub fn plan(known: Vec<Known>, wanted: Vec<Wanted>) -> Plan {
    let mut planner = Planner::new(wanted);
    known.into_iter().for_each(|known| planner.meet(known));
    planner.finish()
}

/// Compares as the known ones come, so that of 100,000 that did not change none need be held.
#[derive(Debug)]
pub struct Planner {
    plan: Plan,
    /// Where each of the plan's changed ones stands among the wanted, and each of its unchanged ones.
    changed: Vec<usize>,
    unchanged: Vec<usize>,
    /// The wanted ones that have not met a known one, by id, each with its place.
    wanted: BTreeMap<MonitorId, (usize, Wanted)>,
    /// The known ones whose id is not wanted.
    left: BTreeMap<MonitorId, Known>,
}

impl Planner {
    /// Begins with what is wanted; the ids are unique.
    #[must_use]
    pub fn new(wanted: Vec<Wanted>) -> Planner {
        let by_id = |(place, wanted): (usize, Wanted)| (wanted.definition.id.clone(), (place, wanted));
        let wanted = wanted.into_iter().enumerate().map(by_id).collect();
        Planner { plan: Plan::default(), changed: Vec::new(), unchanged: Vec::new(), wanted, left: BTreeMap::new() }
    }

    /// Takes the next known one.
    pub fn meet(&mut self, known: Known) {
        match self.wanted.remove(&known.id) {
            Some((place, wanted)) => {
                let before = self.plan.changed.len();
                pair(&mut self.plan, known, wanted);
                let list = if self.plan.changed.len() > before { &mut self.changed } else { &mut self.unchanged };
                list.push(place);
            }
            None => drop(self.left.insert(known.id.clone(), known)),
        }
    }

    /// The plan, once all known ones came.
    #[must_use]
    pub fn finish(mut self) -> Plan {
        self.plan.changed = in_order(self.changed, self.plan.changed);
        self.plan.unchanged = in_order(self.unchanged, self.plan.unchanged);
        let mut unmatched: Vec<(usize, Wanted)> = self.wanted.into_values().collect();
        unmatched.sort_unstable_by_key(|(place, _)| *place);
        rest(self.plan, self.left, unmatched.into_iter().map(|(_, wanted)| wanted).collect())
    }
}

fn in_order<T>(places: Vec<usize>, items: Vec<T>) -> Vec<T> {
    let mut placed: Vec<(usize, T)> = places.into_iter().zip(items).collect();
    placed.sort_unstable_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, item)| item).collect()
}

/// Pairs those whose id is on one side only: renamed, added, removed.
fn rest(mut plan: Plan, mut left: BTreeMap<MonitorId, Known>, unmatched: Vec<Wanted>) -> Plan {
    let by_target = match_by(
        &mut plan,
        &mut left,
        unmatched,
        &Mark {
            of_known: |k| (k.kind.clone(), k.target.clone()),
            of_wanted: |d| (d.kind().to_string(), d.spec.target()),
        },
    );
    let by_name = match_by(
        &mut plan,
        &mut left,
        by_target,
        &Mark { of_known: |k| (k.kind.clone(), k.name.clone()), of_wanted: |d| (d.kind().to_string(), d.name.clone()) },
    );
    plan.added = by_name;
    plan.removed = left.into_values().collect();
    plan
}

fn pair(plan: &mut Plan, from: Known, to: Wanted) {
    let differences = differences(&from.document, &to.document);
    if differences.is_empty() && from.id == to.definition.id {
        plan.unchanged.push((from.key, to));
    } else {
        plan.changed.push(Changed { from, to, differences });
    }
}

fn differences(from: &Document, to: &Document) -> Vec<Difference> {
    if from == to {
        return Vec::new();
    }
    let (from, to) = (from.value(), to.value());
    let empty = serde_json::Map::new();
    let (from, to) = (from.as_object().unwrap_or(&empty), to.as_object().unwrap_or(&empty));
    let mut keys: Vec<&String> = from.keys().chain(to.keys()).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter()
        .filter(|key| from.get(*key) != to.get(*key))
        .map(|key| Difference { key: key.clone(), from: from.get(key).cloned(), to: to.get(key).cloned() })
        .collect()
}

/// The trait by which two sides are paired.
struct Mark {
    of_known: fn(&Known) -> (String, String),
    of_wanted: fn(&Definition) -> (String, String),
}

/// Pairs what is left on both sides by a mark that only one on each side bears; returns what found no partner.
fn match_by(
    plan: &mut Plan,
    left: &mut BTreeMap<MonitorId, Known>,
    unmatched: Vec<Wanted>,
    mark: &Mark,
) -> Vec<Wanted> {
    let mut have: BTreeMap<(String, String), Vec<MonitorId>> = BTreeMap::new();
    for known in left.values() {
        have.entry((mark.of_known)(known)).or_default().push(known.id.clone());
    }
    let mut want: BTreeMap<(String, String), usize> = BTreeMap::new();
    for wanted in &unmatched {
        *want.entry((mark.of_wanted)(&wanted.definition)).or_default() += 1;
    }
    let mut rest = Vec::new();
    for wanted in unmatched {
        let bears = (mark.of_wanted)(&wanted.definition);
        let partner = match (have.get(&bears).map(Vec::as_slice), want.get(&bears)) {
            (Some([only]), Some(1)) => left.remove(only),
            (_, _) => None,
        };
        match partner {
            Some(known) => pair(plan, known, wanted),
            None => rest.push(wanted),
        }
    }
    rest
}

#[cfg(test)]
mod tests;
