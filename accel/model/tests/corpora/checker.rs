//! One input at a time: written by the device and read by others, written by
//! others and read by the device.

use crate::crossing::has_crossing_repeat;
use crate::readers::{READERS, same};
use crate::station::{Generation, ROOM, Station};
use crate::sums::Sums;
use crate::writers::{WRITERS, Writer};
use pagepress_abi::aecs::compress as aecs;
use pagepress_abi::flags::{compress, compress2, decompress, op};
use pagepress_abi::{Completion, Descriptor, ErrorCode, Opcode, Status};
use pagepress_fallback::huffman;

/// What was done with a corpus.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    name: String,
    /// Inputs of one page.
    pub(crate) pages: u64,
    pub(crate) inputs: u64,
    bytes: u64,
    /// Outputs of Compress, by [`Mode`].
    outputs: [u64; MODES.len()],
    /// Outputs read back: by each reader and by the device.
    inflates: u64,
    /// Streams of zlib-rs that the device was given.
    zlib: u64,
    /// Streams of miniz_oxide.
    miniz: u64,
    /// Streams of the software fallback.
    fallback: u64,
    /// Those among them that the device refuses as it should.
    refused: u64,
    /// Completion records whose CRC and XOR were compared.
    sums: u64,
    pub(crate) mismatches: Vec<String>,
}

impl Tally {
    pub(crate) fn named(name: &str) -> Self {
        Self {
            name: name.to_string(),
            ..Self::default()
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.pages += other.pages;
        self.inputs += other.inputs;
        self.bytes += other.bytes;
        for (sum, count) in self.outputs.iter_mut().zip(other.outputs) {
            *sum += count;
        }
        self.inflates += other.inflates;
        self.zlib += other.zlib;
        self.miniz += other.miniz;
        self.fallback += other.fallback;
        self.refused += other.refused;
        self.sums += other.sums;
        self.mismatches.extend_from_slice(&other.mismatches);
    }

    pub(crate) fn print_head() {
        println!(
            "{:<28} {:>6} {:>6} {:>9} | {:>7} {:>7} {:>7} {:>7} {:>8} | {:>7} {:>7} {:>8} {:>7} | {:>8} {:>10}",
            "corpus",
            "pages",
            "inputs",
            "KiB",
            "fixed",
            "dynamic",
            "header",
            "literal",
            "inflates",
            "zlib-rs",
            "miniz",
            "fallback",
            "refused",
            "CRC, XOR",
            "mismatches"
        );
    }

    pub(crate) fn print(&self) {
        let [fixed, dynamic, header, literals] = self.outputs;
        println!(
            "{:<28} {:>6} {:>6} {:>9} | {:>7} {:>7} {:>7} {:>7} {:>8} | {:>7} {:>7} {:>8} {:>7} | {:>8} {:>10}",
            self.name.chars().take(28).collect::<String>(),
            self.pages,
            self.inputs,
            self.bytes >> 10,
            fixed,
            dynamic,
            header,
            literals,
            self.inflates,
            self.zlib,
            self.miniz,
            self.fallback,
            self.refused,
            self.sums,
            self.mismatches.len()
        );
    }

    pub(crate) fn assert_no_mismatch(&self) {
        for mismatch in self.mismatches.iter().take(20) {
            println!("{mismatch}");
        }
        assert!(
            self.mismatches.is_empty(),
            "{} mismatches",
            self.mismatches.len()
        );
    }
}

/// How the device writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Fixed codes, on generation 1.
    Fixed,
    /// Codes made by software from the device's statistics, on generation 1.
    Dynamic,
    /// Codes and header made by the device: in one pass up to 4096 bytes, in
    /// two beyond.
    HeaderGen,
    /// Fixed codes and no matches.
    Literals,
}

const MODES: [Mode; 4] = [Mode::Fixed, Mode::Dynamic, Mode::HeaderGen, Mode::Literals];

/// To flush, and to end the block.
const WHOLE: u16 = compress::FLUSH | compress::END_EOB;

/// Operation flags of each of the two CRCs.
const CRC_FLAGS: [u32; 2] = [0, op::CRC32C];

pub(crate) struct Checker {
    station: Station,
    fixed: Vec<u8>,
    /// Inputs so far, and jobs for the last one: CRCs and generations take
    /// turns, from job to job and, for each kind of job, from input to input.
    inputs: usize,
    jobs: usize,
}

