//! Jobs that decompress what the captures have, and the table of canned ones.

use crate::capture::{Case, Recorded};
use crate::client::{CANARY, Entry, Job, Layout};
use crate::inflate::{crc32, xor16};
use crate::{Outcome, Setup, tables};
use pagepress_abi::aecs::compress::HISTOGRAM_BYTES;
use pagepress_abi::aecs::decompress as at;
use pagepress_abi::flags::{decompress as flag, op};
use pagepress_abi::{Descriptor, ErrorCode, Opcode, Status};
use std::ops::Range;

/// The halves of an AECS's memory that are read and written.
pub(crate) fn halves(d: &Descriptor) -> (Range<usize>, Range<usize>) {
    let len = d.src2_len as usize;
    let halves = (0..len, len..2 * len);
    if d.op_flags() & op::AECS_TOGGLE == 0 {
        halves
    } else {
        (halves.1, halves.0)
    }
}

pub(crate) fn reads_aecs(d: &Descriptor) -> bool {
    d.op_flags() & op::READ_SRC2 == op::READ_SRC2_AECS
}

/// Replays a job on `source`, which may be other than the one recorded if the
/// job is one descriptor.
pub(crate) fn replay(setup: &Setup<'_>, entry: Entry, case: &Case, source: &[u8]) -> Outcome {
    let first = &case.descriptors[0].descriptor;
    let all = case.descriptors.iter().map(|recorded| &recorded.descriptor);
    let end = |d: &Descriptor| (d.dst - first.dst) as usize + d.dst_max as usize;
    let capacity = all.map(end).max().expect("a descriptor");
    // One that is only read needs no second half.
    let copies = if first.op_flags() & op::WRITE_SRC2 == 0 {
        1
    } else {
        2
    };
    let layout = Layout {
        source: (source, first.src1),
        output: (capacity, first.dst),
        aecs: (copies * first.src2_len as usize, first.src2),
        ..Layout::default()
    };
    let mut job = Job::new(setup.profile, entry, &layout);
    let (mut consumed, mut produced) = (0, 0);
    let (mut xor_by_descriptor, mut within_word) = (0, false);
    let mut completion = None;
    // What the recorded device wrote into the half that is read next.
    let mut had: Option<&[u8]> = None;
    if reads_aecs(first) {
        job.aecs.put(0, &setup.table);
        had = setup.capture.case("gather_stats").descriptors[1]
            .aecs_out
            .as_deref();
    }
    for (number, recorded) in case.descriptors.iter().enumerate() {
        let mut d = recorded.descriptor;
        let (read, written) = halves(&d);
        if reads_aecs(&d) {
            let mut half = job.aecs.get(read.start, read.len());
            let theirs = recorded.aecs_in.as_ref().expect("the AECS that is read");
            tables::take_over(&mut half, theirs, had);
            job.aecs.put(read.start, &half);
        }
        let recorded_at = [d.src1 - first.src1, d.dst - first.dst, d.src1_len.into()];
        d.src1 = job.source.address() + consumed as u64;
        d.src1_len = (source.len() - consumed) as u32;
        d.dst = job.output.address() + produced as u64;
        if d.src2_len != 0 {
            d.src2 = job.aecs.address();
        }
        // What comes first is the client's choice, what comes later ours.
        if number != 0 {
            let ours = [consumed as u64, produced as u64, d.src1_len.into()];
            job.same("going on as recorded", ours, recorded_at);
        }
        let before = job.aecs.get(0, job.aecs.len());
        let end = job.submit(&d);
        let overflow = recorded.aecs_out.is_some();
        let wanted = if overflow {
            Status::OUTPUT_OVERFLOW
        } else {
            Status::SUCCESS
        };
        let status = (end.status(), end.error());
        job.same("status", status, (wanted, ErrorCode(0)));
        let size = end.output_size as usize;
        let output = job.output.get(produced, size);
        let matches = output == recorded.output;
        job.holds("output", matches);
        produced += size;
        consumed = if overflow {
            consumed + end.bytes_completed as usize
        } else {
            source.len()
        };
        let so_far = job.output.get(0, produced);
        job.same("CRC", end.crc, crc32(&so_far));
        job.same("XOR", end.xor, xor16(&so_far));
        job.same("bits", end.output_bits, 0);
        let rest = job.output.get(produced, capacity - produced);
        job.holds("nothing behind", rest.iter().all(|&byte| byte == CANARY));
        xor_by_descriptor ^= xor16(&output);
        within_word |= produced % 2 != 0 && number + 1 != case.descriptors.len();

        let after = job.aecs.get(0, job.aecs.len());
        if overflow {
            let read_half = before[read.clone()] == after[read];
            job.holds("the half that is not written", read_half);
            check_aecs(setup, &mut job, &after[written], recorded);
        } else {
            job.holds("an AECS that is not written", before == after);
        }
        had = recorded.aecs_out.as_deref();
        completion = Some(end);
    }
    let completion = completion.expect("a descriptor");
    let output = job.output.get(0, produced);
    Outcome {
        status: if case.descriptors.len() == 1 {
            "0".to_owned()
        } else {
            "2 (then resumed: ok)".to_owned()
        },
        input: consumed,
        matches: output == setup.capture.page(&case.name),
        output,
        exact: true,
        crc: completion.crc,
        xor: completion.xor,
        xor_by_descriptor: within_word.then_some(xor_by_descriptor),
        ..job.outcome()
    }
}

