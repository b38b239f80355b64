//! What Watchpost costs, measured beside wrk and blackbox_exporter in the same minute. `make bench` runs it and writes
//! docs/benchmarks.md.
//!
//! * [`target`] is what everything is aimed at: a process of its own, with known delays and full TLS handshakes.
//! * [`product`] is the release binary on a configuration in a folder; [`peers`] are the other programs.
//! * [`rows`] has a file for each kind of figure; [`table`] and [`page`] write them down.
//!
//! All share the machine, so rates say what a check costs, not what a network would carry. Measured programs take turns
//! in rounds, so that what else happens on the machine happens to all of them.
#![expect(clippy::print_stdout, reason = "a tool for the terminal")]

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};

mod child;
mod client;
mod machine;
mod page;
mod peers;
mod proc;
mod product;
mod rows;
mod table;
mod target;

use rows::{Bench, ROWS, Row};

#[derive(Parser)]
#[command(about = "What Watchpost costs, measured beside its peers", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    args: Measure,
}

#[derive(Subcommand)]
enum Part {
    /// Serve as the target until the process that started it ends; prints the ports in clear and over TLS.
    #[command(hide = true)]
    Target {
        /// Its certificate, PEM.
        certificate: PathBuf,
        /// Its key, PEM.
        key: PathBuf,
    },
}

#[derive(Args)]
struct Measure {
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=80))]
    seconds: u64,
    /// Rounds of each row; the table has their median, least and most.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: u64,
    /// Only these rows, by name; all when absent.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Write docs/benchmarks.md, too.
    #[arg(long, conflicts_with = "only")]
    write: bool,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.part {
        Some(Part::Target { certificate, key }) => target::run(&certificate, &key),
        None => measure(&cli.args),
    }
}

fn measure(args: &Measure) -> anyhow::Result<()> {
    let chosen = chosen(&args.only)?;
    peers::installed()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("bench lies in the repository's root")?;
    let release = std::env::current_exe()?.parent().context("a program lies in a folder")?.to_owned();
    let binary = release.join("watchpost");
    anyhow::ensure!(binary.is_file(), "{} is missing; cargo xtask bench builds it", binary.display());
    let rounds = usize::try_from(args.rounds)?;
    let bench = Bench { seconds: args.seconds, rounds, binary, work: release };
    let load = machine::load();
    let (mut figures, mut failed) = (Vec::new(), Vec::new());
    for row in chosen {
        say(&format!("== {}: {}", row.name, row.what));
        match (row.run)(&bench) {
            Ok(found) => figures.extend(found),
            // The other rows are measured all the same.
            Err(error) => {
                say(&format!("{} failed: {error:#}", row.name));
                failed.push(row.name);
            }
        }
    }
    println!("\n{}", table::markdown(&figures));
    let page = page::page(&page::Measured { figures: &figures, root, args: (args.seconds, rounds), load: &load });
    if !failed.is_empty() {
        bail!("not measured: {}", failed.join(", "));
    }
    if args.write {
        std::fs::write(root.join("docs/benchmarks.md"), page)?;
        println!("written to docs/benchmarks.md");
    }
    Ok(())
}

fn chosen(only: &[String]) -> anyhow::Result<Vec<&'static Row>> {
    if let Some(unknown) = only.iter().find(|name| !ROWS.iter().any(|row| row.name == **name)) {
        let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        bail!("`{unknown}` is no row; there are {}", names.join(", "));
    }
    Ok(ROWS.iter().filter(|row| only.is_empty() || only.iter().any(|name| name == row.name)).collect())
}

/// A line for whoever waits.
fn say(text: &str) {
    println!("{text}");
}
