//! One run: what it is asked to do, what it counts and finds, and its threads.

use crate::calls::{migrate, random_of, round_trip};
use crate::churn::churn;
use crate::cpus;
use crate::disturb::{flip, shove, toggle};
use crate::host::{self, Cpuset, Hotplug, Restored};
use crate::pages::{Random, pages};
use crate::pools::{RECIPES, Recipe, Subject};
use crate::signals::Signals;
use pagepress::iaa::leaked_bytes;
use rustix::thread::{Pid, gettid};
use std::collections::BTreeMap;
use std::io;
use std::process::{ExitCode, abort};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread::Scope;
use std::time::{Duration, Instant};

/// A run that takes so much longer than it should hangs.
const HANGS: Duration = Duration::from_secs(600);

/// Findings that are kept.
const KEPT: usize = 20;

#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) verified: Count,
    pub(crate) batches: Count,
    /// Changes of affinity, by the thread itself and by another.
    pub(crate) asked: Count,
    pub(crate) shoved: Count,
    /// Changes of CPU that threads saw, and those between two pages of a call.
    pub(crate) moved: Count,
    pub(crate) moved_in_call: Count,
    pub(crate) cycles: Count,
    pub(crate) cycles_refused: Count,
    /// Changes of the cpuset, and how often it had lost its last CPU.
    pub(crate) flips: Count,
    pub(crate) emptied: Count,
    /// Pools made; while a CPU was offline; whose last handle was elsewhere.
    pub(crate) made: Count,
    pub(crate) made_without: Count,
    pub(crate) handed_over: Count,
    pub(crate) late: Count,
    pub(crate) neighbour: Count,
    pub(crate) spare: Count,
}

/// What the threads share.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) counts: Counts,
    pub(crate) pages: Vec<Vec<u8>>,
    /// The CPUs that the process may use, from its beginning.
    pub(crate) cpus: Vec<usize>,
    /// The one that goes offline and comes back, if there is one.
    pub(crate) toggled: Option<usize>,
    over: AtomicBool,
    /// Odd while a CPU changes.
    changes: AtomicU64,
    findings: Mutex<Vec<String>>,
    workers: Mutex<Vec<Pid>>,
}

/// A thread that others may move, until dropped.
pub(crate) struct Worker<'r>(&'r Run);

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        let me = gettid();
        let mut workers = self
            .0
            .workers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        workers.retain(|&thread| thread != me);
    }
}

/// Ends the run when a thread ends by a panic.
struct EndsRun<'r>(&'r Run);

impl Drop for EndsRun<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.wrong("a thread panicked".into());
        }
    }
}

impl Run {
    fn new(toggled: Option<usize>) -> Self {
        Self {
            toggled,
            counts: Counts::default(),
            pages: pages(256),
            cpus: cpus::allowed(),
            over: AtomicBool::new(false),
            changes: AtomicU64::new(0),
            findings: Mutex::default(),
            workers: Mutex::default(),
        }
    }

    /// Something that must not be: ends the run.
    pub(crate) fn wrong(&self, what: String) {
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        if findings.len() < KEPT {
            findings.push(what);
        }
        self.over.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// The CPUs that the process may use and that are online now.
    pub(crate) fn online(&self) -> Vec<usize> {
        let mut online = cpus::online();
        online.retain(|cpu| self.cpus.contains(cpu));
        online
    }

    /// How often a CPU began or ended to change.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    pub(crate) fn change(&self, how: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.changes.fetch_add(1, Ordering::SeqCst);
        let done = how();
        self.changes.fetch_add(1, Ordering::SeqCst);
        done
    }

    /// Lets others move this thread.
    pub(crate) fn worker(&self) -> Worker<'_> {
        self.workers.lock().unwrap().push(gettid());
        Worker(self)
    }

    /// Does something to a thread that does not end meanwhile.
    pub(crate) fn with_a_worker(&self, random: &mut Random, act: impl FnOnce(Pid)) {
        let workers = self.workers.lock().unwrap();
        if !workers.is_empty() {
            act(workers[random.below(workers.len())]);
        }
    }
}

