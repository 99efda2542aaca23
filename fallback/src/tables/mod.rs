//! Huffman codes that software and devices share: made from counts, told in a block's
//! header ([`Codes`]), or known to writers and readers beforehand ([`Tables`]).

mod file;

pub use file::{BYTES, BadTables, VERSION};

use crate::encoder::{self, Encoder};
use crate::huffman::{
    self, CODE_BITS_MAX, DISTANCES, DISTANCES_NEAR, END_OF_BLOCK, Header, LITERALS, LengthCounts,
};
use crate::inflate::Known;
use crate::probe::Probe;
use core::fmt;
use core::num::NonZeroU32;

/// How often each symbol occurs.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    /// Literals, end of block and lengths.
    pub literals: [u32; LITERALS],
    /// Distances.
    pub distances: [u32; DISTANCES],
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Histogram({} tokens)", sum(&self.literals))
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            literals: [0; LITERALS],
            distances: [0; DISTANCES],
        }
    }
}

fn sum(counts: &[u32]) -> u64 {
    counts.iter().copied().map(u64::from).sum()
}

impl Histogram {
    /// Adds another one, for tables that are to serve many pages.
    pub fn add(&mut self, other: &Self) {
        let pairs = self.literals.iter_mut().zip(&other.literals);
        for (sum, count) in pairs.chain(self.distances.iter_mut().zip(&other.distances)) {
            *sum = sum.saturating_add(*count);
        }
    }

    /// Gives every symbol that a page may have a share, so that tables serve pages
    /// with symbols that nobody has seen yet.
    fn complete(&mut self) {
        for counts in [
            &mut self.literals[..],
            &mut self.distances[..DISTANCES_NEAR],
        ] {
            let share = (sum(counts) / UNSEEN).clamp(1, u32::MAX.into()) as u32;
            for count in counts {
                *count = count.saturating_add(share);
            }
        }
    }
}

/// One in so many of the counts is added to each symbol's own. That costs pages like
/// those trained on 0.03 %, and saves 0.1 to 0.7 % where these were 16 pages or fewer;
/// to pages of other programs it makes no difference, all together.
const UNSEEN: u64 = 4096;

/// The longest code of tables. Up to 15 bits would save 0.02 %; these four fit between
/// two times that a writer puts out, and a reader finds each by one look.
const TABLES_BITS_MAX: u8 = 12;

/// Codes of a block, by their lengths, and the header that tells them.
#[derive(Debug, Clone)]
pub struct Codes {
    literals: [u8; LITERALS],
    distances: [u8; DISTANCES],
    /// How many codes there are of each length: of literals, and of distances.
    of_length: [LengthCounts; 2],
    header: Header,
}

impl Codes {
    /// The best codes for these counts.
    #[must_use]
    pub fn new(histogram: &Histogram) -> Self {
        Self::limited(histogram, CODE_BITS_MAX)
    }

    fn limited(histogram: &Histogram, bits_max: u8) -> Self {
        let mut counts = histogram.literals;
        // A device's histogram counts no end of block, and every block has one.
        counts[END_OF_BLOCK] = counts[END_OF_BLOCK].max(1);
        let (mut literals, mut distances) = ([0; LITERALS], [0; DISTANCES]);
        let of_length = [
            huffman::code_lengths(&counts, bits_max, &mut literals),
            huffman::code_lengths(&histogram.distances, bits_max, &mut distances),
        ];
        Self {
            header: Header::new(&literals, &distances),
            literals,
            distances,
            of_length,
        }
    }

    /// Codes of these lengths, if they serve any page: a code for every symbol that
    /// one may have, and none left over.
    fn of_lengths(literals: [u8; LITERALS], distances: [u8; DISTANCES]) -> Option<Self> {
        let near = &distances[..DISTANCES_NEAR];
        if literals.iter().chain(near).any(|&len| len == 0) {
            return None;
        }
        let of_length = [whole(&literals)?, whole(&distances)?];
        Some(Self {
            header: Header::new(&literals, &distances),
            literals,
            distances,
            of_length,
        })
    }

    /// Code lengths of literals, end of block and lengths.
    #[must_use]
    pub fn literals(&self) -> &[u8; LITERALS] {
        &self.literals
    }

    /// Code lengths of distances.
    #[must_use]
    pub fn distances(&self) -> &[u8; DISTANCES] {
        &self.distances
    }

    /// How many codes there are of each length: of literals, and of distances.
    #[must_use]
    pub fn of_length(&self) -> &[LengthCounts; 2] {
        &self.of_length
    }

    /// The header of a block with them.
    #[must_use]
    pub fn block_header(&self) -> &Header {
        &self.header
    }

    /// The header of a final block, as bytes and how many bits of them count.
    #[must_use]
    pub fn header(&self) -> (Vec<u8>, usize) {
        let len = self.header.bits().div_ceil(8);
        let mut bytes = vec![0; len + 8];
        self.header.write_bytes(true, &mut bytes);
        bytes.truncate(len);
        (bytes, self.header.bits())
    }
}

