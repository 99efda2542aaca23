//! Three inflate implementations that share no code with ours, nor with each other.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use pagepress_fallback::deflate::{DEFAULT_LEVEL, Deflate};
use zlib_rs::{Inflate, InflateFlush, Status};

/// Asserts that all of them find `page` in `stream`, and nothing behind it.
#[track_caller]
pub(crate) fn assert_read_by_all(stream: &[u8], page: &[u8]) {
    // With one byte to spare, a longer page is told from this one.
    let mut room = vec![0; page.len() + 1];

    let mut inflate = Inflate::new(false, 15);
    let status = inflate.decompress(stream, &mut room, InflateFlush::Finish);
    assert_eq!(status, Ok(Status::StreamEnd), "zlib-rs");
    assert_eq!(inflate.total_in() as usize, stream.len(), "zlib-rs");
    assert!(room[..inflate.total_out() as usize] == *page, "zlib-rs");

    room.fill(0);
    let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let mut state = Box::<DecompressorOxide>::default();
    let (status, read, made) = decompress(&mut state, stream, &mut room, 0, flags);
    assert_eq!(status, TINFLStatus::Done, "miniz_oxide");
    assert_eq!(read, stream.len(), "miniz_oxide");
    assert!(room[..made] == *page, "miniz_oxide");

    room.fill(0);
    let mut deflate = Deflate::new(4096, DEFAULT_LEVEL).expect("memory");
    let room = &mut room[..page.len()];
    let read = deflate.decompress_prefix(stream, room);
    assert_eq!(read, Ok(stream.len()), "libdeflate");
    assert!(room == page, "libdeflate");
}
