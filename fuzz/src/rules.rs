//! Deflate as the device reads it, once more: bit by bit, with nothing but the
//! rules in mind (RFC 1951; IAA table 4-8 for what is an error, and which).
//!
//! The device differs from zlib in this:
//!
//! - A repeated code length must not run from the literal/length lengths into
//!   the distance lengths (06), and the first distance length must not be a
//!   repeat (04). RFC 1951 allows both.
//! - No distance is above 4096 (11).
//! - Incomplete codes are taken; using what has no code is an error (02, 0B,
//!   0C). zlib refuses them at the header, but for a single distance code or
//!   literal/length code of one bit.
//! - What follows the end-of-block at which to stop is ignored; a decoder that
//!   is not told to stop expects another header even after a final block.

use pagepress_abi::ErrorCode;

/// What a descriptor asks for.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Stop at an end-of-block.
    pub stop: bool,
    /// The input must end at an end-of-block.
    pub check: bool,
    /// Only the end of a final block counts.
    pub only_final: bool,
    /// Bits at the end that do not count.
    pub ignored: u32,
    /// The most bytes that may be decoded.
    pub room: usize,
}

/// How decoding ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As asked.
    Success,
    /// An error in the data.
    Error(ErrorCode),
    /// There is more than the room takes.
    Overflow,
}

/// A block's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// 0 stored, 1 fixed, 2 dynamic.
    pub kind: u32,
    /// Where it ends, in bits.
    pub end: usize,
}

/// What came of a stream, and what was met in it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How decoding ended.
    pub verdict: Verdict,
    /// What was decoded.
    pub output: Vec<u8>,
    /// Bits read, up to the last whole token or header.
    pub bits: usize,
    /// Whether decoding stopped at an end-of-block.
    pub stopped: bool,
    /// The headers.
    pub headers: Vec<Header>,
    /// Bits of the longest header, also if it was cut off.
    pub longest_header: usize,
    /// Whether a code was incomplete in a way that zlib refuses.
    pub incomplete: bool,
    /// Whether a repeat ran from one kind of lengths into the other, and all
    /// lengths were there otherwise.
    pub crossing: bool,
}

enum Halt {
    Error(ErrorCode),
    Input,
    Output,
    Stop,
}

type Step<T> = Result<T, Halt>;

fn error<T>(code: ErrorCode) -> Step<T> {
    Err(Halt::Error(code))
}

/// The longest distance.
const HISTORY: usize = 4096;

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl Reader<'_> {
    fn take(&mut self, bits: usize) -> Step<usize> {
        if self.at + bits > self.end {
            return Err(Halt::Input);
        }
        let mut word = [0; 8];
        let rest = &self.bytes[self.at / 8..];
        let there = rest.len().min(8);
        word[..there].copy_from_slice(&rest[..there]);
        // At most 32 bits, and 7 before them.
        let value = (u64::from_le_bytes(word) >> (self.at % 8)) as usize & ((1 << bits) - 1);
        self.at += bits;
        Ok(value)
    }

    fn align(&mut self) -> Step<()> {
        let skip = self.at.wrapping_neg() % 8;
        self.take(skip).map(|_| ())
    }
}

/// A canonical code: how many symbols have each length, and the symbols in
/// order.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
    /// Codes that mean nothing, in units of the longest.
    unused: usize,
}

impl Code {
    /// `None` if there are too many short codes.
    fn new(lengths: &[usize]) -> Option<Self> {
        let mut counts = [0; 16];
        for &len in lengths {
            counts[len] += 1;
        }
        counts[0] = 0;
        let mut unused = 1_usize;
        for count in &counts[1..] {
            unused = (2 * unused).checked_sub(*count)?;
        }
        let mut symbols = Vec::new();
        for len in 1..16 {
            symbols.extend((0..lengths.len()).filter(|&symbol| lengths[symbol] == len));
        }
        Some(Self {
            counts,
            symbols,
            unused,
        })
    }

    /// Whether zlib refuses it for being incomplete.
    fn is_too_incomplete(&self) -> bool {
        self.unused != 0
            && !self.symbols.is_empty()
            && (self.symbols.len(), self.counts[1]) != (1, 1)
    }

