//! YAML, TOML and JSON into trees with places, and what is filled into them.

use std::time::Duration;

use fuzz::{Choices, Effort, run, within};
use serde_json::{Map, Value};
use watchpost_wire::tree::{Format, Input, NESTING_MAX, Node, Problems, Style, Tree, Value as Kind};

/// Pieces of all three languages, and of what the documents say.
const PIECES: &[&str] = &[
    "\n",
    "\n  ",
    "\n    ",
    "\n- ",
    "\n  - ",
    ": ",
    ":",
    "- ",
    "? ",
    ", ",
    "[",
    "]",
    "{",
    "}",
    "{}",
    "[]",
    "\"",
    "'",
    "\\",
    "\\u",
    "\\ud83e",
    "\\udd80",
    "d800",
    "\\n",
    "\\x41",
    "#",
    " # ",
    "&a ",
    "*a",
    "&b ",
    "*b",
    "<<",
    "<<: *a",
    "!",
    "!!str ",
    "!!int ",
    "!x ",
    "|",
    ">",
    "|-\n",
    ">+\n",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "~",
    "null",
    "true",
    "off",
    "010",
    "1.10",
    "1e5",
    "-0",
    "0x1f",
    "12:30",
    "1979-05-27T07:32:00Z",
    "inf",
    "nan",
    "[a]\n",
    "[[a]]\n",
    "[a.b]\n",
    "a.b",
    "a = ",
    " = ",
    "\"\"\"",
    "'''",
    "a",
    "b",
    "monitors",
    "http",
    "url",
    "\t",
    " ",
    "\r\n",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "${A}",
    "$${",
];

const FORMATS: [Format; 3] = [Format::Yaml, Format::Toml, Format::Json];

fn parse(format: Format, bytes: &[u8]) -> Result<Tree, Problems> {
    Tree::parse(&[Input { path: "w.yml".to_owned(), format, bytes: bytes.to_vec() }])
}

/// Every place lies in the text, every message is one line a terminal can show, and the whole can be shown.
pub(crate) fn problems_are_readable(problems: &Problems, text: &str) {
    assert!(!problems.list().is_empty());
    let lines: Vec<&str> = text.split('\n').collect();
    for problem in problems.list() {
        assert!(!problem.message.is_empty());
        let Some(place) = problem.place else { continue };
        assert_eq!(place.file, 0);
        let line = lines.get(place.line as usize - 1);
        assert!(line.is_some() || place.line as usize == lines.len() + 1, "line {} of {text:?}", place.line);
        let width = line.map_or(0, |line| line.chars().count());
        assert!(
            (1..=width + 2).contains(&(place.column as usize)),
            "column {} of {line:?}: {} {text:?}",
            place.column,
            problem.message
        );
    }
    let shown = problems.to_string();
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
}

/// A node's parts, deepest first: none lies deeper than is allowed, all lie in the text.
fn walk(node: &Node, depth: usize, lines: usize) -> usize {
    assert!(depth <= NESTING_MAX + 1);
    assert!((1..=lines).contains(&(node.place.line as usize)), "{node:?}");
    match &node.value {
        Kind::Scalar(_) => 1,
        Kind::List(items) => 1 + items.iter().map(|item| walk(item, depth + 1, lines)).sum::<usize>(),
        Kind::Map(entries) => {
            let mut keys: Vec<&str> = entries.iter().map(|entry| &*entry.key).collect();
            keys.sort_unstable();
            assert!(keys.windows(2).all(|two| two[0] != two[1]), "a key twice: {keys:?}");
            1 + entries.iter().map(|entry| walk(&entry.value, depth + 1, lines)).sum::<usize>()
        }
    }
}

