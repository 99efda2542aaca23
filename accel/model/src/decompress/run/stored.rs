//! A stored block: bytes as they are (RFC 1951, 3.2.4).

use super::{Halt, Run};
use crate::decompress::state::Place;
use crate::decompress::window::Window;

impl Run<'_, '_> {
    pub(super) fn stored(&mut self, mut left: u32) -> Result<(), Halt> {
        while left != 0 {
            self.make_room();
            let whole = self.bits.whole_bytes();
            let most = if whole.is_empty() {
                self.bits.peek(8).ok_or(Halt::Input)?;
                1
            } else {
                whole.len()
            };
            self.check_room()?;
            let room = self
                .room_left()
                .min((Window::END - self.window.at()) as u64);
            let mut len = most.min(left as usize).min(room as usize);
            if let Some(rest) = self.mini_block_left()? {
                len = len.min(rest);
                // The end of a block is noted twice: of data, and of all.
                let entries = match len {
                    _ if len == left as usize => 2,
                    _ => usize::from(len == rest),
                };
                self.check_index(entries)?;
                self.copy_stored(whole, len);
                self.index(&[self.bits; 2][..entries])?;
            } else {
                self.copy_stored(whole, len);
            }
            self.state.has_output = true;
            left -= len as u32;
            self.state.place = Place::Stored(left);
        }
        self.state.place = self.after_end();
        Ok(())
    }

    fn copy_stored(&mut self, whole: &[u8], len: usize) {
        if whole.is_empty() {
            let byte = self.bits.take(8).unwrap_or(0);
            self.window.push(byte as u8);
        } else {
            self.window.extend(&whole[..len]);
            self.bits.skip_bytes(len);
        }
    }
}
