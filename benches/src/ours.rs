//! Our deflate, tier by tier, without a pool around it: as the library has it, probe for
//! random pages included.

// Of canned pages, counting, the codes and `Joined` are here only until the library has
// tables of its own, and a reader for them.

use crate::PAGE;
use crate::rivals::Rival;
use pagepress_fallback::deflate::{Deflate, Joined};
use pagepress_fallback::encoder::{self, Codes, Encoder};
use pagepress_fallback::huffman::{self, DISTANCES, END_OF_BLOCK, Header, LITERALS, SYMBOLS_MAX};
use pagepress_fallback::probe::Probe;
use pagepress_fallback::{PageCodec, deflate};
use std::sync::Arc;

/// Codes of more bits save next to nothing, and slow the writer down.
const CODE_BITS_MAX: u8 = 14;

/// Symbols of the distances up to 4096.
const NEAR: usize = 24;

/// The software codec at this level.
///
/// # Panics
/// If there is no memory.
#[must_use]
pub fn level(level: i32) -> Rival {
    let context = || Deflate::new(PAGE, level).expect("memory for a context");
    let (mut writer, mut reader) = (context(), context());
    let tier = match level {
        deflate::DEFAULT_LEVEL => "fixed",
        deflate::DYNAMIC_LEVEL => "dynamic",
        _ => "zlib-rs",
    };
    Rival {
        name: format!("ours, {tier}"),
        compress: Box::new(move |page, dst| writer.compress(page, dst, PAGE - 1).ok()),
        decompress: Box::new(move |src, page| reader.decompress(src, page).is_ok()),
    }
}

/// Codes that writer and reader have.
#[derive(Debug)]
pub struct Tables {
    codes: Codes,
    header: Vec<u8>,
    header_bits: usize,
    trained_on: usize,
}

impl Tables {
    /// Codes for pages such as these; random ones are passed by.
    ///
    /// # Panics
    /// If there is no memory.
    #[must_use]
    pub fn train<'a>(pages: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut encoder = Encoder::new(PAGE).expect("memory for an encoder");
        let mut probe = Probe::default();
        let fixed = Codes::fixed();
        let reader = FixedReader::new();
        let mut stream = vec![0; 2 * PAGE + encoder::SLACK];
        // Each symbol needs a code: a page may have any.
        let (mut literals, mut distances) = ([1; LITERALS], [0; DISTANCES]);
        distances[..NEAR].fill(1);
        let mut trained_on = 0;
        for page in pages {
            if probe.looks_random(page) {
                continue;
            }
            encoder
                .with_codes(page, &mut stream, 2 * PAGE, &fixed)
                .expect("no page doubles");
            reader.count(&stream, &mut literals, &mut distances);
            trained_on += 1;
        }
        let (mut literal_lengths, mut distance_lengths) = ([0; LITERALS], [0; DISTANCES]);
        huffman::code_lengths(&literals, CODE_BITS_MAX, &mut literal_lengths);
        huffman::code_lengths(&distances, CODE_BITS_MAX, &mut distance_lengths);
        let header = Header::new(&literal_lengths, &distance_lengths);
        let mut bytes = vec![0; header.bits().div_ceil(8) + 8];
        header.write_bytes(true, &mut bytes);
        Self {
            codes: Codes::with_header(&literal_lengths, &distance_lengths, &[], 0),
            header: bytes,
            header_bits: header.bits(),
            trained_on,
        }
    }

    /// How many pages they were made from.
    #[must_use]
    pub fn trained_on(&self) -> usize {
        self.trained_on
    }

    /// What puts the header in front of pages, for readers of plain deflate.
    #[must_use]
    pub fn joined(&self) -> Joined {
        Joined::new(&self.header, self.header_bits, PAGE)
    }
}

/// Our writer with these codes behind the probe, and what reads its pages.
///
/// # Panics
/// If there is no memory.
#[must_use]
pub fn canned(tables: &Arc<Tables>) -> Rival {
    let tables = Arc::clone(tables);
    let mut joined = tables.joined();
    let mut encoder = Encoder::new(PAGE).expect("memory for an encoder");
    let mut probe = Box::<Probe>::default();
    let mut reader = Deflate::new(PAGE, 1).expect("memory for a context");
    Rival {
        name: "ours, canned".into(),
        compress: Box::new(move |page, dst| {
            if probe.looks_random(page) {
                return None;
            }
            encoder.with_codes(page, dst, PAGE - 1, &tables.codes)
        }),
        decompress: Box::new(move |src, page| {
            joined
                .join(src)
                .is_some_and(|stream| reader.decompress_prefix(stream, page).is_ok())
        }),
    }
}

