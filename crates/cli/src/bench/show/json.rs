//! Results as JSON, in the schema that `JSON.md` defines.

use crate::bench::figures::Results;
use serde::Serialize;

/// Goes up when a field changes its meaning or goes away; not when one is
/// added.
const SCHEMA: u32 = 2;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    #[serde(flatten)]
    results: &'a Results,
}

pub(super) fn render(results: &Results) -> String {
    let document = Document {
        schema: SCHEMA,
        results,
    };
    let mut json = serde_json::to_string_pretty(&document)
        .expect("figures are plain numbers and strings under string keys");
    json.push('\n');
    json
}
