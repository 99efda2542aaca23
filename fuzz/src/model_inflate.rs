//! Any deflate stream on the device's model.
//!
//! Every input is inflated in one piece, with the flags that a page is, and
//! then in one other way that its first bytes choose: in pieces, each taken up
//! through the AECS; with a header and a body apart; in 16-bit words; with an
//! index; with other flags; with exactly the room it needs, and with one byte
//! less. Whatever the stream is,
//!
//! - the descriptor completes once, and nothing around its buffers, which end
//!   where memory ends, is touched;
//! - output, status, error and bytes consumed are those of [`rules`];
//! - zlib-rs accepts the same streams and makes the same of them, but for the
//!   differences that [`rules`] lists;
//! - the other way comes to the same as the first.

#![expect(unsafe_code, reason = "descriptors name memory by address")]

use crate::arena::{Arena, Region};
use crate::door;
use crate::input::Input;
use crate::library;
use crate::reference;
use crate::rules::{self, Asked, Outcome, Verdict};
use pagepress_abi::aecs::decompress as layout;
use pagepress_abi::flags::{decompress as flag, op};
use pagepress_abi::{Completion, Descriptor, ErrorCode, Opcode, Status};
use pagepress_model::device::Device;
use pagepress_model::memory::Checked;
use std::sync::{LazyLock, Mutex};

/// The most that is inflated: more than twice what the model decodes in one go.
const ROOM: usize = 96 * 1024;
/// Bytes before the destination that are watched.
const MARGIN: usize = 256;

/// Source, destination, AECSs, record.
const REGIONS: [(usize, bool); 4] = [(5, true), (25, true), (3, true), (1, true)];

/// What a page is inflated with.
const WHOLE: u16 =
    flag::ENABLE | flag::FLUSH | flag::STOP_ON_EOB | flag::CHECK_EOB | flag::SELECT_BFINAL;

/// The same as rules.
const WHOLE_ASKED: Asked = Asked {
    stop: true,
    check: true,
    only_final: true,
    ignored: 0,
    room: ROOM,
};

/// Ways to inflate a stream, by the low bits of an input's first byte: modulo
/// their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// In pieces, with little room.
    Pieces,
    /// Flags of the input's choice.
    Flags,
    /// Header and body apart.
    Canned,
    /// In 16-bit big-endian words.
    Words,
    /// With an index, also in pieces.
    Index,
    /// With exactly enough room, and with one byte less.
    Exact,
}

/// All ways.
pub const WAYS: [Way; 6] = [
    Way::Pieces,
    Way::Flags,
    Way::Canned,
    Way::Words,
    Way::Index,
    Way::Exact,
];

/// Set in an input's first byte for generation 2.
pub const SECOND: u8 = 0x40;
/// Set there to reach memory through the kernel.
pub const CHECKED: u8 = 0x80;
/// Bytes before the stream.
pub const HEAD: usize = 8;

struct Bench {
    arena: Arena,
    /// By generation, then by memory.
    devices: [[Device; 2]; 2],
    pattern: Vec<u8>,
    seen: Vec<u8>,
    kept: [Vec<u8>; 2],
    now: Vec<u8>,
}

/// One Decompress.
#[derive(Clone, Copy)]
struct Job<'a> {
    op_flags: u32,
    flags: u16,
    src: &'a [u8],
    dst_max: usize,
    /// Where source 2 begins in its region, and its size.
    aecs: (usize, usize),
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct End {
    record: Completion,
    output: Vec<u8>,
}

impl End {
    fn status(&self) -> Status {
        self.record.status()
    }

    fn verdict(&self) -> Verdict {
        match self.status() {
            Status::SUCCESS => Verdict::Success,
            Status::OUTPUT_OVERFLOW => Verdict::Overflow,
            Status::ANALYTICS_ERROR => Verdict::Error(self.record.error()),
            _ => panic!("a sound descriptor: {:?}", self.record),
        }
    }
}

