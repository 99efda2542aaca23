//! Results, printed. Nothing is computed here that other formats would lack.

mod corunner;
mod json;
pub(crate) mod text;

use super::args::Format;
use super::figures::Results;

/// The results in this format, ending in a newline.
pub(crate) fn render(format: Format, results: &Results) -> String {
    match format {
        Format::Text => text::render(results),
        Format::Json => json::render(results),
    }
}
