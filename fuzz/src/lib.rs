//! What the fuzz targets check. The targets themselves only pass their bytes
//! on, so that a check can be called from anywhere: a target, a test, a
//! debugger.
//!
//! | module | what |
//! |---|---|
//! | [`hostile`] | any bytes as a compressed page |
//! | [`canned`] | any bytes as a page whose codes are known, whatever they are |
//! | [`round_trip`] | any page there and back |
//! | [`encode_deflate`] | any page through the software's deflate writer |
//! | [`model_descriptor`] | any descriptors on the device's model |
//! | [`model_inflate`] | any deflate stream on the device's model |
//! | [`rules`] | deflate as the device reads it, once more |
//! | [`rooms`], `arena` | memory whose surroundings are watched |
//! | [`mod@reference`] | other decoders' opinions |
//! | [`pages`], [`library`] | synthetic pages, and things that a device is given |
//!
//! A check that fails panics, with the reason.

mod arena;
pub mod canned;
mod door;
pub mod encode_deflate;
pub mod hostile;
mod input;
pub mod library;
mod mend;
pub mod model_descriptor;
pub mod model_inflate;
pub mod pages;
pub mod reference;
pub mod rooms;
pub mod round_trip;
pub mod rules;
