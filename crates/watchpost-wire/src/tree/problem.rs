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

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.list.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            let Some(place) = problem.place else {
                f.write_str(&problem.message)?;
                continue;
            };
            write!(f, "{}: {}", self.sources.show(place), problem.message)?;
            if let Some(line) = self.sources.text(place).lines().nth((place.line - 1) as usize) {
                write_line(f, line, place, &self.sources)?;
            }
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

fn write_line(f: &mut fmt::Formatter<'_>, line: &str, place: Place, sources: &Sources) -> fmt::Result {
    let begins = |i: usize| sources.hides(Place { column: super::small(i + 1), ..place });
    let (masked, caret) = mask(line, (place.column - 1) as usize, &begins);
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

/// Replaces what may be a secret in a source line: values that are known to be (those that `begins` tells), passwords in
/// URLs, and values of keys that sound like secrets, also misspelt ones, for those are what a message is about. Returns
/// the line and where the character at `caret` now is.
fn mask(line: &str, caret: usize, begins: &dyn Fn(usize) -> bool) -> (String, usize) {
    let chars: Vec<char> = line.chars().collect();
    let mut hidden = vec![false; chars.len()];
    for start in (0..chars.len()).filter(|i| begins(*i)) {
        hide_value(&chars, start, &mut hidden);
    }
    hide_url_passwords(&chars, &mut hidden);
    hide_values(&chars, &mut hidden);
    let mut masked = String::with_capacity(line.len());
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

/// `https://user:secret@host`: what is between the colon and the last `@` before the path.
fn hide_url_passwords(chars: &[char], hidden: &mut [bool]) {
    for start in 0..chars.len().saturating_sub(2) {
        if chars[start..start + 3] != [':', '/', '/'] {
            continue;
        }
        let rest = start + 3;
        let end = (rest..chars.len()).find(|i| " \t/?#\"'".contains(chars[*i])).unwrap_or(chars.len());
        let Some(at) = (rest..end).rev().find(|i| chars[*i] == '@') else { continue };
        let Some(colon) = (rest..at).find(|i| chars[*i] == ':') else { continue };
        hidden[colon + 1..at].fill(true);
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

/// Hides one value: a quoted text, or what there is up to a separator. A map shows its keys.
fn hide_value(chars: &[char], start: usize, hidden: &mut [bool]) {
    let end = match chars[start] {
        '{' => return,
        '[' => (start..chars.len()).find(|i| chars[*i] == ']'),
        quote @ ('"' | '\'') => (start + 1..chars.len()).find(|i| chars[*i] == quote).map(|i| i + 1),
        _ => (start..chars.len()).find(|i| ",}]".contains(chars[*i])),
    };
    let end = end.unwrap_or(chars.len());
    let blanks = chars[start..end].iter().rev().take_while(|c| c.is_whitespace()).count();
    hidden[start..end - blanks].fill(true);
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
