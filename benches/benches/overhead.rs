//! What the pool costs: the same pages through `Pool` and through the bare
//! codec loop, in turn, in the same run.
//!
//! `cargo bench --bench overhead -- CORPUS`

use pagepress::{Backend, Codec, Outcome, Pool, Stored};
use pagepress_benches::rivals::{self, Rival};
use pagepress_benches::{
    Contender, PAGE, corpus, median, ns_per_page, pin, random_pages, ratios, rounds, verdict,
};
use std::hint::black_box;

fn main() {
    pin(1);
    let (name, pages) = corpus();
    println!(
        "{name}: {} pages; medians of paired rounds (quartiles)",
        pages.len()
    );
    for (codec, bare) in [
        (Codec::Lz4, rivals::lz4_pair as fn() -> Rival),
        (Codec::Zstd, || rivals::zstd(1)),
        (Codec::Deflate, || rivals::deflate_pair(1)),
    ] {
        compare_compress(codec, bare, &pages);
        compare_decompress(codec, bare, &pages);
        reject(codec, &pages);
    }
}

fn pool(codec: Codec) -> Pool {
    Pool::builder()
        .backend(Backend::Software)
        .codec(codec)
        .build()
        .expect("codec is built")
}

fn compare_compress(codec: Codec, bare: fn() -> Rival, pages: &[Vec<u8>]) {
    let pool = pool(codec);
    let mut bare = bare();
    let mut peer = rivals::liblz4();
    let count = pages.len();
    let through = |batch: usize| -> Contender<'_> {
        let pool = &pool;
        Box::new(move || {
            ns_per_page(count, || {
                for batch in pages.chunks(batch) {
                    pool.compress_batch(batch, |_, outcome| {
                        if let Ok(Outcome::Compressed { page, .. }) = outcome {
                            black_box(page.bytes());
                        }
                    });
                }
            })
        })
    };
    let mut dst = vec![0; 2 * PAGE];
    let mut peer_dst = vec![0; 2 * PAGE];
    let mut contenders = vec![
        Box::new(|| {
            ns_per_page(count, || {
                for page in pages {
                    if let Some(len) = (bare.compress)(page, &mut dst) {
                        black_box(&dst[..len]);
                    }
                }
            })
        }) as Contender<'_>,
        through(1),
        through(8),
    ];
    if codec == Codec::Lz4 {
        contenders.push(Box::new(|| {
            ns_per_page(count, || {
                for page in pages {
                    if let Some(len) = (peer.compress)(page, &mut peer_dst) {
                        black_box(&peer_dst[..len]);
                    }
                }
            })
        }));
    }
    let times = rounds(&mut contenders);
    drop(contenders);
    println!(
        "\n{codec} compress: {} {:.0} ns/page",
        bare.name,
        median(&times[0])
    );
    println!(
        "  pool, batch 1 / bare      {}",
        verdict(&ratios(&times[1], &times[0]), 1.02)
    );
    println!(
        "  pool, batch 8 / bare      {}",
        verdict(&ratios(&times[2], &times[0]), 1.02)
    );
    println!(
        "  batch 8 / 8 singles       {}",
        verdict(&ratios(&times[2], &times[1]), 1.01)
    );
    if let Some(peer) = times.get(3) {
        println!(
            "  bare / liblz4             {:.3}",
            median(&ratios(&times[0], peer))
        );
        println!(
            "  pool, batch 1 / liblz4    {}",
            verdict(&ratios(&times[1], peer), 1.00)
        );
        println!(
            "  pool, batch 8 / liblz4    {}",
            verdict(&ratios(&times[2], peer), 1.00)
        );
    }
}

