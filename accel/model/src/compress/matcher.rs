//! The match finder: greedy, with the two latest of the earlier positions that
//! share three bytes. Where nothing matches for long, not every position is
//! looked up.
//!
//! What silicon does here is not documented. This one makes output about as
//! small as zlib's level 1 does, and the same tokens for the same input,
//! whatever was compressed before.

use super::symbols::{LENGTH_MAX, LENGTH_MIN};
use pagepress_abi::aecs::HISTORY;

/// log2 of the number of hashes.
const HASH_BITS: u32 = 11;

/// After so many literals in a row, every second position is looked up.
const SPARSE: usize = 64;
/// After so many, every fourth.
const SPARSER: usize = 256;
/// A match of this length is taken without trying another.
const GOOD_LENGTH: usize = 12;
/// Positions that fit the table, less a match.
const POSITIONS: usize = (1 << 16) - 512;

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

/// The two latest positions of each hash.
///
/// They count from an origin that moves on in long jobs, and 0 stands for none
/// as well: a match is compared with the data before it counts, so a position
/// that is not meant costs time and nothing else.
#[derive(Debug)]
pub(super) struct Matcher {
    table: Box<Table>,
    /// What positions count from.
    origin: usize,
    /// Where the last match ended.
    anchor: usize,
}

/// By hash: the latest position below, the one before above.
#[derive(Debug)]
struct Table([u32; 1 << HASH_BITS]);

impl Matcher {
    pub(super) fn new() -> Self {
        Self {
            table: Box::new(Table([0; 1 << HASH_BITS])),
            origin: 0,
            anchor: 0,
        }
    }

    /// Starts a job.
    pub(super) fn start(&mut self) {
        self.table.0.fill(0);
        (self.origin, self.anchor) = (0, 0);
    }

    /// Makes all positions before `to` known, as history.
    pub(super) fn preload(&mut self, data: &[u8], to: usize) {
        for at in 0..to {
            if let Some(word) = load32(data, at) {
                self.table.insert(word, at);
            }
        }
    }

    /// Makes tokens of a span, and returns where the last one ends.
    #[inline(always)]
    pub(super) fn find(&mut self, data: &[u8], span: Span, sink: &mut impl Sink) -> usize {
        let mut at = span.from;
        while at < span.to {
            if at - self.origin >= POSITIONS {
                let by = at - HISTORY - self.origin;
                self.table.move_back(by as u16);
                self.origin += by;
            }
            let near_span = Span {
                from: at - self.origin,
                to: (span.to - self.origin).min(POSITIONS),
                // What lies before the origin is out of reach anyway.
                floor: span.floor.saturating_sub(self.origin),
                end: span.end - self.origin,
            };
            at = self.origin + self.find_near(&data[self.origin..span.end], near_span, sink);
        }
        at
    }

    /// The same where positions fit the table.
    #[inline(always)]
    fn find_near(&mut self, data: &[u8], span: Span, sink: &mut impl Sink) -> usize {
        let table = &mut *self.table;
        let mut at = span.from;
        // More literals than a window's make no difference.
        let mut anchor = self.anchor.saturating_sub(self.origin);
        // The last three bytes are not worth a check of their own.
        while at < span.to {
            if at - anchor >= SPARSE && at & sparsity(at - anchor) != 0 {
                sink.literal(data[at]);
                at += 1;
                continue;
            }
            let Some(word) = load32(data, at) else { break };
            let [near, far] = table.insert(word, at);
            // Both at once: on data that does not repeat, what is in the table
            // is anyone's guess.
            let (Some(near_word), Some(far_word)) = (load32(data, near), load32(data, far)) else {
                break;
            };
            if (near_word ^ word) << 8 != 0 && (far_word ^ word) << 8 != 0 {
                sink.literal(word as u8);
                at += 1;
                continue;
            }
            // The next match waits for this one's length, so it is found
            // without branches as well, if it is a short one.
            let [near_length, far_length] = common8(data, [near, far], at);
            let far_is_better = far_length > near_length;
            let mut length = if far_is_better {
                far_length
            } else {
                near_length
            };
            let mut place = if far_is_better { far } else { near };
            let floor = span.floor.max(at.saturating_sub(HISTORY));
            if near >= at || near < floor || far < floor {
                // Hardly ever: mini-blocks, jobs longer than the window.
                (length, place) = (0, 0);
                for candidate in [near, far] {
                    if (floor..at).contains(&candidate) {
                        let same = common(data, candidate, at, 0);
                        if same > length {
                            (length, place) = (same, candidate);
                        }
                    }
                }
                if length < LENGTH_MIN {
                    sink.literal(word as u8);
                    at += 1;
                    continue;
                }
            } else if length == 8 {
                length = common(data, place, at, 8);
                if length < GOOD_LENGTH && far_length == 8 && place != far {
                    let other = common(data, far, at, 8);
                    if other > length {
                        (length, place) = (other, far);
                    }
                }
            }
            sink.repeat(length as u16, (at - place) as u16);
            // Of the positions inside, the first and the last: nearly as good
            // as all of them.
            for inside in [at + 1, at + length - 1] {
                if let Some(word) = load32(data, inside) {
                    table.insert(word, inside);
                }
            }
            at += length;
            anchor = at;
        }
        self.anchor = self.origin + anchor;
        for &byte in data.get(at..span.to).unwrap_or_default() {
            sink.literal(byte);
        }
        at.max(span.to)
    }
}

