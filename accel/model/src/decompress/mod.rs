//! The Decompress operation (IAA 3.8): raw deflate with a history of 4 KiB,
//! which can stop and go on wherever input or output runs out.
//!
//! What is not in the specification, or not in what is known of it, was
//! decided like this:
//!
//! * Incomplete Huffman codes are accepted, and fail when an unused code
//!   turns up; codes with too many short ones, without an end-of-block, or
//!   without any code-length code are refused.
//! * On an overflow the destination is filled to its last byte, with or
//!   without [`FLUSH`](flag::FLUSH), in the middle of a match if need be. So
//!   every job with room for a byte makes progress.
//! * Checksums are those of everything decoded, also of the up to seven bytes
//!   that a job without `FLUSH` keeps in the AECS. The XOR is the one of the
//!   whole stream even if a job ends within a word.
//! * Without [`STOP_ON_EOB`](flag::STOP_ON_EOB) a final block is followed by
//!   another header. An unfinished header is no token: padding after the last
//!   block does not fail [`CHECK_EOB`](flag::CHECK_EOB).
//! * Once a stream has ended at an end-of-block, further jobs ignore their
//!   input.
//! * Error 01 is for jobs that write an AECS. In others a header that is cut
//!   off is just the end of the input, however long it is.
//! * Bits to be dropped (`Drop Initial Bits`) that are not there are error 17.
//! * On an error, the output is what was decoded before it.
//! * Error 10 cannot occur: deflate has no code for such a length. Neither can
//!   13, this decoder always gets on.
//!
//! Indexing writes a dword of input bits and a dword of CRC at the start of a
//! block's data, at the end of each mini-block, and behind each end-of-block;
//! also before an end-of-block that cuts a mini-block short. A mini-block that
//! would have bytes of two blocks is error 1C. Entries for one place are
//! written together, so an index needs room for two to get on.

//!
//! # Modules
//!
//! | module | what |
//! |---|---|
//! | `state` | the AECS: what it says, and writing it |
//! | `input`, `bits` | source 1, in any bit order, behind carried bits |
//! | `header` | block headers |
//! | `codes`, `tables` | Huffman codes, and tables that decode them |
//! | `run` | decoding, until something is missing |
//! | `window` | where it decodes to |
//! | `finish` | what becomes of a job whose decoding has halted |

mod bits;
mod codes;
mod finish;
mod header;
mod input;
mod run;
mod state;
mod tables;
mod window;

use crate::op::{End, Job, Product};
use finish::Finished;
use input::Input;
use pagepress_abi::flags::decompress as flag;
use pagepress_abi::{ErrorCode, IaaCap, aecs};
use run::{Run, Source};
use state::{Format, Image, Place, State};
use tables::Tables;
use window::Window;

/// The Decompress engine. It keeps its buffers from job to job.
#[derive(Debug)]
pub struct Decompressor {
    fixed: Tables,
    own: Tables,
    window: Window,
    /// The AECS that is read.
    image: Image,
    /// The AECS whose tables are in `own`, if it is one's, of that format.
    loaded: Image,
    loaded_format: Option<Format>,
    defaults: [Image; 2],
    /// Input that came in 16-bit big-endian words.
    turned: Vec<u8>,
}

impl Default for Decompressor {
    fn default() -> Self {
        Self::new()
    }
}

impl Decompressor {
    /// An engine that has done nothing yet.
    #[must_use]
    pub fn new() -> Self {
        let fixed = Tables::fixed();
        let defaults = [Format::One, Format::Two].map(|format| Image::default_of(format, &fixed));
        Self {
            fixed,
            own: Tables::new(),
            window: Window::new(),
            image: defaults[0].clone(),
            loaded: defaults[0].clone(),
            loaded_format: None,
            defaults,
            turned: Vec::new(),
        }
    }

    /// Does `job`. Whatever its flags and its bytes are, this neither panics
    /// nor takes more time than the input and the output are long.
    pub fn run(&mut self, job: &Job<'_>, product: &mut Product) -> End {
        product.output.clear();
        product.aecs.clear();
        self.try_run(job, product).unwrap_or_else(|error| {
            product.output.truncate(job.dst_max);
            End::error(error)
        })
    }

    fn try_run(&mut self, job: &Job<'_>, product: &mut Product) -> Result<End, ErrorCode> {
        let format = Format::of(job.generation);
        let mut carried = [0; state::INPUT_BITS_MAX / 8];
        let mut carried_bits = 0;
        let mut state = State::FRESH;
        let mut source = Source::Fixed;
        if let Some(bytes) = job.aecs {
            self.read_aecs(job, format, bytes);
            self.image.check_format(format)?;
            state = self.image.state()?;
            carried_bits = self.image.input(&mut carried)?;
            source = Source::Aecs;
            if state.place == Place::Token {
                // The fixed code has symbols that an AECS has no place for:
                // they mean nothing, but are no code that is cut off.
                if self.image.has_tables_of(&self.defaults[format as usize]) {
                    source = Source::Fixed;
                } else {
                    self.load_tables(format)?;
                }
            }
            self.window.start(state.history_len(), |window| {
                self.image.history(&state, window)
            });
        } else {
            self.window.start(0, |_| ());
        }

        let mut input = Input::new(job, &carried, carried_bits, &mut self.turned);
        if job.generation.has(IaaCap::DROP_BITS) {
            input.drop_bits(state.drop_bits)?;
        }
        let tables = (&self.fixed, &mut self.own);
        let (window, output) = (&mut self.window, &mut product.output);
        let run = Run::new(job, &input, state, source, tables, window, output);
        let outcome = run.until_halt();
        if outcome.own_is_lost {
            self.loaded_format = None;
        }
        let finished = Finished::new(job, &input, outcome, &mut product.output)?;

        let end = finished.end;
        if finished.writes_aecs(job.op_flags) {
            let defaults = &self.defaults[format as usize];
            let image = &mut self.image;
            if job.aecs.is_none() {
                image.0.copy_from_slice(&defaults.0[..]);
            }
            finished.put_aecs(format, image, defaults, &self.own, self.window.bytes())?;
            let len = job.src2_len.min(state::BYTES);
            product.aecs.extend_from_slice(&image.0[..len]);
        }
        Ok(end)
    }

    /// The AECS with defaults where it is not read.
    fn read_aecs(&mut self, job: &Job<'_>, format: Format, bytes: &[u8]) {
        let partial =
            job.flags & flag::LOAD_PARTIAL != 0 && job.generation.has(IaaCap::LOAD_PARTIAL);
        let start = if partial {
            aecs::decompress::PARTIAL_START
        } else {
            0
        };
        let bytes = &bytes[..bytes.len().min(state::BYTES - start)];
        let end = start + bytes.len();
        let defaults = &self.defaults[format as usize].0;
        let image = &mut self.image.0;
        image[..start].copy_from_slice(&defaults[..start]);
        image[start..end].copy_from_slice(bytes);
        image[end..].copy_from_slice(&defaults[end..]);
    }

    /// The tables of the AECS, which are often those of the job before.
    fn load_tables(&mut self, format: Format) -> Result<(), ErrorCode> {
        if self.loaded_format == Some(format) && self.loaded.has_tables_of(&self.image) {
            return Ok(());
        }
        self.loaded_format = None;
        self.image.tables(format, &mut self.own)?;
        self.loaded.copy_tables(&self.image);
        self.loaded_format = Some(format);
        Ok(())
    }
}
