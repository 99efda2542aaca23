//! What an AECS says, and what is written back (IAA tables 6-14 to 6-19).
//!
//! Every field has the device's own form, tables included, so that an AECS
//! made elsewhere by the specification can be read. Three things that a
//! decoder must remember have no place there that is known. They are kept in
//! reserved bytes: a match that was cut off and two flags in the dword
//! [`PENDING`], the place in a mini-block in the dword [`OUTPUT_COUNT`]. Both
//! are 0 in an AECS that was made by software.

use super::tables::{self, Code, Codes, EOB, MAX_BITS, Tables};
use crate::op::Generation;
use core::ops::Range;
use pagepress_abi::aecs::{self, decompress as at};
use pagepress_abi::{ErrorCode, IaaCap};

/// Bytes of an AECS with its history.
pub(super) const BYTES: usize = at::BYTES;

/// Bits 8:0 the bytes of a match that are still to be written, 20:9 its
/// distance less one; 21 whether the XOR checksum lacks half a word; 22
/// whether the block has had output.
const PENDING: usize = 0x43C;
/// Bytes of output so far, modulo the largest mini-block.
const OUTPUT_COUNT: usize = 0x4D0;

/// Fields of the same tables that hold Huffman codes.
const FIRST_INDEX: usize = 0x1E0;
const COUNTS: usize = 0x1F4;
const FIRST_CODES: usize = 0x208;
const FIRST_LENGTH_CODES: usize = 0x21C;
const LITERAL_CAM: usize = 0x230;
const LITERAL_TOTALS: usize = 0x288;
const DISTANCE_CAM: usize = 0x298;
const DISTANCE_TOTALS: usize = 0x310;
const SHORTEST: usize = 0x324;
const MAPPING: usize = 0x328;
const MAPPING_CAM: [Range<usize>; 2] = [0x340..0x420, 0x440..0x4D0];

/// The parts that depend on the codes alone.
const TABLES: [Range<usize>; 3] = [at::EOB..at::DROP_BITS, FIRST_INDEX..at::STATE, 0x440..0x4D0];

/// Symbols that are found by arithmetic and a mapping; the rest is matched
/// against its code, as is [`EOB`].
const MAPPED: usize = 265;

/// Where in a stream the decoder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Before a block's header.
    Header,
    /// Before a token.
    Token,
    /// In a stored block, with that many bytes to come.
    Stored(u32),
    /// At the end-of-block that was to be the end.
    Ended,
}

/// The last end-of-block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LastEnd {
    /// There was a token after it, or there was none.
    None,
    /// Of a block that is not the last one.
    Block,
    /// Of a final block.
    Final,
}

/// The rest of a match whose beginning has been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Pending {
    /// Bytes still to be written, 0 if there is no such match.
    pub(super) len: usize,
    /// From how far back.
    pub(super) distance: usize,
}

/// What a decoder knows between two jobs, but for its tables, its history and
/// the input it was given.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    /// CRC of the output.
    pub(super) crc: u32,
    /// XOR of the output.
    pub(super) xor: u16,
    /// Whether the output so far has an odd length.
    pub(super) odd: bool,
    /// Output that was not written, lowest byte first.
    pub(super) output: u64,
    /// How many bytes of it there are, up to 7.
    pub(super) output_len: usize,
    /// Input bits read so far.
    pub(super) input_bits: u32,
    /// Leading bits of the input to be dropped.
    pub(super) drop_bits: u8,
    /// Where in a stream.
    pub(super) place: Place,
    /// Whether the block is a final one.
    pub(super) is_final: bool,
    /// Whether the last token was an end-of-block.
    pub(super) last_end: LastEnd,
    /// A match that did not fit.
    pub(super) pending: Pending,
    /// Whether the block has had output.
    pub(super) has_output: bool,
    /// Bytes of output so far, modulo the largest mini-block.
    pub(super) output_count: u32,
    /// Next place in the history.
    pub(super) history_at: usize,
    /// Whether the history is full.
    pub(super) history_full: bool,
}

