//! What must hold before a change lands: one list of steps, the same on every machine.
//!
//! The dashboard comes before the compiler because the binary embeds it; everything is compiled once, with all
//! features and targets, so that the steps after it share one build.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;

use crate::{run, tidy};

/// Seeds of the simulation in each run, beside the first 200 that its own tests run.
const SIM_SEEDS: [&str; 4] = ["--from", "201", "--seeds", "200"];

#[derive(Args)]
pub(crate) struct CiArgs {
    /// Only these steps, by name; all when absent.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Go on after a step that failed; the run still fails.
    #[arg(long)]
    keep_going: bool,
}

/// Where things are.
struct Place {
    root: PathBuf,
    target: PathBuf,
}

/// What a step that went well has to say beside its time.
type Said = Option<String>;

struct Step {
    name: &'static str,
    run: fn(&Place) -> anyhow::Result<Said>,
}

const STEPS: &[Step] = &[
    Step { name: "install", run: install },
    Step { name: "fmt", run: fmt },
    Step { name: "tidy", run: house_rules },
    Step { name: "dashboard", run: dashboard },
    Step { name: "clippy", run: clippy },
    Step { name: "build", run: build },
    Step { name: "nextest", run: nextest },
    Step { name: "doctest", run: doctest },
    Step { name: "generated", run: generated },
    Step { name: "sim", run: sim },
    Step { name: "e2e", run: e2e },
    Step { name: "package", run: package },
    Step { name: "deny", run: deny },
    Step { name: "shear", run: shear },
];

/// Runs the steps in order and prints what each took.
///
/// # Errors
/// When a step failed, or a name in `--only` is no step.
pub(crate) fn run(args: &CiArgs) -> anyhow::Result<()> {
    let steps = chosen(&args.only)?;
    let root = run::root()?;
    std::env::set_current_dir(&root)?;
    let place = Place { target: target_folder()?, root };
    let mut summary = Vec::new();
    let mut failed = 0;
    for step in steps {
        println!("\n== {}", step.name);
        let begun = Instant::now();
        let outcome = (step.run)(&place);
        let took = begun.elapsed();
        let line = match &outcome {
            Ok(said) => told(step.name, "ok", took, said.as_deref()),
            Err(_) => told(step.name, "FAILED", took, None),
        };
        println!("{line}");
        summary.push(line);
        if let Err(e) = outcome {
            println!("{e:#}");
            failed += 1;
            if !args.keep_going {
                break;
            }
        }
    }
    println!("\n== summary\n{}", summary.join("\n"));
    match failed {
        0 => Ok(()),
        1 => bail!("a step failed"),
        n => bail!("{n} steps failed"),
    }
}

fn told(name: &str, how: &str, took: Duration, said: Option<&str>) -> String {
    let line = format!("{name:<10} {how:<7}{:>7.1} s", took.as_secs_f64());
    match said {
        Some(said) => format!("{line}  {said}"),
        None => line,
    }
}

fn chosen(only: &[String]) -> anyhow::Result<Vec<&'static Step>> {
    if only.is_empty() {
        return Ok(STEPS.iter().collect());
    }
    let known = |name: &str| STEPS.iter().any(|step| step.name == name);
    if let Some(unknown) = only.iter().find(|name| !known(name)) {
        let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        bail!("`{unknown}` is no step; there are {}", names.join(", "));
    }
    Ok(STEPS.iter().filter(|step| only.iter().any(|name| name == step.name)).collect())
}

