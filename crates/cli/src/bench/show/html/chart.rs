//! One plot: axes, lines, marks.

use super::axis::Axis;
use super::markup::Markup;

/// A plot.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// A value of `y` that a line is drawn at.
    pub(super) level: Option<f64>,
    pub(super) lines: Vec<Line>,
}

/// Marks joined by a line.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) look: Look,
    pub(super) marks: Vec<Mark>,
}

/// One value, with what is told of it under the pointer.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) hollow: bool,
    pub(super) tip: String,
}

/// How a line is told from others: colour and shape, and dashes if modelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) number: usize,
    pub(super) modelled: bool,
}

const WIDTH: f64 = 540.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 48.0;
/// Colours and shapes; with more lines than that, they pair up anew.
const LOOKS: usize = 8;

impl Look {
    fn class(self) -> String {
        let dashes = match (self.modelled, self.number / LOOKS) {
            (true, _) => " modelled",
            (false, 0) => "",
            _ => " dotted",
        };
        format!("s{}{dashes}", self.number % LOOKS)
    }

    /// A piece of the line with a mark, for legends.
    pub(super) fn sample(self, hollow: bool, to: &mut Markup) {
        let size = [
            ("width", &"44" as _),
            ("height", &"16" as _),
            ("aria-hidden", &"true" as _),
        ];
        to.nest("svg", &size, |svg| {
            svg.nest("g", &[("class", &self.class())], |g| {
                g.empty("path", &[("class", &"line"), ("d", &"M2 8H42")]);
                self.mark(g, (22.0, 8.0), hollow, None);
            });
        });
    }

    fn mark(self, to: &mut Markup, (x, y): (f64, f64), hollow: bool, tip: Option<&str>) {
        let shape = (self.number + self.number / LOOKS) % LOOKS;
        let class = if hollow { "hollow" } else { "full" };
        let path = path(shape, x, y);
        let attributes: [(&str, &dyn std::fmt::Display); 2] = [("class", &class), ("d", &path)];
        match tip {
            Some(tip) => to.nest("path", &attributes, |path| path.element("title", &[], tip)),
            None => to.empty("path", &attributes),
        }
    }
}

/// A mark of about ten pixels.
fn path(shape: usize, x: f64, y: f64) -> String {
    let at = format!("M{x:.1} {y:.1}");
    match shape {
        0 => format!("{at}m-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z"),
        1 => format!("{at}m-4 -4h8v8h-8z"),
        2 => format!("{at}m0 -5.5l5.2 9h-10.4z"),
        3 => format!("{at}m0 -5.8l5.8 5.8l-5.8 5.8l-5.8 -5.8z"),
        4 => format!("{at}m0 5.5l5.2 -9h-10.4z"),
        5 => format!("{at}m-1.6 -5h3.2v3.4h3.4v3.2h-3.4v3.4h-3.2v-3.4h-3.4v-3.2h3.4z"),
        6 => format!("{at}m0 -5.5l5.2 3.8l-2 6.1h-6.4l-2 -6.1z"),
        _ => format!("{at}m-5 -2.5l5 2.5l-5 2.5zm10 0l-5 2.5l5 2.5z"),
    }
}

impl Chart {
    /// A figure with its title.
    pub(super) fn render(&self, to: &mut Markup) {
        to.nest("figure", &[], |to| {
            to.element("figcaption", &[], &self.title);
            let view = format!("0 0 {WIDTH} {HEIGHT}");
            let attributes: [(&str, &dyn std::fmt::Display); 4] = [
                ("class", &"plot"),
                ("viewBox", &view),
                ("role", &"img"),
                ("aria-label", &self.title),
            ];
            to.nest("svg", &attributes, |svg| self.draw(svg));
        });
    }

    fn across(&self, x: f64) -> Option<f64> {
        let place = self.x.place(x)?;
        Some(LEFT + place * (WIDTH - LEFT - RIGHT))
    }

    fn down(&self, y: f64) -> Option<f64> {
        let place = self.y.place(y)?;
        Some(TOP + (1.0 - place) * (HEIGHT - TOP - BOTTOM))
    }

    fn draw(&self, svg: &mut Markup) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let number = |n: f64| format!("{n:.1}");
        for tick in self.x.ticks() {
            let Some(x) = self.across(tick.at) else {
                continue;
            };
            svg.empty(
                "path",
                &[
                    ("class", &"grid"),
                    ("d", &format!("M{x:.1} {TOP}V{bottom}")),
                ],
            );
            svg.element(
                "text",
                &[
                    ("x", &number(x)),
                    ("y", &number(bottom + 18.0)),
                    ("class", &"middle"),
                ],
                &tick.name,
            );
        }
        for tick in self.y.ticks() {
            let Some(y) = self.down(tick.at) else {
                continue;
            };
            svg.empty(
                "path",
                &[
                    ("class", &"grid"),
                    ("d", &format!("M{LEFT} {y:.1}H{right}")),
                ],
            );
            svg.element(
                "text",
                &[
                    ("x", &number(LEFT - 8.0)),
                    ("y", &number(y + 4.0)),
                    ("class", &"end"),
                ],
                &tick.name,
            );
        }
        let frame = format!("M{LEFT} {TOP}V{bottom}H{right}");
        svg.empty("path", &[("class", &"frame"), ("d", &frame)]);
        let middle = (LEFT + right) / 2.0;
        svg.element(
            "text",
            &[
                ("x", &number(middle)),
                ("y", &number(HEIGHT - 8.0)),
                ("class", &"label"),
            ],
            self.x.label,
        );
        let turned = format!("translate(15 {:.1}) rotate(-90)", (TOP + bottom) / 2.0);
        svg.element(
            "text",
            &[("transform", &turned), ("class", &"label")],
            self.y.label,
        );
        if let Some(y) = self.level.and_then(|level| self.down(level)) {
            svg.empty(
                "path",
                &[
                    ("class", &"level"),
                    ("d", &format!("M{LEFT} {y:.1}H{right}")),
                ],
            );
        }
        // All lines first, so that none hides a mark.
        for line in &self.lines {
            self.draw_line(svg, line);
        }
        for line in &self.lines {
            svg.nest("g", &[("class", &line.look.class())], |g| {
                for mark in &line.marks {
                    if let (Some(x), Some(y)) = (self.across(mark.x), self.down(mark.y)) {
                        line.look.mark(g, (x, y), mark.hollow, Some(&mark.tip));
                    }
                }
            });
        }
    }

    fn draw_line(&self, svg: &mut Markup, line: &Line) {
        let places: Vec<String> = line
            .marks
            .iter()
            .filter_map(|mark| Some((self.across(mark.x)?, self.down(mark.y)?)))
            .map(|(x, y)| format!("{x:.1} {y:.1}"))
            .collect();
        if places.len() > 1 {
            let path = format!("M{}", places.join("L"));
            svg.nest("g", &[("class", &line.look.class())], |g| {
                g.empty("path", &[("class", &"line"), ("d", &path)]);
            });
        }
    }
}