impl State {
    /// Before a stream's first header.
    pub(super) const FRESH: Self = Self {
        crc: 0,
        xor: 0,
        odd: false,
        output: 0,
        output_len: 0,
        input_bits: 0,
        drop_bits: 0,
        place: Place::Header,
        is_final: false,
        last_end: LastEnd::None,
        pending: Pending {
            len: 0,
            distance: 0,
        },
        has_output: false,
        output_count: 0,
        history_at: 0,
        history_full: false,
    };

    /// Bytes of history.
    pub(super) fn history_len(&self) -> usize {
        if self.history_full {
            aecs::HISTORY
        } else {
            self.history_at
        }
    }
}

/// The format of the AECS of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    One,
    Two,
}

impl Format {
    pub(super) fn of(generation: Generation) -> Self {
        if generation.has(IaaCap::GEN2) {
            Self::Two
        } else {
            Self::One
        }
    }
}

/// The bytes of an AECS.
#[derive(Debug, Clone)]
pub(super) struct Image(pub(super) Box<[u8; BYTES]>);

impl Image {
    /// What stands for an AECS, or for the part of one, that is not read.
    pub(super) fn default_of(format: Format, fixed: &Tables) -> Self {
        let mut image = Self(Box::new([0; BYTES]));
        image.put_format(format);
        image.put_u16(at::STATE, at::state::HEADER);
        image.put_tables(format, fixed);
        image
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.0[at], self.0[at + 1]])
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from(self.u16(at)) | u32::from(self.u16(at + 2)) << 16
    }

    fn put_u16(&mut self, at: usize, value: u16) {
        self.0[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }

    fn put_u32(&mut self, at: usize, value: u32) {
        self.0[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    fn put_format(&mut self, format: Format) {
        let number = u8::from(format == Format::Two);
        self.0[at::OUTPUT_BITS] = self.0[at::OUTPUT_BITS] & !1 | number;
        self.0[at::FORMAT] = self.0[at::FORMAT] & !7 | number;
    }

    /// Whether the AECS has the device's format.
    pub(super) fn check_format(&self, format: Format) -> Result<(), ErrorCode> {
        let marked = self.0[at::OUTPUT_BITS] & 1 != 0;
        match (format, marked, self.0[at::FORMAT] & 7) {
            (Format::One, false, 0) | (Format::Two, true, 1) => Ok(()),
            (Format::Two, false, _) | (Format::Two, _, 0) => Err(ErrorCode::BAD_AECS_FORMAT),
            _ => Err(ErrorCode::BAD_AECS),
        }
    }

    /// All but tables and input.
    pub(super) fn state(&self) -> Result<State, ErrorCode> {
        let output_bits = self.u32(at::OUTPUT_BITS) & !1;
        if output_bits > 56 || output_bits % 8 != 0 {
            return Err(ErrorCode::BAD_AECS);
        }
        let history = self.u16(at::HISTORY_POINTER);
        let (history_at, history_full) = (usize::from(history & 0x7FFF), history >> 15 != 0);
        if history_at >= aecs::HISTORY && !history_full {
            return Err(ErrorCode::BAD_AECS);
        }

        let flags = self.u16(at::STATE);
        let is_final = flags & at::state::FINAL != 0;
        let ended = if is_final {
            LastEnd::Final
        } else {
            LastEnd::Block
        };
        let stored = self.u32(at::STORED_LEFT);
        let (place, last_end) = match flags {
            _ if flags & !15 != 0 => return Err(ErrorCode::BAD_STATE),
            _ if flags & at::state::ENDED != 0 => (Place::Ended, ended),
            // Before a header the two bits in the middle are free. Here bit 1
            // says that a block ended, and bit 2 whether it was a final one.
            _ if flags & at::state::HEADER != 0 => {
                let after = flags & at::state::STORED != 0;
                (Place::Header, if after { ended } else { LastEnd::None })
            }
            _ if flags & at::state::STORED != 0 => match stored {
                1..=0xFFFF => (Place::Stored(stored), LastEnd::None),
                _ => return Err(ErrorCode::BAD_STATE),
            },
            _ => (Place::Token, LastEnd::None),
        };

        let word = self.u32(PENDING);
        let pending = Pending {
            len: (word & 0x1FF) as usize,
            distance: (word >> 9 & 0xFFF) as usize + 1,
        };
        let mut output = [0; 8];
        output.copy_from_slice(&self.0[at::OUTPUT_ACCUMULATOR..at::OUTPUT_BITS]);
        let state = State {
            crc: self.u32(at::CRC),
            xor: self.u16(at::XOR),
            odd: word >> 21 & 1 != 0,
            output: u64::from_le_bytes(output),
            output_len: output_bits as usize / 8,
            input_bits: self.u32(at::INDEX_BITS),
            drop_bits: self.0[at::DROP_BITS],
            place,
            is_final,
            last_end,
            pending,
            has_output: word >> 22 & 1 != 0,
            output_count: self.u32(OUTPUT_COUNT) & 0x7FFF,
            history_at: history_at % aecs::HISTORY,
            history_full,
        };
        let impossible = pending.len != 0
            && (place != Place::Token
                || pending.len > 258
                || pending.distance > state.history_len());
        if impossible || word >> 23 != 0 {
            return Err(ErrorCode::BAD_STATE);
        }
        Ok(state)
    }

    /// Puts the bits of the input accumulator next to each other, and says how
    /// many there are.
    pub(super) fn input(&self, bytes: &mut [u8; 256]) -> Result<usize, ErrorCode> {
        let sizes = &self.0[at::INPUT_SIZES..at::INPUT_SIZES + 32];
        if sizes[0] == 0 && sizes.iter().all(|&size| size == 0) {
            return Ok(0);
        }
        let used = sizes.iter().take_while(|&&size| size != 0).count();
        let total = sizes.iter().map(|&size| usize::from(size)).sum::<usize>();
        let bad = sizes.iter().any(|&size| size > 64)
            || sizes[used..].iter().any(|&size| size != 0)
            || sizes[31] != 0 && total < 193
            || sizes[30] != 0 && total < 129;
        if bad {
            return Err(ErrorCode::BAD_AECS);
        }
        let mut writer = Packer::new(bytes);
        let words = self.0[at::INPUT_ACCUMULATOR..at::INPUT_SIZES].chunks_exact(8);
        for (word, &size) in words.zip(&sizes[..used]) {
            let word = u64::from_le_bytes(word.try_into().expect("8 bytes"));
            let low = u32::from(size).min(32);
            writer.put(word & 0xFFFF_FFFF, low);
            writer.put(word >> 32, u32::from(size) - low);
        }
        writer.finish();
        Ok(total)
    }

    /// Puts what `state` says.
    pub(super) fn put_state(&mut self, format: Format, state: &State) {
        self.put_u32(at::CRC, state.crc);
        self.put_u16(at::XOR, state.xor);
        self.0[at::OUTPUT_ACCUMULATOR..at::OUTPUT_BITS]
            .copy_from_slice(&state.output.to_le_bytes());
        self.put_u32(at::OUTPUT_BITS, 8 * state.output_len as u32);
        self.put_u32(at::INDEX_BITS, state.input_bits);
        self.0[at::DROP_BITS] = 0;
        self.put_format(format);

        let is_final = if state.is_final { at::state::FINAL } else { 0 };
        let place = match (state.place, state.last_end) {
            (Place::Header, LastEnd::None) => at::state::HEADER,
            (Place::Header, LastEnd::Block) => at::state::HEADER | at::state::STORED,
            (Place::Header, LastEnd::Final) => {
                at::state::HEADER | at::state::STORED | at::state::FINAL
            }
            (Place::Token, _) => at::state::TOKEN | is_final,
            (Place::Stored(_), _) => at::state::STORED | is_final,
            (Place::Ended, _) => at::state::ENDED | is_final,
        };
        self.put_u16(at::STATE, place);
        let stored = match state.place {
            Place::Stored(left) => left,
            _ => 0,
        };
        self.put_u32(at::STORED_LEFT, stored);

        let match_left = match state.pending.len {
            0 => 0,
            len => len as u32 | (state.pending.distance as u32 - 1) << 9,
        };
        let flags = u32::from(state.odd) << 21 | u32::from(state.has_output) << 22;
        self.put_u32(PENDING, match_left | flags);
        self.put_u32(OUTPUT_COUNT, state.output_count & 0x7FFF);
        let history = state.history_at as u16 | u16::from(state.history_full) << 15;
        self.put_u16(at::HISTORY_POINTER, history);
    }

    /// Puts `bits` bits into the input accumulator; `fill` writes them, lowest
    /// first, into bytes that are zero.
    pub(super) fn put_input(&mut self, bits: usize, fill: impl FnOnce(&mut [u8])) {
        let accumulator = &mut self.0[at::INPUT_ACCUMULATOR..at::INPUT_SIZES];
        accumulator.fill(0);
        fill(accumulator);
        for (i, size) in self.0[at::INPUT_SIZES..][..32].iter_mut().enumerate() {
            *size = bits.saturating_sub(64 * i).min(64) as u8;
        }
        self.put_u16(at::STATE_BITS, bits as u16);
    }

    /// The history, oldest byte first, to the beginning of `window`.
    pub(super) fn history(&self, state: &State, window: &mut [u8]) {
        let ring = &self.0[at::HISTORY..at::HISTORY + aecs::HISTORY];
        if state.history_full {
            let old = aecs::HISTORY - state.history_at;
            window[..old].copy_from_slice(&ring[state.history_at..]);
            window[old..aecs::HISTORY].copy_from_slice(&ring[..state.history_at]);
        } else {
            window[..state.history_at].copy_from_slice(&ring[..state.history_at]);
        }
    }

    /// Puts the end of the history before the place where `state` has it.
    pub(super) fn put_history(&mut self, state: &State, end: &[u8]) {
        let ring = &mut self.0[at::HISTORY..at::HISTORY + aecs::HISTORY];
        let end = &end[end.len().saturating_sub(aecs::HISTORY)..];
        let wrapped = end.len().saturating_sub(state.history_at);
        let (before, after) = end.split_at(wrapped);
        ring[aecs::HISTORY - wrapped..].copy_from_slice(before);
        ring[state.history_at - after.len()..state.history_at].copy_from_slice(after);
    }

    /// Whether both have the same tables.
    pub(super) fn has_tables_of(&self, other: &Self) -> bool {
        TABLES
            .iter()
            .all(|part| self.0[part.clone()] == other.0[part.clone()])
    }

    /// Takes over the tables of another one.
    pub(super) fn copy_tables(&mut self, other: &Self) {
        for part in TABLES {
            self.0[part.clone()].copy_from_slice(&other.0[part]);
        }
    }

    /// Reads the codes and makes their tables.
    pub(super) fn tables(&self, format: Format, tables: &mut Tables) -> Result<(), ErrorCode> {
        let read = self.codes(
            format,
            &mut tables.literal_codes,
            &mut tables.distance_codes,
        );
        read.ok_or(ErrorCode::BAD_AECS)?;
        tables.build();
        Ok(())
    }

    fn codes<const N: usize, const M: usize>(
        &self,
        format: Format,
        literals: &mut Codes<N>,
        distances: &mut Codes<M>,
    ) -> Option<()> {
        literals.clear();
        distances.clear();
        let eob = cam_code(self.u32(at::EOB), EOB)?;
        for symbol in MAPPED..tables::LITERALS {
            let word = self.u32(LITERAL_CAM + 4 * (symbol - MAPPED));
            if let Some(code) = cam_code(word, symbol)? {
                literals.push(code)?;
            }
        }
        if let Some(code) = eob {
            literals.push(code)?;
        }
        for symbol in 0..tables::DISTANCES {
            if let Some(code) = cam_code(self.u32(DISTANCE_CAM + 4 * symbol), symbol)? {
                distances.push(code)?;
            }
        }
        distances.sort();

        let counts = self.by_length(COUNTS);
        let first_codes = self.by_length(FIRST_CODES);
        let fits = |len: usize, code: u32| code < 1 << len;
        match format {
            Format::One => {
                let first_index = self.by_length(FIRST_INDEX);
                let first_length_codes = self.by_length(FIRST_LENGTH_CODES);
                for len in 1..=MAX_BITS {
                    for i in 0..counts[len] {
                        let code = first_codes[len] + i;
                        let index = (first_index[len] + i) as usize;
                        if !fits(len, code) || index >= at::STATE - MAPPING {
                            return None;
                        }
                        let value = u16::from(self.0[MAPPING + index]);
                        let symbol = match value {
                            _ if code < first_length_codes[len] => value,
                            0..8 => value + 257,
                            _ => return None,
                        };
                        let (len, code) = (len as u8, code as u16);
                        // The end-of-block has a place among these, but no
                        // value.
                        if eob.is_some_and(|eob| (eob.len, eob.code) == (len, code)) {
                            continue;
                        }
                        literals.push(Code { len, code, symbol })?;
                    }
                }
            }
            Format::Two => {
                let mut reader = Unpacker::new(MAPPING_CAM.map(|part| &self.0[part]));
                for symbol in 0..MAPPED {
                    let entry = reader.take(mapping_bits(symbol));
                    let (len, rank) = ((entry & 15) as usize, entry >> 4);
                    if len == 0 || symbol == EOB {
                        continue;
                    }
                    let code = first_codes[len] + rank;
                    if rank >= counts[len] || !fits(len, code) {
                        return None;
                    }
                    let (len, code) = (len as u8, code as u16);
                    let symbol = symbol as u16;
                    literals.push(Code { len, code, symbol })?;
                }
            }
        }
        literals.sort();
        Some(())
    }

    /// Puts the codes.
    pub(super) fn put_tables(&mut self, format: Format, tables: &Tables) {
        for part in TABLES {
            self.0[part].fill(0);
        }
        let literals = tables.literal_codes.list();
        let distances = tables.distance_codes.list();
        let mapped = || {
            literals
                .iter()
                .filter(|code| usize::from(code.symbol) < MAPPED)
        };

        let mut counts = [0; MAX_BITS + 1];
        let mut first_codes = [0; MAX_BITS + 1];
        let mut first_length_codes: [u32; MAX_BITS + 1] =
            core::array::from_fn(|len| (2 << len) - 1);
        // They are ordered by length and code: the first is the least.
        for code in mapped() {
            let len = usize::from(code.len);
            if counts[len] == 0 {
                first_codes[len] = u32::from(code.code);
            }
            counts[len] += 1;
            if usize::from(code.symbol) > EOB {
                let first = &mut first_length_codes[len];
                *first = (*first).min(u32::from(code.code));
            }
        }
        self.put_by_length(COUNTS, &counts);
        self.put_by_length(FIRST_CODES, &first_codes);
        self.put_by_length(FIRST_LENGTH_CODES, &first_length_codes);

        match format {
            Format::One => {
                let mut first_index = [0; MAX_BITS + 1];
                for len in 1..MAX_BITS {
                    first_index[len + 1] = first_index[len] + counts[len];
                }
                self.put_by_length(FIRST_INDEX, &first_index);
                for (i, code) in mapped().enumerate() {
                    self.0[MAPPING + i] = match usize::from(code.symbol) {
                        symbol @ ..EOB => symbol as u8,
                        EOB => 0,
                        symbol => (symbol - 257) as u8,
                    };
                }
            }
            Format::Two => {
                let mut entries = [0_u16; MAPPED];
                for code in mapped() {
                    let rank = code.code - first_codes[usize::from(code.len)] as u16;
                    entries[usize::from(code.symbol)] = u16::from(code.len) | rank << 4;
                }
                let mut bytes = [0; MAPPING_BYTES];
                let mut writer = Packer::new(&mut bytes);
                for (symbol, &entry) in entries.iter().enumerate() {
                    writer.put(u64::from(entry), mapping_bits(symbol));
                }
                writer.finish();
                let [one, two] = MAPPING_CAM;
                let (first, second) = bytes.split_at(one.len());
                self.0[one].copy_from_slice(first);
                self.0[two][..second.len()].copy_from_slice(second);
            }
        }

        let mut shortest = (15, 15);
        for code in literals {
            let symbol = usize::from(code.symbol);
            let total = u32::from(code.len) + tables::length_extra(symbol);
            match symbol {
                ..EOB => shortest.1 = shortest.1.min(total),
                EOB => self.put_u32(at::EOB, cam_word(code)),
                257..tables::LITERALS => {
                    shortest.0 = shortest.0.min(total);
                    if let Some(i) = symbol.checked_sub(MAPPED) {
                        self.put_u32(LITERAL_CAM + 4 * i, cam_word(code));
                        self.put_total(LITERAL_TOTALS, i, total);
                    }
                }
                _ => {}
            }
        }
        for code in distances {
            let symbol = usize::from(code.symbol);
            if symbol < tables::DISTANCES {
                self.put_u32(DISTANCE_CAM + 4 * symbol, cam_word(code));
                let total = u32::from(code.len) + tables::distance_extra(symbol);
                self.put_total(DISTANCE_TOTALS, symbol, total);
            }
        }
        self.put_u32(SHORTEST, shortest.0 | shortest.1 << 4);
    }

    /// One value for each length of code, in five dwords.
    fn by_length(&self, at: usize) -> [u32; MAX_BITS + 1] {
        core::array::from_fn(|len| match len {
            0 => 0,
            _ => {
                let (dword, shift) = BY_LENGTH[len - 1];
                self.u32(at + 4 * dword) >> shift & ((2 << len) - 1)
            }
        })
    }

    fn put_by_length(&mut self, at: usize, values: &[u32; MAX_BITS + 1]) {
        for (&(dword, shift), (len, &value)) in
            BY_LENGTH.iter().zip(values.iter().enumerate().skip(1))
        {
            let at = at + 4 * dword;
            self.put_u32(at, self.u32(at) | (value & ((2 << len) - 1)) << shift);
        }
    }

    /// Bits of a token, six values to a dword, each three to a half.
    fn put_total(&mut self, at: usize, i: usize, total: u32) {
        let at = at + 4 * (i / 6);
        let shift = i % 6 * 5 + i % 6 / 3;
        self.put_u32(at, self.u32(at) | total << shift);
    }
}

/// Where a value for each length from 1 on is: dword and shift. A value has
/// one bit more than the codes.
const BY_LENGTH: [(usize, u32); MAX_BITS] = [
    (0, 0),
    (0, 2),
    (0, 5),
    (0, 9),
    (0, 14),
    (0, 20),
    (1, 0),
    (1, 8),
    (1, 17),
    (2, 0),
    (2, 11),
    (3, 0),
    (3, 13),
    (4, 0),
    (4, 15),
];

/// Bits of a symbol's entry in the mapping of format 2: a length, and a rank
/// among the codes of that length, of which there are no more than symbols
/// before it.
const fn mapping_bits(symbol: usize) -> u32 {
    4 + (usize::BITS - symbol.leading_zeros())
}

/// Bytes of that mapping.
const MAPPING_BYTES: usize = {
    let mut bits = 0;
    let mut symbol = 0;
    while symbol < MAPPED {
        bits += mapping_bits(symbol) as usize;
        symbol += 1;
    }
    bits.div_ceil(8)
};

/// The form in which a code is matched: the code and a mask of its bits, both
/// from the top of 15 bits.
fn cam_word(code: &Code) -> u32 {
    let shift = MAX_BITS as u32 - u32::from(code.len);
    let mask = ((1 << code.len) - 1) << shift;
    u32::from(code.code) << shift | 1 << 15 | mask << 16
}

/// The code that such a word has, if it has one; `None` outside if it makes no
/// sense.
fn cam_code(word: u32, symbol: usize) -> Option<Option<Code>> {
    if word & 1 << 15 == 0 {
        return Some(None);
    }
    let len = (word >> 16).count_ones();
    if !(1..=MAX_BITS as u32).contains(&len) {
        return None;
    }
    let code = Code {
        len: len as u8,
        code: ((word & 0x7FFF) >> (MAX_BITS as u32 - len)) as u16,
        symbol: symbol as u16,
    };
    (cam_word(&code) == word).then_some(Some(code))
}

/// Writes values of some bits, lowest first.
struct Packer<'a> {
    bytes: core::slice::IterMut<'a, u8>,
    buf: u64,
    count: u32,
}

impl<'a> Packer<'a> {
    fn new(bytes: &'a mut [u8]) -> Self {
        Self {
            bytes: bytes.iter_mut(),
            buf: 0,
            count: 0,
        }
    }

    /// Up to 32 bits; what is above them in `value` does not count.
    fn put(&mut self, value: u64, bits: u32) {
        self.buf |= (value & ((1 << bits) - 1)) << self.count;
        self.count += bits;
        while self.count >= 8 {
            self.out();
        }
    }

    fn out(&mut self) {
        if let Some(byte) = self.bytes.next() {
            *byte = self.buf as u8;
        }
        self.buf >>= 8;
        self.count = self.count.saturating_sub(8);
    }

    fn finish(mut self) {
        if self.count != 0 {
            self.out();
        }
    }
}

/// Reads them again.
struct Unpacker<I> {
    bytes: I,
    buf: u32,
    count: u32,
}

impl<'a> Unpacker<core::iter::Chain<core::slice::Iter<'a, u8>, core::slice::Iter<'a, u8>>> {
    fn new([first, second]: [&'a [u8]; 2]) -> Self {
        Self {
            bytes: first.iter().chain(second),
            buf: 0,
            count: 0,
        }
    }

    /// Up to 24 bits, zeros behind the end.
    fn take(&mut self, bits: u32) -> u32 {
        while self.count < bits {
            let byte = self.bytes.next().copied().unwrap_or(0);
            self.buf |= u32::from(byte) << self.count;
            self.count += 8;
        }
        let value = self.buf & ((1 << bits) - 1);
        self.buf >>= bits;
        self.count -= bits;
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables_of(literals: &[u8], distances: &[u8]) -> Tables {
        let mut tables = Tables::new();
        tables.literal_codes.set_lengths(literals).unwrap();
        tables.distance_codes.set_lengths(distances).unwrap();
        tables.build();
        tables
    }

    #[test]
    fn tables_survive() {
        let mut skewed = [0; 286];
        for (i, len) in (1..=14).enumerate() {
            skewed[i * 19] = len;
        }
        skewed[256] = 15;
        skewed[285] = 15;
        let mut single = [0; 286];
        single[256] = 1;
        let lengths = |lengths: &[u8]| lengths.to_vec();
        for (literals, distances) in [
            (lengths(&skewed), lengths(&[3, 3, 3, 3, 2, 2])),
            (lengths(&single), lengths(&[0])),
            (lengths(&[9; 286]), lengths(&[5; 30])),
            ([&[8; 100][..], &[9; 186]].concat(), lengths(&[0, 1])),
        ] {
            let tables = tables_of(&literals, &distances);
            for format in [Format::One, Format::Two] {
                let mut image = Image(Box::new([0; BYTES]));
                image.put_tables(format, &tables);
                let mut again = Tables::new();
                image.tables(format, &mut again).unwrap();
                assert_eq!(again.literal_codes.list(), tables.literal_codes.list());
                assert_eq!(again.distance_codes.list(), tables.distance_codes.list());
            }
        }
    }

    #[test]
    fn fields_have_the_form_of_the_specification() {
        assert_eq!(MAPPING_BYTES, 2934_usize.div_ceil(8));
        const { assert!(MAPPING_BYTES <= 224 + 144) };
        let fixed = Tables::fixed();
        let one = Image::default_of(Format::One, &fixed);
        let two = Image::default_of(Format::Two, &fixed);
        assert_eq!((one.0[at::OUTPUT_BITS], one.0[at::FORMAT]), (0, 0));
        assert_eq!((two.0[at::OUTPUT_BITS], two.0[at::FORMAT]), (1, 1));
        for image in [one, two] {
            assert_eq!(image.u16(at::STATE), 1);
            // The end-of-block of the fixed code is seven zeros.
            assert_eq!(image.u32(at::EOB), 0x7F00_8000);
            // Distance 0 has five zeros, distance 29 11101.
            assert_eq!(image.u32(DISTANCE_CAM), 0x7C00_8000);
            assert_eq!(
                image.u32(DISTANCE_CAM + 4 * 29),
                0x7C00_8000 | 0b11101 << 10
            );
            // Symbol 285 has 11000101.
            assert_eq!(image.u32(LITERAL_CAM + 80), 0x7F80_8000 | 0b1100_0101 << 7);
            // Counts: 9 mapped codes of 7 bits, 144 of 8, 112 of 9.
            assert_eq!(image.u32(COUNTS + 4), 9 | 144 << 8 | 112 << 17);
            // No length code of 1 to 6 bits: all ones.
            assert_eq!(image.u32(FIRST_LENGTH_CODES), 0x07FF_FFFF);
            assert_eq!(
                image.u32(FIRST_LENGTH_CODES + 4),
                1 | 0x1FF << 8 | 0x3FF << 17
            );
            // Shortest: lengths 7 bits, literals 8.
            assert_eq!(image.u32(SHORTEST), 0x87);
            assert_eq!(image.u32(DISTANCE_TOTALS + 16) >> 26, 5 + 13);
        }
    }

    #[test]
    fn words_of_any_size_make_the_input() {
        let mut image = Image(Box::new([0; BYTES]));
        let mut bytes = [0; 256];
        assert_eq!(image.input(&mut bytes), Ok(0));
        image.0[at::INPUT_ACCUMULATOR] = 0xFF;
        image.0[at::INPUT_ACCUMULATOR + 8] = 0x55;
        image.0[at::INPUT_ACCUMULATOR + 15] = 0x80;
        image.0[at::INPUT_SIZES..][..3].copy_from_slice(&[3, 64, 1]);
        assert_eq!(image.input(&mut bytes), Ok(68));
        assert_eq!(bytes[..9], [0xAF, 2, 0, 0, 0, 0, 0, 0, 4]);
        for (i, size) in [(1, 0), (1, 65), (5, 1)] {
            let mut image = image.clone();
            image.0[at::INPUT_SIZES + i] = size;
            assert_eq!(image.input(&mut bytes), Err(ErrorCode::BAD_AECS));
        }
        image.0[at::INPUT_SIZES..][..32].fill(4);
        assert_eq!(image.input(&mut bytes), Err(ErrorCode::BAD_AECS));
        image.0[at::INPUT_SIZES..][..32].fill(64);
        assert_eq!(image.input(&mut bytes), Ok(2048));
    }
}
