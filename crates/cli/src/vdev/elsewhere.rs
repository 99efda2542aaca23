//! Where there is no library to preload.

use super::RunArgs;
use crate::error::Error;

/// Says so.
pub(super) fn main(_: &RunArgs) -> Result<u8, Error> {
    let why = "vdev run: not available here; it takes Linux on x86-64, with glibc";
    Err(Error::Usage(why.to_owned()))
}
