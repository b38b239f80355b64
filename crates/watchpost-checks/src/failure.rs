//! From the errors of the system and the libraries to facts: by error kind and number, never by text.

use std::error::Error;
use std::io;

use nix::errno::Errno;
use watchpost_core::observe::FailureKind;
use watchpost_core::{Fault, FaultCode};

/// What stopped a stage; the stage and the elapsed time are added by the context.
#[derive(Clone, Debug)]
pub(crate) enum Cause {
    /// The target, or the way to it.
    Target(FailureKind),
    /// Time ran out, by the kernel's count.
    TimedOut,
    /// We stopped ourselves.
    Own(Fault),
}

impl Cause {
    /// The peer broke the protocol.
    pub(crate) fn protocol(what: impl Into<String>) -> Cause {
        Cause::Target(FailureKind::Protocol(what.into()))
    }

    /// The TLS handshake failed.
    pub(crate) fn handshake(what: impl Into<String>) -> Cause {
        Cause::Target(FailureKind::Handshake(what.into()))
    }

    /// Of several addresses that all failed, the one that says most about the target is told: an answer before
    /// silence, silence before no way to get there.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Cause::Target(FailureKind::Unreachable) => 1,
            Cause::TimedOut => 2,
            Cause::Target(FailureKind::Refused) => 3,
            Cause::Target(_) => 4,
            Cause::Own(_) => 0,
        }
    }

    /// For the trace.
    pub(crate) fn word(&self) -> String {
        match self {
            Cause::TimedOut => "timeout".to_owned(),
            Cause::Own(fault) => fault.code.as_str().to_owned(),
            Cause::Target(kind) => kind_word(kind),
        }
    }
}

fn kind_word(kind: &FailureKind) -> String {
    let word = match kind {
        FailureKind::Refused => "refused",
        FailureKind::Timeout(_) => "timeout",
        FailureKind::Reset => "reset",
        FailureKind::Closed => "closed",
        FailureKind::Unreachable => "unreachable",
        FailureKind::NameNotFound => "not found",
        FailureKind::NameFailure(what) | FailureKind::Handshake(what) | FailureKind::Protocol(what) => {
            return what.clone();
        }
        FailureKind::Certificate(problem) => return format!("certificate: {problem:?}"),
        FailureKind::RedirectLoop(_) => "redirect loop",
        FailureKind::RedirectInvalid(_) => "redirect invalid",
        FailureKind::Denied(_) => "denied",
        FailureKind::Silent => "silent",
    };
    word.to_owned()
}

/// What an I/O error of a socket means. `v6`: the peer's address is an IPv6 one.
pub(crate) fn of_io(error: &io::Error, v6: bool) -> Cause {
    if let Some(code) = error.raw_os_error() {
        return of_errno(Errno::from_raw(code), v6);
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Cause::Target(FailureKind::Refused),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            Cause::Target(FailureKind::Reset)
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::NotConnected | io::ErrorKind::WriteZero => {
            Cause::Target(FailureKind::Closed)
        }
        io::ErrorKind::TimedOut => Cause::TimedOut,
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Cause::protocol(error.to_string()),
        _ => own(FaultCode::Internal, format!("unexpected error: {error}")),
    }
}

fn own(code: FaultCode, text: impl Into<String>) -> Cause {
    Cause::Own(Fault::new(code, text.into()))
}

/// What an error number means.
pub(crate) fn of_errno(errno: Errno, v6: bool) -> Cause {
    match errno {
        Errno::ECONNREFUSED => Cause::Target(FailureKind::Refused),
        Errno::ECONNRESET | Errno::ECONNABORTED | Errno::EPIPE | Errno::ENETRESET => Cause::Target(FailureKind::Reset),
        Errno::ENOTCONN | Errno::ESHUTDOWN => Cause::Target(FailureKind::Closed),
        Errno::ETIMEDOUT => Cause::TimedOut,
        // EINVAL is what a link-local address without a zone gives, EAFNOSUPPORT a kernel without IPv6, and
        // ENOPROTOOPT a host that answers it does not know the protocol.
        Errno::ENETUNREACH
        | Errno::EHOSTUNREACH
        | Errno::EHOSTDOWN
        | Errno::ENETDOWN
        | Errno::ENONET
        | Errno::ENOPROTOOPT
        | Errno::EINVAL
        | Errno::EAFNOSUPPORT => Cause::Target(FailureKind::Unreachable),
        // No address of ours can reach an IPv6 peer; for an IPv4 one it is the local ports that ran out.
        Errno::EADDRNOTAVAIL if v6 => Cause::Target(FailureKind::Unreachable),
        Errno::EADDRNOTAVAIL => {
            own(FaultCode::Overloaded, "no free local port; too many connections to one address at once")
        }
        Errno::EMFILE | Errno::ENFILE => {
            own(FaultCode::OutOfFiles, "out of file handles; raise the limit (ulimit -n, LimitNOFILE=)")
        }
        Errno::ENOBUFS | Errno::ENOMEM => own(FaultCode::Overloaded, "the system is out of network memory"),
        Errno::EACCES | Errno::EPERM => own(
            FaultCode::NoPermission,
            "this machine does not let us send to that address (a local firewall rule, or a broadcast address)",
        ),
        other => own(FaultCode::Internal, format!("unexpected system error: {}", other.desc())),
    }
}

