//! The monitors of the soak: what each is, what may come of it, and the edits that the configuration goes through.

use std::fmt::Write;

use super::Chance;
use super::peers::Peers;

/// Monitors that come and go: few beside those that stay, or the load would swing with them.
const CHURN_MAX: usize = 40;
const CHURN_MIN: usize = 5;
/// Deadline of a check that is not meant to time out.
const AMPLE_MS: i64 = 10_000;
/// Deadline of one that is.
const SHORT_MS: i64 = 1_000;

/// One monitor.
#[derive(Clone)]
pub(crate) struct Watched {
    pub(crate) id: String,
    name: String,
    /// Its kind and whatever else it says, as YAML.
    what: String,
    pub(crate) interval_ms: i64,
    pub(crate) timeout_ms: i64,
    pub(crate) fail_after: u32,
    pub(crate) recover_after: u32,
    /// The verdicts that may be: `pass`, or a verdict and its code.
    pub(crate) may: Vec<&'static str>,
    /// A pace of its own takes it off its grid while it fails.
    pub(crate) paced: bool,
    /// The figure told as total is the time that the check took.
    pub(crate) timed: bool,
}

/// What a kind of monitors is made of.
struct Recipe {
    prefix: &'static str,
    count: usize,
    interval_ms: i64,
    timeout_ms: i64,
    what: String,
    may: &'static [&'static str],
}

/// All monitors.
pub(crate) struct Fleet {
    /// Never touched by an edit.
    pub(crate) steady: Vec<Watched>,
    /// Given another id now and then, which changes neither when nor what is checked.
    pub(crate) renamed: Vec<Watched>,
    churn: Vec<Watched>,
    ok: String,
    status: String,
    tcp: String,
    made: usize,
    revision: u64,
    pub(crate) paused: bool,
}

impl Fleet {
    /// Monitors of these peers. `ping`: whether this system lets us send echo requests.
    pub(crate) fn new(peers: &Peers, ping: bool) -> Fleet {
        let mut recipes = good(peers, ping);
        recipes.extend(hostile(peers));
        recipes.extend(flapping(peers));
        let mut fleet = Fleet {
            steady: recipes.iter().flat_map(Recipe::monitors).collect(),
            renamed: Vec::new(),
            churn: Vec::new(),
            ok: peers.at("ok").to_string(),
            status: peers.at("status").to_string(),
            tcp: peers.at("banner").to_string(),
            made: 0,
            revision: 0,
            paused: false,
        };
        let what = format!("http: \"http://{}/ID\"", fleet.ok);
        let renamed =
            Recipe { prefix: "renamed", count: 8, interval_ms: 1_000, timeout_ms: AMPLE_MS, what, may: &["pass"] };
        fleet.renamed = renamed.monitors().collect();
        (0..2 * CHURN_MIN).for_each(|_| fleet.add());
        fleet
    }

