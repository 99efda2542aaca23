//! zstd frames cut down to what a page needs: no magic number, no content
//! size, no checksum. A page's frame then has a header of 2 bytes instead of
//! up to 11, and neither end needs what they would say: the codec is recorded
//! with the page, and the size is the pool's.

use crate::probe::Probe;
use crate::{Corrupt, NotCompressed, PageCodec};
use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, DParameter, FrameFormat, get_error_name, is_error_kind,
};

/// The default level: the lowest that entropy-codes literals, which is the
/// whole difference between 1 and -1 at 4 KiB.
pub const DEFAULT_LEVEL: i32 = 1;

/// The levels that [`Zstd::new`] takes: negative ones trade ratio for speed.
pub const LEVELS: core::ops::RangeInclusive<i32> = -7..=19;

/// Room that libzstd wants beyond what it writes: its bit writer stores whole
/// words, and it refuses anything below the longest frame header (18 bytes).
/// Without it, a page would be refused at a limit of exactly its own size.
const SLACK: usize = 32;

/// One zstd context: an encoder and a decoder, with their dictionary if any.
pub struct Zstd {
    encoder: CCtx<'static>,
    decoder: DCtx<'static>,
    probe: Option<Box<Probe>>,
    unit: usize,
}

impl core::fmt::Debug for Zstd {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Zstd")
            .field("unit", &self.unit)
            .finish_non_exhaustive()
    }
}

impl Zstd {
    /// A context for pages of `unit` bytes, at a level from [`LEVELS`], with
    /// an optional dictionary as [`train_dictionary`] makes (copied into both
    /// the encoder and the decoder).
    ///
    /// All memory is taken here: the first page costs no more than the next.
    ///
    /// # Errors
    /// libzstd's own message, for instance if memory is short or the
    /// dictionary is damaged.
    ///
    /// # Panics
    /// If `level` is outside [`LEVELS`].
    pub fn new(unit: usize, level: i32, dictionary: Option<&[u8]>) -> Result<Self, &'static str> {
        assert!(LEVELS.contains(&level), "zstd has no level {level}");
        let probe = Probe::boxed().ok_or("zstd: out of memory")?;
        let mut encoder = CCtx::try_create().ok_or("zstd: out of memory")?;
        for parameter in [
            CParameter::CompressionLevel(level),
            CParameter::Format(FrameFormat::Magicless),
            CParameter::ContentSizeFlag(false),
            CParameter::ChecksumFlag(false),
            CParameter::DictIdFlag(false),
        ] {
            encoder.set_parameter(parameter).map_err(get_error_name)?;
        }
        let mut decoder = DCtx::try_create().ok_or("zstd: out of memory")?;
        decoder
            .set_parameter(DParameter::Format(FrameFormat::Magicless))
            .map_err(get_error_name)?;
        if let Some(dictionary) = dictionary {
            encoder
                .load_dictionary(dictionary)
                .map_err(get_error_name)?;
            decoder
                .load_dictionary(dictionary)
                .map_err(get_error_name)?;
        }
        let mut codec = Self {
            encoder,
            decoder,
            probe: Some(probe),
            unit,
        };
        codec.warm_up()?;
        Ok(codec)
    }

    /// The same context without the probe for random pages: every page is
    /// compressed in full. For measuring the probe.
    #[must_use]
    pub fn without_probe(mut self) -> Self {
        self.probe = None;
        self
    }

    /// libzstd sizes its workspace and digests its dictionary on first use.
    fn warm_up(&mut self) -> Result<(), &'static str> {
        let lacking = "zstd: out of memory";
        let page = crate::zeroed(self.unit).ok_or(lacking)?;
        let mut packed = crate::zeroed(self.unit).ok_or(lacking)?;
        let n = self
            .encoder
            .compress2(&mut packed[..], &page)
            .map_err(get_error_name)?;
        let mut page = page;
        self.decoder
            .decompress(&mut page[..], &packed[..n])
            .map_err(get_error_name)?;
        Ok(())
    }
}

impl PageCodec for Zstd {
    fn dst_bytes(&self) -> usize {
        self.unit + SLACK
    }

    fn compress(
        &mut self,
        page: &[u8],
        dst: &mut [u8],
        limit: usize,
    ) -> Result<usize, NotCompressed> {
        let Some(dst) = dst.get_mut(..limit + SLACK) else {
            return Err(NotCompressed::Failed(
                "zstd: the dst buffer is below the limit",
            ));
        };
        if self
            .probe
            .as_mut()
            .is_some_and(|probe| probe.looks_random(page))
        {
            return Err(NotCompressed::Incompressible);
        }
        match self.encoder.compress2(dst, page) {
            Ok(n) if n <= limit => Ok(n),
            Ok(_) => Err(NotCompressed::Incompressible),
            Err(code) if is_error_kind(code, ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall) => {
                Err(NotCompressed::Incompressible)
            }
            Err(code) => Err(NotCompressed::Failed(get_error_name(code))),
        }
    }

    fn decompress(&mut self, src: &[u8], page: &mut [u8]) -> Result<(), Corrupt> {
        match self.decoder.decompress(page, src) {
            Ok(n) if n != page.len() => Err(Corrupt::ShortPage),
            // libzstd reads any number of frames; a page is one.
            Ok(_) if frame_bytes(src) != Some(src.len()) => Err(Corrupt::TrailingBytes),
            Ok(_) => Ok(()),
            Err(code) if is_error_kind(code, ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall) => {
                Err(Corrupt::LongPage)
            }
            Err(_) => Err(Corrupt::BadStream),
        }
    }

    fn state_bytes(&self) -> usize {
        let probe = if self.probe.is_some() {
            size_of::<Probe>()
        } else {
            0
        };
        self.encoder.sizeof() + self.decoder.sizeof() + probe
    }
}

/// The length of the frame without magic number that `src` starts with (RFC
/// 8878, 3.1.1), or `None` if it is cut short. libzstd's own function for this
/// wants the magic number.
fn frame_bytes(src: &[u8]) -> Option<usize> {
    let descriptor = *src.first()?;
    let single_segment = descriptor >> 5 & 1;
    let window_descriptor = usize::from(1 - single_segment);
    let dictionary_id = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let content_size = [usize::from(single_segment), 2, 4, 8][usize::from(descriptor >> 6)];
    let checksum = 4 * usize::from(descriptor >> 2 & 1);
    let mut at = 1 + window_descriptor + dictionary_id + content_size;
    loop {
        let &[a, b, c] = src.get(at..)?.first_chunk()?;
        let header = u32::from_le_bytes([a, b, c, 0]);
        let (last, kind, size) = (header & 1, header >> 1 & 3, (header >> 3) as usize);
        // A run is kept as its one byte, whatever its length.
        at += 3 + if kind == 1 { 1 } else { size };
        if last == 1 {
            return Some(at + checksum);
        }
    }
}

/// Trains a dictionary of at most `max_bytes` from sample pages.
///
/// Pages like the samples then start from the dictionary's content and entropy
/// tables. 16 to 112 KiB from some hundred pages or more is the useful range.
///
/// # Errors
/// libzstd's message, usually that the samples are too few.
pub fn train_dictionary<P: AsRef<[u8]>>(
    pages: &[P],
    max_bytes: usize,
) -> Result<Vec<u8>, std::io::Error> {
    zstd::dict::from_samples(pages, max_bytes)
}
