use serde_json::json;
use watchpost_wire::config;
use watchpost_wire::tree::{Format, Tree};

use super::*;

const TABLE: &str = "\
| crate | may depend on | its tests also on |
|---|---|---|
| `core` | nothing of ours | |
| `wire` | `core` | `testing` |
| `testing` | all | |
";

/// The complaints about a workspace of `core` and `testing`, and `wire` with these dependencies.
fn arrows_of_wire(dependencies: &serde_json::Value) -> Vec<String> {
    let metadata = json!({ "packages": [
        { "name": "core", "dependencies": [] },
        { "name": "testing", "dependencies": [{ "name": "wire", "kind": null }] },
        { "name": "wire", "dependencies": dependencies },
    ] });
    let packages = arrows::packages(&metadata).unwrap();
    arrows::complaints(&packages, TABLE).iter().map(ToString::to_string).collect()
}

#[test]
fn an_allowed_arrow_and_foreign_crates_pass() {
    assert_eq!(arrows_of_wire(&json!([{ "name": "core", "kind": null }, { "name": "serde", "kind": null }])), [""; 0]);
}

#[test]
fn a_forbidden_arrow_is_named() {
    assert_eq!(
        arrows_of_wire(&json!([{ "name": "testing", "kind": "build" }])),
        ["wire: depends on testing, which ARCHITECTURE.md does not allow"]
    );
}

#[test]
fn what_only_tests_may_use_passes_for_tests_alone() {
    assert_eq!(arrows_of_wire(&json!([{ "name": "testing", "kind": "dev" }])), [""; 0]);
}

#[test]
fn a_crate_without_a_row_and_a_row_without_a_crate_are_named() {
    let metadata = json!({ "packages": [{ "name": "new", "dependencies": [] }] });
    let complaints = arrows::complaints(&arrows::packages(&metadata).unwrap(), TABLE);
    let texts: Vec<String> = complaints.iter().map(|c| c.text.clone()).collect();
    assert!(texts.contains(&"no row for new".to_owned()), "{texts:?}");
    assert!(texts.contains(&"the table has a row for wire, which is no crate".to_owned()), "{texts:?}");
}

#[test]
fn a_long_file_is_named_with_its_length() {
    assert_eq!(sources::size("a.rs", &"x\n".repeat(500)), None);
    assert_eq!(sources::size("a.rs", &"x\n".repeat(501)).unwrap().to_string(), "a.rs: 501 lines, more than 500");
}

#[test]
fn unfinished_code_is_named_with_its_line() {
    let unfinished = format!("fn a() {{\n    {}()\n}}\n", concat!("to", "do!"));
    let complaints = sources::words("a.rs", &unfinished);
    assert_eq!(complaints.len(), 1);
    assert_eq!(complaints[0].place, "a.rs:2");
}

#[test]
fn a_path_of_the_machine_it_was_written_on_is_named() {
    let complaints = sources::paths("a.md", "see\n/checkout/here/target\n", "/checkout/here/");
    assert_eq!(complaints[0].to_string(), "a.md:2: `/checkout/here/` is a path of one machine");
    assert_eq!(sources::paths("a.md", "see /etc/watchpost/watchpost.yml\n", "/checkout/here/"), []);
}

#[test]
fn a_version_outside_the_root_and_missing_lints_are_named() {
    let good = "[lints]\nworkspace = true\n[dependencies]\n# why\na.workspace = true\nb = { workspace = true, optional = true }\n";
    assert_eq!(sources::manifest("Cargo.toml", good), []);
    let complaints = sources::manifest("Cargo.toml", "[dev-dependencies]\na = \"1\"\n");
    let places: Vec<&str> = complaints.iter().map(|c| c.place.as_str()).collect();
    assert_eq!(places, ["Cargo.toml:2", "Cargo.toml"]);
}

