//! Decoding, from where an AECS stands to where something is missing.
//!
//! | module | what |
//! |---|---|
//! | `fast` | tokens while there is plenty of all |
//! | `tokens` | tokens anywhere |
//! | `stored` | stored blocks |
//! | `index` | mini-blocks, if there is an index |

mod fast;
mod index;
mod stored;
mod tokens;

use super::bits::Bits;
use super::header::{self, Block};
use super::input::Input;
use super::state::{LastEnd, Place, State};
use super::tables::Tables;
use super::window::Window;
use crate::checksum::{Checksums, Xor};
use crate::op::Job;
use pagepress_abi::ErrorCode;
use pagepress_abi::flags::decompress as flag;

/// Why a job does not go on.
pub(super) enum Halt {
    /// An error in the data.
    Error(ErrorCode),
    /// No more input.
    Input,
    /// No more room for output.
    Output,
    /// The end-of-block at which to stop.
    Stop,
}

impl From<ErrorCode> for Halt {
    fn from(error: ErrorCode) -> Self {
        Self::Error(error)
    }
}

/// What decodes a block's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The fixed code.
    Fixed,
    /// A code from a header.
    Header,
    /// A code from an AECS, or none.
    Aecs,
}

/// One job on its way.
pub(super) struct Run<'r, 'a> {
    flags: u16,
    fixed: &'r Tables,
    own: &'r mut Tables,
    own_is_lost: bool,
    source: Source,
    window: &'r mut Window,
    checksums: Checksums,
    output: &'r mut Vec<u8>,
    dst_max: usize,
    suppress: bool,
    /// The most bytes that may be decoded.
    room: u64,
    /// Bytes decoded, but for those that are fresh in the window.
    settled: u64,
    /// What the index calls the end of the input.
    input_end: u32,
    /// Bytes of a mini-block.
    mini_block: Option<u32>,
    state: State,
    bits: Bits<'a>,
}

/// What decoding came to.
pub(super) struct Outcome<'a> {
    /// Why it went no further.
    pub(super) halt: Halt,
    /// What decodes the block.
    pub(super) source: Source,
    /// Whether a header may have changed the tables that were not the fixed
    /// ones.
    pub(super) own_is_lost: bool,
    /// The checksums with all that was decoded.
    pub(super) checksums: Checksums,
    /// Bytes decoded.
    pub(super) settled: u64,
    /// The place in the stream, but for sums and counts.
    pub(super) state: State,
    /// The input that is left.
    pub(super) bits: Bits<'a>,
}

impl<'r, 'a> Run<'r, 'a> {
    /// A job that stands where `state` says. `tables` are the fixed ones and
    /// those that a header may change; output that was kept goes to `output`.
    pub(super) fn new(
        job: &Job<'_>,
        input: &Input<'a>,
        state: State,
        source: Source,
        (fixed, own): (&'r Tables, &'r mut Tables),
        window: &'r mut Window,
        output: &'r mut Vec<u8>,
    ) -> Self {
        let suppress = job.flags & flag::SUPPRESS_OUTPUT != 0;
        let room = if suppress {
            u64::MAX
        } else {
            let kept = &state.output.to_le_bytes()[..state.output_len];
            output.extend_from_slice(kept);
            // Without a flush only whole words of eight bytes are written.
            let room = if job.flags & flag::FLUSH != 0 {
                job.dst_max
            } else {
                job.dst_max / 8 * 8 + 7
            };
            room.saturating_sub(kept.len()) as u64
        };
        let mini_block = match (job.flags & flag::INDEXING) >> flag::INDEXING_SHIFT {
            code @ 1.. if suppress => Some(256 << code),
            _ => None,
        };
        let checksums = Checksums::new(job.op_flags, state.crc, Xor::resume(state.xor, state.odd));
        Self {
            flags: job.flags,
            fixed,
            own,
            own_is_lost: false,
            source,
            window,
            checksums,
            output,
            dst_max: job.dst_max,
            suppress,
            room,
            settled: 0,
            input_end: state.input_bits.wrapping_add(input.total as u32),
            mini_block,
            state,
            bits: input.bits,
        }
    }

    /// Decodes as far as it goes.
    pub(super) fn until_halt(mut self) -> Outcome<'a> {
        let halt = self.halt();
        self.settle();
        Outcome {
            halt,
            source: self.source,
            own_is_lost: self.own_is_lost,
            checksums: self.checksums,
            settled: self.settled,
            state: self.state,
            bits: self.bits,
        }
    }

    fn halt(&mut self) -> Halt {
        loop {
            let step = match self.state.place {
                Place::Header => self.header(),
                Place::Token => self.tokens(),
                Place::Stored(left) => self.stored(left),
                Place::Ended => Err(Halt::Stop),
            };
            if let Err(halt) = step {
                return halt;
            }
        }
    }

    fn header(&mut self) -> Result<(), Halt> {
        self.own_is_lost = true;
        let mut ahead = self.bits;
        let Some((is_final, block)) = header::read(&mut ahead, self.own)? else {
            return Err(Halt::Input);
        };
        // An empty stored block has its end right here.
        let entries = [ahead; 2];
        self.index(if block == Block::Stored(0) {
            &entries
        } else {
            &entries[..1]
        })?;
        self.bits = ahead;
        self.state.is_final = is_final;
        self.state.last_end = LastEnd::None;
        self.state.has_output = false;
        self.state.place = match block {
            Block::Stored(0) => self.after_end(),
            Block::Stored(left) => Place::Stored(left),
            Block::Fixed => {
                self.source = Source::Fixed;
                Place::Token
            }
            Block::Dynamic => {
                self.source = Source::Header;
                Place::Token
            }
        };
        Ok(())
    }

    /// What follows an end-of-block.
    fn after_end(&mut self) -> Place {
        self.state.last_end = if self.state.is_final {
            LastEnd::Final
        } else {
            LastEnd::Block
        };
        let counts = self.state.is_final || self.flags & flag::SELECT_BFINAL == 0;
        if counts && self.flags & flag::STOP_ON_EOB != 0 {
            Place::Ended
        } else {
            Place::Header
        }
    }

    fn tables(&self) -> &Tables {
        match self.source {
            Source::Fixed => self.fixed,
            Source::Header | Source::Aecs => self.own,
        }
    }

    /// Bytes that may still be decoded.
    fn room_left(&self) -> u64 {
        self.room - self.settled - self.window.fresh() as u64
    }

    fn check_room(&self) -> Result<(), Halt> {
        if self.room_left() == 0 {
            return Err(Halt::Output);
        }
        Ok(())
    }

    /// Room in the window for the longest match.
    fn make_room(&mut self) {
        if self.window.at() >= Window::END {
            self.settle();
            self.window.slide();
        }
    }

    fn settle(&mut self) {
        self.settled += self.window.fresh() as u64;
        let output = (!self.suppress).then_some(&mut *self.output);
        self.window.settle(&mut self.checksums, output);
    }
}