    /// Monitors whose every tick is accounted for.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &Watched> {
        self.steady.iter().chain(&self.renamed)
    }

    /// All ids, sorted.
    pub(crate) fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.kept().chain(&self.churn).map(|watched| watched.id.clone()).collect();
        ids.sort_unstable();
        ids
    }

    /// Any of the monitors that come and go must do as one of these does.
    pub(crate) const CHURN_MAY: [&'static str; 3] = ["pass", "fail:status", "fail:body"];

    /// The monitor whose name tells which revision of the file is in use.
    pub(crate) fn marker(&self) -> &str {
        &self.steady[0].id
    }

    /// What that name is now.
    pub(crate) fn marker_name(&self) -> String {
        format!("revision {}", self.revision)
    }

    /// Changes a few monitors.
    pub(crate) fn edit(&mut self, chance: &mut Chance) {
        for _ in 0..=chance.below(3) {
            match chance.below(5) {
                0 if self.churn.len() < CHURN_MAX => self.add(),
                1 if self.churn.len() > CHURN_MIN => {
                    let gone = chance.pick(self.churn.len());
                    self.churn.remove(gone);
                }
                2 => {
                    let which = chance.pick(self.churn.len());
                    self.change(which, chance);
                }
                3 => {
                    let which = chance.pick(self.churn.len());
                    self.churn[which].name = format!("called otherwise {}", self.made);
                    self.made += 1;
                }
                _ => {
                    let which = chance.pick(self.renamed.len());
                    self.renamed[which].id = format!("renamed-{which}-{}", self.made);
                    self.made += 1;
                }
            }
        }
        self.revision += 1;
        let name = self.marker_name();
        self.steady[0].name = name;
    }

    fn add(&mut self) {
        let id = format!("churn-{}", self.made);
        self.made += 1;
        let what = format!("http: \"http://{}/{id}\"", self.ok);
        self.churn.push(Watched {
            name: id.clone(),
            id,
            what,
            interval_ms: 1_000,
            timeout_ms: AMPLE_MS,
            fail_after: 1,
            recover_after: 1,
            may: Fleet::CHURN_MAY.to_vec(),
            paced: false,
            timed: true,
        });
    }

    /// Another target, another expectation, another pace or even another kind.
    fn change(&mut self, which: usize, chance: &mut Chance) {
        let (ok, status, tcp) = (&self.ok, &self.status, &self.tcp);
        let watched = &mut self.churn[which];
        let id = &watched.id;
        watched.interval_ms = [500, 1_000, 2_000, 5_000][chance.pick(4)];
        watched.what = match chance.below(5) {
            0 => format!("http: \"http://{status}/{id}\", fail_after: 2"),
            1 => format!("tcp: {{ address: \"{tcp}\", expect: hello }}"),
            2 => format!("http: \"http://{ok}/{id}\", expect: {{ body: absent }}"),
            3 => format!("http: \"http://{ok}/{id}\", active: false"),
            _ => format!("http: \"http://{ok}/{id}\""),
        };
    }

    /// The configuration file.
    pub(crate) fn yaml(&self) -> String {
        let mut yaml = "network: { ca_files: [ca.pem] }\nmonitors:\n".to_owned();
        let paused = if self.paused { ", active: false" } else { "" };
        for watched in self.kept().chain(&self.churn) {
            let Watched { id, name, what, interval_ms, timeout_ms, .. } = watched;
            let paused = if what.contains("active:") { "" } else { paused };
            let _ = writeln!(
                yaml,
                "  - {{ id: {id}, name: {name}, {what}, interval: {interval_ms}ms, timeout: {timeout_ms}ms{paused} }}"
            );
        }
        yaml
    }

    /// A configuration that must be refused.
    pub(crate) fn broken(&self, chance: &mut Chance) -> String {
        let mut yaml = self.yaml();
        match chance.below(4) {
            0 => yaml.push_str("  - { id: odd, http: \"http://127.0.0.1/\", intervall: 1s }\n"),
            1 => yaml.push_str("  - { id: [unclosed\n"),
            2 => {
                let _ = writeln!(yaml, "  - {{ id: {}, http: \"http://127.0.0.1/\" }}", self.marker());
            }
            _ => yaml.push_str("  - { id: late, http: \"http://127.0.0.1/\", timeout: 1h }\n"),
        }
        yaml
    }
}

impl Recipe {
    fn monitors(&self) -> impl Iterator<Item = Watched> {
        (0..self.count).map(|n| {
            let id = format!("{}-{n}", self.prefix);
            Watched {
                name: id.clone(),
                what: self.what.replace("ID", &id),
                id,
                interval_ms: self.interval_ms,
                timeout_ms: self.timeout_ms,
                fail_after: number(&self.what, "fail_after: "),
                recover_after: number(&self.what, "recover_after: "),
                may: self.may.to_vec(),
                paced: self.what.contains("every:"),
                timed: !self.what.starts_with("icmp:") && !self.what.starts_with("udp:"),
            }
        })
    }
}

/// The number behind a key; 1, as by default, when there is none.
fn number(what: &str, key: &str) -> u32 {
    let digits = what.split(key).nth(1).map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    digits.map_or(1, |digits| digits.parse().unwrap())
}

const PASS: &[&str] = &["pass"];

/// What is asked of a kind: how many, how often, with which deadline.
fn recipe(
    prefix: &'static str,
    (count, interval_ms, timeout_ms): (usize, i64, i64),
    what: String,
    may: &'static [&'static str],
) -> Recipe {
    Recipe { prefix, count, interval_ms, timeout_ms, what, may }
}

