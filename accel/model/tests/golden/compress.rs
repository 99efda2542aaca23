//! Jobs that compress, in one descriptor or in many, and verify what they
//! made.

use crate::capture::{Case, Recorded};
use crate::client::{CANARY, Entry, Job, Layout};
use crate::decompress::{check_format, halves, reads_aecs};
use crate::inflate::{adler32, crc32, gzip, inflates_to, unwraps_to, xor16, zlib};
use crate::walk::{Walk, fixed_tokens, walk};
use crate::{Outcome, Setup, decompress, tables};
use pagepress_abi::aecs::{compress as layout, decompress as at};
use pagepress_abi::flags::{compress, decompress as flag, op};
use pagepress_abi::{Descriptor, ErrorCode, Opcode, Status};
use std::ops::Range;

/// Bytes before the data of a stored block.
const STORED_HEADER: usize = 5;

/// How QPL ends a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Compressed,
    /// The device had no room, but a stored block has.
    Stored,
    /// Not even that has.
    NoRoom,
}

/// A job on its way.
struct Replay<'a> {
    setup: &'a Setup<'a>,
    job: Job,
    source: Vec<u8>,
    /// The first descriptor that writes tokens.
    first: Descriptor,
    /// Where the AECS of the capture was.
    aecs: u64,
    consumed: usize,
    written: usize,
    /// What the last descriptor wrote.
    piece: Range<usize>,
    /// What the recorded device wrote into the half that is read next, for
    /// Compress and for Decompress.
    had: Option<&'a [u8]>,
    verify_had: Option<&'a [u8]>,
    /// Whether the last descriptor was a statistics pass.
    counted: bool,
    /// All histograms, as they were written.
    histograms: Vec<Vec<u8>>,
    ending: Ending,
    crc: u32,
    xor: u16,
    output_bits: u8,
    made_codes: bool,
    verified: bool,
}

pub(crate) fn replay(setup: &Setup<'_>, entry: Entry, case: &Case) -> Outcome {
    let writers = || case.descriptors.iter().filter(|recorded| encodes(recorded));
    let first = writers().next().expect("one that writes tokens").descriptor;
    let source: Vec<u8> = writers()
        .flat_map(|recorded| recorded.source.clone())
        .collect();
    let aecs_of = |opcode| {
        let all = case.descriptors.iter().map(|recorded| &recorded.descriptor);
        let mut used = all.filter(|d| d.opcode() == opcode && d.src2_len != 0);
        used.next()
            .map_or((0, 0), |d| (2 * d.src2_len as usize, d.src2))
    };
    let verify = case.descriptors.iter().find(|recorded| verifies(recorded));
    let aecs = aecs_of(Opcode::COMPRESS);
    let layout = Layout {
        source: (&source, first.src1),
        output: (first.dst_max as usize, first.dst),
        aecs,
        verify_aecs: aecs_of(Opcode::DECOMPRESS),
        scratch: verify.map_or((0, 0), |verify| {
            (verify.descriptor.dst_max as usize, verify.descriptor.dst)
        }),
    };
    let job = Job::new(setup.profile, entry, &layout);
    // QPL starts with a clean one.
    job.aecs.put(0, &vec![0; aecs.0]);
    let mut replay = Replay {
        setup,
        job,
        source,
        first,
        aecs: aecs.1,
        consumed: 0,
        written: 0,
        piece: 0..0,
        had: None,
        verify_had: None,
        counted: false,
        histograms: Vec::new(),
        ending: Ending::Compressed,
        crc: 0,
        xor: 0,
        output_bits: 0,
        made_codes: false,
        verified: false,
    };
    for recorded in &case.descriptors {
        if verifies(recorded) {
            replay.verify(recorded);
        } else if encodes(recorded) {
            replay.encode(recorded);
        } else {
            replay.count(recorded);
        }
    }
    replay.finish(entry, case)
}

fn verifies(recorded: &Recorded) -> bool {
    recorded.descriptor.opcode() == Opcode::DECOMPRESS
}