    /// The next symbol; `None` if no code of up to `longest` bits fits.
    fn next(&self, bits: &mut Reader<'_>, longest: usize) -> Step<Option<usize>> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for &count in &self.counts[1..=longest] {
            code |= bits.take(1)?;
            if code < first + count {
                return Ok(Some(self.symbols[index + code - first]));
            }
            index += count;
            first = 2 * (first + count);
            code *= 2;
        }
        Ok(None)
    }
}

/// Base and extra bits of a length symbol, 257 being 0.
fn length(symbol: usize) -> (usize, usize) {
    match symbol {
        0..8 => (3 + symbol, 0),
        28 => (258, 0),
        _ => {
            let extra = symbol / 4 - 1;
            (3 + ((4 + symbol % 4) << extra), extra)
        }
    }
}

/// Base and extra bits of a distance symbol.
fn distance(symbol: usize) -> (usize, usize) {
    match symbol {
        0..4 => (1 + symbol, 0),
        _ => {
            let extra = symbol / 2 - 1;
            (1 + ((2 + symbol % 2) << extra), extra)
        }
    }
}

struct Run<'a> {
    asked: Asked,
    bits: Reader<'a>,
    met: Outcome,
    /// Whether the last thing read was an end-of-block that counts for a
    /// check.
    at_end: bool,
}

/// Decodes `stream`.
#[must_use]
pub fn decode(stream: &[u8], asked: Asked) -> Outcome {
    let mut run = Run {
        asked,
        bits: Reader {
            bytes: stream,
            at: 0,
            end: (8 * stream.len()).saturating_sub(asked.ignored as usize),
        },
        met: Outcome {
            verdict: Verdict::Success,
            output: Vec::new(),
            bits: 0,
            stopped: false,
            headers: Vec::new(),
            longest_header: 0,
            incomplete: false,
            crossing: false,
        },
        at_end: false,
    };
    let halt = loop {
        if let Err(halt) = run.block() {
            break halt;
        }
    };
    run.met.stopped = matches!(halt, Halt::Stop);
    run.met.verdict = match halt {
        Halt::Error(code) => Verdict::Error(code),
        Halt::Output => Verdict::Overflow,
        Halt::Input | Halt::Stop if asked.check && !run.at_end => {
            Verdict::Error(ErrorCode::BAD_END)
        }
        Halt::Input | Halt::Stop => Verdict::Success,
    };
    run.met
}

