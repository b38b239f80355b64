//! Every example starts, and every command line in them holds.

use std::path::{Path, PathBuf};

use crate::harness::{Server, output, wait_for, watchpost};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// Each example: a file, or a folder of files.
fn examples() -> Vec<PathBuf> {
    let mut examples: Vec<PathBuf> = std::fs::read_dir(folder())
        .expect("there are examples")
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| {
            path.is_dir() || path.extension().is_some_and(|e| ["yml", "yaml", "toml", "json"].iter().any(|w| e == *w))
        })
        .collect();
    examples.sort();
    examples
}

#[test]
fn every_example_is_valid() {
    assert!(examples().len() >= 4);
    for example in examples() {
        let checked = output(watchpost().args(["config", "check", "--config"]).arg(&example));
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(checked.status.success(), "{}: {said}", example.display());
    }
}

#[test]
fn every_example_starts_and_checks() {
    for example in examples() {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(&example, &[("WATCHPOST_DATA", data.path().to_str().unwrap())]);
        let monitors = server.json("/api/v1/status")["engine"]["monitors"].clone();
        wait_for(&format!("{} to check something", example.display()), || {
            let status = server.json("/api/v1/status");
            (monitors == 0 || status["engine"]["checks_total"].as_u64() > Some(0)).then_some(())
        });
        assert_eq!(server.stop(), 0, "{}", example.display());
    }
}
