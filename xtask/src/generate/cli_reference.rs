//! The command-line reference, out of clap's own description. Not clap's help text: that follows the terminal's width.

use std::fmt::Write;

use clap::{Arg, Command};

const HEAD: &str = "\
<!-- Written by `cargo xtask gen`; edit crates/watchpost/src/cli.rs instead. -->

# Command line
";

/// The whole page.
pub(super) fn page(mut command: Command) -> String {
    // Fills in usage lines, global arguments and the help command.
    command.build();
    let mut page = HEAD.to_owned();
    section(&mut page, &command, command.get_name());
    page
}

/// Writing to a `String` cannot fail, so what `writeln!` returns is let go.
fn section(page: &mut String, command: &Command, name: &str) {
    if name != "watchpost" {
        let _ = writeln!(page, "\n## {name}");
    }
    if let Some(about) = command.get_long_about().or_else(|| command.get_about()) {
        let _ = writeln!(page, "\n{about}");
    }
    let usage = command.clone().render_usage().to_string();
    let _ = writeln!(page, "\n    {}", usage.trim_start_matches("Usage:").trim());
    arguments(page, command);
    if let Some(after) = command.get_after_long_help().or_else(|| command.get_after_help()) {
        let _ = writeln!(page, "\n```text\n{}\n```", after.to_string().trim_end());
    }
    let visible = |c: &&Command| !c.is_hide_set() && c.get_name() != "help";
    for sub in command.get_subcommands().filter(visible) {
        section(page, sub, &format!("{name} {}", sub.get_name()));
    }
}

fn arguments(page: &mut String, command: &Command) {
    // `--help` and `--version` are everywhere and say nothing new.
    let telling = |arg: &&Arg| !arg.is_hide_set() && !matches!(arg.get_id().as_str(), "help" | "version");
    let mut arguments = command.get_arguments().filter(telling).peekable();
    if arguments.peek().is_none() {
        return;
    }
    page.push_str("\n| argument | meaning |\n|---|---|\n");
    for arg in arguments {
        let _ = writeln!(page, "| `{}` | {} |", written(arg), meaning(arg));
    }
}

/// As it is typed: `--listen <ADDRESS:PORT>...`.
fn written(arg: &Arg) -> String {
    let names: Vec<String> =
        arg.get_value_names().unwrap_or_default().iter().map(|value| format!("<{value}>")).collect();
    let value = if arg.get_action().takes_values() { names.join(" ") } else { String::new() };
    let many = if matches!(arg.get_action(), clap::ArgAction::Append) { "..." } else { "" };
    let short = arg.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    match arg.get_long() {
        // A bar would end the table's cell.
        Some(long) => format!("{short}--{long} {value}{many}").trim_end().replace('|', "\\|"),
        None => format!("{value}{many}").replace('|', "\\|"),
    }
}

fn meaning(arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    // Clap takes the final dot away.
    let mut meaning = format!("{}.", help.replace('\n', " ").replace('|', "\\|").trim_end_matches('.'));
    let takes_value = arg.get_action().takes_values();
    let defaults: Vec<String> =
        arg.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    if takes_value && !defaults.is_empty() {
        let _ = write!(meaning, " Default: {}.", defaults.join(", "));
    }
    if let Some(variable) = arg.get_env() {
        let _ = write!(meaning, " Also `${}`.", variable.to_string_lossy());
    }
    let values: Vec<String> = arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if takes_value && !values.is_empty() {
        let _ = write!(meaning, " One of {}.", values.join(", "));
    }
    meaning
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_its_section_and_every_option_its_row() {
        let check = Command::new("check")
            .about("Check once.")
            .arg(Arg::new("target").value_name("ID|URL").required(true).help("What."))
            .arg(Arg::new("tries").long("tries").short('t').value_name("N").default_value("3").help("How often."))
            .after_help("Exit status: 0.");
        let page = page(Command::new("watchpost").about("Watches.").subcommand(check));
        assert_eq!(
            page.strip_prefix(HEAD).unwrap(),
            "\nWatches.\n\n    watchpost [COMMAND]\n\
             \n## watchpost check\n\nCheck once.\n\n    watchpost check [OPTIONS] <ID|URL>\n\
             \n| argument | meaning |\n|---|---|\n\
             | `<ID\\|URL>` | What. |\n\
             | `-t, --tries <N>` | How often. Default: `3`. |\n\
             \n```text\nExit status: 0.\n```\n"
        );
    }
}
