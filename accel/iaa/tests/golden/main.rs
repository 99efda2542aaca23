//! The library's descriptors beside those that Intel's QPL submitted: every
//! field but addresses and the sizes of buffers.
//!
//! The captures are not part of the project. They are looked for where
//! `PAGEPRESS_GOLDEN` says, or next to the repository; without them there is
//! nothing to compare, and the tests say so.
//!
//! Decompress and verification are not QPL's in everything: its one-shot
//! Decompress has an AECS written when the output overflows, to go on from
//! there, of which a page has no use. Such differences are asserted too, and
//! what there is instead is held against Linux' `iaa_crypto`.

use pagepress_abi::aecs::{compress as aecs, decompress as reader};
use pagepress_abi::flags::{decompress, op};
use pagepress_abi::{Descriptor, GenCap, Opcode};
use pagepress_iaa::recipe::Base;
use pagepress_iaa::tables::fixed_aecs;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The folder of one generation's captures.
struct Captures {
    name: &'static str,
    dir: PathBuf,
    compared: usize,
    differences: usize,
}

impl Captures {
    /// `None`, and a word about it, if there are none at all.
    fn open(name: &'static str) -> Option<Self> {
        let root = env::var_os("PAGEPRESS_GOLDEN").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden"),
            PathBuf::from,
        );
        let dir = root.join(name);
        if !dir.is_dir() {
            println!(
                "{name}: SKIPPED, nothing was compared: no captures of QPL in {} \
                 (set PAGEPRESS_GOLDEN to where they are)",
                root.display()
            );
            return None;
        }
        Some(Self {
            name,
            dir,
            compared: 0,
            differences: 0,
        })
    }

    fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.dir.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn descriptor(&self, case: &str) -> Descriptor {
        let bytes = self.file(&format!("{case}.desc"));
        Descriptor::from_bytes(bytes.as_slice().try_into().expect("64 bytes"))
    }

    /// Holds a recipe against a case. `but` makes of what QPL submitted what is
    /// expected here, where that is another thing by intent.
    fn compare(&mut self, case: &str, ours: Descriptor, but: Option<But<'_>>) {
        let recorded = self.descriptor(case);
        let mut expected = recorded;
        let mut remark = String::new();
        if let Some((why, change)) = but {
            change(&mut expected);
            assert_ne!(
                fields(&recorded),
                fields(&expected),
                "{case}: no difference after all"
            );
            remark = format!(", but for what is meant to differ: {why}");
        }
        let differences = differences(&ours, &expected);
        self.tell(case, &format!("descriptor{remark}"), &differences);
    }

    fn tell(&mut self, case: &str, what: &str, differences: &[String]) {
        let verdict = if differences.is_empty() {
            "equal"
        } else {
            "DIFFERENT"
        };
        println!("{} {case}: {what}: {verdict}", self.name);
        for difference in differences {
            println!("    {difference}");
        }
        self.compared += 1;
        self.differences += differences.len();
    }

    fn end(self) {
        println!(
            "{}: {} compared, {} differences",
            self.name, self.compared, self.differences
        );
        assert_eq!(self.differences, 0, "see above");
    }
}

/// Why a descriptor is not QPL's, and what that makes of QPL's.
type But<'a> = (&'a str, &'a dyn Fn(&mut Descriptor));

