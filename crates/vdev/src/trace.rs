//! A line for each descriptor.

use crate::sys;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicI32, Ordering};
use pagepress_abi::flags::{compress, decompress, op};
use pagepress_abi::{Completion, Descriptor, Opcode, Status};
use pagepress_model::observe::{End, Refused};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// A file that lines are appended to, by all processes alike.
#[derive(Debug)]
pub struct Trace {
    path: CString,
    fd: AtomicI32,
    /// Device and inode, to know the file by.
    file: (u64, u64),
}

impl Trace {
    /// The trace in a file, which has to be there; `None` if it cannot be opened.
    #[must_use]
    pub fn open(path: &Path) -> Option<Self> {
        let path = CString::new(path.as_os_str().as_bytes()).ok()?;
        let fd = open(&path)?;
        let stat = sys::stat_fd(fd).ok()?;
        Some(Self {
            path,
            fd: AtomicI32::new(fd),
            file: (stat.st_dev, stat.st_ino),
        })
    }

    /// Appends a line, whole: `O_APPEND` sees to that.
    fn append(&self, line: &[u8]) {
        let fd = self.fd.load(Ordering::Relaxed);
        let is_ours = |fd| sys::stat_fd(fd).is_ok_and(|s| (s.st_dev, s.st_ino) == self.file);
        let fd = if is_ours(fd) {
            fd
        } else {
            // The program has closed it.
            let Some(fd) = open(&self.path) else { return };
            self.fd.store(fd, Ordering::Relaxed);
            fd
        };
        // On a full disk there is nothing to be done.
        let _ = sys::write(fd, line);
    }

    /// Appends the line of a descriptor that was taken and has ended.
    pub fn ended(&self, at: Duration, queue: &str, descriptor: &Descriptor, end: End) {
        let mut line = Line::begin(at, queue, descriptor);
        let _ = match end {
            End::Completed(completion) => line.completion(descriptor, &completion),
            End::Untold(error) => write!(line, " -> untold: {error}"),
            End::Abandoned => line.write_str(" -> never completed"),
        };
        self.append(line.end());
    }

    /// Appends the line of a descriptor that was lost.
    pub fn lost(&self, at: Duration, queue: &str, descriptor: &Descriptor, why: Refused) {
        let mut line = Line::begin(at, queue, descriptor);
        let _ = line.write_str(match why {
            Refused::Retry => " -> sent back",
            Refused::Dropped => " -> dropped: the queue was full",
            Refused::Ignored => " -> ignored: the queue took nothing",
        });
        self.append(line.end());
    }
}

fn open(path: &CString) -> Option<i32> {
    let fd = sys::open_to_append(path).ok()?;
    // Small numbers are the program's if the others are not to be had.
    let Ok(high) = sys::duplicate(fd) else {
        return Some(fd);
    };
    sys::close(fd);
    Some(high)
}

/// A line that is being written; what does not fit is cut off.
struct Line {
    bytes: [u8; 768],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Room for the end of the line stays.
        let room = self.bytes.len() - 1 - self.len;
        let part = &text.as_bytes()[..text.len().min(room)];
        self.bytes[self.len..][..part.len()].copy_from_slice(part);
        self.len += part.len();
        Ok(())
    }
}

