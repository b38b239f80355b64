//! What every check is given: its one deadline, the stage it is in, the observation it fills, and shared services.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderValue;
use tokio::time::Instant;
use watchpost_core::observe::{End, Failure, FailureKind, STEPS_MAX, TraceStep, micros};
use watchpost_core::ports::Clock;
use watchpost_core::{Fault, FaultCode, Observation, Spec, Stage};

use crate::failure::Cause;
use crate::guard::Guard;
use crate::icmp::Pinger;
use crate::resolve::Resolver;
use crate::throttle::Throttle;
use crate::tls::TlsClient;
use crate::{CheckerOptions, SetupError};

/// What all checks share.
pub(crate) struct Services {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) resolver: Resolver,
    pub(crate) guard: Guard,
    pub(crate) throttle: Throttle,
    pub(crate) tls: TlsClient,
    pub(crate) pinger: Pinger,
    pub(crate) user_agent: HeaderValue,
}

impl Services {
    pub(crate) fn new(options: CheckerOptions) -> Result<Services, SetupError> {
        Ok(Services {
            tls: TlsClient::new(&options.ca_files, Arc::clone(&options.clock))?,
            clock: options.clock,
            resolver: Resolver::new(options.nameservers),
            guard: Guard::new(options.private_targets),
            throttle: Throttle::new(options.starts_per_host),
            pinger: Pinger::new(),
            user_agent: HeaderValue::from_str(&options.user_agent).map_err(SetupError::UserAgent)?,
        })
    }
}

/// Why a check ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The target, or the way to it.
    Failed(Failure),
    /// We stopped ourselves.
    Fault(Fault),
}

/// Waiting for a place in the throttle longer than this share of the timeout makes a timeout our own doing.
const WAITED_SHARE: u32 = 10;
/// Checks that end by their own count (bursts, dialogues, DNS) do so this much before the deadline, so that what
/// they have seen is judged rather than the clock.
const MARGIN_MAX: Duration = Duration::from_millis(20);

