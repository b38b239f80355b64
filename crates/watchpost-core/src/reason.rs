//! Why a result is what it is. Codes are a contract: more may be added, none is ever renamed.

use std::fmt;
use std::sync::Arc;

/// The judgement on one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All expectations are met.
    Pass,
    /// It works, yet worse than expected.
    Degraded(Reason),
    /// The target fails.
    Fail(Reason),
    /// We could not tell, and that is our own trouble: no downtime, no incident.
    Inconclusive(Fault),
}

/// Why a target fails or is degraded: a stable code, where it happened, and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Stable code for scripts.
    pub code: ReasonCode,
    /// The stage it happened in, where one can be named.
    pub stage: Option<Stage>,
    /// A short sentence with figures: "TLS handshake timed out after 5 s".
    pub text: Arc<str>,
}

impl Reason {
    /// A reason in a stage.
    #[must_use]
    pub fn new(code: ReasonCode, stage: impl Into<Option<Stage>>, text: impl Into<Arc<str>>) -> Reason {
        Reason { code, stage: stage.into(), text: text.into() }
    }
}

/// What kept us from telling: a stable code and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Stable code for scripts.
    pub code: FaultCode,
    /// A short sentence that names the remedy where there is one.
    pub text: Arc<str>,
}

impl Fault {
    /// A fault.
    #[must_use]
    pub fn new(code: FaultCode, text: impl Into<Arc<str>>) -> Fault {
        Fault { code, text: text.into() }
    }
}

/// A stage of a check, in the order they happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Name resolution.
    Dns,
    /// TCP connect, or the first packet of UDP and ICMP.
    Connect,
    /// TLS handshake.
    Tls,
    /// From the request sent to the first byte of the answer.
    Ttfb,
    /// From the first byte of the answer to its last.
    Transfer,
}

/// Declares an enum whose variants each have one stable word, with both directions of the mapping.
macro_rules! coded {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// All codes.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The stable word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }

            /// From the stable word.
            #[must_use]
            pub fn from_word(word: &str) -> Option<$name> {
                match word { $($word => Some($name::$variant),)* _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

coded! {
    /// Codes of [`Reason`].
    ReasonCode {
        /// The port answered that nobody listens.
        Refused = "refused",
        /// A stage did not end in time.
        Timeout = "timeout",
        /// The peer reset the connection.
        Reset = "reset",
        /// The peer closed the connection too early.
        Closed = "closed",
        /// No route, or the network answered that there is none.
        Unreachable = "unreachable",
        /// The name does not exist or has no address.
        DnsNotFound = "dns_not_found",
        /// The name could not be resolved.
        DnsFailure = "dns_failure",
        /// A DNS monitor's answer lacks what is expected.
        DnsAnswer = "dns_answer",
        /// The certificate has expired.
        TlsExpired = "tls_expired",
        /// The certificate expires sooner than the warning time.
        TlsExpiring = "tls_expiring",
        /// The certificate is not valid yet.
        TlsNotYetValid = "tls_not_yet_valid",
        /// The certificate's issuer is not trusted; self-signed ones too.
        TlsUnknownIssuer = "tls_unknown_issuer",
        /// The certificate is for other names.
        TlsWrongHost = "tls_wrong_host",
        /// The TLS handshake failed otherwise.
        TlsHandshake = "tls_handshake",
        /// The HTTP status is not an expected one.
        Status = "status",
        /// More redirects than allowed, or one that was seen before.
        RedirectLoop = "redirect_loop",
        /// A redirect to something that cannot be requested.
        RedirectInvalid = "redirect_invalid",
        /// The body does not meet the expectation.
        Body = "body",
        /// A response header does not meet the expectation.
        Header = "header",
        /// The JSON does not meet the expectation.
        Json = "json",
        /// Slower than allowed.
        Latency = "latency",
        /// The body is larger than `body_max` while its content is asserted.
        TooLarge = "too_large",
        /// The peer does not speak the protocol.
        Protocol = "protocol",
        /// The address may not be contacted by configuration.
        AddressDenied = "address_denied",
        /// Silence.
        NoResponse = "no_response",
        /// Too many echo requests were lost.
        Loss = "loss",
        /// A job's last run is too old or in the future.
        Stale = "stale",
        /// A job reports an error.
        JobError = "job_error",
        /// A job's report cannot be read.
        JobFormat = "job_format",
        /// A heartbeat did not come in time.
        HeartbeatMissed = "heartbeat_missed",
        /// A heartbeat reported failure.
        HeartbeatFailed = "heartbeat_failed",
        /// A pushed item was not refreshed in time.
        NotRefreshed = "not_refreshed",
    }
}

coded! {
    /// Codes of [`Fault`].
    FaultCode {
        /// The operating system does not let us send ICMP.
        NoPermission = "no_permission",
        /// We ran out of file handles.
        OutOfFiles = "out_of_files",
        /// Our own network is gone.
        OwnUplink = "own_uplink",
        /// We were not running or not awake when the tick was due.
        MissedTick = "missed_tick",
        /// We had more to do than we could.
        Overloaded = "overloaded",
        /// A defect of ours.
        Internal = "internal",
    }
}

impl Stage {
    /// All stages in the order they happen.
    pub const ALL: [Stage; 5] = [Stage::Dns, Stage::Connect, Stage::Tls, Stage::Ttfb, Stage::Transfer];

    /// The stable word, as in `timings_us`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Stage::Dns => "dns",
            Stage::Connect => "connect",
            Stage::Tls => "tls",
            Stage::Ttfb => "ttfb",
            Stage::Transfer => "transfer",
        }
    }

    /// From the stable word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Stage> {
        Stage::ALL.into_iter().find(|s| s.as_str() == word)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use expect_test::expect;

    use super::*;

    /// Scripts match on these words: more may come, none may go or change.
    #[test]
    fn the_words_of_the_contract_stay() {
        let reasons: Vec<&str> = ReasonCode::ALL.iter().map(|code| code.as_str()).collect();
        let faults: Vec<&str> = FaultCode::ALL.iter().map(|code| code.as_str()).collect();
        let stages: Vec<&str> = Stage::ALL.iter().map(|stage| stage.as_str()).collect();
        expect![[r#"
            refused timeout reset closed unreachable dns_not_found dns_failure dns_answer tls_expired tls_expiring tls_not_yet_valid tls_unknown_issuer tls_wrong_host tls_handshake status redirect_loop redirect_invalid body header json latency too_large protocol address_denied no_response loss stale job_error job_format heartbeat_missed heartbeat_failed not_refreshed
            no_permission out_of_files own_uplink missed_tick overloaded internal
            dns connect tls ttfb transfer
        "#]]
        .assert_eq(&format!("{}\n{}\n{}\n", reasons.join(" "), faults.join(" "), stages.join(" ")));
    }

    #[test]
    fn words_are_unique_and_read_back() {
        for code in ReasonCode::ALL {
            assert_eq!(ReasonCode::from_word(code.as_str()), Some(*code));
        }
        for code in FaultCode::ALL {
            assert_eq!(FaultCode::from_word(code.as_str()), Some(*code));
        }
        for stage in Stage::ALL {
            assert_eq!(Stage::from_word(stage.as_str()), Some(stage));
        }
        let all: BTreeSet<&str> =
            ReasonCode::ALL.iter().map(|c| c.as_str()).chain(FaultCode::ALL.iter().map(|c| c.as_str())).collect();
        assert_eq!(all.len(), ReasonCode::ALL.len() + FaultCode::ALL.len(), "a reason is never taken for a fault");
        assert_eq!(ReasonCode::from_word("Refused"), None);
    }
}
