//! Where pages come from.

use core::ops::Range;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Sizes of input besides whole pages; the last one is above 64 KiB.
const ODD: [usize; 14] = [
    1, 2, 3, 4, 31, 255, 257, 1023, 4095, 4097, 5001, 12_345, 40_001, 65_537,
];

/// How much of a corpus to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// Parts from all over it.
    Sample,
    /// Every page, alone and together with its neighbours.
    All,
}

pub(crate) struct Corpus {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

impl Corpus {
    /// The inputs to be made of it.
    pub(crate) fn parts(&self, share: Share) -> Vec<Range<usize>> {
        let len = self.bytes.len();
        let mut parts = Vec::new();
        for (size, sample) in [(4096, 96), (16384, 12), (65536, 4)] {
            let all = len / size;
            let count = match share {
                Share::Sample => sample.min(all),
                Share::All => all,
            };
            let starts = (0..count).map(|i| i * all / count * size);
            parts.extend(starts.map(|start| start..start + size));
        }
        let fitting: Vec<_> = ODD.into_iter().filter(|&size| size <= len).collect();
        let rounds = match share {
            Share::Sample => 1,
            Share::All => (len >> 18).max(1),
        };
        for i in 0..rounds * fitting.len() {
            let size = fitting[i % fitting.len()];
            // Anywhere, as long as the next one is somewhere else.
            let start = i * 1_000_003 % (len - size + 1);
            parts.push(start..start + size);
        }
        parts
    }
}

/// Adds some data, of numbers that it may draw.
type Fill<'a> = &'a mut dyn FnMut(&mut dyn FnMut() -> u64, &mut Vec<u8>);

/// Pages of many kinds, 64 KiB of each.
pub(crate) fn generated() -> Vec<Corpus> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 11
    };
    let mut make = |name: &str, fill: Fill<'_>| {
        let mut bytes = Vec::new();
        while bytes.len() < 66_000 {
            fill(&mut next, &mut bytes);
        }
        Corpus {
            name: name.to_string(),
            bytes,
        }
    };
    let words = [
        "page ", "zero ", "the ", "of ", "queue ", "a ", "\n", "0x", "engine",
    ];
    vec![
        make("zeros", &mut |_, out| out.push(0)),
        make("noise", &mut |next, out| out.push(next() as u8)),
        make("four letters", &mut |next, out| {
            out.push(b"acgt"[next() as usize % 4]);
        }),
        make("text", &mut |next, out| {
            let word = words[next() as usize % words.len()];
            out.extend(word.bytes());
        }),
        make("counters", &mut |_, out| {
            let count = (out.len() / 8) as u64 * 24;
            out.extend((0x7F31_0000_0000 + count).to_le_bytes());
        }),
        make("pointers", &mut |next, out| {
            let pointer = 0x7F31_5000_0000 + (next() % 4096) * 16;
            let value = if next() % 3 == 0 { 0 } else { pointer };
            out.extend(value.to_le_bytes());
        }),
        make("sparse", &mut |next, out| {
            out.extend(vec![0; next() as usize % 300]);
            out.push(next() as u8);
        }),
        make("runs", &mut |next, out| {
            let run = vec![next() as u8; 1 + next() as usize % 600];
            out.extend(run);
        }),
        // Also from beyond the device's reach.
        make("copies", &mut |next, out| {
            let back = 1 + next() as usize % 6000;
            for _ in 0..3 + next() as usize % 300 {
                let byte = match out.len().checked_sub(back) {
                    Some(at) => out[at],
                    None => next() as u8,
                };
                out.push(byte);
            }
            out.push(next() as u8);
        }),
        // Skewed so that codes get long.
        make("skewed", &mut |next, out| {
            out.push((next() | 1 << 52).trailing_zeros() as u8 * 3);
        }),
    ]
}

/// Files that are on any machine: those mapped into this test, and the sources
/// of this repository.
pub(crate) fn machine() -> Vec<Corpus> {
    let mut paths = BTreeSet::new();
    paths.extend(std::env::current_exe());
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mapped = maps.lines().filter_map(|line| line.split_once('/'));
    paths.extend(mapped.map(|(_, path)| PathBuf::from(format!("/{path}"))));
    let mut corpora: Vec<_> = paths.iter().filter_map(|path| file(path)).collect();

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut bytes = Vec::new();
    for part in ["accel", "crates", "fallback", "."] {
        sources_in(&root.join(part), part != ".", &mut bytes);
    }
    corpora.push(Corpus {
        name: "sources".to_string(),
        bytes,
    });
    corpora
}

/// Appends the texts in a directory, in the order of their names.
fn sources_in(directory: &Path, deep: bool, bytes: &mut Vec<u8>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    let paths: BTreeSet<_> = entries.flatten().map(|entry| entry.path()).collect();
    for path in paths {
        if path.is_dir() && deep {
            sources_in(&path, deep, bytes);
        }
        let text = ["rs", "md", "toml", "lock"].map(Some);
        let extension = path.extension().and_then(|extension| extension.to_str());
        if path.is_file() && text.contains(&extension) {
            bytes.extend(fs::read(&path).unwrap_or_default());
        }
    }
}

/// A file that can be read.
fn file(path: &Path) -> Option<Corpus> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    let bytes = path.is_file().then(|| fs::read(path).ok())??;
    Some(Corpus { name, bytes })
}

/// Where page corpora are, and whether somebody said so.
pub(crate) fn page_directory() -> (PathBuf, bool) {
    match std::env::var_os("PAGEPRESS_CORPORA") {
        Some(directory) => (directory.into(), true),
        None => {
            let beside = "../../../shared/corpora";
            (Path::new(env!("CARGO_MANIFEST_DIR")).join(beside), false)
        }
    }
}

/// The `*.pages` files of a directory.
pub(crate) fn page_files(directory: &Path) -> impl Iterator<Item = Corpus> {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let paths: BTreeSet<_> = entries.flatten().map(|entry| entry.path()).collect();
    let pages = paths.into_iter().filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == "pages")
    });
    pages.map(|path| {
        let corpus = file(&path).unwrap_or_else(|| panic!("{} cannot be read", path.display()));
        assert_eq!(corpus.bytes.len() % 4096, 0, "{}", path.display());
        corpus
    })
}