/// What an input asks of its other way.
struct Wish<'a> {
    second: bool,
    sizes: Input<'a>,
    flags: u16,
    number: u16,
}

static BENCH: LazyLock<Mutex<Bench>> = LazyLock::new(|| Mutex::new(Bench::new()));

/// Inflates the stream in `data`.
///
/// # Panics
/// If anything is not as the module says.
pub fn check(data: &[u8]) {
    let mut bench = BENCH.lock().expect("a failed check ends the process");
    bench.check(data);
}

/// Bits of a job that is done over with what it left to do.
const READ: u32 = op::READ_SRC2_AECS;
const WRITE: u32 = op::WRITE_SRC2_AECS;

impl Bench {
    fn new() -> Self {
        let arena = Arena::new(&REGIONS, |_, _| {});
        let both = |second| {
            let checked = Checked::new().expect("the kernel copies memory");
            [
                door::device(second, arena.register(0)),
                door::device(second, checked),
            ]
        };
        Self {
            devices: [both(false), both(true)],
            arena,
            pattern: (0..ROOM + MARGIN).map(|i| ((i * 167) >> 3) as u8).collect(),
            seen: Vec::new(),
            kept: [Vec::new(), Vec::new()],
            now: Vec::new(),
        }
    }

    fn check(&mut self, data: &[u8]) {
        let mut head = Input(data);
        let first = head.byte();
        let second = first & SECOND != 0;
        let way = WAYS[usize::from(first & 0x3F) % WAYS.len()];
        let wish = Wish {
            second,
            flags: head.u16(),
            number: head.u16(),
            sizes: Input(head.take(3)),
        };
        let stream = head.0;
        let device = self.devices[usize::from(second)][usize::from(first & CHECKED != 0)].clone();

        let expected = rules::decode(stream, WHOLE_ASKED);
        let whole = Job {
            op_flags: 0,
            flags: WHOLE,
            src: stream,
            dst_max: ROOM,
            aecs: (0, 0),
        };
        let end = self.run(&device, &whole);
        assert_eq!(end.verdict(), expected.verdict);
        assert!(end.output == expected.output, "not what the rules make");
        check_sums(&end, &expected.output);
        reference::compare_rules(stream, ROOM, &expected);
        match way {
            Way::Pieces => self.pieces(&device, &whole, wish, &expected.output, &end, &expected),
            Way::Flags => self.flags(&device, stream, wish, &expected),
            Way::Canned => self.canned(&device, stream, wish, &expected),
            Way::Words => self.words(&device, stream, wish, &expected),
            Way::Index => self.index(&device, stream, wish, &expected),
            Way::Exact => self.exact(&device, &whole, &expected),
        }
    }

    fn region(&self, index: usize) -> Region {
        self.arena.regions()[index]
    }

