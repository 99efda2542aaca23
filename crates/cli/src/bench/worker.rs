//! One worker: copies a load of pages in, has them compressed batch by batch, then
//! decompressed, and compares. Only the calls into the pool are timed.

use super::clock::{Ticks, cpu_time};
use super::input::{Reader, Source};
use super::memory::Aligned;
use super::plan::Spec;
use super::timing::{Sum, Timing};
use super::zsmalloc::Classes;
use crate::error::Error;
use core::fmt;
use pagepress::page::same_filled;
use pagepress::{Codec, Compressed, Outcome, PageError, Pool, Report, Stored};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// A unit's place in the input: its source, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) source: usize,
    pub(crate) unit: u64,
}

/// How much of the work a batch is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Nothing is.
    WarmUp,
    /// Time, and the counts that are of one pass.
    First,
    /// Time.
    Later,
}

/// What all workers found, or one of them.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) compress: Timing,
    pub(crate) decompress: Timing,
    /// Of each pass: compressing, decompressing.
    pub(crate) passes: BTreeMap<u64, [Sum; 2]>,
    pub(crate) first: Counts,
    /// The pages that did not come back as they were, each once.
    pub(crate) bad: BTreeMap<Place, Fault>,
}

/// Counts of one pass.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) pages: u64,
    pub(crate) report: Report,
    pub(crate) stored_bytes: u64,
    /// What the pages would take in zsmalloc, in bytes.
    pub(crate) zsmalloc_bytes: f64,
    pub(crate) incompressible: u64,
    pub(crate) same_filled: u64,
    pub(crate) dropped: u64,
    pub(crate) padded: u64,
    pub(crate) padding_bytes: u64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            compress: Timing::new(),
            decompress: Timing::new(),
            passes: BTreeMap::new(),
            first: Counts::default(),
            bad: BTreeMap::new(),
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.compress.merge(&other.compress);
        self.decompress.merge(&other.decompress);
        self.bad.extend(other.bad);
        for (pass, sums) in other.passes {
            let to = self.passes.entry(pass).or_default();
            for (to, from) in to.iter_mut().zip(sums) {
                to.add(from);
            }
        }
        let (to, from) = (&mut self.first, other.first);
        to.report += from.report;
        to.zsmalloc_bytes += from.zsmalloc_bytes;
        for (to, from) in [
            (&mut to.pages, from.pages),
            (&mut to.stored_bytes, from.stored_bytes),
            (&mut to.incompressible, from.incompressible),
            (&mut to.same_filled, from.same_filled),
            (&mut to.dropped, from.dropped),
            (&mut to.padded, from.padded),
            (&mut to.padding_bytes, from.padding_bytes),
        ] {
            *to += from;
        }
    }
}

/// What is wrong with a page: completes "page 7 of x ...".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    NoResult(Way),
    TwoResults(Way),
    Failed(Way, PageError),
    /// Its compressed form is larger than a page.
    TooLong,
    /// It came back with another byte here, and maybe more behind.
    Differs(usize),
}

/// Which call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Compressing,
    Decompressing,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compressing => "compressing",
            Self::Decompressing => "decompressing",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoResult(way) => write!(f, "had no result from {way}"),
            Self::TwoResults(way) => write!(f, "had more than one result from {way}"),
            Self::Failed(way, error) => write!(f, "failed in {way}: {error}"),
            Self::TooLong => f.write_str("was compressed to more than a page"),
            Self::Differs(at) => write!(f, "came back with byte {at} changed"),
        }
    }
}

/// A page at rest, as the worker's arena holds it.
#[derive(Debug, Clone, Copy)]
enum Kept {
    Nothing,
    Compressed {
        codec: Codec,
        tables: Option<NonZeroU32>,
        start: usize,
        len: usize,
    },
    Raw {
        start: usize,
    },
    SameFilled(u64),
    Bad(Fault),
}

