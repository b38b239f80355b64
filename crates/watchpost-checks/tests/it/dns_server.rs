//! A small name server, over UDP and TCP on one port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::AbortHandle;

/// What the server says to a question.
#[derive(Clone)]
pub(crate) enum Say {
    Records(Vec<RData>),
    /// With this time to live, seconds.
    For(u32, Vec<RData>),
    Code(ResponseCode),
    Nothing,
    /// These very bytes.
    Bytes(Vec<u8>),
    /// Over UDP that the answer is too long, over TCP these.
    OnlyOverTcp(Vec<RData>),
    /// These bytes, then the records.
    First(Vec<u8>, Vec<RData>),
}

pub(crate) struct DnsServer {
    pub(crate) address: SocketAddr,
    asked: Arc<AtomicUsize>,
    tasks: [AbortHandle; 2],
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

type Answer = Arc<dyn Fn(&str, RecordType) -> Say + Send + Sync>;

impl DnsServer {
    /// Answers by name (lower case, with its final dot) and type.
    pub(crate) async fn start(answer: impl Fn(&str, RecordType) -> Say + Send + Sync + 'static) -> DnsServer {
        let answer: Answer = Arc::new(answer);
        let (udp, tcp) = bind().await;
        let address = udp.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let udp = tokio::spawn(serve_udp(udp, Arc::clone(&answer), Arc::clone(&asked))).abort_handle();
        let tcp = tokio::spawn(serve_tcp(tcp, answer)).abort_handle();
        DnsServer { address, asked, tasks: [udp, tcp] }
    }

    /// Always answers A questions with these addresses and has no AAAA records.
    pub(crate) async fn with_addresses(addresses: &[&str]) -> DnsServer {
        let addresses: Vec<std::net::IpAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
        DnsServer::start(move |_, record| {
            let v4 = record == RecordType::A;
            Say::Records(addresses.iter().filter(|a| a.is_ipv4() == v4).copied().map(RData::from).collect())
        })
        .await
    }

    /// Questions over UDP so far.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// One port, free for both.
async fn bind() -> (UdpSocket, TcpListener) {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}

async fn serve_udp(socket: UdpSocket, answer: Answer, asked: Arc<AtomicUsize>) {
    let mut buffer = [0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        asked.fetch_add(1, Ordering::Relaxed);
        for reply in replies(&buffer[..length], &answer, false) {
            let _ = socket.send_to(&reply, from).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, answer: Answer) {
    while let Ok((mut stream, _)) = listener.accept().await {
        if let Some(question) = read_question(&mut stream).await {
            for reply in replies(&question, &answer, true) {
                let length = u16::try_from(reply.len()).unwrap();
                let _ = stream.write_u16(length).await;
                let _ = stream.write_all(&reply).await;
            }
        }
    }
}

async fn read_question(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut question = vec![0; usize::from(stream.read_u16().await.ok()?)];
    stream.read_exact(&mut question).await.ok()?;
    Some(question)
}

fn replies(question: &[u8], answer: &Answer, tcp: bool) -> Vec<Vec<u8>> {
    let asked = Message::from_vec(question).unwrap();
    let query = asked.queries[0].clone();
    let mut reply = Message::response(asked.metadata.id, OpCode::Query);
    reply.add_query(query.clone());
    let name = query.name.to_string().to_lowercase();
    let add = |reply: &mut Message, ttl: u32, data: Vec<RData>| {
        reply.add_answers(data.into_iter().map(|data| Record::from_rdata(query.name.clone(), ttl, data)));
    };
    match answer(&name, query.query_type) {
        Say::Records(data) => add(&mut reply, 60, data),
        Say::For(ttl, data) => add(&mut reply, ttl, data),
        Say::Code(code) => reply.metadata.response_code = code,
        Say::Nothing => return Vec::new(),
        Say::Bytes(bytes) => return vec![bytes],
        Say::OnlyOverTcp(data) if tcp => add(&mut reply, 60, data),
        Say::OnlyOverTcp(_) => reply.metadata.truncation = true,
        Say::First(bytes, data) => {
            add(&mut reply, 60, data);
            return vec![bytes, reply.to_vec().unwrap()];
        }
    }
    vec![reply.to_vec().unwrap()]
}