    /// Runs a job on buffers that end where memory does.
    fn run(&mut self, device: &Device, job: &Job<'_>) -> End {
        let (src, dst) = (self.region(0), self.region(1));
        let (aecs, record) = (self.region(2), self.region(3));
        let mut d = Descriptor::new(Opcode::DECOMPRESS, op::CRAV | op::RCR | job.op_flags);
        d.completion = record.end_for(64);
        d.flags = job.flags;
        (d.src1, d.src1_len) = (src.end_for(job.src.len()), job.src.len() as u32);
        (d.dst, d.dst_max) = (dst.end_for(job.dst_max), job.dst_max as u32);
        let uses_aecs = job.op_flags & (op::READ_SRC2 | op::WRITE_SRC2) != 0;
        if uses_aecs {
            (d.src2, d.src2_len) = (aecs.start + job.aecs.0 as u64, job.aecs.1 as u32);
        }
        self.arena.put(d.src1, job.src);
        self.arena.put(d.completion, &[0; 64]);
        let watched = MARGIN + job.dst_max;
        let pattern = &self.pattern[..watched];
        self.arena.put(d.dst - MARGIN as u64, pattern);
        if uses_aecs {
            self.kept[0].resize(aecs.len, 0);
            self.arena.get(aecs.start, &mut self.kept[0]);
        }

        let counters = device.counters();
        // SAFETY: all that the descriptor names lies in the arena.
        let taken = unsafe { door::submit(device, 0, false, &d.to_bytes()) };
        assert!(door::completed(counters, device.counters(), taken), "{d:?}");
        let mut bytes = [0; 64];
        self.arena.get(d.completion, &mut bytes);
        let record = door::check_record(&d, &bytes);

        let made = record.output_size as usize;
        self.seen.resize(watched, 0);
        self.arena.get(d.dst - MARGIN as u64, &mut self.seen);
        let (before, rest) = self.seen.split_at(MARGIN);
        let (output, behind) = rest.split_at(made);
        let (pattern_before, pattern_rest) = pattern.split_at(MARGIN);
        assert!(
            before == pattern_before,
            "bytes before the destination: {d:?}"
        );
        assert!(
            behind == &pattern_rest[made..],
            "bytes behind the output: {d:?}"
        );
        let output = output.to_vec();
        self.now.resize(job.src.len(), 0);
        self.arena.get(d.src1, &mut self.now);
        assert!(self.now == job.src, "the source was written: {d:?}");
        if uses_aecs {
            self.check_aecs(&d, &record);
        }
        End { record, output }
    }

    /// Only the half that is written may have changed, and only if it is.
    fn check_aecs(&mut self, d: &Descriptor, record: &Completion) {
        let aecs = self.region(2);
        let [before, after] = &mut self.kept;
        after.resize(aecs.len, 0);
        self.arena.get(aecs.start, after);
        let writes = match d.op_flags() & op::WRITE_SRC2 {
            op::WRITE_SRC2_AECS => matches!(record.status, 0x01 | 0x0B),
            op::WRITE_SRC2_OVERFLOW => record.status == 0x0B,
            _ => false,
        };
        let at = (door::aecs_halves(d).1 - aecs.start) as usize;
        let len = if writes {
            layout::BYTES.min(d.src2_len as usize)
        } else {
            0
        };
        assert!(before[..at] == after[..at], "the AECS before: {d:?}");
        assert!(
            before[at + len..] == after[at + len..],
            "the AECS behind: {d:?}"
        );
    }

    /// In pieces of input and of output, taken up where each left off.
    fn pieces(
        &mut self,
        device: &Device,
        whole: &Job<'_>,
        mut wish: Wish<'_>,
        output: &[u8],
        end: &End,
        rules: &Outcome,
    ) {
        // Full rooms and whole pieces after a while: a bound for the time.
        const SMALL: usize = 48;
        let input_step = 1 + usize::from(wish.sizes.byte()) * usize::from(wish.sizes.byte()) / 8;
        let room_step = 1 + usize::from(wish.sizes.byte()) * 4;
        let least = if whole.flags & flag::INDEXING == 0 {
            1
        } else {
            16
        };
        let mut noise = crate::pages::Noise::new(wish.number.into());
        let mut made = Vec::new();
        let mut src = whole.src;
        let mut toggle = 0;
        let mut jobs = 0;
        let last = loop {
            let few = jobs < SMALL;
            let step = if few {
                1 + noise.number() as usize % input_step
            } else {
                src.len()
            };
            let (now, _) = src.split_at(src.len().min(step));
            let is_last = now.len() == src.len();
            let mut flags = whole.flags;
            if !is_last {
                flags &= !flag::CHECK_EOB;
                if wish.flags >> (jobs % 16) & 1 == 0 {
                    flags &= !flag::FLUSH;
                }
            }
            let write = if is_last && wish.flags & 1 != 0 {
                op::WRITE_SRC2_OVERFLOW
            } else {
                WRITE
            };
            let room = if few {
                least + noise.number() as usize % room_step
            } else {
                ROOM
            };
            let read = if jobs == 0 { 0 } else { READ };
            let job = Job {
                op_flags: whole.op_flags | read | write | toggle,
                flags,
                src: now,
                dst_max: room,
                aecs: (0, layout::BYTES),
            };
            let ended = self.run(device, &job);
            jobs += 1;
            made.extend_from_slice(&ended.output);
            toggle ^= op::AECS_TOGGLE;
            match ended.verdict() {
                Verdict::Overflow => {
                    src = &src[ended.record.bytes_completed as usize..];
                    if made.len() >= ROOM {
                        break None;
                    }
                    assert!(!ended.output.is_empty(), "no progress in {room} bytes");
                }
                Verdict::Success if is_last => break Some(ended),
                Verdict::Success => src = &src[now.len()..],
                Verdict::Error(_) => break Some(ended),
            }
            assert!(jobs < 20_000, "no end");
        };
        let last = match last {
            Some(last) if end.verdict() != Verdict::Overflow => last,
            // More than the first way had room for.
            _ => {
                let common = made.len().min(output.len());
                return assert!(made[..common] == output[..common], "another beginning");
            }
        };
        match last.verdict() {
            // A header that is cut off must fit the AECS.
            Verdict::Error(ErrorCode::HEADER_TOO_LARGE) => {
                assert!(rules.longest_header > 2048);
                return assert!(output.starts_with(&made), "another beginning");
            }
            // What was decoded before the error need not have been written.
            Verdict::Error(_) => {
                assert!(output.starts_with(&made), "another beginning");
            }
            _ => assert!(made == output, "pieces make another whole"),
        }
        assert_eq!(last.verdict(), end.verdict());
        let sums = |end: &End| (end.record.crc, end.record.xor);
        assert_eq!(sums(&last), sums(end));
    }