fn good(peers: &Peers, ping: bool) -> Vec<Recipe> {
    let http = |peer: &str| format!("http://{}/ID", peers.at(peer));
    let echo: &[&str] = if ping { PASS } else { &["fault:no_permission"] };
    let port = |peer: &str| peers.at(peer).port();
    let json = "expect: { body: state, json: [ { path: \"$.db.state\", equals: up } ], headers: { x-version: \"2\" } }";
    vec![
        recipe("http", (60, 1_000, AMPLE_MS), format!("http: \"{}\"", http("ok")), PASS),
        recipe("json", (20, 2_000, AMPLE_MS), format!("http: \"{}\", {json}", http("ok")), PASS),
        recipe("moved", (8, 3_000, AMPLE_MS), format!("http: \"{}\"", http("redirect")), PASS),
        recipe(
            "endless",
            (6, 5_000, AMPLE_MS),
            format!("http: {{ url: \"{}\", body_max: 64KiB }}", http("endless")),
            PASS,
        ),
        recipe(
            "unread",
            (4, 5_000, AMPLE_MS),
            format!("http: {{ url: \"{}\", read_body: false }}", http("drip-body")),
            PASS,
        ),
        recipe("https", (24, 2_000, AMPLE_MS), format!("http: \"https://127.0.0.1:{}/ID\"", port("tls-ok")), PASS),
        recipe(
            "lax",
            (4, 5_000, AMPLE_MS),
            format!("http: {{ url: \"https://127.0.0.1:{}/ID\", verify_tls: false }}", port("tls-expired")),
            PASS,
        ),
        recipe("tls", (8, 2_000, AMPLE_MS), format!("tls: \"127.0.0.1:{}\"", port("tls-ok")), PASS),
        recipe("tcp", (30, 1_000, AMPLE_MS), format!("tcp: \"{}\"", peers.at("banner")), PASS),
        recipe(
            "banner",
            (10, 2_000, AMPLE_MS),
            format!("tcp: {{ address: \"{}\", expect: hello }}", peers.at("banner")),
            PASS,
        ),
        recipe("udp", (15, 1_000, AMPLE_MS), format!("udp: \"{}\"", peers.at("udp-echo")), PASS),
        recipe("silent", (4, 5_000, 3_000), format!("udp: \"{}\"", peers.at("udp-mute")), echo),
        recipe("icmp", (10, 2_000, AMPLE_MS), "icmp: { host: 127.0.0.1, count: 2 }".to_owned(), echo),
        recipe(
            "dns",
            (15, 1_000, AMPLE_MS),
            format!("dns: {{ name: up.test, server: \"{}\" }}", peers.at("dns")),
            PASS,
        ),
    ]
}

fn hostile(peers: &Peers) -> Vec<Recipe> {
    let mut recipes = hostile_http(peers);
    recipes.extend(hostile_tls(peers));
    let (banner, hang, dns) = (peers.at("banner"), peers.at("hang"), peers.at("dns"));
    let ask = |name: &str| format!("dns: {{ name: {name}.test, server: \"{dns}\" }}");
    recipes.extend([
        recipe("tcp-refused", (6, 1_000, AMPLE_MS), format!("tcp: \"{}\"", peers.at("refused")), &["fail:refused"]),
        recipe(
            "tcp-other",
            (4, 2_000, AMPLE_MS),
            format!("tcp: {{ address: \"{banner}\", expect: PONG }}"),
            &["fail:body"],
        ),
        recipe(
            "tcp-mute",
            (3, 3_000, SHORT_MS),
            format!("tcp: {{ address: \"{hang}\", expect: hello }}"),
            &["fail:timeout"],
        ),
        recipe("udp-refused", (6, 1_000, AMPLE_MS), format!("udp: \"{}\"", peers.at("udp-refused")), &["fail:refused"]),
        recipe("dns-gone", (4, 2_000, AMPLE_MS), ask("gone"), &["fail:dns_not_found"]),
        recipe("dns-broken", (4, 2_000, AMPLE_MS), ask("broken"), &["fail:dns_failure"]),
        recipe("dns-mute", (3, 3_000, SHORT_MS), ask("mute"), &["fail:timeout"]),
        recipe("dns-garbage", (3, 3_000, SHORT_MS), ask("garbage"), &["fail:protocol"]),
        recipe(
            "dns-other",
            (4, 2_000, AMPLE_MS),
            format!("{}, expect: {{ dns: {{ answers: [192.0.2.9] }} }}", ask("up")),
            &["fail:dns_answer"],
        ),
    ]);
    recipes
}