fn encodes(recorded: &Recorded) -> bool {
    let d = &recorded.descriptor;
    d.opcode() == Opcode::COMPRESS && d.flags & compress::STATISTICS == 0
}

impl<'a> Replay<'a> {
    /// A statistics pass, which writes right into the AECS.
    fn count(&mut self, recorded: &Recorded) {
        let mut d = recorded.descriptor;
        let end = self.consumed + d.src1_len as usize;
        let piece = self.source[self.consumed..end].to_vec();
        let offset = (d.dst - self.aecs) as usize;
        d.src1 = self.job.source.address() + self.consumed as u64;
        d.dst = self.job.aecs.address() + offset as u64;
        let before = self.job.aecs.get(0, self.job.aecs.len());
        let end = self.job.submit(&d);
        self.job.same("status", end.status(), Status::SUCCESS);
        let size = end.output_size as usize;
        self.job.same("size", size, layout::HISTOGRAM_BYTES);
        self.job.same("CRC", end.crc, crc32(&piece));
        self.job.same("XOR", end.xor, xor16(&piece));
        let after = self.job.aecs.get(0, before.len());
        let histogram = offset..offset + layout::HISTOGRAM_BYTES;
        let others = before[..histogram.start] == after[..histogram.start]
            && before[histogram.end..] == after[histogram.end..];
        self.job.holds("the AECS around the histogram", others);
        self.histograms.push(after[histogram].to_vec());
        self.counted = true;
    }

    /// A descriptor that writes tokens.
    fn encode(&mut self, recorded: &'a Recorded) {
        let mut d = recorded.descriptor;
        let (read, written) = halves(&d);
        if reads_aecs(&d) {
            let mut half = self.job.aecs.get(read.start, read.len());
            if self.counted {
                self.made_codes |= tables::take_over_with_codes(&mut half, recorded, self.had);
            } else {
                let theirs = recorded.aecs_in.as_ref().expect("the AECS that is read");
                tables::take_over(&mut half, theirs, self.had);
            }
            self.job.aecs.put(read.start, &half);
        }
        self.counted = false;
        let consumed = (d.src1 - self.first.src1) as usize;
        self.job.same("bytes read before", self.consumed, consumed);
        let len = d.src1_len as usize;
        d.src1 = self.job.source.address() + self.consumed as u64;
        d.dst = self.job.output.address() + self.written as u64;
        d.dst_max = self.first.dst_max - self.written as u32;
        if d.src2_len != 0 {
            d.src2 = self.job.aecs.address();
        }
        let before = self.job.aecs.get(0, self.job.aecs.len());
        let end = self.job.submit(&d);
        let after = self.job.aecs.get(0, before.len());
        // There is no recorded output where there was no room for it.
        let wanted = if recorded.output.is_empty() {
            (Status::ANALYTICS_ERROR, ErrorCode::OVERFLOW)
        } else {
            (Status::SUCCESS, ErrorCode(0))
        };
        self.job.same("status", (end.status(), end.error()), wanted);
        if end.status() != Status::SUCCESS {
            self.job
                .holds("an AECS that is not written", before == after);
            self.store(d.dst_max as usize, len);
            return;
        }

        let size = end.output_size as usize;
        self.piece = self.written..self.written + size;
        self.written += size;
        let piece = &self.source[self.consumed..self.consumed + len];
        let xor = xor16(piece);
        self.consumed += len;
        // The CRC goes on with that of the AECS, the XOR with QPL's zero.
        let crc = crc32(&self.source[..self.consumed]);
        self.job.same("CRC", end.crc, crc);
        self.job.same("XOR", end.xor, xor);
        (self.crc, self.xor, self.output_bits) = (end.crc, end.xor, end.output_bits);
        let rest = self.first.dst_max as usize - self.written;
        let rest = self.job.output.get(self.written, rest);
        self.job
            .holds("nothing behind", rest.iter().all(|&byte| byte == CANARY));

        if d.op_flags() & op::WRITE_SRC2 == 0 {
            self.job
                .holds("an AECS that is not written", before == after);
        } else {
            let read_half = before[read.clone()] == after[read];
            self.job.holds("the half that is not written", read_half);
            let (before, after) = (&before[written.clone()], &after[written]);
            // No tables are written back.
            let behind = layout::STATE_BYTES..;
            let same = before[behind.clone()] == after[behind];
            self.job.holds("the AECS behind the state", same);
            let sums = [&crc.to_le_bytes()[..], &xor.to_le_bytes()].concat();
            self.job.same("sums of the AECS", &after[..6], &sums[..]);
            let bits = &after[layout::ACCUMULATOR_BITS..][..4];
            let bits = u32::from_le_bytes(bits.try_into().expect("four bytes"));
            let room = 8 * (layout::STATE_BYTES - layout::ACCUMULATOR) as u32;
            self.job.holds("an accumulator of its size", bits <= room);
            self.job.same("output in whole units", size % 32, 0);
        }
        self.had = recorded.aecs_out.as_deref();
    }

