//! A device that writes memory whenever it likes, and lanes on it.

use crate::clock::{Clock, Watched};
use crate::dma::device as memory;
use crate::fleet::{Facts, Fleet};
use crate::lane::{
    Answer, Batch, Format, Input, Lane, Reason, Settings, Shared, Store, Verify, leaked_bytes,
};
use crate::recipe::Base;
use core::fmt;
use core::ops::ControlFlow;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use loom::thread::{self, JoinHandle};
use pagepress_abi::aecs::compress as aecs;
use pagepress_abi::flags::{compress, decompress};
use pagepress_abi::{Completion, Descriptor, Opcode, Portal, Status, Submission};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a page, and of a compressed one.
pub(super) const UNIT: usize = 64;
const PACKED: usize = 40;
pub(super) const PATIENCE: Duration = Duration::from_micros(1);

/// Explores a scenario, which says what it came to; all of `ends` must be seen.
pub(super) fn explore(
    ends: &[&'static str],
    scenario: impl Fn() -> &'static str + Send + Sync + 'static,
) {
    // Leaked bytes are the whole program's.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = locked(&ONE);
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 20_000;
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let count = Arc::new(AtomicU64::new(0));
    let (seen_there, count_there) = (Arc::clone(&seen), Arc::clone(&count));
    builder.check(move || {
        memory::start_anew();
        let end = scenario();
        locked(&seen_there).insert(end);
        count_there.fetch_add(1, Ordering::Relaxed);
    });
    println!("{} executions", count.load(Ordering::Relaxed));
    let expected: BTreeSet<_> = ends.iter().copied().collect();
    assert_eq!(*locked(&seen), expected);
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A clock that leaps to the deadline as soon as somebody waits, so that
/// whatever completes does so before, at, or after it; or one that stands still
/// while the device works.
///
/// Looks at it order nothing, but are all writes to loom, which tries every order
/// of them. Of plain loads it only tries the last one before a write.
#[derive(Debug)]
pub(super) struct Ticks {
    now: loom::sync::atomic::AtomicU64,
    stands: AtomicBool,
}

impl Ticks {
    pub(super) fn leaping() -> Self {
        Self {
            now: loom::sync::atomic::AtomicU64::new(1),
            stands: AtomicBool::new(false),
        }
    }

    /// Whether there is all the time that the device needs.
    pub(super) fn stand(&self, stands: bool) {
        self.stands.store(stands, Ordering::Relaxed);
    }

    pub(super) fn pass(&self, time: Duration) {
        let time = crate::clock::nanoseconds(time);
        self.now.fetch_add(time, Ordering::Relaxed);
    }
}

impl Clock for Ticks {
    fn now(&self) -> u64 {
        self.now.fetch_add(0, Ordering::Relaxed)
    }

    fn wait(&self, _round: u32, _status: Watched, until: u64) {
        if self.stands.load(Ordering::Relaxed) {
            thread::yield_now();
        } else {
            self.now.fetch_max(until, Ordering::Relaxed);
        }
    }
}

/// When a descriptor completes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// Before its submission returns.
    AtOnce,
    /// At any time after it.
    AnyTime,
    Never,
}

/// A queue of one device. Its threads are the device's engines.
#[derive(Clone, Default)]
pub(super) struct Device(Arc<State>);

#[derive(Default)]
struct State {
    /// For the pages and the questions to come; the rest at any time.
    pages: Mutex<VecDeque<When>>,
    questions: Mutex<VecDeque<When>>,
    engines: Mutex<Vec<JoinHandle<()>>>,
    /// Pages that it has, and most it ever had.
    open: AtomicU32,
    most: AtomicU32,
    /// Of those, never to be completed.
    stuck: AtomicU32,
    asked: AtomicU32,
    /// Pages that it has room for; 0 for any number.
    room: AtomicU32,
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").finish_non_exhaustive()
    }
}

impl Device {
    pub(super) fn pages(&self, when: &[When]) {
        locked(&self.0.pages).extend(when);
    }

    pub(super) fn questions(&self, when: &[When]) {
        locked(&self.0.questions).extend(when);
    }

    /// Has it refuse what comes while it has so many pages.
    pub(super) fn make_room(&self, pages: u32) {
        self.0.room.store(pages, Ordering::Relaxed);
    }

    /// Waits for all that it has been given.
    pub(super) fn finish(&self) {
        let engines = core::mem::take(&mut *locked(&self.0.engines));
        for engine in engines {
            engine.join().expect("an engine");
        }
    }

    /// The most pages that it had at once.
    pub(super) fn most(&self) -> u32 {
        self.0.most.load(Ordering::Relaxed)
    }

