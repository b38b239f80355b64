//! TOML by the `toml` crate's spanned parser. Numbers and dates keep their spelling from the source.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::{Budget, Entry, NESTING_MAX, Node, Place, Problem, Scalar, Style, Value, small};

pub(super) fn parse(text: &str, file: u32, budget: &mut Budget) -> Result<Option<Node>, Vec<Problem>> {
    let lines = Lines::new(text, file);
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(errors.iter().map(|e| not_toml(e, &lines)).collect());
    }
    let mut convert = Convert { text, lines, budget };
    let span = table.span();
    convert.table(table.into_inner(), span, 0).map(Some).map_err(|p| vec![p])
}

fn not_toml(error: &toml::de::Error, lines: &Lines<'_>) -> Problem {
    let place = lines.place(error.span().map_or(0, |span| span.start));
    Problem::at(place, format!("not TOML: {}", error.message()))
}

/// Characters are counted up to every so many bytes, so that a place far into a long line is found at once.
const COUNTED_EVERY: usize = 256;

/// Turns byte offsets into places by the beginnings of lines.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
    /// Characters before each [`COUNTED_EVERY`]th byte.
    counted: Vec<usize>,
    file: u32,
}

impl<'t> Lines<'t> {
    fn new(text: &'t str, file: u32) -> Lines<'t> {
        let after = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1);
        let mut counted = vec![0];
        for piece in text.as_bytes().chunks(COUNTED_EVERY) {
            counted.push(counted.last().unwrap_or(&0) + characters(piece));
        }
        Lines { text, starts: std::iter::once(0).chain(after).collect(), counted, file }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let column = self.characters_before(offset).saturating_sub(self.characters_before(start)) + 1;
        Place { file: self.file, line: small(line), column: small(column) }
    }

    fn characters_before(&self, offset: usize) -> usize {
        let offset = offset.min(self.text.len());
        let full = offset / COUNTED_EVERY;
        let rest = self.text.as_bytes().get(full * COUNTED_EVERY..offset).unwrap_or_default();
        self.counted.get(full).copied().unwrap_or(0) + characters(rest)
    }
}

/// Characters that begin in these bytes of UTF-8.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

struct Convert<'t, 'b> {
    text: &'t str,
    lines: Lines<'t>,
    budget: &'b mut Budget,
}

impl Convert<'_, '_> {
    fn node(&mut self, value: DeValue<'_>, span: Range<usize>, depth: usize) -> Result<Node, Problem> {
        let place = self.lines.place(span.start);
        if depth > NESTING_MAX {
            return Err(Problem::at(place, format!("lists and maps are nested more than {NESTING_MAX} deep")));
        }
        let value = match value {
            DeValue::Table(table) => return self.table(table, span, depth),
            DeValue::Array(array) => {
                let mut items = Vec::with_capacity(array.len());
                for item in array {
                    let span = item.span();
                    items.push(self.node(item.into_inner(), span, depth + 1)?);
                }
                Value::List(items)
            }
            DeValue::String(text) => Value::Scalar(Scalar { text: Box::from(&*text), style: Style::Quoted }),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
                let text = Box::from(self.text.get(span).unwrap_or(""));
                Value::Scalar(Scalar { text, style: Style::Plain })
            }
        };
        self.budget.spend(place)?;
        Ok(Node { place, value })
    }

    fn table(&mut self, table: DeTable<'_>, span: Range<usize>, depth: usize) -> Result<Node, Problem> {
        let place = self.lines.place(span.start);
        self.budget.spend(place)?;
        let mut pairs: Vec<_> = table.into_iter().collect();
        // The parser sorts keys by name; what is shown and merged goes by the order written.
        pairs.sort_by_key(|(key, _)| key.span().start);
        let mut entries = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let place = self.lines.place(key.span().start);
            let span = value.span();
            let value = self.node(value.into_inner(), span, depth + 1)?;
            entries.push(Entry { key: Box::from(&**key.get_ref()), place, value });
        }
        Ok(Node { place, value: Value::Map(entries) })
    }
}
