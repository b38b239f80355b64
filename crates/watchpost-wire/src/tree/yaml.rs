//! YAML 1.2 from parser events: anchors, aliases and merge keys are resolved here, within a budget.

use std::collections::HashMap;

use granit_parser::{Event, Marker, Options, Parser, ScalarStyle, Span, Tag};

use super::{Budget, Entries, Entry, NESTING_MAX, Node, Place, Problem, Scalar, Style, Value, small};

/// What aliases may always expand to, in nodes.
const EXPANSION_FREE: usize = 10_000;
/// What aliases may expand to beyond that, for each node that is written out: generous for shared defaults, far too
/// little for a bomb.
const EXPANSION_PER_NODE: usize = 20;
/// So many bytes of text weigh as much as one node.
const BYTES_PER_NODE: usize = 32;

pub(super) fn parse(text: &str, file: u32, budget: &mut Budget) -> Result<Option<Node>, Problem> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = NESTING_MAX;
    options.block_nesting_limit = NESTING_MAX;
    let mut builder = Builder { file, budget, stack: Vec::new(), anchors: HashMap::new(), documents: 0, root: None };
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|e| {
            let message = format!("not YAML: {}", e.info());
            Problem::at(builder.place(*e.marker()), message)
        })?;
        builder.event(event, span)?;
    }
    Ok(builder.root)
}

struct Builder<'b> {
    file: u32,
    budget: &'b mut Budget,
    stack: Vec<Open>,
    anchors: HashMap<usize, Anchor>,
    documents: usize,
    root: Option<Node>,
}

/// A list or map that is being read.
struct Open {
    place: Place,
    anchor: usize,
    /// Nesting of what is in it so far.
    height: usize,
    /// What it weighs so far.
    cost: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map { entries: Entries, key: Option<(Box<str>, bool, Place)>, merges: Vec<Node> },
}

/// A node that can be repeated.
struct Anchor {
    node: Node,
    cost: usize,
    height: usize,
}

impl Builder<'_> {
    fn place(&self, mark: Marker) -> Place {
        Place { file: self.file, line: small(mark.line().max(1)), column: small(mark.col() + 1) }
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let place = self.place(span.start);
        let tagged = span.tag_start().map_or(place, |mark| self.place(mark));
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                match self.documents {
                    0 | 1 => Ok(()),
                    _ => Err(Problem::at(place, "a second document in one file; put it into a file of its own".into())),
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let style = scalar_style(style, tag.as_deref(), tagged)?;
                let cost = 1 + text.len() / BYTES_PER_NODE;
                self.budget.spend(place)?;
                let scalar = Scalar { text: Box::from(&*text), style };
                self.close(Node { place, value: Value::Scalar(scalar) }, anchor, (cost, 0))
            }
            Event::SequenceStart(_, anchor, tag) => {
                collection_tag(tag.as_deref(), "seq", tagged)?;
                self.open(place, anchor, OpenKind::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                collection_tag(tag.as_deref(), "map", tagged)?;
                let kind = OpenKind::Map { entries: Entries::default(), key: None, merges: Vec::new() };
                self.open(place, anchor, kind)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(id) => self.alias(id, place),
            Event::UnresolvedAlias(name) => {
                Err(Problem::at(place, format!("there is no anchor `&{name}` before this")))
            }
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            // Anchor names are not asked for; comments are switched off.
            _ => Ok(()),
        }
    }

    fn open(&mut self, place: Place, anchor: usize, kind: OpenKind) -> Result<(), Problem> {
        self.budget.spend(place)?;
        if self.stack.len() >= NESTING_MAX {
            return Err(too_deep(place));
        }
        self.stack.push(Open { place, anchor, height: 0, cost: 1, kind });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Problem> {
        let Some(open) = self.stack.pop() else { return Ok(()) };
        let value = match open.kind {
            OpenKind::List(items) => Value::List(items),
            OpenKind::Map { mut entries, merges, .. } => {
                for merged in merges {
                    merge_into(&mut entries, merged)?;
                }
                Value::Map(entries.list)
            }
        };
        self.close(Node { place: open.place, value }, open.anchor, (open.cost, open.height + 1))
    }

    /// A node is complete: it goes into what is open around it.
    fn close(&mut self, node: Node, anchor: usize, (cost, height): (usize, usize)) -> Result<(), Problem> {
        if anchor != 0 {
            self.expand(cost, node.place)?;
            self.anchors.insert(anchor, Anchor { node: node.clone(), cost, height });
        }
        if self.stack.len() + height > NESTING_MAX {
            return Err(too_deep(node.place));
        }
        let Some(open) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.cost += cost;
        open.height = open.height.max(height);
        match &mut open.kind {
            OpenKind::List(items) => items.push(node),
            OpenKind::Map { entries, key, merges } => match key.take() {
                None => *key = Some(as_key(node)?),
                Some((name, true, place)) if &*name == "<<" => match merges.is_empty() {
                    true => *merges = merge_sources(node)?,
                    false => return Err(Problem::at(place, "`<<` is set twice here; use one list of aliases".into())),
                },
                Some((name, _, place)) => entries.add(Entry { key: name, place, value: node })?,
            },
        }
        Ok(())
    }

    fn alias(&mut self, id: usize, place: Place) -> Result<(), Problem> {
        let Some(anchor) = self.anchors.get(&id) else {
            return Err(Problem::at(place, "an alias inside of what it repeats".into()));
        };
        let (cost, height) = (anchor.cost, anchor.height);
        self.expand(cost, place)?;
        let Some(anchor) = self.anchors.get(&id) else { return Ok(()) };
        let node = anchor.node.clone();
        self.close(node, 0, (cost, height))
    }

    fn expand(&mut self, cost: usize, place: Place) -> Result<(), Problem> {
        self.budget.expanded += cost;
        let allowed = EXPANSION_FREE + self.budget.nodes.saturating_mul(EXPANSION_PER_NODE);
        match self.budget.expanded > allowed {
            true => Err(Problem::at(place, "aliases repeat too much here; write it out or share less".into())),
            false => Ok(()),
        }
    }
}

fn scalar_style(style: ScalarStyle, tag: Option<&Tag>, place: Place) -> Result<Style, Problem> {
    let bare = match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted | ScalarStyle::Literal | ScalarStyle::Folded => {
            Style::Quoted
        }
    };
    match tag {
        None => Ok(bare),
        Some(tag) if tag.handle().is_empty() && tag.suffix() == "!" => Ok(Style::Quoted),
        Some(tag) => match tag.core_suffix() {
            Some("str") => Ok(Style::Quoted),
            Some("int" | "float" | "bool" | "null") => Ok(Style::Plain),
            _ => Err(foreign_tag(tag, place)),
        },
    }
}

