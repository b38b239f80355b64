//! JSON (RFC 8259). `serde_json` decides whether a text is JSON; the walk below then only notes where things are.

use super::{Budget, Entries, Entry, NESTING_MAX, Node, Place, Problem, Scalar, Style, Value, small};

pub(super) fn parse(text: &str, file: u32, budget: &mut Budget) -> Result<Option<Node>, Problem> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    if let Err(e) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
        let place = place_of(&e, text, file);
        let message = e.to_string();
        let said = message.split(" at line ").next().unwrap_or(&message);
        return Err(Problem::at(place, format!("not JSON: {said}")));
    }
    let mut walk = Walk { text, at: 0, line: 1, column: 1, file, budget };
    walk.value(0).map(Some)
}

/// Where `serde_json` stopped; it counts columns in bytes.
fn place_of(error: &serde_json::Error, text: &str, file: u32) -> Place {
    let line = text.split('\n').nth(error.line().saturating_sub(1)).unwrap_or("");
    let bytes = error.column().saturating_sub(1);
    let column = line.char_indices().take_while(|(at, _)| *at < bytes).count() + 1;
    Place { file, line: small(error.line().max(1)), column: small(column) }
}

struct Walk<'t, 'b> {
    text: &'t str,
    at: usize,
    line: usize,
    column: usize,
    file: u32,
    budget: &'b mut Budget,
}

impl<'t> Walk<'t, '_> {
    fn place(&self) -> Place {
        Place { file: self.file, line: small(self.line), column: small(self.column) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Goes on by a piece of the text.
    fn take(&mut self, bytes: usize) -> &'t str {
        let piece = self.text.get(self.at..self.at + bytes).unwrap_or("");
        self.at += bytes;
        for c in piece.chars() {
            match c {
                '\n' => (self.line, self.column) = (self.line + 1, 1),
                _ => self.column += 1,
            }
        }
        piece
    }

    /// Skips blanks and the separators, which are known to be where they belong.
    fn skip(&mut self, separators: &[u8]) {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace() || separators.contains(&b)) {
            self.take(1);
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, Problem> {
        self.skip(b"");
        let place = self.place();
        self.budget.spend(place)?;
        if depth > NESTING_MAX {
            return Err(Problem::at(place, format!("lists and maps are nested more than {NESTING_MAX} deep")));
        }
        let value = match self.peek() {
            Some(b'{') => self.map(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Value::Scalar(Scalar { text: self.string()?.into(), style: Style::Quoted }),
            _ => {
                let rest = &self.text[self.at..];
                let end = rest.find(|c: char| c.is_ascii_whitespace() || ",]}".contains(c)).unwrap_or(rest.len());
                Value::Scalar(Scalar { text: self.take(end.max(1)).into(), style: Style::Plain })
            }
        };
        Ok(Node { place, value })
    }

    fn map(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut entries = Entries::default();
        self.take(1);
        loop {
            self.skip(b",");
            if self.peek() != Some(b'"') {
                self.take(1);
                return Ok(Value::Map(entries.list));
            }
            let place = self.place();
            let key = self.string()?.into();
            self.skip(b":");
            let value = self.value(depth + 1)?;
            entries.add(Entry { key, place, value })?;
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut items = Vec::new();
        self.take(1);
        loop {
            self.skip(b",");
            match self.peek() {
                Some(b']') | None => {
                    self.take(1);
                    return Ok(Value::List(items));
                }
                Some(_) => items.push(self.value(depth + 1)?),
            }
        }
    }

    /// A text. `serde_json` has looked at it without reading it, so half a surrogate pair is found only here.
    fn string(&mut self) -> Result<String, Problem> {
        let place = self.place();
        let bytes = self.text.as_bytes();
        let mut end = self.at + 1;
        while end < bytes.len() && bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        let literal = self.take(end + 1 - self.at);
        serde_json::from_str(literal).map_err(|_| {
            Problem::at(place, "not JSON: half of a character, such as \\ud83d without its other half".to_owned())
        })
    }
}
