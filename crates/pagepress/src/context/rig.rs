//! A provider that tells what became of its contexts.

use super::Boxed;
use crate::codec::Codec;
use crate::compressor::{
    CompressDelivery, Compressor, ContextMemory, DecompressDelivery, Provider,
};
use crate::cpus::Cpus;
use crate::outcome::Stored;
use crate::page::{Pages, UnitSize};
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

/// What every context says that it holds.
pub(super) const MEMORY: ContextMemory = ContextMemory {
    dst_buffers: 4096,
    codec_state: 512,
    rest: 64,
};

/// How many contexts there are and ever were.
#[derive(Debug, Default)]
pub(super) struct Census {
    pub(super) alive: AtomicUsize,
    pub(super) made: AtomicUsize,
    /// Asked for and refused.
    pub(super) refused: AtomicUsize,
}

impl Census {
    pub(super) fn alive(&self) -> usize {
        self.alive.load(Ordering::SeqCst)
    }

    #[cfg(not(loom))]
    pub(super) fn made(&self) -> usize {
        self.made.load(Ordering::SeqCst)
    }

    pub(super) fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }
}

/// Makes contexts, but not for the CPUs it is told.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) census: Arc<Census>,
    pub(super) fails_for: Vec<usize>,
}

impl Counted {
    pub(super) fn failing_for(cpus: impl Into<Vec<usize>>) -> Self {
        Self {
            fails_for: cpus.into(),
            ..Self::default()
        }
    }
}

/// A context that stands for the memory of a real one.
struct Idle {
    census: Arc<Census>,
    /// Where loom notices two threads that are not ordered.
    #[cfg(loom)]
    state: loom::cell::UnsafeCell<()>,
}

impl Idle {
    /// What any use of a context does: it writes to it.
    #[cfg_attr(not(loom), expect(clippy::unused_self))]
    fn write(&mut self) {
        #[cfg(loom)]
        self.state.with_mut(|_| ());
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        self.write();
        self.census.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Compressor for Idle {
    fn compress(&mut self, pages: &dyn Pages, delivery: &mut CompressDelivery<'_>) {
        self.write();
        let _ = (0..pages.len()).try_for_each(|page| delivery.same_filled(page, 0));
    }

    fn decompress(&mut self, _: &[Stored<'_>], _: &mut DecompressDelivery<'_>) {}

    fn memory(&self) -> ContextMemory {
        MEMORY
    }
}

impl Provider for Counted {
    fn name(&self) -> &str {
        "idle"
    }

    fn codec(&self) -> Codec {
        Codec::Lz4
    }

    fn unit_size(&self) -> UnitSize {
        UnitSize::DEFAULT
    }

    fn make_context(&self, cpu: usize) -> Result<Boxed, String> {
        if self.fails_for.contains(&cpu) {
            self.census.refused.fetch_add(1, Ordering::SeqCst);
            return Err("no memory, says the test".into());
        }
        self.census.made.fetch_add(1, Ordering::SeqCst);
        self.census.alive.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Idle {
            census: Arc::clone(&self.census),
            #[cfg(loom)]
            state: loom::cell::UnsafeCell::new(()),
        }))
    }
}

pub(super) fn cpus(possible: usize, online: impl Into<Vec<usize>>) -> Cpus {
    Cpus {
        possible,
        online: online.into(),
    }
}
