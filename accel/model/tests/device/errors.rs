//! For each error in the data, data that has it.

use super::client::Client;
use super::codes::{BOTH, Case, GEN1, GEN2};
use pagepress_abi::aecs::{compress as compress_aecs, decompress as decompress_aecs};
use pagepress_abi::flags::{compress, compress2, decompress, op};
use pagepress_abi::{Descriptor, ErrorCode, IaaCap, Opcode, Status};
use pagepress_model::profile::Profile;

const DROPS_BITS: &[Profile] = &[Profile::gen2(IaaCap::GEN2.with(IaaCap::DROP_BITS))];

fn case(
    error: ErrorCode,
    how: &'static str,
    on: &'static [Profile],
    opcode: Opcode,
    change: impl Fn(&mut Client, &mut Descriptor) + 'static,
) -> Case {
    let mut case = Case::new(how, on, opcode, Status::ANALYTICS_ERROR, change);
    case.expected.error = error.0;
    case
}

/// Source 2 is read as this AECS.
fn read_aecs(client: &mut Client, d: &mut Descriptor, aecs: &[u8]) {
    client.put_aecs(d, aecs);
    d.opcode_flags |= op::READ_SRC2_AECS;
}

/// A Decompress AECS before the first header: format 1 or 2, and these bytes.
fn decompress_aecs(format: u8, bytes: &[(usize, u8)]) -> Vec<u8> {
    let mut aecs = vec![0; decompress_aecs::BYTES];
    aecs[decompress_aecs::OUTPUT_BITS] = format - 1;
    aecs[decompress_aecs::FORMAT] = format - 1;
    aecs[decompress_aecs::STATE] = decompress_aecs::state::HEADER as u8;
    for &(at, byte) in bytes {
        aecs[at] = byte;
    }
    aecs
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = streams();
    cases.extend(decompress_states());
    cases.extend(compressions());
    cases
}

/// Streams that no AECS is needed for.
fn streams() -> Vec<Case> {
    use ErrorCode as E;
    let s = Stream::default;
    let two = some(257, &[(0, 1), (256, 1)]);
    let streams = [
        (
            E::BAD_CL_CODE,
            "one code-length code, the other one used",
            // In the order 16 17 18 0: only 0 has a code.
            s().block(2)
                .counts(257, 1, 4)
                .bits(0, 9)
                .bits(1, 3)
                .bits(!0, 32),
        ),
        (
            E::FIRST_LL_REPEATS,
            "16 comes first",
            s().plain_dynamic(257, 1).code(16, 5).bits(0, 2),
        ),
        (
            E::FIRST_D_REPEATS,
            "16 comes first",
            s().plain_dynamic(257, 4)
                .lengths(&two)
                .code(16, 5)
                .bits(0, 2),
        ),
        (
            E::NO_LL_CODE,
            "all lengths are 0",
            s().plain_dynamic(257, 1).lengths(&[0; 258]),
        ),
        (
            E::WRONG_LL_COUNT,
            "a repeat runs into the distances",
            s().plain_dynamic(257, 3)
                .lengths(&[8; 256])
                .code(16, 5)
                .bits(0, 2)
                .lengths(&[1]),
        ),
        (
            E::WRONG_D_COUNT,
            "a repeat runs over the end",
            s().plain_dynamic(257, 3)
                .lengths(&two)
                .lengths(&[2])
                .code(16, 5)
                .bits(0, 2),
        ),
        (
            E::BAD_CL_LENGTHS,
            "three codes of one bit",
            s().block(2).counts(257, 1, 4).bits(0o111, 12).bits(0, 32),
        ),
        (
            E::BAD_LL_LENGTHS,
            "1, 1 and 2 bits",
            s().plain_dynamic(257, 1)
                .lengths(&some(257, &[(0, 1), (1, 1), (256, 2)]))
                .lengths(&[0]),
        ),
        (
            E::BAD_D_LENGTHS,
            "three codes of one bit",
            s().plain_dynamic(257, 3).lengths(&two).lengths(&[1, 1, 1]),
        ),
        (
            E::BAD_LL_CODE,
            "286 in a fixed block",
            s().block(1).fixed(286).bits(0, 32),
        ),
        (
            E::BAD_D_CODE,
            "30 in a fixed block",
            s().block(1).fixed(97).fixed(257).code(30, 5).bits(0, 32),
        ),
        (E::BAD_BLOCK_TYPE, "type 3", s().block(3).bits(0, 32)),
        (
            E::BAD_STORED_LENGTH,
            "1 and its complement with another 0",
            s().block(0).bits(0, 5).bits(1, 16).bits(!0, 16).bits(0, 8),
        ),
        (
            E::BAD_END,
            "a fixed block without an end",
            s().block(1).fixed(97),
        ),
        (
            E::BAD_DISTANCE,
            "4097, after 5000 bytes",
            (0..5000)
                .fold(s().block(1), |s, i| s.fixed(i % 7))
                .fixed(257)
                .code(24, 5)
                .bits(0, 11)
                .bits(0, 32),
        ),
        (
            E::DISTANCE_BEFORE_START,
            "2, after one byte",
            s().block(1).fixed(97).fixed(257).code(1, 5).bits(0, 32),
        ),
        (
            E::HLIT_TOO_LARGE,
            "287",
            s().plain_dynamic(287, 1).bits(0, 32),
        ),
        (
            E::HDIST_TOO_LARGE,
            "31",
            s().plain_dynamic(286, 31).bits(0, 32),
        ),
    ];
    streams
        .into_iter()
        .map(|(error, how, Stream { bytes, .. })| {
            case(error, how, BOTH, Opcode::DECOMPRESS, move |client, d| {
                client.put_source(d, &bytes);
                d.dst_max = 8192;
            })
        })
        .collect()
}

