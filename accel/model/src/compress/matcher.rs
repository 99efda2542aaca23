//! The match finder: greedy, with chains of earlier positions that share
//! three bytes.
//!
//! What silicon does here is not documented. This one makes output about as
//! small as zlib's level 1 does, and the same tokens for the same input,
//! whatever was compressed before.

use super::symbols::{LENGTH_MAX, LENGTH_MIN};
use pagepress_abi::aecs::HISTORY;

/// Earlier positions that are tried at most.
const TRIES: usize = 2;
/// A match of this length is taken without trying further.
const GOOD_LENGTH: usize = 12;
/// log2 of the number of chains.
const HASH_BITS: u32 = 12;

/// Who takes the tokens, in their order.
pub(super) trait Sink {
    fn literal(&mut self, byte: u8);
    /// A match: that many bytes, from that far back.
    fn repeat(&mut self, length: u16, distance: u16);
}

/// What part of the data to make tokens of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// Where the first token starts.
    pub(super) from: usize,
    /// No token starts here or later.
    pub(super) to: usize,
    /// No match reaches before this.
    pub(super) floor: usize,
    /// No match reaches beyond this.
    pub(super) end: usize,
}

/// Chains of positions by hash.
///
/// Positions count on from job to job, modulo 2^16, so that those of earlier
/// jobs lie before any floor and need no clearing. A job that would wrap starts
/// over with empty chains. One longer than 2^16 meets positions that only seem
/// near: a match is compared with the data before it counts, so they cost time
/// and nothing else.
#[derive(Debug)]
pub(super) struct Matcher {
    chains: Box<Chains>,
    /// The position of the job's first byte.
    base: u16,
    /// The position after the job's last byte.
    next: usize,
}

#[derive(Debug)]
struct Chains {
    head: [u16; 1 << HASH_BITS],
    previous: [u16; HISTORY],
}

impl Matcher {
    pub(super) fn new() -> Self {
        Self {
            chains: Box::new(Chains::NONE),
            base: 1,
            next: 1,
        }
    }

    /// Starts a job of `len` bytes.
    pub(super) fn start(&mut self, len: usize) {
        if self.next.saturating_add(len) > usize::from(u16::MAX) {
            *self.chains = Chains::NONE;
            self.next = 1;
        }
        self.base = self.next as u16;
        self.next = self.next.saturating_add(len);
    }

    /// Makes all positions before `to` known, as history.
    pub(super) fn preload(&mut self, data: &[u8], to: usize) {
        for at in 0..to {
            if let Some(word) = load32(data, at) {
                self.chains.insert(word, self.base.wrapping_add(at as u16));
            }
        }
    }

    /// Makes tokens of a span, and returns where the last one ends.
    #[inline]
    pub(super) fn find(&mut self, data: &[u8], span: Span, sink: &mut impl Sink) -> usize {
        let data = &data[..span.end];
        let base = self.base;
        let chains = &mut *self.chains;
        let mut at = span.from;
        // The last three bytes are not worth a check of their own.
        while at < span.to {
            let Some(word) = load32(data, at) else { break };
            let history = (at - span.floor).min(HISTORY);
            let (length, distance) = chains.longest(data, base, at, word, history);
            if length < LENGTH_MIN {
                sink.literal(word as u8);
                at += 1;
                continue;
            }
            sink.repeat(length as u16, distance as u16);
            // Of the positions inside, the first and the last: nearly as good
            // as all of them.
            for inside in [at + 1, at + length - 1] {
                if let Some(word) = load32(data, inside) {
                    chains.insert(word, base.wrapping_add(inside as u16));
                }
            }
            at += length;
        }
        for &byte in data.get(at..span.to).unwrap_or_default() {
            sink.literal(byte);
        }
        at.max(span.to)
    }
}

impl Chains {
    const NONE: Self = Self {
        head: [0; 1 << HASH_BITS],
        previous: [0; HISTORY],
    };

    /// The longest match of those tried, and its distance; 0 if there is none.
    /// Makes this position known.
    #[inline(always)]
    fn longest(
        &mut self,
        data: &[u8],
        base: u16,
        at: usize,
        word: u32,
        history: usize,
    ) -> (usize, usize) {
        let here = base.wrapping_add(at as u16);
        let mut candidate = self.insert(word, here);
        let (mut best, mut best_distance, mut before) = (LENGTH_MIN - 1, 0, 0);
        for _ in 0..TRIES {
            let distance = usize::from(here.wrapping_sub(candidate));
            // Chains lead back; one that does not has been overwritten.
            if distance > history || distance <= before {
                break;
            }
            before = distance;
            let differing = load32(data, at - distance).unwrap_or(!word) ^ word;
            if differing & 0xFF_FFFF == 0 {
                let length = if differing == 0 {
                    common(data, at - distance, at)
                } else {
                    LENGTH_MIN
                };
                if length > best {
                    (best, best_distance) = (length, distance);
                    if length >= GOOD_LENGTH {
                        break;
                    }
                }
            }
            candidate = self.previous[usize::from(candidate) % HISTORY];
        }
        if best_distance == 0 {
            return (0, 0);
        }
        (best, best_distance)
    }

