//! The Compress engine: tokens, Huffman codes, a stream of bits.
//!
//! | module | idea |
//! |---|---|
//! | `plan` | a descriptor's flags, as what to do |
//! | `state` | the AECS, in and out |
//! | `matcher` | matches |
//! | `symbols` | deflate's symbols for them |
//! | `tokens` | literals and matches, kept until they are written |
//! | `stats` | counts of symbols |
//! | `headergen` | codes and a block header from counts |
//! | `codes` | codes ready for writing |
//! | `bits` | the output accumulator |
//!
//! # Where the specification is silent
//!
//! The model does this, and a device may do otherwise:
//!
//! - A job that needs an AECS and has none, or a short one, ends with error
//!   0x16; so does a code that is longer than its length says. Reserved bits
//!   of the AECS are not looked at, as Intel's QPL sets some.
//! - Statistics need room for all 1280 bytes, else they overflow. Their
//!   checksums start from the AECS if one is read; none is written.
//! - BE16 puts the first bit of the stream into the highest of a little-endian
//!   16-bit word, as QPL's software does. Blocks are aligned to bytes even so.
//! - Output overflows when it is larger than the destination, without the 32
//!   bytes of slack that a device may want.
//! - The end-of-block symbol gets a generated code if the end is processed, or
//!   tables are to be complete. A header without it is possible if there are
//!   matches; error 0x2A comes if no symbol from 256 on has a code.
//! - What an AECS brings and a generated header share its 2048 bits, else
//!   error 0x2C.
//! - The first of two passes carries the checksums of its AECS on unchanged,
//!   as the second one adds the data to them; its completion record has them
//!   with the data.
//! - The last 2 or 4 KiB before the input are the dictionary's bytes, right
//!   behind the tables. The hash tables behind those are not used.
//! - Early abort looks at what this descriptor wrote, a generated header
//!   included, when the first token ends at or after the checkpoint. Shorter
//!   input is not checked, nor are passes that write no tokens.
//! - With an index, neither matches nor their sources cross a mini-block.
//!   Generation 2 marks an AECS after a partial mini-block as the last one, in
//!   bit 31 of its bit count; going on with an index is error 0x2B then.

mod bits;
mod codes;
mod headergen;
mod matcher;
mod plan;
mod state;
mod stats;
mod symbols;
mod tokens;

use crate::checksum::{Checksums, Xor};
use crate::op::{End, Job, Product};
use bits::Bits;
use codes::{Codes, Writer};
use matcher::{Matcher, Sink, Span};
use pagepress_abi::ErrorCode;
use pagepress_abi::aecs::compress as layout;
use plan::{Ending, Plan, Tables};
use state::State;
use stats::Histogram;
use tokens::Tokens;

/// The most bytes for header generation in one pass: one step or less, so
/// that their tokens can be kept.
const ONE_PASS_MAX: usize = plan::STEP;

/// The engine: tables that are reused from job to job.
#[derive(Debug)]
pub struct Compressor {
    matcher: Matcher,
    codes: Codes,
    histogram: Histogram,
    bits: Bits,
    tokens: Tokens,
    /// Dictionary and input, for jobs with a dictionary.
    joined: Vec<u8>,
}

impl Default for Compressor {
    fn default() -> Self {
        Self::new()
    }
}

