//! The index: entries at the ends of mini-blocks, and what may not cross one.

use super::{Halt, Run};
use crate::decompress::bits::Bits;
use pagepress_abi::ErrorCode;

impl<'a> Run<'_, 'a> {
    /// Bytes of the mini-block that there are; 0 without an index.
    pub(super) fn mini_block_at(&self) -> usize {
        let all = self.settled + self.window.fresh() as u64 + u64::from(self.state.output_count);
        self.mini_block
            .map_or(0, |size| all as usize % size as usize)
    }

    /// Bytes that the mini-block lacks, if there is an index. The block must
    /// not begin within a mini-block.
    pub(super) fn mini_block_left(&self) -> Result<Option<usize>, Halt> {
        let Some(size) = self.mini_block else {
            return Ok(None);
        };
        let at = self.mini_block_at();
        if at != 0 && !self.state.has_output {
            return Err(ErrorCode::BAD_BLOCK_SIZE.into());
        }
        Ok(Some(size as usize - at))
    }

    /// Whether a token completes a mini-block, if it may stand there.
    pub(super) fn check_mini_block(&self, len: usize, distance: usize) -> Result<bool, Halt> {
        let Some(rest) = self.mini_block_left()? else {
            return Ok(false);
        };
        if distance > self.mini_block_at() {
            return Err(ErrorCode::DISTANCE_SPANS.into());
        }
        if len > rest {
            return Err(ErrorCode::LENGTH_SPANS.into());
        }
        if len == rest {
            self.check_index(1)?;
        }
        Ok(len == rest)
    }

    /// Whether there is room for that many entries of the index.
    pub(super) fn check_index(&self, entries: usize) -> Result<(), Halt> {
        if self.mini_block.is_some() && self.output.len() + 8 * entries > self.dst_max {
            return Err(Halt::Output);
        }
        Ok(())
    }

    /// Writes entries of the index for these places, if there is an index:
    /// all of them or none.
    pub(super) fn index(&mut self, places: &[Bits<'a>]) -> Result<(), Halt> {
        if self.mini_block.is_none() {
            return Ok(());
        }
        self.check_index(places.len())?;
        self.settle();
        for place in places {
            let bit = self.input_end.wrapping_sub(place.left() as u32);
            self.output.extend_from_slice(&bit.to_le_bytes());
            self.output
                .extend_from_slice(&self.checksums.crc().to_le_bytes());
        }
        Ok(())
    }
}
