//! A diagnosis for people.

use pagepress_idxd::Root;
use pagepress_idxd::chain::{Diagnosis, Link, Status};
use std::fmt::Write;

/// Columns of the output.
const WIDTH: usize = 100;
/// Columns before what was found: status and name.
const INDENT: usize = 2 + 10 + 12;

/// The diagnosis, in lines that fit.
pub(super) fn show(root: &Root, diagnosis: &Diagnosis, colour: bool) -> String {
    let mut shown = String::new();
    let what = if root.is_live() {
        "this host".to_owned()
    } else {
        format!("the snapshot in {}", root.path().display())
    };
    let modelled = match diagnosis.modelled[..] {
        [] => "",
        _ => ", modelled",
    };
    let _ = writeln!(shown, "IAA on {what}{modelled}\n");
    for link in &diagnosis.links {
        show_link(&mut shown, link, colour);
    }
    if !diagnosis.advice.is_empty() {
        shown.push_str("\nAdvice\n");
        for advice in &diagnosis.advice {
            push_wrapped(&mut shown, "  - ", "    ", advice);
        }
    }
    let _ = writeln!(shown);
    push_wrapped(&mut shown, "", "", &verdict(diagnosis));
    shown
}

fn show_link(shown: &mut String, link: &Link, colour: bool) {
    let status = format!("{:<10}", link.status);
    let status = match (colour, link.status) {
        (false, _) | (_, Status::Skipped) => status,
        (true, Status::Ok) => format!("\x1b[32m{status}\x1b[0m"),
        (true, Status::Broken) => format!("\x1b[1;31m{status}\x1b[0m"),
        (true, _) => format!("\x1b[33m{status}\x1b[0m"),
    };
    let _ = write!(shown, "  {status}{:<12}", link.name);
    let indent = " ".repeat(INDENT);
    push_wrapped_after(shown, INDENT, &indent, &link.found);
    if matches!(link.status, Status::Ok | Status::Skipped) {
        return;
    }
    push_wrapped(
        shown,
        &indent,
        &indent,
        &format!("Why it matters: {}.", link.why),
    );
    for fix in &link.fix {
        // Commands stay on one line, to be copied.
        let mark = if fix.starts_with('#') { "" } else { "$ " };
        if mark.is_empty() {
            push_wrapped(shown, &indent, &format!("{indent}  "), fix);
        } else {
            let _ = writeln!(shown, "{indent}{mark}{fix}");
        }
    }
}

/// What it comes to, in a sentence or two.
fn verdict(diagnosis: &Diagnosis) -> String {
    let usable = diagnosis
        .paths
        .iter()
        .filter(|path| path.is_usable())
        .count();
    if let Some(link) = diagnosis.first_broken() {
        return format!(
            "Not usable: {} is broken, {}. Until it is mended pagepress runs in software.",
            link.name, link.found
        );
    }
    if let Some(link) = diagnosis.first_unknown() {
        return format!(
            "It cannot be said whether IAA can be used: {} could not be seen ({}).",
            link.name, link.found
        );
    }
    let queues = if usable == 1 { "queue" } else { "queues" };
    let modelled = match &diagnosis.modelled[..] {
        [] => String::new(),
        devices => format!(
            " Modelled: software stands in for {}, so no time is a device's.",
            devices.join(", ")
        ),
    };
    let degraded: Vec<&str> = diagnosis
        .links
        .iter()
        .filter(|link| link.status == Status::Degraded)
        .map(|link| link.name.name())
        .collect();
    if degraded.is_empty() {
        format!("Usable: {usable} work {queues}.{modelled}")
    } else {
        format!(
            "Usable, with drawbacks ({}): {usable} work {queues}.{modelled}",
            degraded.join(", ")
        )
    }
}

fn push_wrapped(shown: &mut String, first: &str, rest: &str, text: &str) {
    shown.push_str(first);
    push_wrapped_after(shown, first.chars().count(), rest, text);
}

/// Goes on at column `at` of a line, and in later lines after `rest`. Words
/// that are too long for a line have one of their own.
fn push_wrapped_after(shown: &mut String, at: usize, rest: &str, text: &str) {
    let mut column = at;
    let mut start = true;
    for word in text.split_whitespace() {
        let len = word.chars().count();
        if !start && column + 1 + len > WIDTH {
            shown.push('\n');
            shown.push_str(rest);
            column = rest.chars().count();
            start = true;
        }
        if !start {
            shown.push(' ');
            column += 1;
        }
        shown.push_str(word);
        column += len;
        start = false;
    }
    shown.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped_at_words() {
        let mut shown = String::new();
        let long = "x".repeat(120);
        push_wrapped(
            &mut shown,
            "- ",
            "  ",
            &format!("{} {long} end", "word ".repeat(25)),
        );
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[0].starts_with("- word") && lines[0].len() <= WIDTH);
        assert_eq!(lines[2], format!("  {long}"));
        assert_eq!(lines[3], "  end");
    }
}
