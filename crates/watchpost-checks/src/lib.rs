//! Checks: one file per protocol. They measure and report what they saw; the core judges.
//!
//! * [`Checker`] holds what all checks share: resolver, address guard, throttle, TLS roots, ICMP sockets.
//! * A check gets a context with its one deadline; whatever it has found out when time is up stays in the
//!   observation.
//! * Failures are told by matching error kinds, never by reading an error's text. What is our own trouble (no file
//!   handles, no permission, overload) ends as a fault and is never the target's failure.

mod context;
mod dial;
mod dns;
mod failure;
#[doc(hidden)]
pub mod fuzz;
mod guard;
mod http;
mod icmp;
mod resolve;
mod tcp;
mod throttle;
mod tls;
mod udp;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use watchpost_core::ports::{BoxFuture, Clock};
use watchpost_core::{Definition, Observation, Spec};

use crate::context::{Context, Services};

pub use dns::{ProbedServer, probe_resolver};
pub use guard::PrivateTargets;
pub use icmp::{IcmpAccess, probe_icmp};
pub use throttle::StartsPerHost;

/// Runs checks. The real one speaks the protocols; the simulation has a network of its own.
pub trait Check: Send + Sync + 'static {
    /// Runs one check to its end, which comes at the definition's timeout at the latest. Never fails: what goes wrong
    /// is part of the observation.
    fn check<'a>(&'a self, definition: &'a Definition) -> BoxFuture<'a, Observation>;
}

/// What a [`Checker`] is made with.
#[derive(Clone)]
pub struct CheckerOptions {
    /// Tells when a check began, and against what certificates are valid.
    pub clock: Arc<dyn Clock>,
    /// PEM files with certificates that are trusted beside the system's: authorities, or a server's own certificate.
    pub ca_files: Vec<PathBuf>,
    /// Whether loopback, private and link-local addresses may be contacted.
    pub private_targets: PrivateTargets,
    /// How fast connections to one address are started.
    pub starts_per_host: StartsPerHost,
    /// Name servers to ask instead of the system's (`/etc/resolv.conf`).
    pub nameservers: Option<Vec<SocketAddr>>,
    /// The `User-Agent` of HTTP requests, such as `Watchpost/1.2`.
    pub user_agent: String,
}

impl CheckerOptions {
    /// The defaults with this clock: the system's roots and resolver, private targets allowed, `Watchpost/<version>`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> CheckerOptions {
        CheckerOptions {
            clock,
            ca_files: Vec::new(),
            private_targets: PrivateTargets::Allow,
            starts_per_host: StartsPerHost::default(),
            nameservers: None,
            user_agent: concat!("Watchpost/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Why a [`Checker`] cannot be made: all of it is wrong configuration.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file of `ca_files` cannot be read or is not PEM.
    #[error("cannot read certificates from {}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// A file of `ca_files` has no certificate in it.
    #[error("{} contains no certificate (PEM, BEGIN CERTIFICATE)", .0.display())]
    CaFileEmpty(PathBuf),
    /// A certificate of `ca_files` cannot be used as a root.
    #[error("{} contains a certificate that cannot be used", path.display())]
    CaCertificate {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The `User-Agent` has characters that cannot be sent.
    #[error("the user agent cannot be sent as a header")]
    UserAgent(#[source] ::http::header::InvalidHeaderValue),
}

/// Runs real checks over the network. Cheap to share; its sockets and caches belong to the tokio runtime of its
/// first check.
pub struct Checker {
    services: Services,
}

impl Checker {
    /// Sets up what the checks share. Reads the system's certificates: some 10 ms.
    ///
    /// # Errors
    /// When a CA file or the user agent cannot be used.
    pub fn new(options: CheckerOptions) -> Result<Checker, SetupError> {
        Ok(Checker { services: Services::new(options)? })
    }
}

impl Check for Checker {
    fn check<'a>(&'a self, definition: &'a Definition) -> BoxFuture<'a, Observation> {
        Box::pin(run(&self.services, definition))
    }
}

/// After the deadline a timer may fire this late; later than that it is our own machine that is too busy, and the
/// target is not to blame.
const LATE_MAX: Duration = Duration::from_millis(500);

async fn run(services: &Services, definition: &Definition) -> Observation {
    let mut cx = Context::new(services, definition.timeout);
    let deadline = cx.deadline();
    let work = Box::pin(check(&mut cx, definition));
    match tokio::time::timeout_at(deadline, work).await {
        Ok(ended) => cx.finish(ended, &definition.spec),
        Err(_) => {
            let stop = cx.timed_out(LATE_MAX);
            cx.finish(Err(stop), &definition.spec)
        }
    }
}

/// The one match over what can be checked.
async fn check(cx: &mut Context<'_>, definition: &Definition) -> Result<(), context::Stop> {
    match &definition.spec {
        Spec::Http(spec) => http::check(cx, spec, definition.expect.needs_body()).await,
        Spec::Tcp(spec) => tcp::check(cx, spec).await,
        Spec::Tls(spec) => tls::check(cx, spec).await,
        Spec::Udp(spec) => udp::check(cx, spec).await,
        Spec::Icmp(spec) => icmp::check(cx, spec).await,
        Spec::Dns(spec) => dns::check(cx, spec).await,
    }
}
