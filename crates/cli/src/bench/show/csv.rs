//! Results as CSV (RFC 4180, lines ended by LF): a line for each run, or for each
//! row of a comparison.
//!
//! The columns are the leaves of the JSON schema, in its order, so that all files
//! have the same ones whatever was measured.

use serde::Serialize;
use serde_json::Value;

/// What becomes lines.
#[derive(Debug)]
pub(crate) struct Layout {
    schema: &'static str,
    /// The list of the document that has an entry for each line. What else the
    /// document has is repeated in every line.
    lines: &'static str,
}

/// A line for each run.
pub(crate) const RUNS: Layout = Layout {
    schema: include_str!("../../../bench.schema.json"),
    lines: "runs",
};

/// A line for each row of a comparison.
pub(crate) const ROWS: Layout = Layout {
    schema: include_str!("../../../compare.schema.json"),
    lines: "rows",
};

pub(crate) fn render(layout: &Layout, document: &impl Serialize) -> String {
    let document = serde_json::to_value(document).expect("what is JSON is a value");
    let (of_line, of_all) = layout.columns();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut write = |cells: Vec<String>| writer.write_record(cells).expect("memory takes all");
    write(of_line.iter().chain(&of_all).cloned().collect());
    for line in document[layout.lines].as_array().into_iter().flatten() {
        let cells = of_line.iter().map(|name| cell(line, name));
        let repeated = of_all.iter().map(|name| cell(&document, name));
        write(cells.chain(repeated).collect());
    }
    let bytes = writer.into_inner().expect("memory takes all");
    String::from_utf8(bytes).expect("strings were written")
}

impl Layout {
    /// The names of the columns of a line's own, and of those of the document.
    fn columns(&self) -> (Vec<String>, Vec<String>) {
        let schema: Value = serde_json::from_str(self.schema).expect("tests have parsed it");
        let (mut of_line, mut of_all) = (Vec::new(), Vec::new());
        let properties = schema["properties"].as_object().into_iter().flatten();
        for (name, property) in properties {
            if name == self.lines {
                leaves(&schema, &property["items"], "", &mut of_line);
            } else {
                leaves(&schema, property, name, &mut of_all);
            }
        }
        (of_line, of_all)
    }
}

/// Adds the names below `at`, joined by dots. A list of objects has none.
fn leaves(schema: &Value, at: &Value, name: &str, names: &mut Vec<String>) {
    let at = resolved(schema, at);
    if let Some(properties) = at["properties"].as_object() {
        for (child, property) in properties {
            let dot = if name.is_empty() { "" } else { "." };
            leaves(schema, property, &format!("{name}{dot}{child}"), names);
        }
    } else if resolved(schema, &at["items"])["properties"].is_null() {
        names.push(name.to_owned());
    }
}

/// What a reference means, that of something or null too.
fn resolved<'a>(schema: &'a Value, at: &'a Value) -> &'a Value {
    let named = [at, &at["anyOf"][0]]
        .into_iter()
        .find_map(|at| at["$ref"].as_str()?.strip_prefix('#'));
    named
        .and_then(|pointer| schema.pointer(pointer))
        .unwrap_or(at)
}

/// Empty where there is nothing; a list as JSON.
fn cell(value: &Value, name: &str) -> String {
    let found = name.split('.').try_fold(value, |at, name| at.get(name));
    match found {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_the_leaves_of_the_schema() {
        let layout = Layout {
            schema: r##"{
                "properties": {
                    "schema": {"type": "integer"},
                    "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}},
                    "objects": {"type": "array", "items": {"$ref": "#/$defs/Inner"}},
                    "host": {"$ref": "#/$defs/Inner"}
                },
                "$defs": {
                    "Line": {"properties": {
                        "name": {"type": "string"},
                        "perhaps": {"anyOf": [{"$ref": "#/$defs/Inner"}, {"type": "null"}]},
                        "list": {"type": "array", "items": {"type": "number"}}
                    }},
                    "Inner": {"properties": {"x": {"type": "number"}}}
                }
            }"##,
            lines: "lines",
        };
        let document = json!({
            "schema": 3,
            "lines": [
                {"name": "a, \"b\"\nc", "perhaps": {"x": 0.5}, "list": [1.5, null]},
                {"name": "", "perhaps": null, "list": [], "unknown": 1},
                {"name": " plain"},
            ],
            "objects": [{"x": 1}],
            "host": {"x": true},
        });
        let expected = "name,perhaps.x,list,schema,host.x\n\
                        \"a, \"\"b\"\"\nc\",0.5,\"[1.5,null]\",3,true\n\
                        ,,[],3,true\n \
                        plain,,,3,true\n";
        assert_eq!(render(&layout, &document), expected);
    }
}
