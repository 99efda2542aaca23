//! Whatever a page holds, it comes back.

use crate::pages::units;
use crate::subject::{self, Subject};
use pagepress::{Pool, Stored, StoredBuf};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// One step in filling a page.
#[derive(Debug, Clone)]
enum Step {
    Bytes(Vec<u8>),
    Run(u8, usize),
    /// Repeat what lies this far back, for this long.
    Copy(usize, usize),
    Word(u64, usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 1..600).prop_map(Step::Bytes),
        (any::<u8>(), 1..3000usize).prop_map(|(byte, len)| Step::Run(byte, len)),
        (1..70_000usize, 1..5000usize).prop_map(|(back, len)| Step::Copy(back, len)),
        (any::<u64>(), 1..400usize).prop_map(|(word, times)| Step::Word(word, times)),
    ]
}

/// A page of `len` bytes made of steps, repeated until it is full.
fn page(len: usize, steps: &[Step]) -> Vec<u8> {
    let mut page = Vec::with_capacity(len + 5000);
    while page.len() < len {
        for step in steps {
            match *step {
                Step::Bytes(ref bytes) => page.extend_from_slice(bytes),
                Step::Run(byte, n) => page.resize(page.len() + n, byte),
                Step::Copy(back, n) => {
                    let from = page.len().saturating_sub(back);
                    for at in from..from + n {
                        page.push(page.get(at).copied().unwrap_or(7));
                    }
                }
                Step::Word(word, times) => {
                    page.extend((0..times).flat_map(|_| word.to_le_bytes()));
                }
            }
        }
    }
    page.truncate(len);
    page
}

fn batches() -> impl Strategy<Value = (usize, Vec<Vec<Step>>)> {
    (
        0..5usize,
        prop::collection::vec(prop::collection::vec(step(), 1..12), 1..6),
    )
}

#[test]
fn any_page_comes_back_from_software() {
    any_page_comes_back(&subject::software(), 300);
}

/// Fewer, for the model takes its time.
#[test]
fn any_page_comes_back_from_devices() {
    any_page_comes_back(&subject::devices(), 60);
}

fn any_page_comes_back(subjects: &[Subject], cases: u32) {
    let units: Vec<usize> = units().map(|unit| unit.bytes()).collect();
    let pools: Vec<Vec<Pool>> = subjects.iter().map(subject::pools).collect();
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    let result = runner.run(&batches(), |(u, recipes)| {
        let pages: Vec<Vec<u8>> = recipes.iter().map(|steps| page(units[u], steps)).collect();
        for (subject, pools) in subjects.iter().zip(&pools) {
            let pool = &pools[u];
            let mut store: Vec<Option<StoredBuf>> = vec![None; pages.len()];
            pool.compress_batch(&pages, |i, outcome| {
                store[i] = Some(
                    outcome
                        .expect("a page of the unit size")
                        .to_stored(&pages[i]),
                );
            });
            let stored: Vec<Stored<'_>> = store
                .iter()
                .map(|page| page.as_ref().expect("handed over").as_stored())
                .collect();
            for (i, page) in stored.iter().enumerate() {
                if let Stored::Compressed(page) = page {
                    prop_assert!(page.bytes().len() < pages[i].len());
                }
            }
            let mut same = true;
            pool.decompress_batch(&stored, |i, page| same &= page == Ok(&pages[i][..]));
            prop_assert!(same, "{subject:?}");
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
