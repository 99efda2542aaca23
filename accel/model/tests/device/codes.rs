//! All statuses and errors that have a meaning: each is provoked by a
//! descriptor, or it is known why none can.
//!
//! What each case sends is in [`checks`](super::checks), for what is refused
//! before data is touched, and in [`errors`](super::errors), for what is wrong
//! with the data.

use super::client::{Client, Memory, shared};
use super::{checks, errors};
use pagepress_abi::{Completion, Descriptor, ErrorCode, Opcode, Status};
use pagepress_model::device::Device;
use pagepress_model::memory::Checked;
use pagepress_model::profile::{Profile, QueueConfig};
use std::collections::BTreeMap;

pub(crate) const GEN1: &[Profile] = &[Profile::GEN1];
pub(crate) const GEN2: &[Profile] = &[Profile::GEN2];
pub(crate) const BOTH: &[Profile] = &[Profile::GEN1, Profile::GEN2];

/// The largest transfer of the queue that cases are sent to.
pub(crate) const MAX_TRANSFER: u32 = 1 << 21;

/// No error: the status says it all.
const NONE: ErrorCode = ErrorCode(0);

/// Spoils what was sound.
pub(crate) type Change = Box<dyn Fn(&mut Client, &mut Descriptor)>;

/// What is done to a sound descriptor, on which devices, and what comes of it.
pub(crate) struct Case {
    /// What is done.
    pub(crate) how: &'static str,
    pub(crate) on: &'static [Profile],
    pub(crate) opcode: Opcode,
    pub(crate) change: Change,
    /// The completion record, or the error in SWERROR, but for what the data
    /// decides.
    pub(crate) expected: Completion,
    /// Whether there is a completion record.
    pub(crate) recorded: bool,
}

impl Case {
    pub(crate) fn new(
        how: &'static str,
        on: &'static [Profile],
        opcode: Opcode,
        status: Status,
        change: impl Fn(&mut Client, &mut Descriptor) + 'static,
    ) -> Self {
        let expected = Completion {
            status: status.0,
            ..Completion::default()
        };
        Self {
            how,
            on,
            opcode,
            change: Box::new(change),
            expected,
            recorded: true,
        }
    }

    /// Sends it to a fresh device, and looks at the completion and at the
    /// memory.
    fn provoke(&self, profile: Profile) {
        let device = device(profile);
        let mut client = Client::new(device.clone());
        let mut descriptor = client.sound(self.opcode);
        (self.change)(&mut client, &mut descriptor);
        let before = client.memory();
        let completion = client.submit(&descriptor);
        let after = client.memory();

        let Self { how, opcode, .. } = self;
        let who = format!("{opcode}, {how}: {completion:?}");
        assert!(before.src1 == after.src1, "{who}");
        assert!(before.aecs == after.aecs, "{who}");
        let Some(completion) = completion else {
            assert!(!self.recorded, "{who}: no record");
            let error = device.software_error().expect("what no record says");
            assert_eq!(error.error.0, self.expected.status, "{who}");
            return;
        };
        assert!(self.recorded, "{who}: a record");
        assert_eq!(device.software_error(), None, "{who}");
        let written = match completion.status() {
            Status::SUCCESS | Status::OUTPUT_OVERFLOW => {
                let status = (completion.status, completion.error);
                assert_eq!(status, (self.expected.status, 0), "{who}");
                let more = completion.status() == Status::OUTPUT_OVERFLOW;
                assert_eq!(completion.bytes_completed != 0, more, "{who}");
                completion.output_size
            }
            // Where a page is missing, what comes before it may be written.
            _ if completion.status & Status::WRITE_FAULT != 0 => {
                let bytes_completed = completion.bytes_completed;
                let expected = Completion {
                    bytes_completed,
                    ..self.expected
                };
                assert_eq!(completion, expected, "{who}");
                bytes_completed
            }
            // An error comes after good data, or before it.
            _ => {
                let output_size = completion.output_size;
                let expected = Completion {
                    output_size,
                    ..self.expected
                };
                assert_eq!(completion, expected, "{who}");
                let refused = self.expected.status != Status::ANALYTICS_ERROR.0;
                assert!(!refused || output_size == 0, "{who}");
                output_size
            }
        };
        let written = written as usize;
        assert!(before.dst[written..] == after.dst[written..], "{who}");
    }
}

fn device(profile: Profile) -> Device {
    let config = QueueConfig {
        max_transfer: u64::from(MAX_TRANSFER),
        ..shared(16)
    };
    let memory = Checked::new().expect("the kernel copies");
    Device::new(profile, memory, &[config]).expect("a sound configuration")
}

/// What no descriptor brings about, only a device or a system that fails: see
/// `faults::statuses_and_errors_by_faults`.
pub(crate) const BY_FAULTS: &[(Status, ErrorCode)] = &[
    (Status::BAD_PRIVILEGE, NONE),
    (Status::TRAFFIC_CLASS, NONE),
    (Status::READBACK_FAULT, NONE),
    (Status::HARDWARE_ERROR, NONE),
    (Status::HARDWARE_WRITE_ERROR, NONE),
    (Status::TRANSLATION_ERROR, NONE),
    (Status::PAGE_REQUEST_TIMEOUT, NONE),
    (Status::WATCHDOG, NONE),
    (Status::ANALYTICS_ERROR, ErrorCode::NO_PROGRESS),
    (Status::ANALYTICS_ERROR, ErrorCode::VERIFY_FAILED),
    (Status::ANALYTICS_ERROR, ErrorCode::ADMINISTRATIVE_TIMEOUT),
];

