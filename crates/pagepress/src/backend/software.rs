//! The software codecs as a backend: one dst buffer per context, one page at a
//! time.

use crate::backend::{checked_room, deliver_raw};
use crate::codec::Codec;
use crate::compressor::{
    CompressDelivery, Compressor, ContextMemory, DecompressDelivery, Decompressed, Provider,
    Screened, screen,
};
use crate::error::Error;
use crate::outcome::{Compressed, PageError, PerformedBy, Stored};
use crate::page::{self, Pages, UnitSize};
use crate::report::FallbackReason;
use crate::tables::Tables;
use core::num::NonZeroU32;
use core::ops::{ControlFlow, RangeInclusive};
use pagepress_fallback::{NotCompressed, PageCodec};

/// What all contexts of a software pool have in common.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) codec: Codec,
    pub(crate) level: Option<i32>,
    pub(crate) unit: UnitSize,
    pub(crate) accept_limit: usize,
    pub(crate) dictionary: Option<Box<[u8]>>,
    pub(crate) tables: Option<Tables>,
    /// Why software does what a device was meant to do, if one was.
    pub(crate) fallback: Option<FallbackReason>,
}

/// Makes software contexts.
#[derive(Debug)]
pub(crate) struct Software {
    settings: Settings,
}

impl Software {
    /// Checks the settings that only a codec can judge.
    pub(crate) fn new(settings: Settings) -> Result<Self, Error> {
        let codec = settings.codec;
        if !codec.is_built() {
            return Err(Error::NotBuilt { codec });
        }
        if settings.dictionary.is_some() && codec != Codec::Zstd {
            return Err(Error::Dictionary { codec });
        }
        if settings.tables.is_some() && codec != Codec::Deflate {
            return Err(Error::Tables { codec });
        }
        if let (Some(level), Some(_)) = (settings.level, &settings.tables) {
            let known = "with tables it has none";
            return Err(Error::Level {
                codec,
                level,
                known,
            });
        }
        if let Some(level) = settings.level {
            let (levels, known) = levels(codec);
            if !levels.contains(&level) {
                return Err(Error::Level {
                    codec,
                    level,
                    known,
                });
            }
        }
        Ok(Self { settings })
    }
}

/// The levels of a codec, also in words.
fn levels(codec: Codec) -> (RangeInclusive<i32>, &'static str) {
    match codec {
        #[cfg(feature = "zstd")]
        Codec::Zstd => (pagepress_fallback::zstd::LEVELS, "it has -7 to 19"),
        #[cfg(feature = "deflate")]
        Codec::Deflate => (
            pagepress_fallback::deflate::LEVELS,
            "it has 1 to 9 (1: fixed codes, 2: codes of each page, 3 on: zlib's)",
        ),
        _ => (1..=1, "it has one, 1"),
    }
}

impl Provider for Software {
    fn name(&self) -> &str {
        "software"
    }

    fn codec(&self) -> Codec {
        self.settings.codec
    }

    fn unit_size(&self) -> UnitSize {
        self.settings.unit
    }

    fn make_context(&self, _cpu: usize) -> Result<Box<dyn Compressor>, String> {
        let settings = &self.settings;
        #[cfg_attr(
            not(any(feature = "zstd", feature = "deflate")),
            expect(unused_variables)
        )]
        let (unit, level) = (settings.unit.bytes(), settings.level);
        match settings.codec {
            #[cfg(feature = "lz4")]
            Codec::Lz4 => {
                let codec = pagepress_fallback::lz4::Lz4::new(unit).ok_or("lz4: out of memory")?;
                Context::boxed(codec, settings)
            }
            #[cfg(feature = "zstd")]
            Codec::Zstd => {
                use pagepress_fallback::zstd::{DEFAULT_LEVEL, Zstd};
                let dictionary = settings.dictionary.as_deref();
                let codec = Zstd::new(unit, level.unwrap_or(DEFAULT_LEVEL), dictionary)?;
                Context::boxed(codec, settings)
            }
            #[cfg(feature = "deflate")]
            Codec::Deflate => {
                use pagepress_fallback::deflate::{DEFAULT_LEVEL, Deflate};
                let codec = match &settings.tables {
                    Some(tables) => Deflate::canned(unit, tables.shared()),
                    None => Deflate::new(unit, level.unwrap_or(DEFAULT_LEVEL)),
                };
                Context::boxed(codec.ok_or("deflate: out of memory")?, settings)
            }
            #[cfg(not(all(feature = "lz4", feature = "zstd", feature = "deflate")))]
            codec => Err(Error::NotBuilt { codec }.to_string()),
        }
    }
}

