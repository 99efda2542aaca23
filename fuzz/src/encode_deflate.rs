//! Any page through the software's deflate writer.
//!
//! The first [`HEAD`] bytes of an input are settings, the rest is the page, over and
//! over if a longer one is asked for. It is written with the fixed codes, with codes
//! of its own, and with codes made of the input, in front of their header and without
//! it. Whatever the page is,
//!
//! - each stream is one final block, by the device's rules ([`rules`]) and of these
//!   codes, and ends in the last byte;
//! - libdeflate, zlib-rs, miniz_oxide and the device's model of either generation find
//!   the page in it, the canned one by the tables that the model makes of the header;
//! - nothing behind the limit and its slack is written; with a limit of just as many
//!   bytes the same comes out, with less nothing does, and with any other limit one of
//!   the two;
//! - an encoder that wrote another page before writes the same.

use crate::input::Input;
use crate::rules::{self, Asked, Verdict};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use pagepress_abi::aecs::decompress as layout;
use pagepress_abi::flags::{decompress as flag, op};
use pagepress_abi::{IaaCap, Status};
use pagepress_fallback::deflate::{DEFAULT_LEVEL, Deflate};
use pagepress_fallback::encoder::{Codes, Encoder, SLACK};
use pagepress_fallback::huffman::{DISTANCES, Header, LITERALS, code_lengths};
use pagepress_model::decompress::Decompressor;
use pagepress_model::op::{Generation, Job, Product};
use std::cell::RefCell;
use zlib_rs::{Inflate, InflateFlush};

/// Bytes of settings before the page.
pub const HEAD: usize = 8;

/// What lies behind the room.
const UNTOUCHED: u8 = 0xA5;

/// Codes for any page, and the header that tells them.
struct Tables {
    header: Vec<u8>,
    header_bits: usize,
    with_header: Codes,
    canned: Codes,
}

impl Tables {
    fn read(input: &mut Input<'_>, page: &[u8]) -> Self {
        let (seed, steep) = (input.byte(), u32::from(input.byte() % 24));
        let mut literals = [1; LITERALS];
        let mut distances = [1; DISTANCES];
        // Counts that grow by the golden ratio make the longest codes.
        let grown = |i: usize| {
            (0..i as u32 * steep / 24)
                .fold((1, 1), |(a, b), _| (b, a + b))
                .0
        };
        for (i, count) in literals.iter_mut().enumerate() {
            *count += grown((i * 7 + usize::from(seed)) % 32);
        }
        for (i, count) in distances.iter_mut().enumerate() {
            *count += grown((i * 11 + usize::from(seed)) % 30);
        }
        // Or of the page itself.
        if seed % 4 == 3 {
            for &byte in page {
                literals[usize::from(byte)] += 50;
            }
        }
        let mut lengths = ([0; LITERALS], [0; DISTANCES]);
        code_lengths(&literals, 15, &mut lengths.0);
        code_lengths(&distances, 15, &mut lengths.1);
        let (literals, distances) = lengths;
        let header = Header::new(&literals, &distances);
        let (len, header_bits) = (header.bits().div_ceil(8), header.bits());
        let mut bytes = vec![0; len + 8];
        header.write_bytes(true, &mut bytes);
        bytes.truncate(len);
        Self {
            with_header: Codes::with_header(&literals, &distances, &bytes, header_bits),
            canned: Codes::with_header(&literals, &distances, &[], 0),
            header: bytes,
            header_bits,
        }
    }

    /// The canned page as a stream: the header, and the bits behind it.
    fn join(&self, body: &[u8]) -> Vec<u8> {
        let mut stream = self.header.clone();
        let odd = self.header_bits % 8;
        if odd == 0 {
            stream.extend_from_slice(body);
            return stream;
        }
        for &byte in body {
            if let Some(last) = stream.last_mut() {
                *last |= byte << odd;
            }
            stream.push(byte >> (8 - odd));
        }
        stream
    }
}

/// Ways to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Fixed,
    Dynamic,
    WithHeader,
    Canned,
}

const WAYS: [Way; 4] = [Way::Fixed, Way::Dynamic, Way::WithHeader, Way::Canned];

struct Bench {
    /// For 4096 bytes, and for 65536.
    encoders: [Encoder; 2],
    fixed: Codes,
    reader: Deflate,
    inflate: Inflate,
    miniz: Box<DecompressorOxide>,
    model: Decompressor,
    room: Vec<u8>,
    product: Product,
}

