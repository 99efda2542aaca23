//! Software for what a device did not do: shared by a pool's contexts, and made
//! when it is first needed.

use crate::codec::Codec;
use crate::iaa::{Format, Tables};
use crate::outcome::PageError;
use crate::page::UnitSize;
use crate::sync::{Mutex, lock_soon};
use core::fmt;
use pagepress_fallback::deflate::{DEFAULT_LEVEL, DYNAMIC_LEVEL, Deflate};
use pagepress_fallback::{Corrupt, NotCompressed, PageCodec};

/// Codecs at rest: as many as were ever used at once.
pub(super) struct Share {
    unit: UnitSize,
    accept_limit: usize,
    /// The device's: what software does instead is written alike.
    format: Format,
    idle: Mutex<Vec<Software>>,
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share")
            .field("unit", &self.unit)
            .finish_non_exhaustive()
    }
}

/// A codec with its buffers.
pub(super) struct Software {
    codec: Deflate,
    dst: Box<[u8]>,
    accept_limit: usize,
}

impl Share {
    pub(super) fn new(unit: UnitSize, accept_limit: usize, format: Format) -> Self {
        Self {
            unit,
            accept_limit,
            format,
            idle: Mutex::default(),
        }
    }

    pub(super) fn tables(&self) -> Option<&Tables> {
        match &self.format {
            Format::Canned(tables) => Some(tables),
            Format::Fixed | Format::Dynamic => None,
        }
    }

    pub(super) fn take(&self) -> Result<Software, PageError> {
        let idle = lock_soon(&self.idle).and_then(|mut idle| idle.pop());
        idle.map_or_else(|| self.make(), Ok)
    }

    #[cold]
    fn make(&self) -> Result<Software, PageError> {
        let unit = self.unit.bytes();
        let lacking = PageError::CodecFailed {
            codec: Codec::Deflate,
            reason: "out of memory",
        };
        let codec = match &self.format {
            Format::Fixed => Deflate::new(unit, DEFAULT_LEVEL),
            Format::Dynamic => Deflate::new(unit, DYNAMIC_LEVEL),
            Format::Canned(tables) => Deflate::canned(unit, tables.shared()),
        };
        let codec = codec.ok_or(lacking)?;
        let dst = pagepress_fallback::zeroed(codec.dst_bytes().max(unit)).ok_or(lacking)?;
        Ok(Software {
            dst,
            codec,
            accept_limit: self.accept_limit,
        })
    }

    pub(super) fn give_back(&self, software: Software) {
        if let Some(mut idle) = lock_soon(&self.idle) {
            idle.push(software);
        }
    }
}

impl Software {
    /// Compresses into the own buffer.
    pub(super) fn compress(&mut self, page: &[u8]) -> Result<&[u8], NotCompressed> {
        let len = self
            .codec
            .compress(page, &mut self.dst, self.accept_limit)?;
        Ok(&self.dst[..len])
    }

    /// Decompresses into `page`.
    pub(super) fn decompress(
        &mut self,
        bytes: &[u8],
        canned: bool,
        page: &mut [u8],
    ) -> Result<(), Corrupt> {
        if canned {
            self.codec.decompress_canned(bytes, page)
        } else {
            self.codec.decompress(bytes, page)
        }
    }

    /// As [`decompress`](Self::decompress), into the own buffer.
    pub(super) fn decompress_here(
        &mut self,
        bytes: &[u8],
        canned: bool,
        unit: usize,
    ) -> Result<&[u8], Corrupt> {
        // The buffer is moved out so that the codec can be borrowed with it.
        let mut dst = core::mem::take(&mut self.dst);
        let done = self.decompress(bytes, canned, &mut dst[..unit]);
        self.dst = dst;
        done.map(|()| &self.dst[..unit])
    }

    /// A page's room.
    pub(super) fn room(&mut self, unit: usize) -> &mut [u8] {
        &mut self.dst[..unit]
    }
}
