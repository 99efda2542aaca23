//! The two signals that an instruction raises where it cannot be executed.
//!
//! ENQCMD and MOVDIR64B raise SIGILL on a CPU that lacks them, and SIGSEGV on one
//! that has them: ENQCMD a general protection fault (`si_code` 128, no address),
//! since nobody gave this process a PASID, MOVDIR64B a page fault, since portals are
//! mapped so that nothing can touch them. What `siginfo` says differs, so that only
//! the instruction itself is believed.
//!
//! The program's own handlers are kept here, and called for faults of its own.

#![expect(unsafe_code, reason = "signal handlers")]

use crate::counters::Count;
use crate::decode::{self, Instruction, LENGTH_MAX, Registers};
use crate::devices::Store;
use crate::portals::PORTAL;
use crate::world::{World, world};
use crate::{stack, sys};
use core::cell::UnsafeCell;
use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use libc::{siginfo_t, ucontext_t};
use pagepress_abi::{Descriptor, Submission};

/// The C library's `sigaction`.
pub type Sigaction =
    unsafe extern "C" fn(c_int, *const libc::sigaction, *mut libc::sigaction) -> c_int;

/// The two signals.
const TAKEN: [c_int; 2] = [libc::SIGSEGV, libc::SIGILL];

/// The set of the two.
pub const MASK: sys::SignalMask = sys::mask_of(libc::SIGSEGV) | sys::mask_of(libc::SIGILL);

/// What the program wants done. Guarded by a lock that is held with all signals
/// blocked, so that no handler meets it held by its own thread.
struct Wanted {
    locked: AtomicBool,
    /// Signals that were blocked in whoever forks, which is whoever has the lock.
    forking: AtomicU64,
    actions: UnsafeCell<[MaybeUninit<libc::sigaction>; 2]>,
}

// SAFETY: the actions are touched with the lock held.
unsafe impl Sync for Wanted {}

static WANTED: Wanted = Wanted {
    locked: AtomicBool::new(false),
    forking: AtomicU64::new(0),
    actions: UnsafeCell::new([MaybeUninit::uninit(); 2]),
};

/// The C library's `sigaction`, and whether the handler is in place: it is if this
/// is not 0.
static REAL: AtomicUsize = AtomicUsize::new(0);

impl Wanted {
    fn lock(&self) {
        let free = |locked: bool| (!locked).then_some(true);
        while self
            .locked
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, free)
            .is_err()
        {
            core::hint::spin_loop();
        }
    }

    fn unlock(&self) {
        self.locked.store(false, Ordering::Release);
    }

    fn with<R>(&self, visit: impl FnOnce(&mut [MaybeUninit<libc::sigaction>; 2]) -> R) -> R {
        let before = sys::block_signals();
        self.lock();
        // SAFETY: the lock is held, so nobody else has a reference.
        let result = visit(unsafe { &mut *self.actions.get() });
        self.unlock();
        sys::set_signal_mask(before);
        result
    }
}

/// Which of the two a signal is.
fn number(signal: c_int) -> Option<usize> {
    TAKEN.iter().position(|&taken| taken == signal)
}

/// What the program wants done for one of the two signals; `None` for other signals,
/// or while nothing is taken from anybody. Sets what it wants from now on if `new` is
/// there.
#[must_use]
pub fn exchange(signal: c_int, new: Option<&libc::sigaction>) -> Option<libc::sigaction> {
    let number = number(signal).filter(|_| REAL.load(Ordering::Acquire) != 0)?;
    Some(WANTED.with(|actions| {
        // SAFETY: `install` has filled both before it set `REAL`.
        let old = unsafe { actions[number].assume_init() };
        if let Some(new) = new {
            actions[number].write(*new);
            let moves = (old.sa_flags ^ new.sa_flags) & libc::SA_ONSTACK != 0;
            if moves && !is_default(signal) {
                take(signal, new.sa_flags);
            }
        }
        old
    }))
}

