//! Finds what repeats in a page: greedily, by one table of the last position of each
//! hash of four bytes.

use super::codes::{MATCH_MAX, WINDOW};

/// Slots of the table: with the page, it stays in a first-level cache.
pub(super) const SLOTS: usize = 1 << SLOT_BITS;
const SLOT_BITS: u32 = 12;

/// Positions of the page at hand by hash. Emptied for each page: 8 KiB take some 30 ns,
/// and to tell the positions of another page from its own costs each lookup more.
pub(super) type Heads = [u16; SLOTS];

/// Bytes at the end of a page in which no match begins, so that 16 may be read at
/// every position before.
const TAIL: usize = 20;

/// The shortest match that is looked for.
pub(super) const MATCH_MIN: usize = 4;

/// Positions looked at between two times that literals are handed over.
const GROUP: usize = 4;

/// What is done with what is found, in the order of the page; `None` to give up.
pub(super) trait Sink {
    /// Up to four bytes, as they are.
    fn literals(&mut self, bytes: &[u8]) -> Option<()>;
    /// So many bytes, as they were at this distance.
    fn repeat(&mut self, length: usize, distance: usize) -> Option<()>;
}

/// How thoroughly matches are looked for.
pub(super) trait Effort {
    /// All positions in a match can be found later, not only its second.
    const EVERY_POSITION: bool;
    /// A match is given up for a longer one at the next position.
    const LAZY: bool;
}

#[inline(always)]
fn load(page: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(page[at..at + 8].try_into().expect("these are eight bytes"))
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
    let head = &mut heads[slot(word)];
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

    /// How many bytes repeat, four or more.
    #[inline(always)]
    fn length(self, page: &[u8], at: usize) -> usize {
        if self.differ != 0 {
            return (self.differ.trailing_zeros() >> 3) as usize;
        }
        let differ = load(page, self.at + 8) ^ load(page, at + 8);
        if differ != 0 {
            return 8 + (differ.trailing_zeros() >> 3) as usize;
        }
        let max = MATCH_MAX.min(page.len() - at);
        let (here, there) = (&page[at..at + max], &page[self.at..self.at + max]);
        let mut length = 16;
        while let (Some(a), Some(b)) = (here.get(length..length + 8), there.get(length..length + 8))
        {
            let differ = load(a, 0) ^ load(b, 0);
            if differ != 0 {
                return length + (differ.trailing_zeros() >> 3) as usize;
            }
            length += 8;
        }
        let rest = here[length..].iter().zip(&there[length..]);
        length + rest.take_while(|(a, b)| a == b).count()
    }
}

/// Hands all of a page over to `sink`.
#[inline(always)]
pub(super) fn search<S: Sink, E: Effort, const FAR: bool>(
    page: &[u8],
    heads: &mut Heads,
    sink: &mut S,
) -> Option<()> {
    heads.fill(0);
    // Position 0 is what an empty slot says: it is in all of them.
    let mut at = page.len().min(1);
    sink.literals(&page[..at])?;
    let end = page.len().saturating_sub(TAIL);
    'page: while at + GROUP <= end {
        let mut candidate = 'found: {
            let mut bytes = [0; GROUP];
            for before in 0..GROUP {
                let word = load(page, at);
                let candidate = look_up(page, heads, at, word);
                if candidate.repeats::<FAR>(at) {
                    if before > 0 {
                        sink.literals(&bytes[..before])?;
                    }
                    break 'found candidate;
                }
                bytes[before] = word as u8;
                at += 1;
            }
            sink.literals(&bytes)?;
            continue 'page;
        };
        let mut length = candidate.length(page, at);
        if E::LAZY && length < 16 {
            let word = load(page, at + 1);
            let next = look_up(page, heads, at + 1, word);
            if next.repeats::<FAR>(at + 1) {
                let longer = next.length(page, at + 1);
                if longer > length {
                    sink.literals(&page[at..at + 1])?;
                    at += 1;
                    (candidate, length) = (next, longer);
                }
            }
        }
        sink.repeat(length, at - candidate.at)?;
        if E::EVERY_POSITION {
            for inside in at + 1..(at + length).min(end) {
                heads[slot(load(page, inside))] = inside as u16;
            }
        } else {
            heads[slot(load(page, at + 1))] = (at + 1) as u16;
        }
        at += length;
    }
    for byte in &page[at..] {
        sink.literals(core::slice::from_ref(byte))?;
    }
    Some(())
}