/// One CPU's codec and dst buffer.
struct Context<C> {
    codec: C,
    id: Codec,
    /// Of the tables that it compresses with.
    tables: Option<NonZeroU32>,
    unit: UnitSize,
    accept_limit: usize,
    fallback: Option<FallbackReason>,
    dst: Box<[u8]>,
}

impl<C: PageCodec + 'static> Context<C> {
    fn boxed(codec: C, settings: &Settings) -> Result<Box<dyn Compressor>, String> {
        let dst = codec.dst_bytes().max(settings.unit.bytes());
        let dst = pagepress_fallback::zeroed(dst).ok_or("out of memory for its dst buffer")?;
        Ok(Box::new(Self {
            codec,
            id: settings.codec,
            tables: settings.tables.as_ref().map(Tables::id),
            unit: settings.unit,
            accept_limit: settings.accept_limit,
            fallback: settings.fallback,
            dst,
        }))
    }

    fn compress_page(
        &mut self,
        index: usize,
        page: &[u8],
        delivery: &mut CompressDelivery<'_>,
    ) -> ControlFlow<()> {
        match screen(page, self.unit) {
            Ok(Screened::NeedsCodec) => {}
            Ok(Screened::SameFilled(word)) => return delivery.same_filled(index, word),
            Err(error) => return delivery.failed(index, error),
        }
        let result = self.codec.compress(page, &mut self.dst, self.accept_limit);
        if let (Some(reason), Ok(_) | Err(NotCompressed::Incompressible)) = (self.fallback, result)
        {
            delivery.fell_back(reason);
        }
        match result {
            Ok(len) => {
                let page = Compressed::new(self.id, &self.dst[..len]).with_tables(self.tables);
                delivery.compressed(index, page, PerformedBy::Software)
            }
            Err(NotCompressed::Incompressible) => {
                delivery.incompressible(index, PerformedBy::Software)
            }
            Err(NotCompressed::Failed(reason)) => delivery.failed(
                index,
                PageError::CodecFailed {
                    codec: self.id,
                    reason,
                },
            ),
        }
    }

    fn decompress_page(
        &mut self,
        index: usize,
        stored: &Stored<'_>,
        delivery: &mut DecompressDelivery<'_>,
    ) -> ControlFlow<()> {
        let unit = self.unit.bytes();
        let room = match checked_room(index, stored, self.id, unit, delivery) {
            Ok(room) => room,
            Err(error) => return delivery.failed(index, error),
        };
        let in_room = room.is_some();
        match *stored {
            Stored::Compressed(page) => {
                if let Some(actual) = page.tables().filter(|_| page.tables() != self.tables) {
                    return delivery.failed(index, PageError::WrongTables { actual });
                }
                let to = room.unwrap_or(&mut self.dst[..unit]);
                let read = match page.tables() {
                    Some(_) => self.codec.decompress_canned(page.bytes(), to),
                    None => self.codec.decompress(page.bytes(), to),
                };
                if let Err(cause) = read {
                    return delivery.failed(
                        index,
                        PageError::Corrupt {
                            codec: self.id,
                            cause,
                        },
                    );
                }
                if let Some(reason) = self.fallback {
                    delivery.fell_back(reason);
                }
                let done = self.done(in_room);
                delivery.decompressed(index, done, page.bytes().len(), PerformedBy::Software)
            }
            Stored::SameFilled(word) => {
                page::fill(room.unwrap_or(&mut self.dst[..unit]), word);
                delivery.same_filled(index, self.done(in_room))
            }
            Stored::Raw(bytes) => deliver_raw(index, bytes, delivery),
        }
    }

    fn done(&self, in_room: bool) -> Decompressed<'_> {
        if in_room {
            Decompressed::InRoom
        } else {
            Decompressed::At(&self.dst[..self.unit.bytes()])
        }
    }
}

impl<C: PageCodec + 'static> Compressor for Context<C> {
    fn compress(&mut self, pages: &dyn Pages, delivery: &mut CompressDelivery<'_>) {
        for index in 0..pages.len() {
            if self
                .compress_page(index, pages.page(index), delivery)
                .is_break()
            {
                return;
            }
        }
    }

    fn decompress(&mut self, pages: &[Stored<'_>], delivery: &mut DecompressDelivery<'_>) {
        for (index, stored) in pages.iter().enumerate() {
            if self.decompress_page(index, stored, delivery).is_break() {
                return;
            }
        }
    }

    fn memory(&self) -> ContextMemory {
        ContextMemory {
            dst_buffers: self.dst.len(),
            codec_state: self.codec.state_bytes(),
            rest: size_of::<Self>(),
        }
    }
}
