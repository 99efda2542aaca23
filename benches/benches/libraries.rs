//! The libraries a codec could be built from, all in the same run: how the
//! ones in `fallback/` were chosen.
//!
//! `cargo bench --bench libraries -- CORPUS`

use pagepress_benches::contenders::{bare_compress, bare_decompress, pack};
use pagepress_benches::rivals::{self, Rival};
use pagepress_benches::{PAGE, corpus, median, pin, ratios, rounds, touch};

const RIVALS: [fn() -> Rival; 11] = [
    rivals::liblz4,
    rivals::lz4_flex,
    || rivals::zstd(-1),
    || rivals::zstd(1),
    || rivals::zstd(3),
    || rivals::zlib_rs(1),
    || rivals::zlib_rs(2),
    || rivals::zlib_rs(6),
    || rivals::libdeflate(1),
    || rivals::libdeflate(6),
    || rivals::miniz_oxide(1),
];

fn main() {
    pin(1);
    let (name, pages) = corpus();
    println!(
        "{name}: {} pages; medians, and ratios to liblz4 round by round\n",
        pages.len()
    );
    println!("library        compress ns   / liblz4  decompress ns   / liblz4   ratio");

    let packed: Vec<_> = RIVALS.iter().map(|make| pack(*make, &pages)).collect();
    let compressors: Vec<_> = RIVALS
        .iter()
        .map(|&make| bare_compress(make, &pages))
        .collect();
    let compress = rounds(pages.len(), |range| touch(&pages[range]), &compressors);
    let decoders: Vec<_> = RIVALS
        .iter()
        .zip(&packed)
        .map(|(&make, packed)| bare_decompress(make, packed))
        .collect();
    let fewest = packed.iter().map(Vec::len).min().unwrap_or(0);
    let decompress = rounds(fewest, |_| {}, &decoders);
    for (i, make) in RIVALS.iter().enumerate() {
        let raw = pages.len() - packed[i].len();
        let stored = packed[i].iter().map(Vec::len).sum::<usize>() + raw * PAGE;
        println!(
            "{:<14} {:>11.0} {:>10.3} {:>14.0} {:>10.3} {:>7.3}",
            make().name,
            median(&compress[i]),
            median(&ratios(&compress[i], &compress[0])),
            median(&decompress[i]),
            median(&ratios(&decompress[i], &decompress[0])),
            (pages.len() * PAGE) as f64 / stored as f64,
        );
    }

    println!("\ndeflate decoders, ns per page");
    println!("stream of            libdeflate     zlib-rs  miniz_oxide");
    let writers: [fn() -> Rival; 3] = [
        || rivals::zlib_rs(1),
        || rivals::zlib_rs(6),
        || rivals::libdeflate(6),
    ];
    let readers: [fn() -> Rival; 3] = [
        || rivals::libdeflate(1),
        || rivals::zlib_rs(1),
        || rivals::miniz_oxide(1),
    ];
    for writer in writers {
        let packed = pack(writer, &pages);
        let readers = readers.map(|reader| bare_decompress(reader, &packed));
        let times = rounds(packed.len(), |range| touch(&packed[range]), &readers);
        let [a, b, c] = [0, 1, 2].map(|i: usize| median(&times[i]));
        println!("{:<18} {a:>12.0} {b:>11.0} {c:>12.0}", writer().name);
    }
}
