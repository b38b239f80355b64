//! Those who look at the server meanwhile: pages and scripts that ask, and live streams that are read, left unread and
//! hung up on. What they are told they remember, and it must still be true at the end.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use super::Chance;
use super::audit::{millis, verdict};
use crate::harness::{Answer, PATIENCE, request, wait_for};

/// Clients of each sort.
const SCRIPTS: u64 = 3;
const READERS: u64 = 3;
const DEAF: u64 = 3;
const HASTY: u64 = 1;
/// Between two requests of a script.
const PAUSE: Duration = Duration::from_millis(40);
/// How often a client that waits looks whether it is to leave.
const GLANCE: Duration = Duration::from_millis(50);
/// Results that are remembered: an hour's would be too many.
const REMEMBERED_MAX: usize = 200_000;
/// Complaints that are kept: one cause may make thousands.
const COMPLAINTS_MAX: usize = 20;
/// What a deaf reader's socket takes, so that the server soon has to wait for it.
const DEAF_BYTES: usize = 4_096;

/// One life of the server, as its clients see it.
pub(crate) struct Life {
    pub(crate) address: SocketAddr,
    over: AtomicBool,
}

impl Life {
    pub(crate) fn new(address: SocketAddr) -> Arc<Life> {
        Arc::new(Life { address, over: AtomicBool::new(false) })
    }

    /// From now on nothing that fails means anything. Said before the server is told to stop, or killed.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

/// What all clients share.
#[derive(Default)]
struct Shared {
    /// The life to look at; `None`: all are to leave.
    life: Mutex<Option<Arc<Life>>>,
    stop: AtomicBool,
    inside: AtomicUsize,
    complaints: Mutex<Vec<String>>,
    told: Mutex<BTreeMap<(String, i64), String>>,
    requests: Arc<AtomicU64>,
    events: AtomicU64,
    streams: AtomicU64,
    /// Monitors whose id stays.
    ids: Vec<String>,
}

/// What a sort of client does at one visit.
type Visit = fn(&Shared, &Life, &mut Chance);

/// All clients.
pub(crate) struct Clients {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Clients {
    /// Starts them; they come when they are let in. `ids`: monitors that stay.
    pub(crate) fn start(ids: Vec<String>, seed: u64) -> Clients {
        let shared = Arc::new(Shared { ids, ..Shared::default() });
        let sorts: [(u64, Visit); 4] = [(SCRIPTS, script), (READERS, reader), (DEAF, deaf), (HASTY, hasty)];
        let all = sorts.into_iter().flat_map(|(count, visit)| (0..count).map(move |_| visit)).enumerate();
        let thread = |(n, visit): (usize, Visit)| {
            let shared = Arc::clone(&shared);
            let mut chance = Chance::new(seed ^ (n as u64 + 1) << 32);
            std::thread::spawn(move || shared.visit(visit, &mut chance))
        };
        let threads = all.map(thread).collect();
        Clients { shared, threads }
    }

    /// Lets them in.
    pub(crate) fn enter(&self, life: &Arc<Life>) {
        *self.shared.life.lock().unwrap() = Some(Arc::clone(life));
    }

    /// Shows them out, and waits until all have hung up.
    pub(crate) fn leave(&self) {
        *self.shared.life.lock().unwrap() = None;
        wait_for("all clients to leave", || (self.shared.inside.load(Ordering::SeqCst) == 0).then_some(()));
    }

    /// Requests answered so far.
    pub(crate) fn requests(&self) -> &Arc<AtomicU64> {
        &self.shared.requests
    }

    /// What went wrong so far.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.shared.complaints.lock().unwrap().clone()
    }

    /// Ends them.
    pub(crate) fn end(self) -> Told {
        self.shared.stop.store(true, Ordering::SeqCst);
        *self.shared.life.lock().unwrap() = None;
        for thread in self.threads {
            thread.join().expect("no client panics");
        }
        let results = std::mem::take(&mut *self.shared.told.lock().unwrap());
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let shared = &self.shared;
        Told {
            results,
            requests: count(&shared.requests),
            events: count(&shared.events),
            streams: count(&shared.streams),
        }
    }
}

/// What the clients were told.
pub(crate) struct Told {
    /// Verdicts by monitor and tick.
    pub(crate) results: BTreeMap<(String, i64), String>,
    pub(crate) requests: u64,
    pub(crate) events: u64,
    pub(crate) streams: u64,
}

impl Shared {
    /// Visits whatever life there is, again and again.
    fn visit(&self, visit: Visit, chance: &mut Chance) {
        while !self.stop.load(Ordering::SeqCst) {
            // Counted before looking, so that whoever waits for all to leave does not miss one on its way in.
            self.inside.fetch_add(1, Ordering::SeqCst);
            let life = self.life.lock().unwrap().clone();
            if let Some(life) = &life {
                visit(self, life, chance);
            }
            self.inside.fetch_sub(1, Ordering::SeqCst);
            std::thread::park_timeout(if life.is_some() { PAUSE } else { GLANCE });
        }
    }