impl Checker {
    pub(crate) fn new() -> Self {
        // Two more than there are symbols, with which the code is complete.
        let mut literals = [8; 288];
        literals[144..256].fill(9);
        literals[256..280].fill(7);
        let fixed = tables(&literals, &[5; 30], |put| put(0b011, 3));
        Self {
            station: Station::new(),
            fixed,
            inputs: 0,
            jobs: 0,
        }
    }

    /// Checks all of it for one input. `what` names it.
    pub(crate) fn check(&mut self, data: &[u8], tally: &mut Tally, what: &dyn Fn() -> String) {
        assert!(2 * data.len() < ROOM, "too large for the station");
        let sums = Sums::of(data);
        self.inputs += 1;
        self.jobs = 0;
        tally.inputs += 1;
        tally.bytes += data.len() as u64;
        for (mode, count) in MODES.into_iter().zip(0..) {
            let mut failed = |who: &str, why: String| {
                tally
                    .mismatches
                    .push(format!("{}: {mode:?} by {who}: {why}", what()));
            };
            let stream = match self.compress(mode, data, &sums, &mut tally.sums) {
                Ok(stream) => stream,
                Err(why) => {
                    failed("the device", why);
                    continue;
                }
            };
            tally.outputs[count] += 1;
            tally.inflates += READERS.len() as u64 + 1;
            for (name, read) in READERS {
                if let Err(why) = read(&stream, data) {
                    failed(name, why);
                }
            }
            let back = self.decompress(&stream, data, &sums, &mut tally.sums);
            if let Err((_, why)) = back {
                failed("Decompress", why);
            }
        }
        for writer in WRITERS.into_iter().filter(|writer| writer.takes(data)) {
            let stream = writer.write(data);
            let count = match writer {
                Writer::Zlib(..) | Writer::ZlibBlocks(..) => &mut tally.zlib,
                Writer::Miniz(..) => &mut tally.miniz,
                Writer::Fallback(_) => &mut tally.fallback,
            };
            *count += 1;
            let Err((error, why)) = self.decompress(&stream, data, &sums, &mut tally.sums) else {
                continue;
            };
            // What RFC 1951 allows and the device does not.
            let stricter = matches!(
                error,
                ErrorCode::WRONG_LL_COUNT | ErrorCode::FIRST_D_REPEATS
            );
            let is_ours = matches!(writer, Writer::Fallback(_));
            if stricter && !is_ours && has_crossing_repeat(&stream) {
                tally.refused += 1;
            } else {
                tally
                    .mismatches
                    .push(format!("{}: of {writer:?}: {why}", what()));
            }
        }
    }

    /// Submits one descriptor, and looks at its record.
    fn run(
        &mut self,
        generation: Generation,
        mut d: Descriptor,
        source: &[u8],
        sums: &Sums,
        compared: &mut u64,
    ) -> Result<Vec<u8>, (ErrorCode, String)> {
        self.jobs += 1;
        let crc = (self.jobs + self.inputs) % 2;
        d.opcode_flags |= CRC_FLAGS[crc];
        let (completion, output) = self.station.run(generation, d, source);
        let Completion { status, error, .. } = completion;
        if status != Status::SUCCESS.0 {
            return Err((ErrorCode(error), format!("{completion:?}")));
        }
        *compared += 1;
        if (completion.crc, completion.xor) != (sums.crcs[crc], sums.xor) {
            return Err((ErrorCode(0), format!("{completion:?} for {sums:x?}")));
        }
        Ok(output)
    }

    fn decompress(
        &mut self,
        stream: &[u8],
        data: &[u8],
        sums: &Sums,
        compared: &mut u64,
    ) -> Result<(), (ErrorCode, String)> {
        let mut d = Descriptor::new(Opcode::DECOMPRESS, 0);
        d.flags = decompress::ENABLE
            | decompress::FLUSH
            | decompress::STOP_ON_EOB
            | decompress::CHECK_EOB
            | decompress::SELECT_BFINAL;
        d.dst_max = data.len() as u32;
        let generation = [Generation::One, Generation::Two][(self.jobs + self.inputs / 2) % 2];
        let output = self.run(generation, d, stream, sums, compared)?;
        same(&output, data).map_err(|why| (ErrorCode(0), why))
    }