    /// How often it was asked whether it answers.
    pub(super) fn asked(&self) -> u32 {
        self.0.asked.load(Ordering::Relaxed)
    }

    fn run(&self, descriptor: Descriptor, seed: u8) {
        let completion = work(&descriptor, seed);
        if is_page(&descriptor) {
            self.0.open.fetch_sub(1, Ordering::Relaxed);
        }
        memory::complete(descriptor.completion, &completion);
    }

    /// Completes a Drain after everything before it has completed; what would
    /// never is thrown out.
    fn drain(&self, before: Vec<JoinHandle<()>>, descriptor: Descriptor) {
        for engine in before {
            engine.join().expect("an engine");
        }
        let stuck = self.0.stuck.swap(0, Ordering::Relaxed);
        self.0.open.fetch_sub(stuck, Ordering::Relaxed);
        self.run(descriptor, 0);
    }
}

fn is_page(descriptor: &Descriptor) -> bool {
    !matches!(descriptor.opcode(), Opcode::NOOP | Opcode::DRAIN)
}

#[expect(unsafe_code, reason = "a portal's promise is the caller's")]
impl Portal for Device {
    unsafe fn submit(&self, descriptor: &[u8; 64]) -> Submission {
        let descriptor = Descriptor::from_bytes(descriptor);
        let state = &self.0;
        let plan = if is_page(&descriptor) {
            let open = state.open.load(Ordering::Relaxed);
            let room = state.room.load(Ordering::Relaxed);
            if room != 0 && open >= room {
                return Submission::Retry;
            }
            state.open.store(open + 1, Ordering::Relaxed);
            state.most.fetch_max(open + 1, Ordering::Relaxed);
            &state.pages
        } else {
            state.asked.fetch_add(1, Ordering::Relaxed);
            &state.questions
        };
        let mut seed = 0;
        let when = locked(plan).pop_front().unwrap_or(When::AnyTime);
        if descriptor.src1_len != 0 && !memory::knows(descriptor.src1) {
            let page = core::ptr::with_exposed_provenance::<u8>(descriptor.src1 as usize);
            // SAFETY: a source, which the caller promises to leave alone.
            seed = unsafe { page.read() };
        }
        let before = match descriptor.opcode() {
            Opcode::DRAIN if when != When::Never => core::mem::take(&mut *locked(&state.engines)),
            _ => Vec::new(),
        };
        let device = self.clone();
        let act = move || match descriptor.opcode() {
            Opcode::DRAIN => device.drain(before, descriptor),
            _ => device.run(descriptor, seed),
        };
        match when {
            When::AtOnce => act(),
            When::AnyTime => {
                let engine = thread::spawn(act);
                locked(&state.engines).push(engine);
            }
            When::Never if is_page(&descriptor) => {
                state.stuck.fetch_add(1, Ordering::Relaxed);
            }
            When::Never => {}
        }
        Submission::Accepted
    }
}

/// What a device makes of a page whose first byte is this.
fn made(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| seed ^ i as u8).collect()
}

/// Reads and writes what a descriptor names.
fn work(descriptor: &Descriptor, seed: u8) -> Completion {
    let mut completion = Completion {
        status: Status::SUCCESS.0,
        ..Completion::default()
    };
    if descriptor.src2_len != 0 {
        memory::read(descriptor.src2, &mut vec![0; descriptor.src2_len as usize]);
    }
    let output = match descriptor.opcode() {
        Opcode::COMPRESS if descriptor.flags & compress::STATISTICS != 0 => {
            // Each token once.
            [1, 0, 0, 0].repeat(aecs::HISTOGRAM_BYTES / 4)
        }
        Opcode::COMPRESS => made(seed, PACKED),
        Opcode::DECOMPRESS if descriptor.flags & decompress::SUPPRESS_OUTPUT != 0 => {
            let mut packed = vec![0; descriptor.src1_len as usize];
            memory::read(descriptor.src1, &mut packed);
            completion.crc = packed[0].into();
            return completion;
        }
        Opcode::DECOMPRESS => made(seed, UNIT),
        _ => return completion,
    };
    completion.crc = output[0].into();
    memory::write(descriptor.dst, &output);
    completion.output_size = output.len() as u32;
    completion
}

/// A fleet of one queue, and what lanes on it share.
#[derive(Clone)]
pub(super) struct Rig {
    pub(super) clock: Arc<Ticks>,
    pub(super) device: Device,
    pub(super) fleet: Arc<Fleet>,
    pub(super) shared: Arc<Shared>,
    pub(super) store: Arc<Store>,
    leaked_before: u64,
}