thread_local! {
    static BENCH: RefCell<Bench> = RefCell::new(Bench {
        encoders: [4096, 65536].map(|unit| Encoder::new(unit).expect("memory")),
        fixed: Codes::fixed(),
        reader: Deflate::new(4096, DEFAULT_LEVEL).expect("memory"),
        inflate: Inflate::new(false, 15),
        miniz: Box::default(),
        model: Decompressor::new(),
        room: Vec::new(),
        product: Product::default(),
    });
}

/// Writes the page in `data` in all ways, and reads it back.
///
/// # Panics
/// If anything is not as the module says.
pub fn check(data: &[u8]) {
    BENCH.with_borrow_mut(|bench| bench.check(data));
}

impl Bench {
    fn check(&mut self, data: &[u8]) {
        let mut head = Input(data);
        let head_bytes = head.take(HEAD);
        let page = page(head_bytes, head.0);
        let mut settings = Input(head_bytes.get(3..).unwrap_or_default());
        let tables = Tables::read(&mut settings, &page);
        let any = usize::from(settings.u16());
        for way in WAYS {
            self.check_way(way, &page, &tables, any);
        }
    }

    fn check_way(&mut self, way: Way, page: &[u8], tables: &Tables, any: usize) {
        let most = 2 * page.len() + 1024;
        let whole = self.write(way, page, tables, most).expect("there is room");
        let len = whole.len();
        for limit in [len, len - 1, any % most] {
            let written = self.write(way, page, tables, limit);
            let expected = (len <= limit).then_some(&whole);
            assert!(
                written.as_ref() == expected,
                "{way:?}: {len} bytes at a limit of {limit}"
            );
        }

        let stream = match way {
            Way::Canned => tables.join(&whole),
            _ => whole.clone(),
        };
        let told = rules::decode(
            &stream,
            Asked {
                stop: true,
                check: true,
                only_final: true,
                ignored: 0,
                room: page.len(),
            },
        );
        assert_eq!(told.verdict, Verdict::Success, "{way:?}");
        assert!(told.output == page, "{way:?}: another page");
        assert_eq!(told.headers.len(), 1, "{way:?}");
        let kind = told.headers[0].kind;
        match way {
            Way::Fixed => assert_eq!(kind, 1),
            Way::Dynamic => assert_ne!(kind, 0),
            Way::WithHeader | Way::Canned => assert_eq!(kind, 2),
        }
        let bits = match way {
            Way::Canned => told.bits - tables.header_bits,
            _ => told.bits,
        };
        assert_eq!(bits.div_ceil(8), len, "{way:?}: bytes behind the stream");

        // A canned page's stream has a byte of zeroes more where the header's last
        // byte took none of its bits.
        let stream = &stream[..told.bits.div_ceil(8)];
        self.read_by_others(stream, page);
        let generation = match any % 2 {
            0 => Generation::One,
            _ => Generation::Two(IaaCap::GEN2),
        };
        let aecs = (way == Way::Canned).then(|| self.load(generation, tables));
        let bytes = if way == Way::Canned { &whole } else { stream };
        self.read_by_model(generation, aecs.as_deref(), bytes, page);
    }

    fn write(&mut self, way: Way, page: &[u8], tables: &Tables, limit: usize) -> Option<Vec<u8>> {
        let encoder = &mut self.encoders[usize::from(page.len() > 4096)];
        // A new one now and then, which must write the same.
        let mut new = (limit % 4 == 1).then(|| Encoder::new(page.len()).expect("memory"));
        let encoder = new.as_mut().unwrap_or(encoder);
        self.room.clear();
        self.room.resize(limit + SLACK + 32, UNTOUCHED);
        let room = &mut self.room[..];
        let written = match way {
            Way::Fixed => encoder.with_codes(page, room, limit, &self.fixed),
            Way::Dynamic => encoder.dynamic(page, room, limit),
            Way::WithHeader => encoder.with_codes(page, room, limit, &tables.with_header),
            Way::Canned => encoder.with_codes(page, room, limit, &tables.canned),
        };
        let behind = &self.room[limit + SLACK..];
        assert!(
            behind.iter().all(|&byte| byte == UNTOUCHED),
            "{way:?}: written behind the room"
        );
        written.map(|len| {
            assert!(len <= limit, "{way:?}: {len} bytes of {limit}");
            self.room[..len].to_vec()
        })
    }

