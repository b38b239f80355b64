#![expect(clippy::too_many_lines, reason = "what is expected is written in place")]

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use expect_test::expect;
use tokio::time::timeout;

use super::*;

/// Longer than any notice may take; reached only when one is missing.
const MISSING: Duration = Duration::from_secs(20);

fn nothing(_: &str) -> Option<String> {
    None
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

#[test]
fn the_named_file_comes_before_the_one_in_the_environment() {
    let env = |name: &str| (name == "WATCHPOST_CONFIG").then(|| "from-env.yml".to_owned());
    assert_eq!(find_in(Some(Path::new("named.yml")), &env), Source::File("named.yml".into()));
    assert_eq!(find_in(None, &env), Source::File("from-env.yml".into()));
    let folder = folder();
    assert_eq!(find_in(Some(folder.path()), &nothing), Source::Folder(folder.path().to_owned()));
}

#[test]
fn data_lies_beside_the_configuration_unless_named() {
    let env = |name: &str| (name == "WATCHPOST_DATA").then(|| "/srv/w".to_owned());
    let file = Source::File("/etc/watchpost/watchpost.yml".into());
    assert_eq!(data_folder_in(Some(Path::new("d")), &env, &file), Path::new("d"));
    assert_eq!(data_folder_in(None, &env, &file), Path::new("/srv/w"));
    assert_eq!(data_folder_in(None, &nothing, &file), Path::new("/etc/watchpost/data"));
    assert_eq!(data_folder_in(None, &nothing, &Source::File("w.yml".into())), Path::new("data"));
    assert_eq!(data_folder_in(None, &nothing, &Source::Folder("conf.d".into())), Path::new("conf.d/data"));
    assert_eq!(data_folder_in(None, &nothing, &Source::Nothing), Path::new("data"));
}

#[test]
fn no_file_is_an_empty_configuration() {
    let loaded = load(&Source::Nothing, &nothing).unwrap();
    assert_eq!((loaded.settings, loaded.monitors.len(), loaded.files.len()), (Settings::default(), 0, 0));
}

#[test]
fn a_file_that_is_named_must_be_readable() {
    let folder = folder();
    let missing = load(&Source::File(folder.path().join("no.yml")), &nothing).expect_err("missing");
    assert!(missing.to_string().ends_with("no.yml: No such file or directory (os error 2)"), "{missing}");
    load(&Source::File(folder.path().to_owned()), &nothing).expect_err("a folder is not a file");
    load(&Source::Folder(folder.path().join("no")), &nothing).expect_err("missing folder");
}

#[test]
fn a_folder_is_merged_by_name() {
    let folder = folder();
    write(&folder.path().join("2.toml"), "[[monitors]]\nid = 'b'\nicmp = 'h'\n");
    write(&folder.path().join("1.yml"), "monitors: [ { id: a, icmp: h } ]\ndefaults: { interval: 5s }\n");
    write(&folder.path().join(".hidden.yml"), "nonsense: [");
    write(&folder.path().join("readme.txt"), "nonsense: [");
    fs::create_dir(folder.path().join("data.yml")).unwrap();
    let loaded = load(&Source::Folder(folder.path().to_owned()), &nothing).unwrap();
    let ids: Vec<&str> = loaded.monitors.iter().map(|w| w.definition.id.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(loaded.files, [folder.path().join("1.yml"), folder.path().join("2.toml")]);

    write(&folder.path().join("3.json"), r#"{"monitors": [{"id": "a", "icmp": "h"}]}"#);
    let twice = load(&Source::Folder(folder.path().to_owned()), &nothing).expect_err("twice").to_string();
    let twice = twice.replace(&folder.path().display().to_string(), "DIR");
    expect![[r#"
        DIR/3.json:1:22: the id `a` is already used at DIR/1.yml:1:19; give one of them another `id`
        1 | {"monitors": [{"id": "a", "icmp": "h"}]}
          |                      ^"#]]
    .assert_eq(&twice);
}

#[test]
fn variables_and_secret_files_are_filled_in() {
    let folder = folder();
    let file = folder.path().join("watchpost.yml");
    write(&folder.path().join("token"), "s3cret\n");
    write(&file, "monitors:\n  - http: { url: \"http://${HOST}/\", auth: { bearer_file: token } }\n");
    let env = |name: &str| (name == "HOST").then(|| "h.example.org".to_owned());
    let loaded = load(&Source::File(file.clone()), &env).unwrap();
    let watchpost_core::Spec::Http(http) = &loaded.monitors[0].definition.spec else { panic!() };
    assert_eq!(http.url.written(), "http://h.example.org/");
    assert_eq!(http.auth, Some(watchpost_core::spec::HttpAuth::Bearer(watchpost_core::Secret::new("s3cret"))));
    assert!(load(&Source::File(file), &nothing).is_err());
}

#[test]
fn the_effective_configuration_is_a_configuration() {
    let folder = folder();
    let file = folder.path().join("watchpost.yml");
    write(
        &file,
        "monitors:\n  - { id: 443, name: 'off: #x', http: 'http://h', tags: [a b, \"1.10\"], expect: { json: { path: $.a, equals: up }, body: \"a\\nb\" } }\n  - { icmp: h, cron: '@daily' }\n",
    );
    let loaded = load(&Source::File(file.clone()), &nothing).unwrap();
    let shown = effective_yaml(&loaded);
    expect![[r#"
        server:
          listen: ["127.0.0.1:8080"]
        alerting:
          cannot_tell_after: 15m
        log:
          format: text
          level: info
        network:
          ca_files: []
          private_targets: allow
        storage:
          keep:
            history: 1825d
            results: 35d
          size_max: 2GiB
          url: "sqlite://watchpost.db"
        monitors:
          - id: "443"
            name: "off: #x"
            tags: ["a b", "1.10"]
            active: true
            expect:
              body:
                contains: ["a\nb"]
                lacks: []
                matches: []
              json:
                - equals: up
                  path: "$.a"
              status: "200-399"
            fail_after: 1
            http:
              body_max: 1MiB
              headers: {}
              ip: any
              method: GET
              read_body: true
              redirects: 10
              tcp_first: false
              url: "http://h"
              verify_tls: true
              version: auto
            interval: 1m
            recover_after: 1
            regions: [local]
            timeout: 10s
          - id: h
            name: h
            tags: []
            active: true
            cron: "@daily"
            expect:
              loss:
                degraded: "100%"
                down: "100%"
            fail_after: 1
            icmp:
              count: 3
              host: h
              ip: any
              size: 56
            recover_after: 1
            regions: [local]
            timeout: 10s
            timezone: UTC
    "#]]
    .assert_eq(&shown);
    write(&file, &shown);
    let again = load(&Source::File(file), &nothing).unwrap();
    assert_eq!(again.settings, loaded.settings);
    assert_eq!(again.monitors.len(), 2);
    for (again, first) in again.monitors.iter().zip(&loaded.monitors) {
        assert_eq!(again, first);
    }
    assert_eq!(effective(&loaded)["monitors"][0]["id"], "443");
}

#[test]
fn a_url_given_by_hand_has_the_defaults_of_the_file() {
    let folder = folder();
    let file = folder.path().join("watchpost.yml");
    write(&file, "defaults: { timeout: 3s }\n");
    let loaded = load(&Source::File(file), &nothing).unwrap();
    assert_eq!(monitor_for_url("tcp://h:1", &loaded).unwrap().timeout, Duration::from_secs(3));
}

/// Writes in some way, and waits for the notice of it.
async fn notices(watcher: &mut Watcher, change: impl FnOnce()) {
    change();
    timeout(MISSING, watcher.recv()).await.expect("a notice").expect("always some");
}

#[tokio::test]
async fn an_edit_in_place_or_by_rename_is_noticed() {
    let folder = folder();
    let file = folder.path().join("watchpost.yml");
    write(&file, "a");
    let mut watcher = watch(&Source::File(file.clone()));
    notices(&mut watcher, || write(&file, "edited")).await;
    notices(&mut watcher, || {
        write(&folder.path().join(".new"), "renamed");
        fs::rename(folder.path().join(".new"), &file).unwrap();
    })
    .await;
    notices(&mut watcher, || fs::remove_file(&file).unwrap()).await;
    notices(&mut watcher, || write(&file, "back")).await;
}

#[tokio::test]
async fn a_swapped_symlink_is_noticed() {
    let folder = folder();
    let inside = |name: &str| folder.path().join(name);
    for version in ["..1", "..2"] {
        fs::create_dir(inside(version)).unwrap();
        write(&inside(version).join("watchpost.yml"), version);
    }
    symlink("..1", inside("..data")).unwrap();
    symlink("..data/watchpost.yml", inside("watchpost.yml")).unwrap();
    let mut watcher = watch(&Source::File(inside("watchpost.yml")));
    notices(&mut watcher, || {
        symlink("..2", inside("..tmp")).unwrap();
        fs::rename(inside("..tmp"), inside("..data")).unwrap();
    })
    .await;
    assert_eq!(fs::read_to_string(inside("watchpost.yml")).unwrap(), "..2");
}

#[tokio::test]
async fn a_target_elsewhere_is_watched_too() {
    let (folder, elsewhere) = (folder(), folder());
    let target = elsewhere.path().join("real.yml");
    write(&target, "a");
    symlink(&target, folder.path().join("watchpost.yml")).unwrap();
    let mut watcher = watch(&Source::File(folder.path().join("watchpost.yml")));
    notices(&mut watcher, || write(&target, "b")).await;
}

#[tokio::test]
async fn files_that_come_and_go_in_a_folder_are_noticed() {
    let folder = folder();
    let mut watcher = watch(&Source::Folder(folder.path().to_owned()));
    let file = folder.path().join("a.yml");
    notices(&mut watcher, || write(&file, "a")).await;
    notices(&mut watcher, || fs::remove_file(&file).unwrap()).await;
}

#[tokio::test]
async fn a_change_is_noticed_without_the_kernels_notices() {
    let folder = folder();
    let file = folder.path().join("watchpost.yml");
    write(&file, "a");
    let mut watcher = watch(&Source::File(file.clone()));
    watcher.without_notices();
    notices(&mut watcher, || write(&file, "longer")).await;
}

#[tokio::test]
async fn a_change_is_not_lost_to_an_impatient_waiter() {
    let folder = folder();
    let file = folder.path().join("watchpost.yml");
    write(&file, "a");
    let mut watcher = watch(&Source::File(file.clone()));
    write(&file, "longer");
    // Each time given up before the quiet has passed.
    let told = async { while timeout(Duration::from_millis(20), watcher.recv()).await.is_err() {} };
    timeout(MISSING, told).await.expect("the change is told in the end");
}

#[tokio::test]
async fn steps_of_one_edit_are_one_notice() {
    let folder = folder();
    let file = folder.path().join("watchpost.yml");
    write(&file, "a");
    let mut watcher = watch(&Source::File(file.clone()));
    notices(&mut watcher, || {
        for step in 0..10 {
            write(&folder.path().join(format!("watchpost.yml.{step}")), "x");
            fs::rename(folder.path().join(format!("watchpost.yml.{step}")), &file).unwrap();
        }
    })
    .await;
    timeout(Duration::from_secs(2), watcher.recv()).await.expect_err("all steps were told at once");
}

#[test]
fn odd_texts_and_empty_maps_of_the_effective_configuration_read_back() {
    let folder = folder();
    let file = folder.path().join("watchpost.json");
    write(
        &file,
        r#"{"monitors": [{"id": "a", "http": "http://h", "expect": {"body": "\u007f\u2028\uffff\ufeff", "json": [{"path": "$", "equals": [{}, "b"]}]}}]}"#,
    );
    let loaded = load(&Source::File(file.clone()), &nothing).unwrap();
    let again = folder.path().join("again.yml");
    write(&again, &effective_yaml(&loaded));
    let again = load(&Source::File(again), &nothing).unwrap();
    assert_eq!(again.monitors[0].definition.expect, loaded.monitors[0].definition.expect);
}
