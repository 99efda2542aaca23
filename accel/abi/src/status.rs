//! Status codes, error codes, and the errors that only registers report.

use core::fmt;

macro_rules! codes {
    (
        $(#[$of:meta])* $name:ident, $kind:literal;
        $($(#[$doc:meta])* $code:ident = $value:literal: $text:literal;)*
    ) => {
        $(#[$of])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u8);

        impl $name {
            $($(#[$doc])* #[doc = concat!("`", stringify!($value), "`: ", $text, ".")]
            pub const $code: Self = Self($value);)*

            /// All that have a name here, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$code),*];

            /// What it means, or `None` for a number without a meaning here.
            #[must_use]
            pub const fn meaning(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($kind, " {:#04x}: {}"), self.0,
                    self.meaning().unwrap_or("unknown"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#04x})"), self.0)
            }
        }
    };
}

codes! {
    /// Bits 5:0 of a completion record's first byte (IAA table 4-7, DSA table
    /// 5-6).
    Status, "status";
    NOT_YET = 0x00: "not completed yet";
    SUCCESS = 0x01: "success";
    PAGE_FAULT = 0x03: "page fault, and the descriptor did not ask to wait for it";
    PAGE_FAULT_UNRESOLVED = 0x04: "page fault that the system could not resolve";
    ANALYTICS_ERROR = 0x0A: "error in the data, see the error code";
    OUTPUT_OVERFLOW = 0x0B: "the output buffer is full, the operation can be continued";
    BAD_OPCODE = 0x10: "unsupported operation";
    BAD_OP_FLAGS = 0x11: "invalid operation flags";
    BAD_RESERVED = 0x12: "non-zero reserved field";
    BAD_SIZE = 0x13: "invalid transfer size";
    OVERLAP = 0x16: "overlapping buffers";
    BAD_INTERRUPT_HANDLE = 0x19: "invalid completion interrupt handle";
    CR_FAULT = 0x1A: "page fault on the completion record";
    CR_MISALIGNED = 0x1B: "completion record not aligned to 64 bytes";
    BAD_ALIGNMENT = 0x1C: "AECS address or size not a multiple of 32";
    BAD_PRIVILEGE = 0x1D: "privileged descriptor where none is allowed";
    TRAFFIC_CLASS = 0x1E: "traffic class configuration conflict";
    READBACK_FAULT = 0x1F: "page fault on a drain's readback address";
    HARDWARE_ERROR = 0x20: "hardware error";
    HARDWARE_WRITE_ERROR = 0x21: "hardware error on a write";
    TRANSLATION_ERROR = 0x22: "address translation error";
    PAGE_REQUEST_TIMEOUT = 0x23: "no answer to a page request in time";
    WATCHDOG = 0x24: "no progress, the watchdog expired";
    BAD_FLAGS = 0x30: "invalid flags in bytes 38 and 39";
    BAD_FLAGS2 = 0x31: "invalid flags in bytes 56 to 59";
    BAD_BE16_SIZE = 0x32: "odd source size for 16-bit big-endian input";
    NO_ELEMENTS = 0x33: "no input elements";
    BAD_WIDTH = 0x34: "invalid source width";
    BAD_INVERT = 0x35: "inverted output of something that is no bit vector";
}

impl Status {
    /// The bits of a completion record's first byte that are the status.
    pub const MASK: u8 = 0x3F;
    /// The bit of that byte that marks a page fault as one on a write.
    pub const WRITE_FAULT: u8 = 0x80;

    /// The status in a completion record's first byte.
    #[must_use]
    pub const fn of(byte: u8) -> Self {
        Self(byte & Self::MASK)
    }
}

codes! {
    /// A completion record's second byte when its status is
    /// [`Status::ANALYTICS_ERROR`] (IAA table 4-8).
    ErrorCode, "error";
    HEADER_TOO_LARGE = 0x01: "deflate header too large to be saved";
    BAD_CL_CODE = 0x02: "undefined code-length code";
    FIRST_LL_REPEATS = 0x03: "the first literal/length code length is a repeat";
    FIRST_D_REPEATS = 0x04: "the first distance code length is a repeat";
    NO_LL_CODE = 0x05: "no literal/length code at all";
    WRONG_LL_COUNT = 0x06: "wrong number of literal/length codes";
    WRONG_D_COUNT = 0x07: "wrong number of distance codes";
    BAD_CL_LENGTHS = 0x08: "impossible code-length code lengths";
    BAD_LL_LENGTHS = 0x09: "impossible literal/length code lengths";
    BAD_D_LENGTHS = 0x0A: "impossible distance code lengths";
    BAD_LL_CODE = 0x0B: "undefined literal/length code";
    BAD_D_CODE = 0x0C: "undefined distance code";
    BAD_BLOCK_TYPE = 0x0D: "block type 3";
    BAD_STORED_LENGTH = 0x0E: "stored block length does not match its complement";
    BAD_END = 0x0F: "the input does not end at the end of a block";
    BAD_LENGTH = 0x10: "match length of 0 or above 258";
    BAD_DISTANCE = 0x11: "match distance of 0 or above the history";
    DISTANCE_BEFORE_START = 0x12: "match before the start of the data";
    NO_PROGRESS = 0x13: "no progress";
    BAD_PRLE = 0x14: "bad Parquet run-length format";
    FILTER_OVERFLOW = 0x15: "filter word overflow";
    BAD_AECS = 0x16: "impossible value in the AECS";
    SRC1_TOO_SMALL = 0x17: "source 1 too small";
    SRC2_TOO_SMALL = 0x18: "source 2 too small";
    OVERFLOW = 0x19: "the output does not fit and cannot be continued";
    DISTANCE_SPANS = 0x1A: "match distance reaches over a mini-block";
    LENGTH_SPANS = 0x1B: "match length reaches over a mini-block";
    BAD_BLOCK_SIZE = 0x1C: "invalid mini-block size";
    VERIFY_FAILED = 0x1D: "the device's own check failed";
    ZERO_LENGTH_CODE = 0x1E: "a token without a Huffman code";
    BAD_PRLE_WIDTH = 0x1F: "bad Parquet run-length width";
    TOO_FEW_ELEMENTS = 0x20: "too few elements";
    BAD_RLE_COUNT = 0x21: "invalid run-length count";
    BAD_ZERO_HEADER = 0x22: "invalid zero-decompress header";
    HLIT_TOO_LARGE = 0x23: "more than 286 literal/length codes";
    HDIST_TOO_LARGE = 0x24: "more than 30 distance codes";
    ADMINISTRATIVE_TIMEOUT = 0x25: "administrative timeout, to be submitted again";
    BAD_CRYPTO_FLAG = 0x26: "invalid crypto flag";
    BAD_CRYPTO_SIZE = 0x27: "invalid crypto size";
    INPUT_TOO_LARGE = 0x28: "more than 4096 bytes for one-pass header generation";
    EARLY_ABORT = 0x29: "given up early, the data does not compress";
    NO_HEADER_POSSIBLE = 0x2A: "too few literal/length codes for a deflate header";
    BAD_LINKING = 0x2B: "invalid linking of compressions with an index";
    HEADER_TOO_LONG = 0x2C: "the deflate header does not fit the accumulator";
    BAD_AECS_FORMAT = 0x2D: "an AECS of format 1 on a device of generation 2";
    BAD_STATE = 0x2E: "inconsistent state in the AECS";
}

codes! {
    /// The error code of SWERROR, for what no completion record can say (DSA
    /// table 5-7, and the statuses that go there instead).
    SwError, "software error";
    CR_FAULT = 0x1A: "page fault on a completion record";
    CR_MISALIGNED = 0x1B: "completion record not aligned to 64 bytes";
    BAD_PRIVILEGE = 0x1D: "privileged descriptor where none is allowed";
    CONFIGURATION_CHANGED = 0x51: "illegal change of the PCI configuration";
    COMMAND_WHILE_ACTIVE = 0x52: "command while another one was active";
    QUEUE_FULL = 0x53: "descriptor dropped, the dedicated queue was full";
    EVENT_LOG_FULL = 0x54: "no room in the event log";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_say_what_they_mean() {
        assert_eq!(Status::of(0x83), Status::PAGE_FAULT);
        assert_eq!(Status(0x02).meaning(), None);
        assert_eq!(
            ErrorCode::OVERFLOW.to_string(),
            "error 0x19: the output does not fit and cannot be continued"
        );
        assert!(ErrorCode::ALL.is_sorted() && Status::ALL.is_sorted());
    }
}
