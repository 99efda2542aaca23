//! What a compressed page costs in zsmalloc, the allocator of zswap and zram.
//!
//! Objects come in size classes, each cut from a chain of pages (a zspage): a page
//! that compresses to a byte more may cost a whole class more. The classes are
//! computed as mm/zsmalloc.c does with 4 KiB pages, chains of at most 8 pages (the
//! default of CONFIG_ZSMALLOC_CHAIN_SIZE) and an 8-byte handle in each object but
//! those that have a page of their own.

const PAGE: usize = 4096;
const SMALLEST: usize = 32;
const STEP: usize = 16;
const CHAIN: usize = 8;
const HANDLE: usize = 8;

/// Bytes of memory that an object of each class takes: its share of the zspage.
#[derive(Debug)]
pub(crate) struct Classes {
    /// By index of the raw size; those that merge have the cost of the largest.
    cost: Vec<f64>,
    /// The most bytes of an object that is not alone in its page.
    largest: usize,
}

/// A chain of pages and the objects in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Chain {
    pages: usize,
    objects: usize,
}

/// The chain that wastes least; the shortest of equals.
fn chain(size: usize) -> Chain {
    let pages = if size.is_power_of_two() {
        1
    } else {
        (1..=CHAIN)
            .min_by_key(|pages| pages * PAGE % size)
            .unwrap_or(1)
    };
    Chain {
        pages,
        objects: pages * PAGE / size,
    }
}

impl Classes {
    pub(crate) fn new() -> Self {
        let chains: Vec<Chain> = (SMALLEST..=PAGE).step_by(STEP).map(chain).collect();
        let share = |chain: &Chain| (chain.pages * PAGE) as f64 / chain.objects as f64;
        let single = chains
            .iter()
            .position(|c| c.objects == c.pages && c.pages == 1);
        let largest = SMALLEST + STEP * (single.unwrap_or(chains.len()) - 1);
        Self {
            cost: chains.iter().map(share).collect(),
            largest,
        }
    }

    /// Bytes of memory that a compressed page of `len` bytes costs, from 1 to
    /// 4096.
    pub(crate) fn cost(&self, len: usize) -> f64 {
        let object = len + HANDLE;
        if object > self.largest {
            // A page of its own, with the handle elsewhere.
            return PAGE as f64;
        }
        self.cost[object.max(SMALLEST).div_ceil(STEP) - SMALLEST / STEP]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The class that a payload goes to: neighbours with the same chain are one.
    fn class(len: usize) -> usize {
        let object = (len + HANDLE).max(SMALLEST).next_multiple_of(STEP);
        let same = |size: &usize| chain(*size) == chain(object);
        (object..=PAGE)
            .step_by(STEP)
            .take_while(same)
            .last()
            .unwrap_or(PAGE)
    }

    #[test]
    fn payloads_go_to_the_classes_of_the_kernel() {
        for (len, size) in [
            (20, 32),
            (100, 112),
            (500, 512),
            (1000, 1024),
            (1365, 1424),
            (2000, 2048),
            (2048, 2176),
            (3000, 3072),
            (3600, 3632),
            (3624, 3632),
        ] {
            assert_eq!(class(len), size, "{len}");
        }
        let classes = Classes::new();
        assert_eq!(classes.largest, 3632);
        assert_eq!(classes.cost(3624), 8.0 * 4096.0 / 9.0);
        assert_eq!(classes.cost(3625), 4096.0);
        assert_eq!(classes.cost(4096), 4096.0);
        assert_eq!(classes.cost(1), 32.0);
        assert_eq!(classes.cost(20), 32.0);
        // 2 pages for 13 objects of 624 bytes.
        assert_eq!(classes.cost(616), 2.0 * 4096.0 / 13.0);
    }

    #[test]
    fn there_are_119_classes() {
        let chains: Vec<Chain> = (SMALLEST..=PAGE).step_by(STEP).map(chain).collect();
        let distinct = 1 + chains.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!(distinct, 119);
    }
}