/// What is about an AECS, or about mini-blocks.
fn decompress_states() -> Vec<Case> {
    use ErrorCode as E;
    use decompress_aecs as at;
    let decompress = |error, how, on, change: fn(&mut Client, &mut Descriptor)| {
        case(error, how, on, Opcode::DECOMPRESS, change)
    };
    fn mini_blocks(client: &mut Client, d: &mut Descriptor, stream: &Stream) {
        client.put_source(d, &stream.bytes);
        d.flags |= decompress::SUPPRESS_OUTPUT | 1 << decompress::INDEXING_SHIFT;
    }
    fn literals(count: u32) -> Stream {
        (0..count).fold(Stream::default().block(1), |s, _| s.fixed(97))
    }
    vec![
        decompress(
            E::HEADER_TOO_LARGE,
            "2244 bits of a header, the rest to come",
            BOTH,
            |client, d| {
                let header = Stream::default().block(2).counts(286, 30, 19);
                let header = (0..19).fold(header, |s, _| s.bits(7, 3));
                let header = (0..310).fold(header, |s, _| s.code(8, 7));
                client.put_source(d, &header.bytes);
                d.flags = decompress::ENABLE;
                d.opcode_flags |= op::WRITE_SRC2_AECS;
                client.put_aecs(d, &[0; at::BYTES]);
            },
        ),
        decompress(
            E::BAD_AECS,
            "64 bits in an output accumulator of 56",
            GEN1,
            |client, d| read_aecs(client, d, &decompress_aecs(1, &[(at::OUTPUT_BITS, 64)])),
        ),
        decompress(
            E::BAD_AECS,
            "format 2 on generation 1",
            GEN1,
            |client, d| read_aecs(client, d, &decompress_aecs(2, &[])),
        ),
        decompress(
            E::SRC1_TOO_SMALL,
            "9 bits to drop of a byte",
            DROPS_BITS,
            |client, d| {
                client.put_source(d, &[0]);
                read_aecs(client, d, &decompress_aecs(2, &[(at::DROP_BITS, 9)]));
            },
        ),
        decompress(
            E::BAD_AECS_FORMAT,
            "format 1 on generation 2",
            GEN2,
            |client, d| read_aecs(client, d, &decompress_aecs(1, &[])),
        ),
        decompress(
            E::BAD_STATE,
            "in a stored block with no bytes left",
            GEN1,
            |client, d| {
                let state = at::state::STORED as u8;
                read_aecs(client, d, &decompress_aecs(1, &[(at::STATE, state)]));
            },
        ),
        decompress(
            E::DISTANCE_SPANS,
            "a match at the start of a mini-block",
            BOTH,
            |client, d| mini_blocks(client, d, &literals(512).fixed(257).bits(0, 64)),
        ),
        decompress(
            E::LENGTH_SPANS,
            "3 bytes where a mini-block lacks 2",
            BOTH,
            |client, d| mini_blocks(client, d, &literals(510).fixed(257).bits(0, 64)),
        ),
        decompress(
            E::BAD_BLOCK_SIZE,
            "a block of 100 bytes, and another one",
            BOTH,
            |client, d| {
                let first =
                    (0..100).fold(Stream::default().bits(0, 1).bits(1, 2), |s, i| s.fixed(i));
                mini_blocks(client, d, &first.fixed(256).block(1).fixed(97).fixed(256));
            },
        ),
    ]
}

