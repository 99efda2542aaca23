//! The same work for CPUs with more instructions, if this is one.

#![cfg_attr(
    target_arch = "x86_64",
    expect(
        unsafe_code,
        reason = "what is compiled for some CPUs must not run on others"
    )
)]

/// Something to do, all of which is inlined.
pub(super) trait Work {
    /// What comes out.
    type Output;
    /// Does it.
    fn run(self) -> Self::Output;
}

/// Whether this CPU shifts by any register, keeping the flags (BMI2): a writer of bits
/// does little else.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cpu {
    #[cfg(target_arch = "x86_64")]
    bmi2: bool,
}

impl Cpu {
    /// The one at hand.
    pub(super) fn new() -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            bmi2: std::arch::is_x86_feature_detected!("bmi1")
                && std::arch::is_x86_feature_detected!("bmi2"),
        }
    }

    /// One that has nothing more than all have.
    #[cfg(test)]
    pub(super) fn least() -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            bmi2: false,
        }
    }

    /// Does `work` as well as it can.
    #[inline(always)]
    pub(super) fn run<W: Work>(self, work: W) -> W::Output {
        #[cfg(target_arch = "x86_64")]
        if self.bmi2 {
            // SAFETY: only `new` sets this, and it asked this CPU whether it has
            // what `with_bmi2` is compiled for.
            return unsafe { with_bmi2(work) };
        }
        plain(work)
    }
}

#[inline(never)]
fn plain<W: Work>(work: W) -> W::Output {
    work.run()
}

/// # Safety
/// The CPU has BMI1 and BMI2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "bmi1,bmi2")]
#[inline(never)]
unsafe fn with_bmi2<W: Work>(work: W) -> W::Output {
    work.run()
}
