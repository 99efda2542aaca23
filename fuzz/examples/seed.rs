//! Writes the first inputs of every target: `seed DIRECTORY`.
//!
//! For the decoders, pages compressed by the pool itself, at several levels, and
//! some that are not quite pages, canned ones behind their codes; for the round
//! trip, recipes with steps of every kind; for the device's model, descriptors of
//! every kind, alone and linked, and streams of several writers.

use pagepress::{Backend, Codec, Pool, StoredBuf, UnitSize};
use pagepress_abi::aecs::{compress as compress_aecs, decompress as decompress_aecs};
use pagepress_abi::flags::{compress, compress2, crc64, decompress, op};
use pagepress_abi::{Descriptor, Opcode};
use pagepress_fallback::encoder::{self, Codes, Encoder};
use pagepress_fuzz::library::{self, Item};
use pagepress_fuzz::model_descriptor::{self, region, setup};
use pagepress_fuzz::{canned, encode_deflate, model_inflate, pages};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Longer inputs would only slow the fuzzer down; `scripts/fuzz` lets it make
/// none that are longer.
const LONGEST: usize = 16384;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = env::args_os().nth(1).ok_or("usage: seed DIRECTORY")?;
    let directory = PathBuf::from(directory);
    for codec in Codec::ALL {
        compressed(&directory.join(format!("decompress_{codec}")), codec)?;
    }
    canned(&directory.join("decompress_canned"))?;
    recipes(&directory.join("round_trip"))?;
    whole_pages(&directory.join("encode_deflate"))?;
    descriptors(&directory.join("model_descriptor"))?;
    streams(&directory.join("model_inflate"))
}

/// Pages behind the counts that their codes are made from.
fn canned(directory: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(directory)?;
    let mut encoder = Encoder::new(4096).ok_or("no memory")?;
    for kind in 0..pages::KINDS {
        let page = pages::sample(kind, 4096);
        for how in 0..7 {
            let mut noise = pages::Noise::new(how);
            let mut head = [0; canned::HEAD];
            noise.fill(&mut head[1..]);
            for byte in &mut head[1..] {
                // No count is zero; the more of them are small, the longer the codes.
                *byte = (*byte >> how) | 0x11;
            }
            head[0] = 4 * how as u8;
            let (literals, distances) = canned::lengths(&head);
            let codes = Codes::with_header(&literals, &distances, &[], 0);
            let mut dst = vec![0; 2 * 4096];
            let limit = dst.len() - encoder::SLACK;
            if let Some(len) = encoder.with_codes(&page, &mut dst, limit, &codes) {
                let name = format!("seed-kind{kind}-{how}");
                fs::write(directory.join(name), [&head, &dst[..len]].concat())?;
            }
        }
    }
    Ok(())
}

fn compressed(directory: &Path, codec: Codec) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(directory)?;
    let levels: &[i32] = match codec {
        Codec::Zstd => &[-7, 1, 6, 19],
        Codec::Deflate => &[1, 2, 6, 9],
        _ => &[1],
    };
    for unit in [UnitSize::DEFAULT, UnitSize::MAX] {
        for &level in levels {
            let pool = Pool::builder()
                .backend(Backend::Software)
                .codec(codec)
                .unit_size(unit)
                .level(level)
                .build()?;
            for kind in 0..pages::KINDS {
                let page = pages::sample(kind, unit.bytes());
                if let StoredBuf::Compressed { bytes, .. } = pool.compress(&page)?
                    && bytes.len() <= LONGEST
                {
                    let name = format!("seed-{}-level{level}-kind{kind}", unit.bytes());
                    fs::write(directory.join(name), bytes)?;
                }
            }
        }
    }
    odd_ones(directory, codec)
}

/// Inputs that mutation seldom hits upon: sound streams that are not one page.
fn odd_ones(directory: &Path, codec: Codec) -> Result<(), Box<dyn Error>> {
    let pool = Pool::builder()
        .backend(Backend::Software)
        .codec(codec)
        .build()?;
    let page = pages::sample(0, UnitSize::DEFAULT.bytes());
    let StoredBuf::Compressed { bytes, .. } = pool.compress(&page)? else {
        return Err("text is incompressible".into());
    };
    let write = |name: &str, parts: &[&[u8]]| fs::write(directory.join(name), parts.concat());
    write("odd-nothing", &[])?;
    write("odd-cut-short", &[&bytes[..bytes.len() - 1]])?;
    write("odd-stray-byte", &[&bytes, &[0]])?;
    write("odd-twice", &[&bytes, &bytes])?;
    match codec {
        // Literals, then a match at offset 0, which the format does not allow.
        Codec::Lz4 => write(
            "odd-offset-0",
            &[&[0x1F, b'a', 0, 0], &[0xFF; 15], &[0xEF, 0xC0], &[b'z'; 12]],
        )?,
        // A page, then a frame without content.
        Codec::Zstd => write("odd-empty-frame", &[&bytes, &[0, 0, 1, 0, 0]])?,
        // The page in a stored block, then a final empty one.
        _ => {
            let stored = [
                &[0, 0x00, 0x10, 0xFF, 0xEF],
                &page[..],
                &[1, 0, 0, 0xFF, 0xFF],
            ];
            write("odd-stored", &stored)?;
        }
    }
    Ok(())
}

