//! A look at a page before a codec works on it: is it random?
//!
//! zstd and deflate do nearly all their work before they find that a page does
//! not shrink: on random bytes 3 and 20 us. Encrypted, compressed and media
//! pages are common enough for that to matter, so the slow codecs look first.
//!
//! The probe asks three questions, each only if the one before did not settle
//! it, and rejects a page only if all three say random:
//!
//! 1. Do 64 bytes from eight places hold nearly 64 different values? Almost
//!    every compressible page fails here, after some 40 ns.
//! 2. Does any 4-byte string recur? Strings that start at multiples of 8 are
//!    remembered, those at multiples of 8 and of 7 are looked up. 7 and 8 have
//!    no common factor, so every match of 59 bytes is looked up at least once,
//!    wherever it lies, and a longer one the more often; it is missed only if
//!    its slots were all taken by later strings.
//! 3. Are the byte values evenly spread? The sum of squared counts over 512
//!    bytes from all parts of the page says so: a chi-square test without its
//!    divisions.
//!
//! How seldom it is wrong is counted over real pages by `cargo bench --bench
//! probe`; the figures are in `benches/README.md`.

/// The probe's memory: the strings seen so far in this page, by hash.
pub struct Probe {
    seen: [u32; SLOTS],
}

/// The slots of the string table: twice the strings that a 4 KiB page inserts.
const SLOTS: usize = 1024;

/// The piece that is judged at once; a larger unit is random if all its pieces
/// are.
const PIECE: usize = 4096;

/// Of 64 random bytes 57 differ, give or take 2.3: at most 40 never happens,
/// while memory pages, text and machine code rarely have more.
const DISTINCT_MAX: u32 = 40;

/// For 512 random bytes the squared counts sum to 512 + 512 * 511 / 256 = 1534
/// on average with a deviation of 45; this is 4.8 deviations above.
const SQUARES_MAX: u32 = 1750;

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
        if pieces().any(|piece| distinct_bytes(piece) <= DISTINCT_MAX) {
            return false;
        }
        self.seen.fill(0);
        pieces().all(|piece| !self.recurs(piece) && squares(piece) <= SQUARES_MAX)
    }

    /// Whether a 4-byte string occurs twice among those sampled, here or in
    /// an earlier piece of the same unit.
    fn recurs(&mut self, piece: &[u8]) -> bool {
        // 56 bytes hold seven multiples of 8 and eight of 7; the last string
        // of each reaches up to 4 bytes further.
        const STEP: usize = 7 * 8;
        let seen = &mut self.seen;
        // Plain loops over an array: iterators here take four times as long.
        for window in piece.windows(STEP + 4).step_by(STEP) {
            let Some(window) = window.first_chunk::<{ STEP + 4 }>() else {
                continue;
            };
            let mut hit = false;
            for eighth in 0..STEP / 8 {
                let string = string_at(window, eighth * 8);
                let slot = &mut seen[slot_of(string)];
                hit |= *slot == string;
                *slot = string;
            }
            for seventh in 1..=STEP / 7 {
                let string = string_at(window, seventh * 7);
                hit |= seen[slot_of(string)] == string;
            }
            if hit {
                return true;
            }
        }
        false
    }
}

/// The 4 bytes at `at`, as a number.
#[inline(always)]
fn string_at<const N: usize>(bytes: &[u8; N], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The slot of a string: Fibonacci hashing, the top bits of a product.
#[inline(always)]
fn slot_of(string: u32) -> usize {
    (string.wrapping_mul(0x9E37_79B1) >> (u32::BITS - SLOTS.ilog2())) as usize % SLOTS
}

/// How many different values 64 bytes from eight places hold.
fn distinct_bytes(piece: &[u8]) -> u32 {
    let mut seen = [0u64; 4];
    for part in piece.chunks_exact(PIECE / 8) {
        for &byte in &part[PIECE / 16..PIECE / 16 + 8] {
            seen[usize::from(byte >> 6)] |= 1 << (byte & 63);
        }
    }
    seen.iter().map(|word| word.count_ones()).sum()
}

/// The sum of the squared counts of each byte value, over the first 16 of
/// every 128 bytes.
fn squares(piece: &[u8]) -> u32 {
    // Four tables, so that neighbouring equal bytes do not wait for each
    // other's count. Each counts at most 128.
    let mut counts = [[0u8; 256]; 4];
    for part in piece.chunks_exact(128) {
        for quad in part[..16].chunks_exact(4) {
            for (count, &byte) in counts.iter_mut().zip(quad) {
                count[usize::from(byte)] += 1;
            }
        }
    }
    let [a, b, c, d] = &counts;
    (0..256)
        .map(|v| {
            let n = u32::from(a[v]) + u32::from(b[v]) + u32::from(c[v]) + u32::from(d[v]);
            n * n
        })
        .sum()
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
    /// of 59 bytes has one chance not to be overwritten, one of 500 has nine.
    #[test]
    fn copies_are_found() {
        let mut probe = Probe::default();
        for (len, found_min) in [(59, 1300), (500, 1998)] {
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
