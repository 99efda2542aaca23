//! What the library promises, whatever the backend and whatever the page.

mod conformance;
mod memory;
mod pages;
mod properties;
mod subject;
mod switching;
mod tables;