fn any_text(format: Format, bytes: &[u8]) {
    const EXAMPLES: [&str; 4] = [
        include_str!("../../../examples/http.yml"),
        include_str!("../../../examples/network.yml"),
        include_str!("../../../examples/config.toml"),
        include_str!("../../../examples/config.json"),
    ];
    let mut choices = Choices::new(bytes);
    let text = match choices.below(8) {
        0 => bytes.to_vec(),
        1 | 2 => {
            let example = choices.word(&EXAMPLES);
            choices.mutated(example.as_bytes(), PIECES)
        }
        _ => choices.soup(PIECES, 200).into_bytes(),
    };
    let parsed = within(Duration::from_secs(2), "a few kilobytes", || parse(format, &text));
    let mut shown = String::from_utf8_lossy(&text).into_owned();
    if format == Format::Yaml {
        shown = shown.replace("\r\n", "\n").replace('\r', "\n");
    }
    match parsed {
        Ok(tree) => assert!(walk(&tree.root, 0, shown.split('\n').count()) <= 20_000 + 21 * text.len()),
        // What is no text has no lines of which some could be shown.
        Err(problems) if std::str::from_utf8(&text).is_err() || text.contains(&0) => {
            assert_eq!(problems.list().len(), 1);
        }
        Err(problems) => problems_are_readable(&problems, shown.trim_start_matches('\u{feff}')),
    }
}

#[test]
fn any_yaml_is_a_tree_or_a_problem_with_its_place() {
    run("yaml", Effort { inputs: 10_000, bytes_max: 512 }, |bytes| any_text(Format::Yaml, bytes));
}

#[test]
fn any_toml_is_a_tree_or_a_problem_with_its_place() {
    run("toml", Effort { inputs: 6_000, bytes_max: 512 }, |bytes| any_text(Format::Toml, bytes));
}

#[test]
fn any_json_is_a_tree_or_a_problem_with_its_place() {
    run("json", Effort { inputs: 30_000, bytes_max: 512 }, |bytes| any_text(Format::Json, bytes));
}

/// Whether a node is what this value is. Numbers keep their spelling.
fn is(node: &Node, value: &Value) -> bool {
    match (&node.value, value) {
        (Kind::Scalar(scalar), Value::String(text)) => scalar.style == Style::Quoted && *scalar.text == **text,
        (Kind::Scalar(scalar), Value::Number(_) | Value::Bool(_) | Value::Null) => {
            scalar.style == Style::Plain && *scalar.text == *value.to_string()
        }
        (Kind::List(items), Value::Array(values)) => {
            items.len() == values.len() && items.iter().zip(values).all(|(item, value)| is(item, value))
        }
        (Kind::Map(entries), Value::Object(map)) => {
            entries.len() == map.len()
                && entries.iter().all(|entry| map.get(&*entry.key).is_some_and(|value| is(&entry.value, value)))
        }
        (Kind::Scalar(_) | Kind::List(_) | Kind::Map(_), _) => false,
    }
}

/// Any JSON value, the parts of which all three languages know.
pub(crate) fn value(choices: &mut Choices<'_>, depth: usize) -> Value {
    match choices.below(if depth == 0 { 5 } else { 7 }) {
        0 => Value::from(choices.text(12)),
        1 => Value::from(choices.signed()),
        2 => Value::from(f64::from_bits(choices.bits())),
        3 => Value::Bool(choices.one_in(2)),
        4 => {
            Value::from(choices.word(&["", "null", "off", "1.10", "~", "<<", "*a", "- x", "a: b", "#", "***", "${A}"]))
        }
        5 => (0..choices.below(4)).map(|_| value(choices, depth - 1)).collect(),
        _ => Value::Object(map(choices, depth - 1)),
    }
}

fn map(choices: &mut Choices<'_>, depth: usize) -> Map<String, Value> {
    let key = |choices: &mut Choices<'_>| match choices.below(3) {
        0 => choices.text(8),
        _ => choices.word(&["a", "b", "on", "null", "<<", "1", "a b", "a.b", "\"", "?", "-"]).to_owned(),
    };
    (0..choices.below(4)).map(|_| (key(choices) + "k", value(choices, depth))).collect()
}

