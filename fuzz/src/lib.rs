//! What the fuzz targets check. The targets themselves only pass their bytes
//! on, so that a check can be called from anywhere: a target, a test, a
//! debugger.
//!
//! | module | what |
//! |---|---|
//! | [`hostile`] | any bytes as a compressed page |
//! | [`round_trip`] | any page there and back |
//! | [`rooms`] | memory whose surroundings are watched |
//! | [`mod@reference`] | other decoders' opinions |
//! | [`pages`] | synthetic pages |
//!
//! A check that fails panics, with the reason.

#![forbid(unsafe_code)]

pub mod hostile;
pub mod pages;
pub mod reference;
pub mod rooms;
pub mod round_trip;