fn real() -> Sigaction {
    let real = REAL.load(Ordering::Acquire);
    // SAFETY: called only once `install` has put a function there.
    unsafe { core::mem::transmute::<usize, Sigaction>(real) }
}

/// Has the handler see to a signal. It runs on the alternate stack if the program
/// wants its own to: who does not may have one with no room.
fn take(signal: c_int, wanted: c_int) {
    // SAFETY: an action of zeros is one: the default, with no flags.
    let mut ours: libc::sigaction = unsafe { core::mem::zeroed() };
    ours.sa_sigaction = on_signal as *const () as usize;
    ours.sa_flags = libc::SA_SIGINFO | wanted & libc::SA_ONSTACK;
    // SAFETY: the set is there. All signals wait while the device works.
    unsafe { libc::sigfillset(&raw mut ours.sa_mask) };
    // SAFETY: the handler does what handlers may: see `on_signal`.
    unsafe { real()(signal, &raw const ours, ptr::null_mut()) };
}

/// Whether the system was told to end the process by this signal.
fn is_default(signal: c_int) -> bool {
    let mut now = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: there is room for the answer, and no new action.
    unsafe { real()(signal, ptr::null(), now.as_mut_ptr()) };
    // SAFETY: the real function has filled it, and zeros are an action.
    unsafe { now.assume_init() }.sa_sigaction == libc::SIG_DFL
}

/// Takes the two signals, and keeps them unblocked in this thread.
///
/// # Safety
/// `real` is the C library's `sigaction`, and this is called once.
pub unsafe fn install(real: Sigaction) {
    let mut before = [const { MaybeUninit::<libc::sigaction>::zeroed() }; 2];
    for (signal, before) in TAKEN.into_iter().zip(&mut before) {
        // SAFETY: there is room for the answer, and no new action.
        unsafe { real(signal, ptr::null(), before.as_mut_ptr()) };
    }
    WANTED.with(|actions| *actions = before);
    REAL.store(real as usize, Ordering::Release);
    for (signal, before) in TAKEN.into_iter().zip(before) {
        // SAFETY: the real function has filled it.
        take(signal, unsafe { before.assume_init() }.sa_flags);
    }
    let blocked = sys::block_signals();
    sys::set_signal_mask(blocked & !MASK);
}

/// Before a fork: nobody may be changing an action.
pub extern "C" fn before_fork() {
    let before = sys::block_signals();
    WANTED.lock();
    WANTED.forking.store(before, Ordering::Relaxed);
}

/// After a fork, in both processes.
pub extern "C" fn after_fork() {
    let before = WANTED.forking.load(Ordering::Relaxed);
    WANTED.unlock();
    sys::set_signal_mask(before);
}

/// What came of an instruction.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// The device has seen to it.
    Executed,
    /// It is nothing of ours.
    Foreign,
    /// A CPU with the instruction would have raised SIGSEGV, with this code and
    /// address.
    Fault(c_int, u64),
}

/// `si_code` of a general protection fault.
const GENERAL_PROTECTION: c_int = libc::SI_KERNEL;
/// `si_code` where nothing is mapped.
const NOT_MAPPED: c_int = 1;
/// `si_code` where something else is allowed.
const NOT_ALLOWED: c_int = 2;

/// The handler. It interrupts the program only at an instruction that faulted, so
/// that it may do whatever the program might have done there, on a stack of its own.
unsafe extern "C" fn on_signal(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: this is the thread's own.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    // SAFETY: the kernel gives it to a handler with SA_SIGINFO, for its own use.
    let info = unsafe { &mut *info };
    // SAFETY: as above.
    let context = unsafe { &mut *context.cast::<ucontext_t>() };
    let found = match world() {
        // What somebody sent comes from no instruction.
        Some(world) if info.si_code > 0 => execute(world, context),
        _ => Found::Foreign,
    };
    // SAFETY: as above.
    unsafe { *errno = before };
    match found {
        Found::Executed => {}
        Found::Foreign => forward(signal, info, context, false),
        // The kernel knows better than we do.
        Found::Fault(..) if signal == libc::SIGSEGV && info.si_code != GENERAL_PROTECTION => {
            forward(signal, info, context, false);
        }
        Found::Fault(code, address) => {
            info.si_signo = libc::SIGSEGV;
            info.si_code = code;
            put_address(info, address);
            forward(libc::SIGSEGV, info, context, signal != libc::SIGSEGV);
        }
    }
}