impl Table {
    /// Adds a position, and returns the two before it, the latest first.
    #[inline(always)]
    fn insert(&mut self, word: u32, at: usize) -> [usize; 2] {
        let entry = &mut self.0[hash(word)];
        let known = *entry;
        *entry = known << 16 | at as u32;
        [usize::from(known as u16), (known >> 16) as usize]
    }

    /// Lets positions count from an origin that lies so much later.
    #[cold]
    fn move_back(&mut self, by: u16) {
        for entry in &mut self.0 {
            let [near, far] = [*entry as u16, (*entry >> 16) as u16];
            let [near, far] = [near, far].map(|place| u32::from(place.saturating_sub(by)));
            *entry = far << 16 | near;
        }
    }
}

/// Which bits of a position must be 0 for it to be looked up, after so many
/// literals.
#[inline(always)]
fn sparsity(literals: usize) -> usize {
    if literals < SPARSER { 1 } else { 3 }
}

#[inline(always)]
fn hash(word: u32) -> usize {
    ((word << 8).wrapping_mul(0x9E37_79B1) >> (32 - HASH_BITS)) as usize
}

#[inline(always)]
fn load32(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

#[inline(always)]
fn load64(data: &[u8], at: usize) -> Option<u64> {
    let bytes = data.get(at..at + 8)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// How many bytes are the same at two places and, later, at `at`, up to 8.
#[inline(always)]
fn common8(data: &[u8], [near, far]: [usize; 2], at: usize) -> [usize; 2] {
    match (load64(data, at), load64(data, near), load64(data, far)) {
        (Some(here), Some(near), Some(far)) => {
            let [near, far] = [
                (near ^ here).trailing_zeros(),
                (far ^ here).trailing_zeros(),
            ];
            [near as usize / 8, far as usize / 8]
        }
        _ => [near, far].map(|place| common_bytes(data, place, at, 0)),
    }
}

/// How many bytes are the same, of which so many are known to be; at most
/// [`LENGTH_MAX`].
#[inline(always)]
fn common(data: &[u8], a: usize, b: usize, mut same: usize) -> usize {
    while same + 8 <= LENGTH_MAX {
        let (Some(there), Some(here)) = (load64(data, a + same), load64(data, b + same)) else {
            break;
        };
        let differing = there ^ here;
        if differing != 0 {
            return same + differing.trailing_zeros() as usize / 8;
        }
        same += 8;
    }
    common_bytes(data, a, b, same)
}

/// The same byte by byte.
#[inline(always)]
fn common_bytes(data: &[u8], a: usize, b: usize, mut same: usize) -> usize {
    let room = (data.len() - b).min(LENGTH_MAX);
    while same < room && data[a + same] == data[b + same] {
        same += 1;
    }
    same
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
        matcher.start();
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
    fn long_jobs_move_the_origin() {
        // Runs of noise, so that positions are left out, and repeats.
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let mut data = Vec::new();
        while data.len() < 250_000 {
            let len = 16 << (noise() % 8);
            data.extend((0..len).map(|_| noise()));
            let from = data.len() - len.min(300);
            data.extend_from_within(from..);
        }
        let whole = tokens(&mut Matcher::new(), &data, data.len());
        for step in [13, 4096] {
            assert!(tokens(&mut Matcher::new(), &data, step) == whole);
        }
        let mut copy: Vec<u8> = Vec::new();
        for &(length, value) in &whole.0 {
            match length {
                0 => copy.push(value as u8),
                _ => {
                    assert!(value as usize <= HISTORY);
                    for _ in 0..length {
                        copy.push(copy[copy.len() - usize::from(value)]);
                    }
                }
            }
        }
        assert!(copy == data);
        assert!(whole.0.len() < data.len() * 4 / 5);
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
        matcher.start();
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
