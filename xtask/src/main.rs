//! The project's own tasks. `cargo xtask --help` lists them; `make test` runs `ci`.
//!
//! Tasks that need Watchpost itself compiled (`gen`, `pages`, `sim`) are behind the feature `product`. Asked for one of them
//! without it, xtask runs itself again with it, so that `cargo xtask gen` always works.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal")]

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

mod ci;
mod demo;
#[cfg(feature = "product")]
mod generate;
mod run;
#[cfg(feature = "product")]
mod sim;
mod tidy;

/// The project's own tasks.
#[derive(Parser)]
#[command(name = "xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything that must hold before a change lands, in order; stops at the first step that fails.
    Ci(ci::CiArgs),
    /// House rules that no linter knows: arrows between crates, sizes, words, links.
    Tidy,
    /// Write the generated files: OpenAPI, JSON Schema, command-line reference.
    Gen(GenArgs),
    /// Write man pages and completions into a folder, for packages.
    Pages(PagesArgs),
    /// Run the seeded simulation.
    Sim(SimArgs),
    /// Serve the loopback services that examples/first-run.yml watches, until stopped.
    Demo,
    /// Measure what Watchpost costs beside its peers; prints a table.
    Bench(BenchArgs),
}

#[derive(Args)]
struct GenArgs {
    /// Change nothing; fail when a file would change.
    #[arg(long)]
    check: bool,
}

#[derive(Args)]
struct PagesArgs {
    /// The folder; what it has of an earlier time is replaced.
    to: std::path::PathBuf,
}

#[derive(Args)]
struct SimArgs {
    /// How many seeds to run.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
}

#[derive(Args)]
struct BenchArgs {
    /// Passed on to the benchmark.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

fn main() -> ExitCode {
    match run_task(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("xtask: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_task(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Ci(args) => ci::run(&args),
        Task::Tidy => tidy::run(&run::root()?),
        Task::Gen(args) => gen_task(&args),
        Task::Pages(args) => pages_task(&args),
        Task::Sim(args) => sim_task(&args),
        Task::Demo => demo::run(),
        Task::Bench(args) => {
            run::check(&mut run::cargo(&["build", "--release", "--locked", "--package", "watchpost"]))?;
            let mut cargo = run::cargo(&["run", "--release", "--locked", "--package", "bench", "--"]);
            run::check(cargo.args(args.rest))
        }
    }
}

#[cfg(feature = "product")]
fn gen_task(args: &GenArgs) -> anyhow::Result<()> {
    generate::run(&run::root()?, args.check)
}

#[cfg(feature = "product")]
fn pages_task(args: &PagesArgs) -> anyhow::Result<()> {
    generate::pages::write(&run::root()?, &args.to)
}

#[cfg(feature = "product")]
fn sim_task(args: &SimArgs) -> anyhow::Result<()> {
    sim::run(args.from, args.seeds)
}

#[cfg(not(feature = "product"))]
fn gen_task(args: &GenArgs) -> anyhow::Result<()> {
    let mut again = with_product(&["gen"]);
    if args.check {
        again.arg("--check");
    }
    run::check(&mut again)
}

#[cfg(not(feature = "product"))]
fn pages_task(args: &PagesArgs) -> anyhow::Result<()> {
    run::check(with_product(&["pages"]).arg(&args.to))
}

#[cfg(not(feature = "product"))]
fn sim_task(args: &SimArgs) -> anyhow::Result<()> {
    let (seeds, from) = (args.seeds.to_string(), args.from.to_string());
    run::check(&mut with_product(&["sim", "--seeds", &seeds, "--from", &from]))
}

/// This program again, with Watchpost compiled in.
#[cfg(not(feature = "product"))]
fn with_product(args: &[&str]) -> std::process::Command {
    let mut cargo = run::cargo(&["run", "--quiet", "--locked", "--package", "xtask", "--features", "product", "--"]);
    cargo.args(args);
    cargo
}
