//! What was made, for people and for programs.

use crate::bench::show::lines::facts;
use crate::bench::show::numbers::{plural, ratio, size};
use crate::tables;
use pagepress::Tables;
use pagepress::tables::{BYTES, VERSION};
use serde::Serialize;
use std::path::Path;

/// Everything that is printed. `JSON.md` defines the names.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    schema: u32,
    file: String,
    /// Of the file.
    version: u32,
    id: String,
    trained_on: TrainedOn,
    code_lengths: CodeLengths,
    /// `None` for tables that were not made just now, as below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) left_out: Option<LeftOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) held_out: Option<HeldOut>,
}

#[derive(Debug, Serialize)]
struct TrainedOn {
    pages: u64,
    bytes: u64,
}

/// Bits, from the shortest code to the longest.
#[derive(Debug, Serialize)]
struct CodeLengths {
    literals: [u8; 2],
    lengths: [u8; 2],
    distances: [u8; 2],
    /// Code lengths of all literals, the end of block, lengths, then distances.
    all: Vec<u8>,
}

/// Pages that were not learnt from, though they were taken for that.
#[derive(Debug, Serialize)]
pub(super) struct LeftOut {
    pub(super) same_filled: u64,
    pub(super) random: u64,
}

/// Pages that were compressed and not learnt from. There is no ratio without any.
#[derive(Debug, Serialize)]
pub(super) struct HeldOut {
    pub(super) pages: u64,
    pub(super) ratio_fixed: Option<f64>,
    pub(super) ratio_canned: Option<f64>,
    pub(super) ratio_dynamic: Option<f64>,
}

impl Shown {
    pub(super) fn new(tables: &Tables, file: &Path) -> Self {
        let (literals, distances) = (tables.literal_bits(), tables.distance_bits());
        let range = |bits: &[u8]| {
            let used = || bits.iter().copied().filter(|&bits| bits > 0);
            [used().min().unwrap_or(0), used().max().unwrap_or(0)]
        };
        let trained_on = tables.trained_on();
        Self {
            schema: 1,
            file: file.display().to_string(),
            version: VERSION,
            id: tables::id(tables),
            trained_on: TrainedOn {
                pages: trained_on.pages,
                bytes: trained_on.bytes,
            },
            code_lengths: CodeLengths {
                literals: range(&literals[..256]),
                lengths: range(&literals[257..]),
                distances: range(distances),
                all: [literals, distances].concat(),
            },
            left_out: None,
            held_out: None,
        }
    }
}

pub(super) fn text(shown: &Shown) -> String {
    let mut text = String::new();
    let TrainedOn { pages, bytes } = shown.trained_on;
    let tables = [
        shown.id.clone(),
        format!("trained on {} ({})", plural(pages, "page"), size(bytes)),
        format!(
            "{BYTES} bytes of version {} in {}",
            shown.version, shown.file
        ),
    ];
    facts(&mut text, "tables", &tables);
    let CodeLengths {
        literals,
        lengths,
        distances,
        ..
    } = shown.code_lengths;
    let range = |what: &str, [from, to]: [u8; 2]| format!("{what} {from} to {to} bits");
    let codes = [
        range("literals", literals),
        range("lengths", lengths),
        range("distances", distances),
    ];
    facts(&mut text, "codes", &codes);
    if let Some(left_out) = &shown.left_out {
        let counts = [
            format!("{} same-filled", left_out.same_filled),
            format!("{} random", left_out.random),
        ];
        facts(&mut text, "left out", &counts);
    }
    if let Some(held_out) = &shown.held_out {
        let mut told = vec![format!(
            "{} not learnt from",
            plural(held_out.pages, "page")
        )];
        let ways = [
            ("fixed", held_out.ratio_fixed),
            ("canned", held_out.ratio_canned),
            ("dynamic", held_out.ratio_dynamic),
        ];
        for (way, ratio_of) in ways {
            told.extend(ratio_of.map(|n| format!("{way} {}", ratio(n))));
        }
        if told.len() > 1 {
            told[1].insert_str(0, "ratio ");
        }
        facts(&mut text, "held out", &told);
    }
    text
}
