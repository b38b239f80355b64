//! The API's description, and every answer of these tests held against it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use http::Method;
use serde_json::{Value, json};

use crate::world::{Answer, World};

static DESCRIPTION: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(&watchpost_web::openapi()).unwrap());

/// The described operation that a path belongs to. A path that is written out wins over one with an id in it.
fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let fits = |template: &str| {
        let (ours, asked) = (template.split('/'), path.split('/'));
        ours.clone().count() == asked.clone().count()
            && ours.zip(asked).all(|(part, asked)| part == asked || (part.starts_with('{') && !asked.is_empty()))
    };
    let paths = DESCRIPTION["paths"].as_object().unwrap();
    let item = paths.get(path).or_else(|| paths.iter().find(|(t, _)| fits(t)).map(|(_, item)| item))?;
    item.get(method.as_str().to_lowercase())
}

/// Panics when an answer of the API has a status, a type or a shape that the description does not say.
pub(crate) fn holds(method: &Method, path: &str, answer: &Answer) {
    if !path.starts_with("/api/") {
        return;
    }
    let kind = answer.header("content-type").split(';').next().unwrap_or_default().to_owned();
    if answer.status.as_u16() >= 400 {
        assert_eq!(kind, "application/problem+json", "{method} {path}");
        shape(&json!({ "$ref": "#/components/schemas/Problem" }), &answer.json());
    }
    let Some(operation) = operation(method, path) else {
        assert!(matches!(answer.status.as_u16(), 404 | 405 | 501), "{method} {path} is not described");
        return;
    };
    let described = &operation["responses"][answer.status.as_str()];
    assert!(described.is_object(), "{method} {path}: {} is not described", answer.status);
    let content = &described["content"][&kind];
    assert!(content.is_object(), "{method} {path}: {kind} is not described");
    if kind.ends_with("json") && !answer.body.is_empty() {
        shape(&content["schema"], &answer.json());
    }
}

fn shape(schema: &Value, document: &Value) {
    let whole = json!({ "allOf": [schema], "components": DESCRIPTION["components"] });
    let validator = jsonschema::validator_for(&whole).unwrap();
    let errors: Vec<_> = validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{document:#}");
}

#[tokio::test]
async fn the_description_is_served_as_it_is_generated() {
    let world = World::new();
    let answer = world.get("/api/openapi.json").await;
    assert_eq!(answer.json(), *DESCRIPTION);
    assert_eq!(answer.json()["openapi"], "3.1.0");
}

#[test]
fn every_operation_has_an_id_of_its_own_and_describes_its_refusals() {
    let mut ids = BTreeSet::new();
    for (path, item) in DESCRIPTION["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            assert!(ids.insert(id.clone()), "{id} is there twice");
            assert!(operation["summary"].is_string(), "{method} {path} says nothing");
            let answers = &operation["responses"];
            for status in ["421", "500", "503"] {
                assert!(answers[status].is_object(), "{method} {path} lacks {status}");
            }
            // What is not built yet says so instead.
            assert!(answers["200"].is_object() || answers["501"].is_object(), "{method} {path} lacks 200");
        }
    }
    assert!(ids.len() > 10);
}

#[test]
fn all_references_lead_somewhere() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    references(&DESCRIPTION, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        assert!(DESCRIPTION.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

#[test]
fn the_shapes_that_scripts_rely_on_have_their_names() {
    let schemas = DESCRIPTION["components"]["schemas"].as_object().unwrap();
    for name in ["Monitor", "Result", "Reason", "Overview", "Incident", "Problem", "Status", "CheckOutput"] {
        assert!(schemas.contains_key(name), "{name} is not among {:?}", schemas.keys());
    }
    // A schema of the same name as another silently replaces it, so keys of both must be there.
    assert!(schemas["Result"]["properties"]["timings_us"].is_object());
    assert!(schemas["Monitor"]["properties"]["last_result"].is_object());
}