fn recipes(directory: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(directory)?;
    for seed in 0..48u8 {
        let mut noise = pages::Noise::new(u64::from(seed));
        let mut recipe = vec![0; 5 + usize::from(seed) * 4];
        noise.fill(&mut recipe);
        recipe[0] = seed % 4;
        recipe[1] = seed / 4;
        fs::write(directory.join(format!("seed-{seed}")), recipe)?;
    }
    Ok(())
}

/// Pages behind settings of all kinds.
fn whole_pages(directory: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(directory)?;
    for kind in 0..pages::KINDS {
        for (nth, len) in [0, 1, 80, 700, 4096, 9000].into_iter().enumerate() {
            let mut page = pages::sample(kind, len);
            if nth % 2 == 1 {
                // Literals that take nine bits in the fixed codes.
                page.iter_mut().for_each(|byte| *byte ^= 0xFF);
            }
            let mut head = [0; encode_deflate::HEAD];
            pages::Noise::new((kind * 8 + nth) as u64).fill(&mut head);
            // One page of the longest is enough.
            let last = if kind == 1 { 2 } else { 3 };
            head[0] = [3, 0, 1, 0x81, 4, last][nth];
            let input = [&head[..], &page].concat();
            fs::write(directory.join(format!("seed-{len}-kind{kind}")), input)?;
        }
    }
    Ok(())
}

/// Where an input has this byte of a region.
const fn at(region: u64, offset: u64) -> u64 {
    region << 16 | offset
}

fn in_library(item: Item) -> u64 {
    at(region::LIBRARY, library::offset(item) as u64)
}

const RECORDED: u32 = op::CRAV | op::RCR;
const READ: u32 = op::READ_SRC2_AECS;
const WRITE: u32 = op::WRITE_SRC2_AECS;
const TOGGLE: u32 = op::AECS_TOGGLE;

/// A Compress of the text to the end of the data.
fn compress(op_flags: u32, flags: u16) -> Descriptor {
    let mut d = Descriptor::new(Opcode::COMPRESS, RECORDED | op_flags);
    d.completion = at(region::RECORDS, 64);
    (d.src1, d.src1_len) = (in_library(Item::Text), 4096);
    (d.dst, d.dst_max) = (at(region::DATA, 4096), 4096);
    d.flags = flags;
    if op_flags & (READ | WRITE) != 0 {
        (d.src2, d.src2_len) = (at(region::AECS, 64), compress_aecs::BYTES as u32);
    }
    d
}

/// A Decompress of an item.
fn inflate(item: Item, op_flags: u32, flags: u16) -> Descriptor {
    let mut d = Descriptor::new(Opcode::DECOMPRESS, RECORDED | op_flags);
    d.completion = at(region::RECORDS, 128);
    d.src1 = in_library(item);
    d.src1_len = library::bytes(item).len() as u32;
    (d.dst, d.dst_max) = (at(region::DATA, 64), 4096);
    d.flags = decompress::ENABLE | flags;
    if op_flags & (READ | op::WRITE_SRC2) != 0 {
        (d.src2, d.src2_len) = (at(region::AECS, 64), decompress_aecs::BYTES as u32);
    }
    d
}

const FINISH: u16 = compress::FLUSH | compress::END_EOB;
const PAGE: u16 =
    decompress::FLUSH | decompress::STOP_ON_EOB | decompress::CHECK_EOB | decompress::SELECT_BFINAL;
const ONE_PASS: u16 = 3 << compress::HEADER_GEN_SHIFT;
const FIRST_PASS: u16 = 7 << compress::HEADER_GEN_SHIFT;

