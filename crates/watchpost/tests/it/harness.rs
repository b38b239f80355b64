//! What the tests of the binary share: a running server, a client, and targets that can be told how to behave.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at something that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// `serve` on a free port.
const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];

/// The binary under test.
pub(crate) fn watchpost() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchpost"));
    command.env_remove("WATCHPOST_CONFIG").env_remove("WATCHPOST_DATA").env_remove("WATCHPOST_LOG");
    command
}

/// Runs a command to its end and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().expect("the binary starts")
}

/// Waits until something is the case, looking again and again.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited too long for {what}");
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// A folder with a configuration, and the server that runs on it.
pub(crate) struct Site {
    /// Holds the folder until the test ends.
    pub(crate) folder: tempfile::TempDir,
}

impl Site {
    /// A folder with this `watchpost.yml`.
    pub(crate) fn new(yaml: &str) -> Site {
        let site = Site { folder: tempfile::tempdir().expect("a temporary folder") };
        site.write(yaml);
        site
    }

    /// The configuration's path.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("watchpost.yml")
    }

    /// Replaces the configuration as editors do: a new file renamed into place.
    pub(crate) fn write(&self, yaml: &str) {
        let new = self.folder.path().join(".new");
        std::fs::write(&new, yaml).expect("the folder is writable");
        std::fs::rename(&new, self.config()).expect("rename into place");
    }

    /// Starts the server and waits until it listens.
    pub(crate) fn serve(&self) -> Server {
        Server::start(&self.config(), &[])
    }
}

/// A running `watchpost serve`. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What it logged so far.
    pub(crate) log: Arc<Mutex<String>>,
}

impl Server {
    /// Starts it on a free port.
    pub(crate) fn start(config: &Path, environment: &[(&str, &str)]) -> Server {
        Server::spawn(watchpost().args(SERVE).arg("--config").arg(config).envs(environment.iter().copied()))
    }

    /// Starts it on a free port in this folder, without naming a configuration.
    pub(crate) fn start_in(folder: &Path) -> Server {
        Server::spawn(watchpost().args(SERVE).current_dir(folder))
    }

    /// Starts it by a command of the test's own, which must end in `serve` on a free port.
    pub(crate) fn spawn(command: &mut Command) -> Server {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let log = Arc::new(Mutex::new(String::new()));
        collect(child.stderr.take().expect("stderr is piped"), Arc::clone(&log));
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let first = lines.next().and_then(Result::ok);
        let address = first
            .as_deref()
            .and_then(|line| line.split("http://").nth(1))
            .and_then(|rest| rest.split(['/', ' ']).next())
            .and_then(|address| address.parse().ok());
        let Some(address) = address else {
            let status = child.wait();
            panic!("no address in {first:?}; ended with {status:?}; log: {}", log.lock().unwrap());
        };
        Server { child, address, log }
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status().expect("kill exists");
        assert!(sent.success(), "kill -{name} {pid}");
    }

    /// Kills it as hard as can be, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Asks it to stop and returns its exit status.
    pub(crate) fn stop(mut self) -> i32 {
        self.signal("TERM");
        let status = wait_for("the server to stop", || self.child.try_wait().expect("it is our child"));
        status.code().unwrap_or(-1)
    }

    /// It has ended.
    pub(crate) fn is_gone(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_some()
    }

    /// A figure of `/proc/PID/status` in KiB, such as `VmRSS` or `VmHWM`.
    pub(crate) fn memory_kib(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let figure = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        figure.unwrap_or_else(|| panic!("no {field} in {status}"))
    }

    /// What it has logged so far.
    pub(crate) fn logged(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// GETs a path; panics unless it answers 200 with JSON.
    pub(crate) fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap_or_else(|e| panic!("GET {path}: {e}: {}", answer.body))
    }

    /// GETs a path.
    pub(crate) fn get(&self, path: &str) -> Answer {
        request(self.address, "GET", path).expect("the server answers")
    }

    /// POSTs to a path, without a body.
    pub(crate) fn post(&self, path: &str) -> Answer {
        request(self.address, "POST", path).expect("the server answers")
    }

    /// The monitor as the API shows it.
    pub(crate) fn monitor(&self, id: &str) -> Value {
        self.json(&format!("/api/v1/monitors/{id}"))
    }

    /// Waits until a monitor is in a state.
    pub(crate) fn wait_for_state(&self, id: &str, state: &str) -> Value {
        wait_for(&format!("{id} to be {state}"), || {
            let monitor = self.monitor(id);
            (monitor["state"] == state).then_some(monitor)
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Gathers what comes from a pipe, as it comes, until it is closed.
pub(crate) fn collect(mut from: impl Read + Send + 'static, into: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            into.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
    });
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Status code.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: String,
}

/// One HTTP/1.1 request on a connection of its own, read to its end.
pub(crate) fn request(address: SocketAddr, method: &str, path: &str) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n")?;
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw)?;
    let text = String::from_utf8_lossy(&raw);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.lines().next().and_then(|l| l.split(' ').nth(1)).and_then(|s| s.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("no HTTP answer: {head}")))?;
    Ok(Answer { status, body: body.to_owned() })
}

/// An HTTP server to be watched: counts what it is asked, and answers as it is told.
pub(crate) struct Target {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The status it answers with.
    pub(crate) status: Arc<AtomicU16>,
    seen: Arc<Mutex<BTreeMap<String, u64>>>,
    stop: Arc<AtomicBool>,
}

impl Target {
    /// A target on a free port that answers 200, with this many threads to do so.
    pub(crate) fn start(threads: usize) -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let target = Target {
            address: listener.local_addr().expect("it is bound"),
            status: Arc::new(AtomicU16::new(200)),
            seen: Arc::default(),
            stop: Arc::default(),
        };
        for _ in 0..threads {
            let listener = listener.try_clone().expect("handles are left");
            let (status, seen) = (Arc::clone(&target.status), Arc::clone(&target.seen));
            let stop = Arc::clone(&target.stop);
            std::thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let _ = answer(stream, status.load(Ordering::Relaxed), &seen);
                }
            });
        }
        target
    }

    /// A URL of it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How often each path was asked for.
    pub(crate) fn seen(&self) -> BTreeMap<String, u64> {
        self.seen.lock().unwrap().clone()
    }

    /// Answers with this status from now on.
    pub(crate) fn answer(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes one thread; the others end with the process.
        let _ = TcpStream::connect(self.address);
    }
}

fn answer(mut stream: TcpStream, status: u16, seen: &Mutex<BTreeMap<String, u64>>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut request = Vec::new();
    let mut buffer = [0; 2048];
    while !request.windows(4).any(|w| w == b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            n => request.extend_from_slice(&buffer[..n]),
        }
    }
    let text = String::from_utf8_lossy(&request);
    let path = text.split(' ').nth(1).unwrap_or("?").to_owned();
    *seen.lock().unwrap().entry(path).or_default() += 1;
    write!(stream, "HTTP/1.1 {status} Told\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")
}
