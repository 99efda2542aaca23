//! A look at a page before a codec works on it: is it random?
//!
//! zstd and deflate do nearly all their work before they find that a page does
//! not shrink: on random bytes 3 and 20 us. Encrypted, compressed and media
//! pages are common enough for that to matter, so the slow codecs look first.
//!
//! The probe asks three questions, each only if the one before did not settle
//! it, and rejects a page only if all three say random:
//!
//! 1. Do the lower six bits of 64 bytes from its start take on half of all values?
//!    Almost every compressible page fails here, after some 15 ns.
//! 2. Does any 4-byte string recur? Strings that start at multiples of 16 are
//!    remembered, those at multiples of 16 and of 7 are looked up. 16 and 7
//!    have no common factor, so every match of 115 bytes is looked up at least
//!    once, wherever it lies, and a longer one the more often; it is missed
//!    only if its slots were all taken by other strings.
//! 3. Are the byte values evenly spread? The sum of squared counts over 384
//!    bytes from all parts of the page says so: a chi-square test without its
//!    divisions.
//!
//! How seldom it is wrong is counted over real pages by `cargo bench --bench
//! probe`; the figures are in `benches/README.md`.

/// The probe's memory: the strings seen so far in this page, by hash.
#[repr(align(64))]
pub struct Probe {
    seen: [u32; SLOTS],
}

/// The slots of the string table: twice the strings that a 4 KiB page inserts.
const SLOTS: usize = 512;

/// The piece that is judged at once; a larger unit is random if all its pieces
/// are.
const PIECE: usize = 4096;

/// Of the lower six bits of 64 random bytes 40.6 differ, give or take 2.6, while memory
/// pages, text and machine code rarely have more than this.
const DISTINCT_MAX: u32 = 32;

/// For 384 random bytes the squared counts sum to 384 + 384 * 383 / 256 = 958
/// on average with a deviation of 34; this is 4.8 deviations above.
const SQUARES_MAX: i32 = 1121;

impl Default for Probe {
    fn default() -> Self {
        Self { seen: [0; SLOTS] }
    }
}

impl core::fmt::Debug for Probe {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Probe").finish_non_exhaustive()
    }
}

impl Probe {
    /// One on the heap, or `None` if the system has no memory.
    #[cfg(any(feature = "zstd", feature = "deflate"))]
    pub(crate) fn boxed() -> Option<Box<Self>> {
        crate::is_there(size_of::<Self>()).then(Box::default)
    }

    /// Whether `page` holds nothing that a codec could shorten.
    ///
    /// `page` is a unit: a multiple of 4096 bytes. Anything shorter is never
    /// called random.
    pub fn looks_random(&mut self, page: &[u8]) -> bool {
        if page.is_empty() || page.len() % PIECE != 0 {
            return false;
        }
        // The cheap question for all pieces before the others for any: a unit
        // with one plain page in it should cost no more than that page.
        let pieces = || page.chunks_exact(PIECE);
        if pieces().any(|piece| distinct(piece) <= DISTINCT_MAX) {
            return false;
        }
        self.seen.fill(0);
        pieces().all(|piece| !self.recurs(piece) && squares(piece) <= SQUARES_MAX)
    }

    /// Whether a 4-byte string occurs twice among those sampled, here or in
    /// an earlier piece of the same unit.
    ///
    /// All strings go in before any is looked up: lookups between the inserts
    /// would often meet a store that the CPU has not finished.
    fn recurs(&mut self, piece: &[u8]) -> bool {
        let seen = &mut self.seen;
        for sixteen in piece.chunks_exact(16) {
            let string = u32::from_le_bytes([sixteen[0], sixteen[1], sixteen[2], sixteen[3]]);
            let slot = &mut seen[slot_of(string)];
            if *slot == string {
                return true;
            }
            *slot = string;
        }
        // 112 bytes hold sixteen multiples of 7, the first of which is one of 16
        // too; the last string reaches 4 bytes further.
        const STEP: usize = 16 * 7;
        for window in piece.windows(STEP + 4).step_by(STEP) {
            let window: &[u8; STEP + 4] = window.try_into().expect("windows have this length");
            for seventh in 1..16 {
                let at = 7 * seventh;
                let string = [window[at], window[at + 1], window[at + 2], window[at + 3]];
                let string = u32::from_le_bytes(string);
                if seen[slot_of(string)] == string {
                    return true;
                }
            }
        }
        false
    }
}

