//! Codes that are there before the page: what is found is written at once.

use super::bits::Writer;
use super::codes::{Codes, WINDOW};
use super::cpu::Work;
use super::search::{self, Effort, Heads, Sink};

/// One pass, as fast as can be.
pub(super) struct Fast;

impl Effort for Fast {
    const MANY_POSITIONS: bool = false;
    const LAZY: bool = false;
}

/// Writes what is found at once.
struct Written<'a, const LONG_LITERALS: bool> {
    codes: &'a Codes,
    out: Writer<'a>,
}

impl<const LONG_LITERALS: bool> Sink for Written<'_, LONG_LITERALS> {
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
        self.out.add(self.codes.distances[distance % WINDOW]);
        self.out.put_out()
    }
}

/// A page to be written with codes that are there.
pub(super) struct OnePass<'a, P: ?Sized, const FAR: bool, const LONG_LITERALS: bool> {
    pub(super) heads: &'a mut Heads,
    pub(super) page: &'a P,
    pub(super) dst: &'a mut [u8],
    pub(super) codes: &'a Codes,
}

impl<P: AsRef<[u8]> + ?Sized, const FAR: bool, const LONG_LITERALS: bool> Work
    for OnePass<'_, P, FAR, LONG_LITERALS>
{
    type Output = Option<usize>;

    #[inline(always)]
    fn run(self) -> Option<usize> {
        let (header, header_bits) = self.codes.header();
        self.dst.get_mut(..header.len())?.copy_from_slice(header);
        let mut sink = Written::<'_, LONG_LITERALS> {
            codes: self.codes,
            out: Writer::after(self.dst, header_bits)?,
        };
        search::search::<_, _, Fast, FAR>(self.page, self.heads, &mut sink)?;
        sink.out.add(self.codes.end_of_block);
        sink.out.finish()
    }
}
