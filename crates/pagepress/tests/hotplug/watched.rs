//! A backend of the test's own, which knows every context that it made: where
//! it lies, who is using it, and whether it was freed.

use core::fmt;
use core::ops::Deref;
use pagepress::compressor::{
    CompressDelivery, Compressor, ContextMemory, DecompressDelivery, Decompressed, Provider,
    Screened, screen,
};
use pagepress::{Codec, Compressed, Error, PageError, Pages, PerformedBy, Pool, Stored, UnitSize};
use pagepress_fallback::lz4::Lz4;
use pagepress_fallback::{NotCompressed, PageCodec};
use rustix::thread::gettid;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One context, for as long as anyone asks.
#[derive(Debug)]
pub(crate) struct Record {
    /// What tells it apart in `Pool::memory`: its number from 1, as bytes.
    pub(crate) id: usize,
    /// The CPU that it was made for.
    pub(crate) cpu: usize,
    pub(crate) address: AtomicUsize,
    pub(crate) freed: AtomicBool,
    /// Freed while the pool was still in use.
    pub(crate) freed_early: AtomicBool,
    /// The thread that uses it, or 0.
    user: AtomicI32,
}

/// All contexts of one pool, and what was wrong with them.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    records: Mutex<Vec<Arc<Record>>>,
    problems: Mutex<Vec<String>>,
    /// Handles of the pool that nobody has begun to drop.
    handles: AtomicUsize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    pub(crate) fn records(&self) -> Vec<Arc<Record>> {
        lock(&self.records).clone()
    }

    pub(crate) fn take_problems(&self) -> Vec<String> {
        core::mem::take(&mut lock(&self.problems))
    }

    fn wrong(&self, what: fmt::Arguments<'_>) {
        lock(&self.problems).push(what.to_string());
    }
}

/// A pool's handle whose end is known before it begins.
#[derive(Debug)]
pub(crate) struct Handle {
    pool: Pool,
    ledger: Option<Arc<Ledger>>,
}

impl Handle {
    pub(crate) fn new(pool: Pool, ledger: Option<Arc<Ledger>>) -> Self {
        if let Some(ledger) = &ledger {
            ledger.handles.fetch_add(1, Ordering::SeqCst);
        }
        Self { pool, ledger }
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        Self::new(self.pool.clone(), self.ledger.clone())
    }
}

impl Deref for Handle {
    type Target = Pool;

