//! Any bytes as a page whose codes are known, with any codes.
//!
//! The input's [`HEAD`] says how often each symbol occurs, and so its code; the rest
//! is the page. Whatever it is,
//!
//! - it is read as libdeflate and zlib-rs read it behind a header that tells the
//!   codes: the same page from the same bytes, or none;
//! - nothing outside the room is written, and what was in the room has no influence.

use crate::reference;
use crate::rooms::Guarded;
use pagepress_fallback::Corrupt;
use pagepress_fallback::deflate::Deflate;
use pagepress_fallback::huffman::{self, DISTANCES, END_OF_BLOCK, Header, LITERALS};
use pagepress_fallback::inflate::Known;
use std::cell::RefCell;

/// Bytes in front of the page: one for its size and the longest code, half of one for
/// each symbol.
pub const HEAD: usize = 1 + (LITERALS + DISTANCES) / 2;

const UNITS: [usize; 4] = [4096, 64, 300, 65536];

/// Code lengths of literals and lengths, and of distances.
pub type Lengths = ([u8; LITERALS], [u8; DISTANCES]);

/// The codes that a head describes: any bytes describe some.
#[must_use]
pub fn lengths(head: &[u8; HEAD]) -> Lengths {
    let longest = 9 + head[0] / 4 % 7;
    let mut halves = head[1..].iter().flat_map(|byte| [byte & 15, byte >> 4]);
    // Two codes at least: one alone would be incomplete.
    let mut count = |symbol, always: [usize; 2]| match halves.next().unwrap_or(0) {
        0 => u32::from(always.contains(&symbol)),
        half => 1 << half,
    };
    let literals: [u32; LITERALS] = core::array::from_fn(|symbol| count(symbol, [0, END_OF_BLOCK]));
    let distances: [u32; DISTANCES] = core::array::from_fn(|symbol| count(symbol, [0, 1]));
    let mut lengths = ([0; LITERALS], [0; DISTANCES]);
    huffman::code_lengths(&literals, longest, &mut lengths.0);
    huffman::code_lengths(&distances, longest, &mut lengths.1);
    lengths
}

/// Bits, lowest first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        for bit in (0..count).map(|i| value >> i & 1) {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            self.bytes[self.count / 8] |= (bit as u8) << (self.count % 8);
            self.count += 1;
        }
    }
}

/// A header, and in front of it empty blocks with which it ends at a byte's end: so
/// the page behind it is the same bytes as without it.
fn header(lengths: &Lengths) -> Vec<u8> {
    let mut out = Bits::default();
    let header = Header::new(&lengths.0, &lengths.1);
    if header.bits() % 2 == 1 {
        // One with dynamic codes that has an odd number of bits, with its end of
        // block, which is the second code.
        let odd = (0..256).find_map(|literal| {
            let mut literals = [0; LITERALS];
            (literals[literal], literals[END_OF_BLOCK]) = (1, 1);
            let header = Header::new(&literals, &[1, 1]);
            (header.bits() % 2 == 0).then_some(header)
        });
        let odd = odd.expect("some literal makes an odd one");
        odd.write(false, |value, bits| out.put(value, bits));
        out.put(1, 1);
    }
    while !(out.count + header.bits()).is_multiple_of(8) {
        // Not the last one, fixed codes, end of block: ten bits.
        out.put(0b010, 10);
    }
    header.write(true, |value, bits| out.put(value, bits));
    out.bytes
}

thread_local! {
    static LIBDEFLATE: RefCell<Deflate> =
        RefCell::new(Deflate::new(4096, 1).expect("there is memory"));
}

/// Decodes what follows the head of `data`.
///
/// # Panics
/// If anything is not as the module says.
pub fn check(data: &[u8]) {
    let Some((head, body)) = data.split_first_chunk() else {
        return;
    };
    let unit = UNITS[usize::from(head[0] % 4)];
    let lengths = lengths(head);
    let known = Known::new(&lengths.0, &lengths.1).expect("the codes are complete");

    // Two rooms with nothing in common, as in `hostile`; the second one ends where
    // the sanitizer's redzone begins, as does a copy of the page.
    let (mut first, mut second) = (Guarded::new(unit), vec![0xFF; unit].into_boxed_slice());
    let copy: Box<[u8]> = body.into();
    let ours = known.decode(&copy, first.room_mut());
    first.assert_intact();
    assert_eq!(known.decode(&copy, &mut second), ours, "read once more");
    if ours.is_ok() {
        assert!(
            first.room() == &second[..],
            "the page differs with what was in its room before"
        );
    }

    let stream = [&header(&lengths), body].concat();
    let in_front = stream.len() - body.len();
    second.fill(0);
    let theirs =
        LIBDEFLATE.with_borrow_mut(|decoder| decoder.decompress_prefix(&stream, &mut second));
    match (ours, theirs) {
        (Ok(read), Ok(all)) => {
            assert_eq!(in_front + read, all, "libdeflate reads other bytes");
            assert!(
                first.room() == &second[..],
                "libdeflate makes another page of these bytes"
            );
        }
        (Err(Corrupt::ShortPage), Err(Corrupt::ShortPage)) => {}
        // Of two faults, which one is found first is the decoder's choice.
        (
            Err(Corrupt::BadStream | Corrupt::LongPage),
            Err(Corrupt::BadStream | Corrupt::LongPage),
        ) => {}
        _ => panic!("libdeflate: {theirs:?}; ours: {ours:?}"),
    }
    let ours = match ours {
        Ok(read) if read < body.len() => Err(Corrupt::TrailingBytes),
        ours => ours.map(|_| first.room()),
    };
    reference::compare_deflate(&stream, unit, ours);
}
