//! Every interleaving of calls that share contexts: run by `scripts/loom`.
//!
//! A context here does nothing but write to itself, so that loom notices any two
//! uses, or a use and the end, that are not ordered. Homes are given, not asked
//! for: a task that migrates between choosing and using is one that uses a
//! context of another CPU than its own, as all do here.

use super::rig::{Census, Counted, MEMORY, cpus};
use super::*;
use crate::compressor::CompressDelivery;
use crate::outcome::{Outcome, PageError};
use core::ops::ControlFlow;
use loom::sync::Arc;
use loom::thread;

/// In which order threads start. Loom explores from there, and forgets who else
/// has read what a thread reads and then writes: so each check is explored from
/// both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    AsGiven,
    Reversed,
}

impl Order {
    /// Runs these on a thread each, and waits for them.
    fn run(self, mut work: Vec<Box<dyn FnOnce()>>) {
        if self == Self::Reversed {
            work.reverse();
        }
        let threads: Vec<_> = work.into_iter().map(thread::spawn).collect();
        for thread in threads {
            thread.join().expect("a sound thread");
        }
    }
}

/// Explores, and tells how many interleavings there were.
fn explore(check: impl Fn(Order) + Copy + Send + Sync + 'static) {
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    for order in [Order::AsGiven, Order::Reversed] {
        let count = std::sync::Arc::clone(&count);
        loom::model(move || {
            count.fetch_add(1, Ordering::Relaxed);
            check(order);
        });
    }
    println!("{} interleavings", count.load(Ordering::Relaxed));
}

fn contexts(provider: Counted, cpus: &Cpus) -> (Arc<Contexts>, std::sync::Arc<Census>) {
    let census = std::sync::Arc::clone(&provider.census);
    let contexts = Contexts::new(Box::new(provider), cpus).expect("contexts of the CPUs online");
    (Arc::new(contexts), census)
}

/// One call with one page, as `Pool` makes them. Whether it was served.
fn call(contexts: &Contexts, home: usize) -> bool {
    let mut sink = |_: usize, _: Result<Outcome<'_>, PageError>| ControlFlow::<()>::Continue(());
    let mut delivery = CompressDelivery::new(&mut sink);
    let Some(mut context) = contexts.take_near(Some(home)) else {
        return false;
    };
    context.compress(&[&[0_u8; 4096][..]], &mut delivery);
    context.account(|totals| &totals.compress, delivery.report());
    true
}

/// A call from this home, on a thread with a handle of its own.
fn caller(contexts: &Arc<Contexts>, home: usize) -> Box<dyn FnOnce()> {
    let contexts = Arc::clone(contexts);
    Box::new(move || assert!(call(&contexts, home), "nobody serves CPU {home}"))
}

fn made_for(contexts: &Contexts) -> Vec<usize> {
    contexts.memory().0.iter().map(|&(cpu, _)| cpu).collect()
}

/// Contexts there are: those of CPUs, and the spares that were kept.
fn owned(contexts: &Contexts) -> usize {
    let (of_cpus, spares) = contexts.memory();
    of_cpus.len() + spares.len()
}

#[test]
fn first_use_of_a_late_cpu_by_three() {
    explore(|order| {
        let (contexts, census) = contexts(Counted::default(), &cpus(2, [0]));
        order.run((0..3).map(|_| caller(&contexts, 1)).collect());
        let stats = contexts.stats();
        assert_eq!(stats.compress.pages(), 3);
        assert_eq!(stats.late_contexts, 1);
        assert_eq!(made_for(&contexts), [0, 1]);
        assert_eq!(census.alive(), owned(&contexts));
        drop(contexts);
        assert_eq!(census.alive(), 0);
    });
}