    /// Puts a position in front of its chain, and returns the one it follows.
    #[inline(always)]
    fn insert(&mut self, word: u32, here: u16) -> u16 {
        let head = &mut self.head[hash(word)];
        let before = core::mem::replace(head, here);
        self.previous[usize::from(here) % HISTORY] = before;
        before
    }
}

#[inline]
fn hash(word: u32) -> usize {
    ((word << 8).wrapping_mul(0x9E37_79B1) >> (32 - HASH_BITS)) as usize
}

#[inline]
fn load32(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// How many bytes are the same at `a` and, later, at `b`, which have four in
/// common; at most [`LENGTH_MAX`].
#[inline(always)]
fn common(data: &[u8], a: usize, b: usize) -> usize {
    let room = (data.len() - b).min(LENGTH_MAX);
    let mut same = 4;
    while same + 8 <= room {
        let differing = load64(data, a + same) ^ load64(data, b + same);
        if differing != 0 {
            return same + differing.trailing_zeros() as usize / 8;
        }
        same += 8;
    }
    while same < room && data[a + same] == data[b + same] {
        same += 1;
    }
    same
}

#[inline(always)]
fn load64(data: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(data[at..at + 8].try_into().expect("8 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Eq)]
    struct Tokens(Vec<(u16, u16)>);

    impl Sink for Tokens {
        fn literal(&mut self, byte: u8) {
            self.0.push((0, u16::from(byte)));
        }

        fn repeat(&mut self, length: u16, distance: u16) {
            self.0.push((length, distance));
        }
    }

    /// Tokens found in steps of `step` bytes.
    fn tokens(matcher: &mut Matcher, data: &[u8], step: usize) -> Tokens {
        let (mut tokens, mut from) = (Tokens::default(), 0);
        matcher.start(data.len());
        while from < data.len() {
            let span = Span {
                from,
                to: (from + step).min(data.len()),
                floor: 0,
                end: data.len(),
            };
            from = matcher.find(data, span, &mut tokens);
        }
        tokens
    }

    fn data(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * i / 100 % 11) as u8).collect()
    }

    #[test]
    fn steps_do_not_matter() {
        for len in [0, 1, 3, 4, 5, 700, 5000] {
            let data = data(len);
            let whole = tokens(&mut Matcher::new(), &data, len.max(1));
            for step in [1, 2, 7, 512, 4096] {
                assert_eq!(tokens(&mut Matcher::new(), &data, step), whole);
            }
        }
    }

    #[test]
    fn earlier_jobs_do_not_matter() {
        let data = data(3000);
        let fresh = tokens(&mut Matcher::new(), &data, 4096);
        let mut matcher = Matcher::new();
        // Lengths that end right before, at and after where positions wrap.
        for len in [4096, 58_438, 65_533, 65_534, 65_535, 65_536, 200_000, 1, 0] {
            tokens(&mut matcher, &vec![1; len], 4096);
            assert_eq!(tokens(&mut matcher, &data, 4096), fresh, "{len}");
        }
    }

    #[test]
    fn a_match_is_as_long_as_the_room_allows() {
        let data = [7; 600];
        let found = tokens(&mut Matcher::new(), &data, 4096);
        assert_eq!(found.0, [(0, 7), (258, 1), (258, 1), (83, 1)]);
        let mut found = Tokens::default();
        let mut matcher = Matcher::new();
        matcher.start(600);
        let mini_block = |from| Span {
            from,
            to: from + 10,
            floor: from,
            end: from + 10,
        };
        for from in [0, 10] {
            assert_eq!(matcher.find(&data, mini_block(from), &mut found), from + 10);
        }
        assert_eq!(found.0, [(0, 7), (9, 1), (0, 7), (9, 1)]);
    }

    #[test]
    fn the_window_is_4096_bytes() {
        for (gap, found) in [(4096 - 6, true), (4097 - 6, false)] {
            // Nothing in between repeats three bytes.
            let between =
                (0..gap / 2).flat_map(|i: usize| [(i % 250) as u8, (i / 250) as u8 + 100]);
            let data: Vec<u8> = [b"\xFA\xFB\xFC\xFD\xFE\xFF".to_vec(), between.collect()].concat();
            let mut data = data;
            data.resize(6 + gap, 0xF9);
            data.extend(b"\xFA\xFB\xFC\xFD\xFE\xFF");
            let last = tokens(&mut Matcher::new(), &data, 4096).0.pop();
            assert_eq!(last == Some((6, 4096)), found, "{last:?}");
        }
    }
}
