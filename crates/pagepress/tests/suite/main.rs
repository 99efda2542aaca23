//! What the library promises, whatever the backend and whatever the page.

mod conformance;
mod pages;
mod properties;