    /// Whether to go on looking at this life.
    fn wants(&self, life: &Life) -> bool {
        !life.is_over() && self.life.lock().unwrap().is_some()
    }

    fn complain(&self, life: &Life, text: String) {
        let mut complaints = self.complaints.lock().unwrap();
        if !life.is_over() && complaints.len() < COMPLAINTS_MAX {
            complaints.push(text);
        }
    }

    /// Asks, and sees to it that the answer is one of these.
    fn ask(&self, life: &Life, method: &str, path: &str, good: &[u16]) -> Option<Answer> {
        match request(life.address, method, path) {
            Ok(answer) if good.contains(&answer.status) => {
                self.requests.fetch_add(1, Ordering::Relaxed);
                Some(answer)
            }
            Ok(answer) => {
                self.complain(life, format!("{method} {path}: {} {}", answer.status, answer.body));
                None
            }
            Err(e) => {
                self.complain(life, format!("{method} {path}: {e}"));
                None
            }
        }
    }

    fn json(&self, life: &Life, path: &str) -> Option<Value> {
        let answer = self.ask(life, "GET", path, &[200])?;
        let parsed = serde_json::from_str(&answer.body);
        parsed.map_err(|e| self.complain(life, format!("GET {path}: {e}: {}", answer.body))).ok()
    }

