//! Every fault that modelled devices know, at many rates, from many threads:
//! pages come back byte for byte, every fallback is told with the right reason,
//! calls end in time, and no memory that a device may write is used meanwhile.
//!
//! Some 50,000 pages by default; `PAGEPRESS_CAMPAIGN_PAGES=1000000` asks for so
//! many, best with `--release -- --nocapture`, and `PAGEPRESS_CAMPAIGN_ONLY=halt`
//! for the settings whose line starts so. One line for each setting.

mod expect;
mod kinds;
mod pages;
mod run;

use kinds::{Setting, settings};
use run::Seen;
use std::collections::BTreeMap;
use std::process::abort;
use std::sync::mpsc;
use std::time::Duration;

/// A setting that takes longer than this hangs.
const HANGS: Duration = Duration::from_secs(300);

fn wanted() -> usize {
    let text = std::env::var("PAGEPRESS_CAMPAIGN_PAGES");
    text.map_or(50_000, |text| text.parse().expect("a number of pages"))
}

/// Runs a setting, or ends the test if that never ends.
fn run_or_abort(setting: &Setting, pages: usize) -> Seen {
    let (sender, receiver) = mpsc::channel::<()>();
    let name = setting.to_string();
    let dog = std::thread::spawn(move || {
        // Woken when the sender is dropped.
        if receiver.recv_timeout(HANGS) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("{name}: no end after {HANGS:?}");
            abort();
        }
    });
    let seen = run::run(setting, pages);
    drop(sender);
    dog.join().expect("the watchdog only waits");
    seen
}

#[test]
fn campaign() {
    let only = std::env::var("PAGEPRESS_CAMPAIGN_ONLY").unwrap_or_default();
    let mut settings = settings();
    settings.retain(|setting| setting.to_string().starts_with(&only));
    let each = wanted().div_ceil(settings.len());
    let mut totals: BTreeMap<&str, Seen> = BTreeMap::new();
    let mut wrong = Vec::new();
    for setting in &settings {
        let seen = run_or_abort(setting, each);
        println!("{setting}: {seen}");
        for problem in expect::check(setting, &seen) {
            println!("    WRONG: {problem}");
            wrong.push(format!("{setting}: {problem}"));
        }
        totals.entry(setting.kind.name).or_default().add(&seen);
    }
    let mut all = Seen::default();
    for (kind, seen) in &totals {
        println!("total of {kind}: {seen}");
        all.add(seen);
    }
    println!("total of {} settings: {all}", settings.len());
    assert!(all.compress.pages() >= wanted() as u64);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
