//! What `config show` prints.

use std::sync::Arc;

use fuzz::{Choices, Effort, run};
use serde_json::{Value, json};
use watchpost::config::{Loaded, Source, effective, effective_yaml};
use watchpost_core::Definition;
use watchpost_core::plan::{Document, Wanted};
use watchpost_wire::config::{Masking, document};
use watchpost_wire::tree::{Format, Tree};

use crate::config::{monitor, read};

#[test]
fn the_effective_configuration_as_yaml_says_what_it_says_as_json() {
    run("effective_yaml", Effort { inputs: 4_000, bytes_max: 512 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let monitors: Vec<Value> = (0..choices.below(3)).map(|_| monitor(&mut choices, 8)).collect();
        let text = json!({ "monitors": monitors, "server": { "listen": "127.0.0.1:0" } }).to_string();
        let Ok(configuration) = read(Format::Json, &text) else { return };
        let wanted = |definition: Arc<Definition>| Wanted {
            document: Document::new(&document(&definition, Masking::Fingerprint)),
            definition,
        };
        let loaded = Loaded {
            source: Source::Nothing,
            settings: configuration.settings,
            monitors: configuration.monitors.into_iter().map(wanted).collect(),
            files: Vec::new(),
        };
        let (json, yaml) = (effective(&loaded), effective_yaml(&loaded));
        let tree = Tree::parse_text("w.yml", Format::Yaml, &yaml).unwrap_or_else(|e| panic!("{yaml}\n{e}"));
        assert!(crate::tree::says(&tree.root, &json), "{yaml}\n{json:#}");
    });
}