    /// Remembers results that a list showed, of monitors whose id stays. Their order is checked on the way.
    fn remember(&self, life: &Life, items: &[Value]) {
        let due = |item: &Value| millis(&item["scheduled_at"]);
        if items.windows(2).any(|pair| due(&pair[0]) < due(&pair[1])) {
            self.complain(life, format!("results are out of order: {items:?}"));
        }
        let mut told = self.told.lock().unwrap();
        for item in items.iter().filter(|_| told.len() < REMEMBERED_MAX).collect::<Vec<_>>() {
            let monitor = item["monitor"].as_str().unwrap_or_default();
            if self.ids.iter().any(|id| id == monitor) {
                told.insert((monitor.to_owned(), due(item)), verdict(item));
            }
        }
    }
}

/// A script that asks for this and that.
fn script(shared: &Shared, life: &Life, chance: &mut Chance) {
    let id = &shared.ids[chance.pick(shared.ids.len())];
    let get = |path: &str| shared.ask(life, "GET", path, &[200]);
    match chance.below(14) {
        0 => drop(shared.json(life, "/api/v1/overview")),
        1 => drop(shared.json(life, "/api/v1/monitors?limit=1000")),
        2 => drop(shared.json(life, &format!("/api/v1/monitors/{id}"))),
        3 => drop(shared.json(life, &format!("/api/v1/monitors/{id}/results?limit=50"))),
        4 => drop(shared.json(life, "/api/v1/incidents?limit=200")),
        5 | 6 => drop(get("/metrics")),
        7 => drop(get("/")),
        8 => drop(get(["/livez", "/api/openapi.json", "/readyz"][chance.pick(3)])),
        9 => {
            // Found busy when its own tick or somebody else's request is being checked.
            shared.ask(life, "POST", &format!("/api/v1/monitors/{id}/check"), &[200, 409]);
        }
        10 => {
            let verb = ["pause", "resume"][chance.pick(2)];
            shared.ask(life, "POST", &format!("/api/v1/monitors/{id}/{verb}"), &[409]);
        }
        11 => {
            let (path, status) = [
                ("/api/v1/monitors/nobody", 404),
                ("/api/v1/results?limit=0", 422),
                ("/api/v1/results?cursor=never", 422),
            ][chance.pick(3)];
            shared.ask(life, "GET", path, &[status]);
        }
        _ => pages(shared, life, chance),
    }
}

/// The newest results, some pages of them.
fn pages(shared: &Shared, life: &Life, chance: &mut Chance) {
    let mut path = "/api/v1/results?limit=200".to_owned();
    for _ in 0..=chance.below(4) {
        let Some(page) = shared.json(life, &path) else { return };
        shared.remember(life, page["items"].as_array().map_or(&[], Vec::as_slice));
        let Some(next) = page["next"].as_str() else { return };
        path = format!("/api/v1/results?limit=200&cursor={next}");
    }
}

/// A live stream that is read as it comes, given up, and resumed where it was.
fn reader(shared: &Shared, life: &Life, chance: &mut Chance) {
    let compact = chance.below(2) == 0;
    let mut after = None;
    for _ in 0..2 {
        let until = Instant::now() + Duration::from_millis(500 + chance.below(8_000));
        let view = if compact { "view=compact" } else { "view=full" };
        let path = match &after {
            Some(after) => format!("/api/v1/stream?{view}&after={after}"),
            None => format!("/api/v1/stream?{view}"),
        };
        let mut place = Place { compact, ..Place::default() };
        let outcome =
            open(life.address, &path, None).and_then(|stream| follow(shared, life, stream, until, &mut place));
        if let Err(e) = outcome {
            shared.complain(life, format!("GET {path}: {e}"));
            return;
        }
        after = Some(place.cursor).filter(|cursor| !cursor.is_empty());
    }
}

/// Where a reader of a stream is.
#[derive(Default)]
struct Place {
    compact: bool,
    cursor: String,
    position: Option<u64>,
}

impl Place {
    /// Takes in a line. In the full view every event follows the one before it; in both none goes back.
    fn line(&mut self, line: &str) -> Result<(), String> {
        let Some(cursor) = line.strip_prefix("id: ") else { return Ok(()) };
        let position: u64 = cursor.split('-').nth(1).and_then(|n| n.parse().ok()).ok_or("an id without a place")?;
        let wrong = self.position.is_some_and(|was| position < was || (!self.compact && position > was + 1));
        if wrong {
            return Err(format!("an event at {position} after the one at {:?}", self.position));
        }
        (self.position, self.cursor) = (Some(position), cursor.to_owned());
        Ok(())
    }
}

fn open(address: SocketAddr, path: &str, receive: Option<usize>) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    if let Some(bytes) = receive {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.connect_timeout(&address.into(), PATIENCE)?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(GLANCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    Ok(stream)
}

/// Reads events until it is time to go.
fn follow(
    shared: &Shared,
    life: &Life,
    mut stream: TcpStream,
    until: Instant,
    place: &mut Place,
) -> std::io::Result<()> {
    shared.streams.fetch_add(1, Ordering::Relaxed);
    let (mut rest, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    while Instant::now() < until && shared.wants(life) {
        match stream.read(&mut buffer) {
            Ok(0) => return Err(std::io::Error::other("the stream ended")),
            Ok(n) => rest.extend_from_slice(&buffer[..n]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(e) => return Err(e),
        }
        let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines: Vec<u8> = rest.drain(..whole).collect();
        for line in String::from_utf8_lossy(&lines).lines() {
            shared.events.fetch_add(u64::from(line.starts_with("event: ")), Ordering::Relaxed);
            place.line(line).map_err(std::io::Error::other)?;
        }
    }
    Ok(())
}

/// A stream that nobody reads: for a while or until the server cuts it off.
fn deaf(shared: &Shared, life: &Life, chance: &mut Chance) {
    let Ok(stream) = open(life.address, "/api/v1/stream?view=full", Some(DEAF_BYTES)) else { return };
    shared.streams.fetch_add(1, Ordering::Relaxed);
    let until = Instant::now() + Duration::from_millis(1_000 + chance.below(90_000));
    while Instant::now() < until && shared.wants(life) {
        std::thread::park_timeout(GLANCE);
    }
    drop(stream);
}

/// Somebody who hangs up at once: amid a request, before the answer, or with a reset.
fn hasty(shared: &Shared, life: &Life, chance: &mut Chance) {
    let Ok(mut stream) = TcpStream::connect_timeout(&life.address, PATIENCE) else { return };
    let path = ["/api/v1/stream", "/api/v1/overview", "/metrics", "/api/v1/results?limit=1000"][chance.pick(4)];
    let request = format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n");
    let sent = if chance.below(2) == 0 { request.len() } else { chance.pick(request.len()) };
    let _ = stream.write_all(&request.as_bytes()[..sent]);
    if chance.below(2) == 0 {
        let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    }
    shared.requests.fetch_add(1, Ordering::Relaxed);
}
