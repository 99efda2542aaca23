//! The formats that pages are stored in.

use core::fmt;
use core::str::FromStr;

/// A compressed page's format. Kept with every page: it is never guessed from
/// the bytes or their length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Codec {
    /// An LZ4 block. The fastest, in software only.
    Lz4 = 1,
    /// A zstd frame without magic number, content size and checksum. The best
    /// ratio, in software only.
    Zstd = 2,
    /// One raw deflate stream with a history of at most 4096 bytes. IAA and
    /// software both read and write it.
    Deflate = 3,
}

impl Codec {
    /// All codecs, in the order of their ids.
    pub const ALL: [Self; 3] = [Self::Lz4, Self::Zstd, Self::Deflate];

    /// A number that stays the same in every release, for callers that store
    /// it beside the page.
    #[must_use]
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// The codec of an [`id`](Self::id), or `None` if no codec has it.
    #[must_use]
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.id() == id)
    }

    /// The name users type and read: `lz4`, `zstd` or `deflate`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
            Self::Deflate => "deflate",
        }
    }

    /// Whether this build can run the codec in software.
    #[must_use]
    pub const fn is_built(self) -> bool {
        match self {
            Self::Lz4 => cfg!(feature = "lz4"),
            Self::Zstd => cfg!(feature = "zstd"),
            Self::Deflate => cfg!(feature = "deflate"),
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No codec has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no codec is called {0:?}; there are lz4, zstd and deflate")]
pub struct UnknownCodec(String);

impl FromStr for Codec {
    type Err = UnknownCodec;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.name() == name)
            .ok_or_else(|| UnknownCodec(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_round_trip() {
        for codec in Codec::ALL {
            assert_eq!(Codec::from_id(codec.id()), Some(codec));
            assert_eq!(codec.name().parse(), Ok(codec));
        }
        assert_eq!(Codec::from_id(0), None);
        assert!("LZ4".parse::<Codec>().is_err());
    }
}
