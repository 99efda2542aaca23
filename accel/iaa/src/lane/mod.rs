//! One context: slots that a device fills, submitted together and collected as
//! they complete.
//!
//! A slot is a destination buffer, a completion record and a descriptor, and is
//! in one of four states: *free*; *waiting* for room in a queue; *flying*, so
//! that the device may write it; *lost*, when the device did not answer in time:
//! it may still write, so the slot stays out of use until it has, or its queue
//! has been drained. What state a slot is in lies in the lane, not on the stack
//! of the call: a panic in the caller's sink leaves a lane that the next call can
//! use, once what flew has landed.

#![expect(unsafe_code, reason = "submitting lends memory to the device")]

mod collect;
#[cfg(all(test, loom))]
mod loom;
mod memory;
mod tables;

pub use memory::{Store, leaked_bytes};
pub use tables::{MakeTables, Shared, histogram_of};

use crate::clock::nanoseconds;
use crate::fleet::{Fleet, Link, Routes};
use crate::tally::{Count, Tally, Totals};
use core::ops::ControlFlow;
use core::sync::atomic::{Ordering, fence};
use core::time::Duration;
use memory::Memory;
use pagepress_abi::{Descriptor, Submission};
use std::io;
use std::sync::Arc;

/// The most slots of a lane: each is a bit of a word.
pub const SLOTS_MAX: usize = 32;

/// Tries to submit a page while nothing of ours is in flight.
const TRIES: u8 = 3;

/// How pages are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// With deflate's fixed codes.
    #[default]
    Fixed,
    /// With codes made for each page.
    Dynamic,
    /// With the canned tables of the shared memory, without a header.
    Canned,
}

/// How often compressed output is decompressed by the device and its checksum
/// compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// Never.
    #[default]
    Off,
    /// Every so many pages.
    Every(u32),
}

/// What a lane is to do.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Slots, from 1 to [`SLOTS_MAX`].
    pub slots: usize,
    /// Bytes of a page.
    pub unit: usize,
    /// The most bytes that a compressed page may have, below `unit`.
    pub accept_limit: usize,
    /// How pages are compressed.
    pub format: Format,
    /// Verification of compressed output.
    pub verify: Verify,
    /// For how long a descriptor may fly.
    pub patience: Duration,
    /// Page faults after which a page is given up.
    pub faults_most: u8,
}

/// One page to be done.
#[derive(Debug, Clone, Copy)]
pub struct Input<'p> {
    /// Its number, given back with the answer.
    pub index: usize,
    /// Its bytes, plain or compressed.
    pub bytes: &'p [u8],
    /// Of a compressed page: whether its tables are the canned ones.
    pub canned: bool,
}

/// Pages that come and go.
pub trait Batch<'p> {
    /// How many more come, roughly.
    fn left(&self) -> usize;

    /// The next page; `None` if there is no more. `room` is a page's worth of
    /// bytes to be used until this returns, or nothing if there is none to lend.
    fn next(&mut self, room: &mut [u8]) -> Option<Input<'p>>;

    /// What became of a page. On [`ControlFlow::Break`] no more is asked for,
    /// and nothing more is told.
    fn done(&mut self, index: usize, answer: Answer<'_>) -> ControlFlow<()>;
}

/// What became of a page.
#[derive(Debug)]
pub enum Answer<'a> {
    /// The device did it; these bytes are the caller's until it returns.
    Done(&'a [u8]),
    /// Compressed it does not fit the accept limit.
    TooBig,
    /// The device did not do it.
    Failed(Reason),
}

/// Why the device did not do a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Every queue was full.
    Busy,
    /// A page fault that touching the page did not cure.
    PageFault,
    /// It did not complete in time.
    Timeout,
    /// It reported an error.
    DeviceError,
    /// The output did not verify.
    Mismatch,
    /// There is no queue to submit to.
    Gone,
}

/// Where a page is on its way through the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its tokens are counted.
    Statistics,
    /// It is compressed.
    Compress,
    /// It is decompressed.
    Decompress,
    /// What was made of it is decompressed without output.
    Verify,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    index: usize,
    /// The input, in the caller's memory.
    src: u64,
    src_len: u32,
    stage: Stage,
    canned: bool,
    /// Whether there are codes of its own for it already.
    coded: bool,
    link: u16,
    /// Refusals while nothing of ours was in flight.
    refusals: u8,
    /// Page faults and other ends that ask for another try.
    faults: u8,
    /// When it is given up, in the clock's time; 0 while nobody has waited.
    deadline: u64,
    /// Of a lost slot, what its queue said then.
    drained: u32,
    /// What a page to be verified has become: bytes and checksum.
    packed: u32,
    crc: u32,
}

