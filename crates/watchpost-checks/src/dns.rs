//! DNS: one question to one server, and what it says (RFC 1035, over TCP RFC 7766, EDNS RFC 6891).
//!
//! Messages are encoded and decoded by hickory-proto; the exchange is our own, over a connected socket, so that a
//! closed port is told as refused rather than as silence, and stages are timed as everywhere.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use watchpost_core::Stage;
use watchpost_core::observe::{DnsSeen, FailureKind};
use watchpost_core::spec::{self, DnsSpec};

use crate::context::{Context, Stop};
use crate::dial;
use crate::failure::{self, Cause};
use crate::resolve::Resolver;
use crate::udp;

/// A question is repeated after so long without an answer, then after twice as long, and so on.
const REPEAT_AFTER: Duration = Duration::from_secs(1);
/// The answer size that is offered to take over UDP (the DNS flag day's).
const UDP_PAYLOAD: u16 = 1_232;
/// A datagram of more than this is far beyond what was offered, and is not read.
const DATAGRAM_MAX: usize = 4_096;
/// After an answer that makes no sense a good one is waited for this much longer: it may have been forged.
const SECOND_THOUGHTS: Duration = Duration::from_secs(1);
/// Records of an answer that are kept; 64 KiB hold thousands of addresses.
const ANSWERS_MAX: usize = 256;
/// Characters of one record that are kept.
const ANSWER_CHARS_MAX: usize = 1_024;
/// A server is given so long when a diagnosis asks it.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

struct Question {
    message: Message,
    bytes: Vec<u8>,
}

impl Question {
    fn new(name: Name, record: RecordType) -> Result<Question, Cause> {
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(name, record));
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD);
        message.set_edns(edns);
        let bytes = message.to_vec().map_err(|e| not_a_name(e.to_string()))?;
        Ok(Question { message, bytes })
    }

    /// Whether the answer is one to this question. A server that could not read the question may leave it out.
    fn fits(&self, answer: &Message) -> bool {
        let same =
            |asked: &Query, told: &Query| asked.name.eq_ignore_root(&told.name) && asked.query_type == told.query_type;
        answer.metadata.message_type == MessageType::Response
            && answer.metadata.id == self.message.metadata.id
            && answer.queries.iter().all(|told| self.message.queries.iter().any(|asked| same(asked, told)))
    }
}

fn not_a_name(why: String) -> Cause {
    Cause::Target(FailureKind::NameFailure(why))
}

pub(crate) async fn check(cx: &mut Context<'_>, spec: &DnsSpec) -> Result<(), Stop> {
    let record = record_type(spec.record);
    let name = name_of(spec).map_err(|cause| cx.stop_in(Stage::Dns, cause))?;
    let question = Question::new(name, record).map_err(|cause| cx.stop_in(Stage::Dns, cause))?;
    let servers = match spec.server {
        Some(server) if !cx.services.guard.allows(server.ip()) => {
            return Err(cx.fail(FailureKind::Denied(server.ip())));
        }
        Some(server) => vec![server],
        None => cx.services.resolver.servers(),
    };
    let mut last = Err(cx.stop_in(Stage::Dns, not_a_name("no name server is configured".to_owned())));
    let count = u32::try_from(servers.len()).unwrap_or(u32::MAX);
    for (n, server) in (0u32..).zip(servers) {
        // Those still to be asked get their share of the time.
        let left = cx.nearly().saturating_duration_since(Instant::now());
        let until = Instant::now() + left / count.saturating_sub(n).max(1);
        cx.await_turn(server.ip()).await?;
        last = ask(cx, server, (&question, spec.tcp), until).await;
        let decided = last.as_ref().is_ok_and(|answer| !is_servers_trouble(answer.metadata.response_code));
        if decided {
            break;
        }
    }
    let answer = last?;
    cx.seen.dns = Some(told(&answer, record));
    Ok(())
}

/// What an answer says, as far as it is kept.
fn told(answer: &Message, record: RecordType) -> DnsSeen {
    let wanted = |r: &&Record| r.record_type() == record && r.dns_class == DNSClass::IN && !is_empty(&r.data);
    let of_type = answer.answers.iter().filter(wanted);
    DnsSeen {
        rcode: mnemonic(answer.metadata.response_code),
        answers: of_type.take(ANSWERS_MAX).map(|r| presentation(&r.data)).collect(),
    }
}

