//! Files that are written by the code they describe. They are committed, so that they can be read without a build, and
//! compared in every run of the tests.

use std::path::Path;

use anyhow::{Context, bail};

mod cli_reference;
mod manual;
pub(crate) mod pages;

/// A generated file, from the root, and what shall be in it.
struct Generated {
    path: &'static str,
    content: String,
}

fn all() -> anyhow::Result<Vec<Generated>> {
    let schema = serde_json::to_string_pretty(&watchpost_wire::config::schema())?;
    Ok(vec![
        Generated { path: "docs/reference/cli.md", content: cli_reference::page(watchpost::cli::command()) },
        Generated { path: "docs/reference/openapi.json", content: ended(&watchpost_web::openapi()) },
        Generated { path: "docs/reference/watchpost.schema.json", content: ended(&schema) },
    ])
}

/// Writes the files that differ, or only tells of them.
///
/// # Errors
/// When a file cannot be written; with `check`, when one differs.
pub(crate) fn run(root: &Path, check: bool) -> anyhow::Result<()> {
    let mut stale = Vec::new();
    for Generated { path, content } in all()? {
        let full = root.join(path);
        let found = std::fs::read_to_string(&full).unwrap_or_default();
        if found == content {
            continue;
        }
        if check {
            println!("{path}: {}", first_difference(&found, &content));
            stale.push(path);
        } else {
            std::fs::write(&full, content).with_context(|| format!("cannot write {path}"))?;
            println!("{path}: written");
        }
    }
    if stale.is_empty() { Ok(()) } else { bail!("not up to date: {}; run cargo xtask gen", stale.join(", ")) }
}

fn first_difference(found: &str, wanted: &str) -> String {
    let (mut found, mut wanted) = (found.lines(), wanted.lines());
    for number in 1.. {
        match (found.next(), wanted.next()) {
            (None, None) => break,
            (is, shall) if is != shall => {
                let (is, shall) = (is.unwrap_or("(end)").trim(), shall.unwrap_or("(end)").trim());
                return format!("line {number} is `{is}`, shall be `{shall}`");
            }
            (_, _) => {}
        }
    }
    "line ends differ".to_owned()
}

/// With one line end at its end.
fn ended(text: &str) -> String {
    format!("{}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named_with_its_line() {
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), "line 2 is `b`, shall be `c`");
        assert_eq!(first_difference("a\n", "a\nb\n"), "line 2 is `(end)`, shall be `b`");
    }
}