/// Descriptors that are sound, in the order in which they could be submitted.
fn sound() -> Vec<(&'static str, bool, Vec<Descriptor>)> {
    let plain = |opcode, op_flags| Descriptor::new(opcode, op_flags);
    let recorded = |opcode| {
        let mut d = plain(opcode, RECORDED);
        d.completion = at(region::RECORDS, 0);
        d
    };
    let crc = |flags| {
        let mut d = recorded(Opcode::CRC64);
        (d.src1, d.src1_len) = (in_library(Item::Text), 4096);
        (d.flags, d.flags2, d.elements) = (flags, 0xA9EA_3693, 0x42F0_E1EB);
        d
    };
    let part = |mut d: Descriptor, from: u32, to: u32| {
        d.src1 += u64::from(from);
        d.src1_len = to - from;
        d
    };
    let sized = |mut d: Descriptor, dst_max: u32| {
        d.dst_max = dst_max;
        d
    };
    let fixed = library::bytes(Item::Fixed).len() as u32;
    let blocks = library::bytes(Item::Blocks).len() as u32;
    let mut own_output = inflate(Item::Fixed, 0, PAGE);
    (own_output.src1, own_output.src1_len) = (at(region::DATA, 4096), 4096);
    (own_output.dst, own_output.dst_max) = (at(region::DATA, 8192), 4096);
    let mut dictionary = compress(READ, FINISH | 2 << compress::LOAD_DICTIONARY_SHIFT);
    dictionary.src2_len = compress_aecs::BYTES_WITH_DICTIONARY[2] as u32;
    let mut first_pass = compress(WRITE | TOGGLE, FIRST_PASS | FINISH);
    first_pass.flags2 = compress2::WRITE_TABLES;
    (first_pass.dst, first_pass.dst_max) = (0, 0);
    let mut abort = compress(READ, FINISH);
    abort.flags2 = 4 << compress2::EARLY_ABORT_SHIFT;
    let mut complete = compress(0, ONE_PASS | FINISH);
    complete.flags2 = compress2::COMPLETE_TABLES;
    let canned = |item, op_flags, flags, size: usize| {
        let mut d = inflate(Item::Body, op_flags, flags);
        (d.src2, d.src2_len) = (in_library(item), size as u32);
        d
    };
    let mut partial = canned(
        Item::Canned2,
        READ,
        PAGE | decompress::LOAD_PARTIAL,
        decompress_aecs::BYTES_NO_HISTORY_2 - decompress_aecs::PARTIAL_START,
    );
    partial.src2 += decompress_aecs::PARTIAL_START as u64;
    let indexed = decompress::SUPPRESS_OUTPUT | 1 << decompress::INDEXING_SHIFT;
    vec![
        (
            "nothing",
            false,
            vec![plain(Opcode::NOOP, 0), recorded(Opcode::NOOP)],
        ),
        ("drain", false, vec![recorded(Opcode::DRAIN)]),
        (
            "crc64",
            false,
            vec![crc(0), crc(crc64::INVERT | crc64::BE_BIT_ORDER)],
        ),
        ("crc64-castagnoli", true, vec![crc(0)]),
        ("compress", false, vec![compress(READ, FINISH), own_output]),
        (
            "compress-literals",
            false,
            vec![compress(READ, FINISH | compress::ALL_LITERALS)],
        ),
        (
            "compress-words",
            false,
            vec![compress(READ, FINISH | compress::BE16)],
        ),
        (
            "compress-crc32c",
            false,
            vec![compress(READ | op::CRC32C, FINISH)],
        ),
        (
            "compress-end",
            false,
            vec![compress(READ, compress::FLUSH | compress::END_EOB_BFINAL)],
        ),
        (
            "compress-index",
            false,
            vec![compress(READ, FINISH | 1 << compress::INDEXING_SHIFT)],
        ),
        (
            "compress-linked",
            false,
            vec![
                part(compress(READ | WRITE, 0), 0, 1500),
                part(
                    compress(READ | WRITE | TOGGLE, compress::END_EOB_STORED),
                    1500,
                    3001,
                ),
                part(compress(READ, FINISH), 3001, 4096),
            ],
        ),
        (
            "statistics",
            false,
            vec![compress(0, compress::STATISTICS | compress::END_EOB)],
        ),
        (
            "one-pass",
            true,
            vec![compress(0, ONE_PASS | FINISH), own_output],
        ),
        ("one-pass-tables", true, vec![complete]),
        ("two-passes", true, vec![first_pass, compress(READ, FINISH)]),
        ("dictionary", true, vec![dictionary]),
        ("early-abort", true, vec![abort]),
        ("inflate-fixed", false, vec![inflate(Item::Fixed, 0, PAGE)]),
        (
            "inflate-dynamic",
            true,
            vec![inflate(Item::Dynamic, 0, PAGE)],
        ),
        (
            "inflate-blocks",
            false,
            vec![inflate(Item::Blocks, op::CRC32C, PAGE)],
        ),
        (
            "inflate-hidden",
            false,
            vec![inflate(Item::Blocks, 0, PAGE | decompress::SUPPRESS_OUTPUT)],
        ),
        (
            "inflate-index",
            false,
            vec![inflate(Item::Fixed, 0, PAGE | indexed)],
        ),
        (
            "inflate-resumed",
            false,
            vec![
                sized(inflate(Item::Fixed, op::WRITE_SRC2_OVERFLOW, PAGE), 1000),
                part(
                    sized(inflate(Item::Fixed, READ | WRITE | TOGGLE, PAGE), 8192),
                    fixed / 3,
                    fixed,
                ),
            ],
        ),
        (
            "inflate-linked",
            true,
            vec![
                part(inflate(Item::Blocks, WRITE, 0), 0, blocks / 3),
                part(
                    inflate(Item::Blocks, READ | WRITE | TOGGLE, 0),
                    blocks / 3,
                    blocks / 2,
                ),
                part(inflate(Item::Blocks, READ, PAGE), blocks / 2, blocks),
            ],
        ),
        (
            "canned-1",
            false,
            vec![canned(
                Item::Canned1,
                READ,
                PAGE,
                decompress_aecs::BYTES_NO_HISTORY_1,
            )],
        ),
        (
            "canned-2",
            true,
            vec![canned(
                Item::Canned2,
                READ,
                PAGE,
                decompress_aecs::BYTES_NO_HISTORY_2,
            )],
        ),
        ("canned-partial", true, vec![partial]),
    ]
}

