//! What a context keeps resident, measured, beside what the pool says of itself.
//!
//! `cargo bench --bench memory -- CORPUS`
//!
//! Linux walks the page tables for it (`smaps_rollup`, anonymous pages and swap):
//! what the codecs' heap and the device's mappings came to, in whole pages. `statm`
//! would add the program's own file pages, which come in as code is first run.
//! Every kind is measured in a process of its own, with one thread, so that malloc
//! has one arena; what is made once for all pools was made before.

use pagepress::iaa::{Devices, Format, Model, Options};
use pagepress::{Backend, Codec, Pool, Stored};
use pagepress_benches::contenders::pack_with;
use pagepress_benches::machine::{online, online_cpus};
use pagepress_benches::{corpus, pin, random_pages};
use rustix::thread::{sched_getaffinity, sched_getcpu};
use std::env;
use std::fs;
use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

/// Pools made before the first measurement and the second.
const POOLS: usize = 64;
/// Pages of a call.
const BATCH: usize = 8;
/// Spares that each pool is made to need.
const SPARES: usize = 2;
/// Names the kind to a child process.
const KIND: &str = "PAGEPRESS_MEMORY_KIND";
/// What a child exits with if CPUs came or went.
const CPUS_CHANGED: u8 = 75;
const TRIES: usize = 100;
/// How long a CPU is waited for.
const AWAY: Duration = Duration::from_millis(10);
/// Bytes.
const KIB: f64 = 1024.0;

/// What Linux keeps per CPU: KiB with the destination buffers of two pages it has,
/// and with buffers of one page.
#[derive(Debug, Clone, Copy)]
struct Kernel(f64, f64);

const KERNEL_IAA: Kernel = Kernel(64.34, 32.3);
const KERNEL_SOFTWARE: Kernel = Kernel(8.28, 4.3);

const KINDS: [(&str, Kernel); 5] = [
    ("lz4", KERNEL_SOFTWARE),
    ("zstd 1", KERNEL_SOFTWARE),
    ("deflate 1", KERNEL_SOFTWARE),
    ("IAA fixed (modelled)", KERNEL_IAA),
    ("IAA dynamic (modelled)", KERNEL_IAA),
];

fn main() -> ExitCode {
    if let Ok(kind) = env::var(KIND) {
        return child(&kind);
    }
    println!(
        "KiB, of {POOLS} and {} pools; CPUs {}; IAA: 4 modelled devices of generation 1, 8 pages\n\
         in flight. Resident: a pool by its contexts, pools {}.. against the first {POOLS}, what one\n\
         more context adds (a spare), and what is left of a pool without its contexts if they are\n\
         all as big. Said: Pool::memory() by its contexts, and of one context its buffers, codec\n\
         state and rest. Linux: per CPU, with buffers of two pages (of one), without codec state\n",
        2 * POOLS,
        online(),
        POOLS + 1,
    );
    println!(
        "{:<22} | {:>8} {:>9} {:>8} {:>6} | {:>8} {:>7} {:>7} {:>7} | Linux",
        "", "resident", "2nd / 1st", "one more", "pool", "said", "buffers", "state", "rest"
    );
    for (kind, _) in KINDS {
        let mut tries = 0;
        loop {
            let program = env::current_exe().expect("the running program has a path");
            let mut command = Command::new(program);
            let status = command.args(env::args().skip(1)).env(KIND, kind).status();
            let status = status.expect("the program starts again");
            if status.success() {
                break;
            }
            tries += 1;
            let again = status.code() == Some(CPUS_CHANGED.into()) && tries < TRIES;
            assert!(again, "{kind}: {status}");
            println!("{kind}: CPUs came or went, repeated");
        }
    }
    ExitCode::SUCCESS
}

/// Measures one kind and prints its line.
fn child(kind: &str) -> ExitCode {
    match measure(kind) {
        Some(()) => ExitCode::SUCCESS,
        None => ExitCode::from(CPUS_CHANGED),
    }
}

