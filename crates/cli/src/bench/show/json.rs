//! Results as JSON, in the schema that `JSON.md` explains and `bench.schema.json`
//! states.

use crate::bench::figures::Results;
use serde::Serialize;

/// Goes up when a field changes its meaning or goes away; not when one is
/// added.
pub(crate) const SCHEMA: u32 = 2;

/// What `pagepress bench --format json` prints; JSON.md says what fields mean.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Document<'a> {
    schema: u32,
    #[serde(flatten)]
    results: &'a Results,
}

impl<'a> Document<'a> {
    pub(crate) fn new(results: &'a Results) -> Self {
        Self {
            schema: SCHEMA,
            results,
        }
    }
}

/// A document of ours as text, ending in a newline.
pub(crate) fn render(document: &impl Serialize) -> String {
    let mut json = serde_json::to_string_pretty(document)
        .expect("figures are plain numbers and strings under string keys");
    json.push('\n');
    json
}
