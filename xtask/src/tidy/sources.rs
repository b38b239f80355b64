//! Sizes, words and paths in what git knows.

use std::path::Path;

use super::{Complaint, File};
use crate::ci::is_test;

/// Lines of a source file, tests apart.
const LINES_MAX: usize = 500;
/// Bytes of a file: a repository is not for blobs.
const BYTES_MAX: u64 = 400_000;
/// Files that tools write, whose size and words are not ours.
const LOCK_FILES: [&str; 2] = ["Cargo.lock", "dashboard/package-lock.json"];

/// What code may not contain, tests apart, and what to do instead. Written in two parts, so that this file may.
const WORDS: [(&str, &str); 7] = [
    (concat!("#[al", "low("), "say #[expect(lint, reason = \"...\")]"),
    (concat!("#![al", "low("), "say #![expect(lint, reason = \"...\")]"),
    (concat!("to", "do!("), "do it, or leave it out"),
    (concat!("unimple", "mented!("), "do it, or leave it out"),
    (concat!("db", "g!("), "use tracing"),
    (concat!("TO", "DO"), "do it, or file an issue"),
    (concat!("FIX", "ME"), "fix it, or file an issue"),
];

/// Folders of somebody's machine.
const HOMES: [&str; 3] = [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];

/// All complaints about the files.
pub(super) fn complaints(root: &Path, files: &[File]) -> Vec<Complaint> {
    let here = format!("{}/", root.display());
    let mut complaints = Vec::new();
    for file in files {
        if file.bytes > BYTES_MAX && !LOCK_FILES.contains(&file.path.as_str()) {
            complaints.push(Complaint::new(&*file.path, format!("{} bytes, more than {BYTES_MAX}", file.bytes)));
        }
        let Some(text) = file.text.as_deref() else { continue };
        if LOCK_FILES.contains(&file.path.as_str()) {
            complaints.extend(addresses(&file.path, text));
            continue;
        }
        complaints.extend(paths(&file.path, text, &here));
        if file.has_extension(&["rs", "ts", "mjs", "js", "svelte", "css", "sql"]) && !is_test(Path::new(&file.path)) {
            complaints.extend(size(&file.path, text));
            complaints.extend(words(&file.path, text));
        }
        if file.path.ends_with("Cargo.toml") && file.path != "Cargo.toml" {
            complaints.extend(manifest(&file.path, text));
        }
    }
    complaints
}

pub(super) fn size(path: &str, text: &str) -> Option<Complaint> {
    let lines = text.lines().count();
    (lines > LINES_MAX).then(|| Complaint::new(path, format!("{lines} lines, more than {LINES_MAX}")))
}

pub(super) fn words(path: &str, text: &str) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (number, line) in numbered(text) {
        for (word, instead) in WORDS {
            if line.contains(word) {
                complaints.push(Complaint::new(format!("{path}:{number}"), format!("`{word}`: {instead}")));
            }
        }
    }
    complaints
}

/// A path of the machine that it was written on, `here` among them.
pub(super) fn paths(path: &str, text: &str, here: &str) -> Vec<Complaint> {
    let known = HOMES.into_iter().chain(std::iter::once(here));
    let found = |line: &str| known.clone().find(|home| line.contains(home)).map(str::to_owned);
    numbered(text)
        .filter_map(|(number, line)| {
            let home = found(line)?;
            Some(Complaint::new(format!("{path}:{number}"), format!("`{home}` is a path of one machine")))
        })
        .collect()
}

/// Download addresses in npm's lock file tie it to one registry.
fn addresses(path: &str, text: &str) -> Option<Complaint> {
    let resolved = path.ends_with("package-lock.json") && text.contains("\"resolved\": \"http");
    resolved.then(|| Complaint::new(path, "has download addresses; set omit-lockfile-registry-resolved in .npmrc"))
}

/// A crate takes the workspace's lints, and its dependencies' versions and features from the root.
pub(super) fn manifest(path: &str, text: &str) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut section = "";
    let mut lints = false;
    for (number, line) in numbered(text) {
        let line = line.trim();
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
            continue;
        }
        lints |= section == "lints" && line.replace(' ', "") == "workspace=true";
        let entry = !line.is_empty() && !line.starts_with('#');
        let inherited = line.replace(' ', "").contains("workspace=true");
        if entry && section.ends_with("dependencies") && !inherited {
            let text = format!("`{line}`: versions and features stand in the root's [workspace.dependencies]");
            complaints.push(Complaint::new(format!("{path}:{number}"), text));
        }
    }
    if !lints {
        complaints.push(Complaint::new(path, "does not say `[lints] workspace = true`"));
    }
    complaints
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(i, line)| (i + 1, line))
}