fn hostile_http(peers: &Peers) -> Vec<Recipe> {
    let http = |peer: &str| format!("http: \"http://{}/ID\"", peers.at(peer));
    let expect = |peer: &str, what: &str| format!("{}, expect: {{ {what} }}", http(peer));
    let slow = (4, 3_000, SHORT_MS);
    let (some, few) = ((6, 2_000, AMPLE_MS), (4, 5_000, AMPLE_MS));
    let large =
        format!("http: {{ url: \"http://{}/ID\", body_max: 64KiB }}, expect: {{ body: end }}", peers.at("endless"));
    vec![
        recipe("hang", (6, 2_000, SHORT_MS), http("hang"), &["fail:timeout"]),
        recipe("drip-head", slow, http("drip-head"), &["fail:timeout"]),
        recipe("drip-body", slow, http("drip-body"), &["fail:timeout"]),
        recipe("large", few, large, &["fail:too_large"]),
        recipe("endless-head", few, http("endless-head"), &["fail:protocol"]),
        recipe("many-heads", few, http("many-heads"), &["fail:protocol"]),
        recipe("garbage", some, http("garbage"), &["fail:protocol"]),
        recipe("reset", some, http("reset"), &["fail:reset"]),
        recipe("close", some, http("close"), &["fail:closed"]),
        recipe("truncated", some, http("truncated"), &["fail:closed"]),
        recipe("loop", some, http("loop"), &["fail:redirect_loop"]),
        recipe("nowhere", some, http("nowhere"), &["fail:redirect_invalid"]),
        recipe("refused", (10, 1_000, AMPLE_MS), http("refused"), &["fail:refused"]),
        recipe("status", (10, 1_000, AMPLE_MS), http("status"), &["fail:status"]),
        recipe("body", some, expect("ok", "body: absent"), &["fail:body"]),
        recipe("json-other", some, expect("ok", "json: [ { path: \"$.db.state\", equals: down } ]"), &["fail:json"]),
        recipe("header", some, expect("ok", "headers: { x-version: \"3\" }"), &["fail:header"]),
        recipe("late", some, expect("late", "latency: { down: 50ms }"), &["fail:latency"]),
        recipe("slow", some, expect("late", "latency: { degraded: 50ms }"), &["degraded:latency"]),
    ]
}

fn hostile_tls(peers: &Peers) -> Vec<Recipe> {
    let https = |peer: &str| format!("http: \"https://127.0.0.1:{}/ID\"", peers.at(peer).port());
    let tls = |peer: &str| format!("tls: \"127.0.0.1:{}\"", peers.at(peer).port());
    let some = (4, 3_000, AMPLE_MS);
    vec![
        recipe("tls-expired", some, https("tls-expired"), &["fail:tls_expired"]),
        recipe("tls-stranger", some, https("tls-stranger"), &["fail:tls_unknown_issuer"]),
        recipe("tls-elsewhere", some, tls("tls-elsewhere"), &["fail:tls_wrong_host"]),
        recipe("tls-none", some, https("not-tls"), &["fail:tls_handshake"]),
        recipe("tls-hang", (4, 3_000, SHORT_MS), tls("hang"), &["fail:timeout"]),
        recipe(
            "tls-ending",
            some,
            format!("{}, expect: {{ certificate: 3650d }}", tls("tls-expired")),
            &["fail:tls_expired"],
        ),
    ]
}

fn flapping(peers: &Peers) -> Vec<Recipe> {
    let http = |peer: &str| format!("http: \"http://{}/ID\"", peers.at(peer));
    let pace = "retry: { every: 500ms }, while_down: { every: 3s }";
    let second = |count| (count, 1_000, AMPLE_MS);
    vec![
        recipe("flap", second(6), http("flap-status"), &["pass", "fail:status"]),
        recipe("flap-twice", second(6), format!("{}, fail_after: 2", http("flap-status")), &["pass", "fail:status"]),
        recipe("flap-close", second(6), format!("{}, recover_after: 2", http("flap-close")), &["pass", "fail:closed"]),
        recipe("flap-hang", (4, 2_000, SHORT_MS), http("flap-hang"), &["pass", "fail:timeout"]),
        recipe(
            "flap-tcp",
            second(4),
            format!("tcp: {{ address: \"{}\", expect: hello }}", peers.at("flap-tcp")),
            &["pass", "fail:closed"],
        ),
        recipe(
            "flap-dns",
            second(4),
            format!("dns: {{ name: flap.test, server: \"{}\" }}", peers.at("dns")),
            &["pass", "fail:dns_failure"],
        ),
        recipe(
            "flap-paced",
            second(6),
            format!("{}, fail_after: 3, {pace}", http("flap-status")),
            &["pass", "fail:status"],
        ),
    ]
}
