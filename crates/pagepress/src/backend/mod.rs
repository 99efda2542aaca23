//! The backends, each adapting a lower floor to the trait layer.

#[cfg(feature = "iaa")]
pub(crate) mod iaa;
#[cfg_attr(
    not(any(feature = "lz4", feature = "zstd", feature = "deflate")),
    expect(dead_code, reason = "without a codec no software context is ever made")
)]
pub(crate) mod software;

use crate::codec::Codec;
use crate::compressor::{DecompressDelivery, Decompressed};
use crate::outcome::{PageError, Stored};
use core::ops::ControlFlow;

/// The caller's room for a page, if there is one, after a look at everything
/// about the page but its content.
///
/// # Errors
/// What is wrong with the page, or with the room.
fn checked_room<'d>(
    index: usize,
    stored: &Stored<'_>,
    codec: Codec,
    unit: usize,
    delivery: &'d mut DecompressDelivery<'_>,
) -> Result<Option<&'d mut [u8]>, PageError> {
    let room = delivery.room(index);
    let room_len = room.as_ref().map_or(unit, |room| room.len());
    if room_len != unit {
        return Err(PageError::WrongRoom {
            expected: unit,
            actual: room_len,
        });
    }
    match *stored {
        Stored::Compressed(page) if page.codec() != codec => Err(PageError::WrongCodec {
            expected: codec,
            actual: page.codec(),
        }),
        Stored::Raw(bytes) if bytes.len() != unit => Err(PageError::WrongSize {
            expected: unit,
            actual: bytes.len(),
        }),
        _ => Ok(room),
    }
}

/// Delivers a page that was stored raw, and checked.
fn deliver_raw(
    index: usize,
    bytes: &[u8],
    delivery: &mut DecompressDelivery<'_>,
) -> ControlFlow<()> {
    match delivery.room(index) {
        Some(room) => {
            room.copy_from_slice(bytes);
            delivery.raw(index, Decompressed::InRoom)
        }
        None => delivery.raw(index, Decompressed::At(bytes)),
    }
}
