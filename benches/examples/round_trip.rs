//! Takes bytes through the software's deflate writer and back, hundreds of millions
//! if asked to, and counts.
//!
//! `cargo run --release -p pagepress-benches --example round_trip -- [PATH...]
//! [--bytes 500M]` reads pages of all files below the paths, this program itself if
//! none are named, and takes turns with pages that it makes up. So many bytes are
//! written by each tier: fixed codes, codes of the page, and canned ones, whose
//! tables are of other pages and change all the time. libdeflate, zlib-rs and
//! miniz_oxide read every stream, the model of the device every sixteenth, on either
//! generation. Units are of 4 to 64 KiB and of any odd length.
//!
//! Ends with 1 at the first page that does not come back.

use libdeflater::Decompressor;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use pagepress_abi::aecs::decompress as layout;
use pagepress_abi::flags::{decompress as flag, op};
use pagepress_abi::{IaaCap, Status};
use pagepress_fallback::encoder::{Codes, Encoder, SLACK};
use pagepress_fallback::huffman::{DISTANCES, Header, LITERALS, code_lengths};
use pagepress_model::decompress::Decompressor as Model;
use pagepress_model::op::{Generation, Job, Product};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};
use zlib_rs::{Inflate, InflateFlush};

/// The greatest unit.
const UNIT: usize = 65536;

/// Most of one file.
const FILE_MAX: usize = 4 << 20;

/// Pages between two that the model reads.
const MODEL_EVERY: u64 = 16;

/// Pages between two changes of the canned tables.
const TABLES_EVERY: u64 = 256;

/// What is written and read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tier {
    Fixed,
    Dynamic,
    Canned,
}

const TIERS: [Tier; 3] = [Tier::Fixed, Tier::Dynamic, Tier::Canned];

#[derive(Debug, Default)]
struct Count {
    pages: u64,
    bytes: u64,
    written: u64,
    /// Reads by each of the three libraries.
    reads: u64,
    /// And by the model.
    model: u64,
}

fn main() -> ExitCode {
    let (paths, wanted) = match arguments() {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    let mut files = Files::below(paths);
    let mut bench = Bench::new();
    let mut next = Noise(1);
    // Bytes that were made up, and those of files.
    let mut real = [0u64; 2];
    while bench.counts.iter().any(|count| count.bytes < wanted) {
        // A half is made up, or all if there are no files.
        let made_up = real[0] <= real[1];
        let bytes = if made_up { None } else { files.next() };
        let is_real = bytes.is_some();
        let bytes = bytes.unwrap_or_else(|| pages(&mut next));
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let len = match next.below(8) {
                0 => 8192 << next.below(4),
                1 => 1 + next.below(UNIT),
                2 => 1 + next.below(600),
                _ => 4096,
            };
            let (page, behind) = rest.split_at(len.min(rest.len()));
            rest = behind;
            real[usize::from(is_real)] += page.len() as u64;
            if let Err(why) = bench.check(page) {
                eprintln!("{} bytes: {why}", page.len());
                return ExitCode::FAILURE;
            }
        }
    }
    bench.print(real);
    ExitCode::SUCCESS
}

/// The paths, and how many bytes.
fn arguments() -> Result<(Vec<PathBuf>, u64), String> {
    let (mut paths, mut wanted) = (Vec::new(), 500_000_000);
    let mut all = env::args().skip(1);
    while let Some(argument) = all.next() {
        if argument != "--bytes" {
            paths.push(PathBuf::from(argument));
            continue;
        }
        let value = all.next().unwrap_or_default();
        let (number, unit) = match value.strip_suffix('M') {
            Some(number) => (number, 1_000_000),
            None => (&value[..], 1),
        };
        let number: u64 = number
            .parse()
            .map_err(|_| format!("--bytes {value}: no number of bytes, such as 500M"))?;
        wanted = number * unit;
    }
    if paths.is_empty() {
        paths.extend(env::current_exe());
    }
    Ok((paths, wanted))
}