    /// What QPL does where the device had no room: a stored block, if that has.
    fn store(&mut self, room: usize, len: usize) {
        let all = self.consumed..self.consumed + len;
        self.consumed = all.end;
        if len + STORED_HEADER > room {
            self.ending = Ending::NoRoom;
            return;
        }
        let data = &self.source[all];
        let size = (len as u16).to_le_bytes();
        let not_size = (!len as u16).to_le_bytes();
        let block = [&[1], &size[..], &not_size, data].concat();
        (self.crc, self.xor, self.output_bits) = (crc32(data), xor16(data), 0);
        self.job.output.put(self.written, &block);
        self.piece = self.written..self.written + block.len();
        self.written = self.piece.end;
        self.ending = Ending::Stored;
    }

    /// A Decompress of what was just written.
    fn verify(&mut self, recorded: &'a Recorded) {
        let mut d = recorded.descriptor;
        let (read, written) = halves(&d);
        if reads_aecs(&d) {
            let mut half = self.job.verify_aecs.get(read.start, read.len());
            let theirs = recorded.aecs_in.as_ref().expect("the AECS that is read");
            tables::take_over(&mut half, theirs, self.verify_had);
            self.job.verify_aecs.put(read.start, &half);
        }
        d.src1 = self.job.output.address() + self.piece.start as u64;
        d.src1_len = self.piece.len() as u32;
        d.dst = if d.dst_max == 0 {
            self.job.output.address() + self.written as u64
        } else {
            self.job.scratch.address()
        };
        if d.src2_len != 0 {
            d.src2 = self.job.verify_aecs.address();
        }
        let before = self.job.verify_aecs.get(0, self.job.verify_aecs.len());
        let end = self.job.submit(&d);
        let status = (end.status(), end.error());
        self.job
            .same("status", status, (Status::SUCCESS, ErrorCode(0)));
        // In the middle of a job, what is decoded by when is the device's.
        let so_far = self.source[..self.consumed].to_vec();
        if d.flags & flag::FLUSH != 0 {
            self.verified = true;
            self.job.same("CRC", end.crc, crc32(&so_far));
            self.job.same("CRC of both", end.crc, self.crc);
            self.job.same("XOR", end.xor, xor16(&so_far));
        }
        if self.ending == Ending::Stored {
            let stored = self.job.output.get(self.piece.start, self.piece.len());
            self.job
                .holds("QPL's stored block", stored == recorded.source);
        }
        if d.flags & flag::INDEXING != 0 {
            self.check_index(&d, end.output_size as usize, recorded);
        } else {
            self.job.same("size", end.output_size, 0);
            let scratch = self.job.scratch.get(0, self.job.scratch.len());
            let untouched = scratch.iter().all(|&byte| byte == CANARY);
            self.job.holds("output that is suppressed", untouched);
        }

        let after = self.job.verify_aecs.get(0, before.len());
        if d.op_flags() & op::WRITE_SRC2 == 0 {
            self.job
                .holds("an AECS that is not written", before == after);
        } else {
            let read_half = before[read.clone()] == after[read];
            self.job.holds("the half that is not written", read_half);
            let ours = &after[written];
            let theirs = recorded.aecs_out.as_ref().expect("a written AECS");
            self.job.same("state", ours[at::STATE], theirs[at::STATE]);
            check_format(self.setup, &mut self.job, ours);
            let pointer =
                u16::from_le_bytes([ours[at::HISTORY_POINTER], ours[at::HISTORY_POINTER + 1]]);
            let decoded = usize::from(pointer);
            let history = ours[at::HISTORY..].get(..decoded);
            let known = so_far.get(..decoded);
            self.job
                .holds("history", known.is_some() && history == known);
            let crc = crc32(known.unwrap_or_default());
            self.job.same("CRC of what is decoded", end.crc, crc);
            self.job
                .same("CRC of the AECS", &ours[..4], &crc.to_le_bytes()[..]);
        }
        self.verify_had = recorded.aecs_out.as_deref();
    }