impl Line {
    /// What was submitted, when, by whom.
    fn begin(at: Duration, queue: &str, d: &Descriptor) -> Self {
        let mut line = Self {
            bytes: [0; 768],
            len: 0,
        };
        let pid = std::process::id();
        let at = at.as_secs_f64();
        let _ = write!(line, "{at:.6} pid={pid} {queue} {}", d.opcode());
        line.flags("op", d.op_flags(), &OP_FLAGS);
        let operands = !matches!(d.opcode(), Opcode::NOOP | Opcode::DRAIN);
        if operands {
            match d.opcode() {
                Opcode::COMPRESS => line.flags("compress", d.flags.into(), &COMPRESS_FLAGS),
                Opcode::DECOMPRESS => line.flags("decompress", d.flags.into(), &DECOMPRESS_FLAGS),
                _ if d.flags != 0 => line.put(format_args!(" flags={:#06x}", d.flags)),
                _ => {}
            }
            line.put(format_args!(" src1={:#x}+{}", d.src1, d.src1_len));
        }
        if operands && (d.dst != 0 || d.dst_max != 0) {
            line.put(format_args!(" dst={:#x}+{}", d.dst, d.dst_max));
        }
        if d.src2 != 0 || d.src2_len != 0 {
            line.put(format_args!(" src2={:#x}+{}", d.src2, d.src2_len));
        }
        if d.opcode() == Opcode::CRC64 {
            let polynomial = u64::from(d.elements) << 32 | u64::from(d.flags2);
            line.put(format_args!(" polynomial={polynomial:#x}"));
        } else if d.flags2 != 0 || d.elements != 0 {
            line.put(format_args!(
                " flags2={:#x} elements={}",
                d.flags2, d.elements
            ));
        }
        if d.op_flags() & op::CRAV != 0 {
            line.put(format_args!(" record={:#x}", d.completion));
        }
        line
    }

    fn put(&mut self, what: fmt::Arguments<'_>) {
        // A line takes anything.
        let _ = self.write_fmt(what);
    }

    /// Flags by their names, the rest of them as a number.
    fn flags(&mut self, what: &str, mut flags: u32, names: &[(u32, &str)]) {
        if flags == 0 {
            return;
        }
        self.put(format_args!(" {what}="));
        let mut first = true;
        for &(mask, name) in names {
            // Fields that hold a number are named by their value.
            if flags & mask == mask {
                flags &= !mask;
                self.put(format_args!("{}{name}", if first { "" } else { "," }));
                first = false;
            }
        }
        if flags != 0 {
            self.put(format_args!("{}{flags:#x}", if first { "" } else { "," }));
        }
    }

    fn completion(&mut self, d: &Descriptor, c: &Completion) -> fmt::Result {
        write!(self, " -> ")?;
        match c.status() {
            Status::SUCCESS => self.write_str("success")?,
            Status::ANALYTICS_ERROR => {
                write!(self, "{}", pagepress_abi::ErrorCode(c.error))?;
            }
            status => write!(self, "{status}")?,
        }
        if c.status & Status::WRITE_FAULT != 0 {
            self.write_str(", on a write")?;
        }
        if c.fault_addr != 0 {
            write!(self, ", at {:#x}", c.fault_addr)?;
        }
        if c.invalid_flags != 0 {
            write!(self, ", flags {:#x}", c.invalid_flags)?;
        }
        match d.opcode() {
            Opcode::CRC64 if c.status() == Status::SUCCESS => {
                write!(self, " crc64={:#018x}", c.crc64)
            }
            Opcode::COMPRESS | Opcode::DECOMPRESS
                if matches!(c.status(), Status::SUCCESS | Status::OUTPUT_OVERFLOW) =>
            {
                write!(self, " {} bytes", c.output_size)?;
                if c.output_bits != 0 {
                    write!(self, ", {} bits in the last", c.output_bits)?;
                }
                write!(self, " crc={:#010x}", c.crc)
            }
            _ => Ok(()),
        }
    }

    fn end(&mut self) -> &[u8] {
        self.bytes[self.len] = b'\n';
        &self.bytes[..=self.len]
    }
}

const OP_FLAGS: [(u32, &str); 16] = [
    (op::BLOCK_ON_FAULT, "block-on-fault"),
    (op::CRAV, "crav"),
    (op::RCR, "rcr"),
    (op::INTERRUPT, "interrupt"),
    (op::CACHE_CONTROL, "cache-control"),
    (op::TC_SRC1, "tc-src1"),
    (op::TC_DST, "tc-dst"),
    (op::TC_SRC2, "tc-src2"),
    (op::TC_CR, "tc-cr"),
    (op::STRICT_ORDER, "strict-order"),
    (op::READBACK, "readback"),
    (op::READ_SRC2_AECS, "read-aecs"),
    (op::WRITE_SRC2_AECS, "write-aecs"),
    (op::WRITE_SRC2_OVERFLOW, "write-aecs-on-overflow"),
    (op::CRC32C, "crc32c"),
    (op::AECS_TOGGLE, "toggle"),
];

