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
mod cpu;
mod dynamic;
mod one_pass;
mod search;

pub use codes::{Codes, MATCH_MAX, WINDOW};
pub(crate) use codes::{LENGTH_BASE, LENGTH_EXTRA};

use crate::huffman::END_OF_BLOCK;
use crate::tables::Histogram;
use cpu::Cpu;
use dynamic::{Repeat, TwoPasses};
use one_pass::{Fast, OnePass};
use search::{Heads, MATCH_MIN, Sink};

/// One encoder, for page after page.
pub struct Encoder {
    heads: Box<Heads>,
    /// Room for the repeats of a page.
    repeats: Box<[Repeat]>,
    unit: usize,
    cpu: Cpu,
}

impl core::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

/// Bytes beyond its limit that a stream's room must have: they may be written to.
pub const SLACK: usize = 8;

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
            heads: crate::is_there(size_of::<Heads>()).then(Box::default)?,
            repeats: boxed(unit / MATCH_MIN + 1, Repeat::default())?,
            unit,
            cpu: Cpu::new(),
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

    #[inline(always)]
    fn one_pass<P: AsRef<[u8]> + ?Sized, const FAR: bool, const LONG_LITERALS: bool>(
        &mut self,
        page: &P,
        dst: &mut [u8],
        codes: &Codes,
    ) -> Option<usize> {
        self.cpu.run(OnePass::<P, FAR, LONG_LITERALS> {
            heads: &mut self.heads,
            page,
            dst,
            codes,
        })
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
        let plain: Option<&[u8; WINDOW]> = page.try_into().ok();
        match plain {
            Some(page) => self.two_passes::<_, false>(page, dst, limit),
            None => self.two_passes::<_, true>(page, dst, limit),
        }
    }

    #[inline(always)]
    fn two_passes<P: AsRef<[u8]> + ?Sized, const FAR: bool>(
        &mut self,
        page: &P,
        dst: &mut [u8],
        limit: usize,
    ) -> Option<usize> {
        self.cpu.run(TwoPasses::<P, FAR> {
            heads: &mut self.heads,
            repeats: &mut self.repeats,
            page,
            dst,
            limit,
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What other CPUs run, this one does not unless told to.
    #[test]
    fn all_cpus_write_the_same() {
        let text = include_str!("search.rs").as_bytes();
        let fixed = Codes::fixed();
        for len in [4096, 5000] {
            let page: Vec<u8> = text.iter().copied().cycle().take(len).collect();
            let mut streams = Vec::new();
            for cpu in [Cpu::new(), Cpu::least()] {
                let mut encoder = Encoder::new(len).expect("memory");
                encoder.cpu = cpu;
                let mut dst = vec![0; len + SLACK];
                let one = encoder.with_codes(&page, &mut dst, len, &fixed);
                let one = dst[..one.expect("text fits")].to_vec();
                let two = encoder.dynamic(&page, &mut dst, len);
                streams.push((one, dst[..two.expect("text fits")].to_vec()));
            }
            assert!(streams[0] == streams[1], "{len} bytes");
        }
    }
}
