//! Whether this host has a device to compress with.

use crate::unavailable::Unavailable;
use pagepress_idxd::{Diagnosis, Host, Root};

/// Looks for a usable device.
///
/// # Errors
/// The link that is missing.
pub(crate) fn detect() -> Result<Host, Unavailable> {
    let host =
        Host::look(&Root::new("/")).map_err(|error| Unavailable::unseen(&error.to_string()))?;
    let diagnosis = Diagnosis::of(&host);
    match diagnosis.first_broken().or(diagnosis.first_unknown()) {
        Some(link) => Err(Unavailable::of(link)),
        None => Ok(host),
    }
}