    /// The index that a verifying Decompress wrote, against one that is made
    /// by reading the stream slowly; and each mini-block read by itself.
    fn check_index(&mut self, d: &Descriptor, size: usize, recorded: &Recorded) {
        let stream = self.job.output.get(0, self.written);
        if inflates_to(&stream, &self.source).is_err() {
            // The end of the job will tell.
            return;
        }
        let read = walk(&stream);
        let mini_block = 256 << ((d.flags & flag::INDEXING) >> flag::INDEXING_SHIFT);
        let Some(block) = read.blocks.first() else {
            self.job.holds("a block with codes", false);
            return;
        };
        let mut wanted = vec![(block.start, 0)];
        let mut sound = true;
        for &(bit, bytes) in &block.tokens {
            // The end of the block has the bytes of the token before it.
            let due = mini_block * wanted.len();
            sound &= bytes <= due;
            if bytes == due || bit == read.bits {
                wanted.push((bit, crc32(&read.data[..bytes])));
            }
        }
        self.job.holds("mini-blocks end between tokens", sound);
        let index = self.job.scratch.get(0, size);
        let half = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
        let index: Vec<_> = index
            .chunks_exact(8)
            .map(|entry| (half(&entry[..4]) as usize, half(&entry[4..])))
            .collect();
        self.job
            .same("size of the index", size, recorded.output.len());
        self.job.same("index", &index, &wanted);
        for (&(bit, _), data) in index.iter().zip(self.source.chunks(mini_block)) {
            let alone = fixed_tokens(&stream, bit, data.len());
            self.job
                .same("a mini-block by itself", alone.as_deref(), Some(data));
        }
    }

