//! `${NAME}`, `${NAME:-default}` and `<key>_file`: values that are not written in the file itself.

use std::io;
use std::path::Path;

use super::{Entry, Node, Problem, Problems, Scalar, Sources, Style, Tree, Value, shorten};

/// Bytes of a file that holds one secret: keys and certificates fit many times over.
pub const SECRET_FILE_BYTES_MAX: usize = 64 << 10;

/// How `<key>_file` is read.
#[derive(Clone, Copy)]
pub struct SecretFiles<'a> {
    /// Whether a key is a secret, by the path of the map it is in (keys and item numbers from the top).
    pub is_secret: &'a dyn Fn(&[&str], &str) -> bool,
    /// Reads at most the given number of bytes.
    pub read: &'a dyn Fn(&Path, usize) -> io::Result<Vec<u8>>,
}

impl Tree {
    /// Fills in `${NAME}` and `${NAME:-default}` (used when the variable is unset or empty) in all values, not in keys.
    /// `$${` stands for a literal `${`. What is filled in is always text.
    ///
    /// # Errors
    /// Each place where a variable is unknown or the expression does not parse.
    pub fn substitute(&mut self, env: &dyn Fn(&str) -> Option<String>) -> Result<(), Problems> {
        let mut problems = Vec::new();
        substitute_in(&mut self.root, env, &mut problems);
        self.finish(problems)
    }

    /// Replaces `<key>_file: path` by `<key>: content` for every secret key. Paths are relative to the file they are
    /// written in; one final newline is cut off.
    ///
    /// # Errors
    /// Each file that cannot be read, is too large or not text, and each secret that is set both ways.
    pub fn read_secret_files(&mut self, files: SecretFiles<'_>) -> Result<(), Problems> {
        let mut read = ReadFiles { files, sources: &self.sources, problems: Vec::new() };
        read.walk(&mut self.root, &mut Vec::new());
        let problems = read.problems;
        self.finish(problems)
    }

    fn finish(&self, problems: Vec<Problem>) -> Result<(), Problems> {
        match problems.is_empty() {
            true => Ok(()),
            false => Err(Problems::new(problems, self.sources.clone())),
        }
    }
}

fn substitute_in(node: &mut Node, env: &dyn Fn(&str) -> Option<String>, problems: &mut Vec<Problem>) {
    let place = node.place;
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| substitute_in(item, env, problems)),
        Value::Map(entries) => entries.iter_mut().for_each(|entry| substitute_in(&mut entry.value, env, problems)),
        Value::Scalar(scalar) if scalar.text.contains("${") => match fill_in(&scalar.text, env) {
            Ok(text) => *scalar = Scalar { text: text.into(), style: Style::Quoted },
            Err(message) => problems.push(Problem::at(place, message)),
        },
        Value::Scalar(_) => {}
    }
}

fn fill_in(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            filled.push_str(before);
            filled.push_str("${");
            rest = &after[2..];
            continue;
        }
        filled.push_str(before);
        let Some((inside, tail)) = after[2..].split_once('}') else {
            return Err("`${` without `}`; write $${ for a literal ${".to_owned());
        };
        filled.push_str(&variable(inside, env)?);
        rest = tail;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn variable(inside: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let valid =
        name.chars().enumerate().all(|(i, c)| c == '_' || c.is_ascii_alphabetic() || i > 0 && c.is_ascii_digit());
    if name.is_empty() || !valid {
        return Err(format!(
            "`${{{}}}` is not ${{NAME}} or ${{NAME:-default}}; write $${{ for a literal ${{",
            shorten(inside)
        ));
    }
    match (env(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => {
            Err(format!("the environment variable `{name}` is not set; set it, or write ${{{name}:-default}}"))
        }
    }
}

struct ReadFiles<'a> {
    files: SecretFiles<'a>,
    sources: &'a Sources,
    problems: Vec<Problem>,
}

impl ReadFiles<'_> {
    fn walk(&mut self, node: &mut Node, path: &mut Vec<String>) {
        match &mut node.value {
            Value::Scalar(_) => {}
            Value::List(items) => {
                for (i, item) in items.iter_mut().enumerate() {
                    path.push(i.to_string());
                    self.walk(item, path);
                    path.pop();
                }
            }
            Value::Map(entries) => {
                for i in 0..entries.len() {
                    self.entry(entries, i, path);
                }
                for entry in entries {
                    path.push(entry.key.to_string());
                    self.walk(&mut entry.value, path);
                    path.pop();
                }
            }
        }
    }

    /// Turns one `<key>_file` into `<key>`, if it is one.
    fn entry(&mut self, entries: &mut [Entry], i: usize, path: &[String]) {
        let Some(stem) = entries[i].key.strip_suffix("_file").map(Box::<str>::from) else { return };
        let above: Vec<&str> = path.iter().map(String::as_str).collect();
        if stem.is_empty() || !(self.files.is_secret)(&above, &stem) {
            return;
        }
        let place = entries[i].place;
        if let Some(both) = entries.iter().find(|entry| entry.key == stem) {
            let line = both.place.line;
            self.problems
                .push(Problem::at(place, format!("`{stem}` is already set in line {line}; keep one of the two")));
            return;
        }
        match self.content(&entries[i].value) {
            Ok(text) => {
                let style = Style::Quoted;
                entries[i].key = stem;
                entries[i].value.value = Value::Scalar(Scalar { text: text.into(), style });
            }
            Err(message) => self.problems.push(Problem::at(entries[i].value.place, message)),
        }
    }

    fn content(&self, value: &Node) -> Result<String, String> {
        let Value::Scalar(written) = &value.value else { return Err("expected the path of a file".to_owned()) };
        if written.text.is_empty() {
            return Err("expected the path of a file".to_owned());
        }
        let beside = self.sources.path(value.place);
        let path = Path::new(&*beside).parent().unwrap_or(Path::new("")).join(&*written.text);
        let shown = path.display();
        let bytes =
            (self.files.read)(&path, SECRET_FILE_BYTES_MAX + 1).map_err(|e| format!("cannot read {shown}: {e}"))?;
        if bytes.len() > SECRET_FILE_BYTES_MAX {
            return Err(format!("{shown} has more than {SECRET_FILE_BYTES_MAX} bytes; it must hold one secret"));
        }
        let text = String::from_utf8(bytes).map_err(|_| format!("{shown} is not UTF-8 text"))?;
        let text = text.strip_suffix('\n').map_or(&*text, |cut| cut.strip_suffix('\r').unwrap_or(cut));
        Ok(text.to_owned())
    }
}