/// What all workers of a run have in common.
#[derive(Debug)]
pub(crate) struct Gear<'a> {
    pub(crate) pool: &'a Pool,
    pub(crate) sources: &'a [Source],
    pub(crate) batch: usize,
    pub(crate) skip_same_filled: bool,
    pub(crate) ticks: &'a Ticks,
    pub(crate) classes: &'a Classes,
}

/// One worker's buffers and findings. All memory is taken when it is made.
#[derive(Debug)]
pub(crate) struct Worker<'a> {
    gear: &'a Gear<'a>,
    reader: Reader<'a>,
    unit: usize,
    /// The load: its pages, and where each is from.
    pages: Vec<Aligned>,
    places: Vec<Place>,
    /// The store: compressed pages, one behind the other.
    arena: Aligned,
    kept: Vec<Kept>,
    stored: Vec<Stored<'static>>,
    /// The load's index of each stored page.
    stored_of: Vec<usize>,
    rooms: Vec<Aligned>,
    done: Vec<Option<Result<(), Fault>>>,
    /// When the batches of one direction ended, the first one's beginning before
    /// them: the end of one is the beginning of the next.
    laps: Vec<u64>,
    tally: Tally,
    /// Both ways' times up to the end of the last pass.
    so_far: [Sum; 2],
}

/// Bytes of pages that are copied in, then compressed, then decompressed: so many
/// that the CPU time of all their calls is worth asking for, and so few that a
/// core's cache holds them.
const LOAD_BYTES: usize = 256 << 10;

/// Pages of a load: whole batches.
fn load(unit: usize, batch: usize) -> usize {
    (LOAD_BYTES / unit / batch).max(1) * batch
}

/// Bytes of pages that all workers of a run hold: the load, its compressed form and
/// what comes back.
pub(crate) fn bytes(spec: &Spec) -> u64 {
    let unit = spec.unit.bytes();
    3 * (spec.threads * load(unit, spec.batch)) as u64 * unit as u64
}

impl<'a> Worker<'a> {
    pub(crate) fn new(gear: &'a Gear<'a>) -> Self {
        let unit = gear.pool.unit_size().bytes();
        let load = load(unit, gear.batch);
        let buffers = || (0..load).map(|_| Aligned::zeroed(unit)).collect();
        Self {
            gear,
            reader: Reader::new(gear.sources),
            unit,
            pages: buffers(),
            places: Vec::with_capacity(load),
            arena: Aligned::zeroed(load * unit),
            kept: Vec::with_capacity(load),
            stored: Vec::with_capacity(load),
            stored_of: Vec::with_capacity(load),
            rooms: buffers(),
            done: Vec::with_capacity(load),
            laps: Vec::with_capacity(load / gear.batch + 1),
            tally: Tally::new(),
            so_far: [Sum::default(); 2],
        }
    }

    pub(crate) fn tally(self) -> Tally {
        self.tally
    }

    /// Copies one unit in; a full load goes through the pool at once.
    ///
    /// # Errors
    /// If its source cannot be read any more.
    pub(crate) fn push(&mut self, place: Place, pass: Pass) -> Result<(), Error> {
        let page = self.pages[self.places.len()].as_mut();
        let offset = place.unit * self.unit as u64;
        let bytes = self.reader.copy(place.source, offset, page)?;
        let first = pass == Pass::First;
        if self.gear.skip_same_filled && same_filled(page).is_some() {
            self.tally.first.dropped += u64::from(first);
            return Ok(());
        }
        let padding = (self.unit - bytes) as u64;
        if first && padding > 0 {
            self.tally.first.padded += 1;
            self.tally.first.padding_bytes += padding;
        }
        self.places.push(place);
        if self.places.len() == self.pages.len() {
            self.flush(pass);
        }
        Ok(())
    }

    /// Has what was copied in compressed, decompressed and compared.
    pub(crate) fn flush(&mut self, pass: Pass) {
        if !self.places.is_empty() {
            self.compress(pass);
            self.decompress(pass);
            self.judge();
            self.places.clear();
        }
    }

