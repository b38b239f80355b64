//! Several files as one configuration: maps are joined, the lists of things are appended, nothing is set twice.

use super::{Node, Problem, Sources, Value};

/// Lists that each file may add to; they stand at the top of the document.
const APPENDED: [&str; 3] = ["monitors", "maintenance", "status_pages"];

/// Joins `from` into `into`.
pub(super) fn join(into: &mut Node, from: Node, sources: &Sources, problems: &mut Vec<Problem>) {
    join_maps(into, from, true, &mut |problem| problems.push(problem), sources);
}

fn join_maps(into: &mut Node, from: Node, top: bool, report: &mut dyn FnMut(Problem), sources: &Sources) {
    let (Value::Map(entries), Value::Map(added)) = (&mut into.value, from.value) else { return };
    for entry in added {
        let Some(there) = entries.iter_mut().find(|have| have.key == entry.key) else {
            entries.push(entry);
            continue;
        };
        match (&mut there.value.value, entry.value.value) {
            (Value::List(items), Value::List(more)) if top && APPENDED.contains(&&*entry.key) => items.extend(more),
            (Value::Map(_), value @ Value::Map(_)) => {
                let from = Node { place: entry.value.place, value };
                join_maps(&mut there.value, from, false, report, sources);
            }
            // A section whose keys are all commented out says nothing.
            (_, Value::Scalar(nothing)) if nothing.is_null() => {}
            (Value::Scalar(nothing), value) if nothing.is_null() => {
                there.place = entry.place;
                there.value = Node { place: entry.value.place, value };
            }
            (_, _) => {
                let first = sources.show(there.place);
                report(Problem::at(entry.place, format!("`{}` is set twice; first at {first}", entry.key)));
            }
        }
    }
}
