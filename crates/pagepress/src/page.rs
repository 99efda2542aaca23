//! Pages as the library sees them: their size, lists of them, and the ones
//! that need no codec.

use crate::error::Error;

/// The size of the pages of one pool, in bytes: a power of two from 4 KiB (the
/// default) to 64 KiB.
///
/// Larger units compress better and, with zstd, faster per byte; to read 4 KiB
/// of one, all of it must be decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitSize(u32);

impl UnitSize {
    /// 4 KiB, the page size of x86-64.
    pub const DEFAULT: Self = Self(4096);
    /// 64 KiB, the largest unit.
    pub const MAX: Self = Self(65536);

    /// A unit of `bytes` bytes.
    ///
    /// # Errors
    /// [`Error::UnitSize`] unless `bytes` is a power of two from 4096 to 65536.
    pub fn new(bytes: usize) -> Result<Self, Error> {
        match u32::try_from(bytes) {
            Ok(n) if n.is_power_of_two() && (Self::DEFAULT.0..=Self::MAX.0).contains(&n) => {
                Ok(Self(n))
            }
            _ => Err(Error::UnitSize { bytes }),
        }
    }

    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.0 as usize
    }
}

impl Default for UnitSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A list of pages to compress, wherever they lie.
///
/// Slices of anything that is bytes are such lists (`[&[u8]]`, `[Vec<u8>]`,
/// `[[u8; 4096]]`), and [`Units`] is one over a contiguous region.
pub trait Pages {
    /// How many pages there are.
    fn len(&self) -> usize;

    /// Page `index`, counted from 0.
    ///
    /// # Panics
    /// May panic if `index` is not below [`len`](Self::len).
    fn page(&self, index: usize) -> &[u8];

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<P: AsRef<[u8]>> Pages for [P] {
    fn len(&self) -> usize {
        self.len()
    }

    fn page(&self, index: usize) -> &[u8] {
        self[index].as_ref()
    }
}

impl<P: AsRef<[u8]>, const N: usize> Pages for [P; N] {
    fn len(&self) -> usize {
        N
    }

    fn page(&self, index: usize) -> &[u8] {
        self[index].as_ref()
    }
}

impl<P: AsRef<[u8]>> Pages for Vec<P> {
    fn len(&self) -> usize {
        self.len()
    }

    fn page(&self, index: usize) -> &[u8] {
        self[index].as_ref()
    }
}

impl<T: Pages + ?Sized> Pages for &T {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn page(&self, index: usize) -> &[u8] {
        (**self).page(index)
    }
}

/// A contiguous region seen as pages of one unit size.
#[derive(Debug, Clone, Copy)]
pub struct Units<'a> {
    region: &'a [u8],
    unit: UnitSize,
}

impl<'a> Units<'a> {
    /// `region` as pages of `unit` bytes. If its length is no multiple of the
    /// unit, the last page is short, and the pool will refuse that page.
    #[must_use]
    pub const fn new(region: &'a [u8], unit: UnitSize) -> Self {
        Self { region, unit }
    }
}

impl Pages for Units<'_> {
    fn len(&self) -> usize {
        self.region.len().div_ceil(self.unit.bytes())
    }

    fn page(&self, index: usize) -> &[u8] {
        let start = index * self.unit.bytes();
        &self.region[start..self.region.len().min(start + self.unit.bytes())]
    }
}

/// The 8-byte word (little-endian) that fills `page` from end to end, if one
/// does; all zeroes is the usual case.
///
/// Costs a few nanoseconds on any other page, as it stops at the first word
/// that differs.
#[must_use]
pub fn same_filled(page: &[u8]) -> Option<u64> {
    let word = u64::from_le_bytes(*page.first_chunk()?);
    // A page that equals itself one word further on repeats that word. The
    // comparison is the platform's vectorised memcmp.
    (page.len() % 8 == 0 && page[8..] == page[..page.len() - 8]).then_some(word)
}

/// Fills `page` with `word`, as [`same_filled`] found it.
pub fn fill(page: &mut [u8], word: u64) {
    let bytes = word.to_le_bytes();
    if bytes.iter().all(|&byte| byte == bytes[0]) {
        page.fill(bytes[0]);
    } else {
        for chunk in page.chunks_mut(8) {
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_sizes() {
        for good in [4096, 8192, 16384, 32768, 65536] {
            assert_eq!(UnitSize::new(good).unwrap().bytes(), good);
        }
        for bad in [0, 1, 2048, 4095, 4097, 12288, 131_072, usize::MAX] {
            assert!(UnitSize::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn same_filled_and_back() {
        for word in [0, u64::MAX, 0x0101_0101_0101_0101, 0x1122_3344_5566_7788] {
            let mut page = [1u8; 4096];
            fill(&mut page, word);
            assert_eq!(same_filled(&page), Some(word));
            for at in [0, 7, 8, 2000, 4088, 4095] {
                page[at] ^= 1;
                assert_eq!(same_filled(&page), None, "byte {at} differs");
                page[at] ^= 1;
            }
        }
    }

    #[test]
    fn shorter_periods_count_and_longer_do_not() {
        let every = |period: usize| -> Vec<u8> { (0..4096).map(|i| (i % period) as u8).collect() };
        for period in [1, 2, 4, 8] {
            assert!(same_filled(&every(period)).is_some(), "period {period}");
        }
        for period in [3, 5, 16] {
            assert!(same_filled(&every(period)).is_none(), "period {period}");
        }
        assert_eq!(same_filled(&[]), None);
        assert_eq!(same_filled(&[0; 7]), None);
    }

    #[test]
    fn units_of_a_region() {
        let region = vec![7u8; 10_000];
        let units = Units::new(&region, UnitSize::DEFAULT);
        let sizes: Vec<_> = (0..units.len()).map(|i| units.page(i).len()).collect();
        assert_eq!(sizes, [4096, 4096, 1808]);
    }
}