    fn read_by_others(&mut self, stream: &[u8], page: &[u8]) {
        // One byte more, by which a longer page is told from this one.
        self.room.clear();
        self.room.resize(page.len() + 1, 0);
        let room = &mut self.room[..];
        self.inflate.reset(false);
        let end = self.inflate.decompress(stream, room, InflateFlush::Finish);
        assert_eq!(end, Ok(zlib_rs::Status::StreamEnd), "zlib-rs");
        let read = self.inflate.total_in() as usize;
        let made = self.inflate.total_out() as usize;
        assert!(read == stream.len() && room[..made] == *page, "zlib-rs");

        room.fill(0);
        self.miniz.init();
        let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let (end, read, made) = decompress(&mut self.miniz, stream, room, 0, flags);
        assert_eq!(end, TINFLStatus::Done, "miniz_oxide");
        assert!(read == stream.len() && room[..made] == *page, "miniz_oxide");

        let room = &mut room[..page.len()];
        room.fill(0);
        let read = self.reader.decompress_prefix(stream, room);
        assert_eq!(read, Ok(stream.len()), "libdeflate");
        assert!(room == page, "libdeflate");
    }

    /// What the model makes of the header alone.
    fn load(&mut self, generation: Generation, tables: &Tables) -> Vec<u8> {
        let ignored = (8 * tables.header.len() - tables.header_bits) as u16;
        let job = Job {
            generation,
            op_flags: op::WRITE_SRC2_AECS | op::AECS_TOGGLE,
            flags: flag::ENABLE | flag::SUPPRESS_OUTPUT | ignored << flag::IGNORE_END_BITS_SHIFT,
            flags2: 0,
            src1: &tables.header,
            aecs: None,
            src2_len: aecs_bytes(generation),
            dst_max: 0,
        };
        let end = self.model.run(&job, &mut self.product);
        assert_eq!(end.status, Status::SUCCESS, "the header");
        let mut aecs = self.product.aecs.clone();
        // Before a token of a block that is not final.
        aecs[layout::STATE..layout::STATE + 4].fill(0);
        aecs
    }

    fn read_by_model(
        &mut self,
        generation: Generation,
        aecs: Option<&[u8]>,
        bytes: &[u8],
        page: &[u8],
    ) {
        let whole = flag::ENABLE | flag::FLUSH | flag::STOP_ON_EOB | flag::CHECK_EOB;
        let job = Job {
            generation,
            op_flags: aecs.map_or(0, |_| op::READ_SRC2_AECS),
            flags: whole | aecs.map_or(flag::SELECT_BFINAL, |_| 0),
            flags2: 0,
            src1: bytes,
            aecs,
            src2_len: aecs.map_or(0, <[u8]>::len),
            dst_max: page.len(),
        };
        let end = self.model.run(&job, &mut self.product);
        assert_eq!(end.status, Status::SUCCESS, "the model: {:?}", end.error);
        assert!(self.product.output == page, "the model");
    }
}

/// Bytes of the tables without a history.
fn aecs_bytes(generation: Generation) -> usize {
    match generation {
        Generation::One => layout::BYTES_NO_HISTORY_1,
        Generation::Two(_) => layout::BYTES_NO_HISTORY_2,
    }
}

/// The input as it is, or as often as a longer page takes, each time a little changed.
fn page(head: &[u8], input: &[u8]) -> Vec<u8> {
    let mut head = Input(head);
    let (kind, longer) = (head.byte(), usize::from(head.u16()));
    let len = match kind % 8 {
        0 if !input.is_empty() => input.len().max(longer % 16384),
        1 if !input.is_empty() => 4096,
        // The longest take their time.
        2 if !input.is_empty() && kind & 0x70 == 0 => 65536,
        _ => input.len(),
    };
    let change = if kind & 0x80 == 0 { 0 } else { kind };
    let mut page = Vec::with_capacity(len + input.len());
    let mut round = 0_u8;
    while page.len() < len {
        page.extend(input.iter().map(|byte| byte ^ round));
        round = round.wrapping_add(change);
    }
    page.truncate(len);
    page
}