/// One check's context.
pub(crate) struct Context<'a> {
    pub(crate) services: &'a Services,
    pub(crate) seen: Observation,
    timeout: Duration,
    began: Instant,
    stage: Stage,
    stage_began: Instant,
    /// Time spent waiting for the throttle: not the target's.
    waited: Duration,
    /// What is being tried, for the trace.
    doing: Option<(String, Instant)>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(services: &'a Services, timeout: Duration) -> Context<'a> {
        Context {
            services,
            seen: Observation::begin(services.clock.now()),
            timeout,
            began: Instant::now(),
            stage: Stage::Connect,
            stage_began: Instant::now(),
            waited: Duration::ZERO,
            doing: None,
        }
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// When the check is cut off.
    pub(crate) fn deadline(&self) -> Instant {
        self.began + self.timeout
    }

    /// Shortly before the deadline, for checks that end by their own count.
    pub(crate) fn nearly(&self) -> Instant {
        self.deadline() - MARGIN_MAX.min(self.timeout / 20)
    }

    /// What is left until the deadline.
    pub(crate) fn left(&self) -> Duration {
        self.deadline().saturating_duration_since(Instant::now())
    }

    /// Enters a stage; the result goes to [`Context::leave`].
    pub(crate) fn enter(&mut self, stage: Stage) -> Instant {
        self.stage = stage;
        self.stage_began = Instant::now();
        self.stage_began
    }

    /// Adds the time since `began` to the stage.
    pub(crate) fn leave(&mut self, stage: Stage, began: Instant) {
        self.seen.timings.add(stage, began.elapsed());
    }

    /// The stop that a cause makes in the current stage.
    pub(crate) fn stop(&self, cause: Cause) -> Stop {
        self.stop_in(self.stage, cause)
    }

    /// The stop that a cause makes in a stage. A broken TLS handshake belongs to its stage wherever it is noticed.
    pub(crate) fn stop_in(&self, stage: Stage, cause: Cause) -> Stop {
        let kind = match cause {
            Cause::Own(fault) => return Stop::Fault(fault),
            Cause::TimedOut => FailureKind::Timeout(self.elapsed()),
            Cause::Target(kind) => kind,
        };
        let stage = match kind {
            FailureKind::Handshake(_) | FailureKind::Certificate(_) => Stage::Tls,
            _ => stage,
        };
        Stop::Failed(Failure { stage, kind })
    }

    /// The failure of a kind in the current stage.
    pub(crate) fn fail(&self, kind: FailureKind) -> Stop {
        self.stop(Cause::Target(kind))
    }

    /// What an I/O error means in the current stage.
    pub(crate) fn io(&self, error: &std::io::Error) -> Stop {
        self.stop(crate::failure::of_chain(error, self.v6()))
    }

    /// The peer's address is an IPv6 one.
    pub(crate) fn v6(&self) -> bool {
        self.seen.address.is_some_and(|address| address.is_ipv6())
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed().saturating_sub(self.waited)
    }

    /// Waits for a place among the connection starts of a host.
    pub(crate) async fn await_turn(&mut self, address: IpAddr) -> Result<(), Stop> {
        let Some(wait) = self.services.throttle.reserve(address, self.left() / 2) else {
            let text = format!("too many checks of {address} at once");
            return Err(Stop::Fault(Fault::new(FaultCode::Overloaded, text)));
        };
        if wait > Duration::ZERO {
            let began = Instant::now();
            tokio::time::sleep(wait).await;
            self.waited += began.elapsed();
        }
        Ok(())
    }

    /// Begins a step of the trace; a step still open is ended as abandoned.
    pub(crate) fn begin_step(&mut self, what: String) {
        self.end_step("abandoned");
        self.doing = Some((what, Instant::now()));
    }

    /// Ends the open step.
    pub(crate) fn end_step(&mut self, outcome: impl Into<String>) {
        if let Some((what, began)) = self.doing.take() {
            self.step(what, began, outcome);
        }
    }

    /// Adds a whole step to the trace.
    pub(crate) fn step(&mut self, what: String, began: Instant, outcome: impl Into<String>) {
        if self.seen.steps.len() < STEPS_MAX {
            self.seen.steps.push(TraceStep {
                what,
                after: began.saturating_duration_since(self.began),
                took: began.elapsed(),
                outcome: outcome.into(),
            });
        }
    }

    /// The address being talked to.
    pub(crate) fn at(&mut self, address: SocketAddr) {
        self.seen.address = Some(address);
    }

    /// The deadline passed: in this stage by the target's doing, or by ours when we kept it waiting or woke up late.
    pub(crate) fn timed_out(&mut self, late_max: Duration) -> Stop {
        match (self.doing.is_some(), self.stage, self.seen.address) {
            // The dialer notes its attempts when they end; this one did not.
            (false, Stage::Connect, Some(address)) => {
                self.step(format!("connect {address}"), self.stage_began, "timeout");
            }
            _ => self.end_step("timeout"),
        }
        let late = Instant::now().saturating_duration_since(self.deadline());
        if late > late_max || self.waited > self.timeout / WAITED_SHARE {
            let text = "this machine is too busy: the check could not be given its time";
            return Stop::Fault(Fault::new(FaultCode::Overloaded, text));
        }
        self.stop(Cause::TimedOut)
    }

    /// Closes the observation.
    pub(crate) fn finish(mut self, ended: Result<(), Stop>, spec: &Spec) -> Observation {
        let elapsed = self.elapsed();
        self.end_step(if ended.is_ok() { "ok" } else { "failed" });
        // A burst and a datagram have a time of their own, which may be none.
        let timed_itself = matches!(spec, Spec::Icmp(_) | Spec::Udp(_)) && ended.is_ok();
        if !timed_itself {
            self.seen.timings.total = Some(micros(elapsed));
        }
        self.seen.end = match ended {
            Ok(()) => End::Complete,
            Err(Stop::Failed(failure)) => End::Failed(failure),
            Err(Stop::Fault(fault)) => End::Fault(fault),
        };
        self.seen
    }
}