/// Where `si_addr` lies in a `siginfo` (x86-64).
const SI_ADDR: usize = 16;

fn put_address(info: &mut siginfo_t, address: u64) {
    let field = ptr::from_mut(info).wrapping_byte_add(SI_ADDR).cast::<u64>();
    // SAFETY: the field lies in it, and is aligned as all of it is.
    unsafe { field.write(address) };
}

/// The address that `siginfo` tells.
fn address_of(info: &siginfo_t) -> u64 {
    let field = ptr::from_ref(info).wrapping_byte_add(SI_ADDR).cast::<u64>();
    // SAFETY: as in `put_address`.
    unsafe { field.read() }
}

/// The registers of a thread by the numbers that instructions have for them.
fn registers(context: &ucontext_t) -> Registers {
    use libc::{
        REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RAX, REG_RBP,
        REG_RBX, REG_RCX, REG_RDI, REG_RDX, REG_RIP, REG_RSI, REG_RSP,
    };
    const ORDER: [c_int; 16] = [
        REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8, REG_R9,
        REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
    ];
    let of = |register: c_int| context.uc_mcontext.gregs[register as usize] as u64;
    Registers {
        general: ORDER.map(of),
        rip: of(REG_RIP),
        ..Registers::default()
    }
}

/// The code at an address, as much as can be read of what an instruction may have:
/// what lies on the next page need not be there.
fn code_at(address: u64, to: &mut [u8; LENGTH_MAX]) -> &[u8] {
    let in_page = (PORTAL - address % PORTAL) as usize;
    for len in [LENGTH_MAX, in_page.min(LENGTH_MAX)] {
        if sys::read_memory(address, &mut to[..len]).is_ok() {
            return &to[..len];
        }
    }
    &[]
}

/// What the kernel would tell of an address that cannot be used.
fn page_fault(address: u64) -> Found {
    let code = if sys::is_mapped(address) {
        NOT_ALLOWED
    } else {
        NOT_MAPPED
    };
    Found::Fault(code, address)
}