    /// With flags of the input's choice.
    fn flags(&mut self, device: &Device, stream: &[u8], wish: Wish<'_>, whole: &Outcome) {
        const FREE: u16 = flag::FLUSH
            | flag::STOP_ON_EOB
            | flag::CHECK_EOB
            | flag::SELECT_BFINAL
            | flag::IGNORE_END_BITS
            | flag::SUPPRESS_OUTPUT;
        let flags = flag::ENABLE | wish.flags & FREE;
        let set = |bits: u16| flags & bits != 0;
        let dst_max = match wish.number {
            0..0x1000 => usize::from(wish.number),
            0x1000..0x8000 => whole
                .output
                .len()
                .saturating_sub(usize::from(wish.number % 16)),
            _ => ROOM,
        };
        let hidden = set(flag::SUPPRESS_OUTPUT);
        let flushes = set(flag::FLUSH);
        // A device writes words of eight bytes, and keeps what does not fill
        // one, unless it is flushed.
        let room = match (hidden, flushes) {
            (true, _) => 1 << 19,
            (false, true) => dst_max,
            (false, false) => dst_max / 8 * 8 + 7,
        };
        let asked = Asked {
            stop: set(flag::STOP_ON_EOB),
            check: set(flag::CHECK_EOB),
            only_final: set(flag::SELECT_BFINAL),
            ignored: (flags >> flag::IGNORE_END_BITS_SHIFT & 7).into(),
            room,
        };
        let expected = rules::decode(stream, asked);
        if hidden && expected.verdict == Verdict::Overflow || stream.is_empty() && dst_max == 0 {
            return;
        }
        let job = Job {
            op_flags: 0,
            flags,
            src: stream,
            dst_max,
            aecs: (0, 0),
        };
        let end = self.run(device, &job);
        assert_eq!(end.verdict(), expected.verdict, "{flags:#x}");
        let all = &expected.output[..];
        let written = match expected.verdict {
            _ if hidden => 0,
            Verdict::Success if !flushes => all.len() / 8 * 8,
            _ => all.len().min(dst_max),
        };
        assert!(end.output == all[..written], "{flags:#x}");
        check_sums(&end, all);
        if expected.verdict == Verdict::Overflow {
            let bytes = expected.bits.div_ceil(8).min(stream.len());
            assert_eq!(end.record.bytes_completed as usize, bytes);
        }
    }