fn page(path: &str, text: &str) -> File {
    File { path: path.to_owned(), bytes: 0, text: Some(text.to_owned()) }
}

/// The complaints about these pages, beside a good ARCHITECTURE.md and CHANGELOG.md.
fn documents_with(pages: Vec<File>) -> Vec<String> {
    let mut files = vec![page("ARCHITECTURE.md", "# A\n"), page("CHANGELOG.md", "# C\n\n## [Unreleased]\n")];
    files.extend(pages);
    documents::complaints(&files).iter().map(ToString::to_string).collect()
}

#[test]
fn links_are_followed_to_files_folders_and_headings() {
    let index =
        page("docs/README.md", "# Index\n[a](guide/a.md) [b](guide/a.md#two-words) [c](guide) [d](#index) `[x](y)`\n");
    assert_eq!(documents_with(vec![index, page("docs/guide/a.md", "# A\n## Two words!\n")]), [""; 0]);
}

#[test]
fn a_dead_link_and_a_missing_heading_are_named() {
    let index = page("docs/README.md", "[a](a.md)\n[b](b.md)\n[c](a.md#none)\n");
    assert_eq!(
        documents_with(vec![index, page("docs/a.md", "# A\n")]),
        [
            "docs/README.md:2: links to b.md, which does not exist",
            "docs/README.md:3: links to a.md#none, but docs/a.md has no such heading",
        ]
    );
}

#[test]
fn a_page_that_the_index_forgets_is_named() {
    let complaints = documents_with(vec![page("docs/README.md", "# Index\n"), page("docs/a.md", "# A\n")]);
    assert_eq!(complaints, ["docs/README.md: does not link to docs/a.md"]);
}

#[test]
fn a_changelog_without_an_unreleased_section_is_named() {
    let complaints = documents::complaints(&[page("ARCHITECTURE.md", "# A\n"), page("CHANGELOG.md", "# C\n")]);
    assert_eq!(complaints[0].place, "CHANGELOG.md");
}

/// A heading per code would hide the order; the table's first column has each code once.
#[test]
fn every_reason_and_fault_code_is_explained() {
    let page = std::fs::read_to_string(run::root().unwrap().join("docs/reference/reasons.md")).unwrap();
    let reasons = watchpost_core::ReasonCode::ALL.iter().map(|code| code.as_str());
    let faults = watchpost_core::FaultCode::ALL.iter().map(|code| code.as_str());
    let missing: Vec<&str> = reasons.chain(faults).filter(|code| !page.contains(&format!("\n| `{code}` |"))).collect();
    assert_eq!(missing, [""; 0], "docs/reference/reasons.md does not explain them");
}

/// Pages with configurations in them that people copy.
const GUIDE: [&str; 4] = ["README.md", "docs/guide/checks.md", "docs/guide/monitors.md", "docs/guide/operations.md"];

/// The YAML blocks of a page, each as a whole configuration: one that is only a monitor is made the only monitor.
fn configurations(page: &str) -> Vec<String> {
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let whole = |block: &str| ["monitors:", "network:"].iter().any(|key| block.lines().any(|l| l.starts_with(key)));
    blocks
        .map(|block| match whole(block) {
            true => block.to_owned(),
            false => format!("monitors:\n  - name: it\n    {}\n", block.trim_end().replace('\n', "\n    ")),
        })
        .collect()
}

#[test]
fn every_configuration_in_the_guide_holds() {
    let mut tried = 0;
    for path in GUIDE {
        let page = std::fs::read_to_string(run::root().unwrap().join(path)).unwrap();
        for text in configurations(&page) {
            let mut tree = Tree::parse_text(path, Format::Yaml, &text).unwrap();
            tree.substitute(&|_| Some("filled-in".to_owned())).unwrap();
            if let Err(problems) = config::read(tree) {
                panic!("{problems}\n{text}");
            }
            tried += 1;
        }
    }
    assert!(tried >= 12, "only {tried} configurations found");
}
