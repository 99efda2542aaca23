//! Pages through the device and through others, both ways: what Compress
//! writes is read by two independent inflate implementations and by
//! Decompress, and what two independent deflate writers write is read by
//! Decompress. Checksums are compared with some that are computed bit by bit.
//!
//! Pages are generated, taken from files of the machine, and from directories
//! of page corpora: `PAGEPRESS_CORPORA` names one with `*.pages` files. Of
//! those a sample is taken, or with `PAGEPRESS_CORPORA_ALL=1` everything.

mod checker;
mod crossing;
mod readers;
mod sources;
mod station;
mod sums;
mod writers;

use checker::{Checker, Tally};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sources::{Corpus, Share};

/// Checks each corpus, prints what was done, and fails if anything differs.
fn check(corpora: impl IntoIterator<Item = Corpus>, share: Share) {
    let mut checker = Checker::new();
    let mut total = Tally::named("total");
    Tally::print_head();
    for corpus in corpora {
        let mut tally = Tally::named(&corpus.name);
        for part in corpus.parts(share) {
            tally.pages += u64::from(part.len() == 4096);
            checker.check(&corpus.bytes[part.clone()], &mut tally, &|| {
                format!("{} {part:?}", corpus.name)
            });
        }
        tally.print();
        total.add(&tally);
    }
    total.print();
    assert!(total.inputs > 0, "nothing to check");
    total.assert_no_mismatch();
}

#[test]
fn generated_pages() {
    check(sources::generated(), Share::All);
}

#[test]
fn files_of_this_machine() {
    check(sources::machine(), Share::Sample);
}

#[test]
fn page_corpora() {
    let (directory, asked_for) = sources::page_directory();
    if !asked_for && !directory.is_dir() {
        println!(
            "no page corpora: {} is not there, and PAGEPRESS_CORPORA is not set",
            directory.display()
        );
        return;
    }
    let all = std::env::var_os("PAGEPRESS_CORPORA_ALL").is_some_and(|value| value == "1");
    let share = if all { Share::All } else { Share::Sample };
    check(sources::page_files(&directory), share);
}

/// Data with repetitions at all distances, in and out of reach.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        vec(any::<u8>(), 1..60).prop_map(|bytes| (bytes, 0, 0)),
        vec(0..4u8, 1..60).prop_map(|bytes| (bytes, 0, 0)),
        (1..5000usize, 1..600usize).prop_map(|(back, len)| (vec![], back, len)),
    ];
    vec(piece, 0..100).prop_map(|pieces| {
        let mut data = Vec::new();
        for (bytes, back, len) in pieces {
            data.extend(bytes);
            for _ in 0..len {
                let at = data.len().checked_sub(back);
                data.push(at.map_or(0, |at| data[at]));
            }
        }
        data
    })
}

#[test]
fn any_data() {
    let mut runner = TestRunner::new(Config {
        cases: 64,
        failure_persistence: None,
        ..Config::default()
    });
    let checker = std::cell::RefCell::new(Checker::new());
    let total = std::cell::RefCell::new(Tally::named("any data"));
    let result = runner.run(&pieces(), |data| {
        let mut tally = Tally::named("any data");
        let what = || format!("{} bytes", data.len());
        checker.borrow_mut().check(&data, &mut tally, &what);
        total.borrow_mut().add(&tally);
        prop_assert!(tally.mismatches.is_empty(), "{:?}", tally.mismatches);
        Ok(())
    });
    Tally::print_head();
    total.borrow().print();
    if let Err(error) = result {
        panic!("{error}");
    }
}
