//! The pool's lz4 against liblz4, both ways.
//!
//! `cargo bench --bench lz4_peer -- CORPUS`
//!
//! Apart from `overhead`, because that program holds the encoder twice, once
//! bare and once in the pool, and where the linker puts the two is worth two
//! percent. Here, as in a user's program, it is there once.

use pagepress::{Backend, Codec, Outcome, Pool, Stored, StoredBuf};
use pagepress_benches::rivals::liblz4;
use pagepress_benches::{Maker, PAGE, corpus, median, pin, ratios, rounds, touch, verdict};
use std::hint::black_box;

fn pool() -> Pool {
    Pool::builder()
        .backend(Backend::Software)
        .codec(Codec::Lz4)
        .build()
        .expect("lz4 is built")
}

fn main() {
    pin(1);
    let (name, pages) = corpus();
    println!(
        "{name}: {} pages; medians of paired rounds (quartiles)",
        pages.len()
    );

    let ours = |batch| -> Maker<'_> {
        let pages = &pages;
        Box::new(move || {
            let pool = pool();
            Box::new(move |range| {
                for batch in pages[range].chunks(batch) {
                    pool.compress_batch(batch, |_, outcome| {
                        if let Ok(Outcome::Compressed { page, .. }) = outcome {
                            black_box(page.bytes());
                        }
                    });
                }
            })
        })
    };
    let theirs: Maker<'_> = Box::new(|| {
        let mut peer = liblz4();
        let mut dst = vec![0; 2 * PAGE];
        let pages = &pages;
        Box::new(move |range| {
            for page in &pages[range] {
                black_box((peer.compress)(page, &mut dst));
            }
        })
    });
    let makers = [ours(1), ours(8), theirs];
    let times = rounds(pages.len(), |range| touch(&pages[range]), &makers);
    println!("compress: liblz4 {:.0} ns/page", median(&times[2]));
    println!(
        "  batch 1 / liblz4    {}",
        verdict(&ratios(&times[0], &times[2]), 1.00)
    );
    println!(
        "  batch 8 / liblz4    {}",
        verdict(&ratios(&times[1], &times[2]), 1.00)
    );

    let pool_here = pool();
    let packed: Vec<StoredBuf> = pages
        .iter()
        .filter_map(|page| pool_here.compress(page).ok())
        .filter(|page| matches!(page, StoredBuf::Compressed { .. }))
        .collect();
    let stored: Vec<Stored<'_>> = packed.iter().map(StoredBuf::as_stored).collect();
    let bytes: Vec<&[u8]> = stored
        .iter()
        .map(|page| match page {
            Stored::Compressed(page) => page.bytes(),
            _ => unreachable!("only compressed pages were kept"),
        })
        .collect();
    let ours = |batch| -> Maker<'_> {
        let stored = &stored;
        Box::new(move || {
            let pool = pool();
            Box::new(move |range| {
                for batch in stored[range].chunks(batch) {
                    pool.decompress_batch(batch, |_, page| {
                        black_box(page.expect("our own page"));
                    });
                }
            })
        })
    };
    let theirs: Maker<'_> = Box::new(|| {
        let mut peer = liblz4();
        let mut page = vec![0; PAGE];
        let bytes = &bytes;
        Box::new(move |range| {
            for bytes in &bytes[range] {
                assert!((peer.decompress)(bytes, &mut page));
                black_box(&page);
            }
        })
    });
    let makers = [ours(1), ours(8), theirs];
    let times = rounds(bytes.len(), |range| touch(&bytes[range]), &makers);
    println!("decompress: liblz4 {:.0} ns/page", median(&times[2]));
    println!(
        "  batch 1 / liblz4    {}",
        verdict(&ratios(&times[0], &times[2]), 1.05)
    );
    println!(
        "  batch 8 / liblz4    {}",
        verdict(&ratios(&times[1], &times[2]), 1.05)
    );
}
