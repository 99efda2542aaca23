//! What the virtual devices did.

use pagepress_abi::Status;
use pagepress_vdev::{Count, Counters};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What people call it.
fn label(count: Count) -> &'static str {
    match count {
        Count::Processes => "processes",
        Count::Opened => "nodes opened",
        Count::Mapped => "portals mapped",
        Count::NotMapped => "portals not mapped (EPERM)",
        Count::Trapped => "ENQCMD and MOVDIR64B",
        Count::Written => "descriptors by write(2)",
        Count::Accepted => "descriptors accepted",
        Count::Retried => "descriptors sent back (retry)",
        Count::Dropped => "descriptors dropped",
        Count::Completed => "descriptors completed",
        Count::Errors => "errors without a completion (SWERROR)",
        Count::Abandoned => "descriptors never completed",
        Count::OwnFaults => "faults of the program's own",
        Count::Refused => "attempts to change a file, refused",
    }
}

/// A record's first byte in words.
fn of_status(byte: Status) -> String {
    match byte.0 & Status::WRITE_FAULT {
        0 => byte.to_string(),
        _ => format!("{}, on a write", Status::of(byte.0)),
    }
}

/// A table for people, without what never happened.
pub(super) fn text(counters: &Counters) -> String {
    let counts = Count::ALL.iter().map(|&(count, _)| {
        let (label, n) = (label(count), counters.get(count));
        (label.to_owned(), n)
    });
    let of_opcodes = counters.opcodes().map(|(op, n)| (format!("  {op}"), n));
    let of_statuses = counters
        .statuses()
        .map(|(status, n)| (format!("  {}", of_status(status)), n));
    let mut lines: Vec<(String, u64)> = Vec::new();
    let headings = [
        ("", counts.collect::<Vec<_>>()),
        ("accepted, by operation", of_opcodes.collect()),
        ("completed, by status", of_statuses.collect()),
    ];
    let mut shown = "pagepress: on modelled devices, not on hardware:\n".to_owned();
    for (heading, rows) in headings {
        let rows: Vec<_> = rows.into_iter().filter(|&(_, n)| n > 0).collect();
        if !heading.is_empty() && !rows.is_empty() {
            lines.push((heading.to_owned(), 0));
        }
        lines.extend(rows);
    }
    if lines.is_empty() {
        return shown + "  nothing\n";
    }
    let wide = lines.iter().map(|(label, _)| label.chars().count()).max();
    let wide = wide.unwrap_or(0);
    for (label, n) in lines {
        let _ = match n {
            0 => writeln!(shown, "  {label}"),
            n => writeln!(shown, "  {label:wide$}  {n:>12}"),
        };
    }
    shown
}

/// One object on one line for programs, with all that can be counted.
pub(super) fn json(counters: &Counters) -> String {
    #[derive(Serialize)]
    struct Shown {
        schema: u32,
        modelled: bool,
        counts: BTreeMap<&'static str, u64>,
        opcodes: BTreeMap<String, u64>,
        statuses: BTreeMap<String, u64>,
    }
    let counts = Count::ALL.iter();
    let shown = serde_json::to_string(&Shown {
        schema: 1,
        modelled: true,
        counts: counts
            .map(|&(count, name)| (name, counters.get(count)))
            .collect(),
        opcodes: counters
            .opcodes()
            .map(|(op, n)| (op.to_string(), n))
            .collect(),
        statuses: counters
            .statuses()
            .map(|(status, n)| (format!("{:#04x}", status.0), n))
            .collect(),
    });
    shown.expect("numbers under names") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use pagepress_abi::Opcode;
    use serde_json::Value;

    #[test]
    fn what_happened_is_shown_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let counters = Counters::create(dir.path()).unwrap();
        let nothing = text(&counters);
        assert_eq!(nothing.lines().count(), 2, "{nothing}");
        assert!(nothing.contains("modelled"), "{nothing}");

        counters.add(Count::Accepted);
        counters.add(Count::Accepted);
        counters.add_opcode(Opcode::COMPRESS);
        counters.add_opcode(Opcode(0xFE));
        counters.add_status(Status::SUCCESS);
        counters.add_status(Status(0x83));
        let shown = text(&counters);
        let lines: Vec<Vec<&str>> = shown
            .lines()
            .map(|l| l.split_whitespace().collect())
            .collect();
        assert_eq!(lines[1], ["descriptors", "accepted", "2"]);
        assert_eq!(lines[2], ["accepted,", "by", "operation"]);
        assert_eq!(lines[3], ["compress", "1"]);
        assert_eq!(lines[4], ["opcode", "0xfe", "1"]);
        assert_eq!(lines[6], ["status", "0x01:", "success", "1"]);
        assert!(shown.contains("status 0x03: page fault"), "{shown}");
        assert!(shown.contains(", on a write"), "{shown}");
        assert_eq!(lines.len(), 8, "{shown}");

        let json: Value = serde_json::from_str(&json(&counters)).unwrap();
        assert_eq!(json["modelled"], true);
        assert_eq!(json["counts"]["accepted"], 2);
        assert_eq!(json["counts"]["retried"], 0);
        assert_eq!(json["counts"].as_object().unwrap().len(), Count::ALL.len());
        assert_eq!(json["opcodes"]["compress"], 1);
        assert_eq!(json["statuses"]["0x01"], 1);
    }
}