fn compare_decompress(codec: Codec, bare: fn() -> Rival, pages: &[Vec<u8>]) {
    let pool = pool(codec);
    let mut bare = bare();
    let mut peer = rivals::liblz4();
    let packed: Vec<Vec<u8>> = pages
        .iter()
        .filter_map(|page| {
            let mut dst = vec![0; 2 * PAGE];
            let len = (bare.compress)(page, &mut dst)?;
            Some(dst[..len].to_vec())
        })
        .collect();
    let stored: Vec<_> = packed
        .iter()
        .map(|bytes| Stored::compressed(codec, bytes))
        .collect();
    let count = stored.len();
    let through = |batch: usize| -> Contender<'_> {
        let (pool, stored) = (&pool, &stored);
        Box::new(move || {
            ns_per_page(count, || {
                for batch in stored.chunks(batch) {
                    pool.decompress_batch(batch, |_, page| {
                        black_box(page.expect("our own page"));
                    });
                }
            })
        })
    };
    let into = || -> Contender<'_> {
        let (pool, stored) = (&pool, &stored);
        let mut rooms = vec![vec![0u8; PAGE]; 8];
        Box::new(move || {
            ns_per_page(count, || {
                for batch in stored.chunks(8) {
                    pool.decompress_batch_into(batch, &mut rooms, |_, done| {
                        done.expect("our own page");
                    });
                    black_box(&rooms);
                }
            })
        })
    };
    let mut page = vec![0; PAGE];
    let mut peer_page = vec![0; PAGE];
    let mut contenders = vec![
        Box::new(|| {
            ns_per_page(count, || {
                for bytes in &packed {
                    assert!((bare.decompress)(bytes, &mut page));
                    black_box(&page);
                }
            })
        }) as Contender<'_>,
        through(1),
        through(8),
        into(),
    ];
    if codec == Codec::Lz4 {
        contenders.push(Box::new(|| {
            ns_per_page(count, || {
                for bytes in &packed {
                    assert!((peer.decompress)(bytes, &mut peer_page));
                    black_box(&peer_page);
                }
            })
        }));
    }
    let times = rounds(&mut contenders);
    drop(contenders);
    println!(
        "{codec} decompress: {} {:.0} ns/page",
        bare.name,
        median(&times[0])
    );
    println!(
        "  pool, batch 1 / bare      {}",
        verdict(&ratios(&times[1], &times[0]), 1.04)
    );
    println!(
        "  pool, batch 8 / bare      {}",
        verdict(&ratios(&times[2], &times[0]), 1.04)
    );
    println!(
        "  into 8 rooms / bare       {:.3}",
        median(&ratios(&times[3], &times[0]))
    );
    println!(
        "  batch 8 / 8 singles       {}",
        verdict(&ratios(&times[2], &times[1]), 1.01)
    );
    if let Some(peer) = times.get(4) {
        println!(
            "  pool, batch 1 / liblz4    {}",
            verdict(&ratios(&times[1], peer), 1.05)
        );
        println!(
            "  pool, batch 8 / liblz4    {}",
            verdict(&ratios(&times[2], peer), 1.05)
        );
    }
}

/// What a random page costs, against lz4's mean over the corpus.
fn reject(codec: Codec, pages: &[Vec<u8>]) {
    let (lz4, pool) = (pool(Codec::Lz4), pool(codec));
    let random = random_pages(256);
    let mut rejected = 0;
    let times = rounds(&mut [
        Box::new(|| {
            ns_per_page(pages.len(), || {
                for page in pages {
                    lz4.compress_batch(&[page], |_, _| {});
                }
            })
        }),
        Box::new(|| {
            rejected = 0;
            ns_per_page(random.len(), || {
                for page in &random {
                    rejected += pool
                        .compress_batch(&[page], |_, _| {})
                        .incompressible_pages();
                }
            })
        }),
    ]);
    println!(
        "{codec} random page: {:.0} ns, {rejected} of {} rejected\n  / mean lz4 page           {}",
        median(&times[1]),
        random.len(),
        verdict(&ratios(&times[1], &times[0]), 0.25)
    );
}