/// What a job verified there, verified here: the recorded streams, of which
/// even what lies in the middle of a job is known. `None` if it did not.
pub(crate) fn verify_recorded(setup: &Setup<'_>, entry: Entry, case: &Case) -> Option<Outcome> {
    let verifies = |recorded: &&Recorded| recorded.descriptor.opcode() == Opcode::DECOMPRESS;
    let all: Vec<_> = case.descriptors.iter().filter(verifies).collect();
    let first = &all.first()?.descriptor;
    let stream: Vec<u8> = all.iter().flat_map(|one| one.source.clone()).collect();
    let layout = Layout {
        source: (&stream, first.src1),
        output: (first.dst_max as usize, first.dst),
        aecs: (2 * first.src2_len as usize, first.src2),
        ..Layout::default()
    };
    let mut job = Job::new(setup.profile, entry, &layout);
    let page = setup.capture.page(&case.name);
    let mut had: Option<&[u8]> = None;
    for recorded in all {
        let mut d = recorded.descriptor;
        let (read, written) = halves(&d);
        if reads_aecs(&d) {
            let mut half = job.aecs.get(read.start, read.len());
            let theirs = recorded.aecs_in.as_ref().expect("the AECS that is read");
            tables::take_over(&mut half, theirs, had);
            job.aecs.put(read.start, &half);
        }
        d.src1 = job.source.address() + (d.src1 - first.src1);
        d.dst = job.output.address();
        if d.src2_len != 0 {
            d.src2 = job.aecs.address();
        }
        let end = job.submit(&d);
        let status = (end.status(), end.error(), end.output_bits);
        job.same("status", status, (Status::SUCCESS, ErrorCode(0), 0));
        if d.flags & flag::FLUSH != 0 {
            let sums = (crc32(page), xor16(page));
            job.same("CRC, XOR", (end.crc, end.xor), sums);
        }
        // Nothing, or an index.
        let output = job.output.get(0, end.output_size as usize);
        job.same("index", &output, &recorded.output);
        if recorded.aecs_out.is_some() {
            let half = job.aecs.get(written.start, written.len());
            check_aecs(setup, &mut job, &half, recorded);
        }
        had = recorded.aecs_out.as_deref();
    }
    Some(job.outcome())
}

/// The half of an AECS that was written, against the recorded one where that
/// is open to no choice.
fn check_aecs(setup: &Setup<'_>, job: &mut Job, ours: &[u8], recorded: &Recorded) {
    let theirs = recorded.aecs_out.as_ref().expect("a written AECS");
    check_format(setup, job, ours);
    let place = at::STATE..at::STATE + 2;
    job.same("state", &ours[place.clone()], &theirs[place]);
    let history = at::HISTORY_POINTER..at::BYTES;
    let same = ours.get(history.clone()) == theirs.get(history);
    job.holds("history", same);
    // All of it was written, which the memory behind shows.
    job.same("size", ours.len(), theirs.len());
    let last = &ours[ours.len() - 4..];
    job.holds("written to its end", last != [CANARY; 4]);
}

/// The marks of the generation's format; no output is ever kept here.
pub(crate) fn check_format(setup: &Setup<'_>, job: &mut Job, ours: &[u8]) {
    let number = u8::from(setup.profile.iaa_cap.is_some());
    let marks = [ours[at::OUTPUT_BITS], ours[at::FORMAT]];
    job.same("format", marks, [number; 2]);
}

/// Statistics for a table that is used later, and a Decompress that reads
/// nothing but the header of it.
pub(crate) fn gather(setup: &Setup<'_>, entry: Entry, case: &Case) -> Outcome {
    let [statistics, header] = &case.descriptors[..] else {
        panic!("{}: two descriptors", case.name);
    };
    let mut d = statistics.descriptor;
    let layout = Layout {
        source: (&statistics.source, d.src1),
        output: (d.dst_max as usize, d.dst),
        ..Layout::default()
    };
    let mut job = Job::new(setup.profile, entry, &layout);
    (d.src1, d.dst) = (job.source.address(), job.output.address());
    let end = job.submit(&d);
    job.same("status", end.status(), Status::SUCCESS);
    job.same("size", end.output_size as usize, HISTOGRAM_BYTES);
    job.same("CRC", end.crc, crc32(&statistics.source));
    job.same("XOR", end.xor, xor16(&statistics.source));
    let histogram = job.output.get(0, HISTOGRAM_BYTES);
    let mut counted = job.outcome();

    let mut d = header.descriptor;
    let layout = Layout {
        source: (&header.source, d.src1),
        aecs: (2 * d.src2_len as usize, d.src2),
        ..Layout::default()
    };
    let mut job = Job::new(setup.profile, entry, &layout);
    (d.src1, d.src2) = (job.source.address(), job.aecs.address());
    let end = job.submit(&d);
    job.same("status", end.status(), Status::SUCCESS);
    job.same(
        "size, CRC, XOR",
        (end.output_size, end.crc, end.xor),
        (0, 0, 0),
    );
    let (read, written) = halves(&d);
    let aecs = job.aecs.get(0, job.aecs.len());
    let untouched = aecs[read].iter().all(|&byte| byte == CANARY);
    job.holds("the half that is not written", untouched);
    check_aecs(setup, &mut job, &aecs[written.clone()], header);
    let made = job.outcome();
    counted.findings.extend(made.findings);
    counted.descriptors += made.descriptors;
    Outcome {
        status: "0/0".to_owned(),
        input: statistics.source.len(),
        output: histogram,
        table: aecs[written].to_vec(),
        ..counted
    }
}
