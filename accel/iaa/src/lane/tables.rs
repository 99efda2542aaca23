//! Tables that all lanes of a pool read, and devices too.

#![expect(unsafe_code, reason = "devices read and write what is shared")]

use crate::dma::Region;
use crate::fleet::{Fleet, Link};
use crate::single::{Failure, Single};
use crate::tables::{self, Aecs, Codes, Histogram, fixed_aecs};
use core::time::Duration;
use pagepress_abi::aecs::{compress as writer, decompress as reader};
use pagepress_fallback::huffman::END_OF_BLOCK;
use pagepress_fallback::tables::TrainedOn;

// Where everything is in the shared region.
const WRITER: usize = 0;
/// Readers of generation 1 and 2.
const READERS: [usize; 2] = [2048, 2048 + 2048];
const READER_BYTES: [usize; 2] = [reader::BYTES_NO_HISTORY_1, reader::BYTES_NO_HISTORY_2];
const BYTES: usize = 8192;

const _: () = assert!(WRITER + writer::BYTES <= READERS[0]);
const _: () = assert!(READERS[0] + READER_BYTES[0] <= READERS[1]);
const _: () = assert!(READERS[1] + READER_BYTES[1] <= BYTES);

/// What is read only: the AECS to compress with, and those to decompress canned
/// pages with.
#[derive(Debug)]
pub struct Shared {
    region: Region,
}

/// What canned tables take to be made.
#[derive(Debug)]
pub struct MakeTables<'a> {
    /// The queues whose devices are to have them.
    pub fleet: &'a Fleet,
    /// How long a device may take.
    pub patience: Duration,
}

impl Shared {
    /// The fixed tables.
    ///
    /// # Errors
    /// If the system has no memory.
    pub fn fixed() -> Result<Self, Failure> {
        Self::with(&fixed_aecs())
    }

    fn with(aecs: &Aecs) -> Result<Self, Failure> {
        let region = Region::new(BYTES).map_err(Failure::Memory)?;
        // SAFETY: nothing is in flight.
        unsafe { region.put(WRITER, aecs) };
        Ok(Self { region })
    }

    /// Canned tables, whose codes have to serve any page. What pages without a header
    /// are decompressed with is made by a device of each generation there is: it reads
    /// the header once.
    ///
    /// # Errors
    /// [`Failure`], if a device does not do that.
    pub fn canned(codes: &Codes, make: &MakeTables<'_>) -> Result<Self, Failure> {
        let mut aecs = [0; writer::BYTES];
        tables::write_without_header(codes, &mut aecs);
        let mut shared = Self::with(&aecs)?;
        for gen2 in [false, true] {
            let mut links = make.fleet.links().iter();
            if let Some(link) = links.find(|l| l.facts().gen2 == gen2 && l.facts().decompresses) {
                shared = shared.load(codes, make, link)?;
            }
        }
        Ok(shared)
    }

    fn load(self, codes: &Codes, make: &MakeTables<'_>, link: &Link) -> Result<Self, Failure> {
        let number = usize::from(link.facts().gen2);
        let (header, bits) = codes.header();
        let aecs_bytes = READER_BYTES[number];
        // Source 2 is written at its first half; the header comes after both.
        let (aecs_at, header_at) = (64, 64 + 2 * aecs_bytes);
        let clock = make.fleet.clock();
        let bytes = header_at + header.len();
        let single = Single::new(link.portal(), clock, make.patience, bytes)?;
        // SAFETY: nothing is in flight.
        unsafe { single.region.put(header_at, &header) };
        let mut descriptor = link.facts().base.load_tables(bits, aecs_bytes);
        descriptor.src1 = single.region.address(header_at);
        descriptor.dst = single.region.address(0);
        descriptor.src2 = single.region.address(aecs_at);
        let (single, _) = single.run(descriptor)?;
        let mut aecs = vec![0; aecs_bytes];
        // SAFETY: the descriptor has completed.
        unsafe { single.region.get(aecs_at, &mut aecs) };
        // Before a token of a block that is not final: the reader stops at the
        // end of the block, whichever it is.
        aecs[reader::STATE..reader::STATE + 4].fill(0);
        // SAFETY: nothing is in flight that names what is shared.
        unsafe { self.region.put(READERS[number], &aecs) };
        Ok(self)
    }

    /// Whether it is part of this process, not of a parent's.
    pub(super) fn is_here(&self) -> bool {
        self.region.is_here()
    }

    pub(super) fn writer_address(&self) -> u64 {
        self.region.address(WRITER)
    }

    pub(super) fn reader_address(&self, gen2: bool) -> u64 {
        self.region.address(READERS[usize::from(gen2)])
    }

    pub(super) fn reader_bytes(&self, gen2: bool) -> usize {
        READER_BYTES[usize::from(gen2)]
    }
}

/// The tokens of some pages, all together, as a device that compresses would
/// find them, and how many pages these are. Pages that it refuses are left out.
///
/// # Errors
/// [`Failure`] if no device answers.
pub fn histogram_of<'p>(
    pages: impl Iterator<Item = &'p [u8]>,
    make: &MakeTables<'_>,
) -> Result<(Histogram, TrainedOn), Failure> {
    let mut links = make.fleet.links().iter();
    let link = links.find(|link| link.facts().compresses && !link.is_aside());
    let link = link.ok_or(Failure::Gone)?;
    let (histogram_at, page_at) = (64, 4096);
    let clock = make.fleet.clock();
    let (mut sum, mut trained_on) = (Histogram::default(), TrainedOn::default());
    for page in pages {
        let bytes = page_at + page.len();
        let single = Single::new(link.portal(), clock, make.patience, bytes)?;
        // SAFETY: nothing is in flight.
        unsafe { single.region.put(page_at, page) };
        let mut descriptor = link.facts().base.statistics();
        descriptor.src1 = single.region.address(page_at);
        descriptor.src1_len = page.len() as u32;
        descriptor.dst = single.region.address(histogram_at);
        match single.run(descriptor) {
            Ok((single, _)) => {
                let mut histogram = [0; writer::HISTOGRAM_BYTES];
                // SAFETY: the descriptor has completed.
                unsafe { single.region.get(histogram_at, &mut histogram) };
                sum.add(&tables::read_histogram(&histogram));
                // A block of each has an end, which a device does not count.
                sum.literals[END_OF_BLOCK] = sum.literals[END_OF_BLOCK].saturating_add(1);
                trained_on.pages += 1;
                trained_on.bytes += page.len() as u64;
            }
            Err(Failure::Refused(_)) => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok((sum, trained_on))
}
