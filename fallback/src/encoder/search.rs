//! Finds what repeats in a page: greedily, by one table of the last position of each
//! hash of four bytes.

use super::codes::{MATCH_MAX, WINDOW};

/// Slots of the table: with the page, it stays in a first-level cache.
pub(super) const SLOTS: usize = 1 << SLOT_BITS;
const SLOT_BITS: u32 = 12;

/// Positions of the page at hand by hash. Emptied for each page: 8 KiB take some 30 ns,
/// and to tell the positions of another page from its own costs each lookup more.
#[repr(align(64))]
pub(super) struct Heads([u16; SLOTS]);

impl Default for Heads {
    fn default() -> Self {
        Self([0; SLOTS])
    }
}

/// The shortest match that is looked for.
pub(super) const MATCH_MIN: usize = 4;

/// Positions looked at between two times that literals are handed over.
const GROUP: usize = 4;

/// Bytes from a group's first on that are looked at there. No match begins in a page's
/// last ones.
const AHEAD: usize = 24;

/// What is done with what is found, in the order of the page; `None` to give up.
pub(super) trait Sink {
    /// The `N` lowest bytes of a word, as they are: up to four.
    fn literals<const N: usize>(&mut self, word: u64) -> Option<()>;
    /// So many bytes, as they were at this distance.
    fn repeat(&mut self, length: usize, distance: usize) -> Option<()>;
}

/// How thoroughly matches are looked for.
pub(super) trait Effort {
    /// The first eight positions in a match can be found later, not only the second.
    const MANY_POSITIONS: bool;
    /// A match is given up for a longer one at the next position.
    const LAZY: bool;
}

/// Eight bytes of the page, which must have them.
#[inline(always)]
fn load(page: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(page[at..at + 8].try_into().expect("these are eight bytes"))
}

/// Sixteen of them.
#[inline(always)]
fn load_16(page: &[u8], at: usize) -> u128 {
    u128::from_le_bytes(
        page[at..at + 16]
            .try_into()
            .expect("these are sixteen bytes"),
    )
}

#[inline(always)]
fn slot(word: u64) -> usize {
    ((word as u32).wrapping_mul(0x9E37_79B1) >> (32 - SLOT_BITS)) as usize
}

/// A place that may repeat, and how its first eight bytes differ.
#[derive(Clone, Copy)]
struct Candidate {
    at: usize,
    differ: u64,
}

/// Looks a position up, and puts it there. Positions are below 65536.
#[inline(always)]
fn look_up(page: &[u8], heads: &mut Heads, at: usize, word: u64) -> Candidate {
    let head = &mut heads.0[slot(word)];
    let candidate = usize::from(*head);
    *head = at as u16;
    Candidate {
        at: candidate,
        differ: load(page, candidate) ^ word,
    }
}

impl Candidate {
    /// Whether four bytes repeat, in one branch: which way it goes is a matter of luck,
    /// and a second such branch costs as much as all the rest. `FAR` pages have
    /// positions that a decoder cannot reach.
    #[inline(always)]
    fn repeats<const FAR: bool>(self, at: usize) -> bool {
        let too_far = if FAR {
            ((self.at + WINDOW) as i32 - at as i32) >> 31
        } else {
            0
        };
        self.differ as u32 | too_far as u32 == 0
    }

    /// How many bytes repeat, four or more. `ahead` are the eight behind those that
    /// are known to differ or not.
    #[inline(always)]
    fn length(self, page: &[u8], at: usize, ahead: u64) -> usize {
        let further = load(page, self.at + 8) ^ ahead;
        // One branch for all that is shorter than 16.
        let (differ, before) = if self.differ != 0 {
            (self.differ, 0)
        } else {
            (further, 8)
        };
        let length = before + (differ.trailing_zeros() >> 3) as usize;
        if length < 16 {
            return length;
        }
        let max = MATCH_MAX.min(page.len() - at);
        let (here, there) = (&page[at..at + max], &page[self.at..self.at + max]);
        let differ = |at: usize| load_16(here, at) ^ load_16(there, at);
        let mut at = 16;
        while at + 16 <= max {
            let differ = differ(at);
            if differ != 0 {
                return at + (differ.trailing_zeros() >> 3) as usize;
            }
            at += 16;
        }
        // What is left, with some of what is known to repeat.
        let at = max - 16;
        at + (differ(at).trailing_zeros() >> 3) as usize
    }
}

/// What lies ahead of a position in a group, or of the one after it.
#[inline(always)]
fn ahead_of(window: &[u8], before: usize) -> &[u8; AHEAD - GROUP - 1] {
    let ahead = window[before..].first_chunk();
    ahead.expect("a window has them behind the first of a group's positions and one more")
}

/// Hands all of a page over to `sink`. A page of a size known to the compiler saves it
/// checks.
#[inline(always)]
pub(super) fn search<P, S, E, const FAR: bool>(
    page: &P,
    heads: &mut Heads,
    sink: &mut S,
) -> Option<()>
where
    P: AsRef<[u8]> + ?Sized,
    S: Sink,
    E: Effort,
{
    let page = page.as_ref();
    heads.0.fill(0);
    // Position 0 is what an empty slot says: it is in all of them.
    let mut at = page.len().min(1);
    if let Some(&first) = page.first() {
        sink.literals::<1>(first.into())?;
    }
    'page: while let Some(window) = page.get(at..at + AHEAD) {
        let first = load(window, 0);
        let (before, mut candidate) = 'found: {
            // No loop, which the compiler would not take apart.
            macro_rules! look_at {
                ($before:literal) => {
                    let word = load(window, $before);
                    let candidate = look_up(page, heads, at + $before, word);
                    if candidate.repeats::<FAR>(at + $before) {
                        sink.literals::<$before>(first)?;
                        break 'found ($before, candidate);
                    }
                };
            }
            look_at!(0);
            look_at!(1);
            look_at!(2);
            look_at!(3);
            sink.literals::<GROUP>(first)?;
            at += GROUP;
            continue 'page;
        };
        let mut ahead = ahead_of(window, before);
        at += before;
        let mut length = candidate.length(page, at, load(ahead, 8));
        if E::LAZY && length < 16 {
            let word = load(ahead, 1);
            let next = look_up(page, heads, at + 1, word);
            if next.repeats::<FAR>(at + 1) {
                let longer = next.length(page, at + 1, load(ahead, 9));
                if longer > length {
                    sink.literals::<1>(ahead[0].into())?;
                    at += 1;
                    ahead = ahead_of(window, before + 1);
                    (candidate, length) = (next, longer);
                }
            }
        }
        sink.repeat(length, at - candidate.at)?;
        if E::MANY_POSITIONS {
            for inside in 1..4 {
                heads.0[slot(load(ahead, inside))] = (at + inside) as u16;
            }
            if length >= 8 {
                for inside in 4..8 {
                    heads.0[slot(load(ahead, inside))] = (at + inside) as u16;
                }
            }
        } else {
            heads.0[slot(load(ahead, 1))] = (at + 1) as u16;
        }
        at += length;
    }
    for &byte in &page[at..] {
        sink.literals::<1>(byte.into())?;
    }
    Some(())
}
