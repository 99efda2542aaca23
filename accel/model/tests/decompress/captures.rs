//! What a real client submitted.

use crate::{GEN1, GEN2};
use pagepress_abi::Status;
use pagepress_abi::aecs::decompress as at;
use pagepress_abi::flags::{decompress as flag, op};
use pagepress_model::decompress::Decompressor;
use pagepress_model::op::{Generation, Job, Product};

/// A descriptor of the captures, with what was read.
struct Capture {
    name: String,
    words: [u32; 16],
    dir: std::path::PathBuf,
}

impl Capture {
    fn file(&self, kind: &str) -> Option<Vec<u8>> {
        std::fs::read(self.dir.join(format!("{}.{kind}", self.name))).ok()
    }

    /// The descriptor as a job; its AECS may come from elsewhere.
    fn job<'a>(&self, generation: Generation, src1: &'a [u8], aecs: Option<&'a [u8]>) -> Job<'a> {
        Job {
            generation,
            op_flags: self.words[1] & 0xFF_FFFF,
            flags: (self.words[9] >> 16) as u16,
            flags2: 0,
            src1,
            aecs,
            src2_len: self.words[13] as usize,
            dst_max: self.words[12] as usize,
        }
    }
}

/// The captures of Decompress and CRC64 in one directory, in order.
fn captures(dir: &std::path::Path, opcode: u32) -> Vec<Capture> {
    let files = std::fs::read_dir(dir).unwrap();
    let names = files.map(|f| f.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".desc")).collect();
    names.sort();
    let capture = |file: String| {
        let bytes = std::fs::read(dir.join(&file)).unwrap();
        let word = |i| u32::from_le_bytes(bytes[4 * i..][..4].try_into().unwrap());
        Capture {
            name: file.trim_end_matches(".desc").to_owned(),
            words: std::array::from_fn(word),
            dir: dir.to_owned(),
        }
    };
    let all = names.into_iter().map(capture);
    all.filter(|capture| capture.words[1] >> 24 == opcode)
        .collect()
}

/// Where captures of QPL are kept, if they are.
fn golden() -> Option<std::path::PathBuf> {
    let dir = std::env::var_os("PAGEPRESS_GOLDEN").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden"),
        std::path::PathBuf::from,
    );
    let found = dir.join("gen1").is_dir();
    if !found {
        println!("skipped: no captures of QPL here (PAGEPRESS_GOLDEN)");
    }
    found.then_some(dir)
}

/// What QPL submitted is answered as it was when QPL accepted it. An AECS that
/// a device wrote earlier in the capture is replaced by ours.
#[test]
fn captures_of_qpl() {
    let Some(dir) = golden() else {
        return;
    };
    for (sub, generation) in [("gen1", GEN1), ("gen2", GEN2)] {
        let mut engine = Decompressor::new();
        let mut product = Product::default();
        let (mut table, mut chain) = (Vec::new(), Vec::new());
        let mut done = 0;
        let mut cases = captures(&dir.join(sub), 0x42);
        // The table of canned jobs comes first.
        cases.sort_by_key(|capture| !capture.name.starts_with("gather_stats"));
        for capture in cases {
            let name = &capture.name;
            let src1 = capture.file("src1").unwrap_or_default();
            let job = capture.job(generation, &src1, None);
            let reads = job.op_flags & op::READ_SRC2 != 0;
            let canned = name.contains("canned");
            let mut aecs: Vec<u8> = if canned { &table } else { &chain }.clone();
            if canned {
                aecs[at::STATE..at::STATE + 4].fill(0);
            }
            // The capture's device may have consumed another byte of source 1
            // before it overflowed: its share is checked by the sizes.
            let end = engine.run(
                &Job {
                    aecs: reads.then_some(&aecs),
                    ..job
                },
                &mut product,
            );
            let record = capture.file("comp").unwrap();
            let word = |at: usize| u32::from_le_bytes(record[at..at + 4].try_into().unwrap());
            let name = format!("{sub} {name}");
            assert_eq!(
                (end.status.0, end.error.0),
                (record[0], record[1]),
                "{name}"
            );
            assert_eq!(product.output.len() as u32, word(24), "{name}");
            assert_eq!(end.output_bits, record[28], "{name}");
            // In the middle of a chain of jobs the sum is the device's choice.
            if job.flags & flag::FLUSH != 0 {
                assert_eq!(end.crc, word(32), "{name}");
            }
            // The capture's device starts a new word with each job.
            if !name.contains("cap4095.001") {
                let xor = u32::from(end.xor);
                assert_eq!(xor, word(28) >> 16, "{name}");
            }
            if end.status == Status::OUTPUT_OVERFLOW {
                assert_eq!(end.bytes_completed, word(4), "{name}");
            }
            if !product.output.is_empty() {
                assert_eq!(
                    Some(&product.output),
                    capture.file("dst").as_ref(),
                    "{name}"
                );
            }
            chain.clone_from(&product.aecs);
            if let Some(theirs) = capture.file("aecs_out") {
                assert_eq!(product.aecs.len(), theirs.len(), "{name}");
                assert_eq!(product.aecs[at::STATE], theirs[at::STATE], "{name}");
                let number = u8::from(generation == GEN2);
                let format = [at::OUTPUT_BITS, at::FORMAT].map(|at| product.aecs[at]);
                assert_eq!(format, [number; 2], "{name}");
                let history = at::HISTORY_POINTER..at::BYTES;
                assert_eq!(
                    product.aecs.get(history.clone()),
                    theirs.get(history),
                    "{name}"
                );
            }
            if capture.name.starts_with("gather_stats") {
                table.clone_from(&product.aecs);
            }
            done += 1;
        }
        println!("{sub}: {done} descriptors");
        assert!(done > 20);
        for capture in captures(&dir.join(sub), 0x44) {
            let src1 = capture.file("src1").unwrap();
            let polynomial = u64::from(capture.words[14]) | u64::from(capture.words[15]) << 32;
            let crc = pagepress_model::crc64::crc64(polynomial, 0, &src1);
            assert_eq!(crc.to_le_bytes(), capture.file("comp").unwrap()[40..48]);
        }
    }
}
