//! What a real client submitted, replayed on the model: whole jobs of Intel's
//! QPL, descriptor by descriptor, through a queue's portal and through its
//! `write(2)`.
//!
//! The captures are not part of the project. They are looked for where
//! `PAGEPRESS_GOLDEN` says, or next to the repository; without them there is
//! nothing to replay, and the tests say so.
//!
//! Of a capture, what QPL made counts: descriptors, what it wrote into an
//! AECS, and what it told its caller. What a device made there came from
//! another model, so a job here goes on with what this model made:
//!
//! - Only addresses change in a descriptor; and, where a job's output has
//!   another size than there, what QPL computes from that: the length of what
//!   is verified, and the room that is left.
//! - An AECS stays in its memory from descriptor to descriptor. What QPL
//!   changed between two of them is changed here too: the bytes in which what
//!   it submitted differs from what its device had written.
//! - Codes that QPL made from statistics are taken as they are if they have a
//!   code for all that our statistics count. If not, codes and header are made
//!   from ours, as a client makes them.
//!
//! | module | what |
//! |---|---|
//! | `capture` | the files |
//! | `client` | memory and submission |
//! | `compress`, `decompress` | the jobs |
//! | `tables` | what a client does to a Compress AECS |
//! | `walk` | a slow reader of streams |
//! | `inflate` | independent readers, and checksums |

mod capture;
mod client;
mod compress;
mod decompress;
mod inflate;
mod tables;
mod walk;

use capture::{Capture, Case, Expected};
use client::{Entry, Job, Layout};
use pagepress_abi::{IaaCap, Opcode, Status};
use pagepress_model::profile::Profile;

/// What a job is replayed on.
struct Setup<'a> {
    capture: &'a Capture,
    profile: Profile,
    /// The table AECS that `gather_stats` made, once it has.
    table: Vec<u8>,
}

/// How a job ended: what QPL would tell its caller, and more.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// As the captures put it.
    status: String,
    input: usize,
    output: Vec<u8>,
    /// Whether `output` must have the size that was recorded.
    exact: bool,
    crc: u32,
    xor: u16,
    /// What a device computes for `xor` that starts a word with every
    /// descriptor, if that is open.
    xor_by_descriptor: Option<u16>,
    crc64: Option<u64>,
    last_bit_offset: Option<u8>,
    matches: bool,
    /// A table AECS, from `gather_stats`.
    table: Vec<u8>,
    notes: Vec<&'static str>,
    descriptors: usize,
    findings: Vec<String>,
}

#[test]
fn generation_1() {
    replay_all("gen1", Profile::GEN1);
}

/// Format 2 of the AECS, arrays by force, partial AECS, dictionary, header
/// generation.
#[test]
fn generation_2() {
    replay_all("gen2", Profile::gen2(IaaCap(0x199)));
}

fn replay_all(folder: &str, profile: Profile) {
    let Some(capture) = Capture::open(folder) else {
        return;
    };
    let mut setup = Setup {
        capture: &capture,
        profile,
        table: Vec::new(),
    };
    let (mut cases, mut descriptors, mut verified, mut mismatches) = (0, 0, 0, 0);
    for case in &capture.cases {
        let outcome = replay(&setup, Entry::Enqcmd, case);
        let mut findings = outcome.findings.clone();
        if replay(&setup, Entry::Write, case) != outcome {
            findings.push("another outcome through write(2)".to_owned());
        }
        if is_compression(case) {
            let again = [Entry::Enqcmd, Entry::Write]
                .map(|entry| decompress::verify_recorded(&setup, entry, case));
            for again in again.into_iter().flatten() {
                verified += again.descriptors;
                findings.extend(again.findings);
            }
        }
        let recorded = case.expected.as_ref().map_or(String::new(), |expected| {
            compare(&setup, case, expected, &outcome, &mut findings);
            let size = |out| format!(", out {} (recorded {out})", outcome.output.len());
            expected.output.map_or(String::new(), size)
        });
        let plural = if outcome.descriptors == 1 { "" } else { "s" };
        println!(
            "{folder} {}: {} descriptor{plural}{recorded}{}",
            case.name,
            outcome.descriptors,
            outcome.notes.concat()
        );
        for finding in &findings {
            println!("    MISMATCH (hexadecimal): {finding}");
        }
        if !outcome.table.is_empty() {
            setup.table = outcome.table;
        }
        cases += 1;
        descriptors += outcome.descriptors;
        mismatches += findings.len();
    }
    println!(
        "{folder}: {cases} cases, {descriptors} descriptors, each by ENQCMD and by write(2), \
         {verified} more on recorded streams: {mismatches} mismatches"
    );
    assert_eq!(descriptors, capture.listed, "descriptors that are listed");
    assert_eq!(mismatches, 0, "see the mismatches above");
}