    /// A pass is over, as far as this worker had a part in it.
    pub(crate) fn end_pass(&mut self, number: u64, pass: Pass) {
        self.flush(pass);
        let now = [self.tally.compress.sum(), self.tally.decompress.sum()];
        let of_pass = [now[0].since(self.so_far[0]), now[1].since(self.so_far[1])];
        self.so_far = now;
        self.tally.passes.insert(number, of_pass);
    }

    fn compress(&mut self, pass: Pass) {
        let Gear {
            pool, ticks, batch, ..
        } = *self.gear;
        let pages = &self.pages[..self.places.len()];
        let (unit, arena, kept) = (self.unit, self.arena.as_mut(), &mut self.kept);
        kept.clear();
        kept.resize(pages.len(), Kept::Nothing);
        let (laps, first) = (&mut self.laps, &mut self.tally.first);
        let (mut used, mut from) = (0, 0);
        laps.clear();

        let cpu = cpu_time();
        laps.push(ticks.now());
        for pages in pages.chunks(batch) {
            let kept = &mut kept[from..from + pages.len()];
            let report = pool.compress_batch(pages, |index, outcome| {
                let bytes = match &outcome {
                    Ok(Outcome::Compressed { page, .. }) => page.bytes(),
                    Ok(Outcome::Incompressible) => pages[index].as_ref(),
                    _ => &[],
                };
                // The one copy that a store has to make.
                let to = arena.get_mut(used..used + bytes.len());
                kept[index] = match (kept[index], outcome, to) {
                    (Kept::Nothing, Ok(outcome), Some(to)) if bytes.len() <= unit => {
                        to.copy_from_slice(bytes);
                        keep(&outcome, used)
                    }
                    (Kept::Nothing, Ok(_), _) => Kept::Bad(Fault::TooLong),
                    (Kept::Nothing, Err(error), _) => {
                        Kept::Bad(Fault::Failed(Way::Compressing, error))
                    }
                    _ => Kept::Bad(Fault::TwoResults(Way::Compressing)),
                };
                used += bytes.len();
            });
            if pass == Pass::First {
                first.report += report;
            }
            from += pages.len();
            laps.push(ticks.now());
        }
        let cpu = cpu_time() - cpu;

        if pass != Pass::WarmUp {
            let sizes = pages.chunks(batch).map(<[Aligned]>::len);
            self.tally.compress.add_laps(laps, sizes, cpu, ticks);
        }
        if pass == Pass::First {
            first.count(kept, unit, self.gear.classes);
        }
    }