/// How many codes there are of each length, if together they are a whole code: all
/// bits mean something, and nothing means two things.
fn whole(lengths: &[u8]) -> Option<LengthCounts> {
    if huffman::places(lengths)? != huffman::PLACES {
        return None;
    }
    let mut of_length = LengthCounts::default();
    for &len in lengths.iter().filter(|&&len| len != 0) {
        of_length[usize::from(len)] += 1;
    }
    Some(of_length)
}

/// What tables were made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TrainedOn {
    /// Pages, without those that were left out.
    pub pages: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Canned tables: codes that pages are compressed with and that are not stored with
/// them.
///
/// Tables are equal if their codes are, whatever these were made from.
#[derive(Debug)]
pub struct Tables {
    codes: Codes,
    id: NonZeroU32,
    trained_on: TrainedOn,
    writer: encoder::Codes,
    reader: Known,
}

impl Tables {
    /// Tables that serve any page alike, and none well: for tests.
    #[must_use]
    pub fn flat() -> Self {
        Self::new(Histogram::default(), TrainedOn::default())
    }

    /// Tables for pages with these counts.
    #[must_use]
    pub fn new(mut histogram: Histogram, trained_on: TrainedOn) -> Self {
        histogram.complete();
        Self::of_codes(Codes::limited(&histogram, TABLES_BITS_MAX), trained_on)
    }

    /// Their codes have to serve any page.
    ///
    /// # Panics
    /// If the system has no memory.
    fn of_codes(codes: Codes, trained_on: TrainedOn) -> Self {
        Self {
            id: id_of(&codes),
            writer: encoder::Codes::with_header(&codes.literals, &codes.distances, &[], 0),
            reader: Known::new(&codes.literals, &codes.distances)
                .expect("whole codes, and memory for them"),
            codes,
            trained_on,
        }
    }

    /// The codes, and the header that pages do not have.
    #[must_use]
    pub fn codes(&self) -> &Codes {
        &self.codes
    }

    /// A number that tells tables apart, to be kept with every page: it comes from the
    /// codes, so the same tables always have the same.
    #[must_use]
    pub const fn id(&self) -> NonZeroU32 {
        self.id
    }

    /// What they were made from.
    #[must_use]
    pub const fn trained_on(&self) -> TrainedOn {
        self.trained_on
    }

    /// The codes as [`Encoder::with_codes`] takes them.
    #[must_use]
    pub fn writer(&self) -> &encoder::Codes {
        &self.writer
    }

    /// What reads the pages.
    #[must_use]
    pub fn reader(&self) -> &Known {
        &self.reader
    }
}

impl PartialEq for Tables {
    fn eq(&self, other: &Self) -> bool {
        self.codes.literals == other.codes.literals && self.codes.distances == other.codes.distances
    }
}

impl Eq for Tables {}

/// FNV-1a of all code lengths.
fn id_of(codes: &Codes) -> NonZeroU32 {
    let lengths = codes.literals.iter().chain(&codes.distances);
    let hash = lengths.fold(0x811C_9DC5u32, |hash, &len| {
        (hash ^ u32::from(len)).wrapping_mul(0x0100_0193)
    });
    NonZeroU32::new(hash).unwrap_or(NonZeroU32::MIN)
}

/// Makes tables of sample pages: counts what [`Encoder::with_codes`] would write.
pub struct Trainer {
    encoder: Encoder,
    probe: Probe,
    histogram: Histogram,
    trained_on: TrainedOn,
}

impl fmt::Debug for Trainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainer")
            .field("trained_on", &self.trained_on)
            .finish_non_exhaustive()
    }
}

impl Trainer {
    /// One that has seen nothing, for pages of up to so many bytes. `None` if the
    /// system has no memory.
    ///
    /// # Panics
    /// If `unit` is above 65536.
    #[must_use]
    pub fn new(unit: usize) -> Option<Self> {
        Some(Self {
            encoder: Encoder::new(unit)?,
            probe: Probe::default(),
            histogram: Histogram::default(),
            trained_on: TrainedOn::default(),
        })
    }

    /// Counts a page, unless it is a random one: whether it did. Those are stored as
    /// they are.
    ///
    /// # Panics
    /// If `page` has more bytes than the trainer was made for.
    pub fn add(&mut self, page: &[u8]) -> bool {
        if self.probe.looks_random(page) {
            return false;
        }
        self.encoder.count(page, &mut self.histogram);
        self.trained_on.pages += 1;
        self.trained_on.bytes += page.len() as u64;
        true
    }

    /// What was counted so far.
    #[must_use]
    pub fn histogram(&self) -> &Histogram {
        &self.histogram
    }

    /// Tables for pages like those; `None` if there were none.
    #[must_use]
    pub fn tables(&self) -> Option<Tables> {
        let tables = || Tables::new(self.histogram.clone(), self.trained_on);
        (self.trained_on.pages > 0).then(tables)
    }
}
