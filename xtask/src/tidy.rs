//! House rules that no linter knows. Each rule is a function from what it looks at to a list of complaints; all are
//! printed before the task fails.
//!
//! * [`arrows`]: which crate may depend on which, as the table in ARCHITECTURE.md says;
//! * [`sources`]: sizes, words and paths in what git knows;
//! * [`documents`]: links, and what the project's documents must have.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::run;

mod arrows;
mod documents;
mod sources;

/// A rule that is broken, and where.
#[derive(Debug, PartialEq, Eq)]
struct Complaint {
    place: String,
    text: String,
}

impl Complaint {
    fn new(place: impl Into<String>, text: impl Into<String>) -> Complaint {
        Complaint { place: place.into(), text: text.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// A file that git knows, or would know if it were added now.
struct File {
    /// From the root, with slashes.
    path: String,
    bytes: u64,
    /// Its text; `None` when it is not UTF-8.
    text: Option<String>,
}

impl File {
    fn has_extension(&self, extensions: &[&str]) -> bool {
        let extension = Path::new(&self.path).extension().and_then(|e| e.to_str());
        extension.is_some_and(|e| extensions.contains(&e))
    }
}

/// Looks at the repository and prints every complaint.
///
/// # Errors
/// When there is one.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let files = files(root)?;
    let architecture = text_of(&files, "ARCHITECTURE.md")?;
    let mut complaints = arrows::complaints(&packages(root)?, architecture);
    complaints.extend(sources::complaints(root, &files));
    complaints.extend(documents::complaints(&files));
    for complaint in &complaints {
        println!("{complaint}");
    }
    match complaints.len() {
        0 => Ok(()),
        n => bail!("tidy: {n} complaints"),
    }
}

fn text_of<'a>(files: &'a [File], path: &str) -> anyhow::Result<&'a str> {
    let file = files.iter().find(|file| file.path == path);
    file.and_then(|file| file.text.as_deref()).with_context(|| format!("{path} is missing"))
}

fn files(root: &Path) -> anyhow::Result<Vec<File>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root);
    let mut files = Vec::new();
    for path in run::output(&mut git)?.split_terminator('\0') {
        let full: PathBuf = root.join(path);
        // Deleted, but not yet committed so.
        let Ok(bytes) = std::fs::read(&full) else { continue };
        let size = u64::try_from(bytes.len())?;
        files.push(File { path: path.to_owned(), bytes: size, text: String::from_utf8(bytes).ok() });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    Ok(files)
}

fn packages(root: &Path) -> anyhow::Result<Vec<arrows::Package>> {
    let mut cargo = run::cargo(&["metadata", "--format-version=1", "--no-deps", "--locked"]);
    let metadata: serde_json::Value = serde_json::from_str(&run::output(cargo.current_dir(root))?)?;
    arrows::packages(&metadata)
}

#[cfg(test)]
mod tests;