impl Run<'_> {
    fn block(&mut self) -> Step<()> {
        let header = self.header();
        let bits = self.bits.at - self.met.bits;
        let cut_off = matches!(header, Err(Halt::Input));
        let length = if cut_off {
            self.bits.end - self.met.bits
        } else {
            bits
        };
        self.met.longest_header = self.met.longest_header.max(length);
        let (is_final, block) = header?;
        let kind = match block {
            Block::Stored(_) => 0,
            Block::Fixed(_) => 1,
            Block::Dynamic(_) => 2,
        };
        let end = self.bits.at;
        self.met.headers.push(Header { kind, end });
        self.met.bits = end;
        self.at_end = false;
        match block {
            Block::Stored(len) => self.stored(len)?,
            Block::Fixed(codes) | Block::Dynamic(codes) => self.tokens(&codes)?,
        }
        let counts = is_final || !self.asked.only_final;
        self.at_end = counts;
        if counts && self.asked.stop {
            return Err(Halt::Stop);
        }
        Ok(())
    }

    fn stored(&mut self, len: usize) -> Step<()> {
        for _ in 0..len {
            let byte = self.bits.take(8)?;
            self.literal(byte)?;
        }
        Ok(())
    }

    fn literal(&mut self, byte: usize) -> Step<()> {
        if self.met.output.len() == self.asked.room {
            return Err(Halt::Output);
        }
        self.met.output.push(byte as u8);
        self.met.bits = self.bits.at;
        Ok(())
    }

    fn tokens(&mut self, [literals, distances]: &[Code; 2]) -> Step<()> {
        loop {
            let symbol = literals.next(&mut self.bits, 15)?;
            let (len, extra) = match symbol {
                Some(byte @ ..256) => {
                    self.literal(byte)?;
                    continue;
                }
                Some(256) => {
                    self.met.bits = self.bits.at;
                    return Ok(());
                }
                Some(symbol @ ..286) => length(symbol - 257),
                _ => return error(ErrorCode::BAD_LL_CODE),
            };
            let len = len + self.bits.take(extra)?;
            let (back, extra) = match distances.next(&mut self.bits, 15)? {
                Some(symbol @ ..30) => distance(symbol),
                _ => return error(ErrorCode::BAD_D_CODE),
            };
            let back = back + self.bits.take(extra)?;
            if back > HISTORY {
                return error(ErrorCode::BAD_DISTANCE);
            }
            let from = self.met.output.len().checked_sub(back);
            let Some(from) = from else {
                return error(ErrorCode::DISTANCE_BEFORE_START);
            };
            for at in from..from + len {
                let byte = self.met.output[at];
                self.literal(usize::from(byte))?;
            }
        }
    }

    fn header(&mut self) -> Step<(bool, Block)> {
        let is_final = self.bits.take(1)? == 1;
        let block = match self.bits.take(2)? {
            0 => {
                self.bits.align()?;
                let word = self.bits.take(32)?;
                if word & 0xFFFF != !(word >> 16) & 0xFFFF {
                    return error(ErrorCode::BAD_STORED_LENGTH);
                }
                Block::Stored(word & 0xFFFF)
            }
            1 => {
                let lengths: Vec<_> = (0..288)
                    .map(|symbol| match symbol {
                        144..256 => 9,
                        256..280 => 7,
                        _ => 8,
                    })
                    .collect();
                let codes = [&lengths[..], &[5; 32]];
                Block::Fixed(
                    codes
                        .map(|lengths| Code::new(lengths).expect("complete"))
                        .into(),
                )
            }
            2 => self.dynamic()?,
            _ => return error(ErrorCode::BAD_BLOCK_TYPE),
        };
        Ok((is_final, block))
    }

    fn dynamic(&mut self) -> Step<Block> {
        const ORDER: [usize; 19] = [
            16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
        ];
        let counts = self.bits.take(14)?;
        let literals = (counts & 31) + 257;
        let distances = (counts >> 5 & 31) + 1;
        if literals > 286 {
            return error(ErrorCode::HLIT_TOO_LARGE);
        }
        if distances > 30 {
            return error(ErrorCode::HDIST_TOO_LARGE);
        }
        let mut lengths = [0; 19];
        for &symbol in &ORDER[..(counts >> 10) + 4] {
            lengths[symbol] = self.bits.take(3)?;
        }
        let code = match Code::new(&lengths) {
            Some(code) if !code.symbols.is_empty() => code,
            _ => return error(ErrorCode::BAD_CL_LENGTHS),
        };
        // zlib makes no exception for this code.
        self.met.incomplete |= code.unused != 0;

        let both = literals + distances;
        let mut own = [Vec::new(), Vec::new()];
        for (part, (wanted, first_repeats, wrong_count)) in [
            (
                literals,
                ErrorCode::FIRST_LL_REPEATS,
                ErrorCode::WRONG_LL_COUNT,
            ),
            (
                distances,
                ErrorCode::FIRST_D_REPEATS,
                ErrorCode::WRONG_D_COUNT,
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let own = &mut own[part];
            while own.len() < wanted {
                let symbol = code.next(&mut self.bits, 7)?;
                let (value, count) = match symbol {
                    None => return error(ErrorCode::BAD_CL_CODE),
                    Some(len @ ..16) => (len, 1),
                    Some(16) => {
                        let count = 3 + self.bits.take(2)?;
                        match own.last() {
                            Some(&len) => (len, count),
                            None => return error(first_repeats),
                        }
                    }
                    Some(17) => (0, 3 + self.bits.take(3)?),
                    Some(_) => (0, 11 + self.bits.take(7)?),
                };
                own.resize(own.len() + count, value);
            }
            if own.len() > wanted {
                self.met.crossing = part == 0 && own.len() <= both;
                return error(wrong_count);
            }
        }
        if own[0][256] == 0 {
            return error(ErrorCode::NO_LL_CODE);
        }
        let [literals, distances] = own.map(|lengths| Code::new(&lengths));
        let Some(literals) = literals else {
            return error(ErrorCode::BAD_LL_LENGTHS);
        };
        let Some(distances) = distances else {
            return error(ErrorCode::BAD_D_LENGTHS);
        };
        self.met.incomplete |= literals.is_too_incomplete() || distances.is_too_incomplete();
        Ok(Block::Dynamic([literals, distances].into()))
    }
}

enum Block {
    Stored(usize),
    Fixed(Box<[Code; 2]>),
    Dynamic(Box<[Code; 2]>),
}
