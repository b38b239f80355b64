//! A disk that is full, and one that may only be read.

use std::fmt::Write;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{apart, engine, every_tick_is_accounted_for, incidents, millis, results, run, store};
use crate::harness::{Server, Site, Target, output, wait_for, watchpost};

const MONITORS: usize = 10;
const EVERY: Duration = Duration::from_millis(250);
/// Results that are to wait for the disk: far more than a commit or two would hold.
const QUEUED: u64 = 120;

/// A configuration and a small disk for the data.
struct Place {
    site: Site,
    target: Target,
    data: PathBuf,
}

impl Place {
    fn new() -> Place {
        let target = Target::start(2);
        let mut yaml = "defaults: { interval: 250ms, timeout: 5s }\nmonitors:\n".to_owned();
        for i in 0..MONITORS {
            let _ = writeln!(yaml, "  - {{ id: m{i}, http: \"{}\" }}", target.url(&format!("/{i}")));
        }
        let site = Site::new(&yaml);
        let data = site.folder.path().join("small");
        std::fs::create_dir(&data).unwrap();
        run("mount", &["-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", data.to_str().unwrap()]);
        Place { site, target, data }
    }

    fn command(&self, command: &str) -> Command {
        let mut all = watchpost();
        all.arg(command).arg("--config").arg(self.site.config()).arg("--data").arg(&self.data);
        all
    }

    fn serve(&self) -> Server {
        Server::spawn(self.command("serve").args(["--listen", "127.0.0.1:0"]))
    }

    /// Takes all the room there is.
    fn fill(&self) -> PathBuf {
        let path = self.data.join("filler");
        let file = File::create(&path).unwrap();
        let block = [0; 4096];
        while std::io::Write::write_all(&mut &file, &block).is_ok() {}
        path
    }

    /// What `doctor` says of the disk and the folder.
    fn doctor(&self) -> String {
        let said = output(&mut self.command("doctor"));
        assert_eq!(said.status.code(), Some(1), "something is bad");
        String::from_utf8_lossy(&said.stdout).into_owned()
    }
}

fn wait_for_trouble(server: &Server) -> String {
    wait_for("the store to fail", || Some(store(server)).filter(|store| store.starts_with("failing: ")))
}

fn wait_for_relief(server: &Server) {
    wait_for("the store to take writes again", || (store(server) == "ok").then_some(()));
    wait_for("what waited to be written", || (engine(server, "results_queued") < QUEUED / 2).then_some(()));
}

#[test]
fn a_full_disk_delays_what_is_kept_and_loses_nothing() {
    apart("hardening::disk::a_full_disk_delays_what_is_kept_and_loses_nothing", || {
        let place = Place::new();
        let server = place.serve();
        server.wait_for_state("m0", "up");
        let filler = place.fill();
        let why = wait_for_trouble(&server);
        assert!(why.contains("full"), "{why}");
        let ready = server.get("/readyz");
        assert_eq!(ready.status, 503);
        assert!(ready.body.contains("the store takes no results"), "{}", ready.body);
        assert!(server.get("/metrics").body.contains("watchpost_store_up 0"));
        let doctor = place.doctor();
        assert!(doctor.contains("bad      disk"), "{doctor}");

        // Checks go on, and an outage is noticed, though not told before it is kept.
        place.target.answer(503);
        let before = engine(&server, "checks_total");
        wait_for("results to wait", || (engine(&server, "results_queued") >= QUEUED).then_some(()));
        assert!(engine(&server, "checks_total") >= before + QUEUED / 2);
        assert_eq!(server.monitor("m0")["state"], "up", "what is shown is durable");
        let room_made = millis(&server.json("/api/v1/status")["at"]);
        std::fs::remove_file(filler).unwrap();
        wait_for_relief(&server);
        assert_eq!(server.get("/readyz").status, 200);
        server.wait_for_state("m0", "down");
        let opened = incidents(&server);
        assert_eq!(opened.len(), MONITORS, "{opened:?}");
        for incident in &opened {
            assert!(millis(&incident["opened_at"]) < room_made, "opened when it happened: {incident}");
        }
        assert_eq!(engine(&server, "results_dropped_total"), 0);
        for i in 0..MONITORS {
            let id = format!("m{i}");
            let results = results(&server, &id);
            assert!(results.iter().all(|r| r.verdict != "inconclusive"), "{id} missed nothing: {results:?}");
            every_tick_is_accounted_for(&id, &results, EVERY);
        }
        assert_eq!(server.stop(), 0);
    });
}

#[test]
fn a_start_on_a_full_disk_is_refused_and_says_what_to_do() {
    apart("hardening::disk::a_start_on_a_full_disk_is_refused_and_says_what_to_do", || {
        let place = Place::new();
        let server = place.serve();
        server.wait_for_state("m0", "up");
        assert_eq!(server.stop(), 0);
        let filler = place.fill();
        let refused = output(place.command("serve").args(["--listen", "127.0.0.1:0"]));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains(place.data.to_str().unwrap()) && said.contains("make room"), "{said}");
        std::fs::remove_file(filler).unwrap();
        let server = place.serve();
        server.wait_for_state("m0", "up");
        assert_eq!(server.stop(), 0);
    });
}

/// The same files, on a mount that may only be read, in place of the folder. Files that are open stay writable.
fn read_only(folder: &Path) {
    let folder = folder.to_str().unwrap();
    run("mount", &["--bind", folder, folder]);
    run("mount", &["-o", "remount,bind,ro", folder]);
}

#[test]
fn a_start_on_a_read_only_folder_is_refused_with_the_folder_and_the_fix() {
    apart("hardening::disk::a_start_on_a_read_only_folder_is_refused_with_the_folder_and_the_fix", || {
        let place = Place::new();
        let server = place.serve();
        server.wait_for_state("m0", "up");
        assert_eq!(server.stop(), 0);
        read_only(&place.data);
        let refused = output(place.command("serve").args(["--listen", "127.0.0.1:0"]));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains(place.data.to_str().unwrap()), "{said}");
        assert!(said.contains("Read-only file system") && said.contains("--data"), "{said}");
        assert!(place.doctor().contains("bad      data folder"));
    });
}

#[test]
fn a_folder_that_becomes_read_only_is_told_and_written_again_when_it_can_be() {
    apart("hardening::disk::a_folder_that_becomes_read_only_is_told_and_written_again_when_it_can_be", || {
        let place = Place::new();
        let server = place.serve();
        server.wait_for_state("m0", "up");
        // A write that fails lets go of the database: the next attempt opens it anew, on the mount as it is by then.
        let filler = place.fill();
        wait_for_trouble(&server);
        read_only(&place.data);
        let why = wait_for("the folder to be read-only", || {
            Some(store(&server)).filter(|store| store.contains("Read-only") || store.contains("readonly"))
        });
        assert_eq!(server.get("/readyz").status, 503, "{why}");
        assert!(place.doctor().contains("bad      data folder"));
        wait_for("results to wait", || (engine(&server, "results_queued") >= QUEUED).then_some(()));
        run("umount", &[place.data.to_str().unwrap()]);
        std::fs::remove_file(filler).unwrap();
        wait_for_relief(&server);
        assert_eq!(engine(&server, "results_dropped_total"), 0);
        for i in 0..MONITORS {
            let id = format!("m{i}");
            every_tick_is_accounted_for(&id, &results(&server, &id), EVERY);
        }
        assert!(incidents(&server).is_empty());
        assert_eq!(server.stop(), 0);
    });
}
