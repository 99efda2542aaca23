//! Tables in plain text.

/// Where a column's cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// One column: its heading, the heading above it that it shares with its
/// neighbours, and its cells.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) group: &'static str,
    pub(crate) heading: &'static str,
    pub(crate) align: Align,
    pub(crate) cells: Vec<String>,
}

/// Blanks between columns of one group.
const GAP: &str = " ";
/// Blanks between groups.
const GROUP_GAP: &str = "  ";

/// The table, each column as wide as its widest cell, columns of a group under
/// their common heading. Ends in a newline.
pub(crate) fn render(columns: &[Column]) -> String {
    let widths: Vec<usize> = columns.iter().map(width).collect();
    let rows = columns.iter().map(|column| column.cells.len()).max();
    let mut lines = Vec::new();
    if columns.iter().any(|column| !column.group.is_empty()) {
        lines.push(groups(columns, &widths));
    }
    let line = |cell: &dyn Fn(&Column) -> String| {
        let mut line = String::new();
        let mut before = None;
        for (column, &width) in columns.iter().zip(&widths) {
            line.push_str(match before {
                None => "",
                Some(group) if group == column.group => GAP,
                Some(_) => GROUP_GAP,
            });
            let cell = cell(column);
            line.push_str(&match column.align {
                Align::Left => format!("{cell:<width$}"),
                Align::Right => format!("{cell:>width$}"),
            });
            before = Some(column.group);
        }
        line
    };
    lines.push(line(&|column| column.heading.to_owned()));
    for row in 0..rows.unwrap_or(0) {
        lines.push(line(&|column| {
            column.cells.get(row).cloned().unwrap_or_default()
        }));
    }
    lines
        .iter()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

fn width(column: &Column) -> usize {
    let cells = column.cells.iter().map(|cell| cell.chars().count());
    cells.chain([column.heading.len()]).max().unwrap_or(0)
}

/// The line above the headings: `--- group ---` over each group's columns.
fn groups(columns: &[Column], widths: &[usize]) -> String {
    let mut line = String::new();
    let mut at = 0;
    while at < columns.len() {
        let group = columns[at].group;
        let size = columns[at..]
            .iter()
            .take_while(|column| column.group == group)
            .count();
        let width = widths[at..at + size].iter().sum::<usize>() + GAP.len() * (size - 1);
        if group.is_empty() {
            line.push_str(&" ".repeat(width));
        } else {
            line.push_str(&format!("{:-^width$}", format!(" {group} ")));
        }
        line.push_str(GROUP_GAP);
        at += size;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let column = |group, heading, align, cells: &[&str]| Column {
            group,
            heading,
            align,
            cells: cells.iter().map(|&cell| cell.to_owned()).collect(),
        };
        let table = render(&[
            column("", "name", Align::Left, &["lz4", "deflate"]),
            column("both", "a", Align::Right, &["1", "100"]),
            column("both", "long", Align::Right, &["2", "3"]),
        ]);
        let expected = "         - both -\n\
                        name       a long\n\
                        lz4        1    2\n\
                        deflate  100    3\n";
        assert_eq!(table, expected);
    }
}
