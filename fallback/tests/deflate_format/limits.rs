//! What fits its limit is written, and nothing else, whatever the limit.

use crate::pages::{pages, random};
use crate::ways::{Tables, Way, most};
use pagepress_fallback::encoder::{Codes, Encoder, SLACK};

#[test]
fn limits_change_nothing_but_whether() {
    let fixed = Codes::fixed();
    let mut encoder = Encoder::new(4096).expect("memory");
    let mut all = pages(4096);
    all.extend([vec![], vec![0xFF], random(300, 9), b"abab".repeat(40)]);
    for page in &all {
        let tables = [Tables::steep(true), Tables::of(page)];
        let [steep, own] = &tables;
        for way in [
            Way::Fixed(&fixed),
            Way::Dynamic,
            Way::WithHeader(steep),
            Way::WithHeader(own),
            Way::Canned(steep),
            Way::Canned(own),
        ] {
            let whole = way.write(&mut encoder, page, most(page)).expect("room");
            let near = whole.len().saturating_sub(20)..whole.len() + 20;
            let far = (0..most(page)).step_by(if page.len() > 600 { 61 } else { 1 });
            for limit in far.chain(near).chain(0..40) {
                let written = way.write(&mut encoder, page, limit);
                let expected = (whole.len() <= limit).then_some(&whole);
                let (name, len) = (way.name(), page.len());
                assert!(
                    written.as_ref() == expected,
                    "{name}: {len} bytes at a limit of {limit}"
                );
            }
        }
    }
}

#[test]
#[should_panic = "range end index 108 out of range"]
fn a_room_without_slack_is_refused() {
    let mut encoder = Encoder::new(4096).expect("memory");
    encoder.dynamic(&[0; 4096], &mut [0; 100 + SLACK - 1], 100);
}

#[test]
#[should_panic = "page.len() <= self.unit"]
fn a_longer_page_is_refused() {
    let mut encoder = Encoder::new(4096).expect("memory");
    encoder.with_codes(&[0; 4097], &mut [0; 100 + SLACK], 100, &Codes::fixed());
}

#[test]
#[should_panic]
fn codes_for_some_pages_only_are_refused() {
    let mut literals = [9; 286];
    literals[77] = 0;
    let _ = Codes::with_header(&literals, &[5; 30], &[], 0);
}
