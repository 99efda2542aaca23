//! Tables that all lanes of a pool read, and devices too.

#![expect(unsafe_code, reason = "devices read and write what is shared")]

use crate::clock::nanoseconds;
use crate::dma::Region;
use crate::fleet::{Fleet, Link};
use crate::probe::Failure;
use crate::tables::{Aecs, Codes, fixed_aecs};
use core::time::Duration;
use pagepress_abi::aecs::{compress as writer, decompress as reader};
use pagepress_abi::{Status, Submission};

/// Canned codes: what they are, and the header that a device reads to have
/// them.
#[derive(Debug, Clone)]
pub struct CannedTables {
    codes: Codes,
}

impl CannedTables {
    /// Tables of these codes. To serve any page, they must have a code for every
    /// symbol.
    #[must_use]
    pub fn new(codes: Codes) -> Self {
        Self { codes }
    }

    /// The codes.
    #[must_use]
    pub fn codes(&self) -> &Codes {
        &self.codes
    }
}

// Where everything is in the shared region.
const WRITER: usize = 0;
/// Readers of generation 1 and 2.
const READERS: [usize; 2] = [2048, 2048 + 2048];
const READER_BYTES: [usize; 2] = [reader::BYTES_NO_HISTORY_1, reader::BYTES_NO_HISTORY_2];
const RECORD: usize = 8128;
const HEADER: usize = 6144;
const BYTES: usize = 8192;

const _: () = assert!(READERS[0] + READER_BYTES[0] <= READERS[1]);
const _: () = assert!(READERS[1] + 2 * READER_BYTES[1] <= 2 * HEADER);
const _: () = assert!(RECORD % 64 == 0 && RECORD + 64 <= BYTES && WRITER == 0);

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

    /// Canned tables. What pages without a header are decompressed with is made
    /// by a device of each generation there is: it reads the header once.
    ///
    /// # Errors
    /// [`Failure`], if a device does not do that.
    pub fn canned(tables: &CannedTables, make: &MakeTables<'_>) -> Result<Self, Failure> {
        let mut aecs = [0; writer::BYTES];
        tables.codes.write_without_header(&mut aecs);
        let mut shared = Self::with(&aecs)?;
        for gen2 in [false, true] {
            let mut links = make.fleet.links().iter();
            if let Some(link) = links.find(|l| l.facts().gen2 == gen2 && l.facts().decompresses) {
                shared = shared.load(tables, make, link)?;
            }
        }
        Ok(shared)
    }

    fn load(
        self,
        tables: &CannedTables,
        make: &MakeTables<'_>,
        link: &Link,
    ) -> Result<Self, Failure> {
        let number = usize::from(link.facts().gen2);
        let (header, bits) = tables.codes.header();
        let aecs_bytes = READER_BYTES[number];
        // Source 2 is written at its first half.
        let room = Region::new(2 * aecs_bytes + 4096).map_err(Failure::Memory)?;
        let (header_at, record_at) = (2 * aecs_bytes.next_multiple_of(64), room.len() - 64);
        // SAFETY: nothing is in flight.
        unsafe { room.put(header_at, &header) };
        let mut descriptor = link.facts().base.load_tables(bits, aecs_bytes);
        descriptor.completion = room.address(record_at);
        descriptor.src1 = room.address(header_at);
        descriptor.dst = room.address(record_at);
        descriptor.src2 = room.address(0);
        let clock = make.fleet.clock();
        let deadline = clock.now().saturating_add(nanoseconds(make.patience));
        let mut round = 0;
        // SAFETY: what the descriptor names lies in `room`, which is not
        // touched until it has completed, and leaks if it does not.
        while unsafe { link.portal().submit(&descriptor.to_bytes()) } != Submission::Accepted {
            if clock.now() >= deadline {
                return Err(Failure::Busy);
            }
            clock.wait(round, room.watched(record_at), deadline);
            round += 1;
        }
        round = 0;
        while room.poll(record_at).is_none() {
            if clock.now() >= deadline {
                room.leak();
                return Err(Failure::Silent(make.patience));
            }
            clock.wait(round, room.watched(record_at), deadline);
            round += 1;
        }
        // SAFETY: the status was seen.
        let completion = unsafe { room.record(record_at) };
        if completion.status() != Status::SUCCESS {
            return Err(Failure::Refused(completion));
        }
        let mut aecs = vec![0; aecs_bytes];
        // SAFETY: the descriptor has completed.
        unsafe { room.get(0, &mut aecs) };
        // Before a token of a block that is not final: the reader stops at the
        // end of the block, whichever it is.
        aecs[reader::STATE..reader::STATE + 4].fill(0);
        // SAFETY: nothing is in flight that names what is shared.
        unsafe { self.region.put(READERS[number], &aecs) };
        Ok(self)
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
