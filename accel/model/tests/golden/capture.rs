//! The files of the captures.

use pagepress_abi::Descriptor;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// All cases of one generation, in an order in which they can be replayed.
#[derive(Debug)]
pub(crate) struct Capture {
    pub(crate) cases: Vec<Case>,
    /// How many descriptors the captures' list has.
    pub(crate) listed: usize,
}

/// One job, or QPL's start.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) descriptors: Vec<Recorded>,
    pub(crate) expected: Option<Expected>,
}

/// One descriptor, with what it read and what was written for it.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) descriptor: Descriptor,
    pub(crate) source: Vec<u8>,
    /// The half that is read.
    pub(crate) aecs_in: Option<Vec<u8>>,
    /// The half that is written: all of it, also where it was left alone.
    pub(crate) aecs_out: Option<Vec<u8>>,
    /// What that device made of it.
    pub(crate) output: Vec<u8>,
}

/// What QPL told its caller.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) status: String,
    pub(crate) input: Option<usize>,
    pub(crate) output: Option<usize>,
    pub(crate) crc: Option<u32>,
    pub(crate) xor: Option<u16>,
    pub(crate) last_bit_offset: Option<u8>,
    pub(crate) crc64: Option<u64>,
    pub(crate) matches: bool,
}

impl Capture {
    /// The captures in this folder. `None`, and a word about it, if there are
    /// none at all; captures that are there must be complete.
    pub(crate) fn open(folder: &str) -> Option<Self> {
        let root = env::var_os("PAGEPRESS_GOLDEN").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden"),
            PathBuf::from,
        );
        let dir = root.join(folder);
        if !dir.is_dir() {
            println!(
                "{folder}: SKIPPED, nothing was replayed: no captures of QPL in {} \
                 (set PAGEPRESS_GOLDEN to where they are)",
                root.display()
            );
            return None;
        }
        let text = |name: &str| {
            fs::read_to_string(dir.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        let mut cases = vec![Case::read(&dir, "init", None)];
        for line in text("INDEX.txt").lines() {
            let (name, expected) = Expected::parse(line);
            cases.push(Case::read(&dir, name, Some(expected)));
        }
        // Canned jobs need the table that this one makes.
        cases.sort_by_key(|case| case.name != "gather_stats");
        let listed = text("descriptors.txt").lines().count();
        Some(Self { cases, listed })
    }

    /// The page that a case compresses, or gets back.
    pub(crate) fn page(&self, case: &str) -> &[u8] {
        let kind = case.split('.').next().expect("a name");
        let prefix = format!("{kind}.fixed.noverify");
        let of_kind = |case: &&Case| case.name.starts_with(&prefix);
        let case = self
            .cases
            .iter()
            .find(of_kind)
            .expect("a case of each page");
        &case.descriptors[0].source
    }

    pub(crate) fn case(&self, name: &str) -> &Case {
        let found = self.cases.iter().find(|case| case.name == name);
        found.unwrap_or_else(|| panic!("no case {name}"))
    }
}

impl Case {
    fn read(dir: &Path, name: &str, expected: Option<Expected>) -> Self {
        let descriptors: Vec<_> = (0..)
            .map_while(|number| Recorded::read(dir, &format!("{name}.{number:03}")))
            .collect();
        assert!(!descriptors.is_empty(), "{name}: no descriptors");
        Self {
            name: name.to_owned(),
            descriptors,
            expected,
        }
    }
}

impl Recorded {
    fn read(dir: &Path, name: &str) -> Option<Self> {
        let file = |kind: &str| fs::read(dir.join(format!("{name}.{kind}"))).ok();
        let bytes = file("desc")?;
        let bytes = bytes.as_slice().try_into().expect("64 bytes");
        let descriptor = Descriptor::from_bytes(bytes);
        let source = file("src1").unwrap_or_default();
        assert_eq!(source.len(), descriptor.src1_len as usize, "{name}");
        Some(Self {
            descriptor,
            source,
            aecs_in: file("aecs_in"),
            aecs_out: file("aecs_out"),
            output: file("dst").unwrap_or_default(),
        })
    }
}

impl Expected {
    fn parse(line: &str) -> (&str, Self) {
        let (name, rest) = line.split_once(' ').expect("a name first");
        let name = name.strip_suffix('.').unwrap_or(name);
        let rest = rest.trim().strip_prefix("qpl_status=").expect("a status");
        // The status may have a remark with spaces in it.
        let end = rest.find(')').map_or_else(
            || rest.find(' ').unwrap_or(rest.len()),
            |parenthesis| parenthesis + 1,
        );
        let (status, fields) = rest.split_at(end);
        let mut expected = Self {
            status: status.to_owned(),
            ..Self::default()
        };
        for field in fields.split_whitespace() {
            let (key, value) = field.split_once('=').unwrap_or((field, ""));
            let hex = || u64::from_str_radix(value, 16).expect("a hexadecimal number");
            let decimal = || value.parse::<usize>().expect("a number");
            match key {
                "in" => expected.input = Some(decimal()),
                "out" => expected.output = Some(decimal()),
                "crc" => expected.crc = Some(hex() as u32),
                "xor" => expected.xor = Some(hex() as u16),
                "last_bit_offset" => expected.last_bit_offset = Some(decimal() as u8),
                "crc64" => expected.crc64 = Some(hex()),
                "match" => expected.matches = true,
                _ => panic!("{name}: what is {field}?"),
            }
        }
        (name, expected)
    }
}