/// Nothing if CPUs came or went, and pools differ for that.
fn measure(kind: &str) -> Option<()> {
    let cpus = online_cpus();
    let (_, mut pages) = corpus();
    pages.extend(random_pages(BATCH));
    let make = maker(kind);
    let first = make();
    let packed = pack_with(&first, &pages);
    let stored: Vec<_> = packed
        .iter()
        .map(|bytes| Stored::compressed(first.codec(), bytes))
        .collect();
    let work = Work {
        pages: &pages,
        stored: &stored,
        cpus: &cpus,
    };

    // Kept to the end: a hole in the heap would be filled by those that count.
    let mut pools = Vec::with_capacity(1 + 2 * POOLS);
    pools.push(first);
    work.with_all_contexts(&pools[0])?;
    work.with_spares(&pools[0]);
    let mut marks = vec![resident()];
    for _ in 0..2 {
        for _ in 0..POOLS {
            let pool = make();
            work.with_all_contexts(&pool)?;
            pools.push(pool);
        }
        marks.push(resident());
    }
    let pools = &pools[1..];
    let as_made = |pool: &Pool| {
        let memory = pool.memory();
        memory.contexts.len() == cpus.len()
            && memory.spares.is_empty()
            && pool.stats().late_contexts == 0
    };
    pools.iter().all(as_made).then_some(())?;
    let own = pools[0].memory();
    for pool in pools {
        work.with_spares(pool);
    }
    marks.push(resident());
    let memories = pools.iter().map(Pool::memory);
    let (contexts, spares) = memories.fold((0, 0), |(contexts, spares), memory| {
        (
            contexts + memory.contexts.len(),
            spares + memory.spares.len(),
        )
    });
    let spared = contexts == pools.len() * cpus.len() && spares > 0;
    spared.then_some(())?;

    let [before, once, twice, with_spares] = marks[..] else {
        unreachable!("four were taken");
    };
    let contexts = cpus.len() as f64;
    let pool = (twice - before) / (2 * POOLS) as f64;
    let context = pool / contexts;
    let spare = (with_spares - twice) / spares as f64;
    let kib = |bytes: usize| bytes as f64 / KIB;
    let (_, said) = own.contexts[0];
    let kernel = KINDS.iter().find(|(name, _)| *name == kind);
    let &(_, Kernel(two_pages, one_page)) = kernel.expect("the parent knows it");
    println!(
        "{kind:<22} | {context:>8.2} {:>9.3} {spare:>8.2} {:>6.2} | {:>8.2} {:>7.2} {:>7.2} {:>7.2} | \
         {two_pages} ({one_page})",
        (twice - once) / (once - before),
        pool - contexts * spare,
        kib(own.total()) / contexts,
        kib(said.dst_buffers),
        kib(said.codec_state),
        kib(said.rest),
    );
    Some(())
}

/// Makes pools of a kind, all on the same devices.
fn maker(kind: &str) -> Box<dyn Fn() -> Pool> {
    let software = |codec| {
        let builder = Pool::builder().backend(Backend::Software).codec(codec);
        Box::new(move || builder.clone().build().expect("codec is built"))
    };
    let iaa = |format| {
        let mut model = Model::default();
        model.devices = 4;
        let mut options = Options::default();
        options.format = format;
        let (devices, _) = Devices::of_model(&model);
        let builder = Pool::builder().devices(devices).iaa(options);
        Box::new(move || builder.clone().build().expect("plain settings"))
    };
    match kind {
        "lz4" => software(Codec::Lz4),
        "zstd 1" => software(Codec::Zstd),
        "deflate 1" => software(Codec::Deflate),
        "IAA fixed (modelled)" => iaa(Format::Fixed),
        "IAA dynamic (modelled)" => iaa(Format::Dynamic),
        _ => panic!("no kind {kind:?}"),
    }
}

/// Pages both ways, so that a context touches all that it ever will.
struct Work<'a> {
    pages: &'a [Vec<u8>],
    stored: &'a [Stored<'a>],
    cpus: &'a [usize],
}

impl Work<'_> {
    /// From each CPU in turn; nothing if one of them stays away.
    fn with_all_contexts(&self, pool: &Pool) -> Option<()> {
        self.cpus.iter().try_for_each(|&cpu| {
            (0..TRIES).find_map(|_| {
                pin(cpu);
                self.through(pool);
                // A CPU that goes offline sends its threads elsewhere, for good.
                let stayed = is_pinned(cpu);
                if !stayed {
                    thread::sleep(AWAY);
                }
                stayed.then_some(())
            })
        })
    }

    fn through(&self, pool: &Pool) {
        for batch in self.pages.chunks(BATCH) {
            pool.compress_batch(batch, |_, outcome| {
                let _ = black_box(outcome.expect("a sound context"));
            });
        }
        for batch in self.stored.chunks(BATCH) {
            pool.decompress_batch(batch, |_, page| {
                black_box(page.expect("our own page"));
            });
        }
    }

    /// From sinks within sinks, which hold a context each.
    fn with_spares(&self, pool: &Pool) {
        let contexts = pool.memory().contexts.len();
        for depth in contexts..contexts + SPARES {
            self.below(pool, depth);
        }
    }

    fn below(&self, pool: &Pool, depth: usize) {
        if depth == 0 {
            return self.through(pool);
        }
        pool.compress_batch(&self.pages[..1], |_, _| self.below(pool, depth - 1));
    }
}

/// Whether this thread may run on one CPU only, and does.
fn is_pinned(cpu: usize) -> bool {
    let set = sched_getaffinity(None);
    let only = set.is_ok_and(|set| set.is_set(cpu) && set.count() == 1);
    only && sched_getcpu() == cpu
}

/// KiB of anonymous memory that this process has, resident or swapped.
fn resident() -> f64 {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").expect("Linux with smaps_rollup");
    let of = |name: &str| -> f64 {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|kib| kib.parse().ok()).expect("a number")
    };
    of("Anonymous:") + of("Swap:")
}