fn descriptors(directory: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(directory)?;
    let dictionary = compress_aecs::BYTES as u16;
    let things = [
        (region::AECS, 64, Item::FixedAecs),
        (region::AECS, 64 + dictionary, Item::Text),
    ];
    for (name, second, descriptors) in sound() {
        for memory in [0, setup::CHECKED] {
            for queue in 0..3 {
                let other = match queue {
                    0 => setup::AGAIN,
                    1 => setup::WRITE,
                    _ => 0,
                };
                let second = u8::from(second) * setup::SECOND;
                let how = memory | second | queue << setup::QUEUE | other;
                let input = model_descriptor::input(how, &things, &descriptors);
                fs::write(directory.join(format!("seed-{name}-{how}")), input)?;
            }
        }
    }
    Ok(())
}

/// Streams in front of which stands a way to inflate them.
fn streams(directory: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(directory)?;
    let mut all = vec![
        (
            "library-dynamic".to_owned(),
            library::bytes(Item::Dynamic).to_vec(),
        ),
        (
            "library-fixed".to_owned(),
            library::bytes(Item::Fixed).to_vec(),
        ),
        (
            "library-blocks".to_owned(),
            library::bytes(Item::Blocks).to_vec(),
        ),
        ("nothing".to_owned(), Vec::new()),
    ];
    for kind in 0..pages::KINDS {
        let page = pages::sample(kind, 4096);
        all.push((format!("blocks-{kind}"), library::blocks(&page)));
        for level in [0, 1, 6, 9] {
            all.push((
                format!("zlib{level}-{kind}"),
                library::zlib(&page, level, None),
            ));
        }
        let pool = Pool::builder()
            .backend(Backend::Software)
            .codec(Codec::Deflate)
            .build()?;
        if let StoredBuf::Compressed { bytes, .. } = pool.compress(&page)? {
            all.push((format!("libdeflate-{kind}"), bytes.to_vec()));
        }
        // More than the decoder takes in one go, from far less.
        let long = pages::sample(kind, 65536);
        let stream = library::zlib(&long, 6, None);
        if stream.len() < LONGEST / 2 {
            all.push((format!("long-{kind}"), stream));
        }
    }
    for (nth, (name, stream)) in all.iter().enumerate() {
        for way in model_inflate::WAYS {
            let memory = [0, model_inflate::CHECKED][nth % 2];
            let generation = [0, model_inflate::SECOND][nth / 2 % 2];
            let nth = nth as u8;
            let head = [
                way as u8 | memory | generation,
                nth,
                !nth,
                nth,
                nth,
                nth,
                nth,
                9,
            ];
            const { assert!(model_inflate::HEAD == 8) };
            let input = [&head[..], stream].concat();
            fs::write(directory.join(format!("seed-{name}-{}", way as u8)), input)?;
        }
    }
    Ok(())
}
