//! Counts what the pool takes from the heap, in Rust and in C alike: nothing
//! on the hot path, and as much as `Pool::memory` says otherwise.
//!
//! The C codecs call malloc themselves, so a Rust global allocator would not
//! see them. This program replaces malloc instead, as glibc allows.

#![cfg_attr(not(all(target_os = "linux", target_env = "gnu")), allow(unused))]
#![expect(unsafe_code, reason = "malloc is unsafe to write and to replace")]

#[path = "suite/pages.rs"]
mod pages;

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn main() {
    println!("skipped: replacing malloc is only known to work with glibc");
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn main() {
    checks::hot_path_allocates_nothing();
    checks::hot_path_to_a_device_allocates_nothing();
    checks::memory_is_as_reported();
    checks::a_pool_without_memory_is_gone();
    checks::a_pool_without_memory_for_devices_is_gone();
    println!("test result: ok. 5 passed; 0 failed");
}

/// malloc and its kin, counting.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod heap {
    use core::ffi::{c_int, c_void};
    use core::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

    unsafe extern "C" {
        fn __libc_malloc(size: usize) -> *mut c_void;
        fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
        fn __libc_realloc(old: *mut c_void, size: usize) -> *mut c_void;
        fn __libc_memalign(align: usize, size: usize) -> *mut c_void;
        fn __libc_free(old: *mut c_void);
        fn malloc_usable_size(block: *mut c_void) -> usize;
    }

    static CALLS: AtomicU64 = AtomicU64::new(0);
    /// Whether what is taken now is nobody's concern.
    static ASIDE: AtomicBool = AtomicBool::new(false);
    static LIVE: AtomicI64 = AtomicI64::new(0);
    /// Bytes that may be in use, before large blocks are refused.
    static MOST: AtomicI64 = AtomicI64::new(i64::MAX);
    static REFUSED: AtomicU64 = AtomicU64::new(0);
    /// Smaller blocks are found in what the heap has left.
    const LARGE: usize = 2048;

    /// Allocations so far, by anyone in this process.
    pub(crate) fn calls() -> u64 {
        CALLS.load(Ordering::SeqCst)
    }

    /// Bytes in use now.
    pub(crate) fn live() -> i64 {
        LIVE.load(Ordering::SeqCst)
    }

    /// Does something whose allocations are not counted.
    pub(crate) fn uncounted<T>(work: impl FnOnce() -> T) -> T {
        ASIDE.store(true, Ordering::SeqCst);
        let done = work();
        ASIDE.store(false, Ordering::SeqCst);
        done
    }

    /// Does something with `bytes` more than are in use now; how often it was
    /// refused more.
    pub(crate) fn within<T>(bytes: i64, work: impl FnOnce() -> T) -> (T, u64) {
        let before = REFUSED.load(Ordering::SeqCst);
        MOST.store(live() + bytes, Ordering::SeqCst);
        let done = work();
        MOST.store(i64::MAX, Ordering::SeqCst);
        (done, REFUSED.load(Ordering::SeqCst) - before)
    }

    fn is_refused(size: usize) -> bool {
        let refused = size >= LARGE && live() + size as i64 > MOST.load(Ordering::SeqCst);
        REFUSED.fetch_add(u64::from(refused), Ordering::SeqCst);
        refused
    }

    fn taken(block: *mut c_void) -> *mut c_void {
        let counted = !ASIDE.load(Ordering::SeqCst);
        CALLS.fetch_add(u64::from(counted), Ordering::SeqCst);
        LIVE.fetch_add(usable(block), Ordering::SeqCst);
        block
    }

    fn usable(block: *mut c_void) -> i64 {
        // SAFETY: `block` is null, for which the answer is 0, or a live block
        // of glibc's allocator.
        unsafe { malloc_usable_size(block) as i64 }
    }

    #[unsafe(no_mangle)]
    extern "C" fn malloc(size: usize) -> *mut c_void {
        if is_refused(size) {
            return core::ptr::null_mut();
        }
        // SAFETY: glibc's own malloc, which takes any size.
        taken(unsafe { __libc_malloc(size) })
    }

    #[unsafe(no_mangle)]
    extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
        if is_refused(count.saturating_mul(size)) {
            return core::ptr::null_mut();
        }
        // SAFETY: glibc's own calloc, which takes any sizes.
        taken(unsafe { __libc_calloc(count, size) })
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn realloc(old: *mut c_void, size: usize) -> *mut c_void {
        if is_refused(size) {
            return core::ptr::null_mut();
        }
        LIVE.fetch_sub(usable(old), Ordering::SeqCst);
        // SAFETY: the caller gives a block of this allocator, or null.
        taken(unsafe { __libc_realloc(old, size) })
    }

    #[unsafe(no_mangle)]
    extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
        if is_refused(size) {
            return core::ptr::null_mut();
        }
        // SAFETY: glibc's own memalign, which takes any alignment and size.
        taken(unsafe { __libc_memalign(align, size) })
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn posix_memalign(to: *mut *mut c_void, align: usize, size: usize) -> c_int {
        let block = aligned_alloc(align, size);
        if block.is_null() {
            return 12; // ENOMEM
        }
        // SAFETY: the caller gives a place to write the pointer to.
        unsafe { *to = block };
        0
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn free(old: *mut c_void) {
        LIVE.fetch_sub(usable(old), Ordering::SeqCst);
        // SAFETY: the caller gives a block of this allocator, or null.
        unsafe { __libc_free(old) }
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod checks {
    use super::heap;
    use super::pages::{kinds, units};
    use pagepress::iaa::{Devices, Format, Options, Tables};
    use pagepress::{Backend, Builder, Codec, Error, Outcome, Pool, Stored, StoredBuf, UnitSize};
    use pagepress_abi::{Portal, Submission};
    use pagepress_iaa::clock::HostClock;
    use pagepress_iaa::fleet::Facts;
    use pagepress_iaa::recipe::Base;
    use pagepress_model::device::{Device, Queue};
    use pagepress_model::memory::Trusting;
    use pagepress_model::profile::{Profile, QueueConfig};
    use std::sync::Arc;

    /// All software codecs, and canned pages.
    fn software() -> Vec<(Codec, String, Builder)> {
        let mut all = Vec::new();
        let builder = Pool::builder().backend(Backend::Software);
        for codec in Codec::ALL {
            all.push((codec, codec.to_string(), builder.clone().codec(codec)));
        }
        let canned = builder.tables(Tables::flat());
        all.push((Codec::Deflate, "deflate, canned".to_owned(), canned));
        all
    }

    /// From the very first call on: contexts take all they need when made.
    pub(crate) fn hot_path_allocates_nothing() {
        for (codec, name, builder) in software() {
            let pool = || builder.clone().build().expect("the codec is built");
            allocates_nothing(&name, &pool);
            // Errors are no excuse either.
            let pool = pool();
            let before = heap::calls();
            pool.decompress_batch(&[Stored::compressed(codec, &[1, 2, 3])], |_, page| {
                assert!(page.is_err());
            });
            assert_eq!(heap::calls() - before, 0, "{name} allocated for an error");
        }
    }

    /// A modelled queue. What the model takes from the heap is not counted: on a
    /// host with a device, no such thing runs there.
    #[derive(Debug)]
    struct Uncounted(Queue);

    impl Portal for Uncounted {
        unsafe fn submit(&self, descriptor: &[u8; 64]) -> Submission {
            // SAFETY: the caller's promise is the same.
            heap::uncounted(|| unsafe { self.0.submit(descriptor) })
        }
    }

    fn devices(profile: Profile) -> Devices {
        let gen2 = profile.iaa_cap.is_some();
        let queue = |i: usize| -> (Facts, Box<dyn Portal>) {
            let device = Device::new(profile, Trusting, &[QueueConfig::shared(64)]).unwrap();
            let facts = Facts {
                name: format!("model{i}/wq{i}.0"),
                package: None,
                credits: None,
                base: Base::new(profile.gen_cap, true),
                gen2,
                header_gen: gen2,
                compresses: true,
                decompresses: true,
            };
            (facts, Box::new(Uncounted(device.queue(0))))
        };
        let clock = Arc::new(HostClock::new(false));
        Devices::of_portals(
            (0..2).map(queue).collect(),
            clock,
            pagepress::PerformedBy::Modelled,
        )
    }

    pub(crate) fn hot_path_to_a_device_allocates_nothing() {
        for (profile, generation) in [(Profile::GEN1, 1), (Profile::GEN2, 2)] {
            for (format, name) in [
                (Format::Fixed, "fixed"),
                (Format::Dynamic, "dynamic"),
                (Format::Canned(Tables::flat()), "canned"),
            ] {
                let mut options = Options::default();
                options.format = format;
                let builder = Pool::builder().devices(devices(profile)).iaa(options);
                let name = format!("iaa, generation {generation}, {name}");
                allocates_nothing(&name, &|| builder.clone().build().unwrap());
            }
        }
    }

    /// A CPU that comes online meanwhile gets a context, which counts: then it is
    /// tried again.
    fn allocates_nothing(name: &str, make: &dyn Fn() -> Pool) {
        let what = (0..20)
            .find_map(|_| {
                let pool = make();
                let allocated = allocated(name, &pool);
                (pool.stats().late_contexts == 0).then_some(allocated)
            })
            .expect("the CPUs stay for a moment");
        let (first, later, pages) = what;
        assert_eq!(first, 0, "{name} allocated to compress");
        assert_eq!(later, 0, "{name} allocated on the hot path");
        // The counter does count.
        let before = heap::calls();
        drop(std::hint::black_box(vec![0u8; 100]));
        assert_eq!(heap::calls() - before, 1);
        println!("{name}: no allocation in {pages} pages");
    }

    /// Allocations of a pool's first calls, of many later ones, and their pages.
    fn allocated(name: &str, made: &Pool) -> (u64, u64, usize) {
        let pages: Vec<Vec<u8>> = kinds(UnitSize::DEFAULT)
            .into_iter()
            .map(|(_, page)| page)
            .collect();
        let mut store: Vec<Option<StoredBuf>> = vec![None; pages.len()];
        let mut rooms = vec![vec![0; 4096]; pages.len()];
        let mut compressed = 0;

        let before = heap::calls();
        let mut compress = || {
            made.compress_batch(&pages, |_, outcome| {
                compressed += u32::from(matches!(outcome, Ok(Outcome::Compressed { .. })));
            });
            for page in &pages {
                made.compress_batch(&[page], |_, outcome| assert!(outcome.is_ok()));
            }
        };
        compress();
        let first = heap::calls() - before;
        made.compress_batch(&pages, |i, outcome| {
            store[i] = Some(outcome.unwrap().to_stored(&pages[i]));
        });
        let stored: Vec<Stored<'_>> = store.iter().flatten().map(StoredBuf::as_stored).collect();

        let before = heap::calls();
        for _ in 0..50 {
            compress();
            made.decompress_batch(&stored, |_, page| assert!(page.is_ok()));
            made.decompress_batch_into(&stored, &mut rooms, |_, done| assert!(done.is_ok()));
        }
        let later = heap::calls() - before;
        assert!(compressed >= 51 * 8, "{name}");
        (first, later, 50 * 4 * pages.len())
    }

    /// `Pool::memory` against what the heap says, to 2 %.
    pub(crate) fn memory_is_as_reported() {
        for (_, codec, builder) in software() {
            for unit in units() {
                let before = heap::live();
                let pool = builder.clone().unit_size(unit).build();
                let pool = pool.expect("the codec is built");
                let taken = heap::live() - before;
                let said = pool.memory().total() as i64;
                assert!(
                    (taken - said).abs() * 50 <= taken,
                    "{codec} at {}: {said} bytes said, {taken} taken",
                    unit.bytes()
                );
                if unit == UnitSize::DEFAULT {
                    println!("{codec}: {said} bytes said, {taken} taken");
                }
                drop(pool);
                assert_eq!(heap::live() - before, 0, "{codec} leaks");
            }
        }
    }

    /// However little there is: a pool, or the CPU that lacks a context, and
    /// nothing left behind.
    pub(crate) fn a_pool_without_memory_is_gone() {
        for (_, codec, builder) in software() {
            let build = || builder.clone().build();
            let memory = build().expect("enough memory").memory();
            let (whole, online) = (memory.total() as i64, memory.contexts.len());
            let (mut failed_on, mut built) = (Vec::with_capacity(online), 0);
            let before = heap::live();
            // What is reserved ahead may ask for more than is used.
            for bytes in (0..2 * whole).step_by(1 << 10) {
                let (pool, refused) = heap::within(bytes, build);
                match pool {
                    Ok(pool) => {
                        assert_eq!(refused, 0, "{codec}");
                        built += 1;
                        drop(pool);
                    }
                    Err(Error::Context { cpu, reason }) => {
                        assert!(
                            refused > 0 && reason.contains("memory"),
                            "{codec}: {reason}"
                        );
                        if !failed_on.contains(&cpu) {
                            failed_on.push(cpu);
                        }
                    }
                    Err(error) => panic!("{codec}: {error}"),
                }
                assert_eq!(heap::live(), before, "{codec} with {bytes} bytes");
            }
            assert!(built > 0);
            assert_eq!(failed_on.len(), online, "{codec}: {failed_on:?}");
            println!("{codec}: refused on the CPUs {failed_on:?}");
        }
    }

    /// Device memory is mapped: here up to a limit of the process.
    pub(crate) fn a_pool_without_memory_for_devices_is_gone() {
        let mut options = Options::default();
        options.in_flight = 32;
        let unit = UnitSize::new(1 << 16).expect("a unit size");
        let builder = Pool::builder().devices(devices(Profile::GEN1));
        let build = || builder.clone().iaa(options.clone()).unit_size(unit).build();
        drop(build().expect("enough memory"));
        let (before, had) = (heap::live(), mapped());
        let error = limited(had + (1 << 20), build).expect_err("2 MiB a context");
        let Error::Context { cpu, reason } = error else {
            panic!("{error}");
        };
        assert!(reason.contains("memory for its dst buffers"), "{reason}");
        println!("iaa: refused on CPU {cpu}, {reason}");
        drop(reason);
        assert_eq!((heap::live(), mapped()), (before, had));
        build().expect("enough memory again");
    }

    /// Bytes of address space in use.
    fn mapped() -> u64 {
        let statm = std::fs::read_to_string("/proc/self/statm").expect("procfs");
        let pages: u64 = statm.split(' ').next().unwrap().parse().unwrap();
        pages * 4096
    }

    /// Does something while the process may map no more than this.
    fn limited<T>(bytes: u64, work: impl FnOnce() -> T) -> T {
        let mut limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: `limit` is there to be written.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut limit) }, 0);
        let less = libc::rlimit {
            rlim_cur: bytes,
            ..limit
        };
        // SAFETY: a valid limit, below the hard one; put back below.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &less) }, 0);
        let done = work();
        // SAFETY: the limit there was.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
        done
    }
}
