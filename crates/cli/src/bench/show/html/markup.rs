//! Markup that is well-formed, and in which no text can become an element.

use std::fmt::{Display, Write};

/// Markup being written. Text and the values of attributes come in as they are.
#[derive(Debug, Default)]
pub(super) struct Markup {
    text: String,
    open: Vec<&'static str>,
}

/// The attributes of an element.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a dyn Display)];

impl Markup {
    /// An element with what `inside` writes.
    pub(super) fn nest(
        &mut self,
        tag: &'static str,
        attributes: Attributes<'_>,
        inside: impl FnOnce(&mut Self),
    ) {
        self.begin(tag, attributes);
        self.text.push('>');
        self.open.push(tag);
        inside(self);
        self.open.pop();
        let _ = write!(self.text, "</{tag}>");
        // In running text, a line break is a blank.
        if !matches!(tag, "span" | "text" | "title" | "b" | "dt") {
            self.text.push('\n');
        }
    }

    /// An element with text.
    pub(super) fn element(
        &mut self,
        tag: &'static str,
        attributes: Attributes<'_>,
        text: impl Display,
    ) {
        self.nest(tag, attributes, |it| it.text(text));
    }

    /// An element without content.
    pub(super) fn empty(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        self.begin(tag, attributes);
        self.text.push_str("/>");
    }

    pub(super) fn text(&mut self, text: impl Display) {
        escape(&mut self.text, &text.to_string());
    }

    /// The page's own style, which is not escaped in HTML.
    pub(super) fn style(&mut self, css: &'static str) {
        let _ = writeln!(self.text, "<style>\n{css}</style>");
    }

    pub(super) fn finish(self) -> String {
        debug_assert!(self.open.is_empty());
        self.text
    }

    fn begin(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        let _ = write!(self.text, "<{tag}");
        for (name, value) in attributes {
            let _ = write!(self.text, " {name}=\"");
            escape(&mut self.text, &value.to_string());
            self.text.push('"');
        }
    }
}

fn escape(to: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => to.push_str("&amp;"),
            '<' => to.push_str("&lt;"),
            '>' => to.push_str("&gt;"),
            '"' => to.push_str("&quot;"),
            '\'' => to.push_str("&#39;"),
            '\n' | '\t' => to.push(c),
            // No part of XML, or reorders what stands around it.
            c if c.is_control() => to.push('\u{fffd}'),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => {
                to.push('\u{fffd}');
            }
            c => to.push(c),
        }
    }
}
