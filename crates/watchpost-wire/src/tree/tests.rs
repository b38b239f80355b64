#![expect(
    clippy::too_many_lines,
    clippy::needless_pass_by_value,
    reason = "tables of cases, with what is expected written in place"
)]

use std::path::Path;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

/// A tree as text: one value a line, with its place.
fn outline(node: &Node, path: &str, out: &mut String) {
    let Place { line, column, .. } = node.place;
    match &node.value {
        Value::Scalar(scalar) => {
            let quoted = if scalar.style == Style::Quoted { "'" } else { "" };
            out.push_str(&format!("{line}:{column} {path} = {quoted}{}{quoted}\n", scalar.text.escape_debug()));
        }
        Value::List(items) => {
            items.iter().enumerate().for_each(|(i, item)| outline(item, &format!("{path}[{i}]"), out));
        }
        Value::Map(entries) => {
            for entry in entries {
                outline(
                    &entry.value,
                    &format!("{path}.{}@{}:{}", entry.key, entry.place.line, entry.place.column),
                    out,
                );
            }
        }
    }
}

fn parse(format: Format, bytes: &[u8]) -> Result<Tree, Problems> {
    let extension = match format {
        Format::Yaml => "yml",
        Format::Toml => "toml",
        Format::Json => "json",
    };
    Tree::parse(&[Input { path: format!("w.{extension}"), format, bytes: bytes.to_vec() }])
}

fn check(format: Format, text: &str, expected: Expect) {
    check_bytes(format, text.as_bytes(), expected);
}

fn check_bytes(format: Format, bytes: &[u8], expected: Expect) {
    let shown = match parse(format, bytes) {
        Ok(tree) => {
            let mut out = String::new();
            outline(&tree.root, "", &mut out);
            out
        }
        Err(problems) => format!("{problems}\n"),
    };
    expected.assert_eq(&shown);
}

