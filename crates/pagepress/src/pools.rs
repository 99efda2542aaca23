//! Pools that follow each other: zswap's change of compressor, in user space.

use crate::error::Error;
use crate::outcome::{PageError, Stored, StoredBuf};
use crate::pool::{Builder, Pool, WeakPool};
use arc_swap::ArcSwap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A pool that takes new pages, and those before it that still hold some.
///
/// A pool is held by its handles. Whoever keeps a page keeps a handle to the pool
/// that made it beside it, as [`Kept`] does; so a pool that was followed by
/// another one serves what it holds, and goes when its last page does. That is
/// how zswap changes its compressor (mm/zswap.c, `zswap_pool_current` and the
/// reference that each entry has).
///
/// ```
/// use pagepress::{Backend, Codec, Pool, Pools};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let software = |codec| Pool::builder().backend(Backend::Software).codec(codec);
/// let pools = Pools::new(software(Codec::Lz4))?;
/// let page = b"page ".repeat(820)[..4096].to_vec();
/// let old = pools.compress(&page)?;
///
/// pools.switch(software(Codec::Zstd))?;
/// assert_eq!(pools.current().codec(), Codec::Zstd);
/// assert_eq!(old.decompress()?, page);
/// assert_eq!(pools.alive().len(), 2);
/// drop(old);
/// assert_eq!(pools.alive().len(), 1);
/// # Ok(())
/// # }
/// ```
pub struct Pools {
    current: ArcSwap<Pool>,
    /// Those that were current before, and may be again. Locked by who switches.
    earlier: Mutex<Vec<WeakPool>>,
}

impl Pools {
    /// One pool, with these settings.
    ///
    /// # Errors
    /// As for [`Builder::build`].
    pub fn new(settings: Builder) -> Result<Self, Error> {
        settings.build().map(Self::from)
    }

    /// The pool that takes new pages, as a handle to be kept with them.
    ///
    /// Ask once a batch: who asks once and goes on for long compresses with a
    /// pool that may no longer be current, which does no harm.
    #[must_use]
    pub fn current(&self) -> Pool {
        Pool::clone(&self.current.load())
    }

    /// Has a pool with these settings take new pages: an earlier one that is
    /// still alive, or else a new one. Calls under way end on the pool that they
    /// began with.
    ///
    /// An earlier pool whose [`Backend::Auto`](crate::Backend::Auto) found no
    /// device is not taken again: there may be one now.
    ///
    /// # Errors
    /// As for [`Builder::build`]; then nothing changes.
    pub fn switch(&self, settings: Builder) -> Result<Pool, Error> {
        let mut earlier = self.earlier();
        let current = self.current();
        if current.is_as(&settings) {
            return Ok(current);
        }
        let alive = earlier.iter().filter_map(WeakPool::upgrade);
        let again = alive.into_iter().find(|pool| pool.is_as(&settings));
        let next = again.map_or_else(|| settings.build(), Ok)?;
        let last = self.follow(&mut earlier, &next);
        drop(earlier);
        // It may be the last handle, and the end of a pool can take a while.
        drop(last);
        Ok(next)
    }

    /// Has this pool take new pages.
    pub fn switch_to(&self, next: &Pool) {
        let last = self.follow(&mut self.earlier(), next);
        drop(last);
    }

    /// Makes `next` the current pool; the one that was.
    fn follow(&self, earlier: &mut Vec<WeakPool>, next: &Pool) -> Arc<Pool> {
        let last = self.current.swap(Arc::new(next.clone()));
        earlier.retain(|pool| !pool.is_gone() && !pool.is_of(next) && !pool.is_of(&last));
        if !last.is(next) {
            earlier.insert(0, last.downgrade());
        }
        last
    }

    /// All pools that are alive: the current one, then those before it that
    /// someone still has a handle to, the latest first.
    #[must_use]
    pub fn alive(&self) -> Vec<Pool> {
        let mut earlier = self.earlier();
        earlier.retain(|pool| !pool.is_gone());
        let mut pools = vec![self.current()];
        pools.extend(earlier.iter().filter_map(WeakPool::upgrade));
        pools
    }

    /// Compresses one page with the current pool.
    ///
    /// # Errors
    /// The page's [`PageError`].
    pub fn compress(&self, page: &[u8]) -> Result<Kept, PageError> {
        let pool = self.current();
        let page = pool.compress(page)?;
        Ok(Kept { pool, page })
    }

    fn earlier(&self) -> std::sync::MutexGuard<'_, Vec<WeakPool>> {
        self.earlier.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Pool> for Pools {
    /// Begins with this pool.
    fn from(pool: Pool) -> Self {
        Self {
            current: ArcSwap::from_pointee(pool),
            earlier: Mutex::default(),
        }
    }
}

impl fmt::Debug for Pools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.alive()).finish()
    }
}

/// A page at rest and a handle to the pool that reads it.
#[derive(Debug, Clone)]
pub struct Kept {
    pool: Pool,
    page: StoredBuf,
}

impl Kept {
    /// Keeps a page that this pool has made.
    #[must_use]
    pub fn new(pool: Pool, page: StoredBuf) -> Self {
        Self { pool, page }
    }

    /// The pool that reads it.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The page, for a batch on [`pool`](Self::pool).
    #[must_use]
    pub fn as_stored(&self) -> Stored<'_> {
        self.page.as_stored()
    }

    /// Decompresses the page into memory of its own.
    ///
    /// # Errors
    /// The page's [`PageError`].
    pub fn decompress(&self) -> Result<Vec<u8>, PageError> {
        self.pool.decompress(self.as_stored())
    }

    /// Decompresses the page into `room`, which must be of the unit size.
    ///
    /// # Errors
    /// The page's [`PageError`]; `room` then holds unspecified bytes.
    pub fn decompress_into(&self, room: &mut [u8]) -> Result<(), PageError> {
        self.pool.decompress_into(self.as_stored(), room)
    }
}