fn compressions() -> Vec<Case> {
    use ErrorCode as E;
    use compress_aecs as at;
    let compress = |error, how, on, change: fn(&mut Client, &mut Descriptor)| {
        case(error, how, on, Opcode::COMPRESS, change)
    };
    /// The device makes the header, from no AECS.
    fn generate(d: &mut Descriptor, field: u16, flags: u16) {
        d.flags = field << compress::HEADER_GEN_SHIFT | flags;
        d.opcode_flags &= !op::READ_SRC2;
        (d.src2, d.src2_len) = (0, 0);
    }
    fn bits(client: &Client, bits: u32) {
        client.put_in_aecs(at::ACCUMULATOR_BITS, &bits.to_le_bytes());
    }
    vec![
        compress(
            E::BAD_AECS,
            "2049 bits in an accumulator of 2048",
            BOTH,
            |client, _| bits(client, 2049),
        ),
        compress(
            E::BAD_AECS,
            "a code larger than its length",
            BOTH,
            |client, _| {
                let code = at::code_dword(0b100, 2).to_le_bytes();
                client.put_in_aecs(at::DISTANCES, &code);
            },
        ),
        compress(E::OVERFLOW, "10 bytes of room for a page", BOTH, |_, d| {
            d.dst_max = 10
        }),
        compress(
            E::OVERFLOW,
            "1279 bytes of room for a histogram",
            BOTH,
            |_, d| {
                generate(d, 0, compress::STATISTICS);
                d.dst_max = 1279;
            },
        ),
        compress(
            E::ZERO_LENGTH_CODE,
            "a literal that has none",
            BOTH,
            |client, _| {
                // The source is text.
                client.put_in_aecs(at::LITERALS + 4 * usize::from(b'e'), &[0; 4]);
            },
        ),
        compress(
            E::ZERO_LENGTH_CODE,
            "the end of block has none",
            BOTH,
            |client, _| client.put_in_aecs(at::LITERALS + 4 * 256, &[0; 4]),
        ),
        compress(
            E::INPUT_TOO_LARGE,
            "4097 bytes in one pass",
            GEN2,
            |client, d| {
                client.put_source(d, &[7; 4097]);
                generate(d, 3, compress::FLUSH | compress::END_EOB);
            },
        ),
        compress(
            E::EARLY_ABORT,
            "noise, an eighth to be saved",
            GEN2,
            |client, d| {
                client.put_source(d, &noise());
                d.flags2 = 1 << compress2::EARLY_ABORT_SHIFT;
            },
        ),
        compress(
            E::NO_HEADER_POSSIBLE,
            "literals without an end of block",
            GEN2,
            |_, d| generate(d, 2, compress::FLUSH | compress::ALL_LITERALS),
        ),
        compress(
            E::BAD_LINKING,
            "an index after the last descriptor",
            GEN2,
            |client, d| {
                bits(client, 1 << 31);
                d.flags |= 1 << compress::INDEXING_SHIFT;
            },
        ),
        compress(
            E::HEADER_TOO_LONG,
            "2047 bits before the header",
            GEN2,
            |client, d| {
                bits(client, 2047);
                d.flags |= 3 << compress::HEADER_GEN_SHIFT;
            },
        ),
    ]
}

fn noise() -> Vec<u8> {
    let mut state = 1u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..4096).map(|_| byte()).collect()
}

/// Lengths that are 0 but for these.
fn some(len: usize, set: &[(usize, u8)]) -> Vec<u8> {
    let mut lengths = vec![0; len];
    for &(symbol, bits) in set {
        lengths[symbol] = bits;
    }
    lengths
}

/// A deflate stream by hand, of final blocks.
#[derive(Default)]
struct Stream {
    bytes: Vec<u8>,
    len: usize,
}

impl Stream {
    /// A value, lowest bit first.
    fn bits(mut self, value: u64, count: usize) -> Self {
        for i in 0..count {
            if self.len % 8 == 0 {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().expect("pushed") |= ((value >> i & 1) as u8) << (self.len % 8);
            self.len += 1;
        }
        self
    }

    /// A Huffman code, highest bit first.
    fn code(self, code: u32, count: usize) -> Self {
        let bits = (0..count).rev();
        bits.fold(self, |s, i| s.bits(u64::from(code >> i & 1), 1))
    }

    fn block(self, kind: u64) -> Self {
        self.bits(1, 1).bits(kind, 2)
    }

    /// A literal/length symbol in the fixed code.
    fn fixed(self, symbol: u32) -> Self {
        match symbol {
            0..144 => self.code(0x30 + symbol, 8),
            144..256 => self.code(0x190 + symbol - 144, 9),
            256..280 => self.code(symbol - 256, 7),
            _ => self.code(0xC0 + symbol - 280, 8),
        }
    }

    /// The counts of a dynamic header.
    fn counts(self, literals: u64, distances: u64, code_lengths: u64) -> Self {
        let counts = self.bits(literals - 257, 5).bits(distances - 1, 5);
        counts.bits(code_lengths - 4, 4)
    }

    /// A dynamic header up to the lengths, whose code has five bits for each
    /// symbol from 0 to 18, so that a symbol is its own code.
    fn plain_dynamic(self, literals: u64, distances: u64) -> Self {
        let head = self.block(2).counts(literals, distances, 19);
        (0..19).fold(head, |s, _| s.bits(5, 3))
    }

    fn lengths(self, lengths: &[u8]) -> Self {
        lengths.iter().fold(self, |s, &l| s.code(l.into(), 5))
    }
}