impl Compressor {
    /// An engine that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            matcher: Matcher::new(),
            codes: Codes::new(),
            histogram: Histogram::new(),
            bits: Bits::new(),
            tokens: Tokens::new(),
            joined: Vec::new(),
        }
    }

    /// Runs a Compress whose flags were checked. Whatever the job holds, it
    /// ends, and after an error `product` is empty.
    pub fn run(&mut self, job: &Job<'_>, product: &mut Product) -> End {
        product.output.clear();
        product.aecs.clear();
        self.try_run(job, product).unwrap_or_else(|error| {
            product.output.clear();
            product.aecs.clear();
            End::error(error)
        })
    }

    fn try_run(&mut self, job: &Job<'_>, product: &mut Product) -> Result<End, ErrorCode> {
        let plan = Plan::new(job);
        let state = State::read(job.aecs, &plan)?;
        let seeds = Checksums::new(job.op_flags, state.crc, Xor::new(state.xor));
        let mut checksums = seeds;
        checksums.update(job.src1);
        self.bits.start(state.accumulator, state.bits);

        // The dictionary lies before the input, as if it had been compressed.
        let mut joined = core::mem::take(&mut self.joined);
        let data = if plan.dictionary == 0 {
            job.src1
        } else {
            joined.clear();
            joined.extend_from_slice(state.dictionary);
            joined.extend_from_slice(job.src1);
            &joined
        };
        let sink = Destination {
            plan: &plan,
            max: job.dst_max,
            carried: self.bits.total(),
            out: &mut product.output,
        };
        let output_bits = self.compress(sink, state.tables, data);
        self.joined = joined;
        let output_bits = output_bits?;

        // Statistics are no state.
        if plan.write_aecs && !plan.statistics {
            // The second of two passes sees the data again.
            let carried = match plan.tables {
                Tables::MadeOnly(_) => seeds,
                _ => checksums,
            };
            let last = plan.last_descriptor && plan.ends_in_partial_mini_block(job.src1.len());
            let tables = plan.write_tables.then(|| self.codes.tables());
            let limit = job.src2_len;
            state::write(
                &mut product.aecs,
                limit,
                carried,
                &mut self.bits,
                last,
                tables,
            )?;
        }
        let (crc, xor) = (checksums.crc(), checksums.xor().sum());
        Ok(End::success(crc, xor, output_bits))
    }

    /// From data, whose first part may be a dictionary, to output. Returns the
    /// valid bits of the last byte.
    fn compress(
        &mut self,
        mut to: Destination<'_>,
        tables: Option<&[u8]>,
        data: &[u8],
    ) -> Result<u8, ErrorCode> {
        let plan = to.plan;
        self.matcher.start();
        if !plan.literals_only {
            self.matcher.preload(data, plan.dictionary);
        }
        if plan.statistics {
            self.count(plan, data);
            if to.max < layout::HISTOGRAM_BYTES {
                return Err(ErrorCode::OVERFLOW);
            }
            self.histogram.write(to.out);
            return Ok(0);
        }
        match plan.tables {
            Tables::Given => {
                if !self.codes.load(tables.unwrap_or_default()) {
                    return Err(ErrorCode::BAD_AECS);
                }
                self.encode(&mut to, data)?;
            }
            Tables::Made(header) => {
                if data.len() - plan.dictionary > ONE_PASS_MAX {
                    return Err(ErrorCode::INPUT_TOO_LARGE);
                }
                self.count_and_keep(plan, data);
                headergen::generate(&self.histogram, header, &mut self.codes, &mut self.bits)?;
                self.encode_kept(&mut to, data.len())?;
            }
            Tables::MadeOnly(header) => {
                self.count(plan, data);
                headergen::generate(&self.histogram, header, &mut self.codes, &mut self.bits)?;
                return Ok(0);
            }
        }
        self.end(&mut to)
    }

    // The loops over tokens are functions of their own, not parts of one large
    // one: what they need fits the registers.

    /// Counts all tokens.
    #[inline(never)]
    fn count(&mut self, plan: &Plan, data: &[u8]) {
        self.histogram.clear();
        let mut at = plan.dictionary;
        while let Some(span) = plan.step(at, data.len()) {
            at = tokens(&mut self.matcher, plan, data, span, &mut self.histogram);
        }
        self.histogram.finish(plan);
    }

    /// Counts all tokens, and keeps them.
    #[inline(never)]
    fn count_and_keep(&mut self, plan: &Plan, data: &[u8]) {
        self.histogram.clear();
        self.tokens.clear();
        let mut sink = (&mut self.histogram, self.tokens.keeper());
        let mut at = plan.dictionary;
        while let Some(span) = plan.step(at, data.len()) {
            at = tokens(&mut self.matcher, plan, data, span, &mut sink);
        }
        sink.1.finish();
        self.histogram.finish(plan);
    }

    /// Writes all tokens, step by step.
    #[inline(never)]
    fn encode(&mut self, to: &mut Destination<'_>, data: &[u8]) -> Result<(), ErrorCode> {
        let mut at = to.plan.dictionary;
        while let Some(span) = to.plan.step(at, data.len()) {
            let mut writer = Writer::new(&self.codes, &mut self.bits);
            let after = tokens(&mut self.matcher, to.plan, data, span, &mut writer);
            let written = writer.total();
            if !writer.finish() {
                return Err(ErrorCode::ZERO_LENGTH_CODE);
            }
            to.check_savings(written, at, after)?;
            to.drain(&mut self.bits)?;
            at = after;
        }
        Ok(())
    }

    /// Writes the tokens that were kept.
    #[inline(never)]
    fn encode_kept(&mut self, to: &mut Destination<'_>, len: usize) -> Result<(), ErrorCode> {
        let start = to.plan.dictionary;
        let mut writer = Writer::new(&self.codes, &mut self.bits);
        match to.plan.checkpoint_after(start) {
            Some(checkpoint) if checkpoint <= len => {
                let (before, after) = self.tokens.split_after(checkpoint - start);
                writer.write(before);
                to.check_savings(writer.total(), start, checkpoint)?;
                writer.write(after);
            }
            _ => writer.write(self.tokens.all()),
        }
        if !writer.finish() {
            return Err(ErrorCode::ZERO_LENGTH_CODE);
        }
        to.drain(&mut self.bits)
    }

    /// What follows the last token. Returns the valid bits of the last byte.
    fn end(&mut self, to: &mut Destination<'_>) -> Result<u8, ErrorCode> {
        if to.plan.ending != Ending::Nothing {
            let mut writer = Writer::new(&self.codes, &mut self.bits);
            writer.end_of_block();
            if !writer.finish() {
                return Err(ErrorCode::ZERO_LENGTH_CODE);
            }
        }
        if let Ending::Stored { is_final } = to.plan.ending {
            self.bits.put_empty_stored_block(is_final);
        }
        if to.plan.flush {
            let bits = self.bits.flush(to.out, to.max, to.plan.be16);
            return bits.ok_or(ErrorCode::OVERFLOW);
        }
        to.drain(&mut self.bits).map(|()| 0)
    }
}

