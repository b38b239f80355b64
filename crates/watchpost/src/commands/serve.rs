//! `watchpost serve`: wire everything together, run, reload, drain.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use watchpost_checks::{Check, Checker};
use watchpost_core::ports::{BoxFuture, CheckNow, Clock, Health};
use watchpost_core::{Definition, Observation};
use watchpost_engine::{Engine, Parts, SystemClock};
use watchpost_store::Views;
use watchpost_web::{BaseUrl, LiveHub, WebState};

use crate::cli::ServeArgs;
use crate::commands::{Failure, Outcome, print};
use crate::config::{Loaded, Settings, Source};
use crate::standing::Site;
use crate::{config, control, logging, wiring};

/// Exit status when a station panicked: whoever runs us starts us again.
const FALLEN: u8 = 70;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1_024;
/// While there is no configuration, there is a look for one so often: it is taken over within two seconds.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pages under way at shutdown get so long beyond the engine's own drain.
const PAGES_DRAIN_MAX: Duration = Duration::from_secs(8);

/// Runs until told to stop.
pub async fn run(args: ServeArgs) -> Outcome {
    only_what_is_built(&args)?;
    let mut signals = Signals::new()?;
    // Watched before it is read: a change in between is noticed.
    let mut changes = config::watch(&config::find(args.config.config.as_deref()));
    let loaded = config::find_and_load(args.config.config.as_deref()).map_err(Failure::usage)?;
    logging::start(&loaded.settings.log)?;
    let folder = config::data_folder(args.data.data.as_deref(), &loaded);
    let wanted = if args.listen.is_empty() { loaded.settings.server.listen.clone() } else { args.listen.clone() };
    let listeners = wanted.iter().map(listen).collect::<anyhow::Result<Vec<_>>>()?;
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>();
    let addresses = addresses.context("cannot tell what we listen on")?;
    let running = tokio::select! { biased;
        // A store that takes no writes would hold us here for ever, and nothing was begun that is to be drained.
        () = signals.told_to_stop() => return Ok(ExitCode::SUCCESS),
        running = Running::start(args, loaded, folder, addresses.clone()) => running?,
    };
    let pages = running.serve_pages(listeners);
    announce(&addresses, running.base_url.as_deref())?;
    let status = running.until_told(&mut signals, &mut changes).await;
    running.stop(pages).await;
    Ok(status)
}

fn only_what_is_built(args: &ServeArgs) -> Result<(), Failure> {
    let mut roles: Vec<&str> = args.roles.split(',').map(str::trim).collect();
    roles.sort_unstable();
    if roles != ["agent", "core", "web"] {
        return Err(Failure::usage("`--roles` other than core,web,agent are not supported yet in this version"));
    }
    if args.region != "local" {
        return Err(Failure::usage("`--region` other than local is not supported yet in this version"));
    }
    Ok(())
}

fn listen(address: &SocketAddr) -> anyhow::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let open = || {
        let socket = Socket::new(Domain::for_address(*address), Type::STREAM, Some(Protocol::TCP))?;
        // A restart must not wait for connections of the life before.
        socket.set_reuse_address(true)?;
        socket.bind(&(*address).into())?;
        socket.listen(BACKLOG)?;
        Ok::<TcpListener, std::io::Error>(socket.into())
    };
    open().with_context(|| {
        format!("cannot listen on {address}; choose another with --listen or server.listen in the configuration")
    })
}

/// The one line on standard output: where to look.
fn announce(addresses: &[SocketAddr], base_url: Option<&str>) -> Result<(), Failure> {
    for address in addresses {
        print(&format!("Watchpost listens on http://{address}/"))?;
        if address.ip().is_loopback() {
            tracing::info!(%address, "listening on loopback: there are no accounts yet, so only this machine can look");
        } else {
            tracing::warn!(%address, "listening beyond this machine without accounts: whoever reaches it sees everything");
        }
    }
    if let Some(url) = base_url {
        print(&format!("People reach it at {url}"))?;
    }
    Ok(())
}

