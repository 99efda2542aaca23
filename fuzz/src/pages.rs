//! Synthetic pages.

/// Bytes without any pattern, from a seed (xorshift64*).
#[derive(Debug, Clone)]
pub struct Noise(u64);

impl Noise {
    /// The noise of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let number = self.number().to_le_bytes();
            chunk.copy_from_slice(&number[..chunk.len()]);
        }
    }
}

/// How many kinds of page [`sample`] makes.
pub const KINDS: usize = 6;

/// A compressible page of `unit` bytes, of one of the [`KINDS`].
///
/// # Panics
/// If there is no such kind.
#[must_use]
pub fn sample(kind: usize, unit: usize) -> Vec<u8> {
    let mut noise = Noise::new(1 + kind as u64);
    let mut page = Vec::with_capacity(unit);
    while page.len() < unit {
        match kind {
            // Words of a small vocabulary.
            0 => {
                const WORDS: [&[u8]; 8] = [
                    b"page", b"batch", b"device", b"queue", b"codec", b"of", b"the", b"unit",
                ];
                page.extend_from_slice(WORDS[noise.number() as usize % WORDS.len()]);
                page.push(b" .\n"[usize::from(noise.number().is_multiple_of(16))]);
            }
            // Records: a counter, a pointer-like word, mostly zeroes.
            1 => {
                page.extend_from_slice(&(page.len() as u64).to_le_bytes());
                let pointer = 0x7F00_0000_0000 | (noise.number() & 0xFFF0);
                page.extend_from_slice(&pointer.to_le_bytes());
                page.extend_from_slice(&[0; 48]);
            }
            // Long runs.
            2 => {
                let (byte, len) = (noise.number() as u8, 1 + noise.number() % 700);
                page.resize(page.len() + len as usize, byte);
            }
            // Few values, no matches to speak of: entropy coding only.
            3 => page.push(b'a' + (noise.number() % 12) as u8),
            // Noise with far copies of itself.
            4 => {
                let start = page.len();
                page.resize(start + 64, 0);
                noise.fill(&mut page[start..]);
                let from = noise.number() as usize % start.max(1);
                let copy = page[from..(from + 300).min(start + 64)].to_vec();
                page.extend_from_slice(&copy);
            }
            // One short period.
            5 => page.extend_from_slice(b"abcdefghijklm"),
            _ => panic!("there is no kind {kind}"),
        }
    }
    page.truncate(unit);
    page
}
