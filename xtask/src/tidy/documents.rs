//! Links between documents, and what the project's own must have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::{Complaint, File};

/// Lines of ARCHITECTURE.md: what does not fit nobody reads.
const ARCHITECTURE_LINES_MAX: usize = 200;
/// Every page below docs/ is linked from here.
const INDEX: &str = "docs/README.md";

/// A link of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) line: usize,
    pub(super) to: String,
}

/// All complaints about the documents.
pub(super) fn complaints(files: &[File]) -> Vec<Complaint> {
    let pages: BTreeMap<&str, &str> = files
        .iter()
        .filter(|file| file.has_extension(&["md"]))
        .filter_map(|file| Some((file.path.as_str(), file.text.as_deref()?)))
        .collect();
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let mut complaints = Vec::new();
    for (path, text) in &pages {
        for link in links(text) {
            if let Some(problem) = broken(path, &link, &pages, &paths) {
                complaints.push(Complaint::new(format!("{path}:{}", link.line), problem));
            }
        }
    }
    complaints.extend(unlisted(&pages));
    complaints.extend(required(&pages));
    complaints
}

/// Links `[text](target)` outside of code; those to the web are left out.
pub(super) fn links(text: &str) -> Vec<Link> {
    let mut links = Vec::new();
    for (line, prose) in prose(text) {
        for part in prose.split("](").skip(1) {
            let to = part.split([')', ' ']).next().unwrap_or_default();
            let foreign = ["http://", "https://", "mailto:"].iter().any(|scheme| to.starts_with(scheme));
            if !foreign {
                links.push(Link { line, to: to.to_owned() });
            }
        }
    }
    links
}

/// The lines that are not in a code block, with their code spans blanked.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (i, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            // Parts at odd places lie between two backticks.
            let outside = line.split('`').enumerate().map(|(n, part)| if n % 2 == 0 { part } else { "" });
            lines.push((i + 1, outside.collect::<Vec<_>>().join("`")));
        }
    }
    lines
}

fn broken(from: &str, link: &Link, pages: &BTreeMap<&str, &str>, paths: &BTreeSet<&str>) -> Option<String> {
    let (file, anchor) = link.to.split_once('#').unwrap_or((link.to.as_str(), ""));
    let target = if file.is_empty() { from.to_owned() } else { resolve(from, file) };
    let folder = format!("{}/", target.trim_end_matches('/'));
    let there = paths.contains(target.as_str()) || paths.iter().any(|path| path.starts_with(&folder));
    if !there {
        return Some(format!("links to {}, which does not exist", link.to));
    }
    let page = pages.get(target.as_str())?;
    (!anchor.is_empty() && !anchors(page).contains(anchor))
        .then(|| format!("links to {}, but {target} has no such heading", link.to))
}

/// A relative link, from the root.
fn resolve(from: &str, link: &str) -> String {
    let mut path = PathBuf::from(from);
    path.pop();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(name) => path.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    path.to_string_lossy().into_owned()
}

/// The anchors of a page's headings, as forges make them: lower case, spaces become `-`, punctuation goes.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut anchors = BTreeSet::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced || !line.starts_with('#') {
            continue;
        }
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        anchors.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
    }
    anchors
}

fn unlisted(pages: &BTreeMap<&str, &str>) -> Vec<Complaint> {
    let index = pages.get(INDEX).copied().unwrap_or_default();
    let listed: BTreeSet<String> = links(index).iter().map(|link| resolve(INDEX, &link.to)).collect();
    let docs = pages.keys().filter(|path| path.starts_with("docs/") && **path != INDEX);
    docs.filter(|path| !listed.contains(**path))
        .map(|path| Complaint::new(INDEX, format!("does not link to {path}")))
        .collect()
}

fn required(pages: &BTreeMap<&str, &str>) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let lines = pages.get("ARCHITECTURE.md").map_or(0, |text| text.lines().count());
    if lines > ARCHITECTURE_LINES_MAX {
        complaints
            .push(Complaint::new("ARCHITECTURE.md", format!("{lines} lines, more than {ARCHITECTURE_LINES_MAX}")));
    }
    let unreleased = pages.get("CHANGELOG.md").is_some_and(|text| text.contains("\n## [Unreleased]"));
    if !unreleased {
        complaints.push(Complaint::new("CHANGELOG.md", "has no section `## [Unreleased]`"));
    }
    complaints
}
