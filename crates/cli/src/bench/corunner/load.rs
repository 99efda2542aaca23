//! The load: bursts of pages at a fixed rate, as reclaim makes them, through a
//! run's pool.

use super::probe::sleep_until;
use crate::bench::clock::cpu_time;
use crate::bench::input::{PAGE, Reader, Source};
use crate::bench::memory::Aligned;
use crate::error::Error;
use pagepress::page::same_filled;
use pagepress::{Codec, Compressed, Outcome, Pool, Report, Stored};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Bytes of a burst: 32 pages, as Linux reclaims them (SWAP_CLUSTER_MAX in
/// include/linux/swap.h).
pub(crate) const BURST_BYTES: usize = 32 * PAGE;
/// Input that the load goes round in: more than a second-level cache holds, as
/// reclaimed pages are cold.
const BYTES: usize = 16 << 20;
/// Neighbouring bytes of the input that are taken together.
const BLOCK: usize = 256 << 10;

/// Pages of one unit size, and room for what becomes of each.
#[derive(Debug)]
pub(crate) struct Stage {
    unit: usize,
    pages: Vec<Aligned>,
    rooms: Vec<Aligned>,
    kept: Vec<Kept>,
}

#[derive(Debug, Clone, Copy)]
enum Kept {
    Nothing,
    Compressed(Codec, Option<NonZeroU32>, usize),
    SameFilled(u64),
    Raw,
    Failed,
}

/// What a load came to.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(super) report: Report,
    pub(super) cpu: Duration,
    pub(super) wall: Duration,
    pub(super) bytes: u64,
    pub(super) bad_pages: u64,
}

impl Loaded {
    pub(super) fn merge(&mut self, other: Self) {
        self.report += other.report;
        self.cpu += other.cpu;
        self.wall += other.wall;
        self.bytes += other.bytes;
        self.bad_pages += other.bad_pages;
    }
}

/// What a stage holds, in bytes.
pub(crate) fn bytes() -> u64 {
    2 * BYTES as u64
}

impl Stage {
    /// Takes pages from all over the input.
    ///
    /// # Errors
    /// If it cannot be read any more, or no page is left.
    pub(crate) fn new(
        sources: &[Source],
        unit: usize,
        skip_same_filled: bool,
    ) -> Result<Self, Error> {
        let blocks = |source: &Source| source.len().div_ceil(BLOCK as u64);
        let all: u64 = sources.iter().map(blocks).sum();
        let step = all.div_ceil((BYTES / BLOCK) as u64).max(1);
        let mut reader = Reader::new(sources);
        let mut pages = Vec::new();
        let mut number = 0;
        for (index, source) in sources.iter().enumerate() {
            for block in 0..blocks(source) {
                number += 1;
                if (number - 1) % step != 0 {
                    continue;
                }
                let start = block * BLOCK as u64;
                let end = source.len().min(start + BLOCK as u64);
                for offset in (start..end).step_by(unit) {
                    let mut page = Aligned::zeroed(unit);
                    reader.copy(index, offset, page.as_mut())?;
                    if !(skip_same_filled && same_filled(page.as_ref()).is_some()) {
                        pages.push(page);
                    }
                }
            }
        }
        if pages.is_empty() {
            return Err(Error::NoPages(
                "--corunner: --skip-same-filled leaves no page of those it took".to_owned(),
            ));
        }
        Ok(Self {
            unit,
            rooms: pages.iter().map(|_| Aligned::zeroed(unit)).collect(),
            kept: vec![Kept::Nothing; pages.len()],
            pages,
        })
    }

    pub(crate) fn unit(&self) -> usize {
        self.unit
    }

    /// Compresses bursts until told to stop, so many bytes a second in calls of so
    /// many pages. What cannot be done in time is done as soon as it can.
    pub(super) fn load(
        &mut self,
        pool: &Pool,
        batch: usize,
        bytes_per_second: f64,
        warm: impl FnOnce(),
        stop: &AtomicBool,
    ) -> Loaded {
        let burst = (BURST_BYTES / self.unit).max(batch);
        let mut next = 0;
        self.burst(pool, batch, burst, &mut next);
        warm();

        let mut loaded = Loaded::default();
        let every = Duration::from_secs_f64((burst * self.unit) as f64 / bytes_per_second);
        let (start, cpu) = (Instant::now(), cpu_time());
        // From the middle, so that the number of bursts is right on average.
        let mut due = start + every / 2;
        loop {
            // In steps, so that the end of the service is not waited for.
            while Instant::now() < due && !stop.load(Ordering::Relaxed) {
                sleep_until(due.min(Instant::now() + STEP));
            }
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let (report, pages) = self.burst(pool, batch, burst, &mut next);
            loaded.report += report;
            loaded.bytes += (pages * self.unit) as u64;
            due += every;
        }
        loaded.cpu = cpu_time() - cpu;
        loaded.wall = start.elapsed();
        loaded
    }

    /// Compresses the next pages, going round.
    fn burst(
        &mut self,
        pool: &Pool,
        batch: usize,
        burst: usize,
        next: &mut usize,
    ) -> (Report, usize) {
        let mut report = Report::default();
        let mut done = 0;
        while done < burst {
            if *next == self.pages.len() {
                *next = 0;
            }
            let end = self.pages.len().min(*next + batch.min(burst - done));
            let from = *next;
            let (rooms, kept) = (&mut self.rooms[from..end], &mut self.kept[from..end]);
            report += pool.compress_batch(&self.pages[from..end], |index, outcome| {
                kept[index] = match outcome {
                    Ok(Outcome::Compressed { page, .. }) => {
                        let bytes = page.bytes();
                        match rooms[index].as_mut().get_mut(..bytes.len()) {
                            Some(room) => {
                                room.copy_from_slice(bytes);
                                Kept::Compressed(page.codec(), page.tables(), bytes.len())
                            }
                            None => Kept::Failed,
                        }
                    }
                    Ok(Outcome::SameFilled(word)) => Kept::SameFilled(word),
                    Ok(Outcome::Incompressible) => Kept::Raw,
                    Err(_) => Kept::Failed,
                };
            });
            done += end - from;
            *next = end;
        }
        (report, done)
    }

    /// Decompresses the last result of every page, and says how many do not come
    /// back as they were.
    pub(super) fn verify(&mut self, pool: &Pool) -> u64 {
        let mut room = [Aligned::zeroed(self.unit)];
        let mut bad = 0;
        for ((page, stored), kept) in self.pages.iter().zip(&self.rooms).zip(&mut self.kept) {
            let stored = match std::mem::replace(kept, Kept::Nothing) {
                Kept::Nothing | Kept::Raw => continue,
                Kept::Compressed(codec, tables, len) => {
                    let page = Compressed::new(codec, &stored.as_ref()[..len]);
                    Stored::Compressed(page.with_tables(tables))
                }
                Kept::SameFilled(word) => Stored::SameFilled(word),
                Kept::Failed => {
                    bad += 1;
                    continue;
                }
            };
            for (to, from) in room[0].as_mut().iter_mut().zip(page.as_ref()) {
                *to = !from;
            }
            let mut good = false;
            pool.decompress_batch_into(&[stored], &mut room, |_, result| good = result.is_ok());
            bad += u64::from(!good || room[0].as_ref() != page.as_ref());
        }
        bad
    }
}

#[cfg(test)]
impl Stage {
    /// Changes a byte of a page, whose result is another's then.
    pub(super) fn spoil(&mut self, page: usize) {
        self.pages[page].as_mut()[100] ^= 1;
    }
}

/// The longest sleep between looks at the stop sign.
const STEP: Duration = Duration::from_millis(20);