    fn deref(&self) -> &Pool {
        &self.pool
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(ledger) = &self.ledger {
            ledger.handles.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[derive(Debug)]
struct Watched(Arc<Ledger>);

/// A pool over contexts that are watched.
pub(crate) fn pool() -> Result<(Pool, Arc<Ledger>), Error> {
    let ledger = Arc::<Ledger>::default();
    let pool = Pool::with_provider(Watched(Arc::clone(&ledger)))?;
    Ok((pool, ledger))
}

impl Provider for Watched {
    fn name(&self) -> &str {
        "watched"
    }

    fn codec(&self) -> Codec {
        Codec::Lz4
    }

    fn unit_size(&self) -> UnitSize {
        UnitSize::DEFAULT
    }

    fn make_context(&self, cpu: usize) -> Result<Box<dyn Compressor>, String> {
        let unit = self.unit_size().bytes();
        let codec = Lz4::new(unit).ok_or("out of memory")?;
        let mut records = lock(&self.0.records);
        let record = Arc::new(Record {
            id: records.len() + 1,
            cpu,
            address: AtomicUsize::new(0),
            freed: AtomicBool::new(false),
            freed_early: AtomicBool::new(false),
            user: AtomicI32::new(0),
        });
        let context = Box::new(Context {
            dst: vec![0; codec.dst_bytes().max(unit)].into(),
            codec,
            record: Arc::clone(&record),
            ledger: Arc::clone(&self.0),
        });
        let address = (&raw const *context).addr();
        record.address.store(address, Ordering::SeqCst);
        records.push(record);
        Ok(context)
    }
}

struct Context {
    codec: Lz4,
    dst: Box<[u8]>,
    record: Arc<Record>,
    ledger: Arc<Ledger>,
}

/// A call on a context, ended by a panic too.
struct Use(Arc<Record>);

impl Drop for Use {
    fn drop(&mut self) {
        self.0.user.store(0, Ordering::SeqCst);
    }
}

impl Context {
    /// Begins a call.
    fn used(&self) -> Use {
        let Record { id, cpu, .. } = *self.record;
        let ledger = &self.ledger;
        let here = (&raw const *self).addr();
        let made_at = self.record.address.load(Ordering::SeqCst);
        if here != made_at {
            ledger.wrong(format_args!(
                "context {id} of cpu{cpu} was made at {made_at:#x} and is used at {here:#x}"
            ));
        }
        let me = gettid().as_raw_pid();
        let other = self.record.user.swap(me, Ordering::SeqCst);
        if other != 0 {
            ledger.wrong(format_args!(
                "context {id} of cpu{cpu} is used by the threads {other} and {me} at once"
            ));
        }
        if self.record.freed.load(Ordering::SeqCst) {
            ledger.wrong(format_args!(
                "context {id} of cpu{cpu} is used after its end"
            ));
        }
        Use(Arc::clone(&self.record))
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let Record { id, cpu, .. } = *self.record;
        if self.record.freed.swap(true, Ordering::SeqCst) {
            self.ledger
                .wrong(format_args!("context {id} of cpu{cpu} was freed twice"));
        }
        let user = self.record.user.load(Ordering::SeqCst);
        if user != 0 {
            self.ledger.wrong(format_args!(
                "context {id} of cpu{cpu} was freed while thread {user} used it"
            ));
        }
        let early = self.ledger.handles.load(Ordering::SeqCst) > 0;
        self.record.freed_early.store(early, Ordering::SeqCst);
    }
}

impl Compressor for Context {
    fn compress(&mut self, pages: &dyn Pages, delivery: &mut CompressDelivery<'_>) {
        let _used = self.used();
        let unit = UnitSize::DEFAULT;
        for index in 0..pages.len() {
            let page = pages.page(index);
            let flow = match screen(page, unit) {
                Ok(Screened::SameFilled(word)) => delivery.same_filled(index, word),
                Err(error) => delivery.failed(index, error),
                Ok(Screened::NeedsCodec) => {
                    match self.codec.compress(page, &mut self.dst, unit.bytes() - 1) {
                        Ok(len) => {
                            let page = Compressed::new(Codec::Lz4, &self.dst[..len]);
                            delivery.compressed(index, page, PerformedBy::Software)
                        }
                        Err(NotCompressed::Incompressible) => {
                            delivery.incompressible(index, PerformedBy::Software)
                        }
                        Err(NotCompressed::Failed(reason)) => {
                            let codec = Codec::Lz4;
                            delivery.failed(index, PageError::CodecFailed { codec, reason })
                        }
                    }
                }
            };
            if flow.is_break() {
                return;
            }
        }
    }

    fn decompress(&mut self, pages: &[Stored<'_>], delivery: &mut DecompressDelivery<'_>) {
        let _used = self.used();
        let unit = UnitSize::DEFAULT.bytes();
        for (index, stored) in pages.iter().enumerate() {
            let room = delivery.room(index);
            let in_room = room.is_some();
            let to = room.unwrap_or(&mut self.dst[..unit]);
            let result = match *stored {
                Stored::Compressed(page) => self.codec.decompress(page.bytes(), to),
                Stored::SameFilled(word) => {
                    to.chunks_exact_mut(8)
                        .for_each(|chunk| chunk.copy_from_slice(&word.to_le_bytes()));
                    Ok(())
                }
                Stored::Raw(bytes) => {
                    to.copy_from_slice(bytes);
                    Ok(())
                }
            };
            let page = if in_room {
                Decompressed::InRoom
            } else {
                Decompressed::At(&self.dst[..unit])
            };
            let flow = match (result, stored) {
                (Err(cause), _) => {
                    let codec = Codec::Lz4;
                    delivery.failed(index, PageError::Corrupt { codec, cause })
                }
                (Ok(()), Stored::Compressed(from)) => {
                    let read = from.bytes().len();
                    delivery.decompressed(index, page, read, PerformedBy::Software)
                }
                (Ok(()), Stored::SameFilled(_)) => delivery.same_filled(index, page),
                (Ok(()), Stored::Raw(_)) => delivery.raw(index, page),
            };
            if flow.is_break() {
                return;
            }
        }
    }

    fn memory(&self) -> ContextMemory {
        ContextMemory {
            dst_buffers: self.dst.len(),
            codec_state: self.codec.state_bytes(),
            rest: self.record.id,
        }
    }
}
