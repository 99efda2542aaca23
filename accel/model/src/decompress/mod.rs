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

mod bits;
mod header;
mod state;
mod tables;
mod window;

use crate::checksum::{Checksums, Xor};
use crate::op::{End, Job, Product};
use bits::Bits;
use header::Block;
use pagepress_abi::flags::{decompress as flag, op};
use pagepress_abi::{ErrorCode, IaaCap, Status, aecs};
use state::{Format, Image, LastEnd, Pending, Place, State};
use tables::{Tables, entry};
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

/// Why a job does not go on.
enum Halt {
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
enum Source {
    /// The fixed code.
    Fixed,
    /// A code from a header.
    Header,
    /// A code from an AECS, or none.
    Aecs,
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
        let mut carried = [0; 256];
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

        let (src, ignored) = input(job, &mut self.turned);
        let mut bits = Bits::new(&carried, carried_bits, src, ignored);
        let input = bits.left();
        if job.generation.has(IaaCap::DROP_BITS) {
            for _ in 0..state.drop_bits {
                bits.take(1).ok_or(ErrorCode::SRC1_TOO_SMALL)?;
            }
        }

        let suppress = job.flags & flag::SUPPRESS_OUTPUT != 0;
        let flush = job.flags & flag::FLUSH != 0;
        let room = if suppress {
            u64::MAX
        } else {
            let kept = &state.output.to_le_bytes()[..state.output_len];
            product.output.extend_from_slice(kept);
            // Without a flush only whole words of eight bytes are written.
            let room = if flush {
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
        let mut run = Run {
            flags: job.flags,
            fixed: &self.fixed,
            own: &mut self.own,
            own_is_lost: false,
            source,
            window: &mut self.window,
            checksums,
            output: &mut product.output,
            dst_max: job.dst_max,
            suppress,
            room,
            settled: 0,
            input_end: state.input_bits.wrapping_add(input as u32),
            mini_block,
            state,
            bits,
        };
        let halt = run.until_halt();
        run.settle();
        let Run {
            own_is_lost,
            source,
            checksums,
            settled,
            mut state,
            mut bits,
            ..
        } = run;
        if own_is_lost {
            self.loaded_format = None;
        }

        let all = product.output.len();
        let overflow = match halt {
            Halt::Error(error) => return Err(error),
            Halt::Output => true,
            // What was kept from jobs before may have been too much by itself.
            Halt::Input | Halt::Stop => flush && !suppress && all > job.dst_max,
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
            Halt::Stop => (src.len(), 0),
            _ if !overflow => (src.len(), left),
            _ => consumed(job.flags, src.len(), input - carried_bits as u64, left),
        };
        state.crc = checksums.crc();
        state.xor = checksums.xor().sum();
        state.odd = checksums.xor().is_odd();
        state.input_bits = state.input_bits.wrapping_add((input - left) as u32);
        state.output_count = state.output_count.wrapping_add(settled as u32);
        let history_end = state.history_at as u64 + settled;
        state.history_full |= history_end >= aecs::HISTORY as u64;
        state.history_at = (history_end % aecs::HISTORY as u64) as usize;
        if !suppress {
            let written = if overflow || flush {
                all.min(job.dst_max)
            } else {
                all / 8 * 8
            };
            let rest = &product.output[written..];
            let mut output = [0; 8];
            output[..rest.len()].copy_from_slice(rest);
            state.output = u64::from_le_bytes(output);
            state.output_len = rest.len();
            product.output.truncate(written);
        }

        let write = match job.op_flags & op::WRITE_SRC2 {
            op::WRITE_SRC2_AECS => true,
            op::WRITE_SRC2_OVERFLOW => overflow,
            _ => false,
        };
        if write {
            let kept = match usize::try_from(kept) {
                Ok(kept @ ..=2048) => kept,
                _ => return Err(ErrorCode::HEADER_TOO_LARGE),
            };
            let defaults = &self.defaults[format as usize];
            let image = &mut self.image;
            if job.aecs.is_none() {
                image.0.copy_from_slice(&defaults.0[..]);
            }
            image.put_state(format, &state);
            image.put_input(kept, |bytes| bits.read(kept, bytes));
            image.put_history(&state, self.window.bytes());
            match source {
                Source::Fixed => image.copy_tables(defaults),
                Source::Header => image.put_tables(format, &self.own),
                Source::Aecs => {}
            }
            let len = job.src2_len.min(state::BYTES);
            product.aecs.extend_from_slice(&image.0[..len]);
        }
        let end = End::success(state.crc, state.xor, 0);
        if overflow {
            return Ok(End {
                status: Status::OUTPUT_OVERFLOW,
                bytes_completed: consumed as u32,
                ..end
            });
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

/// Source 1 with its first bit lowest, and the bits to be ignored at its end.
fn input<'a>(job: &Job<'a>, turned: &'a mut Vec<u8>) -> (&'a [u8], u32) {
    let ignored = u32::from((job.flags & flag::IGNORE_END_BITS) >> flag::IGNORE_END_BITS_SHIFT);
    if job.flags & flag::BE16 == 0 {
        return (job.src1, ignored);
    }
    // The highest bit of each little-endian word comes first.
    turned.clear();
    for word in job.src1.chunks_exact(2) {
        let word = u16::from_le_bytes([word[0], word[1]]).reverse_bits();
        turned.extend_from_slice(&word.to_le_bytes());
    }
    let more = job.flags & flag::IGNORE_END_BITS_8 != 0 && job.generation.has(IaaCap::GEN2);
    (turned, ignored + if more { 8 } else { 0 })
}

/// On an overflow, the bytes of source 1 that are done with, and the bits that
/// the AECS must keep: those of the byte (word) that was begun. The rest will
/// be given again.
fn consumed(flags: u16, src_bytes: usize, src_bits: u64, left: u64) -> (usize, u64) {
    let Some(read) = src_bits.checked_sub(left) else {
        return (0, left - src_bits);
    };
    let unit = if flags & flag::BE16 == 0 { 8 } else { 16 };
    let whole = read.next_multiple_of(unit).min(8 * src_bytes as u64);
    (whole.div_ceil(8) as usize, whole.min(src_bits) - read)
}

/// One job on its way.
struct Run<'r, 'a> {
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

impl<'a> Run<'_, 'a> {
    fn until_halt(&mut self) -> Halt {
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

    fn stored(&mut self, mut left: u32) -> Result<(), Halt> {
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

    /// Decodes until the block ends.
    fn tokens(&mut self) -> Result<(), Halt> {
        self.pending()?;
        while self.state.place == Place::Token {
            self.make_room();
            if self.mini_block.is_none() && self.bits.is_past_carried() {
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

    fn tables(&self) -> &Tables {
        match self.source {
            Source::Fixed => self.fixed,
            Source::Header | Source::Aecs => self.own,
        }
    }

    /// Decodes tokens while there is plenty of input and of room. The token at
    /// which it stops is left for [`Run::token`].
    fn many(&mut self) -> Result<(), Halt> {
        let tables = match self.source {
            Source::Fixed => self.fixed,
            Source::Header | Source::Aecs => &*self.own,
        };
        let (literals, distances) = (&tables.literals, &tables.distances);
        let begin = self.window.at();
        let limit = self.room_left().saturating_add(begin as u64);
        // Two literals and a token, checked but once.
        let end = (Window::END as u64).min(limit).saturating_sub(2) as usize;
        let mut window = self.window.cursor();
        let Bits {
            mut buf,
            mut count,
            mut src,
            ..
        } = self.bits;
        let mut last_distance = 0;

        macro_rules! refill {
            () => {
                let Some(word) = src.first_chunk() else {
                    break;
                };
                buf |= u64::from_le_bytes(*word) << count;
                src = &src[(63 - count as usize) / 8..];
                count |= 56;
            };
        }
        while window.at < end {
            refill!();
            let mut entry = literals.get_short(buf);
            if entry & entry::LITERAL != 0 {
                window.push(entry::value(entry) as u8);
                buf >>= entry::code_bits(entry);
                count -= entry::code_bits(entry);
                entry = literals.get_short(buf);
                if entry & entry::LITERAL != 0 {
                    window.push(entry::value(entry) as u8);
                    buf >>= entry::code_bits(entry);
                    count -= entry::code_bits(entry);
                    entry = literals.get_short(buf);
                    if entry & entry::LITERAL != 0 {
                        window.push(entry::value(entry) as u8);
                        buf >>= entry::code_bits(entry);
                        count -= entry::code_bits(entry);
                        continue;
                    }
                }
                refill!();
            }
            if entry & entry::SPECIAL != 0 {
                if entry & entry::LONGER == 0 {
                    break;
                }
                entry = literals.get_long(entry, buf);
                if entry & entry::LITERAL != 0 {
                    window.push(entry::value(entry) as u8);
                    buf >>= entry::code_bits(entry);
                    count -= entry::code_bits(entry);
                    continue;
                }
                if entry & entry::SPECIAL != 0 {
                    break;
                }
            }
            let (after, bits, len) = with_extra(entry, buf);
            let entry = distances.get(after);
            if entry & entry::SPECIAL != 0 {
                break;
            }
            let (after, more_bits, distance) = with_extra(entry, after);
            if distance > aecs::HISTORY || distance > window.at {
                break;
            }
            window.copy(len, distance);
            last_distance = distance;
            buf = after;
            count -= bits + more_bits;
        }

        let at = window.at;
        self.window.set(at);
        self.bits.buf = buf;
        self.bits.count = count;
        self.bits.src = src;
        self.state.has_output |= at != begin;
        // Only a match can have gone too far.
        if let Some(too_far @ 1..) = (at as u64).checked_sub(limit) {
            self.window.set(limit as usize);
            self.state.pending = Pending {
                len: too_far as usize,
                distance: last_distance,
            };
            return Err(Halt::Output);
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

    /// Bytes of the mini-block that there are; 0 without an index.
    fn mini_block_at(&self) -> usize {
        let all = self.settled + self.window.fresh() as u64 + u64::from(self.state.output_count);
        self.mini_block
            .map_or(0, |size| all as usize % size as usize)
    }

    /// Bytes that the mini-block lacks, if there is an index. The block must
    /// not begin within a mini-block.
    fn mini_block_left(&self) -> Result<Option<usize>, Halt> {
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
    fn check_mini_block(&self, len: usize, distance: usize) -> Result<bool, Halt> {
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
    fn check_index(&self, entries: usize) -> Result<(), Halt> {
        if self.mini_block.is_some() && self.output.len() + 8 * entries > self.dst_max {
            return Err(Halt::Output);
        }
        Ok(())
    }

    /// Writes entries of the index for these places, if there is an index:
    /// all of them or none.
    fn index(&mut self, places: &[Bits<'a>]) -> Result<(), Halt> {
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

/// An entry's value plus the extra bits in `buf` behind its code: what is left
/// of `buf`, the bits used up, and the sum.
#[inline(always)]
fn with_extra(entry: u32, buf: u64) -> (u64, u32, usize) {
    let (code, extra) = (entry::code_bits(entry), entry::extra_bits(entry));
    let more = buf >> code & ((1 << extra) - 1);
    let value = entry::value(entry) as usize + more as usize;
    (buf >> (code + extra), code + extra, value)
}

/// The same for bits that may not all be there.
fn read(bits: &mut Bits<'_>, entry: u32) -> Result<usize, Halt> {
    let (_, used, value) = with_extra(entry, bits.buf);
    if used > bits.count {
        return Err(Halt::Input);
    }
    bits.consume(used);
    Ok(value)
}
