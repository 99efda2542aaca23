//! The output on its way: a window that holds the history, and what has been
//! decoded since.

use crate::checksum::Checksums;
use pagepress_abi::aecs::HISTORY;

/// Bytes of the window: small enough to stay in a core's cache.
const SIZE: usize = 1 << 15;
/// What may be written past the place where decoding has to pause: a match,
/// and the rest of the chunk in which it is copied.
const SLACK: usize = 258 + CHUNK + 6;
/// Matches are copied this much at a time.
const CHUNK: usize = 2 * HALF;
const HALF: usize = 8;

/// The window. Its bytes up to [`Window::at`] are what a match can reach.
#[derive(Debug)]
pub(super) struct Window {
    bytes: Box<[u8; SIZE]>,
    /// Where the next byte goes.
    at: usize,
    /// Where the bytes begin that nobody has seen yet.
    fresh: usize,
}

impl Window {
    /// Decoding has to pause here.
    pub(super) const END: usize = SIZE - SLACK;

    pub(super) fn new() -> Self {
        Self {
            bytes: Box::new([0; SIZE]),
            at: 0,
            fresh: 0,
        }
    }

    /// Begins with `len` bytes of history, which `fill` writes.
    pub(super) fn start(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) {
        fill(&mut self.bytes[..]);
        self.at = len;
        self.fresh = len;
    }

    /// Where the next byte goes.
    #[inline]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Bytes that have not been taken yet.
    #[inline]
    pub(super) fn fresh(&self) -> usize {
        self.at - self.fresh
    }

    /// All bytes up to here.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.at]
    }

    /// To write with.
    #[inline]
    pub(super) fn cursor(&mut self) -> Cursor<'_> {
        Cursor {
            bytes: &mut self.bytes,
            at: self.at,
        }
    }

    /// What has been written with a cursor belongs to the window up to here.
    #[inline]
    pub(super) fn set(&mut self, at: usize) {
        self.at = at;
    }

    /// Writes one byte.
    pub(super) fn push(&mut self, byte: u8) {
        let mut cursor = self.cursor();
        cursor.push(byte);
        self.at += 1;
    }

    /// Writes these bytes.
    pub(super) fn extend(&mut self, data: &[u8]) {
        self.bytes[self.at..self.at + data.len()].copy_from_slice(data);
        self.at += data.len();
    }

    /// Writes a match.
    pub(super) fn copy(&mut self, len: usize, distance: usize) {
        self.cursor().copy(len, distance);
        self.at += len;
    }

    /// Hands out the fresh bytes: to the checksums, and to `output` unless it
    /// is suppressed.
    pub(super) fn settle(&mut self, checksums: &mut Checksums, output: Option<&mut Vec<u8>>) {
        let fresh = &self.bytes[self.fresh..self.at];
        checksums.update(fresh);
        if let Some(output) = output {
            output.extend_from_slice(fresh);
        }
        self.fresh = self.at;
    }

    /// Makes room, when all bytes are settled.
    pub(super) fn slide(&mut self) {
        debug_assert_eq!(self.fresh(), 0);
        if self.at > HISTORY {
            self.bytes.copy_within(self.at - HISTORY..self.at, 0);
            self.at = HISTORY;
            self.fresh = HISTORY;
        }
    }
}

/// Writes to a window, a place of its own in hand.
pub(super) struct Cursor<'a> {
    bytes: &'a mut [u8; SIZE],
    /// Where the next byte goes.
    pub(super) at: usize,
}

impl Cursor<'_> {
    /// Writes one byte.
    #[inline(always)]
    pub(super) fn push(&mut self, byte: u8) {
        self.bytes[self.at % SIZE] = byte;
        self.at += 1;
    }

    /// Copies a match. Its distance reaches no farther than the window.
    #[inline(always)]
    pub(super) fn copy(&mut self, len: usize, distance: usize) {
        let (mut from, mut to) = (self.at - distance, self.at);
        self.at += len;
        if distance < HALF {
            self.repeat(from, to, distance);
            return;
        }
        // By halves, as the second one may need what the first one wrote.
        loop {
            self.copy_half(from, to);
            self.copy_half(from + HALF, to + HALF);
            from += CHUNK;
            to += CHUNK;
            if to >= self.at {
                return;
            }
        }
    }

    #[inline(always)]
    fn copy_half(&mut self, from: usize, to: usize) {
        self.bytes.copy_within(from..from + HALF, to);
    }

    /// The same from so near that what is copied repeats within a half.
    fn repeat(&mut self, from: usize, mut to: usize, distance: usize) {
        // What repeats, as often as it fits, and how far it goes on by whole
        // repetitions.
        const EVERY: [u64; HALF] = every();
        let unit = self.bytes[from..from + HALF].first_chunk().expect("a half");
        let unit = u64::from_le_bytes(*unit) & ((1 << (8 * distance)) - 1);
        let pattern = unit.wrapping_mul(EVERY[distance % HALF]).to_le_bytes();
        let step = [0, 8, 8, 6, 8, 5, 6, 7][distance % HALF];
        while to < self.at {
            self.bytes[to..to + HALF].copy_from_slice(&pattern);
            to += step;
        }
    }
}

/// For each distance a factor that repeats as many bytes throughout a word.
const fn every() -> [u64; HALF] {
    let mut factors = [0; HALF];
    let mut distance = 1;
    while distance < HALF {
        let mut shift = 0;
        while shift < 64 {
            factors[distance] |= 1 << shift;
            shift += 8 * distance;
        }
        distance += 1;
    }
    factors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_repeat_what_was_there() {
        for distance in 1..40 {
            for len in 3..=258 {
                let mut window = Window::new();
                window.start(0, |_| ());
                let mut plain: Vec<u8> = (0..40).map(|i| i * 5).collect();
                window.extend(&plain);
                window.copy(len, distance);
                for _ in 0..len {
                    plain.push(plain[plain.len() - distance]);
                }
                assert_eq!(window.bytes(), plain);
            }
        }
    }

    #[test]
    fn a_full_window_slides() {
        let mut window = Window::new();
        let mut sums = Checksums::new(0, 0, Default::default());
        let mut output = Vec::new();
        window.start(3, |bytes| bytes[..3].copy_from_slice(b"abc"));
        while window.at() < Window::END {
            window.copy(258, 3);
        }
        window.settle(&mut sums, Some(&mut output));
        window.slide();
        assert_eq!((window.at(), window.fresh()), (HISTORY, 0));
        assert_eq!(window.bytes(), &output[output.len() - HISTORY..]);
        assert!(output.chunks(3).all(|c| *c == b"abc"[..c.len()]));
    }
}