/// An inline value of TOML. Its texts know the escapes of JSON, and want DEL escaped too.
fn toml(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let pairs: Vec<String> = map.iter().map(|(key, v)| format!("{} = {}", text(key), toml(v))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::String(word) => text(word),
        Value::Null => "\"\"".to_owned(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
    }
}

/// A document of TOML.
pub(crate) fn toml_document(map: &Map<String, Value>) -> String {
    map.iter().map(|(key, value)| format!("{} = {}\n", text(key), toml(value))).collect()
}

/// Whether a node says this to whoever reads it, however it is quoted.
pub(crate) fn says(node: &Node, value: &Value) -> bool {
    match (&node.value, value) {
        (Kind::Scalar(scalar), Value::String(text)) => !scalar.is_null() && *scalar.text == **text,
        (Kind::List(items), Value::Array(values)) => {
            items.len() == values.len() && items.iter().zip(values).all(|(item, value)| says(item, value))
        }
        (Kind::Map(entries), Value::Object(map)) => {
            entries.len() == map.len()
                && entries.iter().all(|entry| map.get(&*entry.key).is_some_and(|value| says(&entry.value, value)))
        }
        (Kind::Scalar(_) | Kind::List(_) | Kind::Map(_), _) => is(node, value),
    }
}

fn text(word: &str) -> String {
    Value::from(word).to_string().replace('\u{7f}', "\\u007f")
}

/// A null is no value of TOML.
pub(crate) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Null => Value::from(""),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, without_nulls(value))).collect(),
        other => other,
    }
}

#[test]
fn one_value_is_one_tree_in_all_three_languages() {
    run("formats_agree", Effort { inputs: 12_000, bytes_max: 256 }, |bytes| {
        let root = Value::Object(map(&mut Choices::new(bytes), 4));
        let json = root.to_string();
        let tree = parse(Format::Json, json.as_bytes()).unwrap_or_else(|e| panic!("{json}: {e}"));
        assert!(is(&tree.root, &root), "{json}: {:?}", tree.root);
        let pretty = format!("{root:#}");
        let tree = parse(Format::Json, pretty.as_bytes()).unwrap_or_else(|e| panic!("{pretty}: {e}"));
        assert!(is(&tree.root, &root), "{pretty}: {:?}", tree.root);

        let yaml = escaped(&json);
        let tree = parse(Format::Yaml, yaml.as_bytes()).unwrap_or_else(|e| panic!("{yaml}: {e}"));
        assert!(is(&tree.root, &root), "{yaml}: {:?}", tree.root);

        let root = without_nulls(root);
        let toml = root.as_object().map(toml_document).unwrap();
        let tree = parse(Format::Toml, toml.as_bytes()).unwrap_or_else(|e| panic!("{toml}: {e}"));
        assert!(is(&tree.root, &root), "{toml}: {:?}", tree.root);
    });
}