/// The innermost error that says something, following `source()` and what an I/O error wraps. At most this deep:
/// nothing we use nests further.
const DEPTH_MAX: usize = 8;

/// What an error of a TLS stream or of hyper means.
pub(crate) fn of_chain(error: &(dyn Error + 'static), v6: bool) -> Cause {
    let mut at: Option<&(dyn Error + 'static)> = Some(error);
    let mut told: Option<Cause> = None;
    for _ in 0..DEPTH_MAX {
        let Some(error) = at else { break };
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return of_tls(tls);
        }
        if let Some(hyper) = error.downcast_ref::<hyper::Error>() {
            told = told.or_else(|| of_hyper(hyper));
        }
        at = match error.downcast_ref::<io::Error>() {
            Some(io) => match io.get_ref() {
                // hyper wraps what was wrong with a chunk or a length in an I/O error.
                Some(inner) if inner.is::<rustls::Error>() || inner.is::<io::Error>() => Some(inner),
                _ => return of_io(io, v6),
            },
            None => error.source(),
        };
    }
    told.unwrap_or_else(|| Cause::protocol(error.to_string()))
}

fn of_hyper(error: &hyper::Error) -> Option<Cause> {
    if error.is_parse_too_large() {
        return Some(Cause::protocol("the head of the answer is too large"));
    }
    if error.is_parse() {
        return Some(Cause::protocol(format!("not an HTTP answer: {}", innermost(error))));
    }
    let closed = error.is_incomplete_message() || error.is_closed() || error.is_canceled();
    closed.then_some(Cause::Target(FailureKind::Closed))
}

fn innermost(error: &hyper::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

/// What a TLS error means, in the handshake or after it (a server refuses a missing client certificate only then).
pub(crate) fn of_tls(error: &rustls::Error) -> Cause {
    match error {
        rustls::Error::InvalidCertificate(problem) => {
            Cause::Target(FailureKind::Certificate(crate::tls::problem_of(problem)))
        }
        rustls::Error::AlertReceived(alert) => Cause::handshake(format!("the peer sent the alert {alert:?}")),
        rustls::Error::InvalidMessage(_) => Cause::handshake("the peer does not speak TLS"),
        other => Cause::handshake(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(errno: Errno, v6: bool) -> String {
        of_io(&io::Error::from(errno), v6).word()
    }

    #[test]
    fn running_out_of_our_own_means_is_a_fault() {
        assert_eq!(code(Errno::EMFILE, false), "out_of_files");
        assert_eq!(code(Errno::ENFILE, true), "out_of_files");
        assert_eq!(code(Errno::EADDRNOTAVAIL, false), "overloaded");
        assert_eq!(code(Errno::ENOBUFS, false), "overloaded");
        assert_eq!(code(Errno::EPERM, false), "no_permission");
    }

    #[test]
    fn what_the_network_answers_is_the_targets_failure() {
        assert_eq!(code(Errno::ECONNREFUSED, false), "refused");
        assert_eq!(code(Errno::ECONNRESET, false), "reset");
        assert_eq!(code(Errno::EHOSTUNREACH, false), "unreachable");
        assert_eq!(code(Errno::ENETUNREACH, false), "unreachable");
        assert_eq!(code(Errno::EADDRNOTAVAIL, true), "unreachable");
        assert_eq!(code(Errno::ETIMEDOUT, false), "timeout");
    }

    #[test]
    fn a_tls_error_is_found_inside_an_io_error() {
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
        let cause = of_chain(&io::Error::new(io::ErrorKind::InvalidData, alert), false);
        assert!(matches!(cause, Cause::Target(FailureKind::Handshake(_))), "{cause:?}");
    }

    #[test]
    fn of_many_addresses_an_answer_is_told_first_and_our_own_trouble_last() {
        let by_rank = |errnos: &[Errno]| {
            let causes = errnos.iter().map(|e| of_errno(*e, false));
            causes.max_by_key(Cause::rank).map(|cause| cause.word())
        };
        assert_eq!(by_rank(&[Errno::ENETUNREACH, Errno::ECONNREFUSED]).as_deref(), Some("refused"));
        assert_eq!(by_rank(&[Errno::ENETUNREACH, Errno::ETIMEDOUT]).as_deref(), Some("timeout"));
        assert_eq!(by_rank(&[Errno::EMFILE, Errno::ENETUNREACH]).as_deref(), Some("unreachable"));
        assert_eq!(by_rank(&[Errno::EMFILE]).as_deref(), Some("out_of_files"));
    }
}
