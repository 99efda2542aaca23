//! Pages through a pool and back, with every byte compared.

use crate::cpus;
use crate::pages::Random;
use crate::pools::Subject;
use crate::run::Run;
use core::cell::Cell;
use pagepress::{Outcome, Stored, StoredBuf};
use std::time::Duration;

/// The most pages of a batch.
const BATCH: usize = 32;

/// The deepest that sinks call a pool again.
const DEEPEST: usize = 2;

thread_local! {
    /// The CPU that this thread was last seen on.
    static LAST: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Counts a change of CPU since the last look.
fn look(run: &Run, in_call: bool) {
    let now = cpus::current();
    if LAST.replace(Some(now)).is_some_and(|last| last != now) {
        run.counts.moved.add(1);
        if in_call {
            run.counts.moved_in_call.add(1);
        }
    }
}

/// Has this thread go elsewhere.
pub(crate) fn migrate(run: &Run, random: &mut Random) {
    if cpus::pin(None, &cpus::subset(random, &run.online())) {
        run.counts.asked.add(1);
    }
}

/// What a sink does besides taking its page.
fn dally(run: &Run, random: &mut Random, pools: &[Subject], subject: &Subject, depth: usize) {
    match random.below(64) {
        0..8 => migrate(run, random),
        8..14 if depth < DEEPEST => round_trip(run, random, pools, subject, depth + 1),
        14 if depth < DEEPEST => {
            let other = random_of(pools, random);
            round_trip(run, random, pools, other, depth + 1);
        }
        15 => std::thread::yield_now(),
        16..20 => std::thread::sleep(Duration::from_micros(random.below(500) as u64)),
        // So long that who waits gives up and takes a spare context.
        20 if random.below(8) == 0 => std::thread::sleep(Duration::from_millis(15)),
        _ => {}
    }
    look(run, true);
}

pub(crate) fn random_of<'p>(pools: &'p [Subject], random: &mut Random) -> &'p Subject {
    &pools[random.below(pools.len())]
}

/// A batch through one pool, and back through it or another of its codec. Sinks
/// may call any of `pools`.
pub(crate) fn round_trip(
    run: &Run,
    random: &mut Random,
    pools: &[Subject],
    subject: &Subject,
    depth: usize,
) {
    let most = if depth == 0 { BATCH } else { 3 };
    let batch: Vec<&[u8]> = (0..1 + random.below(most))
        .map(|_| &run.pages[random.below(run.pages.len())][..])
        .collect();
    let Some(kept) = compress(run, random, pools, subject, &batch, depth) else {
        return;
    };
    look(run, false);
    let stored: Vec<_> = kept.iter().map(StoredBuf::as_stored).collect();
    let other = random_of(pools, random);
    let reader = if other.codec() == subject.codec() {
        other
    } else {
        subject
    };
    if random.below(3) == 0 {
        decompress_into(run, random, pools, reader, (&stored, &batch), depth);
    } else {
        decompress(run, random, pools, reader, (&stored, &batch), depth);
    }
    look(run, false);
}