/// Reads what our encoder writes with the fixed codes.
struct FixedReader {
    /// By the next nine bits, first one highest: symbol, and bits of its code.
    literals: Vec<(u16, u8)>,
}

impl FixedReader {
    fn new() -> Self {
        let mut lengths = [8; SYMBOLS_MAX];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        let mut codes = [0; SYMBOLS_MAX];
        huffman::canonical_codes(&lengths, &mut codes);
        let mut literals = vec![(0, 0); 1 << 9];
        for ((symbol, &code), &len) in (0..).zip(&codes).zip(&lengths) {
            let (first, same) = (usize::from(code) << (9 - len), 1 << (9 - len));
            literals[first..first + same].fill((symbol, len));
        }
        Self { literals }
    }

    /// Counts the symbols of a stream.
    fn count(&self, stream: &[u8], literals: &mut [u32], distances: &mut [u32]) {
        let mut at = 3;
        // First bit lowest.
        let look = |at: usize, count: u32| {
            let bytes = stream[at / 8..at / 8 + 4].try_into().expect("four bytes");
            u32::from_le_bytes(bytes) >> (at % 8) & ((1 << count) - 1)
        };
        let code =
            |at: usize, count: u32| (look(at, count).reverse_bits() >> (32 - count)) as usize;
        loop {
            let (symbol, len) = self.literals[code(at, 9)];
            at += usize::from(len);
            let symbol = usize::from(symbol);
            literals[symbol] += 1;
            if symbol < END_OF_BLOCK {
                continue;
            }
            if symbol == END_OF_BLOCK {
                return;
            }
            // RFC 1951, 3.2.5: the last length has no extra bits.
            at += match symbol - END_OF_BLOCK - 1 {
                28 => 0,
                length => (length / 4).saturating_sub(1),
            };
            let distance = code(at, 5);
            distances[distance] += 1;
            at += 5 + (distance / 2).saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made;

    /// The header says what the pages are written with, so a reader of plain deflate
    /// only finds them whole if both are right, and they only get shorter than with
    /// the fixed codes if what was counted is what they have.
    #[test]
    fn trained_codes_are_read_and_save() {
        let pages = made::pages(64);
        let (trained_on, others) = pages.split_at(32);
        let tables = Arc::new(Tables::train(trained_on.iter().map(Vec::as_slice)));
        let mut canned = canned(&tables);
        let mut encoder = Encoder::new(PAGE).expect("memory for an encoder");
        let (mut dst, mut page) = (vec![0; 2 * PAGE], vec![0; PAGE]);
        let (mut with_them, mut with_fixed) = (0, 0);
        for other in others {
            let len = (canned.compress)(other, &mut dst).expect("it can be shortened");
            assert!((canned.decompress)(&dst[..len], &mut page));
            assert!(&page == other);
            with_them += len;
            with_fixed += encoder
                .with_codes(other, &mut dst, PAGE, &Codes::fixed())
                .expect("it can be shortened");
        }
        assert!(
            with_them * 20 < with_fixed * 19,
            "{with_them} bytes, {with_fixed} with the fixed codes"
        );
    }

    /// Every symbol that a stream has is counted once.
    #[test]
    fn symbols_are_counted() {
        let mut page = vec![b'a'; 300];
        page.extend_from_slice(b"\xf0bcdefghijklmnopqrstuvwxyz0123456789\xf0bcdefgh");
        let mut encoder = Encoder::new(PAGE).expect("memory for an encoder");
        let mut stream = vec![0; 2 * PAGE];
        encoder
            .with_codes(&page, &mut stream, PAGE, &Codes::fixed())
            .expect("it fits");
        let (mut literals, mut distances) = ([0; LITERALS], [0; DISTANCES]);
        FixedReader::new().count(&stream, &mut literals, &mut distances);
        let repeats: u32 = literals[END_OF_BLOCK + 1..].iter().sum();
        assert_eq!(repeats, distances.iter().sum());
        assert_eq!(literals[END_OF_BLOCK], 1);
        // 258 bytes at once, at a distance of 1.
        assert_eq!(literals[END_OF_BLOCK + 29], 1);
        assert!(distances[0] >= 1);
        assert!(literals[0xf0] >= 1 && literals[usize::from(b'0')] == 1);
    }
}