impl Slot {
    const EMPTY: Self = Self {
        index: 0,
        src: 0,
        src_len: 0,
        stage: Stage::Compress,
        canned: false,
        coded: false,
        link: 0,
        refusals: 0,
        faults: 0,
        deadline: 0,
        drained: 0,
        packed: 0,
        crc: 0,
    };
}

/// A descriptor in a cache line of its own, as portals take it.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; Descriptor::BYTES]);

/// What all of a slot's descriptor but its source depends on: from one page to
/// the next of the same kind only that changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    stage: Stage,
    canned: bool,
    link: u16,
}

/// A set of slots.
type Slots = u32;

const fn bit(slot: usize) -> Slots {
    1 << slot
}

/// The slots from `first` on, `count` of them.
const fn bits(first: usize, count: usize) -> Slots {
    if count == 0 {
        0
    } else {
        (Slots::MAX >> (Slots::BITS as usize - count)) << first
    }
}

/// One context.
#[derive(Debug)]
pub struct Lane {
    fleet: Arc<Fleet>,
    shared: Arc<Shared>,
    settings: Settings,
    routes: Routes,
    memory: Memory,
    descriptors: Box<[Line]>,
    /// What the descriptors are made for, if they are made.
    made_for: Box<[Option<Kind>]>,
    slots: Box<[Slot]>,
    free: Slots,
    waiting: Slots,
    flying: Slots,
    lost: Slots,
    tallies: Arc<[Tally]>,
    /// Pages until the next one that is verified.
    unverified: u32,
    /// Whether the caller has had enough of the call under way.
    stopped: bool,
}

/// Which way a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Compress,
    Decompress,
}

impl Lane {
    /// The context of a CPU.
    ///
    /// # Errors
    /// If the system has no memory.
    ///
    /// # Panics
    /// If the settings are out of range.
    pub fn new(
        fleet: &Arc<Fleet>,
        shared: &Arc<Shared>,
        store: &Arc<Store>,
        settings: Settings,
        cpu: usize,
        package: Option<u32>,
    ) -> io::Result<Self> {
        let Settings {
            slots,
            unit,
            accept_limit,
            ..
        } = settings;
        assert!((1..=SLOTS_MAX).contains(&slots), "{slots} slots");
        assert!(accept_limit < unit, "{accept_limit} of {unit} bytes");
        let with_aecs = settings.format == Format::Dynamic
            && fleet
                .links()
                .iter()
                .any(|link| needs_statistics(link, unit));
        Ok(Self {
            fleet: Arc::clone(fleet),
            shared: Arc::clone(shared),
            settings,
            routes: Routes::new(fleet, package, cpu),
            memory: Memory::new(store, slots, unit, with_aecs)?,
            descriptors: vec![Line([0; 64]); slots].into(),
            made_for: vec![None; slots].into(),
            slots: vec![Slot::EMPTY; slots].into(),
            free: bits(0, slots),
            waiting: 0,
            flying: 0,
            lost: 0,
            tallies: fleet.links().iter().map(|_| Tally::default()).collect(),
            unverified: 0,
            stopped: false,
        })
    }

