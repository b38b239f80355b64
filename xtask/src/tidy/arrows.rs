//! Which of our crates may depend on which. The table in ARCHITECTURE.md is the rule; there is no second copy.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;

use super::Complaint;

/// The head of the table that is the rule.
const HEAD: &str = "| crate | may depend on | its tests also on |";
/// What a cell says that allows nothing.
const NOTHING: &str = "nothing of ours";
/// What a cell says that allows all crates.
const ALL: &str = "all";

/// A crate of ours and the direct dependencies it has on others of ours.
pub(super) struct Package {
    pub(super) name: String,
    /// Also build dependencies.
    pub(super) depends_on: BTreeSet<String>,
    /// For its tests only.
    pub(super) tests_with: BTreeSet<String>,
}

/// Reads the workspace's crates out of `cargo metadata --no-deps`.
///
/// # Errors
/// When it has another shape than documented.
pub(super) fn packages(metadata: &serde_json::Value) -> anyhow::Result<Vec<Package>> {
    let list = metadata["packages"].as_array().context("cargo metadata lists packages")?;
    let name = |package: &serde_json::Value| package["name"].as_str().map(str::to_owned);
    let ours: BTreeSet<String> = list.iter().filter_map(name).collect();
    let mut packages = Vec::new();
    for package in list {
        let name = name(package).context("a package has a name")?;
        let mut found = Package { name, depends_on: BTreeSet::new(), tests_with: BTreeSet::new() };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let on = dependency["name"].as_str().unwrap_or_default().to_owned();
            if !ours.contains(&on) {
                continue;
            }
            let set = match dependency["kind"].as_str() {
                Some("dev") => &mut found.tests_with,
                _ => &mut found.depends_on,
            };
            set.insert(on);
        }
        packages.push(found);
    }
    Ok(packages)
}

/// What one row of the table allows; `None` is everything.
struct Row {
    depends_on: Option<BTreeSet<String>>,
    tests_with: Option<BTreeSet<String>>,
}

impl Row {
    fn allows(set: Option<&BTreeSet<String>>, name: &str) -> bool {
        set.is_none_or(|set| set.contains(name))
    }
}

/// Compares the crates with the table.
pub(super) fn complaints(packages: &[Package], architecture: &str) -> Vec<Complaint> {
    let table = table(architecture);
    if table.is_empty() {
        return vec![Complaint::new("ARCHITECTURE.md", format!("has no table that begins with `{HEAD}`"))];
    }
    let mut complaints = Vec::new();
    for name in table.keys().filter(|name| !packages.iter().any(|package| package.name == **name)) {
        complaints
            .push(Complaint::new("ARCHITECTURE.md", format!("the table has a row for {name}, which is no crate")));
    }
    for package in packages {
        match table.get(&package.name) {
            None => complaints.push(Complaint::new("ARCHITECTURE.md", format!("no row for {}", package.name))),
            Some(row) => complaints.extend(forbidden(package, row)),
        }
    }
    complaints
}

fn forbidden(package: &Package, row: &Row) -> Vec<Complaint> {
    let depends = package.depends_on.iter().filter(|on| !Row::allows(row.depends_on.as_ref(), on));
    let tests = package
        .tests_with
        .iter()
        .filter(|on| !Row::allows(row.depends_on.as_ref(), on) && !Row::allows(row.tests_with.as_ref(), on));
    let complain = |what: &str, on: &String| {
        Complaint::new(package.name.as_str(), format!("{what} on {on}, which ARCHITECTURE.md does not allow"))
    };
    depends.map(|on| complain("depends", on)).chain(tests.map(|on| complain("its tests depend", on))).collect()
}

fn table(architecture: &str) -> BTreeMap<String, Row> {
    let rows = architecture.lines().skip_while(|line| line.trim() != HEAD).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    rows.filter_map(|row| {
        let cells: Vec<&str> = row.trim().trim_matches('|').split('|').map(str::trim).collect();
        match cells.as_slice() {
            [name, depends_on, tests_with] => {
                Some((unquoted(name), Row { depends_on: cell(depends_on), tests_with: cell(tests_with) }))
            }
            _ => None,
        }
    })
    .collect()
}

fn cell(text: &str) -> Option<BTreeSet<String>> {
    match text {
        ALL => None,
        "" | NOTHING => Some(BTreeSet::new()),
        list => Some(list.split(',').map(unquoted).collect()),
    }
}

fn unquoted(text: &str) -> String {
    text.trim().trim_matches('`').to_owned()
}