/// Files below some paths, those of a directory by name, over and over.
struct Files {
    all: Vec<PathBuf>,
    next: usize,
}

impl Files {
    fn below(mut left: Vec<PathBuf>) -> Self {
        let mut all = Vec::new();
        while let Some(path) = left.pop() {
            if path.is_symlink() {
                continue;
            }
            if path.is_file() {
                all.push(path);
            } else if let Ok(entries) = fs::read_dir(&path) {
                left.extend(entries.flatten().map(|entry| entry.path()));
            }
        }
        // All over the directories, whatever they are called.
        all.sort_by_cached_key(|path| fnv(path));
        Self { all, next: 0 }
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        for _ in 0..self.all.len() {
            let path = &self.all[self.next % self.all.len()];
            self.next += 1;
            if let Ok(mut bytes) = fs::read(path) {
                bytes.truncate(FILE_MAX);
                if !bytes.is_empty() {
                    return Some(bytes);
                }
            }
        }
        None
    }
}

fn fnv(path: &Path) -> u64 {
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

/// Numbers without a pattern (xorshift64*).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 8
    }

    fn below(&mut self, most: usize) -> usize {
        self.next() as usize % most
    }
}

/// A megabyte of what pages have.
fn pages(next: &mut Noise) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 << 21);
    while bytes.len() < 1 << 20 {
        // One kind for a while.
        let (kind, end) = (next.below(8), bytes.len() + 1 + next.below(30_000));
        let values = 1 + next.below(256);
        let period = 1 + next.below(300);
        while bytes.len() < end {
            match kind {
                0 => bytes.push(next.next() as u8),
                1 => bytes.push((255 - next.below(values)) as u8),
                // Each value as often as the next two together.
                2 => {
                    let share = (next.below(1 << 32) | 1) as f64 / 2f64.powi(32);
                    bytes.push((share.log(0.618) as u8).wrapping_mul(11));
                }
                3 => {
                    let low = next.below(0x8000) as u64 * 16;
                    bytes.extend((0x7F31_4000_0000 + low).to_le_bytes());
                }
                4 => bytes.resize(bytes.len() + 1 + next.below(900), values as u8),
                5 => {
                    let from = bytes.len().saturating_sub(period);
                    let byte = bytes.get(from).copied().unwrap_or(7);
                    bytes.push(byte);
                }
                // Copies of any length, from around the end of the history too.
                6 => {
                    let back = match next.below(4) {
                        0 => 4094 + next.below(5),
                        _ => 1 + next.below(5000),
                    };
                    let len = match next.below(4) {
                        0 => 257 + next.below(3),
                        1 => 1 + next.below(600),
                        _ => 3 + next.below(20),
                    };
                    if let Some(from) = bytes.len().checked_sub(back) {
                        for at in from..from + len {
                            bytes.push(bytes[at]);
                        }
                    }
                    bytes.push(next.next() as u8);
                }
                _ => {
                    bytes.extend_from_slice(&(next.below(99) as u32).to_le_bytes());
                    bytes.extend_from_slice(b"value");
                }
            }
        }
    }
    bytes
}

/// Tables that are not in the stream, with the header that tells them.
struct Tables {
    codes: Codes,
    header: Vec<u8>,
    header_bits: usize,
    /// As the model of either generation has them.
    loaded: [Vec<u8>; 2],
}

const GENERATIONS: [Generation; 2] = [Generation::One, Generation::Two(IaaCap::GEN2)];

impl Tables {
    /// For pages like this one, and all others.
    fn of(page: &[u8]) -> Self {
        let (mut literals, mut distances) = ([1; LITERALS], [1; DISTANCES]);
        for &byte in page {
            literals[usize::from(byte)] += 8;
        }
        for (count, &byte) in distances.iter_mut().zip(page) {
            *count += u32::from(byte).pow(2);
        }
        for (count, &byte) in literals[257..].iter_mut().zip(page.iter().rev()) {
            *count += u32::from(byte) / 8;
        }
        let mut lengths = ([0; LITERALS], [0; DISTANCES]);
        code_lengths(&literals, 15, &mut lengths.0);
        code_lengths(&distances, 15, &mut lengths.1);
        let header = Header::new(&lengths.0, &lengths.1);
        let header_bits = header.bits();
        let mut bytes = vec![0; header_bits.div_ceil(8) + 8];
        header.write_bytes(true, &mut bytes);
        bytes.truncate(header_bits.div_ceil(8));
        Self {
            codes: Codes::with_header(&lengths.0, &lengths.1, &[], 0),
            loaded: GENERATIONS.map(|generation| load(generation, &bytes, header_bits)),
            header: bytes,
            header_bits,
        }
    }

