//! Pools that are made and dropped all the time.

use crate::calls::{compress, migrate, round_trip};
use crate::pages::Random;
use crate::pools::{RECIPES, Subject};
use crate::run::Run;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Makes pools and drops them until all is over.
pub(crate) fn churn(run: &Run) {
    let mut random = Random(4);
    while !run.is_over() {
        let recipe = RECIPES[random.below(RECIPES.len())];
        if random.below(4) == 0 {
            until_a_cpu_is_offline(run);
        }
        let online = run.online();
        let subject = recipe.make(run, ", for a moment");
        run.counts.made.add(1);
        if online.len() < run.cpus.len() {
            run.counts.made_without.add(1);
        }
        let with = subject.look(run).len();
        let about = subject.about.clone();
        match random.below(6) {
            0 => drop(subject),
            1 => hand_over(run, &mut random, subject, with),
            2 => {
                interrupted(run, &mut random, &subject);
                subject.settle(run, with);
                drop(subject);
            }
            _ => {
                crowd(run, &mut random, &subject);
                subject.settle(run, with);
                drop(subject);
            }
        }
        about.gone(run);
    }
}

fn until_a_cpu_is_offline(run: &Run) {
    for _ in 0..200 {
        if run.is_over() || run.online().len() < run.cpus.len() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Has the last handle lie in another thread, in the middle of its first use.
fn hand_over(run: &Run, random: &mut Random, subject: Subject, with: usize) {
    let (inside, is_inside) = mpsc::channel();
    let (gone, is_gone) = mpsc::channel();
    let last = subject.clone();
    let mut random = Random(random.next());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let _worker = run.worker();
            migrate(run, &mut random);
            let first = &run.pages[..8];
            last.began();
            let mut told = false;
            let report = last.handle.compress_batch(first, |_, outcome| {
                if outcome.is_err() {
                    last.wrong(run, "a page failed");
                }
                if !core::mem::replace(&mut told, true) {
                    inside.send(()).expect("the maker waits");
                    is_gone.recv().expect("the maker tells");
                    migrate(run, &mut random);
                }
            });
            last.ended();
            last.add(Some(report), None);
            round_trip(run, &mut random, core::slice::from_ref(&last), &last, 0);
            last.settle(run, with);
            run.counts.handed_over.add(1);
        });
        if is_inside.recv().is_err() {
            subject.wrong(run, "the first use showed no page");
        }
        drop(subject);
        let _ = gone.send(());
    });
}

/// Sinks that end their calls early, by an error and by a panic; the pool goes
/// on after that.
fn interrupted(run: &Run, random: &mut Random, subject: &Subject) {
    subject.interrupted();
    let pools = core::slice::from_ref(subject);
    let batch: Vec<&[u8]> = run.pages[..16].iter().map(Vec::as_slice).collect();
    for _ in 0..4 {
        let mut left = random.below(batch.len());
        let mut ends = || {
            left = left.wrapping_sub(1);
            if left == usize::MAX { Err(()) } else { Ok(()) }
        };
        if subject
            .handle
            .try_compress_batch(&batch, |_, _| ends())
            .is_ok()
        {
            subject.wrong(run, "a sink's error was lost");
        }
        migrate(run, random);
        let Some(kept) = compress(run, random, pools, subject, &batch, 0) else {
            return;
        };
        let stored: Vec<_> = kept.iter().map(|page| page.as_stored()).collect();
        let at = random.below(batch.len());
        let mut turn = 0;
        let panics = catch_unwind(AssertUnwindSafe(|| {
            subject.handle.decompress_batch(&stored, |_, _| {
                turn += 1;
                if turn > at {
                    resume_unwind(Box::new("a sink's own"));
                }
            })
        }));
        if panics.is_ok() {
            subject.wrong(run, "a sink's panic was lost");
        }
        round_trip(run, random, pools, subject, 0);
    }
}

/// Several threads at once use the pool for the first time, on any CPU: one that
/// comes back gets its context late.
fn crowd(run: &Run, random: &mut Random, subject: &Subject) {
    // Where a CPU lacks its context, long enough for that CPU to come back.
    let least = if subject.look(run).len() < run.cpus.len() {
        120
    } else {
        0
    };
    let until = Instant::now() + Duration::from_millis(least + random.below(80) as u64);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let mut random = Random(random.next());
            scope.spawn(move || {
                let _worker = run.worker();
                let pools = core::slice::from_ref(subject);
                loop {
                    migrate(run, &mut random);
                    round_trip(run, &mut random, pools, subject, 0);
                    if run.is_over() || Instant::now() > until {
                        break;
                    }
                }
            });
        }
    });
}
