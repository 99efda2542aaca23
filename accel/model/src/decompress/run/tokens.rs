//! A block's tokens, one by one: each with all its checks, so that a job can
//! stop at any of them, or within a match.

use super::{Halt, Run};
use crate::decompress::bits::Bits;
use crate::decompress::state::{Pending, Place};
use crate::decompress::tables::entry;
use crate::decompress::window::Window;
use pagepress_abi::{ErrorCode, aecs};

impl Run<'_, '_> {
    /// Decodes until the block ends.
    pub(super) fn tokens(&mut self) -> Result<(), Halt> {
        self.pending()?;
        while self.state.place == Place::Token {
            self.make_room();
            if self.mini_block.is_none() && self.bits.has_words() {
                self.many()?;
            }
            if self.window.at() < Window::END {
                self.token()?;
            }
        }
        Ok(())
    }

    /// Goes on with a match that was cut off.
    fn pending(&mut self) -> Result<(), Halt> {
        let Pending { len, distance } = self.state.pending;
        if len == 0 {
            return Ok(());
        }
        self.make_room();
        let now = self.room_left().min(len as u64) as usize;
        let completes = self.check_mini_block(now, distance)?;
        self.window.copy(now, distance);
        self.state.has_output = true;
        self.state.pending.len -= now;
        if now < len {
            return Err(Halt::Output);
        }
        if completes {
            self.index(&[self.bits])?;
        }
        Ok(())
    }

    /// Decodes one token with all care.
    fn token(&mut self) -> Result<(), Halt> {
        let mut ahead = self.bits;
        ahead.refill();
        let entry = self.tables().literals.get(ahead.buf);
        let symbol = read(&mut ahead, entry)?;
        if entry & entry::LITERAL != 0 {
            self.check_room()?;
            let completes = self.check_mini_block(1, 0)?;
            self.window.push(symbol as u8);
            self.bits = ahead;
            self.state.has_output = true;
            if completes {
                self.index(&[ahead])?;
            }
            return Ok(());
        }
        if entry & entry::SPECIAL != 0 {
            if entry & entry::EOB == 0 {
                return Err(ErrorCode::BAD_LL_CODE.into());
            }
            let cut = self.state.has_output && self.mini_block_at() != 0;
            self.index(&[self.bits, ahead][usize::from(!cut)..])?;
            self.bits = ahead;
            self.state.place = self.after_end();
            return Ok(());
        }
        let len = symbol;
        let entry = self.tables().distances.get(ahead.buf);
        let distance = read(&mut ahead, entry)?;
        if entry & entry::SPECIAL != 0 {
            return Err(ErrorCode::BAD_D_CODE.into());
        }
        if distance > aecs::HISTORY {
            return Err(ErrorCode::BAD_DISTANCE.into());
        }
        if distance > self.window.at() {
            return Err(ErrorCode::DISTANCE_BEFORE_START.into());
        }
        self.check_room()?;
        let completes = self.check_mini_block(len, distance)?;
        let now = self.room_left().min(len as u64) as usize;
        self.window.copy(now, distance);
        self.bits = ahead;
        self.state.has_output = true;
        if now < len {
            self.state.pending = Pending {
                len: len - now,
                distance,
            };
            return Err(Halt::Output);
        }
        if completes {
            self.index(&[ahead])?;
        }
        Ok(())
    }
}

/// What an entry says of the bits at hand. They may not all be there.
fn read(bits: &mut Bits<'_>, entry: u32) -> Result<usize, Halt> {
    let used = entry::bits(entry);
    if used > bits.count {
        return Err(Halt::Input);
    }
    let value = entry::value_in(entry, bits.buf);
    bits.consume(used);
    Ok(value)
}
