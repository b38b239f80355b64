//! Small things that occur in a result, as byte strings: entries of dictionaries, and of a [`super::Strip`].

use std::net::IpAddr;
use std::sync::Arc;

use watchpost_core::result::TlsFacts;
use watchpost_core::{Fault, FaultCode, Reason, ReasonCode, Stage, Timestamp, Verdict};

use super::bytes::{Reader, Writer};
use super::{Result, damaged};

const PASS: u8 = 0;
const DEGRADED: u8 = 1;
const FAIL: u8 = 2;
const INCONCLUSIVE: u8 = 3;

pub(super) fn put_verdict(out: &mut Writer, verdict: &Verdict) {
    match verdict {
        Verdict::Pass => out.byte(PASS),
        Verdict::Degraded(reason) => {
            out.byte(DEGRADED);
            put_reason(out, reason);
        }
        Verdict::Fail(reason) => {
            out.byte(FAIL);
            put_reason(out, reason);
        }
        Verdict::Inconclusive(fault) => {
            out.byte(INCONCLUSIVE);
            out.text(fault.code.as_str());
            out.text(&fault.text);
        }
    }
}

pub(super) fn take_verdict(input: &mut Reader<'_>) -> Result<Verdict> {
    match input.byte()? {
        PASS => Ok(Verdict::Pass),
        DEGRADED => Ok(Verdict::Degraded(take_reason(input)?)),
        FAIL => Ok(Verdict::Fail(take_reason(input)?)),
        INCONCLUSIVE => {
            let code = FaultCode::from_word(input.text()?).ok_or_else(|| damaged("a fault has an unknown code"))?;
            Ok(Verdict::Inconclusive(Fault { code, text: Arc::from(input.text()?) }))
        }
        _ => Err(damaged("a verdict is of an unknown kind")),
    }
}

fn put_reason(out: &mut Writer, reason: &Reason) {
    out.text(reason.code.as_str());
    out.text(reason.stage.map_or("", Stage::as_str));
    out.text(&reason.text);
}

fn take_reason(input: &mut Reader<'_>) -> Result<Reason> {
    let code = ReasonCode::from_word(input.text()?).ok_or_else(|| damaged("a reason has an unknown code"))?;
    let stage = match input.text()? {
        "" => None,
        word => Some(Stage::from_word(word).ok_or_else(|| damaged("a reason has an unknown stage"))?),
    };
    Ok(Reason { code, stage, text: Arc::from(input.text()?) })
}

pub(super) fn address_bytes(address: Option<IpAddr>) -> Vec<u8> {
    match address {
        None => Vec::new(),
        Some(IpAddr::V4(v4)) => v4.octets().to_vec(),
        Some(IpAddr::V6(v6)) => v6.octets().to_vec(),
    }
}

pub(super) fn address_from(bytes: &[u8]) -> Result<Option<IpAddr>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Ok(Some(IpAddr::from(v4)));
    }
    let v6 = <[u8; 16]>::try_from(bytes).map_err(|_| damaged("an address has a wrong length"))?;
    Ok(Some(IpAddr::from(v6)))
}

pub(super) fn tls_bytes(tls: Option<TlsFacts>) -> Vec<u8> {
    let mut out = Writer::default();
    if let Some(tls) = tls {
        out.byte(u8::from(tls.verified));
        out.signed(tls.not_after.as_millis());
    }
    out.buf
}

pub(super) fn tls_from(bytes: &[u8]) -> Result<Option<TlsFacts>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut input = Reader::new(bytes);
    let verified = match input.byte()? {
        0 => false,
        1 => true,
        _ => return Err(damaged("a certificate is neither verified nor not")),
    };
    Ok(Some(TlsFacts { not_after: Timestamp::from_millis(input.signed()?), verified }))
}