/// A number from the environment.
fn asked(name: &str, otherwise: u64) -> u64 {
    let name = format!("PAGEPRESS_HOTPLUG_{name}");
    std::env::var(&name).map_or(otherwise, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}"))
    })
}

/// What one worker does.
fn work(run: &Run, pools: &[Subject], number: u64) {
    let mut random = Random(1000 + number);
    let _worker = run.worker();
    while !run.is_over() {
        if random.below(4) == 0 {
            migrate(run, &mut random);
        }
        let subject = random_of(pools, &mut random);
        round_trip(run, &mut random, pools, subject, 0);
        if random.below(32) == 0 {
            subject.look(run);
        }
    }
}

/// A pool that lives for the whole run.
struct LongLived {
    subject: Subject,
    made_with: usize,
    homes: BTreeMap<usize, usize>,
}

impl LongLived {
    fn make(run: &Run, recipe: Recipe, note: &str) -> Self {
        let subject = recipe.make(run, note);
        let made_with = subject.look(run).len();
        let homes = subject.homes(run);
        Self {
            subject,
            made_with,
            homes,
        }
    }

    /// Checks all that must hold in the end, and drops it.
    fn end(self, run: &Run) {
        let Self {
            subject,
            made_with,
            homes,
        } = self;
        let now = subject.homes(run);
        for (cpu, before) in &homes {
            if now.get(cpu).is_some_and(|address| address != before) {
                subject.wrong(run, &format!("cpu{cpu}'s dst buffer has moved"));
            }
        }
        for &address in now.values() {
            subject.saw(address);
        }
        subject.settle(run, made_with);
        let about = subject.about.clone();
        drop(subject);
        about.gone(run);
    }
}

/// Ends a process whose run does not, but not before the host is restored.
fn watch_over(limit: Duration) -> (mpsc::Sender<()>, std::thread::JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel();
    let dog = std::thread::spawn(move || {
        // Woken when the sender is dropped.
        if receiver.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
            host::restore();
            eprintln!("hotplug: no end after {limit:?}");
            abort();
        }
    });
    (sender, dog)
}

pub(crate) fn main() -> ExitCode {
    let seconds = Duration::from_secs(asked("SECONDS", 5));
    if seconds.is_zero() {
        println!("hotplug: skipped: PAGEPRESS_HOTPLUG_SECONDS is 0");
        return ExitCode::SUCCESS;
    }
    let _signals = Signals::catch();
    // In a thread, which std frees all of: of main's it keeps a little, which
    // valgrind takes for lost.
    let thread = std::thread::spawn(move || run_for(seconds));
    thread.join().unwrap_or(ExitCode::FAILURE)
}

fn run_for(seconds: Duration) -> ExitCode {
    let _restored = Restored;
    let (sender, dog) = watch_over(seconds * 2 + HANGS);
    let hotplug = Hotplug::find()
        .inspect_err(|why| println!("hotplug: skipped: no CPU is taken offline: {why}"))
        .ok();
    let run = Run::new(hotplug.as_ref().map(|hotplug| hotplug.cpu));
    drive(&run, hotplug.as_ref(), seconds);
    drop(sender);
    dog.join().expect("the watchdog only waits");
    for problem in host::restore() {
        run.wrong(problem);
    }
    run.judge(hotplug.as_ref())
}

/// Starts a thread whose panic ends the run.
fn start<'s>(scope: &'s Scope<'s, '_>, run: &'s Run, name: &str, work: impl FnOnce() + Send + 's) {
    let thread = std::thread::Builder::new().name(name.into());
    let spawned = thread.spawn_scoped(scope, move || {
        let _ends = EndsRun(run);
        work();
    });
    spawned.expect("the system lets a process have threads");
}

