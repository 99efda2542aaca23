//! A descriptor's flags, as what to do.

use super::matcher::Span;
use crate::op::{Generation, Job};
use pagepress_abi::aecs::HISTORY;
use pagepress_abi::{IaaCap, flags};

/// Input is taken in steps of at most this many bytes; what their tokens
/// become fits the output's stage.
pub(super) const STEP: usize = 4096;

/// What follows the last token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Nothing,
    EndOfBlock,
    /// An end of block, then an empty stored block.
    Stored {
        is_final: bool,
    },
}

/// Where codes come from, and what is written when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tables {
    /// The AECS.
    Given,
    /// The data, which is then written with them: one-pass header generation.
    Made(Option<BlockHeader>),
    /// The data, which is left to the next descriptor, while the codes go to
    /// the AECS: the first of two passes.
    MadeOnly(Option<BlockHeader>),
}

/// A header that the device writes; what is left of the field's values are
/// tables without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockHeader {
    pub(super) is_final: bool,
}

/// When to give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Abort {
    /// After this many bytes of input.
    pub(super) checkpoint: usize,
    /// Unless this many of them were saved.
    pub(super) savings: usize,
}

/// One Compress, decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) statistics: bool,
    pub(super) flush: bool,
    pub(super) ending: Ending,
    pub(super) literals_only: bool,
    pub(super) be16: bool,
    /// Bytes of a mini-block.
    pub(super) mini_block: Option<usize>,
    pub(super) tables: Tables,
    pub(super) complete_tables: bool,
    pub(super) write_tables: bool,
    pub(super) write_aecs: bool,
    pub(super) abort: Option<Abort>,
    /// Bytes of dictionary in the AECS.
    pub(super) dictionary: usize,
    /// Bytes that the AECS must have if it is read.
    pub(super) aecs_bytes: usize,
    /// The AECS has a bit that says whether a descriptor with an index can
    /// follow.
    pub(super) last_descriptor: bool,
}

impl Plan {
    /// Fields that the device's generation does not have count as 0: whoever
    /// sets them is told so before a job gets here.
    pub(super) fn new(job: &Job<'_>) -> Self {
        use flags::compress::*;
        use flags::compress2::*;

        let has = |cap| job.generation.has(cap);
        let field = |mask: u16, shift: u32| usize::from((job.flags & mask) >> shift);
        let field2 = |mask: u32, shift: u32| ((job.flags2 & mask) >> shift) as usize;

        let header = if has(IaaCap::HEADER_GEN) {
            field(HEADER_GEN, HEADER_GEN_SHIFT)
        } else {
            0
        };
        let block = (header & 2 != 0).then_some(BlockHeader {
            is_final: header & 1 != 0,
        });
        let dictionary = if has(IaaCap::DICTIONARY) {
            field(LOAD_DICTIONARY, LOAD_DICTIONARY_SHIFT)
        } else {
            0
        };
        let threshold = field2(EARLY_ABORT, EARLY_ABORT_SHIFT);
        let checkpoint = 512 << field2(ABORT_CHECKPOINT, ABORT_CHECKPOINT_SHIFT);
        let mini_block = field(INDEXING, INDEXING_SHIFT);
        let generated = header & 3 != 0;

        Self {
            statistics: job.flags & STATISTICS != 0,
            flush: job.flags & FLUSH != 0,
            ending: match job.flags & END_PROCESSING {
                END_EOB => Ending::EndOfBlock,
                END_EOB_STORED => Ending::Stored { is_final: false },
                END_EOB_BFINAL => Ending::Stored { is_final: true },
                _ => Ending::Nothing,
            },
            literals_only: job.flags & ALL_LITERALS != 0,
            be16: job.flags & BE16 != 0,
            mini_block: (mini_block != 0).then(|| 256 << mini_block),
            tables: match header {
                1..=3 => Tables::Made(block),
                5..=7 => Tables::MadeOnly(block),
                _ => Tables::Given,
            },
            complete_tables: generated && job.flags2 & COMPLETE_TABLES != 0,
            // The first of two passes makes them for nothing else.
            write_tables: generated && (header >= 5 || job.flags2 & WRITE_TABLES != 0),
            write_aecs: job.op_flags & flags::op::WRITE_SRC2 == flags::op::WRITE_SRC2_AECS,
            abort: (threshold != 0 && has(IaaCap::EARLY_ABORT)).then_some(Abort {
                checkpoint,
                savings: checkpoint * threshold / 8,
            }),
            dictionary: [0, HISTORY / 2, HISTORY, HISTORY][dictionary],
            aecs_bytes: pagepress_abi::aecs::compress::BYTES_WITH_DICTIONARY[dictionary],
            last_descriptor: job.generation != Generation::One,
        }
    }

    /// The next step from `at` on, in data of `len` bytes, dictionary and all;
    /// `None` at the end. Steps do not change the tokens: they end where one
    /// has to stop and look.
    pub(super) fn step(&self, at: usize, len: usize) -> Option<Span> {
        if at >= len {
            return None;
        }
        let mut span = Span {
            from: at,
            to: at.saturating_add(STEP).min(len),
            floor: 0,
            end: len,
        };
        if let Some(bytes) = self.mini_block {
            span.floor = at - (at - self.dictionary) % bytes;
            span.end = (span.floor + bytes).min(len);
            span.to = span.to.min(span.end);
        }
        if let Some(checkpoint) = self.checkpoint_after(at) {
            span.to = span.to.min(checkpoint);
        }
        Some(span)
    }

    /// Where to check for an early abort, if that lies after `at`.
    pub(super) fn checkpoint_after(&self, at: usize) -> Option<usize> {
        let checkpoint = self.dictionary + self.abort?.checkpoint;
        (at < checkpoint).then_some(checkpoint)
    }

    /// Whether so much input leaves a mini-block unfinished.
    pub(super) fn ends_in_partial_mini_block(&self, input: usize) -> bool {
        self.mini_block.is_some_and(|bytes| input % bytes != 0)
    }
}