/// Checks go on while a new configuration brings other roots or another address rule.
struct CheckAsConfigured(ArcSwap<Checker>);

impl Check for CheckAsConfigured {
    fn check<'a>(&'a self, definition: &'a Definition) -> BoxFuture<'a, Observation> {
        let checker = self.0.load_full();
        Box::pin(async move { checker.check(definition).await })
    }
}

/// All that runs.
struct Running {
    args: ServeArgs,
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    checks: Arc<CheckAsConfigured>,
    engine: Arc<Engine>,
    hub: Arc<LiveHub>,
    site: Arc<Site>,
    web: WebState,
    base_url: Option<String>,
    settings: ArcSwap<Settings>,
    /// Where the running configuration was read.
    source: ArcSwap<Source>,
    stop: CancellationToken,
}

impl Running {
    async fn start(
        args: ServeArgs,
        loaded: Loaded,
        folder: PathBuf,
        addresses: Vec<SocketAddr>,
    ) -> Result<Running, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let base_url = loaded.settings.server.base_url.clone();
        let base = base_url.as_deref().map(BaseUrl::parse).transpose().map_err(Failure::usage)?;
        let store = wiring::open_store(&loaded.settings, &folder).await?;
        let checker = wiring::checker(&loaded.settings, Arc::clone(&clock))?;
        let checks = Arc::new(CheckAsConfigured(ArcSwap::from_pointee(checker)));
        let hub = Arc::new(LiveHub::new(Arc::clone(&clock)));
        let parts = Parts {
            store: Arc::clone(&store),
            check: Arc::clone(&checks) as Arc<dyn Check>,
            clock: Arc::clone(&clock),
            publish: Arc::clone(&hub) as Arc<dyn watchpost_core::ports::Publish>,
        };
        let options = wiring::engine_options(&loaded.settings);
        let engine = Engine::start(parts, options).await.context("cannot read the store")?;
        let engine = Arc::new(engine);
        let site = Arc::new(Site::new(&loaded, addresses, clock.now()));
        let stop = CancellationToken::new();
        let web = WebState {
            views: store as Arc<dyn Views>,
            check_now: Arc::clone(&engine) as Arc<dyn CheckNow>,
            health: Arc::clone(&engine) as Arc<dyn Health>,
            clock: Arc::clone(&clock),
            hub: Arc::clone(&hub),
            standing: Arc::clone(&site) as Arc<dyn watchpost_web::Standing>,
            base_url: base,
            stop: stop.clone(),
        };
        let monitors = loaded.monitors.len();
        engine.apply(loaded.monitors).await.context("cannot apply the configuration")?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), monitors, data = %folder.display(), "started");
        let settings = ArcSwap::from_pointee(loaded.settings);
        let source = ArcSwap::from_pointee(loaded.source);
        Ok(Running { args, folder, clock, checks, engine, hub, site, web, base_url, settings, source, stop })
    }

    /// Starts the listeners of TCP and of the control socket.
    fn serve_pages(&self, listeners: Vec<TcpListener>) -> tokio::task::JoinHandle<()> {
        let router = watchpost_web::router(self.web.clone());
        let (stop, folder) = (self.stop.clone(), self.folder.clone());
        tokio::spawn(async move {
            let local = control::serve(folder, router.clone(), stop.clone());
            let pages = watchpost_web::serve_within(wiring::page_limits(), listeners, router, stop.clone());
            let (local, pages) = tokio::join!(local, pages);
            if let Err(e) = local {
                tracing::warn!("other commands cannot talk to this server: {e:#}");
            }
            if let Err(e) = pages {
                tracing::error!(error = %e, "the pages stopped");
            }
        })
    }

    /// Reloads whenever asked, until told to stop: also amid a reload, which a store without room holds up.
    async fn until_told(&self, signals: &mut Signals, changes: &mut config::Watcher) -> ExitCode {
        let Signals { terminate, interrupt, hangup } = signals;
        tokio::select! { biased;
            name = self.engine.fallen() => {
                tracing::error!(station = name, "a station fell; stopping so that a fresh process can go on");
                ExitCode::from(FALLEN)
            }
            _ = terminate.recv() => {
                tracing::info!("told to stop: draining");
                ExitCode::SUCCESS
            }
            _ = interrupt.recv() => {
                tracing::info!("interrupted: draining");
                ExitCode::SUCCESS
            }
            never = self.keep_up(hangup, changes) => match never {},
        }
    }

    /// Reloads whenever asked, for ever.
    async fn keep_up(&self, hangup: &mut Signal, changes: &mut config::Watcher) -> Infallible {
        let mut nowhere = changes.watches_nothing();
        loop {
            tokio::select! { biased;
                _ = hangup.recv() => self.reload().await,
                Some(()) = changes.recv() => self.reload().await,
                () = appeared(self.args.config.config.as_deref()), if nowhere => {
                    let source = config::find(self.args.config.config.as_deref());
                    (nowhere, *changes) = (false, config::watch(&source));
                    self.reload().await;
                }
            }
        }
    }

    /// Takes over what the file says now, or keeps what there is and says why.
    async fn reload(&self) {
        // Once found, it stays there: a file that goes is not an empty configuration, nor one of another folder.
        let known = self.source.load().path().map(Path::to_path_buf);
        let path = known.or_else(|| self.args.config.config.clone());
        let read = tokio::task::spawn_blocking(move || config::find_and_load(path.as_deref())).await;
        let outcome = match read {
            Ok(Ok(loaded)) => self.take_over(loaded).await.map_err(|e| format!("{e:#}")),
            Ok(Err(problems)) => Err(problems.to_string()),
            Err(e) => Err(format!("reading the configuration panicked: {e}")),
        };
        if let Err(text) = outcome {
            tracing::error!("the configuration was refused, the one before goes on: {text}");
            self.site.refused(text, self.clock.now());
        }
        self.hub.status_changed();
    }

    async fn take_over(&self, loaded: Loaded) -> anyhow::Result<()> {
        let old = self.settings.load();
        if loaded.files.is_empty() && **self.source.load() != Source::Nothing {
            anyhow::bail!("there are no configuration files in {}", loaded.source);
        }
        if loaded.settings.network != old.network {
            self.checks.0.store(Arc::new(wiring::checker(&loaded.settings, Arc::clone(&self.clock))?));
        }
        for section in needs_restart(&old, &loaded.settings) {
            tracing::warn!(section, "changed in the configuration: takes effect at the next start");
        }
        let plan = self.engine.apply(loaded.monitors.clone()).await?;
        self.site.taken_over(&loaded, self.clock.now());
        self.settings.store(Arc::new(loaded.settings));
        self.source.store(Arc::new(loaded.source));
        let (added, changed, removed) = (plan.added.len(), plan.changed.len(), plan.removed.len());
        tracing::info!(added, changed, removed, "configuration taken over");
        Ok(())
    }

    async fn stop(self, pages: tokio::task::JoinHandle<()>) {
        self.engine.stop().await;
        self.stop.cancel();
        if tokio::time::timeout(PAGES_DRAIN_MAX, pages).await.is_err() {
            tracing::warn!("some pages did not end in time");
        }
        tracing::info!("stopped");
    }
}

/// Resolves when there is a configuration where there was none.
async fn appeared(named: Option<&Path>) {
    while config::find(named) == Source::Nothing {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Sections that are read at the start only, where they differ.
fn needs_restart(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let pairs =
        [("server", old.server != new.server), ("log", old.log != new.log), ("storage", old.storage != new.storage)];
    pairs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Signals> {
        let on = |kind| signal(kind).context("cannot listen for signals");
        Ok(Signals {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            hangup: on(SignalKind::hangup())?,
        })
    }

    /// Resolves when whoever runs us wants us to end.
    async fn told_to_stop(&mut self) {
        tokio::select! { biased;
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