/// Executes the instruction at which a thread stopped, if it is one of ours.
fn execute(world: &World, context: &mut ucontext_t) -> Found {
    use libc::{REG_EFL, REG_RIP};
    /// Carry, parity, adjust, zero, sign and overflow.
    const FLAGS: i64 = 1 | 1 << 2 | 1 << 4 | ZERO | 1 << 7 | 1 << 11;
    const ZERO: i64 = 1 << 6;

    let mut registers = registers(context);
    let mut code = [0; LENGTH_MAX];
    let code = code_at(registers.rip, &mut code);
    if code.iter().any(|&byte| matches!(byte, 0x64 | 0x65)) {
        (registers.fs_base, registers.gs_base) = sys::segment_bases();
    }
    let Some(submitting) = decode::decode(code, &registers) else {
        return Found::Foreign;
    };
    let store = match submitting.instruction {
        Instruction::Enqcmd => Store::Enqcmd,
        Instruction::Movdir64b => Store::Movdir64b,
        // For kernels.
        Instruction::Enqcmds => return Found::Fault(GENERAL_PROTECTION, 0),
    };
    let to = submitting.destination;
    if !to.is_multiple_of(Descriptor::BYTES as u64) {
        return Found::Fault(GENERAL_PROTECTION, 0);
    }
    let mut bytes = [0; Descriptor::BYTES];
    if sys::read_memory(submitting.source, &mut bytes).is_err() {
        return page_fault(submitting.source);
    }
    let submission = match (world.portals.node_at(to), store) {
        // The first four bytes are the kernel's (SDM, ENQCMD).
        (Some(_), Store::Enqcmd) if bytes[..4] != [0; 4] => {
            return Found::Fault(GENERAL_PROTECTION, 0);
        }
        (Some(node), _) => {
            let device = world.config.nodes[node].device;
            let Ok(devices) = world.devices() else {
                return page_fault(to);
            };
            // SAFETY: what the program submits, it lends to the device, as it would
            // to a real one.
            stack::run(|| unsafe { devices.store(device, store, &bytes) })
        }
        // MOVDIR64B is good for any memory, on a CPU that has it.
        (None, Store::Movdir64b) => {
            // SAFETY: the program does this, at its own risk.
            if unsafe { sys::write_memory(to, &bytes) }.is_err() {
                return page_fault(to);
            }
            Submission::Accepted
        }
        (None, Store::Enqcmd) => return page_fault(to),
    };
    let registers = &mut context.uc_mcontext.gregs;
    if store == Store::Enqcmd {
        registers[REG_EFL as usize] &= !FLAGS;
        if submission != Submission::Accepted {
            registers[REG_EFL as usize] |= ZERO;
        }
    }
    registers[REG_RIP as usize] += submitting.length as i64;
    Found::Executed
}

/// Has the program's own handler see to a fault of its own, or the system, if it has
/// none. `made_up` is a signal that the system does not know of.
fn forward(signal: c_int, info: &mut siginfo_t, context: &mut ucontext_t, made_up: bool) {
    if let Some(world) = world() {
        world.counters.add(Count::OwnFaults);
        if info.si_code > 0 && world.portals.node_at(address_of(info)).is_some() {
            world.complain(&[b"a portal takes nothing but ENQCMD and MOVDIR64B"]);
        }
    }
    let Some(action) = exchange(signal, None) else {
        return;
    };
    let sent = info.si_code <= 0;
    match action.sa_sigaction {
        libc::SIG_IGN if sent => return,
        libc::SIG_DFL | libc::SIG_IGN => {
            // As the kernel does it: a fault cannot be ignored.
            // SAFETY: an action of zeros is the default.
            let default: libc::sigaction = unsafe { core::mem::zeroed() };
            // SAFETY: the real function, for one of the two signals.
            unsafe { real()(signal, &raw const default, ptr::null_mut()) };
            if sent || made_up {
                sys::raise(signal);
            }
            // Else the instruction faults once more when this returns.
            return;
        }
        _ => {}
    }
    if action.sa_flags & libc::SA_RESETHAND != 0 {
        // As the kernel does it: flags and mask stay.
        let default = libc::sigaction {
            sa_sigaction: libc::SIG_DFL,
            ..action
        };
        let _ = exchange(signal, Some(&default));
    }
    let mut mask = first_word(&context.uc_sigmask) | first_word(&action.sa_mask);
    if action.sa_flags & libc::SA_NODEFER == 0 {
        mask |= sys::mask_of(signal);
    }
    // A handler may submit as well.
    sys::set_signal_mask(mask & !MASK);
    let handler = action.sa_sigaction;
    if action.sa_flags & libc::SA_SIGINFO != 0 {
        // SAFETY: the program has said that this is such a function.
        let handler = unsafe {
            core::mem::transmute::<usize, unsafe extern "C" fn(c_int, *mut siginfo_t, *mut c_void)>(
                handler,
            )
        };
        // SAFETY: it gets what a handler gets.
        unsafe { handler(signal, info, ptr::from_mut(context).cast()) };
    } else {
        // SAFETY: as above.
        let handler =
            unsafe { core::mem::transmute::<usize, unsafe extern "C" fn(c_int)>(handler) };
        // SAFETY: as above.
        unsafe { handler(signal) };
    }
}