/// Makes the pools, has all threads at them for so long, and looks at them.
fn drive(run: &Run, hotplug: Option<&Hotplug>, seconds: Duration) {
    let mut pools: Vec<_> = RECIPES
        .map(|recipe| LongLived::make(run, recipe, ""))
        .into();
    if let Some(hotplug) = hotplug {
        let set = |online| {
            if let Err(error) = run.change(|| hotplug.set(online)) {
                run.wrong(format!("cpu{}: {error}", hotplug.cpu));
            }
        };
        set(false);
        let note = format!(", made without cpu{}", hotplug.cpu);
        pools.extend(RECIPES.map(|recipe| LongLived::make(run, recipe, &note)));
        set(true);
    }
    let group = Cpuset::make()
        .inspect_err(|why| println!("hotplug: skipped: no cpuset is changed: {why}"))
        .ok();
    let threads = asked("THREADS", (2 * run.cpus.len() as u64).max(8));
    println!(
        "hotplug: {seconds:?}, {threads} threads on {} CPUs, {} long-lived pools",
        run.cpus.len(),
        pools.len()
    );
    let subjects: Vec<_> = pools.iter().map(|pool| pool.subject.clone()).collect();
    let until = Instant::now() + seconds;
    let least = asked("PAGES", 1000);
    std::thread::scope(|scope| {
        for number in 0..threads {
            let subjects = &subjects;
            start(scope, run, "worker", move || work(run, subjects, number));
        }
        start(scope, run, "churn", || churn(run));
        start(scope, run, "shove", || shove(run));
        if let Some(hotplug) = hotplug {
            start(scope, run, "toggle", || toggle(run, hotplug));
        }
        if let Some(group) = &group {
            start(scope, run, "flip", || flip(run, group));
        }
        while !run.is_over() && (Instant::now() < until || run.counts.verified.get() < least) {
            std::thread::sleep(Duration::from_millis(20));
        }
        run.over.store(true, Ordering::Relaxed);
    });
    // The host as it was, and every CPU there for the last look.
    for problem in host::restore() {
        run.wrong(problem);
    }
    drop(subjects);
    for pool in pools {
        pool.end(run);
    }
}

impl Run {
    /// Prints what was done, and says whether that was right.
    fn judge(&self, hotplug: Option<&Hotplug>) -> ExitCode {
        let c = &self.counts;
        let n = Count::get;
        println!(
            "hotplug: {} pages verified, in {} batches",
            n(&c.verified),
            n(&c.batches)
        );
        if let Some(hotplug) = hotplug {
            println!(
                "hotplug: cpu{} offline and back {} times, {} changes refused",
                hotplug.cpu,
                n(&c.cycles),
                n(&c.cycles_refused)
            );
            if n(&c.cycles) == 0 {
                self.wrong("no CPU came back from offline".into());
            }
        }
        println!(
            "hotplug: {} migrations asked for by the thread itself, {} by another; \
             {} seen, {} of these in the middle of a call",
            n(&c.asked),
            n(&c.shoved),
            n(&c.moved),
            n(&c.moved_in_call)
        );
        if n(&c.flips) > 0 {
            println!(
                "hotplug: {} changes of the cpuset, which lost its last CPU {} times",
                n(&c.flips),
                n(&c.emptied)
            );
        }
        println!(
            "hotplug: {} pools made and dropped, {} while a CPU was offline, \
             {} whose last handle was in the middle of its first use elsewhere",
            n(&c.made),
            n(&c.made_without),
            n(&c.handed_over)
        );
        println!(
            "hotplug: {} late contexts, {} neighbour calls, {} spare calls, {} bytes leaked",
            n(&c.late),
            n(&c.neighbour),
            n(&c.spare),
            leaked_bytes()
        );
        let findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        for finding in &*findings {
            println!("    WRONG: {finding}");
        }
        if findings.is_empty() {
            println!("hotplug: ok");
            ExitCode::SUCCESS
        } else {
            println!("hotplug: FAILED");
            ExitCode::FAILURE
        }
    }
}
