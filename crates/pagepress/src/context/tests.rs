use super::rig::{Counted, MEMORY, cpus};
use super::*;
use std::sync::Arc;

fn contexts(provider: Counted, cpus: &Cpus) -> Contexts {
    Contexts::new(Box::new(provider), cpus).expect("contexts of the CPUs online")
}

fn cpus_of(contexts: &Contexts) -> Vec<usize> {
    contexts.memory().0.iter().map(|&(cpu, _)| cpu).collect()
}

#[test]
fn a_context_that_cannot_be_made_leaves_none_behind() {
    let provider = Counted::failing_for([5]);
    let census = Arc::clone(&provider.census);
    let error = Contexts::new(Box::new(provider), &cpus(8, [0, 1, 5, 7])).err();
    let reason = "no memory, says the test".into();
    assert_eq!(error, Some(Error::Context { cpu: 5, reason }));
    assert_eq!((census.made(), census.alive()), (2, 0));
}

/// Numbers with holes, and beyond what a `cpu_set_t` has.
#[test]
fn contexts_are_of_the_cpus_online_however_sparse() {
    let provider = Counted::default();
    let census = Arc::clone(&provider.census);
    let online = [0, 1, 63, 64, 1024, 2999];
    let contexts = contexts(provider, &cpus(3000, online));
    assert_eq!(census.alive(), online.len());
    assert_eq!(cpus_of(&contexts), online);
    assert!(
        contexts
            .memory()
            .0
            .iter()
            .all(|&(_, memory)| memory == MEMORY)
    );
    for cpu in online {
        contexts.take_near(Some(cpu)).expect("a context");
    }
    let stats = contexts.stats();
    assert_eq!((stats.neighbour_calls, stats.late_contexts), (0, 0));
    drop(contexts);
    assert_eq!(census.alive(), 0);
}

#[test]
fn a_late_cpu_gets_its_own_context_once() {
    let provider = Counted::default();
    let census = Arc::clone(&provider.census);
    let contexts = contexts(provider, &cpus(4000, [0]));
    for _ in 0..100 {
        contexts.take_near(Some(3999)).expect("a context");
        contexts.take_near(Some(64)).expect("a context");
    }
    let stats = contexts.stats();
    assert_eq!((stats.late_contexts, census.made()), (2, 3));
    assert_eq!((stats.neighbour_calls, stats.spare_calls), (0, 0));
    assert_eq!(cpus_of(&contexts), [0, 64, 3999]);
}

#[test]
fn a_late_cpu_without_a_context_is_served_by_a_neighbour() {
    let provider = Counted::failing_for([2]);
    let census = Arc::clone(&provider.census);
    let contexts = contexts(provider, &cpus(8, [5]));
    for _ in 0..100 {
        contexts.take_near(Some(2)).expect("a context");
    }
    let stats = contexts.stats();
    assert_eq!((stats.neighbour_calls, stats.late_contexts), (100, 0));
    assert_eq!(stats.failed_contexts, 1);
    assert_eq!((census.made(), census.refused()), (1, 1), "tried once");
    let reason = "no memory, says the test".into();
    assert_eq!(contexts.failures(), [Error::Context { cpu: 2, reason }]);
}

/// The system does not say which CPU it is, or says one that never was possible
/// (in a container that is shown other CPUs than it runs on).
#[test]
fn an_unknown_cpu_makes_no_context() {
    let provider = Counted::default();
    let census = Arc::clone(&provider.census);
    let contexts = contexts(provider, &cpus(16, [3, 11]));
    for unknown in [None, Some(16), Some(4711), Some(usize::MAX)] {
        contexts.take_near(unknown).expect("a context");
    }
    let stats = contexts.stats();
    assert_eq!((stats.neighbour_calls, stats.spare_calls), (0, 0));
    assert_eq!(census.made(), 2);
    // Threads spread over what there is.
    let homes: Vec<usize> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| contexts.stand_in()))
            .collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, usize>| thread.join().expect("one");
        threads.into_iter().map(join).collect()
    });
    assert!(homes.contains(&3) && homes.contains(&11), "{homes:?}");
}

#[test]
fn a_busy_context_sends_the_caller_to_a_neighbour_and_then_to_a_spare() {
    let provider = Counted::default();
    let census = Arc::clone(&provider.census);
    let contexts = contexts(provider, &cpus(8, [1, 4, 6]));
    for round in 1..=3 {
        let held: Vec<_> = (0..4)
            .map(|_| contexts.take_near(Some(4)).expect("a context"))
            .collect();
        let stats = contexts.stats();
        assert_eq!(
            (stats.neighbour_calls, stats.spare_calls),
            (2 * round, round)
        );
        drop(held);
    }
    assert_eq!(census.made(), 4, "the spare is kept for the next call");
    assert_eq!(contexts.memory().1, [MEMORY]);
    assert_eq!(HELD.with(Cell::get), 0);
}
