//! Starts that cannot be: what is said, with which exit status, and that nothing is overwritten.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::harness::{Site, Target, output, watchpost};

/// Bytes of a database's header.
const HEADER: usize = 100;

/// A start that has to end by itself.
fn start(config: &Path) -> Output {
    output(watchpost().args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(config))
}

fn refused(outcome: &Output, status: i32) -> String {
    let said = String::from_utf8_lossy(&outcome.stderr).into_owned();
    assert_eq!(outcome.status.code(), Some(status), "{said}");
    said
}

/// A folder with a database, as a stopped server leaves it.
fn with_database() -> (Site, PathBuf) {
    let target = Target::start(1);
    let site = Site::new(&format!("monitors:\n  - {{ id: web, http: \"{}\", interval: 1s }}\n", target.url("/")));
    let server = site.serve();
    server.wait_for_state("web", "up");
    assert_eq!(server.stop(), 0);
    let database = site.folder.path().join("data/watchpost.db");
    (site, database)
}

#[test]
fn a_damaged_database_is_refused_named_and_left_as_it_is() {
    let (site, database) = with_database();
    let whole = std::fs::read(&database).unwrap();
    let mut scratched = whole.clone();
    scratched[4_096..].fill(0xa5);
    let cases = [("garbage", vec![0xa5; 50_000]), ("cut", whole[..whole.len() / 2].to_vec()), ("scratched", scratched)];
    for (what, bytes) in cases {
        std::fs::write(&database, &bytes).unwrap();
        let said = refused(&start(&site.config()), 1);
        println!("{what}: {said}");
        assert!(said.contains("the database is damaged"), "{what}: {said}");
        assert!(said.contains("restore a backup"), "{what}: {said}");
        assert!(said.contains(database.to_str().unwrap()), "{what}: {said}");
        // Opening a database may count in its header, of which nobody's data is part.
        let after = std::fs::read(&database).unwrap();
        assert!(after.len() == bytes.len() && after[HEADER..] == bytes[HEADER..], "{what}: the file was changed");
        let doctor = output(watchpost().args(["doctor", "--config"]).arg(site.config()));
        let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
        assert!(said.contains("bad      database"), "{what}: {said}");
    }
    std::fs::write(&database, whole).unwrap();
    let server = site.serve();
    server.wait_for_state("web", "up");
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_configuration_that_cannot_be_read_is_named_with_the_reason() {
    let site = Site::new("monitors: []\n");
    let folder = site.folder.path();
    let pipe = folder.join("pipe.yml");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let said = refused(&start(&pipe), 2);
    assert!(said.contains("pipe.yml") && said.contains("not a file"), "{said}");

    let closed = folder.join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::write(closed.join("a.yml"), "monitors: []\n").unwrap();
    let open_mode = closed.metadata().unwrap().permissions();
    std::fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    let said = refused(&without_override(&closed), 2);
    std::fs::set_permissions(&closed, open_mode).unwrap();
    assert!(said.contains("closed") && said.contains("Permission denied"), "{said}");
}

/// Root may read everything; this start may not, as root or as anybody.
fn without_override(config: &Path) -> Output {
    let mut command = Command::new("setpriv");
    if nix::unistd::geteuid().is_root() {
        command.arg("--bounding-set=-dac_override,-dac_read_search");
    }
    command.arg(watchpost().get_program()).args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(config);
    output(&mut command)
}