/// The question that a check asks, for [`crate::fuzz`].
pub(crate) fn question(spec: &DnsSpec) -> Option<Vec<u8>> {
    Some(Question::new(name_of(spec).ok()?, record_type(spec.record)).ok()?.bytes)
}

/// What some bytes say to the question of that number, for [`crate::fuzz`].
pub(crate) fn read(spec: &DnsSpec, id: u16, bytes: &[u8]) -> Option<DnsSeen> {
    let mut question = Question::new(name_of(spec).ok()?, record_type(spec.record)).ok()?;
    question.message.metadata.id = id;
    let answer = Message::from_vec(bytes).ok()?;
    question.fits(&answer).then(|| told(&answer, record_type(spec.record)))
}

/// Answers with which a resolver would turn to its next server.
fn is_servers_trouble(code: ResponseCode) -> bool {
    matches!(code, ResponseCode::ServFail | ResponseCode::Refused | ResponseCode::NotImp)
}

fn name_of(spec: &DnsSpec) -> Result<Name, Cause> {
    if let (spec::RecordType::Ptr, Ok(address)) = (spec.record, spec.name.parse::<IpAddr>()) {
        return Ok(Name::from(address)); // the reverse name
    }
    let mut name = Name::from_utf8(&spec.name).map_err(|e| not_a_name(e.to_string()))?;
    name.set_fqdn(true);
    Ok(name)
}

/// Asks one server: over UDP, and over TCP when told to or when the answer did not fit.
async fn ask(
    cx: &mut Context<'_>,
    server: SocketAddr,
    (question, tcp): (&Question, bool),
    until: Instant,
) -> Result<Message, Stop> {
    cx.at(server);
    if !tcp {
        let began = cx.enter(Stage::Ttfb);
        cx.begin_step(format!("ask {server} over UDP"));
        let asked = ask_udp(server, question, until).await;
        match asked {
            Ok(answer) if answer.metadata.truncation => cx.end_step("truncated"),
            Ok(answer) => {
                cx.leave(Stage::Ttfb, began);
                cx.end_step(mnemonic(answer.metadata.response_code));
                return Ok(answer);
            }
            Err(cause) => {
                cx.end_step(cause.word());
                let refused = matches!(cause, Cause::Target(FailureKind::Refused | FailureKind::Unreachable));
                return Err(cx.stop_in(if refused { Stage::Connect } else { Stage::Ttfb }, cause));
            }
        }
    }
    let connected = timeout_at(until, dial::connect(cx, vec![server])).await;
    let stream = connected.unwrap_or_else(|_| Err(cx.stop(Cause::TimedOut)))?;
    let began = cx.enter(Stage::Ttfb);
    cx.begin_step(format!("ask {server} over TCP"));
    let asked = timeout_at(until, ask_tcp(stream, question)).await.unwrap_or(Err(Cause::TimedOut));
    match asked {
        Ok(answer) => {
            cx.leave(Stage::Ttfb, began);
            cx.end_step(mnemonic(answer.metadata.response_code));
            Ok(answer)
        }
        Err(cause) => {
            cx.end_step(cause.word());
            Err(cx.stop(cause))
        }
    }
}

async fn ask_udp(server: SocketAddr, question: &Question, until: Instant) -> Result<Message, Cause> {
    let io = |error: std::io::Error| failure::of_io(&error, server.is_ipv6());
    let socket = udp::connected(server).await.map_err(io)?;
    let mut buffer = vec![0; DATAGRAM_MAX];
    let (mut until, mut patience) = (until, REPEAT_AFTER);
    let mut ended = Cause::TimedOut;
    socket.send(&question.bytes).await.map_err(io)?;
    let mut repeat_at = Instant::now() + patience;
    loop {
        let length = match timeout_at(until.min(repeat_at), udp::receive(&socket, &mut buffer)).await {
            Ok(received) => received.map_err(io)?,
            Err(_) if Instant::now() >= until => return Err(ended),
            Err(_) => {
                socket.send(&question.bytes).await.map_err(io)?;
                patience *= 2;
                repeat_at = Instant::now() + patience;
                continue;
            }
        };
        match Message::from_vec(buffer.get(..length).unwrap_or_default()) {
            Ok(answer) if question.fits(&answer) => return Ok(answer),
            Ok(_) => ended = Cause::protocol("the server answers another question"),
            Err(_) => ended = Cause::protocol("the answer is not a DNS message"),
        }
        until = until.min(Instant::now() + SECOND_THOUGHTS);
    }
}

