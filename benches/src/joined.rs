//! How a reader that knows no canned pages can have them.

/// Puts a block's header in front of pages that are stored without one.
#[derive(Debug, Clone)]
pub struct Joined {
    /// The header, then the page.
    bytes: Vec<u8>,
    /// Whole bytes of the header, and the bits of the byte after them.
    whole: usize,
    odd_bits: u32,
    odd: u8,
    body_max: usize,
}

impl Joined {
    /// A header of `bits` bits, lowest first, before pages of at most
    /// `body_max` bytes.
    ///
    /// # Panics
    /// If `header` has fewer bits.
    #[must_use]
    pub fn new(header: &[u8], bits: usize, body_max: usize) -> Self {
        let (whole, odd_bits) = (bits / 8, (bits % 8) as u32);
        let mut bytes = Vec::with_capacity(whole + 1 + body_max);
        bytes.extend_from_slice(&header[..whole]);
        let odd = if odd_bits == 0 {
            0
        } else {
            header[whole] & ((1 << odd_bits) - 1)
        };
        Self {
            bytes,
            whole,
            odd_bits,
            odd,
            body_max,
        }
    }

    /// The whole stream of a page; `None` if the page is longer than any.
    ///
    /// The header moves the page's bits up, so that its padding may have become
    /// a byte of its own: the stream may end before the last byte.
    pub fn join(&mut self, body: &[u8]) -> Option<&[u8]> {
        if body.len() > self.body_max {
            return None;
        }
        self.bytes.truncate(self.whole);
        if self.odd_bits == 0 {
            self.bytes.extend_from_slice(body);
            return Some(&self.bytes);
        }
        let mut carried = self.odd;
        for &byte in body {
            self.bytes.push(carried | byte << self.odd_bits);
            carried = byte >> (8 - self.odd_bits);
        }
        self.bytes.push(carried);
        Some(&self.bytes)
    }
}
