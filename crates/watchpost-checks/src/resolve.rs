//! Name resolution: literals, `localhost`, the hosts file, then name servers, behind a small cache of our own.
//!
//! * The cache keeps an answer for its TTL within [`TTL_MIN`]..[`TTL_MAX`], so that a change in the DNS is noticed
//!   within a minute, and a failure for [`NEGATIVE_TTL`] only.
//! * Checks that ask for the same name at once share one query. When the check that carries the query runs out of
//!   time, another of them takes it over.
//! * IPv4 and IPv6 are asked for at once; a name server that never answers one of them does not hold up the other.

mod system;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, select};
use hickory_net::{DnsError, NetError};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType};
use hickory_resolver::TokioResolver;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use watchpost_core::observe::FailureKind;
use watchpost_core::spec::IpVersion;

use crate::failure::{self, Cause};
pub(crate) use system::Hosts;
use system::System;

/// An answer is used at least so long: a TTL of 0 must not make a query per check and second.
const TTL_MIN: Duration = Duration::from_secs(1);
/// An answer is used at most so long, whatever its TTL: a monitor has to notice that a name has moved.
const TTL_MAX: Duration = Duration::from_secs(60);
/// A failure is used so long: many monitors of one dead name share a query, and recovery is noticed at once.
const NEGATIVE_TTL: Duration = Duration::from_secs(1);
/// Once one of A and AAAA is answered, the other is waited for so long (RFC 8305 section 3).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);
/// Names kept; some 300 bytes each.
const NAMES_MAX: usize = 16_384;
/// Addresses of one name that are used; each may be tried in turn within one deadline.
pub(crate) const ADDRESSES_MAX: usize = 16;

/// The resolver.
pub(crate) struct Resolver {
    system: System,
    cache: Mutex<HashMap<Key, Arc<Slot>>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    host: String,
    a: bool,
    aaaa: bool,
}

#[derive(Default)]
struct Slot {
    answer: OnceCell<Answer>,
}

#[derive(Clone)]
struct Answer {
    addresses: Result<Arc<[IpAddr]>, Cause>,
    until: Instant,
}

/// Addresses of a host.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// At least one, in the order to try them.
    pub(crate) addresses: Arc<[IpAddr]>,
    /// False for an address literal: there was nothing to resolve.
    pub(crate) asked: bool,
}

impl Resolver {
    pub(crate) fn new(nameservers: Option<Vec<SocketAddr>>) -> Resolver {
        Resolver { system: System::new(nameservers), cache: Mutex::default() }
    }

    /// The name servers in use, for DNS monitors without a server of their own.
    pub(crate) fn servers(&self) -> Vec<SocketAddr> {
        self.system.current().servers.to_vec()
    }

    /// The addresses of a host. Not bounded in time: the caller's deadline is.
    pub(crate) async fn resolve(&self, host: &str, ip: IpVersion) -> Result<Resolved, Cause> {
        let key = Key { host: String::new(), a: ip != IpVersion::V6, aaaa: ip != IpVersion::V4 };
        let name = match parse_host(host)? {
            Host::Address(address) => {
                let wanted = if address.is_ipv4() { key.a } else { key.aaaa };
                return match wanted {
                    true => Ok(Resolved { addresses: Arc::from([address]), asked: false }),
                    false => Err(Cause::Target(FailureKind::NameNotFound)),
                };
            }
            Host::Name(name) => name,
        };
        let key = Key { host: name, ..key };
        let slot = self.slot(&key);
        let answer = slot.answer.get_or_init(|| self.look_up(&key)).await;
        answer.addresses.clone().map(|addresses| Resolved { addresses, asked: true })
    }

    /// The slot of a name: the one in use, or a new one when its answer is too old.
    fn slot(&self, key: &Key) -> Arc<Slot> {
        let now = Instant::now();
        let fresh = |slot: &Arc<Slot>| slot.answer.get().is_none_or(|answer| now < answer.until);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = cache.get(key).filter(|slot| fresh(slot)) {
            return Arc::clone(slot);
        }
        if cache.len() >= NAMES_MAX {
            cache.retain(|_, slot| fresh(slot));
            if cache.len() >= NAMES_MAX {
                cache.clear();
            }
        }
        let slot = Arc::new(Slot::default());
        cache.insert(key.clone(), Arc::clone(&slot));
        slot
    }

    async fn look_up(&self, key: &Key) -> Answer {
        let current = self.system.current();
        let mut local = current.hosts.get(&key.host);
        let name = key.host.trim_end_matches('.');
        if name == "localhost" || name.ends_with(".localhost") {
            // RFC 6761 section 6.3: always loopback. Both versions, since a service may listen on either.
            for address in [IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)] {
                if !local.contains(&address) {
                    local.push(address);
                }
            }
        }
        local.retain(|address| if address.is_ipv4() { key.a } else { key.aaaa });
        if !local.is_empty() {
            return Answer { addresses: Ok(Arc::from(local)), until: Instant::now() + TTL_MIN };
        }
        let found = match &current.resolver {
            Ok(resolver) => ask(resolver, key).await,
            Err(why) => Err(Cause::Target(FailureKind::NameFailure(why.clone()))),
        };
        match found {
            Ok((addresses, ttl)) => {
                Answer { addresses: Ok(Arc::from(addresses)), until: Instant::now() + ttl.clamp(TTL_MIN, TTL_MAX) }
            }
            Err(cause) => Answer { addresses: Err(cause), until: Instant::now() + NEGATIVE_TTL },
        }
    }
}

