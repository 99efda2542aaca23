//! Stacks for the device's work.
//!
//! A program's alternate signal stack may have room for little more than a signal's
//! frame, so that the handler goes to a stack of its own.

#![expect(unsafe_code, reason = "the stack pointer changes")]

use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};
use memmap2::{MmapMut, MmapOptions};

/// Bytes of a stack. Pages of it are there once they are touched.
const BYTES: usize = 512 << 10;
/// How many are kept.
const KEPT: usize = 64;

static SPARE: [AtomicPtr<Stack>; KEPT] = [const { AtomicPtr::new(ptr::null_mut()) }; KEPT];

struct Stack {
    memory: MmapMut,
}

impl Stack {
    /// A stack that nobody uses; `None` if there is no memory.
    fn take() -> Option<Box<Self>> {
        for spare in &SPARE {
            let stack = spare.swap(ptr::null_mut(), Ordering::Acquire);
            if !stack.is_null() {
                // SAFETY: it was a box's when it was put there, and was taken out
                // by nobody else.
                return Some(unsafe { Box::from_raw(stack) });
            }
        }
        let memory = MmapOptions::new().len(BYTES).map_anon().ok()?;
        Some(Box::new(Self { memory }))
    }

    fn give_back(self: Box<Self>) {
        let stack = Box::into_raw(self);
        for spare in &SPARE {
            let kept = spare.compare_exchange(
                ptr::null_mut(),
                stack,
                Ordering::Release,
                Ordering::Relaxed,
            );
            if kept.is_ok() {
                return;
            }
        }
        // SAFETY: nobody took it.
        drop(unsafe { Box::from_raw(stack) });
    }
}

/// Calls `work` on a stack of its own, or on this one if there is no memory.
pub fn run<R>(work: impl FnOnce() -> R) -> R {
    struct Call<F, R> {
        work: Option<F>,
        result: Option<R>,
    }
    extern "C" fn enter<F: FnOnce() -> R, R>(call: *mut c_void) {
        // SAFETY: `run` passes its own `call`, which outlives this.
        let call = unsafe { &mut *call.cast::<Call<F, R>>() };
        call.result = call.work.take().map(|work| work());
    }
    fn entry<F: FnOnce() -> R, R>(_: &Call<F, R>) -> extern "C" fn(*mut c_void) {
        enter::<F, R>
    }
    let Some(mut stack) = Stack::take() else {
        return work();
    };
    let mut call = Call {
        work: Some(work),
        result: None,
    };
    let enter = entry(&call);
    let top = stack.memory.as_mut_ptr().wrapping_add(BYTES);
    let argument = (&raw mut call).cast::<c_void>();
    // SAFETY: a whole stack of its own that nobody else uses, its top a multiple of
    // the page. What is called unwinds nowhere, as it is `extern "C"`.
    unsafe { switch(top, enter, argument) };
    stack.give_back();
    call.result.expect("it was called")
}

/// Calls a function on the stack below `top`.
///
/// # Safety
/// There is room for it, nobody else uses it, and `top` is a multiple of 16.
unsafe fn switch(top: *mut u8, enter: extern "C" fn(*mut c_void), argument: *mut c_void) {
    // SAFETY: the stack pointer is back when this is over: r12 keeps it, which a
    // function leaves as it was. All else that it may change is said.
    unsafe {
        core::arch::asm!(
            "xchg rsp, r12",
            "call {enter}",
            "mov rsp, r12",
            enter = in(reg) enter,
            inout("r12") top => _,
            in("rdi") argument,
            clobber_abi("C"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The address of something on the stack.
    fn here() -> usize {
        let local = 0u8;
        core::hint::black_box(&raw const local).addr()
    }

    #[test]
    fn work_has_a_stack_of_its_own() {
        let outside = here();
        let (inside, deep, sum) = run(|| {
            // More than an alternate stack has.
            let big = core::hint::black_box([1u8; 200 << 10]);
            let sum: usize = big.iter().map(|&byte| usize::from(byte)).sum();
            (here(), run(here), sum)
        });
        assert_eq!(sum, 200 << 10);
        assert!(inside.abs_diff(outside) > BYTES / 2);
        assert!(deep.abs_diff(inside) > BYTES / 2);
        assert!(here().abs_diff(outside) < 64 << 10);
    }

    #[test]
    fn threads_do_not_share_stacks() {
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                scope.spawn(move || {
                    for round in 0..2000u64 {
                        let seed = core::hint::black_box(thread << 32 | round);
                        let sum = run(|| {
                            let words = core::hint::black_box([seed; 512]);
                            std::thread::yield_now();
                            words.iter().fold(0u64, |sum, word| sum.wrapping_add(*word))
                        });
                        assert_eq!(sum, seed.wrapping_mul(512));
                    }
                });
            }
        });
    }
}
