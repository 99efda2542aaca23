//! Writes raw deflate (RFC 1951) for memory pages at about lz4's speed, in what Intel's
//! IAA reads: one final block, no match further back than 4096 bytes.
//!
//! | way | codes | passes |
//! |---|---|---|
//! | [`Encoder::with_codes`] | the fixed ones, or others made beforehand | one |
//! | [`Encoder::dynamic`] | made for the page | two |
//!
//! `benches/README.md` has what each takes and saves.

mod bits;
mod codes;
mod dynamic;
mod search;

pub use codes::{Codes, MATCH_MAX, WINDOW};
pub(crate) use codes::{LENGTH_BASE, LENGTH_EXTRA};

use crate::huffman::END_OF_BLOCK;
use crate::tables::Histogram;
use bits::Writer;
use dynamic::{Counted, Repeat};
use search::{Effort, Heads, MATCH_MIN, SLOTS, Sink};

/// One encoder, for page after page.
pub struct Encoder {
    heads: Box<Heads>,
    /// Room for the repeats of a page.
    repeats: Box<[Repeat]>,
    unit: usize,
}

impl core::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

/// Bytes beyond its limit that a stream's room must have: they may be written to.
pub const SLACK: usize = 8;

/// One pass, as fast as can be.
struct Fast;

impl Effort for Fast {
    const EVERY_POSITION: bool = false;
    const LAZY: bool = false;
}

/// Two passes, the first of which is not the longer one.
struct Thorough;

impl Effort for Thorough {
    const EVERY_POSITION: bool = true;
    const LAZY: bool = true;
}

/// Writes what is found at once.
struct OnePass<'a, const LONG_LITERALS: bool> {
    codes: &'a Codes,
    out: Writer<'a>,
}

impl<const LONG_LITERALS: bool> Sink for OnePass<'_, LONG_LITERALS> {
    #[inline(always)]
    fn literals<const N: usize>(&mut self, word: u64) -> Option<()> {
        // Four codes of 14 bits go out together with the seven that may wait.
        for number in 0..N {
            let byte = word.to_le_bytes()[number];
            self.out.add(self.codes.literals[usize::from(byte)]);
            if LONG_LITERALS {
                self.out.put_out()?;
            }
        }
        if N == 0 { Some(()) } else { self.out.put_out() }
    }

    #[inline(always)]
    fn repeat(&mut self, length: usize, distance: usize) -> Option<()> {
        self.out.add(self.codes.lengths[length]);
        self.out.add(self.codes.distances[distance]);
        self.out.put_out()
    }
}

/// Counts what one pass finds.
struct Counting<'a>(&'a mut Histogram);

impl Sink for Counting<'_> {
    fn literals<const N: usize>(&mut self, word: u64) -> Option<()> {
        for byte in &word.to_le_bytes()[..N] {
            let count = &mut self.0.literals[usize::from(*byte)];
            *count = count.saturating_add(1);
        }
        Some(())
    }

    fn repeat(&mut self, length: usize, distance: usize) -> Option<()> {
        let length = usize::from(codes::LENGTH_SYMBOL[length]);
        let (distance, _) = codes::distance_symbol(distance as u32);
        let of_length = &mut self.0.literals[END_OF_BLOCK + 1 + length];
        *of_length = of_length.saturating_add(1);
        let of_distance = &mut self.0.distances[distance as usize];
        *of_distance = of_distance.saturating_add(1);
        Some(())
    }
}

impl Encoder {
    /// One for pages of up to so many bytes. `None` if the system has no memory.
    ///
    /// # Panics
    /// If `unit` is above 65536.
    #[must_use]
    pub fn new(unit: usize) -> Option<Self> {
        assert!(unit <= 1 << 16);
        Some(Self {
            heads: boxed(SLOTS, 0)?.try_into().ok()?,
            repeats: boxed(unit / MATCH_MIN + 1, Repeat::default())?,
            unit,
        })
    }

    /// Writes `page` to the start of `dst`, with `codes`; how many bytes, at most
    /// `limit`. `None` if it needs more.
    ///
    /// # Panics
    /// If `dst` does not have [`SLACK`] bytes more than `limit`, or `page` has more
    /// bytes than the encoder was made for.
    pub fn with_codes(
        &mut self,
        page: &[u8],
        dst: &mut [u8],
        limit: usize,
        codes: &Codes,
    ) -> Option<usize> {
        assert!(page.len() <= self.unit);
        let dst = &mut dst[..limit + SLACK];
        let plain: Option<&[u8; WINDOW]> = page.try_into().ok();
        match (plain, codes.long_literals) {
            (Some(page), false) => self.one_pass::<_, false, false>(page, dst, codes),
            (Some(page), true) => self.one_pass::<_, false, true>(page, dst, codes),
            (None, false) => self.one_pass::<_, true, false>(page, dst, codes),
            (None, true) => self.one_pass::<_, true, true>(page, dst, codes),
        }
        .filter(|&written| written <= limit)
    }

    fn one_pass<P: AsRef<[u8]> + ?Sized, const FAR: bool, const LONG_LITERALS: bool>(
        &mut self,
        page: &P,
        dst: &mut [u8],
        codes: &Codes,
    ) -> Option<usize> {
        let (header, header_bits) = codes.header();
        dst.get_mut(..header.len())?.copy_from_slice(header);
        let mut sink = OnePass::<'_, LONG_LITERALS> {
            codes,
            out: Writer::after(dst, header_bits)?,
        };
        search::search::<_, _, Fast, FAR>(page, &mut self.heads, &mut sink)?;
        sink.out.add(codes.end_of_block);
        sink.out.finish()
    }

    /// Writes `page` to the start of `dst`, with codes made for it, or the fixed ones
    /// if these take less; how many bytes, at most `limit`. `None` if it needs more,
    /// which is known before anything is written.
    ///
    /// # Panics
    /// As [`with_codes`](Self::with_codes).
    pub fn dynamic(&mut self, page: &[u8], dst: &mut [u8], limit: usize) -> Option<usize> {
        assert!(page.len() <= self.unit);
        let dst = &mut dst[..limit + SLACK];
        let mut sink = Counted::new(&mut self.repeats);
        if let Some(page) = page
            .first_chunk::<WINDOW>()
            .filter(|_| page.len() == WINDOW)
        {
            search::search::<_, _, Thorough, false>(page, &mut self.heads, &mut sink)?;
        } else {
            search::search::<_, _, Thorough, true>(page, &mut self.heads, &mut sink)?;
        }
        sink.write(page, dst, limit)
    }

    /// Counts the symbols that [`with_codes`](Self::with_codes) would write of `page`,
    /// whatever the codes.
    ///
    /// # Panics
    /// If `page` has more bytes than the encoder was made for.
    pub fn count(&mut self, page: &[u8], histogram: &mut Histogram) {
        assert!(page.len() <= self.unit);
        let mut sink = Counting(histogram);
        let counted = search::search::<_, _, Fast, true>(page, &mut self.heads, &mut sink);
        debug_assert!(counted.is_some(), "a count never gives up");
        let ends = &mut histogram.literals[END_OF_BLOCK];
        *ends = ends.saturating_add(1);
    }

    /// Bytes that it holds on the heap.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        size_of_val(&*self.heads) + size_of_val(&*self.repeats)
    }
}

/// So many of them, or `None` if the system has no memory.
fn boxed<T: Clone>(len: usize, of: T) -> Option<Box<[T]>> {
    let mut all = Vec::new();
    all.try_reserve_exact(len).ok()?;
    all.resize(len, of);
    Some(all.into_boxed_slice())
}