    /// A canned page as others read it: behind its header. The byte that this may
    /// have at its end is not the stream's.
    fn join(&self, body: &[u8]) -> Vec<u8> {
        let mut stream = self.header.clone();
        let odd = self.header_bits % 8;
        for &byte in body {
            match stream.last_mut() {
                Some(last) if odd > 0 => {
                    *last |= byte << odd;
                    stream.push(byte >> (8 - odd));
                }
                _ => stream.push(byte),
            }
        }
        stream
    }
}

/// What a device makes of a header alone.
fn load(generation: Generation, header: &[u8], bits: usize) -> Vec<u8> {
    let ignored = (8 * header.len() - bits) as u16;
    let job = Job {
        generation,
        op_flags: op::WRITE_SRC2_AECS | op::AECS_TOGGLE,
        flags: flag::ENABLE | flag::SUPPRESS_OUTPUT | ignored << flag::IGNORE_END_BITS_SHIFT,
        flags2: 0,
        src1: header,
        aecs: None,
        src2_len: match generation {
            Generation::One => layout::BYTES_NO_HISTORY_1,
            Generation::Two(_) => layout::BYTES_NO_HISTORY_2,
        },
        dst_max: 0,
    };
    let mut product = Product::default();
    let end = Model::new().run(&job, &mut product);
    assert_eq!(end.status, Status::SUCCESS, "a header of ours");
    // Before a token of a block that is not final.
    product.aecs[layout::STATE..layout::STATE + 4].fill(0);
    product.aecs
}

struct Bench {
    encoder: Encoder,
    fixed: Codes,
    tables: Tables,
    libdeflate: Decompressor,
    zlib: Inflate,
    miniz: Box<DecompressorOxide>,
    model: Model,
    product: Product,
    dst: Vec<u8>,
    room: Vec<u8>,
    counts: [Count; TIERS.len()],
    tables_made: u64,
}

impl Bench {
    fn new() -> Self {
        Self {
            encoder: Encoder::new(UNIT).expect("memory for a context"),
            fixed: Codes::fixed(),
            tables: Tables::of(b"none"),
            libdeflate: Decompressor::new(),
            zlib: Inflate::new(false, 15),
            miniz: Box::default(),
            model: Model::new(),
            product: Product::default(),
            dst: vec![0; 2 * UNIT + 1024 + SLACK],
            // By one more, a longer page is told from a whole one.
            room: vec![0; UNIT + 1],
            counts: Default::default(),
            tables_made: 0,
        }
    }

    fn check(&mut self, page: &[u8]) -> Result<(), String> {
        if self.counts[0].pages.is_multiple_of(TABLES_EVERY) {
            self.tables = Tables::of(page);
            self.tables_made += 1;
        }
        for (nth, tier) in TIERS.into_iter().enumerate() {
            self.check_tier(nth, tier, page)
                .map_err(|why| format!("{tier:?}: {why}"))?;
        }
        Ok(())
    }

