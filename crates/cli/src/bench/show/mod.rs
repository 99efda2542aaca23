//! Results, printed. Nothing is computed here that other formats would lack.

mod corunner;
pub(crate) mod csv;
mod html;
pub(crate) mod json;
pub(crate) mod lines;
pub(crate) mod numbers;
mod peer;
#[cfg(test)]
mod tests;
pub(crate) mod text;
mod verdict;

use super::args::Format;
use super::figures::Results;

/// The results in this format, ending in a newline.
pub(crate) fn render(format: Format, results: &Results) -> String {
    match format {
        Format::Text => text::render(results),
        Format::Json => json::render(&json::Document::new(results)),
        Format::Html => html::render(results),
        Format::Csv => csv::render(&csv::RUNS, &json::Document::new(results)),
    }
}