/// Whether a case is a job that compresses: statistics alone are not.
fn is_compression(case: &Case) -> bool {
    let compresses = case.descriptors[0].descriptor.opcode() == Opcode::COMPRESS;
    compresses && case.name != "gather_stats"
}

fn replay(setup: &Setup<'_>, entry: Entry, case: &Case) -> Outcome {
    let first = &case.descriptors[0].descriptor;
    match first.opcode() {
        Opcode::COMPRESS if case.name == "gather_stats" => decompress::gather(setup, entry, case),
        Opcode::COMPRESS => compress::replay(setup, entry, case),
        Opcode::DECOMPRESS => decompress::replay(setup, entry, case, &case.descriptors[0].source),
        _ => simple(setup, entry, case),
    }
}

/// NOOP and CRC64.
fn simple(setup: &Setup<'_>, entry: Entry, case: &Case) -> Outcome {
    let [recorded] = &case.descriptors[..] else {
        panic!("{}: one descriptor", case.name);
    };
    let layout = Layout {
        source: (&recorded.source, recorded.descriptor.src1),
        ..Layout::default()
    };
    let mut job = Job::new(setup.profile, entry, &layout);
    let mut d = recorded.descriptor;
    if d.src1_len != 0 {
        d.src1 = job.source.address();
    }
    let completion = job.submit(&d);
    job.same("status", completion.status(), Status::SUCCESS);
    Outcome {
        status: "0".to_owned(),
        input: recorded.source.len(),
        crc64: (d.opcode() == Opcode::CRC64).then_some(completion.crc64),
        ..job.outcome()
    }
}

/// Holds an outcome against what QPL told its caller.
fn compare(
    setup: &Setup<'_>,
    case: &Case,
    expected: &Expected,
    outcome: &Outcome,
    findings: &mut Vec<String>,
) {
    let mut same = |what: &str, ours: &dyn std::fmt::Debug, recorded: &dyn std::fmt::Debug| {
        let (ours, recorded) = (format!("{ours:x?}"), format!("{recorded:x?}"));
        if ours != recorded {
            findings.push(format!("{what}: {ours}, recorded {recorded}"));
        }
    };
    same("status", &outcome.status, &expected.status);
    same("crc64", &outcome.crc64, &expected.crc64);
    let (Some(input), Some(output)) = (expected.input, expected.output) else {
        return;
    };
    if outcome.exact {
        same("bytes of output", &outcome.output.len(), &output);
    }
    let failed = outcome.status == "2";
    // QPL counts the wrapper as input; the trailer of zlib is in the source.
    let wrapper = match () {
        () if !case.name.ends_with(".dec") => 0,
        () if case.name.contains(".gzip.") => inflate::GZIP_HEADER + inflate::GZIP_TRAILER,
        () if case.name.contains(".zlib.") => inflate::ZLIB_HEADER,
        () => 0,
    };
    same("bytes of input", &(outcome.input + wrapper), &input);
    same("match", &outcome.matches, &expected.matches);
    if failed {
        return;
    }
    let page = setup.capture.page(&case.name);
    // There, QPL gives an Adler-32 that it computes itself, and one less.
    let crc = if case.name == "text.zlib.dec" {
        same("CRC", &outcome.crc, &inflate::crc32(page));
        inflate::adler32(&outcome.output) - 1
    } else {
        outcome.crc
    };
    same("CRC", &Some(crc), &expected.crc);
    // A descriptor may start in the middle of a word, at which the device of
    // the captures started another one.
    let xor = outcome.xor_by_descriptor.unwrap_or(outcome.xor);
    same("XOR", &Some(xor), &expected.xor);
    if outcome.last_bit_offset.is_some() {
        same(
            "last bit",
            &outcome.last_bit_offset,
            &expected.last_bit_offset,
        );
    }
}