/// Sends the tokens of a span to a sink, and returns where the last one ends.
#[inline(always)]
fn tokens(
    matcher: &mut Matcher,
    plan: &Plan,
    data: &[u8],
    span: Span,
    sink: &mut impl Sink,
) -> usize {
    if !plan.literals_only {
        return matcher.find(data, span, sink);
    }
    for &byte in &data[span.from..span.to] {
        sink.literal(byte);
    }
    span.to
}

/// Where a job's bits go.
struct Destination<'a> {
    plan: &'a Plan,
    /// The most bytes of output.
    max: usize,
    /// Bits that the AECS brought.
    carried: usize,
    out: &'a mut Vec<u8>,
}

impl Destination<'_> {
    fn drain(&mut self, bits: &mut Bits) -> Result<(), ErrorCode> {
        if bits.drain(self.out, self.max, self.plan.be16) {
            Ok(())
        } else {
            Err(ErrorCode::OVERFLOW)
        }
    }

    /// Whether to go on after input from `at` to `after` was written.
    fn check_savings(&self, bits: usize, at: usize, after: usize) -> Result<(), ErrorCode> {
        let due = self
            .plan
            .checkpoint_after(at)
            .is_some_and(|due| due <= after);
        let written = (bits - self.carried).div_ceil(8);
        match self.plan.abort {
            Some(abort) if due && written + abort.savings > abort.checkpoint => {
                Err(ErrorCode::EARLY_ABORT)
            }
            _ => Ok(()),
        }
    }
}
