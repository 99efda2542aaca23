//! A client of the modelled device: one descriptor at a time, by ENQCMD, done
//! when it returns.

#![expect(unsafe_code, reason = "descriptors name memory by address")]

use pagepress_abi::aecs::compress as aecs;
use pagepress_abi::flags::{compress, decompress, op};
use pagepress_abi::{CompletionRecord, Descriptor, Opcode, Status, Submission};
use pagepress_fallback::huffman;
use pagepress_model::device::{Device, Queue};
use pagepress_model::memory::Trusting;
use pagepress_model::profile::{Profile, QueueConfig};

/// A Compress AECS: a block's header and codes.
#[derive(Debug)]
#[repr(align(64))]
pub struct Aecs([u8; aecs::BYTES]);

impl Aecs {
    /// A final block in the fixed code (RFC 1951, 3.2.6).
    #[must_use]
    pub fn fixed() -> Self {
        let length = |symbol| match symbol {
            0..144 | 280.. => 8,
            144..256 => 9,
            _ => 7,
        };
        let lengths: [u8; huffman::SYMBOLS_MAX] = core::array::from_fn(length);
        let mut aecs = Self::with_codes(&lengths, &[5; huffman::DISTANCES]);
        aecs.0[aecs::ACCUMULATOR_BITS] = 3;
        aecs.0[aecs::ACCUMULATOR] = 0b011;
        aecs
    }

    /// A final block in the best code for this histogram.
    #[must_use]
    pub fn dynamic(histogram: &[u8]) -> Self {
        let count = |at: usize| {
            let word = histogram[at..].first_chunk().expect("a whole histogram");
            u32::from_le_bytes(*word)
        };
        let literals: [u32; huffman::LITERALS] = core::array::from_fn(|i| count(4 * i));
        let distances: [u32; huffman::DISTANCES] =
            core::array::from_fn(|i| count(aecs::HISTOGRAM_DISTANCES + 4 * i));
        let mut literal_lengths = [0; huffman::LITERALS];
        let mut distance_lengths = [0; huffman::DISTANCES];
        let most = huffman::CODE_BITS_MAX;
        huffman::code_lengths(&literals, most, &mut literal_lengths);
        huffman::code_lengths(&distances, most, &mut distance_lengths);
        let mut aecs = Self::with_codes(&literal_lengths, &distance_lengths);
        let mut bits = 0;
        let header = huffman::Header::new(&literal_lengths, &distance_lengths);
        header.write(true, |value, count| {
            for bit in 0..count {
                aecs.0[aecs::ACCUMULATOR + bits / 8] |= ((value >> bit & 1) as u8) << (bits % 8);
                bits += 1;
            }
        });
        aecs.put(aecs::ACCUMULATOR_BITS, bits as u32);
        aecs
    }

    /// With the canonical codes of these lengths.
    fn with_codes(literals: &[u8], distances: &[u8]) -> Self {
        let mut aecs = Self([0; aecs::BYTES]);
        let mut codes = [0; huffman::SYMBOLS_MAX];
        for (at, lengths, used) in [
            (aecs::LITERALS, literals, huffman::LITERALS),
            (aecs::DISTANCES, distances, huffman::DISTANCES),
        ] {
            huffman::canonical_codes(lengths, &mut codes);
            for (i, (&code, &len)) in codes.iter().zip(lengths).take(used).enumerate() {
                let dword = aecs::code_dword(u32::from(code), u32::from(len));
                aecs.put(at + 4 * i, dword);
            }
        }
        aecs
    }

    fn put(&mut self, at: usize, dword: u32) {
        self.0[at..at + 4].copy_from_slice(&dword.to_le_bytes());
    }
}

/// A histogram, as statistics mode writes it.
pub type Histogram = [u8; aecs::HISTOGRAM_BYTES];

/// Room for one.
pub const NO_COUNTS: Histogram = [0; aecs::HISTOGRAM_BYTES];

/// A shared queue of a device of its own, and a completion record.
#[derive(Debug)]
pub struct Client {
    queue: Queue,
    record: Box<CompletionRecord>,
}

impl Client {
    /// A client of a new device.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        let device = Device::new(profile, Trusting, &[QueueConfig::shared(16)]);
        Self {
            queue: device.expect("a plain configuration").queue(0),
            record: Box::default(),
        }
    }

    /// Compresses with the codes of an AECS; the bytes written, or `None` if
    /// they do not fit.
    pub fn compress(&mut self, aecs: &Aecs, src: &[u8], dst: &mut [u8]) -> Option<usize> {
        let flags = compress::FLUSH | compress::END_EOB;
        self.submit(Opcode::COMPRESS, flags, Some(aecs), src, dst)
    }

    /// Compresses with codes that the device finds (generation 2).
    pub fn compress_one_pass(&mut self, src: &[u8], dst: &mut [u8]) -> Option<usize> {
        /// One pass, with the header of a final block.
        const HEADER: u16 = 3 << compress::HEADER_GEN_SHIFT;
        let flags = compress::FLUSH | compress::END_EOB | HEADER;
        self.submit(Opcode::COMPRESS, flags, None, src, dst)
    }

    /// Counts the symbols that compressing would write.
    pub fn statistics(&mut self, src: &[u8], dst: &mut Histogram) -> Option<usize> {
        let flags = compress::STATISTICS | compress::END_EOB;
        self.submit(Opcode::COMPRESS, flags, None, src, dst)
    }

    /// Decompresses; the bytes written, or `None` on any error.
    pub fn decompress(&mut self, src: &[u8], dst: &mut [u8]) -> Option<usize> {
        let flags = decompress::ENABLE
            | decompress::FLUSH
            | decompress::STOP_ON_EOB
            | decompress::CHECK_EOB
            | decompress::SELECT_BFINAL;
        self.submit(Opcode::DECOMPRESS, flags, None, src, dst)
    }

    fn submit(
        &mut self,
        opcode: Opcode,
        flags: u16,
        aecs: Option<&Aecs>,
        src: &[u8],
        dst: &mut [u8],
    ) -> Option<usize> {
        self.record.clear();
        let mut descriptor = Descriptor::new(opcode, op::CRAV | op::RCR);
        descriptor.completion = self.record.as_ptr().expose_provenance() as u64;
        descriptor.flags = flags;
        descriptor.src1 = src.as_ptr().expose_provenance() as u64;
        descriptor.src1_len = src.len() as u32;
        descriptor.dst = dst.as_mut_ptr().expose_provenance() as u64;
        descriptor.dst_max = dst.len() as u32;
        if let Some(aecs) = aecs {
            descriptor.opcode_flags |= op::READ_SRC2_AECS;
            descriptor.src2 = aecs.0.as_ptr().expose_provenance() as u64;
            descriptor.src2_len = aecs::BYTES as u32;
        }
        // SAFETY: all that the descriptor names is borrowed or owned here, and
        // touched by nobody else until the model is done, which it is when
        // this returns.
        let submission = unsafe { self.queue.enqcmd(&descriptor.to_bytes()) };
        assert_eq!(submission, Submission::Accepted);
        assert!(self.record.poll().is_some());
        let completion = self.record.read();
        (completion.status() == Status::SUCCESS).then_some(completion.output_size as usize)
    }
}
