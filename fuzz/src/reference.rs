//! Other decoders' opinions on what the pool reads and writes.

use crate::rules::{Outcome, Verdict};
use pagepress::Corrupt;
use pagepress_abi::ErrorCode;
use std::cell::RefCell;
use zlib_rs::{Inflate, InflateError, InflateFlush, Status};

/// So few bytes that zlib-rs decodes them by its careful loop.
const PIECE: usize = 128;

/// What zlib-rs makes of a raw deflate stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opinion {
    /// The input is one stream that makes one page, and nothing else.
    Page,
    /// The input starts with a sound stream but is not exactly one page, in
    /// this way.
    NotOnePage(Corrupt),
    /// More than a page came out before the end of the stream was seen. It may
    /// be damaged further on.
    Overflow,
    /// The input ends before the stream does.
    CutShort,
    /// The stream is damaged, in zlib's words.
    Damaged(&'static str),
}

/// The damages that zlib sees and libdeflate reads over, in zlib's words. RFC
/// 1951 allows none of them, and no encoder writes them; libdeflate is lenient,
/// but stays in bounds and makes the same page of them every time.
///
/// - `too many length or distance symbols`: the header announces 287 or 288
///   literal/length symbols, or 31 or 32 distance symbols.
/// - `invalid literal/length code`: the stream uses symbol 286 or 287, which
///   libdeflate takes for 285; or the unused half of a code with one symbol,
///   which it takes for the other half.
/// - `invalid distance code`: the stream uses symbol 30 or 31, which libdeflate
///   takes for 29; or the unused half of a code with one symbol; or a match
///   where the header has no distance symbol, which it takes for symbol 0.
const LIBDEFLATE_ALLOWS: [&str; 3] = [
    "too many length or distance symbols",
    "invalid literal/length code",
    "invalid distance code",
];

thread_local! {
    static INFLATE: RefCell<(Inflate, Vec<u8>)> =
        RefCell::new((Inflate::new(false, 15), Vec::new()));
}

/// Decodes `data` into `out`, at most `piece` bytes per call.
fn decode(
    inflate: &mut Inflate,
    data: &[u8],
    out: &mut [u8],
    piece: usize,
) -> Result<Status, InflateError> {
    loop {
        let (read, made) = (inflate.total_in() as usize, inflate.total_out() as usize);
        let end = out.len().min(made + piece);
        let status = inflate.decompress(&data[read..], &mut out[made..end], InflateFlush::NoFlush);
        if status != Ok(Status::Ok) || inflate.total_out() as usize == out.len() {
            return status;
        }
    }
}

/// Decodes `data` with zlib-rs and shows its opinion and the bytes it made, at
/// most one more than a page.
pub fn inflate<T>(data: &[u8], unit: usize, show: impl FnOnce(Opinion, &[u8]) -> T) -> T {
    /// What zlib-rs 0.6.8 says of every fault that its fast loop meets.
    const NO_REASON: &str = "repeated call with bad state";
    INFLATE.with_borrow_mut(|(inflate, out)| {
        // With one byte to spare, the stream's end is seen even after a full
        // page, and a longer one is told from it.
        out.resize(unit + 1, 0);
        inflate.reset(false);
        let mut status = decode(inflate, data, out, unit + 1);
        if status.is_err() && inflate.error_message() == Some(NO_REASON) {
            // Pieces too small for the fast loop.
            inflate.reset(false);
            status = decode(inflate, data, out, PIECE);
            assert!(status.is_err(), "zlib-rs is of two minds");
        }
        let (read, made) = (inflate.total_in() as usize, inflate.total_out() as usize);
        let opinion = match status {
            Err(_) => Opinion::Damaged(inflate.error_message().unwrap_or("no reason given")),
            Ok(Status::StreamEnd) if made < unit => Opinion::NotOnePage(Corrupt::ShortPage),
            Ok(Status::StreamEnd) if made > unit => Opinion::NotOnePage(Corrupt::LongPage),
            Ok(Status::StreamEnd) if read < data.len() => {
                Opinion::NotOnePage(Corrupt::TrailingBytes)
            }
            Ok(Status::StreamEnd) => Opinion::Page,
            Ok(_) if made > unit => Opinion::Overflow,
            Ok(_) => Opinion::CutShort,
        };
        show(opinion, &out[..made])
    })
}