/// JSON with all that YAML does not take as it is (YAML 1.2 section 5.1) escaped.
pub(crate) fn escaped(json: &str) -> String {
    let mut text = String::new();
    for c in json.chars() {
        match c {
            ' '..='~' => text.push(c),
            c => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    text
}

/// The strictest reader of JSON there is decides.
#[test]
fn json_is_what_serde_json_says_it_is() {
    const JSON: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"b\":",
        "\\\"",
        "\\\\",
        "\\u0041",
        "\\ud83e\\udd80",
        "\\ud800",
        "\\udc00",
        "\\n",
        "\\/",
        "1",
        "-",
        "0",
        "1.5",
        "1e9",
        "1E+400",
        "-0",
        "true",
        "false",
        "null",
        " ",
        "\n",
        "\t",
        "é",
        "🦀",
    ];
    run("json_oracle", Effort { inputs: 50_000, bytes_max: 128 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let text = match choices.one_in(2) {
            true => format!("{{\"a\":\"{}\"}}", choices.soup(JSON, 40)),
            false => format!("{{{}}}", choices.soup(JSON, 80)),
        };
        match (serde_json::from_str::<Value>(&text), parse(Format::Json, text.as_bytes())) {
            (Ok(value), Ok(tree)) => assert!(is_spelt(&tree.root, &value), "{text}: {:?}", tree.root),
            (Ok(_), Err(problems)) => {
                let twice = problems.list().iter().any(|problem| problem.message.contains("set twice"));
                assert!(twice, "{text} is JSON: {problems}");
            }
            (Err(e), Ok(tree)) => {
                // A number beyond what a float can hold is JSON all the same (RFC 8259 section 6).
                assert!(e.to_string().contains("number out of range"), "{text} is not JSON ({e}): {:?}", tree.root);
            }
            (Err(_), Err(problems)) => problems_are_readable(&problems, &text),
        }
    });
}

/// As [`is`], for numbers in any spelling.
fn is_spelt(node: &Node, value: &Value) -> bool {
    match (&node.value, value) {
        (Kind::Scalar(scalar), Value::Number(number)) => {
            scalar.style == Style::Plain && serde_json::from_str(&scalar.text).ok().as_ref() == Some(number)
        }
        (Kind::List(items), Value::Array(values)) => {
            items.len() == values.len() && items.iter().zip(values).all(|(item, value)| is_spelt(item, value))
        }
        (Kind::Map(entries), Value::Object(map)) => {
            entries.iter().all(|entry| map.get(&*entry.key).is_some_and(|value| is_spelt(&entry.value, value)))
        }
        (Kind::Scalar(_) | Kind::List(_) | Kind::Map(_), _) => is(node, value),
    }
}

/// A short piece, very often: what is nested, repeated or aliased without end must not cost without end.
#[test]
fn a_hundred_kilobytes_of_anything_cost_next_to_nothing() {
    run("repetition", Effort { inputs: 150, bytes_max: 24 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let format = *choices.pick(&FORMATS);
        let before = choices.soup(PIECES, 3);
        let unit = choices.word(PIECES).to_owned() + &choices.soup(PIECES, 5);
        let after = choices.soup(PIECES, 3);
        let text = before + &unit.repeat(100_000 / unit.len().max(1)) + &after;
        let parsed = within(Duration::from_secs(4), &format!("{format:?} {unit:?}"), || {
            parse(format, text.as_bytes()).map_err(|problems| problems.to_string().len())
        });
        if let Err(shown) = parsed {
            assert!(shown < 40_000, "{shown} bytes of problems for {unit:?}");
        }
    });
}

#[test]
fn several_files_are_one_tree_or_a_problem_with_its_place() {
    run("merged", Effort { inputs: 30_000, bytes_max: 256 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let inputs: Vec<Input> = (0..=choices.below(3))
            .map(|n| {
                let mut root = map(&mut choices, 2);
                if choices.one_in(2) {
                    root.insert("monitors".to_owned(), Value::Array(vec![Value::from(n)]));
                }
                let bytes = Value::Object(root).to_string().into_bytes();
                Input { path: format!("{n}.json"), format: Format::Json, bytes }
            })
            .collect();
        let count = |tree: &Tree| match tree.root.get("monitors").map(|node| &node.value) {
            Some(Kind::List(items)) => items.len(),
            _ => 0,
        };
        match Tree::parse(&inputs) {
            Ok(tree) => {
                walk(&tree.root, 0, 1);
                let alone = inputs.iter().filter_map(|input| Tree::parse(std::slice::from_ref(input)).ok());
                assert_eq!(count(&tree), alone.map(|tree| count(&tree)).sum::<usize>());
            }
            Err(problems) => {
                assert!(problems.list().iter().all(|p| p.place.is_some_and(|place| place.file < 4 && place.line == 1)));
                assert!(problems.list().iter().all(|p| p.message.contains("set twice")), "{problems}");
            }
        }
    });
}

fn env(name: &str) -> Option<String> {
    match name {
        "A" => Some("${B}".to_owned()),
        "B" => Some("*b: [".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

/// What a value becomes, or what is said.
fn filled(text: &str) -> Result<String, String> {
    let document = serde_json::json!({ "k": text }).to_string();
    let mut tree = parse(Format::Json, document.as_bytes()).unwrap();
    tree.substitute(&env).map_err(|problems| problems.to_string())?;
    match &tree.root.get("k").unwrap().value {
        Kind::Scalar(scalar) => Ok(scalar.text.to_string()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_filled_in_is_text_and_is_not_filled_in_again() {
    const DOLLARS: &[&str] =
        &["$", "${", "}", "${A}", "${B}", "${C:-", "${EMPTY:-d}", "${NO}", "$${", ":-", ":", "A", "_1", "x", " ", "é"];
    run("substitution", Effort { inputs: 30_000, bytes_max: 64 }, |bytes| {
        let text = Choices::new(bytes).soup(DOLLARS, 24);
        let found = filled(&text);
        if !text.contains("${") {
            assert_eq!(found.as_ref(), Ok(&text));
        }
        // Whatever it is: with each `${` doubled it comes back as it is.
        assert_eq!(filled(&text.replace("${", "$${")), Ok(text.clone()));
        if let Err(said) = found {
            assert!(said.starts_with("w.yml:1:"), "{said}");
        }
    });
    assert_eq!(filled("${A}").unwrap(), "${B}");
}