    fn check_tier(&mut self, nth: usize, tier: Tier, page: &[u8]) -> Result<(), String> {
        let limit = self.dst.len() - SLACK;
        let (encoder, dst) = (&mut self.encoder, &mut self.dst[..]);
        let len = match tier {
            Tier::Fixed => encoder.with_codes(page, dst, limit, &self.fixed),
            Tier::Canned => encoder.with_codes(page, dst, limit, &self.tables.codes),
            Tier::Dynamic => encoder.dynamic(page, dst, limit),
        };
        let len = len.ok_or("it takes more than there can be")?;
        let joined;
        let (stream, slack) = match tier {
            Tier::Canned => {
                joined = self.tables.join(&self.dst[..len]);
                (
                    &joined[..],
                    usize::from(!self.tables.header_bits.is_multiple_of(8)),
                )
            }
            _ => (&self.dst[..len], 0),
        };

        let room = &mut self.room[..=page.len()];
        // The stream ends in its last byte, or in the one before it.
        let whole = |read: usize| (stream.len() - slack..=stream.len()).contains(&read);
        room.fill(0);
        let made = self
            .libdeflate
            .deflate_decompress(stream, room)
            .map_err(|error| format!("libdeflate: {error}"))?;
        same("libdeflate", &room[..made], page)?;

        room.fill(0);
        self.zlib.reset(false);
        let end = self.zlib.decompress(stream, room, InflateFlush::Finish);
        let read = self.zlib.total_in() as usize;
        if end != Ok(zlib_rs::Status::StreamEnd) || !whole(read) {
            return Err(format!("zlib-rs: {end:?}, {read} of {}", stream.len()));
        }
        same("zlib-rs", &room[..self.zlib.total_out() as usize], page)?;

        room.fill(0);
        self.miniz.init();
        let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let (end, read, made) = decompress(&mut self.miniz, stream, room, 0, flags);
        if end != TINFLStatus::Done || !whole(read) {
            return Err(format!("miniz_oxide: {end:?}, {read} of {}", stream.len()));
        }
        same("miniz_oxide", &room[..made], page)?;

        let count = &mut self.counts[nth];
        if count.pages.is_multiple_of(MODEL_EVERY) {
            let number = (count.pages / MODEL_EVERY % 2) as usize;
            let aecs = (tier == Tier::Canned).then_some(&self.tables.loaded[number][..]);
            let whole = flag::ENABLE | flag::FLUSH | flag::STOP_ON_EOB | flag::CHECK_EOB;
            let job = Job {
                generation: GENERATIONS[number],
                op_flags: aecs.map_or(0, |_| op::READ_SRC2_AECS),
                flags: whole | aecs.map_or(flag::SELECT_BFINAL, |_| 0),
                flags2: 0,
                src1: &self.dst[..len],
                aecs,
                src2_len: aecs.map_or(0, <[u8]>::len),
                dst_max: page.len(),
            };
            let end = self.model.run(&job, &mut self.product);
            if end.status != Status::SUCCESS {
                return Err(format!("the model: {:?}, {:?}", end.status, end.error));
            }
            same("the model", &self.product.output, page)?;
            count.model += 1;
        }
        count.pages += 1;
        count.bytes += page.len() as u64;
        count.written += len as u64;
        count.reads += 1;
        Ok(())
    }

    fn print(&self, [made_up, real]: [u64; 2]) {
        println!(
            "bytes of files {real}, made up {made_up}; canned tables {}",
            self.tables_made
        );
        println!(
            "{:<8} {:>10} {:>13} {:>13} {:>11} {:>11} {:>11} {:>9}",
            "tier", "pages", "bytes", "written", "libdeflate", "zlib-rs", "miniz_oxide", "model"
        );
        for (tier, count) in TIERS.iter().zip(&self.counts) {
            let tier = format!("{tier:?}").to_lowercase();
            let Count {
                pages,
                bytes,
                written,
                reads,
                model,
            } = count;
            println!(
                "{tier:<8} {pages:>10} {bytes:>13} {written:>13} {reads:>11} {reads:>11} {reads:>11} {model:>9}"
            );
        }
    }
}

fn same(who: &str, out: &[u8], page: &[u8]) -> Result<(), String> {
    if out == page {
        return Ok(());
    }
    let (out_len, len) = (out.len(), page.len());
    Err(match out.iter().zip(page).position(|(a, b)| a != b) {
        Some(at) => format!("{who}: differs at {at}"),
        None => format!("{who}: {out_len} bytes instead of {len}"),
    })
}
