//! `watchpost config check|schema|plan|show`.

use std::process::ExitCode;

use serde_json::{Value, json};
use watchpost_core::plan::{Changed, Plan, plan};

use crate::cli::{ConfigCommand, ConfigOnly, PlanArgs};
use crate::commands::{Failure, Outcome, counted, print};
use crate::{config, wiring};

/// Runs one of the configuration commands.
pub async fn run(command: ConfigCommand) -> Outcome {
    match command {
        ConfigCommand::Check(args) => check(&args),
        ConfigCommand::Schema => print(&pretty(&config::schema())),
        ConfigCommand::Plan(args) => plan_command(&args).await,
        ConfigCommand::Show(args) => show(&args),
    }
}

fn check(args: &ConfigOnly) -> Outcome {
    match config::find_and_load(args.config.config.as_deref()) {
        Ok(loaded) => {
            let monitors = loaded.monitors.len();
            let place = loaded.source.to_string();
            match args.json {
                true => print(&json!({ "ok": true, "source": place, "monitors": monitors }).to_string()),
                false => print(&format!("{place}: ok, {}", counted(monitors, "monitor"))),
            }
        }
        Err(problems) if args.json => {
            print(&json!({ "ok": false, "problems": problems.to_string() }).to_string())?;
            Ok(ExitCode::from(crate::commands::USAGE))
        }
        Err(problems) => Err(Failure::usage(problems)),
    }
}

fn show(args: &ConfigOnly) -> Outcome {
    let loaded = config::find_and_load(args.config.config.as_deref()).map_err(Failure::usage)?;
    match args.json {
        true => print(&pretty(&config::effective(&loaded))),
        false => print(&config::effective_yaml(&loaded)),
    }
}

async fn plan_command(args: &PlanArgs) -> Outcome {
    let loaded = config::find_and_load(args.config.config.as_deref()).map_err(Failure::usage)?;
    let folder = config::data_folder(args.data.data.as_deref(), &loaded);
    let known = match wiring::open_read_only(&loaded.settings, &folder).await? {
        Some(store) => store.known().await.map_err(|e| Failure::from(anyhow::Error::new(e)))?,
        None => Vec::new(),
    };
    let plan = plan(known, loaded.monitors);
    match args.json {
        true => print(&pretty(&plan_json(&plan))),
        false => print(&plan_text(&plan)),
    }
}

fn plan_text(plan: &Plan) -> String {
    let mut rows = Vec::new();
    for added in &plan.added {
        let d = &added.definition;
        rows.push(format!("+ {}  {} {}", d.id, d.kind(), d.spec.target()));
    }
    for changed in &plan.changed {
        rows.push(match changed.renamed() {
            true => format!("~ {} -> {}  (renamed, history kept)", changed.from.id, changed.to.definition.id),
            false => format!("~ {}", changed.from.id),
        });
        rows.extend(
            changed
                .differences
                .iter()
                .map(|d| format!("    {}: {} -> {}", d.key, value_text(d.from.as_ref()), value_text(d.to.as_ref()))),
        );
    }
    for removed in &plan.removed {
        rows.push(format!("- {}  {} {}  (history kept)", removed.id, removed.kind, removed.target));
    }
    let (added, changed, removed) = (plan.added.len(), plan.changed.len(), plan.removed.len());
    rows.push(match plan.is_empty() {
        true => format!("Nothing would change: {} as applied.", counted(plan.unchanged.len(), "monitor")),
        false => {
            format!("{added} to add, {changed} to change, {removed} to remove, {} unchanged.", plan.unchanged.len())
        }
    });
    rows.join("\n")
}

fn value_text(value: Option<&Value>) -> String {
    value.map_or_else(|| "(not set)".to_owned(), Value::to_string)
}

fn plan_json(plan: &Plan) -> Value {
    let changed = |c: &Changed| {
        let differences: Vec<Value> =
            c.differences.iter().map(|d| json!({ "key": d.key, "from": d.from, "to": d.to })).collect();
        json!({
            "id": c.to.definition.id.as_str(), "was": c.from.id.as_str(), "renamed": c.renamed(),
            "rekinded": c.rekinded(), "differences": differences,
        })
    };
    json!({
        "added": plan.added.iter().map(|w| w.definition.id.as_str()).collect::<Vec<_>>(),
        "changed": plan.changed.iter().map(changed).collect::<Vec<_>>(),
        "removed": plan.removed.iter().map(|k| k.id.as_str()).collect::<Vec<_>>(),
        "unchanged": plan.unchanged.len(),
    })
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}