    /// Reads the whole output back.
    fn finish(mut self, entry: Entry, case: &Case) -> Outcome {
        self.job
            .same("all was read", self.consumed, self.source.len());
        let page = self.setup.capture.page(&case.name);
        self.job.holds("the page was read", self.source == page);
        let mut notes = Vec::new();
        if self.made_codes {
            notes.push(", codes of our own");
        }
        if self.verified {
            notes.push(", verified");
        }
        if self.ending == Ending::NoRoom {
            let outcome = self.job.outcome();
            notes.push(", no room, as wanted");
            return Outcome {
                status: "2".to_owned(),
                input: self.consumed,
                exact: true,
                notes,
                ..outcome
            };
        }
        let raw = self.job.output.get(0, self.written);
        let canned = case.name.contains(".canned.");
        let (header_bits, stream) = if canned {
            self.with_header(&raw)
        } else {
            (0, raw.clone())
        };
        let read = inflates_to(&stream, &self.source);
        if let Err(why) = read {
            self.job.same("read by others", why, String::new());
            return self.job.outcome();
        }
        let walk = walk(&stream);
        self.job.holds("read slowly", walk.data == self.source);
        self.job
            .same("bytes of the stream", walk.bits.div_ceil(8), stream.len());
        let bits = ((walk.bits - header_bits) % 8) as u8;
        self.job
            .same("bits of the last byte", self.output_bits, bits);
        self.check_histograms(&walk);
        if canned {
            let name = case.name.replace(".noverify", ".dec");
            let again = self.setup.capture.case(&name);
            let again = decompress::replay(self.setup, entry, again, &raw);
            self.job.same("canned, again", again.findings, Vec::new());
            self.job.holds("canned, again", again.output == self.source);
        }
        let output = self.wrapped(case, raw);

        // Another choice of matches ends at another bit, unless it does not
        // matter or is the same choice.
        let recorded: Vec<u8> = case
            .descriptors
            .iter()
            .filter(|recorded| encodes(recorded))
            .flat_map(|recorded| recorded.output.clone())
            .collect();
        let last = case
            .descriptors
            .iter()
            .rev()
            .find(|recorded| encodes(recorded));
        let last = last.expect("one that writes tokens").descriptor.flags;
        let aligned = last & compress::END_PROCESSING == compress::END_EOB_BFINAL;
        let stored = self.ending == Ending::Stored;
        let same = self.job.output.get(0, self.written) == recorded;
        let outcome = self.job.outcome();
        if stored {
            notes.push(", stored");
        }
        if same {
            notes.push(", the same bytes");
        }
        Outcome {
            status: "0".to_owned(),
            input: self.consumed,
            output,
            exact: stored,
            crc: self.crc,
            xor: self.xor,
            last_bit_offset: (stored || aligned || same).then_some(self.output_bits),
            notes,
            ..outcome
        }
    }

    /// The header of the canned table, and a stream that lacks it behind.
    fn with_header(&self, raw: &[u8]) -> (usize, Vec<u8>) {
        let header = &self.setup.capture.case("gather_stats").descriptors[1];
        let ignored = header.descriptor.flags & flag::IGNORE_END_BITS;
        let ignored = usize::from(ignored >> flag::IGNORE_END_BITS_SHIFT);
        let header_bits = 8 * header.source.len() - ignored;
        let bits = match self.output_bits {
            0 => 8 * raw.len(),
            some => 8 * (raw.len() - 1) + usize::from(some),
        };
        let bit = |bytes: &[u8], i: usize| bytes[i / 8] >> (i % 8) & 1;
        let mut stream = vec![0; (header_bits + bits).div_ceil(8)];
        for i in 0..header_bits + bits {
            let bit = match i.checked_sub(header_bits) {
                None => bit(&header.source, i),
                Some(i) => bit(raw, i),
            };
            stream[i / 8] |= bit << (i % 8);
        }
        (header_bits, stream)
    }

    /// Statistics counted the very tokens that were written, but no end.
    fn check_histograms(&mut self, walk: &Walk) {
        if self.histograms.is_empty() || self.ending == Ending::Stored {
            return;
        }
        let wanted: Vec<Vec<u8>> = walk
            .blocks
            .iter()
            .map(|block| {
                let mut literals = block.literals;
                literals[256] = 0;
                let mut bytes: Vec<u8> = literals.iter().flat_map(|n| n.to_le_bytes()).collect();
                bytes.resize(layout::HISTOGRAM_DISTANCES, 0);
                bytes.extend(block.distances.iter().flat_map(|n| n.to_le_bytes()));
                bytes.resize(layout::HISTOGRAM_BYTES, 0);
                bytes
            })
            .collect();
        self.job
            .holds("statistics of the tokens", self.histograms == wanted);
    }

    /// What QPL gives its caller.
    fn wrapped(&mut self, case: &Case, raw: Vec<u8>) -> Vec<u8> {
        let wrapped = if case.name.contains(".gzip.") {
            gzip(&raw, self.crc, self.source.len())
        } else if case.name.contains(".zlib.") {
            zlib(&raw, adler32(&self.source))
        } else {
            return raw;
        };
        let sound = unwraps_to(&wrapped, &self.source);
        self.job.holds("read with its wrapper", sound);
        wrapped
    }
}
