//! Strings of bits, lowest first, that stand in for fields of odd sizes.

/// Writes values of some bits, lowest first.
pub(super) struct Packer<'a> {
    bytes: core::slice::IterMut<'a, u8>,
    buf: u64,
    count: u32,
}

impl<'a> Packer<'a> {
    pub(super) fn new(bytes: &'a mut [u8]) -> Self {
        Self {
            bytes: bytes.iter_mut(),
            buf: 0,
            count: 0,
        }
    }

    /// Up to 32 bits; what is above them in `value` does not count.
    pub(super) fn put(&mut self, value: u64, bits: u32) {
        self.buf |= (value & ((1 << bits) - 1)) << self.count;
        self.count += bits;
        while self.count >= 8 {
            self.out();
        }
    }

    fn out(&mut self) {
        if let Some(byte) = self.bytes.next() {
            *byte = self.buf as u8;
        }
        self.buf >>= 8;
        self.count = self.count.saturating_sub(8);
    }

    pub(super) fn finish(mut self) {
        if self.count != 0 {
            self.out();
        }
    }
}

/// Reads them again.
pub(super) struct Unpacker<I> {
    bytes: I,
    buf: u32,
    count: u32,
}

impl<'a> Unpacker<core::iter::Chain<core::slice::Iter<'a, u8>, core::slice::Iter<'a, u8>>> {
    pub(super) fn new([first, second]: [&'a [u8]; 2]) -> Self {
        Self {
            bytes: first.iter().chain(second),
            buf: 0,
            count: 0,
        }
    }

    /// Up to 24 bits, zeros behind the end.
    pub(super) fn take(&mut self, bits: u32) -> u32 {
        while self.count < bits {
            let byte = self.bytes.next().copied().unwrap_or(0);
            self.buf |= u32::from(byte) << self.count;
            self.count += 8;
        }
        let value = self.buf & ((1 << bits) - 1);
        self.buf >>= bits;
        self.count -= bits;
        value
    }
}
