//! What the pool costs: the same pages through `Pool` and through the bare
//! codec loop, in turn, in the same run.
//!
//! `cargo bench --bench overhead -- CORPUS`

use pagepress::{Codec, Stored};
use pagepress_benches::contenders::{
    bare_compress, bare_decompress, pack, pool, pool_compress, pool_decompress,
};
use pagepress_benches::ours;
use pagepress_benches::rivals::{self, Rival};
use pagepress_benches::{
    Maker, PAGE, corpus, median, pin, random_pages, ratios, rounds, touch, verdict,
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
        (Codec::Deflate, || ours::level(1)),
    ] {
        compress(codec, bare, &pages);
        decompress(codec, bare, &pages);
        reject(codec, &pages);
    }
}

fn compress(codec: Codec, bare: fn() -> Rival, pages: &[Vec<u8>]) {
    let makers = [
        bare_compress(bare, pages),
        pool_compress(codec, 1, pages),
        pool_compress(codec, 8, pages),
    ];
    let times = rounds(pages.len(), |range| touch(&pages[range]), &makers);
    println!(
        "\n{codec} compress: {} {:.0} ns/page",
        bare().name,
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
}

fn pool_decompress_into<'a>(codec: Codec, stored: &'a [Stored<'a>]) -> Maker<'a> {
    Box::new(move || {
        let pool = pool(codec);
        let mut rooms = vec![vec![0u8; PAGE]; 8];
        Box::new(move |range| {
            for batch in stored[range].chunks(8) {
                pool.decompress_batch_into(batch, &mut rooms, |_, done| {
                    done.expect("our own page");
                });
                black_box(&rooms);
            }
        })
    })
}

fn decompress(codec: Codec, bare: fn() -> Rival, pages: &[Vec<u8>]) {
    let packed = pack(bare, pages);
    let stored: Vec<_> = packed
        .iter()
        .map(|bytes| Stored::compressed(codec, bytes))
        .collect();
    let makers = [
        bare_decompress(bare, &packed),
        pool_decompress(codec, 1, &stored),
        pool_decompress(codec, 8, &stored),
        pool_decompress_into(codec, &stored),
    ];
    let times = rounds(packed.len(), |range| touch(&packed[range]), &makers);
    println!(
        "{codec} decompress: {} {:.0} ns/page",
        bare().name,
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
}

/// What a random page costs, against lz4's mean over the corpus.
fn reject(codec: Codec, pages: &[Vec<u8>]) {
    let random = random_pages(pages.len());
    let makers = [
        pool_compress(Codec::Lz4, 1, pages),
        pool_compress(codec, 1, &random),
    ];
    let warm = |range: std::ops::Range<usize>| {
        touch(&pages[range.clone()]);
        touch(&random[range]);
    };
    let times = rounds(pages.len(), warm, &makers);
    let rejected = pool(codec)
        .compress_batch(&random, |_, _| {})
        .incompressible_pages();
    println!(
        "{codec} random page: {:.0} ns, {rejected} of {} rejected\n  / mean lz4 page           {}",
        median(&times[1]),
        random.len(),
        verdict(&ratios(&times[1], &times[0]), 0.25)
    );
}