/// What none of the model's operations can end with, and why.
const OUTSIDE: &[(Status, ErrorCode, &str)] = {
    use ErrorCode as E;
    const A: Status = Status::ANALYTICS_ERROR;
    &[
        (
            Status::BAD_INTERRUPT_HANDLE,
            NONE,
            "needs user-mode interrupts, which no queue has: the flag is 0x11, the handle 0x12",
        ),
        (Status::NO_ELEMENTS, NONE, "filters"),
        (Status::BAD_WIDTH, NONE, "filters"),
        (Status::BAD_INVERT, NONE, "filters"),
        (A, E::BAD_LENGTH, "deflate has no code for such a length"),
        (A, E::BAD_PRLE, "filters of Parquet runs"),
        (A, E::FILTER_OVERFLOW, "filters"),
        (A, E::SRC2_TOO_SMALL, "filters with two inputs"),
        (A, E::BAD_PRLE_WIDTH, "filters of Parquet runs"),
        (A, E::TOO_FEW_ELEMENTS, "filters"),
        (A, E::BAD_RLE_COUNT, "RLE burst"),
        (A, E::BAD_ZERO_HEADER, "zero decompress"),
        (A, E::BAD_CRYPTO_FLAG, "encrypt and decrypt"),
        (A, E::BAD_CRYPTO_SIZE, "encrypt and decrypt"),
    ]
};

/// Lines of the table, sorted as they are to be printed: code and error, the
/// status byte, operation and how.
type Lines = BTreeMap<(u8, u8, u8, String), Vec<String>>;

fn line(lines: &mut Lines, status: u8, error: u8, operation: &str, how: &str) {
    let key = (
        status & Status::MASK,
        error,
        status & !Status::MASK,
        operation.to_string(),
    );
    lines.entry(key).or_default().push(how.to_string());
}

fn print(lines: &Lines) {
    println!(
        "{:<5} {:<64} {:<17} how it comes about",
        "code", "meaning", "operation"
    );
    for ((code, error, bits, operation), how) in lines {
        let (code, meaning) = match error {
            0 => (
                format!("{:02x}", code | bits),
                Status(*code).meaning().unwrap_or("?").to_string(),
            ),
            _ => (
                format!("{code:02x}/{error:02x}"),
                ErrorCode(*error).meaning().unwrap_or("?").to_string(),
            ),
        };
        let write = if *bits == 0 { "" } else { " (write)" };
        let meaning = meaning + write;
        let more = match how.len() {
            1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        println!("{code:<5} {meaning:<64} {operation:<17} {}{more}", how[0]);
    }
}

#[test]
fn every_code_is_provoked_or_known_to_be_out_of_reach() {
    let cases: Vec<Case> = checks::cases().into_iter().chain(errors::cases()).collect();
    let mut lines = Lines::new();
    let mut reached = Vec::new();
    for case in &cases {
        for &profile in case.on {
            case.provoke(profile);
        }
        let Completion { status, error, .. } = case.expected;
        reached.push((Status::of(status), ErrorCode(error)));
        let how = if case.recorded {
            case.how.to_string()
        } else {
            format!("{}; in SWERROR", case.how)
        };
        line(&mut lines, status, error, &case.opcode.to_string(), &how);
    }
    not_yet();
    reached.push((Status::NOT_YET, NONE));
    line(&mut lines, 0, 0, "compress", "accepted, not executed yet");
    for &(status, error) in BY_FAULTS {
        line(&mut lines, status.0, error.0, "any", "a fault on demand");
    }
    for &(status, error, why) in OUTSIDE {
        line(&mut lines, status.0, error.0, "none", why);
    }
    print(&lines);

    let known = |code: u8| match code {
        0..=Status::MASK => Status(code).meaning().map(|_| (Status(code), NONE)),
        _ => None,
    };
    let statuses = (0..=u8::MAX).filter_map(known);
    let errors = (1..=u8::MAX).map(ErrorCode).filter_map(|error| {
        error.meaning()?;
        Some((Status::ANALYTICS_ERROR, error))
    });
    for code @ (status, error) in statuses.chain(errors) {
        // The errors are what that status is provoked by.
        if code == (Status::ANALYTICS_ERROR, NONE) {
            continue;
        }
        let outside = OUTSIDE.iter().filter(|o| (o.0, o.1) == code).count();
        let lists = usize::from(reached.contains(&code))
            + BY_FAULTS.iter().filter(|&&f| f == code).count()
            + outside;
        assert_eq!(lists, 1, "lists that have {status}, {error}");
    }
    // And none that nobody knows.
    for (status, error) in reached {
        assert!(status.meaning().is_some() && (error == NONE || error.meaning().is_some()));
    }
}

/// Until the device has executed a descriptor its record stays as it was.
fn not_yet() {
    let mut client = Client::new(device(Profile::GEN1));
    let descriptor = client.sound(Opcode::COMPRESS);
    let before = client.memory();
    let work = client.hold(&descriptor);
    assert_eq!(client.record_bytes(), [0; 64]);
    assert!(client.memory() == before);
    work.complete();
    assert_eq!(client.record_bytes()[0], Status::SUCCESS.0);
    let Memory { dst, .. } = client.memory();
    assert!(dst != before.dst);
}
