//! `watchpost run-once`: every active monitor once, for cron.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt};
use watchpost_core::ports::{Clock, News, Publish};
use watchpost_core::{Definition, Timestamp};
use watchpost_engine::{Parts, SystemClock, once};
use watchpost_wire::api::{CheckOutput, Verdict};

use crate::cli::RunOnceArgs;
use crate::commands::{Failure, Outcome, print};
use crate::config::Loaded;
use crate::control::Client;
use crate::{config, logging, wiring};

/// Requests to the running server at once.
const ASKED_AT_ONCE: usize = 32;

/// A monitor that is being checked when it is asked for, or a server that is too busy, is asked again after this time,
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// and no more so long after the monitor's own timeout: a check under way has ended by then.
const AGAIN_BEYOND: Duration = Duration::from_secs(10);

/// Runs every active monitor once, here or in the server that runs already.
pub async fn run(args: RunOnceArgs) -> Outcome {
    let loaded = config::find_and_load(args.config.config.as_deref()).map_err(Failure::usage)?;
    logging::start(&loaded.settings.log)?;
    let folder = config::data_folder(args.data.data.as_deref(), &loaded);
    let outputs = match Client::find(&folder).await {
        Some(server) => ask(&server, &loaded).await?,
        None => here(loaded, &folder).await?,
    };
    let text = match args.json {
        true => json_lines(&outputs)?,
        false => lines(&outputs, SystemClock.now()),
    };
    if !text.is_empty() {
        print(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Nobody is looking.
struct Nobody;

impl Publish for Nobody {
    fn committed(&self, _news: &[News]) {}
    fn redefined(&self) {}
}

async fn here(loaded: Loaded, folder: &std::path::Path) -> Result<Vec<CheckOutput>, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = wiring::open_store(&loaded.settings, folder).await?;
    let check = Arc::new(wiring::checker(&loaded.settings, Arc::clone(&clock))?);
    let options = wiring::engine_options(&loaded.settings);
    let parts = Parts { store: Arc::clone(&store), check, clock: Arc::clone(&clock), publish: Arc::new(Nobody) };
    let outcomes = once::run_once(parts, loaded.monitors).await.context("the results could not be recorded")?;
    watchpost_engine::retain::once(&*store, clock.now(), options).await;
    store.close().await.context("the store did not close cleanly")?;
    Ok(outcomes.iter().map(|o| CheckOutput::of(&o.monitor, o.state.shown(), &o.result)).collect())
}

/// Asks the running server for each of its active monitors.
async fn ask(server: &Client, loaded: &Loaded) -> Result<Vec<CheckOutput>, Failure> {
    let active = loaded.monitors.iter().filter(|w| w.definition.active);
    let asked = futures_util::stream::iter(active.map(|w| ask_for(server, &w.definition))).buffered(ASKED_AT_ONCE);
    let outputs: Vec<Option<CheckOutput>> = asked.try_collect().await?;
    Ok(outputs.into_iter().flatten().collect())
}

async fn ask_for(server: &Client, definition: &Definition) -> anyhow::Result<Option<CheckOutput>> {
    let path = format!("/api/v1/monitors/{}/check", wiring::encode(definition.id.as_str()));
    let until = tokio::time::Instant::now() + definition.timeout + AGAIN_BEYOND;
    let (status, body) = loop {
        let (status, body) = server.request(http::Method::POST, &path).await?;
        match status.as_u16() {
            409 | 503 if tokio::time::Instant::now() < until => tokio::time::sleep(AGAIN_AFTER).await,
            _ => break (status, body),
        }
    };
    match status.as_u16() {
        200 => Ok(Some(serde_json::from_slice(&body).context("the server's answer cannot be read")?)),
        // It is being checked all the time, or is not, or paused, in the running configuration.
        404 | 409 => {
            tracing::warn!(monitor = %definition.id, answer = %String::from_utf8_lossy(&body), "not checked");
            Ok(None)
        }
        _ => anyhow::bail!("the running server answered {status}: {}", String::from_utf8_lossy(&body)),
    }
}

fn json_lines(outputs: &[CheckOutput]) -> Result<String, Failure> {
    let lines: Result<Vec<String>, _> = outputs.iter().map(serde_json::to_string).collect();
    Ok(lines.map_err(anyhow::Error::new)?.join("\n"))
}

/// A line per monitor and a closing one. A time is shown when the target answered, also if with an error.
fn lines(outputs: &[CheckOutput], now: Timestamp) -> String {
    let mut lines = vec![now.to_string()];
    lines.extend(outputs.iter().map(|o| {
        let (word, answered) = match o.result.verdict {
            Verdict::Pass | Verdict::Degraded => ("ONLINE", true),
            Verdict::Fail => ("OFFLINE", o.result.http.as_ref().is_some_and(|http| http.status.is_some())),
            Verdict::Inconclusive => ("UNKNOWN", false),
        };
        let took = o.result.timings_us.total.filter(|_| answered);
        let took = took.map_or_else(|| "-".to_owned(), |us| format!("{}ms", us / 1_000));
        let why = o.result.reason.as_ref().map(|r| format!("  {}", r.text)).unwrap_or_default();
        format!("{word:<8} {took:>7}  {}{why}", o.monitor.name)
    }));
    let online = outputs.iter().filter(|o| matches!(o.result.verdict, Verdict::Pass | Verdict::Degraded)).count();
    lines.push(format!("{online} of {} online", outputs.len()));
    lines.join("\n")
}
