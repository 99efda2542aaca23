//! Text broken to lines.

/// Columns of a text line.
pub(crate) const WIDTH: usize = 100;
/// The width of the labels on the left, such as `input`.
const INDENT: usize = 9;

/// A labelled list, broken into lines of [`WIDTH`] columns.
pub(crate) fn facts(text: &mut String, label: &str, facts: &[String]) {
    let mut line = format!("{label:<INDENT$}");
    for (n, fact) in facts.iter().enumerate() {
        let comma = if n + 1 < facts.len() { "," } else { "" };
        let blank = usize::from(line.len() > INDENT);
        if blank == 1 && line.chars().count() + 1 + fact.chars().count() + comma.len() > WIDTH {
            text.push_str(line.trim_end());
            text.push('\n');
            line = " ".repeat(INDENT);
        } else if blank == 1 {
            line.push(' ');
        }
        line.push_str(fact);
        line.push_str(comma);
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

/// A line for people, broken between words to [`WIDTH`] columns.
pub(crate) fn wrapped(text: &mut String, line: &str) {
    let mut columns = 0;
    for word in line.split(' ') {
        let width = word.chars().count();
        if columns > 0 && columns + 1 + width > WIDTH {
            text.push_str("\n  ");
            columns = 2;
        } else if columns > 0 {
            text.push(' ');
            columns += 1;
        }
        text.push_str(word);
        columns += width;
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_broken() {
        let names: Vec<String> = (0..20).map(|i| format!("/some/where/{i}")).collect();
        let mut text = String::new();
        facts(&mut text, "label", &names);
        for line in text.lines() {
            assert!(line.len() <= WIDTH, "{line}");
        }
        assert!(text.starts_with("label    /some/where/0, ") && text.ends_with("/19\n"));
        let rest = text.lines().skip(1);
        assert!(
            rest.clone().count() > 1 && rest.clone().all(|line| line.starts_with("         /"))
        );
    }
}