    /// The first header by itself, then the rest with its tables.
    fn canned(&mut self, device: &Device, stream: &[u8], wish: Wish<'_>, expected: &Outcome) {
        let Some(header) = expected.headers.first().filter(|header| header.kind != 0) else {
            return;
        };
        // Stored data would lie elsewhere within its bytes; whether they could
        // be read as such in a header that is cut off, too.
        let aligned = header.end % 8 == 0;
        let stored = expected.headers.iter().any(|header| header.kind == 0);
        let no_more = expected.stopped && !stored || expected.headers.len() == 1;
        let cut = matches!(expected.verdict, Verdict::Error(ErrorCode::BAD_END))
            || expected.verdict == Verdict::Error(ErrorCode::BAD_STORED_LENGTH);
        if !aligned && (!no_more || cut) {
            return;
        }
        let head = &stream[..header.end.div_ceil(8)];
        let ignored = (8 * head.len() - header.end) as u16;
        let sizes = [
            layout::BYTES_NO_HISTORY_1,
            layout::BYTES_NO_HISTORY_2,
            layout::BYTES,
        ];
        let size = match sizes[usize::from(wish.number) % 3] {
            layout::BYTES_NO_HISTORY_1 if wish.second => layout::BYTES_NO_HISTORY_2,
            size => size,
        };
        let toggled = op::AECS_TOGGLE;
        let head = Job {
            op_flags: WRITE | toggled,
            flags: flag::ENABLE | flag::SUPPRESS_OUTPUT | ignored << flag::IGNORE_END_BITS_SHIFT,
            src: head,
            dst_max: 0,
            aecs: (0, size),
        };
        let end = self.run(device, &head);
        assert_eq!((end.verdict(), end.record.crc), (Verdict::Success, 0));

        let body = library::from_bit(stream, header.end);
        let padding = (8 * body.len() - (8 * stream.len() - header.end)) as u16;
        let partial = wish.second && wish.flags & 1 != 0;
        let start = if partial { layout::PARTIAL_START } else { 0 };
        let body = Job {
            op_flags: READ,
            flags: WHOLE
                | padding << flag::IGNORE_END_BITS_SHIFT
                | if partial { flag::LOAD_PARTIAL } else { 0 },
            src: &body,
            dst_max: ROOM,
            aecs: (start, size - start),
        };
        let end = self.run(device, &body);
        assert_eq!(end.verdict(), expected.verdict);
        assert!(end.output == expected.output, "with a header apart");
        check_sums(&end, &expected.output);
    }

    /// As 16-bit words, their highest bit first.
    fn words(&mut self, device: &Device, stream: &[u8], wish: Wish<'_>, expected: &Outcome) {
        let odd = stream.len() % 2 == 1;
        // The first generation cannot ignore the byte that fills a word.
        if odd && !wish.second && expected.verdict != Verdict::Success {
            return;
        }
        let mut src = stream.to_vec();
        src.resize(stream.len().next_multiple_of(2), 0);
        for word in src.chunks_exact_mut(2) {
            word.swap(0, 1);
            word[0] = word[0].reverse_bits();
            word[1] = word[1].reverse_bits();
        }
        let mut flags = WHOLE | flag::BE16;
        if odd && wish.second {
            flags |= flag::IGNORE_END_BITS_8;
        }
        let job = Job {
            op_flags: 0,
            flags,
            src: &src,
            dst_max: ROOM,
            aecs: (0, 0),
        };
        let end = self.run(device, &job);
        assert_eq!(end.verdict(), expected.verdict);
        assert!(end.output == expected.output, "in words");
        check_sums(&end, &expected.output);
        if expected.verdict == Verdict::Success && !odd {
            self.pieces_of_words(device, &job, wish, expected);
        }
    }

