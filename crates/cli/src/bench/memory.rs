//! Memory for pages, aligned as pages are.

/// Alignment of pages: that of memory pages on every host of ours. An odd
/// start would make the codecs' wide loads straddle cache lines.
const ALIGN: usize = 4096;

/// A fixed number of bytes at an address that is a multiple of 4096.
#[derive(Debug)]
pub(crate) struct Aligned {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    /// `len` zeroes.
    pub(crate) fn zeroed(len: usize) -> Self {
        let memory = vec![0; len + ALIGN - 1];
        // May decline in theory only; alignment is for speed, not for safety.
        let start = match memory.as_ptr().align_offset(ALIGN) {
            start if start < ALIGN => start,
            _ => 0,
        };
        Self { memory, start, len }
    }
}

impl AsRef<[u8]> for Aligned {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }
}

impl AsMut<[u8]> for Aligned {
    #[inline]
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_on_a_page() {
        for len in [1, 4096, 65536] {
            let mut memory = Aligned::zeroed(len);
            assert_eq!(memory.as_mut().len(), len);
            assert_eq!(memory.as_ref().as_ptr() as usize % ALIGN, 0);
        }
    }
}