/// Compares what the pool made of `data` with what zlib-rs does.
///
/// # Panics
/// If the two differ in a way that is not one of libdeflate's known liberties.
pub fn compare_deflate(data: &[u8], unit: usize, ours: Result<&[u8], Corrupt>) {
    inflate(data, unit, |opinion, made| match (opinion, ours) {
        (Opinion::Page, Ok(page)) => {
            assert!(page == made, "zlib-rs makes another page of these bytes");
        }
        // Several things may be wrong with a stream, and which is found first
        // is the decoder's choice; only a sound stream has one verdict.
        (Opinion::NotOnePage(expected), Err(cause)) if expected == cause => {}
        (Opinion::Overflow | Opinion::CutShort | Opinion::Damaged(_), Err(_)) => {}
        (Opinion::Damaged(reason), Ok(_)) if LIBDEFLATE_ALLOWS.contains(&reason) => {}
        (opinion, ours) => {
            let ours = ours.map(<[u8]>::len);
            panic!("zlib-rs: {opinion:?}; the pool: {ours:?}");
        }
    });
}

/// Compares what the rules say with what zlib-rs does, whose rules are RFC
/// 1951's.
///
/// # Panics
/// If the two differ in a way that the [`rules`](crate::rules) do not ask for.
pub fn compare_rules(stream: &[u8], room: usize, ours: &Outcome) {
    const INCOMPLETE: [&str; 3] = [
        "invalid code lengths set",
        "invalid literal/lengths set",
        "invalid distances set",
    ];
    inflate(stream, room, |opinion, made| {
        let agreed = match (opinion, ours.verdict) {
            (Opinion::Page | Opinion::NotOnePage(_), Verdict::Success) => made == ours.output,
            (Opinion::Overflow, Verdict::Overflow) => made[..room] == ours.output,
            (Opinion::NotOnePage(_), Verdict::Overflow) => made.len() > room,
            (Opinion::CutShort, Verdict::Error(ErrorCode::BAD_END)) => true,
            // What zlib refuses at a header, and the device only if it is used.
            (Opinion::Damaged(reason), _) if INCOMPLETE.contains(&reason) && ours.incomplete => {
                true
            }
            (Opinion::Damaged(_), Verdict::Error(_)) => true,
            // Without a single code-length code, zlib waits for its use.
            (Opinion::CutShort, Verdict::Error(ErrorCode::BAD_CL_LENGTHS)) => true,
            // What the device refuses, and RFC 1951 does not.
            (_, Verdict::Error(ErrorCode::BAD_DISTANCE | ErrorCode::FIRST_D_REPEATS)) => true,
            (_, Verdict::Error(ErrorCode::WRONG_LL_COUNT)) => ours.crossing,
            _ => false,
        };
        assert!(
            agreed,
            "zlib-rs: {opinion:?}; the device: {:?}",
            ours.verdict
        );
        if !matches!(opinion, Opinion::Damaged(_)) {
            let common = made.len().min(ours.output.len());
            assert!(
                made[..common] == ours.output[..common],
                "zlib-rs makes other bytes"
            );
        }
    });
}

/// Asserts that `stream` is a deflate stream for `page` whose matches reach
/// back no further than the 4096 bytes of history that IAA keeps.
///
/// A match may lead out of the present piece by 4096 bytes and no more, so one
/// that is too long by less than a piece can pass. zlib's encoder would have to
/// err by more: it means to stay 262 bytes below its window.
///
/// # Panics
/// If it is not.
pub fn assert_short_history(stream: &[u8], page: &[u8]) {
    let mut inflate = Inflate::new(false, 12);
    let mut out = vec![0; page.len() + 1];
    let status = decode(&mut inflate, stream, &mut out, PIECE);
    let reason = inflate.error_message();
    assert_eq!(status, Ok(Status::StreamEnd), "zlib-rs: {reason:?}");
    assert_eq!(inflate.total_in() as usize, stream.len());
    assert!(inflate.total_out() as usize == page.len() && out.starts_with(page));
}

/// The bytes of the first zstd frame in `data`, or `None` if there is none.
#[must_use]
pub fn first_zstd_frame(data: &[u8]) -> Option<usize> {
    // The pool's frames lack the magic number that libzstd looks for here.
    const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
    let frame = [&MAGIC, data].concat();
    let len = zstd::zstd_safe::find_frame_compressed_size(&frame).ok()?;
    Some(len - MAGIC.len())
}