/// What a batch came to; nothing if that is a finding.
pub(crate) fn compress(
    run: &Run,
    random: &mut Random,
    pools: &[Subject],
    subject: &Subject,
    batch: &[&[u8]],
    depth: usize,
) -> Option<Vec<StoredBuf>> {
    let mut kept: Vec<Option<StoredBuf>> = vec![None; batch.len()];
    let mut dst = None;
    let mut turn = random.below(batch.len());
    subject.began();
    let report = subject.handle.compress_batch(batch, |i, outcome| {
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => return subject.wrong(run, &format!("compressing: {error}")),
        };
        if kept[i].replace(outcome.to_stored(batch[i])).is_some() {
            subject.wrong(run, &format!("page {i} was handed over twice"));
        }
        let shown = match outcome {
            Outcome::Compressed { page, .. } => page.bytes(),
            _ => &[],
        };
        if !shown.is_empty() && subject.has_one_dst() {
            let address = shown.as_ptr().addr();
            if *dst.get_or_insert(address) != address {
                subject.wrong(run, "one call had two contexts");
            }
        }
        if turn == 0 {
            dally(run, random, pools, subject, depth);
            if let Some(StoredBuf::Compressed { bytes, .. }) = &kept[i] {
                if **bytes != *shown {
                    subject.wrong(run, "a dst buffer changed below a sink");
                }
            }
        }
        turn = turn.wrapping_sub(1);
    });
    subject.ended();
    subject.add(Some(report), None);
    run.counts.batches.add(1);
    if let Some(address) = dst {
        subject.saw(address);
    }
    if report.pages() != batch.len() as u64 || kept.iter().any(Option::is_none) {
        subject.wrong(
            run,
            &format!("{} pages compressed: {report:?}", batch.len()),
        );
        return None;
    }
    kept.into_iter().collect()
}

fn decompress(
    run: &Run,
    random: &mut Random,
    pools: &[Subject],
    subject: &Subject,
    (stored, batch): (&[Stored<'_>], &[&[u8]]),
    depth: usize,
) {
    let mut back = vec![false; batch.len()];
    let mut dst = None;
    let mut turn = random.below(batch.len());
    subject.began();
    let report = subject.handle.decompress_batch(stored, |i, page| {
        let page = match page {
            Ok(page) => page,
            Err(error) => return subject.wrong(run, &format!("decompressing: {error}")),
        };
        if matches!(stored[i], Stored::Compressed(_)) && subject.has_one_dst() {
            let address = page.as_ptr().addr();
            if *dst.get_or_insert(address) != address {
                subject.wrong(run, "one call had two contexts");
            }
        }
        if turn == 0 {
            dally(run, random, pools, subject, depth);
        }
        turn = turn.wrapping_sub(1);
        // After what this thread and others did meanwhile.
        if page != batch[i] {
            subject.wrong(run, &format!("page {i} came back as another"));
        }
        if core::mem::replace(&mut back[i], true) {
            subject.wrong(run, &format!("page {i} was handed over twice"));
        }
    });
    subject.ended();
    subject.add(None, Some(report));
    run.counts.batches.add(1);
    if let Some(address) = dst {
        subject.saw(address);
    }
    if !back.iter().all(|&back| back) || report.pages() != batch.len() as u64 {
        subject.wrong(run, &format!("{} pages back: {report:?}", batch.len()));
    }
    run.counts.verified.add(batch.len() as u64);
}

fn decompress_into(
    run: &Run,
    random: &mut Random,
    pools: &[Subject],
    subject: &Subject,
    (stored, batch): (&[Stored<'_>], &[&[u8]]),
    depth: usize,
) {
    let mut rooms: Vec<Vec<u8>> = batch.iter().map(|page| vec![0xa5; page.len()]).collect();
    let mut back = 0;
    let mut turn = random.below(batch.len());
    subject.began();
    let done = |i: usize, done: Result<(), _>| {
        if let Err(error) = done {
            subject.wrong(run, &format!("decompressing page {i}: {error}"));
        }
        if turn == 0 {
            dally(run, random, pools, subject, depth);
        }
        turn = turn.wrapping_sub(1);
        back += 1;
    };
    let report = subject
        .handle
        .decompress_batch_into(stored, &mut rooms, done);
    subject.ended();
    subject.add(None, Some(report));
    run.counts.batches.add(1);
    if back != batch.len() || report.pages() != batch.len() as u64 {
        subject.wrong(run, &format!("{} pages back: {report:?}", batch.len()));
    }
    for (i, (room, page)) in rooms.iter().zip(batch).enumerate() {
        if room != page {
            subject.wrong(run, &format!("page {i} came back as another"));
        }
    }
    run.counts.verified.add(batch.len() as u64);
}
