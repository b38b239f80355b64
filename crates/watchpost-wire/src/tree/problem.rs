//! What is wrong with a document, where, and the line it is in. Lines are shown without secrets: these texts reach the
//! log and the page.

use std::fmt;

use super::{Place, Sources};

/// Problems that are shown; a file with more is broken as a whole.
pub const PROBLEMS_MAX: usize = 50;

/// Characters of a source line that are shown around the place; more would be a minified file.
const LINE_SHOWN_MAX: usize = 120;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where; `None`: the configuration as a whole.
    pub place: Option<Place>,
    /// What, and what to do about it. Never holds a secret.
    pub message: String,
}

impl Problem {
    /// At a place.
    #[must_use]
    pub fn at(place: Place, message: String) -> Problem {
        Problem { place: Some(place), message }
    }
}

/// Everything that is wrong, in the order it is written; at most [`PROBLEMS_MAX`] are kept.
///
/// Displays as `path:line:column: message` with the source line and a caret, one after the other.
#[derive(Clone, Debug)]
pub struct Problems {
    list: Vec<Problem>,
    more: usize,
    sources: Sources,
}

impl Problems {
    /// Sorts by place, drops repetitions and counts what is beyond the limit.
    #[must_use]
    pub fn new(mut list: Vec<Problem>, sources: Sources) -> Problems {
        for problem in &mut list {
            without_controls(&mut problem.message);
        }
        list.sort_by_key(|problem| problem.place.map(|p| (p.file, p.line, p.column)));
        list.dedup();
        let more = list.len().saturating_sub(PROBLEMS_MAX);
        list.truncate(PROBLEMS_MAX);
        Problems { list, more, sources }
    }

    /// A problem with no place in a file.
    #[must_use]
    pub fn general(message: String) -> Problems {
        Problems::new(vec![Problem { place: None, message }], Sources::default())
    }

    /// The problems, in order.
    #[must_use]
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// How many there are beyond [`Problems::list`].
    #[must_use]
    pub fn more(&self) -> usize {
        self.more
    }
}

