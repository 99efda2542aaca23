//! Writes the first inputs of every target: `seed DIRECTORY`.
//!
//! For the decoders, pages compressed by the pool itself, at several levels, and
//! some that are not quite pages; for the round trip, recipes with steps of
//! every kind.

use pagepress::{Backend, Codec, Pool, StoredBuf, UnitSize};
use pagepress_fuzz::pages;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Longer inputs would only slow the fuzzer down; `scripts/fuzz` lets it make
/// none that are longer.
const LONGEST: usize = 16384;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = env::args_os().nth(1).ok_or("usage: seed DIRECTORY")?;
    let directory = PathBuf::from(directory);
    for codec in Codec::ALL {
        compressed(&directory.join(format!("decompress_{codec}")), codec)?;
    }
    recipes(&directory.join("round_trip"))
}

fn compressed(directory: &Path, codec: Codec) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(directory)?;
    let levels: &[i32] = match codec {
        Codec::Zstd => &[-7, 1, 6, 19],
        Codec::Deflate => &[1, 6, 9],
        _ => &[1],
    };
    for unit in [UnitSize::DEFAULT, UnitSize::MAX] {
        for &level in levels {
            let pool = Pool::builder()
                .backend(Backend::Software)
                .codec(codec)
                .unit_size(unit)
                .level(level)
                .build()?;
            for kind in 0..pages::KINDS {
                let page = pages::sample(kind, unit.bytes());
                if let StoredBuf::Compressed { bytes, .. } = pool.compress(&page)?
                    && bytes.len() <= LONGEST
                {
                    let name = format!("seed-{}-level{level}-kind{kind}", unit.bytes());
                    fs::write(directory.join(name), bytes)?;
                }
            }
        }
    }
    odd_ones(directory, codec)
}

/// Inputs that mutation seldom hits upon: sound streams that are not one page.
fn odd_ones(directory: &Path, codec: Codec) -> Result<(), Box<dyn Error>> {
    let pool = Pool::builder()
        .backend(Backend::Software)
        .codec(codec)
        .build()?;
    let page = pages::sample(0, UnitSize::DEFAULT.bytes());
    let StoredBuf::Compressed { bytes, .. } = pool.compress(&page)? else {
        return Err("text is incompressible".into());
    };
    let write = |name: &str, parts: &[&[u8]]| fs::write(directory.join(name), parts.concat());
    write("odd-nothing", &[])?;
    write("odd-cut-short", &[&bytes[..bytes.len() - 1]])?;
    write("odd-stray-byte", &[&bytes, &[0]])?;
    write("odd-twice", &[&bytes, &bytes])?;
    match codec {
        // Literals, then a match at offset 0, which the format does not allow.
        Codec::Lz4 => write(
            "odd-offset-0",
            &[&[0x1F, b'a', 0, 0], &[0xFF; 15], &[0xEF, 0xC0], &[b'z'; 12]],
        )?,
        // A page, then a frame without content.
        Codec::Zstd => write("odd-empty-frame", &[&bytes, &[0, 0, 1, 0, 0]])?,
        // The page in a stored block, then a final empty one.
        _ => {
            let stored = [
                &[0, 0x00, 0x10, 0xFF, 0xEF],
                &page[..],
                &[1, 0, 0, 0xFF, 0xFF],
            ];
            write("odd-stored", &stored)?;
        }
    }
    Ok(())
}

fn recipes(directory: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(directory)?;
    for seed in 0..48u8 {
        let mut noise = pages::Noise::new(u64::from(seed));
        let mut recipe = vec![0; 5 + usize::from(seed) * 4];
        noise.fill(&mut recipe);
        recipe[0] = seed % 3;
        recipe[1] = seed / 3;
        fs::write(directory.join(format!("seed-{seed}")), recipe)?;
    }
    Ok(())
}