    /// Compresses all pages of a batch, each with its own answer, in the order
    /// in which they complete.
    pub fn compress<'p>(&mut self, batch: &mut impl Batch<'p>) {
        self.run(batch, Way::Compress);
    }

    /// Decompresses all pages of a batch, likewise. An answer has exactly one
    /// page of bytes.
    pub fn decompress<'p>(&mut self, batch: &mut impl Batch<'p>) {
        self.run(batch, Way::Decompress);
    }

    /// How many slots it has.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Bytes that a device may write: buffers and records, tables of pages if
    /// they are made for each.
    #[must_use]
    pub fn device_bytes(&self) -> usize {
        self.memory.bytes()
    }

    /// Bytes of everything else.
    #[must_use]
    pub fn other_bytes(&self) -> usize {
        size_of_val(&*self.descriptors)
            + size_of_val(&*self.made_for)
            + size_of_val(&*self.slots)
            + size_of_val(&*self.tallies)
            + size_of::<Self>()
    }

    /// A handle to what is counted here, which outlives the lane.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts(Arc::clone(&self.tallies))
    }

    fn run<'p>(&mut self, batch: &mut impl Batch<'p>, way: Way) {
        Landing(self).0.work_through(batch, way);
    }

    fn work_through<'p>(&mut self, batch: &mut impl Batch<'p>, way: Way) {
        self.stopped = false;
        if !self.memory.is_here() || !self.shared.is_here() {
            // A child of the process that made the lane, or what it reads.
            self.refuse_all(batch);
            return;
        }
        if self.lost != 0 {
            self.clean_up();
        }
        let mut feeding = true;
        let mut round = 0;
        loop {
            if self.stopped {
                self.free |= self.waiting;
                self.waiting = 0;
            }
            if feeding {
                feeding = self.fill(batch, way);
            }
            let ours = self.flying;
            if self.waiting != 0 {
                self.launch_waiting(batch);
            }
            if self.flying == 0 {
                if self.waiting == 0 && feeding && self.free == 0 {
                    // Every slot is lost.
                    self.clean_up();
                }
                if self.waiting == 0 && (!feeding || self.free == 0) {
                    break;
                }
                continue;
            }
            if self.collect(batch) {
                round = 0;
            } else if ours == self.flying {
                self.wait(batch, round);
                round += 1;
            }
        }
        if feeding {
            self.refuse_all(batch);
        }
    }

    /// Gives free slots their pages. Whether there may be more pages.
    fn fill<'p>(&mut self, batch: &mut impl Batch<'p>, way: Way) -> bool {
        if self.stopped {
            return false;
        }
        // Neighbouring slots go to the same queue, in one burst.
        let count = batch.left().min(self.free.count_ones() as usize);
        let in_a_row = match way {
            Way::Compress => count.div_ceil(self.routes.near_compressors()),
            Way::Decompress => usize::MAX,
        };
        let mut link = None;
        let mut given = 0;
        while self.free != 0 {
            let slot = self.free.trailing_zeros() as usize;
            // SAFETY: the slot is free, and stays so until this returns.
            let room = unsafe { self.memory.room(slot) };
            let Some(input) = batch.next(room) else {
                return false;
            };
            if given == 0 || given % in_a_row.max(1) == 0 {
                link = match way {
                    Way::Compress => self.routes.for_compress(&self.fleet),
                    Way::Decompress => self.routes.for_decompress(&self.fleet, 0),
                };
            }
            given += 1;
            let Some(link) = link else {
                self.tell(batch, input.index, Answer::Failed(Reason::Gone));
                if self.stopped {
                    return false;
                }
                continue;
            };
            self.free &= !bit(slot);
            self.waiting |= bit(slot);
            self.slots[slot] = Slot {
                index: input.index,
                src: input.bytes.as_ptr().expose_provenance() as u64,
                src_len: input.bytes.len() as u32,
                canned: input.canned,
                link,
                ..Slot::EMPTY
            };
            self.slots[slot].stage = match way {
                Way::Decompress => Stage::Decompress,
                Way::Compress => self.first_stage(slot, link),
            };
            self.prepare(slot);
        }
        true
    }

    /// What is next for a page that this queue is to compress.
    fn first_stage(&self, slot: usize, link: u16) -> Stage {
        let link = &self.fleet.links()[usize::from(link)];
        let codes = self.settings.format == Format::Dynamic && !self.slots[slot].coded;
        if codes && needs_statistics(link, self.settings.unit) {
            Stage::Statistics
        } else {
            Stage::Compress
        }
    }

    /// Submits what waits, in bursts for each queue. What is refused goes to
    /// the next queue, and is given up when all have refused it often enough.
    fn launch_waiting<'p>(&mut self, batch: &mut impl Batch<'p>) {
        let (mut refused, mut gone): (Slots, Slots) = (0, 0);
        let mut todo = self.waiting;
        while todo != 0 {
            let first = todo.trailing_zeros() as usize;
            let link = self.slots[first].link;
            let same = |slot: &usize| todo & bit(*slot) != 0 && self.slots[*slot].link == link;
            let count = (first..self.slots.len()).take_while(same).count();
            todo &= !bits(first, count);
            let (taken, submission) = self.launch(first, count);
            if submission == Submission::Accepted {
                continue;
            }
            let rest = bits(first + taken, count - taken);
            refused |= rest;
            if submission == Submission::Gone {
                gone |= rest;
                let link = &self.fleet.links()[usize::from(link)];
                link.put_aside(self.fleet.clock());
            } else {
                self.tallies[usize::from(link)].add(Count::Refused, 1);
            }
        }
        // While something of ours flies, its completion makes room.
        let alone = self.flying == 0;
        while refused != 0 {
            let slot = refused.trailing_zeros() as usize;
            refused &= !bit(slot);
            self.reroute(batch, slot, gone & bit(slot) != 0, alone);
        }
    }

    /// Submits `count` slots from `first` on to their queue; how many it took,
    /// and what became of the one after them.
    fn launch(&mut self, first: usize, count: usize) -> (usize, Submission) {
        let number = usize::from(self.slots[first].link);
        let link = &self.fleet.links()[number];
        let allowed = link.take_credits(count as u32) as usize;
        if allowed == 0 {
            return (0, Submission::Retry);
        }
        let burst = &self.descriptors[first..first + allowed];
        // SAFETY: the descriptors were prepared for these slots, which belong
        // to nobody else now and are not touched until they have completed:
        // they fly, and stay in that state or in `lost` until their records say
        // so, or their queue was drained. The memory they name is this lane's,
        // and leaks rather than be freed while any is open. Sources are the
        // caller's pages: read while this call runs; should the device read one
        // after that, it is because it was given up, and what comes of it goes
        // to a buffer that is lost.
        // AECS that are only read live as long as the lane, and leak with it.
        let (taken, submission) = unsafe { link.portal().submit_burst(Line::bytes(burst)) };
        if taken < allowed {
            link.return_credits((allowed - taken) as u32);
        }
        self.waiting &= !bits(first, taken);
        self.flying |= bits(first, taken);
        let tally = &self.tallies[number];
        tally.add(Count::Submitted, taken as u64);
        let submission = match submission {
            // Not all were tried for want of credits.
            Submission::Accepted if taken < count => Submission::Retry,
            other => other,
        };
        (taken, submission)
    }

    /// Finds another queue for a slot that was refused, or gives it up.
    #[cold]
    fn reroute<'p>(&mut self, batch: &mut impl Batch<'p>, slot: usize, gone: bool, alone: bool) {
        if alone && !gone {
            self.slots[slot].refusals += 1;
        }
        let refusals = self.slots[slot].refusals;
        if refusals >= TRIES {
            self.give_up(batch, slot, Reason::Busy);
            return;
        }
        let stage = self.slots[slot].stage;
        let link = match stage {
            Stage::Decompress | Stage::Verify => {
                let tried = refusals.max(u8::from(gone));
                self.routes.for_decompress(&self.fleet, tried)
            }
            _ => self.routes.for_compress(&self.fleet),
        };
        let Some(link) = link else {
            let reason = if gone { Reason::Gone } else { Reason::Busy };
            self.give_up(batch, slot, reason);
            return;
        };
        self.slots[slot].link = link;
        if matches!(stage, Stage::Statistics | Stage::Compress) {
            // Another device may be of another generation.
            self.slots[slot].stage = self.first_stage(slot, link);
        }
        self.prepare(slot);
    }

    /// A slot that waits and will not be submitted.
    fn give_up<'p>(&mut self, batch: &mut impl Batch<'p>, slot: usize, reason: Reason) {
        self.waiting &= !bit(slot);
        self.free |= bit(slot);
        let index = self.slots[slot].index;
        self.tell(batch, index, Answer::Failed(reason));
    }

    fn tell<'p>(&mut self, batch: &mut impl Batch<'p>, index: usize, answer: Answer<'_>) {
        if !self.stopped && batch.done(index, answer).is_break() {
            self.stopped = true;
        }
    }

    #[cold]
    fn refuse_all<'p>(&mut self, batch: &mut impl Batch<'p>) {
        while !self.stopped {
            let Some(input) = batch.next(&mut []) else {
                return;
            };
            self.tell(batch, input.index, Answer::Failed(Reason::Gone));
        }
    }

    fn patience(&self) -> u64 {
        nanoseconds(self.settings.patience)
    }
}

/// Sees to it that nothing flies when a call ends, by a panic too.
struct Landing<'l>(&'l mut Lane);

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        if self.0.flying | self.0.waiting != 0 && self.0.memory.is_here() {
            self.0.abandon();
        }
    }
}

/// Whether Dynamic takes two passes on this queue.
fn needs_statistics(link: &Link, unit: usize) -> bool {
    !link.facts().header_gen || unit > 4096
}

/// What the lanes of one pool have counted, by queue.
#[derive(Debug, Clone)]
pub struct Counts(Arc<[Tally]>);

impl Counts {
    /// Whether its lane is gone, so that nothing is added any more.
    #[must_use]
    pub fn is_final(&self) -> bool {
        let is_final = Arc::strong_count(&self.0) == 1;
        // Sees all that the lane counted before it went.
        fence(Ordering::Acquire);
        is_final
    }

    /// Adds it up, queue by queue.
    pub fn add_to(&self, totals: &mut [Totals]) {
        for (total, tally) in totals.iter_mut().zip(&*self.0) {
            total.add(tally);
        }
    }
}
