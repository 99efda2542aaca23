//! The pool's lz4 against liblz4, both ways.
//!
//! `cargo bench --bench lz4_peer -- CORPUS`
//!
//! Apart from `overhead`, because that program holds the encoder twice, once
//! bare and once in the pool, and where the linker puts the two is worth two
//! percent. Here, as in a user's program, it is there once.

use pagepress::{Codec, Stored};
use pagepress_benches::contenders::{
    bare_compress, bare_decompress, pack, pool_compress, pool_decompress,
};
use pagepress_benches::rivals::liblz4;
use pagepress_benches::{Maker, corpus, median, pin, ratios, rounds, touch, verdict};

fn main() {
    pin(1);
    let (name, pages) = corpus();
    println!(
        "{name}: {} pages; medians of paired rounds (quartiles)",
        pages.len()
    );

    let makers = [1, 8].map(|batch| pool_compress(Codec::Lz4, batch, &pages));
    compare(
        "compress",
        1.00,
        &pages,
        makers,
        bare_compress(liblz4, &pages),
    );

    // Blocks of liblz4's making: either reads the other's.
    let packed = pack(liblz4, &pages);
    let stored: Vec<_> = packed
        .iter()
        .map(|bytes| Stored::compressed(Codec::Lz4, bytes))
        .collect();
    let makers = [1, 8].map(|batch| pool_decompress(Codec::Lz4, batch, &stored));
    compare(
        "decompress",
        1.05,
        &packed,
        makers,
        bare_decompress(liblz4, &packed),
    );
}

fn compare<'a>(
    way: &str,
    bar: f64,
    data: &[Vec<u8>],
    [one, eight]: [Maker<'a>; 2],
    peer: Maker<'a>,
) {
    let times = rounds(data.len(), |range| touch(&data[range]), &[one, eight, peer]);
    println!("{way}: liblz4 {:.0} ns/page", median(&times[2]));
    println!(
        "  batch 1 / liblz4    {}",
        verdict(&ratios(&times[0], &times[2]), bar)
    );
    println!(
        "  batch 8 / liblz4    {}",
        verdict(&ratios(&times[1], &times[2]), bar)
    );
}
