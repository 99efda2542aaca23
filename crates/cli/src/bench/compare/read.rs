//! Results read back, as far as they are compared.

use crate::bench::show::json::SCHEMA;
use crate::error::Error;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Beyond what a sweep of any size prints.
const MAX_BYTES: u64 = 1 << 28;
/// Of the method, what is measured anew each time or says how far it came.
const OF_THE_MOMENT: [&str; 3] = ["timestamp_ns", "tsc_hz", "runs_asked"];
/// Of the input, what decides.
const OF_THE_INPUT: [&str; 4] = ["bytes", "pages", "same_filled", "sha256"];

/// A file of results.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) file: String,
    pub(super) host: Host,
    pub(super) input: Input,
    pub(super) method: Method,
    pub(super) runs: Vec<Run>,
    /// What should be the same in two files that are compared, by dotted names.
    pub(super) facts: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Host {
    pub(super) pagepress_version: String,
    pub(super) cpu_model: Option<String>,
    pub(super) kernel: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Input {
    pub(super) sha256: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Method {
    pub(super) interrupted: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Run {
    pub(super) backend: String,
    pub(super) level: Option<i32>,
    pub(super) huffman: Option<String>,
    pub(super) performed_by: String,
    pub(super) unit_size: usize,
    pub(super) batch: usize,
    pub(super) threads: usize,
    pub(super) ratio: f64,
    pub(super) compress: Direction,
    pub(super) decompress: Direction,
    pub(super) report: Report,
}

#[derive(Debug, Deserialize)]
pub(super) struct Direction {
    pub(super) gb_per_second: Option<f64>,
    pub(super) repeats: Repeats,
}

#[derive(Debug, Deserialize)]
pub(super) struct Repeats {
    pub(super) median: Option<f64>,
    pub(super) spread: Option<f64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Report {
    pub(super) modelled_pages: u64,
}

impl Run {
    /// What makes it the same run in another file.
    pub(super) fn key(&self) -> impl PartialEq + '_ {
        let backend = (&self.backend, self.level, &self.huffman);
        (backend, self.unit_size, self.batch, self.threads)
    }
}

/// Reads a file of results.
///
/// # Errors
/// If it cannot be read, or is something else.
pub(super) fn document(path: &Path) -> Result<Document, Error> {
    let file = path.display().to_string();
    let refuse = |why: String| Error::NoResults {
        file: file.clone(),
        why,
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|source| Error::Read {
            what: file.clone(),
            source,
        })?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(refuse(format!("it has more than {MAX_BYTES} bytes")));
    }
    let mut value: Value = serde_json::from_slice(&bytes).map_err(|error| {
        refuse(if bytes.is_empty() {
            "it is empty".to_owned()
        } else {
            format!("it is not JSON, or damaged: {error}")
        })
    })?;
    let parts = ["host", "input", "method", "runs"];
    if parts.iter().any(|part| value.get(part).is_none()) {
        return Err(refuse(format!("it lacks one of {}", parts.join(", "))));
    }
    match value["schema"].as_u64() {
        Some(schema) if schema == u64::from(SCHEMA) => {}
        _ => {
            return Err(refuse(format!(
                "it is of schema {}, and this pagepress reads {SCHEMA}",
                value["schema"]
            )));
        }
    }
    let damaged = |part: &str, error: serde_json::Error| refuse(format!("in {part}: {error}"));
    let facts = facts(&value);
    let runs = match value["runs"].take() {
        Value::Array(runs) if !runs.is_empty() => runs,
        _ => return Err(refuse("it has no runs".to_owned())),
    };
    let run = |(n, run): (usize, Value)| of(run).map_err(|e| damaged(&format!("runs[{n}]"), e));
    let runs = runs
        .into_iter()
        .enumerate()
        .map(run)
        .collect::<Result<Vec<Run>, _>>()?;
    Ok(Document {
        host: of(value["host"].take()).map_err(|error| damaged("host", error))?,
        input: of(value["input"].take()).map_err(|error| damaged("input", error))?,
        method: of(value["method"].take()).map_err(|error| damaged("method", error))?,
        runs,
        facts,
        file: file.clone(),
    })
}

fn of<T: DeserializeOwned>(value: Value) -> serde_json::Result<T> {
    serde_json::from_value(value)
}

fn facts(document: &Value) -> Map<String, Value> {
    let mut facts = Map::new();
    for part in ["host", "input", "method"] {
        for (name, value) in document[part].as_object().into_iter().flatten() {
            let counts = match part {
                "input" => OF_THE_INPUT.contains(&name.as_str()),
                _ => !OF_THE_MOMENT.contains(&name.as_str()),
            };
            if counts {
                facts.insert(format!("{part}.{name}"), value.clone());
            }
        }
    }
    facts
}