    fn compress(
        &mut self,
        mode: Mode,
        data: &[u8],
        sums: &Sums,
        compared: &mut u64,
    ) -> Result<Vec<u8>, String> {
        let job = |op_flags, flags| {
            let mut d = Descriptor::new(Opcode::COMPRESS, op_flags);
            (d.flags, d.dst_max) = (flags, ROOM as u32);
            d
        };
        let mut run = |this: &mut Self, generation, d| {
            let done = this.run(generation, d, data, sums, compared);
            done.map_err(|(_, why)| why)
        };
        match mode {
            Mode::Fixed => {
                self.station.put_aecs(&self.fixed);
                run(self, Generation::One, job(op::READ_SRC2_AECS, WHOLE))
            }
            Mode::Literals => {
                self.station.put_aecs(&self.fixed);
                let flags = WHOLE | compress::ALL_LITERALS;
                run(self, Generation::One, job(op::READ_SRC2_AECS, flags))
            }
            Mode::Dynamic => {
                let statistics = compress::STATISTICS | compress::END_EOB;
                let histogram = run(self, Generation::One, job(0, statistics))?;
                self.station.put_aecs(&tables_for(&histogram));
                run(self, Generation::One, job(op::READ_SRC2_AECS, WHOLE))
            }
            Mode::HeaderGen if data.len() <= 4096 => {
                let header = 3 << compress::HEADER_GEN_SHIFT;
                run(self, Generation::Two, job(0, header | WHOLE))
            }
            Mode::HeaderGen => {
                let header = 7 << compress::HEADER_GEN_SHIFT;
                let mut first = job(op::WRITE_SRC2_AECS, header | WHOLE);
                first.flags2 = compress2::WRITE_TABLES;
                first.dst_max = 0;
                run(self, Generation::Two, first)?;
                // The half that the first one wrote.
                let second = job(op::READ_SRC2_AECS | op::AECS_TOGGLE, WHOLE);
                run(self, Generation::Two, second)
            }
        }
    }
}

/// An AECS with optimal codes for a histogram, and their header.
fn tables_for(histogram: &[u8]) -> Vec<u8> {
    assert_eq!(histogram.len(), aecs::HISTOGRAM_BYTES);
    let count = |at: usize| {
        let dword = histogram[at..].first_chunk().expect("inside the histogram");
        u32::from_le_bytes(*dword)
    };
    let literals: [u32; 286] = core::array::from_fn(|i| count(4 * i));
    let distances: [u32; 30] = core::array::from_fn(|i| count(aecs::HISTOGRAM_DISTANCES + 4 * i));
    let mut lengths = ([0; 286], [0; 30]);
    huffman::code_lengths(&literals, 15, &mut lengths.0);
    huffman::code_lengths(&distances, 15, &mut lengths.1);
    let header = huffman::Header::new(&lengths.0, &lengths.1);
    tables(&lengths.0, &lengths.1, |put| header.write(true, put))
}

/// An AECS with canonical codes of these lengths; `header` puts the bits that
/// go before.
fn tables(
    literals: &[u8],
    distances: &[u8],
    header: impl FnOnce(&mut dyn FnMut(u32, u32)),
) -> Vec<u8> {
    let mut bytes = vec![0; aecs::BYTES];
    let parts = [
        (aecs::LITERALS, literals, huffman::LITERALS),
        (aecs::DISTANCES, distances, huffman::DISTANCES),
    ];
    for (at, lengths, symbols) in parts {
        let mut codes = vec![0; lengths.len()];
        huffman::canonical_codes(lengths, &mut codes);
        for (i, (&code, &len)) in codes.iter().zip(lengths).take(symbols).enumerate() {
            let dword = aecs::code_dword(code.into(), len.into()).to_le_bytes();
            bytes[at + 4 * i..][..4].copy_from_slice(&dword);
        }
    }
    let mut len = 0;
    header(&mut |value, count| {
        for i in 0..count {
            assert!(len < aecs::ACCUMULATOR_BITS_MAX);
            bytes[aecs::ACCUMULATOR + len as usize / 8] |= ((value >> i & 1) as u8) << (len % 8);
            len += 1;
        }
    });
    bytes[aecs::ACCUMULATOR_BITS..][..4].copy_from_slice(&len.to_le_bytes());
    bytes
}
