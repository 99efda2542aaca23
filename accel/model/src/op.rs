//! What the engines take and give: one operation on data, its memory already
//! read and its flags already checked.

use pagepress_abi::{ErrorCode, IaaCap, Status};

/// Which generation of the device an operation runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// Sapphire Rapids, Emerald Rapids.
    One,
    /// Granite Rapids, Sierra Forest, with what their capability word says.
    Two(IaaCap),
}

impl Generation {
    /// Whether the device has all of these capabilities.
    #[must_use]
    pub fn has(self, cap: IaaCap) -> bool {
        match self {
            Self::One => false,
            Self::Two(caps) => caps.has(cap),
        }
    }
}

/// One Compress, Decompress or CRC64.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The device's generation.
    pub generation: Generation,
    /// Operation flags, bits 23:0 of the dword at 4.
    pub op_flags: u32,
    /// Operation-specific flags at 38.
    pub flags: u16,
    /// Compression-2 flags at 56.
    pub flags2: u32,
    /// The bytes of source 1.
    pub src1: &'a [u8],
    /// The bytes of the AECS that is read: the half that the toggle selects,
    /// all `src2_len` bytes of it. `None` if source 2 is not read.
    pub aecs: Option<&'a [u8]>,
    /// Bytes of source 2: the most that an AECS written back may have.
    pub src2_len: usize,
    /// The most bytes the output may have.
    pub dst_max: usize,
}

/// What an operation makes, in buffers that are kept from job to job.
#[derive(Debug, Default)]
pub struct Product {
    /// For the destination.
    pub output: Vec<u8>,
    /// For the AECS half that is written; empty if none is.
    pub aecs: Vec<u8>,
}

/// How an operation ended: what its completion record will say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Success, an error in the data, or an output overflow.
    pub status: Status,
    /// The error code, 0 unless the status is [`Status::ANALYTICS_ERROR`].
    pub error: ErrorCode,
    /// Bytes of source 1 consumed, on a Decompress overflow; else 0.
    pub bytes_completed: u32,
    /// Valid bits of the last output byte (word for BE16), 0 for all.
    pub output_bits: u8,
    /// CRC-32 of the data.
    pub crc: u32,
    /// XOR of the data's 16-bit words.
    pub xor: u16,
}

impl End {
    /// Success with these checksums.
    #[must_use]
    pub fn success(crc: u32, xor: u16, output_bits: u8) -> Self {
        Self {
            status: Status::SUCCESS,
            error: ErrorCode(0),
            bytes_completed: 0,
            output_bits,
            crc,
            xor,
        }
    }

    /// An error in the data.
    #[must_use]
    pub fn error(error: ErrorCode) -> Self {
        Self {
            status: Status::ANALYTICS_ERROR,
            error,
            bytes_completed: 0,
            output_bits: 0,
            crc: 0,
            xor: 0,
        }
    }
}