/// RFC 1035 section 4.2.2: two bytes of length, then the message.
async fn ask_tcp(mut stream: TcpStream, question: &Question) -> Result<Message, Cause> {
    let io = |error: std::io::Error| failure::of_io(&error, false);
    let length = u16::try_from(question.bytes.len()).map_err(|_| Cause::protocol("the question is too long"))?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend(&question.bytes);
    stream.write_all(&framed).await.map_err(io)?;
    let length = stream.read_u16().await.map_err(io)?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await.map_err(io)?;
    match Message::from_vec(&answer) {
        Ok(answer) if question.fits(&answer) => Ok(answer),
        Ok(_) => Err(Cause::protocol("the server answers another question")),
        Err(_) => Err(Cause::protocol("the answer is not a DNS message")),
    }
}

fn record_type(record: spec::RecordType) -> RecordType {
    match record {
        spec::RecordType::A => RecordType::A,
        spec::RecordType::Aaaa => RecordType::AAAA,
        spec::RecordType::Caa => RecordType::CAA,
        spec::RecordType::Cname => RecordType::CNAME,
        spec::RecordType::Mx => RecordType::MX,
        spec::RecordType::Ns => RecordType::NS,
        spec::RecordType::Ptr => RecordType::PTR,
        spec::RecordType::Soa => RecordType::SOA,
        spec::RecordType::Srv => RecordType::SRV,
        spec::RecordType::Txt => RecordType::TXT,
        spec::RecordType::Ds => RecordType::DS,
        spec::RecordType::Https => RecordType::HTTPS,
    }
}

/// IANA's mnemonic of a response code, upper case.
pub(crate) fn mnemonic(code: ResponseCode) -> String {
    let known = match code {
        ResponseCode::NoError => "NOERROR",
        ResponseCode::FormErr => "FORMERR",
        ResponseCode::ServFail => "SERVFAIL",
        ResponseCode::NXDomain => "NXDOMAIN",
        ResponseCode::NotImp => "NOTIMP",
        ResponseCode::Refused => "REFUSED",
        ResponseCode::YXDomain => "YXDOMAIN",
        ResponseCode::YXRRSet => "YXRRSET",
        ResponseCode::NXRRSet => "NXRRSET",
        ResponseCode::NotAuth => "NOTAUTH",
        ResponseCode::NotZone => "NOTZONE",
        ResponseCode::BADVERS => "BADVERS",
        other => return format!("RCODE{}", u16::from(other)),
    };
    known.to_owned()
}

/// A record without data, which only updates have (RFC 2136).
fn is_empty(data: &RData) -> bool {
    matches!(data, RData::Update0(_))
}

/// A record's data as in a zone file, but a text without its quotes, so that it can be compared as people write it.
fn presentation(data: &RData) -> String {
    let text = match data {
        // RFC 4034 section 5.3; hickory-proto knows it only together with all of DNSSEC.
        RData::Unknown { code: RecordType::DS, rdata } => delegation_signer(&rdata.anything),
        other => other.to_string(),
    };
    text.chars().take(ANSWER_CHARS_MAX).collect()
}

fn delegation_signer(bytes: &[u8]) -> String {
    match bytes {
        [tag_high, tag_low, algorithm, digest_type, digest @ ..] => {
            let tag = u16::from_be_bytes([*tag_high, *tag_low]);
            let digest: String = digest.iter().map(|byte| format!("{byte:02X}")).collect();
            format!("{tag} {algorithm} {digest_type} {digest}")
        }
        _ => String::new(),
    }
}

/// What a name server said to a diagnosis.
#[derive(Clone, Debug)]
pub struct ProbedServer {
    /// The server.
    pub server: SocketAddr,
    /// How long it took to answer, or in a few words why it did not.
    pub answer: Result<Duration, String>,
}

/// Asks every name server (of the system, or these) for the root's name servers, one after the other, giving each 2 s.
/// An empty list means that the system names none.
pub async fn probe_resolver(nameservers: Option<Vec<SocketAddr>>) -> Vec<ProbedServer> {
    let mut probed = Vec::new();
    for server in Resolver::new(nameservers).servers() {
        let began = Instant::now();
        let answer = match Question::new(Name::root(), RecordType::NS) {
            Ok(question) => ask_udp(server, &question, began + PROBE_TIMEOUT).await,
            Err(cause) => Err(cause),
        };
        let answer = answer.map(|_| began.elapsed()).map_err(|cause| cause.word());
        probed.push(ProbedServer { server, answer });
    }
    probed
}