/// All but addresses and the sizes of buffers. The size of an AECS is none of
/// those: it says which parts of it are read.
fn fields(d: &Descriptor) -> [(&'static str, u64); 9] {
    [
        ("PASID and privilege", d.trusted.into()),
        ("opcode", d.opcode().0.into()),
        ("operation flags", d.op_flags().into()),
        ("interrupt handle", d.interrupt_handle.into()),
        ("flags", d.flags.into()),
        ("AECS size", d.src2_len.into()),
        ("flags 2", d.flags2.into()),
        ("elements", d.elements.into()),
        // That of a histogram is given.
        (
            "statistics size",
            if is_statistics(d) {
                d.dst_max.into()
            } else {
                0
            },
        ),
    ]
}

fn is_statistics(d: &Descriptor) -> bool {
    d.opcode() == Opcode::COMPRESS && d.flags & 1 != 0
}

fn differences(ours: &Descriptor, recorded: &Descriptor) -> Vec<String> {
    let pairs = fields(ours).into_iter().zip(fields(recorded));
    pairs
        .filter(|(ours, recorded)| ours != recorded)
        .map(|((name, ours), (_, theirs))| format!("{name}: {ours:#x}, recorded {theirs:#x}"))
        .collect()
}

/// As the captures' queue was: it lets descriptors wait for pages.
fn base() -> Base {
    Base::new(GenCap::SAPPHIRE_RAPIDS, true)
}

/// What one page takes on either generation.
fn compare_common(captures: &mut Captures, reader_bytes: usize) {
    let base = base();
    captures.compare("init.000", base.noop(), None);
    for case in [
        "text.fixed.noverify.000",
        "bin.fixed.noverify.000",
        "zero.fixed.noverify.000",
        "rand.fixed.noverify.dst4096.000",
        "text.fixed.async.noverify.000",
        "text.static.noverify.000",
        "text.canned.noverify.000",
        "text.canned.async.noverify.000",
    ] {
        captures.compare(case, base.compress(), None);
    }
    let fixed = captures.file("text.fixed.noverify.000.aecs_in");
    let different = fixed_aecs()
        .iter()
        .zip(&fixed)
        .enumerate()
        .filter(|(_, (ours, theirs))| ours != theirs)
        .map(|(at, (ours, theirs))| format!("byte {at:#x}: {ours:#04x}, recorded {theirs:#04x}"))
        .collect::<Vec<_>>();
    assert_eq!(fixed.len(), aecs::BYTES);
    captures.tell("text.fixed.noverify.000", "AECS, 1568 bytes", &different);

    // The size of the header that QPL loads, of which the last bits are none.
    let load = captures.descriptor("gather_stats.001");
    let unused = load.flags >> decompress::IGNORE_END_BITS_SHIFT & 7;
    let bits = 8 * load.src1_len as usize - usize::from(unused);
    // Format 1 is shorter, and QPL takes the longer one for both.
    let why = "an AECS of 1088 bytes, as format 1 has";
    let shorter = |d: &mut Descriptor| d.src2_len = reader::BYTES_NO_HISTORY_1 as u32;
    let but: Option<But<'_>> = match reader_bytes {
        reader::BYTES_NO_HISTORY_1 => Some((why, &shorter)),
        _ => None,
    };
    let load = base.load_tables(bits, reader_bytes);
    captures.compare("gather_stats.001", load, but);
    for case in ["text.canned.dec.000", "text.canned.async.dec.000"] {
        captures.compare(case, base.decompress_canned(reader_bytes), but);
    }

    let no_aecs = |d: &mut Descriptor| {
        assert_eq!(d.src2_len as usize, reader::BYTES);
        assert_eq!(d.op_flags() & op::WRITE_SRC2, op::WRITE_SRC2_OVERFLOW);
        d.opcode_flags &= !op::WRITE_SRC2;
        d.src2_len = 0;
    };
    let why = "no AECS of 5376 bytes, written on overflow";
    for case in [
        "text.fixed.dec.000",
        "bin.dyn.dec.000",
        "rand.stored.dec.000",
        "text.dyn.async.dec.000",
        "text.static.dec.000",
    ] {
        captures.compare(case, base.decompress(), Some((why, &no_aecs)));
    }
    let verify = Base::verifying(base.decompress());
    let check = |d: &mut Descriptor| d.flags |= decompress::CHECK_EOB;
    let why = "the last token must end the block";
    for case in ["text.fixed.verify.001", "text.static.verify.001"] {
        captures.compare(case, verify, Some((why, &check)));
        assert_eq!(verify.dst_max, captures.descriptor(case).dst_max);
    }
}

#[test]
fn generation_1() {
    let Some(mut captures) = Captures::open("gen1") else {
        return;
    };
    compare_common(&mut captures, reader::BYTES_NO_HISTORY_1);
    for page in ["text", "bin", "zero"] {
        let case = |number| format!("{page}.dyn.noverify.{number}");
        captures.compare(&case("000"), base().statistics(), None);
        captures.compare(&case("001"), base().compress(), None);
    }
    captures.compare("gather_stats.000", base().statistics(), None);
    let verify = Base::verifying(base().decompress());
    // QPL's older path asks for the end of the block as well.
    captures.compare("text.dyn.async.verify.002", verify, None);
    captures.end();
}

#[test]
fn generation_2() {
    let Some(mut captures) = Captures::open("gen2") else {
        return;
    };
    compare_common(&mut captures, reader::BYTES_NO_HISTORY_2);
    for page in ["text", "bin", "zero"] {
        let case = format!("{page}.dyn.noverify.000");
        captures.compare(&case, base().compress_with_header(), None);
    }
    captures.end();
}

/// The values that Linux' `iaa_crypto` and QPL's sources give, without any
/// capture.
#[test]
fn decompress_and_verification() {
    let ours = Base::new(GenCap::SAPPHIRE_RAPIDS, false).decompress();
    println!("one-shot Decompress: {ours:?}");
    assert_eq!(ours.opcode_flags, 0x4200_010C);
    assert_eq!(base().decompress().opcode_flags, 0x4200_010E);
    // The kernel's flags, and QPL's for streams of more than one block.
    assert_eq!(ours.flags, 0x000F | 0x0010);
    assert_eq!((ours.src2_len, ours.flags2, ours.elements), (0, 0, 0));
    let verify = Base::verifying(ours);
    println!("verification: {verify:?}");
    assert_eq!(verify.opcode_flags, ours.opcode_flags);
    // The kernel's 0x020F with SELECT_BFINAL; QPL's 0x0215 with CHECK and FLUSH.
    assert_eq!(verify.flags, 0x020F | 0x0010);
    assert_eq!(verify.flags, 0x0215 | 0x0008 | 0x0002);
    assert_eq!(verify.dst_max, 1);
}