#[test]
fn text_keeps_its_spelling_in_yaml() {
    check(
        Format::Yaml,
        "id: 443\noff: off\nv: 1.10\noct: 010\nat: 12:30\nn: 1_000\nyes: yes\ntoken: 12345678901234567890123e5\nq: \"1\"\nb: |\n  a\n  b\n",
        expect![[r#"
            1:5 .id@1:1 = 443
            2:6 .off@2:1 = off
            3:4 .v@3:1 = 1.10
            4:6 .oct@4:1 = 010
            5:5 .at@5:1 = 12:30
            6:4 .n@6:1 = 1_000
            7:6 .yes@7:1 = yes
            8:8 .token@8:1 = 12345678901234567890123e5
            9:4 .q@9:1 = '1'
            11:3 .b@10:1 = 'a\nb\n'
        "#]],
    );
}

#[test]
fn every_value_of_toml_has_its_place_and_order() {
    check(
        Format::Toml,
        "z = 1_000\na = 1.10\nd = 2026-11-20\n[server]\nlisten = [\"ä\", \"b\"]\n[[monitors]]\nid = 'x'\nhttp.url = \"u\"\n",
        expect![[r#"
            1:5 .z@1:1 = 1_000
            2:5 .a@2:1 = 1.10
            3:5 .d@3:1 = 2026-11-20
            5:11 .server@4:2.listen@5:1[0] = 'ä'
            5:16 .server@4:2.listen@5:1[1] = 'b'
            7:6 .monitors@6:3[0].id@7:1 = 'x'
            8:12 .monitors@6:3[0].http@8:1.url@8:6 = 'u'
        "#]],
    );
}

#[test]
fn every_value_of_json_has_its_place() {
    check(
        Format::Json,
        "{\n\t\"a\": [1.10, true, null, \"\\u00e4\\n\"],\n\t\"b\": {\"c\": {}, \"d\": []}, \"e\": \"x\"\n}\n",
        expect![[r#"
            2:8 .a@2:2[0] = 1.10
            2:14 .a@2:2[1] = true
            2:20 .a@2:2[2] = null
            2:26 .a@2:2[3] = 'ä\n'
            3:32 .e@3:27 = 'x'
        "#]],
    );
}

#[test]
fn anchors_aliases_and_merge_keys_are_resolved() {
    check(
        Format::Yaml,
        "base: &b { every: 5s, n: 1 }\nother: &o { n: 2, m: 3 }\na: { <<: *b, n: 9 }\nc: { <<: [*o, *b] }\nd: [*b]\n",
        expect![[r#"
            1:19 .base@1:1.every@1:12 = 5s
            1:26 .base@1:1.n@1:23 = 1
            2:16 .other@2:1.n@2:13 = 2
            2:22 .other@2:1.m@2:19 = 3
            3:17 .a@3:1.n@3:14 = 9
            1:19 .a@3:1.every@1:12 = 5s
            2:16 .c@4:1.n@2:13 = 2
            2:22 .c@4:1.m@2:19 = 3
            1:19 .c@4:1.every@1:12 = 5s
            1:19 .d@5:1[0].every@1:12 = 5s
            1:26 .d@5:1[0].n@1:23 = 1
        "#]],
    );
}

#[test]
fn what_is_not_allowed_is_refused_at_its_place() {
    let yaml = |text: &str, expected: Expect| check(Format::Yaml, text, expected);
    yaml(
        "a: 1\nb: 2\na: 3\n",
        expect![[r#"
        w.yml:3:1: `a` is set twice here; first in line 1
        3 | a: 3
          | ^
    "#]],
    );
    yaml(
        "a: !!python/object:os.system [x]\n",
        expect![[r#"
        w.yml:1:4: the tag `!!python/object:os.system` has no meaning here; remove it
        1 | a: !!python/object:os.system [x]
          |    ^
    "#]],
    );
    yaml(
        "a: *nothing\n",
        expect![[r#"
        w.yml:1:4: not YAML: while parsing node, found unknown anchor
        1 | a: *nothing
          |    ^
    "#]],
    );
    yaml(
        "a: &x [1, *x]\n",
        expect![[r#"
        w.yml:1:11: an alias inside of what it repeats
        1 | a: &x [1, *x]
          |           ^
    "#]],
    );
    yaml(
        "a: 1\n---\nb: 2\n",
        expect![[r#"
        w.yml:2:1: a second document in one file; put it into a file of its own
        2 | ---
          | ^
    "#]],
    );
    yaml(
        "? [a, b]\n: 1\n",
        expect![[r#"
        w.yml:1:3: a key must be text, not a list or a map; quote it if it begins with { or [
        1 | ? [a, b]
          |   ^
    "#]],
    );
    yaml(
        "a: { <<: 5 }\n",
        expect![[r#"
        w.yml:1:10: `<<` needs an alias of a map, such as `<<: *defaults`
        1 | a: { <<: 5 }
          |          ^
    "#]],
    );
    yaml(
        "- a\n- b\n",
        expect![[r#"
        w.yml:1:1: expected a map of keys such as `monitors:` at the top, got a list
        1 | - a
          | ^
    "#]],
    );
    yaml(
        "monitors:\n  - id: a\n   name: b\n",
        expect![[r#"
        w.yml:3:4: not YAML: while parsing a block collection, did not find expected '-' indicator
        3 |    name: b
          |    ^
    "#]],
    );
    yaml(
        "a:\n\t- b\n",
        expect![[r#"
        w.yml:2:2: not YAML: tabs disallowed within this context (block indentation)
        2 |  - b
          |  ^
    "#]],
    );
    check(
        Format::Json,
        "{\"a\": 1,\n \"a\": 2}",
        expect![[r#"
        w.json:2:2: `a` is set twice here; first in line 1
        2 |  "a": 2}
          |  ^
    "#]],
    );
    check(
        Format::Json,
        "{\"a\": 1,\n \"b\" 2}",
        expect![[r#"
        w.json:2:6: not JSON: expected `:`
        2 |  "b" 2}
          |      ^
    "#]],
    );
    check(
        Format::Toml,
        "a = 1\na = 2\n[b\n",
        expect![[r#"
        w.toml:2:1: not TOML: duplicate key
        2 | a = 2
          | ^
        w.toml:3:3: not TOML: unclosed table, expected `]`
        3 | [b
          |   ^
    "#]],
    );
}

#[test]
fn bytes_that_are_no_text_are_named_by_their_place() {
    check_bytes(
        Format::Yaml,
        b"a: b\nc: d\xff\n",
        expect![[r#"
        w.yml:2:5: byte 0xff at offset 9 is not UTF-8; save the file as UTF-8
    "#]],
    );
    check_bytes(
        Format::Toml,
        b"a = 'b\0'\n",
        expect![[r#"
        w.toml:1:7: a NUL byte at offset 6; the file must be text
    "#]],
    );
    check_bytes(
        Format::Yaml,
        b"\xEF\xBB\xBFa: 1\n",
        expect![[r#"
        1:4 .a@1:1 = 1
    "#]],
    );
}

/// Ten aliases of ten aliases of ...: a billion nodes from a few lines. Also by text, and by merge keys.
#[test]
fn a_bomb_of_aliases_is_refused_before_it_goes_off() {
    let mut lists = "a0: &a0 [x]\n".to_owned();
    let mut merges = "m0: &m0 { k: v }\n".to_owned();
    for i in 1..12 {
        let many = |name: &str| vec![format!("*{name}{}", i - 1); 10].join(", ");
        lists.push_str(&format!("a{i}: &a{i} [{}]\n", many("a")));
        merges.push_str(&format!("m{i}: &m{i} {{ l: [{}] }}\n", many("m")));
    }
    let long = format!("t: &t {}\nl: [{}]\n", "x".repeat(100_000), vec!["*t"; 10_000].join(", "));
    for bomb in [lists, merges, long] {
        // Were it not refused, this would not end, nor fit in memory.
        let problems = parse(Format::Yaml, bomb.as_bytes()).expect_err("a bomb");
        assert!(problems.to_string().contains("aliases repeat too much"), "{problems}");
    }
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!("a: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    for (format, text) in [
        (Format::Yaml, deep.clone()),
        (Format::Yaml, (0..500).fold(String::new(), |text, i| text + &" ".repeat(i) + "a:\n")),
        (Format::Json, format!("{{\"a\": {}{}}}", "[".repeat(100), "]".repeat(100))),
        (Format::Json, format!("{{\"a\": {}{}}}", "[".repeat(10_000), "]".repeat(10_000))),
        (Format::Toml, format!("a = {}{}", "[".repeat(10_000), "]".repeat(10_000))),
        (Format::Toml, format!("{}=1", vec!["a"; 5_000].join("."))),
    ] {
        parse(format, text.as_bytes()).expect_err("too deep");
    }
    // Anchors add up: each level is one alias deeper.
    let chain = (1..100).fold("a0: &a0 [x]\n".to_owned(), |text, i| text + &format!("a{i}: &a{i} [*a{}]\n", i - 1));
    assert!(parse(Format::Yaml, chain.as_bytes()).expect_err("too deep").to_string().contains("nested more than"));
}

fn substituted(text: &str) -> Result<Tree, Problems> {
    let mut tree = parse(Format::Yaml, text.as_bytes())?;
    tree.substitute(&|name| match name {
        "NAME" => Some("value".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    })?;
    Ok(tree)
}

#[test]
fn variables_are_filled_in_as_text() {
    let cases = [
        ("${NAME}", "value"),
        ("a ${NAME}-${NAME} b", "a value-value b"),
        ("${EMPTY}", ""),
        ("${EMPTY:-default}", "default"),
        ("${MISSING:-}", ""),
        ("${MISSING:-http://x:8080}", "http://x:8080"),
        ("$${NAME}", "${NAME}"),
        ("$$${NAME}", "$${NAME}"),
        ("$.db.state", "$.db.state"),
        ("100$", "100$"),
    ];
    for (written, filled) in cases {
        let tree = substituted(&format!("a: '{written}'\n")).unwrap();
        let Some(Node { value: Value::Scalar(scalar), .. }) = tree.root.get("a") else { panic!("{written}") };
        assert_eq!(&*scalar.text, filled, "{written}");
        assert!(!scalar.is_null(), "{written}: what is filled in is text");
    }
}

#[test]
fn an_unknown_variable_is_named_with_its_place() {
    let problems = substituted("a: x\nb: ['${MISSING}', '${A B}', '${NAME']\n").expect_err("unknown");
    expect![[r#"
        w.yml:2:5: the environment variable `MISSING` is not set; set it, or write ${MISSING:-default}
        2 | b: ['${MISSING}', '${A B}', '${NAME']
          |     ^
        w.yml:2:19: `${A B}` is not ${NAME} or ${NAME:-default}; write $${ for a literal ${
        2 | b: ['${MISSING}', '${A B}', '${NAME']
          |                   ^
        w.yml:2:29: `${` without `}`; write $${ for a literal ${
        2 | b: ['${MISSING}', '${A B}', '${NAME']
          |                             ^"#]]
    .assert_eq(&problems.to_string());
}

#[test]
fn secrets_come_from_files_beside_the_configuration() {
    let text = "a: { token_file: t, name_file: n }\nb: { token_file: missing, token: x }\nc: { token_file: huge }\nd: { token_file: [1] }\n";
    let mut tree = Tree::parse_text("etc/w.yml", Format::Yaml, text).unwrap();
    let read = |path: &Path, bytes: usize| match path.to_str() {
        Some("etc/t") => Ok(b"s3cret\n\n".to_vec()),
        Some("etc/huge") => Ok(vec![b'x'; bytes]),
        _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
    };
    let is_secret = |path: &[&str], key: &str| path.len() == 1 && key == "token";
    let problems = tree.read_secret_files(SecretFiles { is_secret: &is_secret, read: &read }).expect_err("problems");
    let Some(Value::Scalar(token)) = tree.root.get("a").and_then(|a| a.get("token")).map(|n| &n.value) else {
        panic!()
    };
    assert_eq!(&*token.text, "s3cret\n", "one final newline is cut off");
    assert!(tree.root.get("a").and_then(|a| a.get("name_file")).is_some(), "not a secret: left alone");
    expect![[r#"
        etc/w.yml:2:6: `token` is already set in line 2; keep one of the two
        2 | b: { token_file: missing, token: *** }
          |      ^
        etc/w.yml:3:18: etc/huge has more than 65536 bytes; it must hold one secret
        3 | c: { token_file: huge }
          |                  ^
        etc/w.yml:4:18: expected the path of a file
        4 | d: { token_file: [1] }
          |                  ^"#]]
    .assert_eq(&problems.to_string());
}

#[test]
fn files_are_merged_and_nothing_is_set_twice() {
    let input = |path: &str, text: &str| Input {
        path: path.to_owned(),
        format: Format::of_path(Path::new(path)).unwrap(),
        bytes: text.as_bytes().to_vec(),
    };
    let files = [
        input("1.yml", "server: { listen: a }\nmonitors: [x]\nlog:\n"),
        input("2.toml", "monitors = ['y']\n[server]\nbase_url = 'b'\n[log]\nlevel = 'info'\n"),
        input("3.json", "{\"monitors\": [\"z\"]}"),
        input("4.yml", "# nothing\n"),
    ];
    let tree = Tree::parse(&files).unwrap();
    let mut out = String::new();
    outline(&tree.root, "", &mut out);
    expect![[r#"
        1:19 .server@1:1.listen@1:11 = a
        3:12 .server@1:1.base_url@3:1 = 'b'
        2:12 .monitors@2:1[0] = x
        1:13 .monitors@2:1[1] = 'y'
        1:15 .monitors@2:1[2] = 'z'
        5:9 .log@4:2.level@5:1 = 'info'
    "#]]
    .assert_eq(&out);

    let twice = [files[0].clone(), input("5.yml", "server: { listen: a }\nlog: x\nmonitors: { a: b }\n")];
    let problems = Tree::parse(&twice).expect_err("twice");
    expect![[r#"
        5.yml:1:11: `listen` is set twice; first at 1.yml:1:11
        1 | server: { listen: a }
          |           ^
        5.yml:3:1: `monitors` is set twice; first at 1.yml:2:1
        3 | monitors: { a: b }
          | ^"#]]
    .assert_eq(&problems.to_string());
}

#[test]
fn lines_are_shown_without_secrets() {
    let cases = [
        ("  pasword: hunter2", "  pasword: ***"),
        ("a: { basic: { user: u, passwrd: 'hun, ter2' }, x: 1 }", "a: { basic: { user: u, passwrd: *** }, x: 1 }"),
        ("http: https://me:hunter2@host/path", "http: https://me:***@host/path"),
        ("api_key = \"hunter2\"", "api_key = ***"),
        ("{\"token\": \"hunter2\", \"id\": \"a\"}", "{\"token\": ***, \"id\": \"a\"}"),
        ("token_file: /run/secrets/t", "token_file: /run/secrets/t"),
        ("Authorization: Bearer hunter2", "Authorization: ***"),
        ("interval: 30s", "interval: 30s"),
    ];
    for (line, shown) in cases {
        assert_eq!(problem_line(line, 1), shown);
    }
    // The caret stays at what it points to.
    let problems = Tree::parse_text("w.yml", Format::Yaml, "{ token: hunter2, a: 1, a: 2 }").expect_err("twice");
    expect![[r#"
        w.yml:1:25: `a` is set twice here; first in line 1
        1 | { token: ***, a: 1, a: 2 }
          |                     ^"#]]
    .assert_eq(&problems.to_string());
}

fn problem_line(line: &str, column: u32) -> String {
    let mut sources = Sources::default();
    sources.add("w", line);
    let problem = Problem::at(Place { file: 0, line: 1, column }, String::new());
    let shown = Problems::new(vec![problem], sources).to_string();
    shown.lines().nth(1).unwrap().trim_start_matches("1 | ").to_owned()
}

#[test]
fn a_long_line_is_shown_around_the_place() {
    let line = format!("{{{}a: 1, a: 2}}", "b: [], ".to_owned() + &"x".repeat(500) + ": 1, ");
    let problems = Tree::parse_text("w.yml", Format::Yaml, &line).expect_err("twice");
    let shown = problems.to_string();
    assert!(shown.lines().all(|line| line.chars().count() < 140), "{shown}");
    let caret = shown.lines().last().and_then(|line| line.find('^')).unwrap();
    assert_eq!(shown.lines().nth(1).and_then(|line| line.get(caret..caret + 4)), Some("a: 2"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for format in [Format::Yaml, Format::Toml, Format::Json] {
            if let Err(problems) = parse(format, &bytes) {
                prop_assert!(!problems.to_string().is_empty());
            }
        }
    }

    #[test]
    fn arbitrary_syntax_never_panics(text in "[a-c:,{}\\[\\]\"'&*<!|>?#%$=. \n\t0-9-]{0,80}") {
        for format in [Format::Yaml, Format::Toml, Format::Json] {
            match parse(format, text.as_bytes()) {
                Ok(mut tree) => { let _ = tree.substitute(&|_| None); }
                Err(problems) => prop_assert!(problems.to_string().starts_with("w.")),
            }
        }
    }

    /// Whatever JSON says, we read the same.
    #[test]
    fn json_is_read_as_serde_json_reads_it(text in "[a-zA-Z0-9 äß\u{1F600}\"\\\\\n\t/]{0,40}") {
        let whole = serde_json::json!({ "k": [text, { "x": text }] }).to_string();
        for format in [Format::Json, Format::Yaml] {
            let tree = parse(format, whole.as_bytes()).unwrap();
            let Some(Value::List(items)) = tree.root.get("k").map(|n| &n.value) else { panic!() };
            let Value::Scalar(first) = &items[0].value else { panic!() };
            prop_assert_eq!(&*first.text, &*text);
        }
    }
}

#[test]
fn half_a_character_in_json_is_told_and_not_taken_for_an_empty_text() {
    let said = |text: &str| Tree::parse_text("w.json", Format::Json, text).unwrap_err().to_string();
    let told = said(r#"{"é": 1, "id": "a\ud83d"}"#);
    assert!(told.starts_with("w.json:1:16: not JSON: half of a character"), "{told}");
    assert!(said(r#"{"\udd80": 1}"#).starts_with("w.json:1:2: not JSON"), "a key, too");
}

#[test]
fn the_place_of_a_slip_in_json_counts_characters() {
    let said = Tree::parse_text("w.json", Format::Json, "{\n \"é日\": x}").unwrap_err().to_string();
    assert!(said.starts_with("w.json:2:8: not JSON"), "{said}");
}

#[test]
fn what_is_written_cannot_steer_the_terminal_that_shows_what_is_wrong_with_it() {
    let said = Tree::parse_text("w.yml", Format::Json, r#""\u001b[2J""#).unwrap_err().to_string();
    assert!(said.contains(r"got `\u{1b}[2J`"), "{said}");
}

#[test]
fn after_a_lone_carriage_return_the_right_line_is_shown() {
    let said = Tree::parse_text("w.yml", Format::Yaml, "a: 1\rb: 2\rb: 3\nsecond: 1\n").unwrap_err().to_string();
    assert!(said.contains("w.yml:3:1: `b` is set twice") && said.contains("3 | b: 3"), "{said}");
}
