//! Memory to decompress into whose surroundings are watched.

/// Bytes before and after a room.
const GUARD: usize = 256;

/// What the guards hold: no two neighbours alike, and no byte twice.
const PATTERN: [u8; GUARD] = {
    let mut pattern = [0; GUARD];
    let mut i = 0;
    while i < GUARD {
        pattern[i] = (i as u8).wrapping_mul(167).wrapping_add(13);
        i += 1;
    }
    pattern
};

/// Room for one page in the middle of a larger buffer.
///
/// The sanitizer sees only that buffer as a whole: writes just outside the
/// room are noticed by the guards, whether or not the writer is instrumented.
#[derive(Debug)]
pub struct Guarded {
    memory: Box<[u8]>,
}

impl Guarded {
    /// Room for `unit` bytes.
    #[must_use]
    pub fn new(unit: usize) -> Self {
        Self {
            memory: [&PATTERN[..], &vec![0; unit], &PATTERN].concat().into(),
        }
    }

    /// The room.
    #[must_use]
    pub fn room(&self) -> &[u8] {
        &self.memory[GUARD..self.memory.len() - GUARD]
    }

    /// The room, to write to.
    pub fn room_mut(&mut self) -> &mut [u8] {
        let end = self.memory.len() - GUARD;
        &mut self.memory[GUARD..end]
    }

    /// # Panics
    /// If anything but the room was written.
    pub fn assert_intact(&self) {
        let (before, rest) = self.memory.split_at(GUARD);
        let after = &rest[rest.len() - GUARD..];
        assert!(before == PATTERN, "bytes before the room were written");
        assert!(after == PATTERN, "bytes after the room were written");
    }
}