    /// In pieces of output alone: pieces of input must have whole words.
    fn pieces_of_words(
        &mut self,
        device: &Device,
        job: &Job<'_>,
        mut wish: Wish<'_>,
        expected: &Outcome,
    ) {
        let output = &expected.output;
        let room = output.len() / 7 + 1 + usize::from(wish.sizes.byte());
        let mut made = Vec::new();
        let mut src = job.src;
        let mut op_flags = WRITE;
        loop {
            let job = Job {
                op_flags,
                src,
                dst_max: room,
                aecs: (0, layout::BYTES),
                ..*job
            };
            let ended = self.run(device, &job);
            made.extend_from_slice(&ended.output);
            op_flags = (op_flags | READ) ^ op::AECS_TOGGLE;
            if ended.verdict() != Verdict::Overflow {
                assert_eq!(ended.verdict(), expected.verdict);
                check_sums(&ended, output);
                break;
            }
            assert!(made.len() <= ROOM, "no end");
            src = &src[ended.record.bytes_completed as usize..];
        }
        assert!(made == *output, "words in pieces");
    }

    /// With an index.
    fn index(&mut self, device: &Device, stream: &[u8], wish: Wish<'_>, expected: &Outcome) {
        if expected.verdict == Verdict::Overflow {
            return;
        }
        let size = 1 + wish.number % 7;
        let job = Job {
            op_flags: 0,
            flags: WHOLE | flag::SUPPRESS_OUTPUT | size << flag::INDEXING_SHIFT,
            src: stream,
            dst_max: ROOM,
            aecs: (0, 0),
        };
        let end = self.run(device, &job);
        assert_eq!(end.output.len() % 8, 0);
        let entries: Vec<_> = end
            .output
            .chunks_exact(8)
            .map(|entry| {
                let dword = |at: usize| {
                    u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]])
                };
                (dword(0), dword(4))
            })
            .collect();
        assert!(entries.is_sorted_by_key(|entry| entry.0), "{entries:?}");
        match end.verdict() {
            Verdict::Success => {
                assert_eq!(expected.verdict, Verdict::Success);
                check_sums(&end, &expected.output);
                let last = entries.last().expect("at least the end of a block");
                assert_eq!(*last, (expected.bits as u32, end.record.crc));
                // One entry at the start of each block's data and one at its
                // end, and one for each whole mini-block.
                let whole = expected.output.len() / (256 << size);
                assert!(entries.len() >= 2 * expected.headers.len() + whole);
            }
            Verdict::Error(
                ErrorCode::DISTANCE_SPANS | ErrorCode::LENGTH_SPANS | ErrorCode::BAD_BLOCK_SIZE,
            ) => {}
            // Room for more entries than any input has headers.
            Verdict::Overflow => assert!(end.output.len() > ROOM - 16),
            error => assert_eq!(error, expected.verdict),
        }
        if end.verdict() != Verdict::Overflow {
            let output = end.output.clone();
            self.pieces(device, &job, wish, &output, &end, expected);
        }
    }

    /// With exactly enough room, and with one byte less.
    fn exact(&mut self, device: &Device, whole: &Job<'_>, expected: &Outcome) {
        let len = expected.output.len();
        if expected.verdict == Verdict::Overflow || whole.src.is_empty() {
            return;
        }
        let end = self.run(
            device,
            &Job {
                dst_max: len,
                ..*whole
            },
        );
        assert_eq!(end.verdict(), expected.verdict);
        assert!(end.output == expected.output, "in exactly enough room");
        if let Some(less) = len.checked_sub(1) {
            let end = self.run(
                device,
                &Job {
                    dst_max: less,
                    ..*whole
                },
            );
            // An error may lie behind what does not fit.
            assert_eq!(end.verdict(), Verdict::Overflow);
            assert!(end.output == expected.output[..less], "in too little room");
            check_sums(&end, &expected.output[..less]);
        }
    }
}

/// Checks a record's checksums, which an error has none of.
fn check_sums(end: &End, output: &[u8]) {
    if matches!(end.verdict(), Verdict::Error(_)) {
        return;
    }
    assert_eq!(end.record.crc, zlib_rs::crc32::crc32(0, output));
    assert_eq!(end.record.xor, door::xor(0, output));
}
