//! What the system says about names: `/etc/resolv.conf` and `/etc/hosts`, read again when they change.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hickory_net::runtime::TokioRuntimeProvider;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use tokio::time::Instant;

/// The files are looked at again after so long; a laptop that changes networks is noticed.
const RECHECK_AFTER: Duration = Duration::from_secs(5);
/// Bytes of the hosts file that are read: room for the block lists people keep there.
const HOSTS_BYTES_MAX: usize = 8 * 1024 * 1024;
/// One attempt at a name server lasts at most so long; the check's deadline is above it.
const ATTEMPT_MAX: Duration = Duration::from_secs(5);

/// The system's files, and what was made of them.
pub(crate) struct System {
    resolv_conf: PathBuf,
    hosts: PathBuf,
    fixed: Option<Vec<SocketAddr>>,
    state: Mutex<Option<State>>,
}

struct State {
    looked_at: Instant,
    resolv_changed: Option<SystemTime>,
    hosts_changed: Option<SystemTime>,
    current: Current,
}

/// What is in force.
#[derive(Clone)]
pub(crate) struct Current {
    /// Asks the name servers, or why there is none.
    pub(crate) resolver: Result<Arc<TokioResolver>, String>,
    /// The name servers.
    pub(crate) servers: Arc<[SocketAddr]>,
    /// The hosts file.
    pub(crate) hosts: Arc<Hosts>,
}

impl System {
    pub(crate) fn new(fixed: Option<Vec<SocketAddr>>) -> System {
        System {
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            hosts: PathBuf::from("/etc/hosts"),
            fixed,
            state: Mutex::new(None),
        }
    }

    /// What is in force now.
    pub(crate) fn current(&self) -> Current {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = state.as_ref().filter(|s| now < s.looked_at + RECHECK_AFTER) {
            return state.current.clone();
        }
        let (resolv_changed, hosts_changed) = (changed(&self.resolv_conf), changed(&self.hosts));
        let old = state.take();
        let kept = |same: bool| old.as_ref().filter(|_| same).map(|s| s.current.clone());
        let (resolver, servers) = match kept(old.as_ref().is_some_and(|s| s.resolv_changed == resolv_changed)) {
            Some(current) => (current.resolver, current.servers),
            None => self.name_servers(),
        };
        let hosts = match kept(old.as_ref().is_some_and(|s| s.hosts_changed == hosts_changed)) {
            Some(current) => current.hosts,
            None => Arc::new(Hosts::read(&self.hosts)),
        };
        let current = Current { resolver, servers, hosts };
        *state = Some(State { looked_at: now, resolv_changed, hosts_changed, current: current.clone() });
        current
    }

    fn name_servers(&self) -> (Result<Arc<TokioResolver>, String>, Arc<[SocketAddr]>) {
        let (config, mut options) = match (&self.fixed, std::fs::read(&self.resolv_conf)) {
            (Some(servers), _) => (config_of(servers), ResolverOpts::default()),
            (None, Ok(text)) => match hickory_resolver::system_conf::parse_resolv_conf(text) {
                Ok(parsed) => parsed,
                Err(_) => return none(&format!("{} names no name server", self.resolv_conf.display())),
            },
            (None, Err(_)) => return none(&format!("{} cannot be read", self.resolv_conf.display())),
        };
        options.cache_size = 0; // ours is in front of it
        options.use_hosts_file = ResolveHosts::Never; // so is the hosts file
        options.timeout = options.timeout.min(ATTEMPT_MAX);
        let servers = config.name_servers().iter().filter_map(|server| {
            let port = server.connections.first()?.port;
            Some(SocketAddr::new(server.ip, port))
        });
        let servers: Arc<[SocketAddr]> = servers.collect();
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        match builder.with_options(options).build() {
            Ok(resolver) => (Ok(Arc::new(resolver)), servers),
            Err(e) => (Err(format!("the resolver cannot be set up: {e}")), servers),
        }
    }
}

fn none(why: &str) -> (Result<Arc<TokioResolver>, String>, Arc<[SocketAddr]>) {
    (Err(why.to_owned()), Arc::from([]))
}

fn config_of(servers: &[SocketAddr]) -> ResolverConfig {
    let server = |address: &SocketAddr| {
        let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
        udp.port = address.port();
        tcp.port = address.port();
        NameServerConfig::new(address.ip(), true, vec![udp, tcp])
    };
    ResolverConfig::from_name_servers(servers.iter().map(server).collect())
}

fn changed(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

/// The hosts file (hosts(5)).
#[derive(Debug, Default)]
pub(crate) struct Hosts(HashMap<String, Vec<IpAddr>>);

impl Hosts {
    fn read(path: &Path) -> Hosts {
        let bytes = std::fs::read(path).unwrap_or_default();
        let end = bytes.len().min(HOSTS_BYTES_MAX);
        Hosts::parse(&String::from_utf8_lossy(&bytes[..end]))
    }

    /// Parses the file's text; lines that do not begin with an address are skipped.
    pub(crate) fn parse(text: &str) -> Hosts {
        let mut hosts = Hosts::default();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { continue };
            for name in words {
                let addresses = hosts.0.entry(name.to_ascii_lowercase()).or_default();
                if addresses.len() < super::ADDRESSES_MAX && !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        hosts
    }

    /// The addresses of a name in lower case, in the file's order.
    pub(crate) fn get(&self, name: &str) -> Vec<IpAddr> {
        self.0.get(name.trim_end_matches('.')).cloned().unwrap_or_default()
    }
}