/// Messages quote what is written, and what is written must not steer the terminal that shows them.
fn without_controls(message: &mut String) {
    let steers = |c: char| c.is_control() && c != '\n';
    if message.contains(steers) {
        let show = |c: char| if steers(c) { c.escape_default().to_string() } else { c.to_string() };
        *message = message.chars().map(show).collect();
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Problems of one line share what hiding in it costs: a minified file is one long line.
        let mut line: Option<(Place, Line)> = None;
        for (i, problem) in self.list.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            let Some(place) = problem.place else {
                f.write_str(&problem.message)?;
                continue;
            };
            write!(f, "{}: {}", self.sources.show(place), problem.message)?;
            let same = |(other, _): &(Place, Line)| (other.file, other.line) == (place.file, place.line);
            if !line.as_ref().is_some_and(same) {
                let text = self.sources.text(place).lines().nth((place.line - 1) as usize);
                line = text.map(|text| (place, Line::new(text, place, &self.sources)));
            }
            if let Some((_, line)) = &line {
                line.write(f, place)?;
            }
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

/// A source line, and which of its characters may belong to a secret: values that are known to be, passwords in URLs, and
/// values of keys that sound like secrets, also misspelt ones, for those are what a message is about.
struct Line {
    chars: Vec<char>,
    hidden: Vec<bool>,
}

impl Line {
    fn new(text: &str, place: Place, sources: &Sources) -> Line {
        let chars: Vec<char> = text.chars().collect();
        let mut hidden = vec![false; chars.len()];
        let begins = |i: &usize| sources.hides(Place { column: super::small(*i + 1), ..place });
        for start in (0..chars.len()).filter(begins) {
            hide_value(&chars, start, &mut hidden);
        }
        hide_url_passwords(&chars, &mut hidden);
        hide_values(&chars, &mut hidden);
        Line { chars, hidden }
    }

    /// Writes what surrounds the place, and a caret below it.
    fn write(&self, f: &mut fmt::Formatter<'_>, place: Place) -> fmt::Result {
        let (masked, caret) = mask(&self.chars, &self.hidden, (place.column - 1) as usize);
        let chars: Vec<char> = masked.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let from = match chars.len() > LINE_SHOWN_MAX {
            true => caret.saturating_sub(LINE_SHOWN_MAX / 2),
            false => 0,
        };
        let shown: String = chars.iter().skip(from).take(LINE_SHOWN_MAX).collect();
        let number = place.line.to_string();
        let margin = " ".repeat(number.len());
        write!(f, "\n{number} | {}\n{margin} | {}^", shown.trim_end(), " ".repeat(caret - from))
    }
}

/// Replaces what is hidden. Returns the line and where the character at `caret` now is.
fn mask(chars: &[char], hidden: &[bool], caret: usize) -> (String, usize) {
    let mut masked = String::with_capacity(chars.len());
    let mut column = 0;
    let mut moved = None;
    let mut i = 0;
    while i < chars.len() {
        if i >= caret && moved.is_none() {
            moved = Some(column);
        }
        if hidden[i] {
            masked.push_str("***");
            let end = (i..chars.len()).find(|j| !hidden[*j]).unwrap_or(chars.len());
            if caret > i && caret < end {
                moved = Some(column);
            }
            column += 3;
            i = end;
        } else {
            masked.push(chars[i]);
            column += 1;
            i += 1;
        }
    }
    (masked, moved.unwrap_or(column))
}

/// `https://user:secret@host`: what is between the colon and the last `@` before the path. A `/`, `?` or `#` in a password
/// ends the host for a parser, which then complains about it; what stands where a port would and is none is hidden, too.
fn hide_url_passwords(chars: &[char], hidden: &mut [bool]) {
    for start in 0..chars.len().saturating_sub(2) {
        if chars[start..start + 3] != [':', '/', '/'] {
            continue;
        }
        let rest = start + 3;
        let ends = |i: &usize| " \t\"'".contains(chars[*i]) && chars[*i - 1] != '\\';
        let end = (rest..chars.len()).find(ends).unwrap_or(chars.len());
        let path = (rest..end).find(|i| "/?#".contains(chars[*i])).unwrap_or(end);
        let Some(colon) = (rest..path).find(|i| chars[*i] == ':') else { continue };
        let is_port = chars[colon + 1..path].iter().all(char::is_ascii_digit);
        let last = |end| (colon..end).rev().find(|i| chars[*i] == '@');
        if let Some(at) = last(path).or_else(|| last(end).filter(|_| !is_port)) {
            hidden[colon + 1..at].fill(true);
        }
    }
}

fn hide_values(chars: &[char], hidden: &mut [bool]) {
    for colon in 0..chars.len() {
        let separates =
            chars[colon] == '=' || chars[colon] == ':' && chars.get(colon + 1).is_none_or(|c| " \t\"'".contains(*c));
        if !separates || hidden[colon] {
            continue;
        }
        let mut key: String = chars[..colon]
            .iter()
            .rev()
            .skip_while(|c| " \t\"'".contains(**c))
            .take_while(|c| c.is_alphanumeric() || "-_".contains(**c))
            .collect();
        key = key.chars().rev().collect::<String>().to_lowercase();
        if !sounds_secret(&key) {
            continue;
        }
        if let Some(start) = (colon + 1..chars.len()).find(|i| !" \t".contains(chars[*i])) {
            hide_value(chars, start, hidden);
        }
    }
}

/// Hides one value: a quoted text, or what there is up to a separator. A map shows its keys. When in doubt, too much.
fn hide_value(chars: &[char], start: usize, hidden: &mut [bool]) {
    let end = match chars[start] {
        '{' => return,
        '[' => (start..chars.len()).rev().find(|i| chars[*i] == ']'),
        quote @ ('"' | '\'') => after_quoted(chars, start, quote),
        // Only inside of brackets does a comma end a bare text.
        _ if !chars[..start].iter().any(|c| "{[".contains(*c)) => None,
        _ => (start..chars.len()).find(|i| ",}]".contains(chars[*i])),
    };
    let end = end.unwrap_or(chars.len());
    let blanks = chars[start..end].iter().rev().take_while(|c| c.is_whitespace()).count();
    hidden[start..end - blanks].fill(true);
}

/// Behind a text in quotes, when it ends in this line: with a backslash before a quote, a quote doubled (YAML) and three
/// quotes (TOML) told apart from its end.
fn after_quoted(chars: &[char], start: usize, quote: char) -> Option<usize> {
    let three = |at: usize| chars.get(at..at + 3).is_some_and(|three| three.iter().all(|c| *c == quote));
    if three(start) {
        return (start + 3..chars.len()).find(|at| three(*at)).map(|at| at + 3);
    }
    let mut at = start + 1;
    while at < chars.len() {
        match chars[at] {
            '\\' if quote == '"' => at += 2,
            c if c == quote && quote == '\'' && chars.get(at + 1) == Some(&quote) => at += 2,
            c if c == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

fn sounds_secret(key: &str) -> bool {
    const PARTS: [&str; 9] = ["pass", "pasw", "pwd", "secret", "token", "bearer", "auth", "cookie", "credential"];
    const WORDS: [&str; 4] = ["password", "token", "bearer", "secret"];
    if key.ends_with("_file") {
        return false;
    }
    let close = |word: &&str| strsim::osa_distance(key, word) <= 2;
    PARTS.iter().any(|part| key.contains(part)) || key.contains("key") || WORDS.iter().any(close)
}