impl Rig {
    /// With the entries of a dedicated queue, or a shared one.
    pub(super) fn new(entries: Option<u32>, lanes: usize) -> Self {
        let clock = Arc::new(Ticks::leaping());
        let device = Device::default();
        let facts = Facts {
            name: "iax0/wq0.0".to_owned(),
            package: None,
            credits: entries,
            base: Base::plain(),
            gen2: false,
            header_gen: false,
            compresses: true,
            decompresses: true,
        };
        let portal: Box<dyn Portal> = Box::new(device.clone());
        let fleet = Fleet::new(vec![(facts, portal)], clock.clone());
        Self {
            clock,
            device,
            fleet: Arc::new(fleet),
            shared: Arc::new(Shared::fixed().expect("memory")),
            store: Arc::new(Store::new(lanes)),
            leaked_before: leaked_bytes(),
        }
    }

    pub(super) fn lane(&self, slots: usize) -> Lane {
        self.lane_for(slots, Format::Fixed, Verify::Off)
    }

    pub(super) fn lane_for(&self, slots: usize, format: Format, verify: Verify) -> Lane {
        let settings = Settings {
            slots,
            unit: UNIT,
            accept_limit: UNIT - 1,
            format,
            verify,
            patience: PATIENCE,
            faults_most: 1,
        };
        Lane::new(&self.fleet, &self.shared, &self.store, settings, 0, None).expect("memory")
    }

    /// Bytes that lanes gave up for good.
    pub(super) fn leaked(&self) -> u64 {
        leaked_bytes() - self.leaked_before
    }

    /// Gives back all but the lanes', and says what is mapped still.
    pub(super) fn end(self) -> usize {
        let Self {
            fleet,
            shared,
            store,
            ..
        } = self;
        drop((fleet, shared, store));
        memory::bytes_mapped()
    }
}

/// What became of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Done,
    Failed(Reason),
}

/// What a sink does with its first page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sink {
    /// Looks at it, lets everybody else run, and looks again.
    Lingers,
    Goes,
    Breaks,
    Panics,
}

/// Pages whose first bytes are their numbers, each told of once.
pub(super) struct Pages<'p> {
    pages: &'p [[u8; UNIT]],
    next: usize,
    sink: Sink,
    pub(super) told: Vec<Option<Told>>,
}

impl<'p> Pages<'p> {
    pub(super) fn new(pages: &'p [[u8; UNIT]], sink: Sink) -> Self {
        Self {
            pages,
            next: 0,
            sink,
            told: vec![None; pages.len()],
        }
    }
}

impl<'p> Batch<'p> for Pages<'p> {
    fn left(&self) -> usize {
        self.pages.len() - self.next
    }

    fn next(&mut self, room: &mut [u8]) -> Option<Input<'p>> {
        // It is lent to be written.
        room.fill(0xEE);
        let index = self.next;
        let bytes = self.pages.get(index)?;
        self.next += 1;
        Some(Input {
            index,
            bytes,
            canned: false,
        })
    }

    fn done(&mut self, index: usize, answer: Answer<'_>) -> ControlFlow<()> {
        let first = self.told.iter().all(Option::is_none);
        let told = match answer {
            Answer::Done(bytes) => {
                let expected = made(self.pages[index][0], bytes.len());
                assert_eq!(bytes, expected);
                if self.sink == Sink::Lingers {
                    thread::yield_now();
                    assert_eq!(bytes, expected, "written while a sink looks at it");
                }
                Told::Done
            }
            Answer::TooBig => panic!("nothing is too big"),
            Answer::Failed(reason) => Told::Failed(reason),
        };
        assert_eq!(self.told[index].replace(told), None, "page {index} twice");
        match self.sink {
            Sink::Panics if first => std::panic::resume_unwind(Box::new(index)),
            Sink::Breaks if first => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Pages that begin with `first` and the numbers after it.
pub(super) fn pages<const N: usize>(first: u8) -> [[u8; UNIT]; N] {
    core::array::from_fn(|i| [first + i as u8; UNIT])
}

/// What became of each page, so far as the sink was told.
pub(super) type AllTold = Vec<Option<Told>>;

pub(super) fn compress(lane: &mut Lane, pages: &[[u8; UNIT]], sink: Sink) -> AllTold {
    let mut batch = Pages::new(pages, sink);
    lane.compress(&mut batch);
    batch.told
}

pub(super) fn decompress(lane: &mut Lane, pages: &[[u8; UNIT]], sink: Sink) -> AllTold {
    let mut batch = Pages::new(pages, sink);
    lane.decompress(&mut batch);
    batch.told
}