enum Host {
    Address(IpAddr),
    Name(String),
}

/// A host as written: an address with or without brackets, or a name, which may be an international one.
fn parse_host(host: &str) -> Result<Host, Cause> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse() {
        return Ok(Host::Address(address));
    }
    match url::Host::parse(bare) {
        Ok(url::Host::Domain(name)) => Ok(Host::Name(name)),
        Ok(url::Host::Ipv4(v4)) => Ok(Host::Address(v4.into())),
        Ok(url::Host::Ipv6(v6)) => Ok(Host::Address(v6.into())),
        Err(e) => Err(Cause::Target(FailureKind::NameFailure(format!("not a host name: {e}")))),
    }
}

/// The host's name in ASCII (RFC 5891), as it is sent in SNI and looked for in certificates; addresses as they are.
pub(crate) fn ascii_host(host: &str) -> Option<String> {
    match parse_host(host) {
        Ok(Host::Address(address)) => Some(address.to_string()),
        Ok(Host::Name(name)) => Some(name.trim_end_matches('.').to_owned()),
        Err(_) => None,
    }
}

type Found = Result<(Vec<IpAddr>, Duration), Cause>;

async fn ask(resolver: &TokioResolver, key: &Key) -> Found {
    let name = key.host.as_str();
    match (key.a, key.aaaa) {
        (true, false) => ask_for(resolver, name, RecordType::A).await,
        (false, true) => ask_for(resolver, name, RecordType::AAAA).await,
        _ => {
            let v4 = Box::pin(ask_for(resolver, name, RecordType::A));
            let v6 = Box::pin(ask_for(resolver, name, RecordType::AAAA));
            match select(v6, v4).await {
                Either::Left((v6, v4)) => both(v6, v4, false).await,
                Either::Right((v4, v6)) => both(v4, v6, true).await,
            }
        }
    }
}

/// Joins the first answer with the second, which gets only a moment when the first is a good one.
async fn both(first: Found, second: impl Future<Output = Found>, second_is_v6: bool) -> Found {
    let second = match &first {
        Ok(_) => tokio::time::timeout(RESOLUTION_DELAY, second).await.ok(),
        Err(_) => Some(second.await),
    };
    match (first, second) {
        (Ok((mut addresses, ttl)), Some(Ok((mut others, other_ttl)))) => {
            if second_is_v6 {
                std::mem::swap(&mut addresses, &mut others);
            }
            addresses.extend(others);
            Ok((addresses, ttl.min(other_ttl)))
        }
        // Half an answer is used, and asked again soon.
        (Ok((addresses, _)), None) => Ok((addresses, TTL_MIN)),
        (Ok(found), Some(Err(_))) | (Err(_), Some(Ok(found))) => Ok(found),
        (Err(one), Some(Err(other))) => Err(match &one {
            Cause::Target(FailureKind::NameNotFound) => other,
            _ => one,
        }),
        (Err(one), None) => Err(one),
    }
}

async fn ask_for(resolver: &TokioResolver, name: &str, record: RecordType) -> Found {
    let lookup = resolver.lookup(name, record).await.map_err(|e| cause_of(&e))?;
    let mut addresses = Vec::new();
    let mut ttl = TTL_MAX;
    for answer in lookup.answers() {
        let address = match &answer.data {
            RData::A(a) => IpAddr::V4(a.0),
            RData::AAAA(aaaa) => IpAddr::V6(aaaa.0),
            _ => continue,
        };
        ttl = ttl.min(Duration::from_secs(answer.ttl.into()));
        if addresses.len() < ADDRESSES_MAX / 2 && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    match addresses.is_empty() {
        true => Err(Cause::Target(FailureKind::NameNotFound)),
        false => Ok((addresses, ttl)),
    }
}

fn cause_of(error: &NetError) -> Cause {
    let failed = |word: String| Cause::Target(FailureKind::NameFailure(word));
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain | ResponseCode::NoError => Cause::Target(FailureKind::NameNotFound),
            code => failed(crate::dns::mnemonic(code)),
        },
        NetError::Dns(DnsError::ResponseCode(code)) => failed(crate::dns::mnemonic(*code)),
        NetError::Timeout => failed("no answer from the name server".to_owned()),
        NetError::Io(io) => match failure::of_io(io, false) {
            own @ Cause::Own(_) => own,
            other => failed(format!("name server: {}", other.word())),
        },
        other => failed(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