fn target_folder() -> anyhow::Result<PathBuf> {
    let text = run::output(&mut run::cargo(&["metadata", "--format-version=1", "--no-deps", "--locked"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&text)?;
    metadata["target_directory"].as_str().map(PathBuf::from).context("cargo metadata names a target folder")
}

fn install(place: &Place) -> anyhow::Result<Said> {
    run::check(Command::new(place.root.join("scripts/setup.sh")).arg("check"))?;
    Ok(None)
}

fn fmt(_: &Place) -> anyhow::Result<Said> {
    run::check(&mut run::cargo(&["fmt", "--all", "--check", "--", "--color=never"]))?;
    Ok(None)
}

fn house_rules(place: &Place) -> anyhow::Result<Said> {
    tidy::run(&place.root)?;
    Ok(None)
}

fn dashboard(place: &Place) -> anyhow::Result<Said> {
    npm(place, &["ci", "--no-audit", "--no-fund"])?;
    for script in ["check", "test", "build"] {
        npm(place, &["run", script])?;
    }
    Ok(None)
}

fn npm(place: &Place, args: &[&str]) -> anyhow::Result<()> {
    run::check(Command::new("npm").args(args).current_dir(place.root.join("dashboard")))
}

fn clippy(_: &Place) -> anyhow::Result<Said> {
    let all = ["clippy", "--workspace", "--all-targets", "--all-features", "--locked", "--", "-D", "warnings"];
    run::check(&mut run::cargo(&all))?;
    Ok(None)
}

fn build(_: &Place) -> anyhow::Result<Said> {
    run::check(&mut run::cargo(&["build", "--workspace", "--all-targets", "--all-features", "--locked"]))?;
    Ok(None)
}

fn nextest(_: &Place) -> anyhow::Result<Said> {
    let mut cargo = run::cargo(&["nextest", "run", "--workspace", "--all-features", "--locked"]);
    let summary = run::check_and_find(cargo.arg("--color=never"), "Summary [")?;
    Ok(Some(summary.context("nextest prints a summary")?))
}

fn doctest(_: &Place) -> anyhow::Result<Said> {
    run::check(&mut run::cargo(&["test", "--doc", "--workspace", "--all-features", "--locked"]))?;
    Ok(None)
}

/// The xtask that the step `build` has built with all features; it is not the one that runs.
fn own(place: &Place, args: &[&str]) -> Command {
    let mut xtask = Command::new(place.target.join("debug/xtask"));
    xtask.args(args);
    xtask
}

fn generated(place: &Place) -> anyhow::Result<Said> {
    run::check(&mut own(place, &["gen", "--check"]))?;
    Ok(None)
}

fn sim(place: &Place) -> anyhow::Result<Said> {
    run::check(own(place, &["sim"]).args(SIM_SEEDS))?;
    Ok(None)
}

fn e2e(place: &Place) -> anyhow::Result<Said> {
    let browser = browser()?;
    let watchpost = place.target.join("debug/watchpost");
    let mut npm = Command::new("npm");
    npm.args(["run", "e2e"]).current_dir(place.root.join("dashboard"));
    run::check(npm.env("WATCHPOST_BIN", watchpost).env("CHROMIUM", browser))?;
    Ok(None)
}

fn browser() -> anyhow::Result<PathBuf> {
    let given = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let names = ["chromium", "chromium-browser", "google-chrome"];
    given.or_else(|| names.into_iter().find_map(run::which)).context("no Chromium; run scripts/setup.sh test")
}

/// The package on a clean system; where that cannot be made, the script says why and it is skipped.
fn package(place: &Place) -> anyhow::Result<Said> {
    let mut script = Command::new(place.root.join("scripts/test-package.sh"));
    run::check_and_find(script.env("CARGO_TARGET_DIR", &place.target), "skipped:")
}

fn deny(_: &Place) -> anyhow::Result<Said> {
    optional("cargo-deny", &["deny", "--offline", "check", "bans", "licenses", "sources"])
}

fn shear(_: &Place) -> anyhow::Result<Said> {
    optional("cargo-shear", &["shear"])
}

fn optional(program: &str, args: &[&str]) -> anyhow::Result<Said> {
    if run::which(program).is_none() {
        return Ok(Some(format!("{program} is not installed: skipped")));
    }
    run::check(&mut run::cargo(args))?;
    Ok(None)
}

/// Whether a path is a test's: limits on code do not hold for it.
pub(crate) fn is_test(path: &Path) -> bool {
    let name = path.file_name().map(|n| n.to_string_lossy()).unwrap_or_default();
    let in_tests = path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "e2e")));
    in_tests || name == "tests.rs" || name.ends_with(".test.ts") || name.ends_with(".test.mjs")
}