fn too_deep(place: Place) -> Problem {
    Problem::at(place, format!("lists and maps are nested more than {NESTING_MAX} deep"))
}

fn foreign_tag(tag: &Tag, place: Place) -> Problem {
    Problem::at(place, format!("the tag `{}` has no meaning here; remove it", super::shorten(&tag.original())))
}

fn collection_tag(tag: Option<&Tag>, expected: &str, place: Place) -> Result<(), Problem> {
    match tag {
        Some(tag) if tag.core_suffix() != Some(expected) => Err(foreign_tag(tag, place)),
        Some(_) | None => Ok(()),
    }
}

/// A key's text, and whether it is written bare.
fn as_key(node: Node) -> Result<(Box<str>, bool, Place), Problem> {
    match node.value {
        Value::Scalar(scalar) if scalar.text.is_empty() => Err(Problem::at(node.place, "a key is missing here".into())),
        Value::Scalar(scalar) => Ok((scalar.text, scalar.style == Style::Plain, node.place)),
        Value::List(_) | Value::Map(_) => Err(Problem::at(
            node.place,
            "a key must be text, not a list or a map; quote it if it begins with { or [".into(),
        )),
    }
}

/// The maps behind `<<` (YAML 1.1 merge type): one map or a list of maps.
fn merge_sources(node: Node) -> Result<Vec<Node>, Problem> {
    let place = node.place;
    let sources = match node.value {
        Value::Map(_) => vec![node],
        Value::List(items) => items,
        Value::Scalar(_) => Vec::new(),
    };
    match !sources.is_empty() && sources.iter().all(|source| matches!(source.value, Value::Map(_))) {
        true => Ok(sources),
        false => Err(Problem::at(place, "`<<` needs an alias of a map, such as `<<: *defaults`".into())),
    }
}

/// Adds what is not there yet: keys written out win, then earlier sources.
fn merge_into(entries: &mut Entries, source: Node) -> Result<(), Problem> {
    if let Value::Map(merged) = source.value {
        for entry in merged {
            if entries.find(&entry.key).is_none() {
                entries.add(entry)?;
            }
        }
    }
    Ok(())
}
