//! The JSON schemas beside this crate, derived from the types that are printed.
//!
//! `PAGEPRESS_WRITE_SCHEMA=1 cargo test -p pagepress-cli schema` writes them anew.

use super::compare::Comparison;
use super::show::json::{self, Document};
use pagepress::{Codec, FallbackReason};
use pagepress_idxd::chain::LinkName;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, generate::Contract};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Types whose floating-point numbers are null where nothing was counted.
const MAYBE_NOTHING: [&str; 7] = [
    "Percentiles",
    "Direction",
    "Repeated",
    "Data",
    "Against",
    "PeerRun",
    "AboveFloor",
];
/// Those whose numbers are changes, which may be negative.
const SIGNED: [&str; 2] = ["Against", "AboveFloor"];

/// Strings and numbers that are one of a few.
fn one_of(of: &str, property: &str) -> Option<Value> {
    let codecs = || Codec::ALL.into_iter().map(Codec::name);
    Some(match (of, property) {
        ("Run" | "Row" | "Beside", "backend") => {
            let devices = ["auto", "iaa", "model", "model-gen2"].into_iter();
            devices.chain(codecs()).collect()
        }
        ("Run", "codec") => codecs().collect(),
        ("Run" | "Row" | "Beside", "huffman") => json!(["fixed", "dynamic", "canned"]),
        ("Run" | "Beside", "performed_by") | ("Both_string", "a" | "b") => {
            json!(["software", "hardware", "modelled", "mixed", "none"])
        }
        ("Run" | "Row" | "Beside" | "Against" | "BreakEven", "unit_size") => {
            (12..=16).map(|bits| 1u64 << bits).collect()
        }
        ("Peer", "unit_size") => json!([4096]),
        ("Peer", "peer") => json!(["zram"]),
        ("Skipped", "unit") => json!(["files", "pages", "processes"]),
        ("DeviceQueue", "mode") => json!(["shared", "dedicated"]),
        ("Unavailable", "link") => LinkName::ALL.into_iter().map(LinkName::name).collect(),
        _ => return None,
    })
}

fn schema_of<T: JsonSchema>(title: &str, version: u32) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|it| it.contract = Contract::Serialize);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    let mut schema = schema.to_value();
    schema["properties"]["schema"]["const"] = version.into();
    refine(title, &mut schema);
    for (name, of) in definitions(&mut schema) {
        refine(&name, of);
    }
    schema
}

fn definitions(schema: &mut Value) -> impl Iterator<Item = (String, &mut Value)> {
    let definitions = schema["$defs"].as_object_mut().unwrap();
    definitions.iter_mut().map(|(name, of)| (name.clone(), of))
}

/// Says what the types do not.
fn refine(name: &str, of: &mut Value) {
    let required: Vec<String> = match of["required"].as_array() {
        Some(names) => names
            .iter()
            .map(|it| it.as_str().unwrap().to_owned())
            .collect(),
        None => return,
    };
    let Some(properties) = of["properties"].as_object_mut() else {
        return;
    };
    for (property, schema) in properties {
        let schema = schema.as_object_mut().unwrap();
        if let Some(values) = one_of(name, property) {
            let mut values = values.as_array().unwrap().clone();
            if allows(schema, "null") {
                values.push(Value::Null);
            }
            schema.insert("enum".to_owned(), values.into());
        }
        if property == "sha256" {
            schema.insert("pattern".to_owned(), "^[0-9a-f]{64}$".into());
        }
        if property == "fallbacks" {
            let count = schema["additionalProperties"].clone();
            let reasons = FallbackReason::ALL.map(|it| (it.name().to_owned(), count.clone()));
            schema.insert("properties".to_owned(), Map::from_iter(reasons).into());
        }
        if allows(schema, "number") {
            if !SIGNED.contains(&name) {
                schema.insert("minimum".to_owned(), 0.into());
            }
            if MAYBE_NOTHING.contains(&name) {
                schema.insert("type".to_owned(), json!(["number", "null"]));
            }
        }
        if (name, property.as_str()) == ("Canned", "id") {
            schema.insert("pattern".to_owned(), "^0x[0-9a-f]{8}$".into());
        }
        let items = schema.get_mut("items").and_then(Value::as_object_mut);
        if let Some(items) = items.filter(|items| allows(items, "number")) {
            items.insert("minimum".to_owned(), 0.into());
        }
        // What may be left out is left out where it would be null.
        if !required.contains(property) {
            if let Some(Value::Array(types)) = schema.get_mut("type") {
                let only = types.remove(0);
                schema.insert("type".to_owned(), only);
            }
            if let Some(Value::Array(mut any)) = schema.remove("anyOf") {
                schema.extend(any.remove(0).as_object().unwrap().clone());
            }
        }
    }
}

fn allows(schema: &Map<String, Value>, wanted: &str) -> bool {
    match schema.get("type") {
        Some(Value::Array(types)) => types.iter().any(|it| it == wanted),
        Some(one) => one == wanted,
        None => false,
    }
}

/// Compares a schema with its file, or writes it if asked to.
fn check(file: &str, schema: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let now = json::render(schema);
    if std::env::var_os("PAGEPRESS_WRITE_SCHEMA").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(
        kept == now,
        "{file} is not what the types say; PAGEPRESS_WRITE_SCHEMA=1 writes it anew"
    );
}

#[test]
fn the_schemas_are_those_of_the_types() {
    check(
        "bench.schema.json",
        &schema_of::<Document<'_>>("pagepress bench --format json", json::SCHEMA),
    );
    check(
        "compare.schema.json",
        &schema_of::<Comparison>(
            "pagepress bench --compare --format json",
            super::compare::SCHEMA,
        ),
    );
}

/// JSON.md explains every field that there is.
#[test]
fn every_field_is_explained() {
    let told = include_str!("../../JSON.md");
    let mut missing = Vec::new();
    for (title, mut schema) in [
        ("bench", schema_of::<Document<'_>>("", json::SCHEMA)),
        (
            "compare",
            schema_of::<Comparison>("", super::compare::SCHEMA),
        ),
    ] {
        for (name, of) in definitions(&mut schema) {
            let properties = of["properties"].as_object().into_iter().flatten();
            for (property, _) in properties {
                let named = told.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                if !named.into_iter().any(|word| word == property) {
                    missing.push(format!("{title}: {name}.{property}"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "not in JSON.md: {missing:?}");
}