#[test]
fn first_use_that_fails_is_tried_once() {
    explore(|order| {
        let (contexts, census) = contexts(Counted::failing_for([1]), &cpus(2, [0]));
        let callers = (0..2).map(|_| {
            let contexts = Arc::clone(&contexts);
            Box::new(move || {
                // Not served if CPU 0's is busy, for no spare can be made.
                let _ = call(&contexts, 1);
            }) as Box<dyn FnOnce()>
        });
        order.run(callers.collect());
        let stats = contexts.stats();
        assert!(stats.compress.pages() > 0);
        assert_eq!(stats.failed_contexts, 1);
        assert_eq!(contexts.failures().len(), 1);
        // Once for the CPU, and then for want of a spare.
        assert!(census.refused() >= 1);
        assert_eq!(made_for(&contexts), [0]);
    });
}

#[test]
fn take_neighbour_spare_and_return() {
    explore(|order| {
        let (contexts, census) = contexts(Counted::default(), &cpus(2, [0, 1]));
        order.run([0, 0, 1].map(|home| caller(&contexts, home)).into());
        let stats = contexts.stats();
        assert_eq!(stats.compress.pages(), 3);
        assert!(stats.neighbour_calls + stats.spare_calls <= 3);
        assert!(owned(&contexts) <= 2 + stats.spare_calls as usize);
        settled(&contexts, &census);
    });
}

/// A caller whose sink calls again.
fn nested_caller(contexts: &Arc<Contexts>, home: usize) -> Box<dyn FnOnce()> {
    let contexts = Arc::clone(contexts);
    Box::new(move || {
        let _outer = contexts.take_near(Some(home)).expect("a context");
        assert!(call(&contexts, home));
    })
}

/// What holds when all calls are over: nothing is in use, and no more spares are
/// kept than should be.
fn settled(contexts: &Contexts, census: &Census) {
    assert_eq!(contexts.spares_in_use.load(Ordering::Relaxed), 0);
    assert!(contexts.memory().1.len() <= contexts.spares_most);
    assert_eq!(census.alive(), owned(contexts));
    for (cpu, _) in contexts.memory().0 {
        assert!(contexts.try_cpu(cpu).is_some(), "CPU {cpu}'s is in use");
    }
}

/// The one context is held, and the one spare that may be used without waiting:
/// callers wait, and then get what they need, from several sides at once.
#[test]
fn spares_beyond_the_usual_come_and_go() {
    explore(|order| {
        let (contexts, census) = contexts(Counted::default(), &cpus(1, [0]));
        let held = [0, 0].map(|home| contexts.take_near(Some(home)).expect("a context"));
        order.run(vec![
            nested_caller(&contexts, 0),
            nested_caller(&contexts, 0),
        ]);
        drop(held);
        settled(&contexts, &census);
        let stats = contexts.stats();
        assert_eq!((stats.spare_calls, stats.compress.pages()), (5, 2));
        assert_eq!(stats.waits, 2);
        drop(contexts);
        assert_eq!(census.alive(), 0);
    });
}

/// A sink that calls the pool again, beside another that does.
#[test]
fn calls_within_calls() {
    explore(|order| {
        let (contexts, census) = contexts(Counted::default(), &cpus(2, [0, 1]));
        order.run(vec![
            nested_caller(&contexts, 0),
            nested_caller(&contexts, 1),
        ]);
        assert_eq!(contexts.stats().compress.pages(), 2);
        settled(&contexts, &census);
    });
}

#[test]
fn the_last_handle_goes_during_a_late_first_use() {
    explore(|order| {
        let (contexts, census) = contexts(Counted::default(), &cpus(2, [0]));
        // Whoever comes last frees what the other has made or used.
        let work = vec![caller(&contexts, 1), caller(&contexts, 1)];
        drop(contexts);
        order.run(work);
        assert_eq!(census.alive(), 0);
    });
}

/// Reading what a pool holds takes none of the locks that calls hold.
#[test]
fn readers_see_whole_contexts() {
    explore(|order| {
        let (contexts, _) = contexts(Counted::default(), &cpus(2, [0]));
        let reader = Arc::clone(&contexts);
        let reader = Box::new(move || {
            let (of_cpus, _) = reader.memory();
            assert!(of_cpus.iter().all(|&(_, memory)| memory == MEMORY));
            assert!(reader.stats().compress.pages() <= 1);
        });
        order.run(vec![caller(&contexts, 1), reader]);
        assert_eq!(contexts.stats().compress.pages(), 1);
    });
}
