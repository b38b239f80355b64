//! What lies beside the binary when it is installed: man pages and completions. Not committed: they are for packages.

use std::fs;
use std::path::Path;

use anyhow::Context;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

use super::manual;

/// Name in the pages' foot.
const MANUAL: &str = "Watchpost";
/// The configuration's reference, as a page of the documentation.
const REFERENCE: &str = "docs/reference/configuration.md";
/// Shells that get a completion script, and the names of their files.
const SHELLS: [(Shell, &str); 3] = [(Shell::Bash, "bash"), (Shell::Zsh, "zsh"), (Shell::Fish, "fish")];

/// Writes `man1/`, `man5/`, `bash`, `zsh` and `fish` into a folder, which is made anew.
///
/// # Errors
/// When something cannot be read or written.
pub(crate) fn write(root: &Path, to: &Path) -> anyhow::Result<()> {
    let (commands, formats) = (to.join("man1"), to.join("man5"));
    for folder in [&commands, &formats] {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    // The pages are made of the tree as clap completes it: with usage lines and full names.
    let mut command = watchpost::cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    commands_below(&command, &mut pages);
    for page in &pages {
        fs::write(commands.join(page_name(page)), command_page(page, &pages)?)?;
    }
    let reference = fs::read_to_string(root.join(REFERENCE)).with_context(|| format!("cannot read {REFERENCE}"))?;
    let version = command.get_version().unwrap_or_default();
    fs::write(formats.join("watchpost.yml.5"), manual::page(&reference, version))?;
    for (shell, name) in SHELLS {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut watchpost::cli::command(), "watchpost", &mut script);
        fs::write(to.join(name), script)?;
    }
    println!("{} man pages and {} completion scripts in {}", pages.len() + 1, SHELLS.len(), to.display());
    Ok(())
}

/// The command and all below it, each before what is below.
fn commands_below(command: &Command, into: &mut Vec<Command>) {
    into.push(command.clone());
    for below in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        commands_below(below, into);
    }
}

/// `watchpost-config-check`.
fn display_name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn page_name(command: &Command) -> String {
    format!("{}.1", display_name(command))
}

/// Section by section, because clap's own last one would fill the lines of the examples.
fn command_page(command: &Command, all: &[Command]) -> anyhow::Result<Vec<u8>> {
    let version = command.get_version().unwrap_or_default();
    let man = Man::new(command.clone()).source(format!("watchpost {version}")).manual(MANUAL);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut rest = Roff::new();
    if let Some(after) = command.get_after_long_help().or_else(|| command.get_after_help()) {
        rest.control("SH", ["NOTES"]);
        manual::verbatim(&mut rest, after.to_string().lines());
    }
    rest.control("SH", ["SEE ALSO"]);
    let others = all.iter().filter(|other| related(command, other)).map(|other| (display_name(other), "(1), "));
    let names = others.chain(std::iter::once(("watchpost.yml", "(5)")));
    rest.text(names.flat_map(|(name, section)| [bold(name), roman(section)]).collect::<Vec<Inline>>());
    rest.to_writer(&mut page)?;
    Ok(page)
}

/// One is right above the other.
fn related(one: &Command, other: &Command) -> bool {
    let (one, other) = (display_name(one), display_name(other));
    one != other && (above(one) == Some(other) || above(other) == Some(one))
}

/// The command that a command belongs to. Names of commands may have a hyphen themselves: `watchpost-run-once`.
fn above(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("watchpost-")?;
    Some(if rest.starts_with("config-") { "watchpost-config" } else { "watchpost" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> (Vec<String>, String) {
        let folder = std::env::temp_dir().join(format!("watchpost-pages-{}", std::process::id()));
        let root = crate::run::root().unwrap();
        write(&root, &folder).unwrap();
        let mut names: Vec<String> = ["man1", "man5"]
            .iter()
            .flat_map(|sub| fs::read_dir(folder.join(sub)).unwrap())
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let page = fs::read_to_string(folder.join("man1/watchpost-check.1")).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        (names, page)
    }

    #[test]
    fn every_command_has_a_page_and_examples_keep_their_lines() {
        let (names, page) = written();
        for name in ["watchpost.1", "watchpost-run-once.1", "watchpost-config-plan.1", "watchpost.yml.5"] {
            assert!(names.iter().any(|found| found == name), "{name} is not among {names:?}");
        }
        assert!(!names.iter().any(|name| name.contains("help")), "{names:?}");
        let (_, examples) = page.split_once(".nf\n").expect("examples are not filled");
        assert!(examples.contains("watchpost check https://example.org\n"), "{examples}");
        assert!(page.contains("\\fBwatchpost\\fR(1)"), "{page}");
    }
}