    fn decompress(&mut self, pass: Pass) {
        let Gear {
            pool, ticks, batch, ..
        } = *self.gear;
        let arena = self.arena.as_ref();
        let mut stored = recycle(std::mem::take(&mut self.stored));
        self.stored_of.clear();
        for (index, kept) in self.kept.iter().enumerate() {
            stored.push(match *kept {
                Kept::Compressed {
                    codec,
                    tables,
                    start,
                    len,
                } => {
                    let page = Compressed::new(codec, &arena[start..start + len]);
                    Stored::Compressed(page.with_tables(tables))
                }
                Kept::Raw { start } => Stored::Raw(&arena[start..start + self.unit]),
                Kept::SameFilled(word) => Stored::SameFilled(word),
                Kept::Nothing | Kept::Bad(_) => continue,
            });
            self.stored_of.push(index);
        }
        // So that a page which is never written cannot pass for a good one
        // that an earlier load left there.
        for (room, &index) in self.rooms.iter_mut().zip(&self.stored_of) {
            let page = self.pages[index].as_ref();
            for (to, from) in room.as_mut().iter_mut().zip(page) {
                *to = !from;
            }
        }
        self.done.clear();
        self.done.resize(stored.len(), None);
        let laps = &mut self.laps;
        laps.clear();
        let batches = stored
            .chunks(batch)
            .zip(self.rooms.chunks_mut(batch))
            .zip(self.done.chunks_mut(batch));

        let cpu = cpu_time();
        laps.push(ticks.now());
        for ((stored, rooms), done) in batches {
            pool.decompress_batch_into(stored, rooms, |index, result| {
                done[index] = Some(match (done[index], result) {
                    (None, Ok(())) => Ok(()),
                    (None, Err(error)) => Err(Fault::Failed(Way::Decompressing, error)),
                    _ => Err(Fault::TwoResults(Way::Decompressing)),
                });
            });
            laps.push(ticks.now());
        }
        let cpu = cpu_time() - cpu;

        if pass != Pass::WarmUp {
            let sizes = stored.chunks(batch).map(<[Stored<'_>]>::len);
            self.tally.decompress.add_laps(laps, sizes, cpu, ticks);
        }
        self.stored = recycle(stored);
    }

    /// Finds the load's bad pages. A warm-up's count too: they are as bad.
    fn judge(&mut self) {
        for (index, kept) in self.kept.iter().enumerate() {
            let fault = match kept {
                Kept::Nothing => Fault::NoResult(Way::Compressing),
                Kept::Bad(fault) => *fault,
                _ => continue,
            };
            self.tally.bad.entry(self.places[index]).or_insert(fault);
        }
        for (n, &index) in self.stored_of.iter().enumerate() {
            let (page, back) = (self.pages[index].as_ref(), self.rooms[n].as_ref());
            let fault = match self.done[n] {
                None => Fault::NoResult(Way::Decompressing),
                Some(Err(fault)) => fault,
                Some(Ok(())) if page == back => continue,
                Some(Ok(())) => {
                    let at = page.iter().zip(back).position(|(a, b)| a != b);
                    Fault::Differs(at.unwrap_or(0))
                }
            };
            self.tally.bad.entry(self.places[index]).or_insert(fault);
        }
    }
}

fn keep(outcome: &Outcome<'_>, start: usize) -> Kept {
    match *outcome {
        Outcome::Compressed { page, .. } => Kept::Compressed {
            codec: page.codec(),
            tables: page.tables(),
            start,
            len: page.bytes().len(),
        },
        Outcome::SameFilled(word) => Kept::SameFilled(word),
        Outcome::Incompressible => Kept::Raw { start },
    }
}

impl Counts {
    fn count(&mut self, kept: &[Kept], unit: usize, classes: &Classes) {
        self.pages += kept.len() as u64;
        for kept in kept {
            self.zsmalloc_bytes += match kept {
                Kept::Compressed { len, .. } if unit == 4096 => classes.cost(*len),
                // Kept in the index, as zram does.
                Kept::SameFilled(_) => 0.0,
                _ => unit as f64,
            };
            self.stored_bytes += match kept {
                Kept::Compressed { len, .. } => *len as u64,
                Kept::SameFilled(_) => {
                    self.same_filled += 1;
                    size_of::<u64>() as u64
                }
                Kept::Raw { .. } => {
                    self.incompressible += 1;
                    unit as u64
                }
                // A store would have to keep such a page as it is.
                Kept::Nothing | Kept::Bad(_) => unit as u64,
            };
        }
    }
}

/// The same memory, for pages that live elsewhere.
fn recycle<'to>(mut stored: Vec<Stored<'_>>) -> Vec<Stored<'to>> {
    stored.clear();
    // Collecting a Vec's own iterator keeps its memory: nothing is allocated.
    stored.into_iter().map(|_| Stored::SameFilled(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recycling_keeps_the_memory() {
        let stored: Vec<Stored<'_>> = Vec::with_capacity(100);
        let at = stored.as_ptr() as usize;
        let bytes = vec![1];
        let mut again = recycle(stored);
        again.push(Stored::Raw(&bytes));
        assert_eq!(again.as_ptr() as usize, at);
        assert_eq!(again.capacity(), 100);
    }
}
