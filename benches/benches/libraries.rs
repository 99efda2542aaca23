//! The libraries a codec could be built from, all in the same run: how the
//! ones in `fallback/` were chosen.
//!
//! `cargo bench --bench libraries -- CORPUS`

use pagepress_benches::rivals::{self, Rival};
use pagepress_benches::{Contender, PAGE, corpus, median, ns_per_page, pin, ratios, rounds};
use std::cell::RefCell;
use std::hint::black_box;

fn main() {
    pin(1);
    let (name, pages) = corpus();
    let rivals: Vec<RefCell<Rival>> = [
        rivals::liblz4(),
        rivals::lz4_flex(),
        rivals::zstd(-1),
        rivals::zstd(1),
        rivals::zstd(3),
        rivals::zlib_rs(1),
        rivals::zlib_rs(2),
        rivals::zlib_rs(6),
        rivals::libdeflate(1),
        rivals::libdeflate(6),
        rivals::miniz_oxide(1),
    ]
    .map(RefCell::new)
    .into();
    println!(
        "{name}: {} pages; medians, and ratios to liblz4 round by round\n",
        pages.len()
    );
    println!("library        compress ns   / liblz4  decompress ns   / liblz4   ratio");

    let mut dst = vec![0; 2 * PAGE];
    let packed: Vec<Vec<Vec<u8>>> = rivals
        .iter()
        .map(|rival| {
            let compress = &mut rival.borrow_mut().compress;
            pages
                .iter()
                .filter_map(|page| compress(page, &mut dst).map(|len| dst[..len].to_vec()))
                .collect()
        })
        .collect();
    let compress = rounds(&mut each(&rivals, |rival| {
        let mut dst = vec![0; 2 * PAGE];
        let pages = &pages;
        Box::new(move || {
            let mut rival = rival.borrow_mut();
            ns_per_page(pages.len(), || {
                for page in pages {
                    black_box((rival.compress)(page, &mut dst));
                }
            })
        })
    }));
    let mut left = packed.iter();
    let decompress = rounds(&mut each(&rivals, |rival| {
        let packed = left.next().expect("one list per rival");
        let mut page = vec![0; PAGE];
        Box::new(move || {
            let mut rival = rival.borrow_mut();
            ns_per_page(packed.len().max(1), || {
                for bytes in packed {
                    assert!((rival.decompress)(bytes, &mut page));
                }
            })
        })
    }));
    for (i, rival) in rivals.iter().enumerate() {
        let raw = pages.len() - packed[i].len();
        let stored = packed[i].iter().map(Vec::len).sum::<usize>() + raw * PAGE;
        println!(
            "{:<14} {:>11.0} {:>10.3} {:>14.0} {:>10.3} {:>7.3}",
            rival.borrow().name,
            median(&compress[i]),
            median(&ratios(&compress[i], &compress[0])),
            median(&decompress[i]),
            median(&ratios(&decompress[i], &decompress[0])),
            (pages.len() * PAGE) as f64 / stored as f64,
        );
    }
    decoders(&rivals, &packed);
}

fn each<'a>(
    rivals: &'a [RefCell<Rival>],
    make: impl FnMut(&'a RefCell<Rival>) -> Contender<'a>,
) -> Vec<Contender<'a>> {
    rivals.iter().map(make).collect()
}

/// The deflate decoders on each other's streams.
fn decoders(rivals: &[RefCell<Rival>], packed: &[Vec<Vec<u8>>]) {
    let named = |name: &str| {
        rivals
            .iter()
            .position(|rival| rival.borrow().name == name)
            .expect("a rival by that name")
    };
    println!("\ndeflate decoders, ns per page");
    println!("stream of            libdeflate     zlib-rs  miniz_oxide");
    for stream in ["zlib-rs 1", "zlib-rs 6", "libdeflate 6"] {
        let streams = &packed[named(stream)];
        let mut contenders: Vec<Contender<'_>> = ["libdeflate 1", "zlib-rs 1", "miniz_oxide 1"]
            .map(|decoder| {
                let rival = &rivals[named(decoder)];
                let mut page = vec![0; PAGE];
                Box::new(move || {
                    let mut rival = rival.borrow_mut();
                    ns_per_page(streams.len(), || {
                        for bytes in streams {
                            assert!((rival.decompress)(bytes, &mut page));
                        }
                    })
                }) as Contender<'_>
            })
            .into();
        let times = rounds(&mut contenders);
        println!(
            "{stream:<18} {:>12.0} {:>11.0} {:>12.0}",
            median(&times[0]),
            median(&times[1]),
            median(&times[2])
        );
    }
}