/// The slot of a string: Fibonacci hashing, the top bits of a product. Of 64
/// bits, because compilers turn runs of 32-bit products into SSE2 code that is
/// slower than the plain instructions.
#[inline(always)]
fn slot_of(string: u32) -> usize {
    let product = string.wrapping_mul(0x9E37_79B1);
    (product >> (u32::BITS - SLOTS.ilog2())) as usize % SLOTS
}

/// How many different values the lower six bits of 64 bytes near the start have: one
/// register holds them. Nine bytes apart, so that all bytes of an 8-byte word have their
/// turn; near the start, because a codec reads that next, while bytes from all over the
/// page would each wait for memory.
fn distinct(piece: &[u8]) -> u32 {
    let sample: &[u8; 64 * 9] = piece.first_chunk().expect("pieces are larger");
    let mut seen = 0u64;
    for number in 0..64 {
        seen |= 1 << (sample[9 * number] & 63);
    }
    seen.count_ones()
}

/// The sum of the squared counts of each byte value, over the first 12 of every
/// 128 bytes.
fn squares(piece: &[u8]) -> i32 {
    // Signed, as CPUs have an instruction for sums of signed products.
    let mut counts = [0i16; 256];
    for part in piece.chunks_exact(128) {
        for &byte in &part[..12] {
            counts[usize::from(byte)] += 1;
        }
    }
    let squares = counts
        .iter()
        .map(|&count| i32::from(count) * i32::from(count));
    squares.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random bytes from a fixed seed (xorshift64).
    fn random(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        (0..len)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 32) as u8
            })
            .collect()
    }

    #[test]
    fn random_pages_are_rejected() {
        let mut probe = Probe::default();
        let rejected = (0..2000)
            .filter(|&i| probe.looks_random(&random(i, PIECE)))
            .count();
        assert!(
            rejected >= 1990,
            "only {rejected} of 2000 random pages were called random"
        );
        assert!(probe.looks_random(&random(7, 16 * PIECE)));
    }

    /// Copies are found wherever they lie and however they are aligned: one
    /// of 115 bytes has one chance not to be overwritten, one of 500 has four.
    #[test]
    fn copies_are_found() {
        let mut probe = Probe::default();
        for (len, found_min) in [(115, 1200), (500, 1950)] {
            let found = (0..2000usize)
                .filter(|&i| {
                    let mut page = random(i as u64, PIECE);
                    let from = (i * 37) % 1500;
                    page.copy_within(from..from + len, 2000 + (i * 53) % 1500);
                    !probe.looks_random(&page)
                })
                .count();
            assert!(
                found >= found_min,
                "{found} of 2000 copies of {len} bytes were found"
            );
        }
    }

    #[test]
    fn skewed_bytes_are_not_random() {
        let mut probe = Probe::default();
        for i in 0..200 {
            // Base64-like: 6 bits of entropy per byte, no matches.
            let page: Vec<u8> = random(i, PIECE).iter().map(|b| b'0' + (b & 63)).collect();
            assert!(!probe.looks_random(&page));
        }
    }

    #[test]
    fn one_plain_page_makes_a_unit_compressible() {
        let mut probe = Probe::default();
        for at in 0..4 {
            let mut unit = random(at as u64, 4 * PIECE);
            unit[at * PIECE..(at + 1) * PIECE].fill(b'x');
            assert!(!probe.looks_random(&unit));
        }
    }

    #[test]
    fn odd_sizes_are_never_random() {
        let mut probe = Probe::default();
        for len in [0, 1, 4095, 4097] {
            assert!(!probe.looks_random(&random(1, len)));
        }
    }
}
