//! How a job ends once its decoding has halted: overflow or not, whether the
//! last token may be the last one, what of the output is written, and the
//! AECS (IAA 3.8, 4.4).

use super::bits::Bits;
use super::input::Input;
use super::run::{Halt, Outcome, Source};
use super::state::{self, Format, Image, LastEnd, State};
use super::tables::Tables;
use crate::op::{End, Job};
use pagepress_abi::flags::{decompress as flag, op};
use pagepress_abi::{ErrorCode, Status, aecs};

/// A job that has ended without an error, but for its AECS.
pub(super) struct Finished<'a> {
    /// What its completion record says.
    pub(super) end: End,
    state: State,
    source: Source,
    /// The input from where decoding halted.
    bits: Bits<'a>,
    /// How many bits of it belong to the next job's carried ones.
    kept: u64,
}

impl<'a> Finished<'a> {
    /// Judges what decoding came to, and cuts the output to what is written.
    pub(super) fn new(
        job: &Job<'_>,
        input: &Input<'a>,
        outcome: Outcome<'a>,
        output: &mut Vec<u8>,
    ) -> Result<Self, ErrorCode> {
        let Outcome {
            halt,
            source,
            checksums,
            settled,
            mut state,
            bits,
            ..
        } = outcome;
        let suppress = job.flags & flag::SUPPRESS_OUTPUT != 0;
        let flush = job.flags & flag::FLUSH != 0;
        let overflow = match halt {
            Halt::Error(error) => return Err(error),
            Halt::Output => true,
            // What was kept from jobs before may have been too much by itself.
            Halt::Input | Halt::Stop => flush && !suppress && output.len() > job.dst_max,
        };
        if job.flags & flag::CHECK_EOB != 0 && !overflow {
            let least = if job.flags & flag::SELECT_BFINAL == 0 {
                LastEnd::Block
            } else {
                LastEnd::Final
            };
            if state.last_end < least {
                return Err(ErrorCode::BAD_END);
            }
        }

        let left = bits.left();
        let (consumed, kept) = match halt {
            Halt::Stop => (input.src_bytes, 0),
            _ if !overflow => (input.src_bytes, left),
            _ => input.consumed(left),
        };
        state.crc = checksums.crc();
        state.xor = checksums.xor().sum();
        state.odd = checksums.xor().is_odd();
        state.input_bits = state.input_bits.wrapping_add((input.total - left) as u32);
        state.output_count = state.output_count.wrapping_add(settled as u32);
        let history_end = state.history_at as u64 + settled;
        state.history_full |= history_end >= aecs::HISTORY as u64;
        state.history_at = (history_end % aecs::HISTORY as u64) as usize;
        if !suppress {
            let all = output.len();
            // Without a flush only whole words of eight bytes are written.
            let written = if overflow || flush {
                all.min(job.dst_max)
            } else {
                all / 8 * 8
            };
            let rest = &output[written..];
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            state.output = u64::from_le_bytes(word);
            state.output_len = rest.len();
            output.truncate(written);
        }

        let mut end = End::success(state.crc, state.xor, 0);
        if overflow {
            end.status = Status::OUTPUT_OVERFLOW;
            end.bytes_completed = consumed as u32;
        }
        Ok(Self {
            end,
            state,
            source,
            bits,
            kept,
        })
    }

    /// Whether the operation flags ask for an AECS now.
    pub(super) fn writes_aecs(&self, op_flags: u32) -> bool {
        match op_flags & op::WRITE_SRC2 {
            op::WRITE_SRC2_AECS => true,
            op::WRITE_SRC2_OVERFLOW => self.end.status == Status::OUTPUT_OVERFLOW,
            _ => false,
        }
    }

    /// Puts where the job stands into `image`, which is the AECS that was
    /// read or else `defaults`. Tables that a header defined are in `own`,
    /// the history is the end of `window`.
    pub(super) fn put_aecs(
        mut self,
        format: Format,
        image: &mut Image,
        defaults: &Image,
        own: &Tables,
        window: &[u8],
    ) -> Result<(), ErrorCode> {
        let kept = match usize::try_from(self.kept) {
            Ok(kept @ ..=state::INPUT_BITS_MAX) => kept,
            _ => return Err(ErrorCode::HEADER_TOO_LARGE),
        };
        image.put_state(format, &self.state);
        image.put_input(kept, |bytes| self.bits.read(kept, bytes));
        image.put_history(&self.state, window);
        match self.source {
            Source::Fixed => image.copy_tables(defaults),
            Source::Header => image.put_tables(format, own),
            Source::Aecs => {}
        }
        Ok(())
    }
}