const COMPRESS_FLAGS: [(u32, &str); 7] = [
    (compress::STATISTICS as u32, "statistics"),
    (compress::FLUSH as u32, "flush"),
    // The sum of the two that follow.
    (compress::END_EOB_BFINAL as u32, "end-of-block+final"),
    (compress::END_EOB as u32, "end-of-block"),
    (compress::END_EOB_STORED as u32, "end-of-block+stored"),
    (compress::ALL_LITERALS as u32, "all-literals"),
    (compress::BE16 as u32, "be16"),
];

const DECOMPRESS_FLAGS: [(u32, &str); 8] = [
    (decompress::ENABLE as u32, "enable"),
    (decompress::FLUSH as u32, "flush"),
    (decompress::STOP_ON_EOB as u32, "stop-on-eob"),
    (decompress::CHECK_EOB as u32, "check-eob"),
    (decompress::SELECT_BFINAL as u32, "select-bfinal"),
    (decompress::BE16 as u32, "be16"),
    (decompress::SUPPRESS_OUTPUT as u32, "suppress-output"),
    (decompress::LOAD_PARTIAL as u32, "load-partial"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use pagepress_abi::ErrorCode;

    fn descriptor() -> Descriptor {
        Descriptor {
            src1: 0x1000,
            src1_len: 4096,
            dst: 0x3000,
            dst_max: 4000,
            src2: 0x5000,
            src2_len: 1568,
            completion: 0x7000,
            flags: compress::FLUSH | compress::END_EOB_BFINAL | 1 << 9,
            ..Descriptor::new(
                Opcode::COMPRESS,
                op::CRAV | op::RCR | op::READ_SRC2_AECS | 1,
            )
        }
    }

    #[test]
    fn lines_say_what_was_asked_and_what_came_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace");
        std::fs::write(&path, []).unwrap();
        let trace = Trace::open(&path).unwrap();
        let at = Duration::from_micros(1_500_001);
        let success = Completion {
            status: 1,
            output_size: 1234,
            output_bits: 3,
            crc: 0xABCD,
            ..Completion::default()
        };
        let fault = Completion {
            status: 0x83,
            fault_addr: 0x3000,
            ..Completion::default()
        };
        let error = Completion {
            status: 0x0A,
            error: ErrorCode::OVERFLOW.0,
            ..Completion::default()
        };
        let d = descriptor();
        trace.ended(at, "wq1.0", &d, End::Completed(success));
        trace.ended(at, "wq1.0", &d, End::Completed(fault));
        // The program closes what it does not know.
        sys::close(trace.fd.load(Ordering::Relaxed));
        trace.ended(at, "wq1.0", &d, End::Completed(error));
        trace.ended(at, "wq1.0", &d, End::Abandoned);
        let noop = Descriptor::new(Opcode::NOOP, 0);
        trace.lost(at, "wq3.0", &noop, Refused::Dropped);
        let begin = format!(
            "1.500001 pid={} wq1.0 compress op=crav,rcr,read-aecs,0x1 \
             compress=flush,end-of-block+final,0x200 src1=0x1000+4096 dst=0x3000+4000 \
             src2=0x5000+1568 record=0x7000 -> ",
            std::process::id()
        );
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0].strip_prefix(&begin),
            Some("success 1234 bytes, 3 bits in the last crc=0x0000abcd")
        );
        assert_eq!(
            lines[1].strip_prefix(&begin),
            Some(
                "status 0x03: page fault, and the descriptor did not ask to wait for it, \
                 on a write, at 0x3000"
            )
        );
        assert!(lines[2].contains("-> error 0x19: "), "{}", lines[2]);
        assert!(lines[3].ends_with("-> never completed"), "{}", lines[3]);
        assert!(
            lines[4].ends_with(" wq3.0 noop -> dropped: the queue was full"),
            "{}",
            lines[4]
        );
        assert_eq!(lines.len(), 5);
        assert!(Trace::open(Path::new("/nothing/at/all")).is_none());
    }
}