/// The signals that the kernel knows, of a set.
fn first_word(set: &libc::sigset_t) -> sys::SignalMask {
    // SAFETY: a set is longer, and any bytes are one. Of the one in a context, the
    // kernel has filled these 8 alone.
    unsafe { ptr::from_ref(set).cast::<sys::SignalMask>().read() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::tests::made;
    use libc::{REG_EFL, REG_RAX, REG_RDX, REG_RIP};
    use memmap2::MmapOptions;
    use pagepress_abi::flags::op;
    use pagepress_abi::{CompletionRecord, Opcode, Status};
    use std::fs::File;
    use std::os::fd::AsRawFd;

    /// `enqcmd rax, [rdx]`, `movdir64b rax, [rdx]`, `enqcmds rax, [rdx]`.
    const ENQCMD: &[u8] = &[0xF2, 0x0F, 0x38, 0xF8, 0x02];
    const MOVDIR64B: &[u8] = &[0x66, 0x0F, 0x38, 0xF8, 0x02];
    const ENQCMDS: &[u8] = &[0xF3, 0x0F, 0x38, 0xF8, 0x02];
    const ALL_FLAGS: i64 = 0x8D5;

    /// A process that has opened a queue and mapped its portal.
    struct Process {
        _dir: tempfile::TempDir,
        _file: File,
        world: World,
        portal: u64,
    }

    fn process(dedicated: bool) -> Process {
        let (dir, world) = made(|config| config.dedicated = dedicated);
        let path = dir.path().join("root/dev/iax/wq1.0");
        let file = File::options().read(true).write(true).open(path).unwrap();
        let fd = file.as_raw_fd();
        world.opened(fd).unwrap();
        // SAFETY: the system chooses the address.
        let portal = unsafe { world.map(0, fd, ptr::null_mut(), 4096, 0) }.unwrap();
        let portal = portal.addr() as u64;
        Process {
            _dir: dir,
            _file: file,
            world,
            portal,
        }
    }

    /// What came of an instruction, and the registers after it: RIP's distance, and
    /// the flags, all of which were set before.
    fn executed(world: &World, code: &[u8], rax: u64, rdx: u64) -> (Found, i64, i64) {
        // SAFETY: a context of zeros is one.
        let mut context: ucontext_t = unsafe { core::mem::zeroed() };
        let registers = &mut context.uc_mcontext.gregs;
        let rip = code.as_ptr().expose_provenance() as i64;
        registers[REG_RIP as usize] = rip;
        registers[REG_RAX as usize] = rax as i64;
        registers[REG_RDX as usize] = rdx as i64;
        registers[REG_EFL as usize] = ALL_FLAGS;
        let found = execute(world, &mut context);
        let registers = &context.uc_mcontext.gregs;
        let moved = registers[REG_RIP as usize] - rip;
        (found, moved, registers[REG_EFL as usize])
    }

    fn noop(record: &CompletionRecord) -> [u8; 64] {
        Descriptor {
            completion: record.as_ptr().expose_provenance() as u64,
            ..Descriptor::new(Opcode::NOOP, op::CRAV | op::RCR)
        }
        .to_bytes()
    }

    fn address(bytes: &[u8; 64]) -> u64 {
        bytes.as_ptr().expose_provenance() as u64
    }

    #[test]
    fn instructions_are_executed_for_the_cpu() {
        let shared = process(false);
        let record = CompletionRecord::new();
        let bytes = noop(&record);
        let slot = shared.portal + 64 * 63;
        let done = executed(&shared.world, ENQCMD, slot, address(&bytes));
        assert_eq!(done, (Found::Executed, 5, 0));
        assert_eq!(record.poll(), Some(Status::SUCCESS.0));
        // By a segment: FS is where this thread's own data is.
        let (fs, _) = sys::segment_bases();
        let by_fs = [&[0x64], ENQCMD].concat();
        let from = address(&bytes).wrapping_sub(fs);
        let done = executed(&shared.world, &by_fs, slot, from);
        assert_eq!(done, (Found::Executed, 6, 0));
        // A shared queue ignores MOVDIR64B, which changes no flags.
        let done = executed(&shared.world, MOVDIR64B, slot, address(&bytes));
        assert_eq!(done, (Found::Executed, 5, ALL_FLAGS));
        assert_eq!(shared.world.counters.get(Count::Completed), 2);

        let dedicated = process(true);
        let record = CompletionRecord::new();
        let bytes = noop(&record);
        let done = executed(&dedicated.world, ENQCMD, dedicated.portal, address(&bytes));
        assert_eq!(done, (Found::Executed, 5, 1 << 6), "ZF: come again");
        assert_eq!(record.poll(), None);
        let done = executed(
            &dedicated.world,
            MOVDIR64B,
            dedicated.portal,
            address(&bytes),
        );
        assert_eq!(done, (Found::Executed, 5, ALL_FLAGS));
        assert_eq!(record.poll(), Some(Status::SUCCESS.0));
    }

    #[test]
    fn what_a_cpu_would_refuse_is_a_fault() {
        let Process { world, portal, .. } = &process(false);
        let record = CompletionRecord::new();
        let mut bytes = noop(&record);
        let from = address(&bytes);
        let protection = Found::Fault(GENERAL_PROTECTION, 0);
        for (code, to, from, fault) in [
            (ENQCMD, portal + 32, from, protection),
            (ENQCMDS, *portal, from, Found::Fault(GENERAL_PROTECTION, 0)),
            (ENQCMD, *portal, 64, Found::Fault(NOT_MAPPED, 64)),
            (ENQCMD, 4096, from, Found::Fault(NOT_MAPPED, 4096)),
            (MOVDIR64B, 4096, from, Found::Fault(NOT_MAPPED, 4096)),
            (ENQCMD, from, *portal, Found::Fault(NOT_ALLOWED, *portal)),
            (&[0x0F, 0x0B], *portal, from, Found::Foreign),
        ] {
            let done = executed(world, code, to, from);
            assert_eq!(done, (fault, 0, ALL_FLAGS), "{code:x?} {to:#x} {from:#x}");
        }
        bytes[3] = 0x80;
        let done = executed(world, ENQCMD, *portal, address(&bytes));
        assert_eq!(done.0, Found::Fault(GENERAL_PROTECTION, 0), "privileged");
        assert_eq!(record.poll(), None);
    }

    #[test]
    fn movdir64b_copies_to_any_memory() {
        let Process { world, .. } = &process(false);
        let mut to = MmapOptions::new().len(4096).map_anon().unwrap();
        let place = to.as_mut_ptr().expose_provenance() as u64 + 128;
        let done = executed(world, MOVDIR64B, place, address(&[9; 64]));
        assert_eq!(done, (Found::Executed, 5, ALL_FLAGS));
        assert_eq!(to[127..193], [&[0], [9; 64].as_slice(), &[0]].concat());
    }

    /// The instruction ends with its page, and nothing follows.
    #[test]
    fn code_at_the_end_of_what_is_mapped_is_read() {
        let shared = process(false);
        let record = CompletionRecord::new();
        let bytes = noop(&record);
        let mut pages = MmapOptions::new().len(8192).map_anon().unwrap();
        pages[4096 - 5..4096].copy_from_slice(ENQCMD);
        let second = pages.as_mut_ptr().wrapping_add(4096).cast::<c_void>();
        // SAFETY: the second page of what was mapped here and is touched no more.
        unsafe { sys::reserve(second, 4096, libc::MAP_FIXED) }.unwrap();
        let code = &pages[4096 - 5..4096];
        let done = executed(&shared.world, code, shared.portal, address(&bytes));
        assert_eq!(done, (Found::Executed, 5, 0));
        assert_eq!(record.poll(), Some(Status::SUCCESS.0));
    }
}
