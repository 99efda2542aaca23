//! Core files: the memory that a process or a machine had when it was dumped.
//!
//! Only what finds the segments is read here, a few fields at fixed places
//! (elf(5)), with every number checked against the file's length.

use super::PAGE;
use super::extents::Extent;
use crate::error::describe;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

/// Why a core file was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CoreError {
    /// Of a kind that is not read here.
    #[error("a {0} ELF core file; only 64-bit little-endian ones can be read")]
    Format(&'static str),
    /// It ends before something that it tells of.
    #[error("the core file is cut short: its {what} ends at byte {end}, the file at {len}")]
    CutShort {
        /// What should be there.
        what: String,
        /// Where that would end.
        end: u64,
        /// Where the file ends.
        len: u64,
    },
    /// It contradicts itself.
    #[error("not a sound core file: {0}")]
    Unsound(String),
    /// It has notes at most.
    #[error("the core file has no whole page of memory in it")]
    NoMemory,
    /// The system's own words.
    #[error("{}", describe(.0))]
    Io(#[from] io::Error),
}

/// The memory in a core file.
#[derive(Debug)]
pub(super) struct Core {
    /// In the order of the file, none of them twice; each begins with a page
    /// and has whole pages of 4 KiB only.
    pub(super) segments: Vec<Extent>,
    /// Pages of which only a part is in the file, at a segment's ends.
    pub(super) partial: u64,
}

const EHDR: usize = 64;
const PHDR: usize = 56;
const ET_CORE: u16 = 4;
const PT_LOAD: u32 = 1;
/// The number of segments is in the first section header.
const PN_XNUM: u16 = 0xffff;
/// Linux lets a process have 65530 mappings, if nobody raises that.
const MAX_SEGMENTS: u64 = 1 << 20;

/// Looks for a core file in `file`, which has `len` bytes. `None` if it is
/// something else.
pub(super) fn core(file: &File, len: u64) -> Result<Option<Core>, CoreError> {
    let mut ehdr = [0; EHDR];
    let got = read_up_to(file, &mut ehdr)?;
    if got < 18 || !ehdr.starts_with(b"\x7fELF") {
        return Ok(None);
    }
    let (bits, big_endian) = (ehdr[4], ehdr[5] == 2);
    let kind = [ehdr[16], ehdr[17]];
    let kind = if big_endian {
        u16::from_be_bytes(kind)
    } else {
        u16::from_le_bytes(kind)
    };
    match (bits, ehdr[5]) {
        _ if kind != ET_CORE => return Ok(None),
        (2, 1) => {}
        (1, _) => return Err(CoreError::Format("32-bit")),
        (2, 2) => return Err(CoreError::Format("big-endian")),
        _ => return Err(CoreError::Format("strange")),
    }
    within(|| "ELF header".to_owned(), 0, EHDR as u64, len)?;
    if got < EHDR {
        return Err(io::Error::from(ErrorKind::UnexpectedEof).into());
    }
    let table = u64_at(&ehdr, 32);
    let count = count(file, &ehdr, len)?;
    if count > 0 && usize::from(u16_at(&ehdr, 54)) != PHDR {
        let size = u16_at(&ehdr, 54);
        return Err(CoreError::Unsound(format!(
            "its program headers have {size} bytes, not {PHDR}"
        )));
    }
    let what = || format!("table of {count} program headers");
    within(what, table, count * PHDR as u64, len)?;
    let core = read_segments(file, table, count, len)?;
    if core.segments.is_empty() {
        return Err(CoreError::NoMemory);
    }
    Ok(Some(core))
}

/// How many program headers there are.
fn count(file: &File, ehdr: &[u8], len: u64) -> Result<u64, CoreError> {
    let count = match u16_at(ehdr, 56) {
        PN_XNUM => {
            let section = u64_at(ehdr, 40);
            within(|| "first section header".to_owned(), section, 64, len)?;
            let mut info = [0; 4];
            file.read_exact_at(&mut info, section + 44)?;
            u64::from(u32::from_le_bytes(info))
        }
        count => u64::from(count),
    };
    if count > MAX_SEGMENTS {
        return Err(CoreError::Unsound(format!(
            "it claims {count} segments, more than {MAX_SEGMENTS}"
        )));
    }
    Ok(count)
}

fn read_segments(file: &File, table: u64, count: u64, len: u64) -> Result<Core, CoreError> {
    const BLOCK: u64 = 1024;
    let page = PAGE as u64;
    let mut core = Core {
        segments: Vec::new(),
        partial: 0,
    };
    let mut block = Vec::new();
    for first in (0..count).step_by(BLOCK as usize) {
        block.resize((count - first).min(BLOCK) as usize * PHDR, 0);
        file.read_exact_at(&mut block, table + first * PHDR as u64)?;
        for (number, phdr) in (first..).zip(block.chunks_exact(PHDR)) {
            let (offset, bytes) = (u64_at(phdr, 8), u64_at(phdr, 32));
            if u32_at(phdr, 0) != PT_LOAD || bytes == 0 {
                continue;
            }
            within(|| format!("segment {number}"), offset, bytes, len)?;
            // Where pages begin is told by the address: gdb puts segments
            // anywhere in the file.
            let address = u64_at(phdr, 16) % page;
            let skip = (page - address) % page;
            let whole = bytes.saturating_sub(skip) / page * page;
            core.partial += u64::from(skip > 0) + u64::from(bytes > skip + whole);
            if whole > 0 {
                core.segments.push(Extent {
                    offset: offset + skip,
                    len: whole,
                });
            }
        }
    }
    // A machine's dump may show the same memory at several addresses.
    core.segments.sort_by_key(|segment| segment.offset);
    let mut end = 0;
    core.segments.retain_mut(|segment| {
        let twice = end.max(segment.offset) - segment.offset;
        let twice = twice.next_multiple_of(page).min(segment.len);
        segment.offset += twice;
        segment.len -= twice;
        end = end.max(segment.end());
        segment.len > 0
    });
    Ok(core)
}

/// Checks that `bytes` bytes from `offset` on are in a file of `len` bytes.
fn within(what: impl Fn() -> String, offset: u64, bytes: u64, len: u64) -> Result<(), CoreError> {
    let Some(end) = offset.checked_add(bytes) else {
        return Err(CoreError::Unsound(format!("its {} has no end", what())));
    };
    if end > len {
        return Err(CoreError::CutShort {
            what: what(),
            end,
            len,
        });
    }
    Ok(())
}

fn read_up_to(file: &File, to: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < to.len() {
        match file.read_at(&mut to[got..], got as u64) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("2 bytes"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header and segments of these offsets, addresses and lengths.
    fn image(segments: &[[u64; 3]]) -> Vec<u8> {
        let mut ehdr = vec![0; EHDR];
        ehdr[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        ehdr[16] = ET_CORE as u8;
        ehdr[32] = EHDR as u8;
        ehdr[54] = PHDR as u8;
        ehdr[56] = segments.len() as u8;
        for &[offset, address, bytes] in segments {
            let words = [PT_LOAD.into(), offset, address, 0, bytes, bytes, 4096];
            ehdr.extend(words.iter().flat_map(|word: &u64| word.to_le_bytes()));
        }
        ehdr
    }

    fn look(image: &[u8], len: u64) -> Result<Option<Core>, CoreError> {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(image, 0).unwrap();
        file.set_len(len).unwrap();
        core(&file, len)
    }

    fn segments(of: &[[u64; 3]]) -> (Vec<(u64, u64)>, u64) {
        let core = look(&image(of), 1 << 40).unwrap().unwrap();
        let segments = core.segments.iter();
        let segments = segments.map(|segment| (segment.offset, segment.len));
        (segments.collect(), core.partial)
    }

    #[test]
    fn pages_begin_where_addresses_say_and_count_once() {
        assert_eq!(
            segments(&[
                [0x1000, 0x7000, 0x2000],
                [0x3000, 0, 0],
                [0x3010, 0, 0x1000]
            ]),
            (vec![(0x1000, 0x2000), (0x3010, 0x1000)], 0)
        );
        // Parts of pages at both ends; nothing but such.
        assert_eq!(
            segments(&[[0x1000, 0x800, 0x2000], [0x9000, 0x10, 0x20]]),
            (vec![(0x1800, 0x1000)], 3)
        );
        // Backwards, and each partly or wholly in another.
        assert_eq!(
            segments(&[
                [0x9000, 0, 0x1000],
                [0x2000, 0, 0x3000],
                [0x1000, 0, 0x3000],
                [0x4000, 0, 0x800],
                [0x1000, 0x1000, 0x1000]
            ]),
            (
                vec![(0x1000, 0x3000), (0x4000, 0x1000), (0x9000, 0x1000)],
                1
            )
        );
    }

    #[test]
    fn no_file_is_believed() {
        let good = image(&[[0x1000, 0, 0x2000], [0x3000, 0, 0x1000]]);
        for len in 0..0x4000 {
            match look(&good, len) {
                Ok(None) => assert!(len < 18),
                Err(CoreError::CutShort { end, len: told, .. }) => {
                    assert!(len >= 18 && end > len && told == len);
                }
                other => panic!("{len}: {other:?}"),
            }
        }
        assert!(look(&good, 0x4000).unwrap().is_some());
        for at in 4..good.len() {
            for byte in 0..=255 {
                let mut bad = good.clone();
                bad[at] = byte;
                let Ok(Some(core)) = look(&bad, 0x4000) else {
                    continue;
                };
                let mut end = 0;
                for segment in core.segments {
                    assert!(segment.offset >= end && segment.len > 0, "{at}: {byte}");
                    assert_eq!(segment.len % PAGE as u64, 0);
                    end = segment.end();
                }
                assert!(end <= 0x4000, "{at}: {byte}");
            }
        }
    }

    #[test]
    fn numbers_without_measure() {
        let mut many = image(&[[0x1000, 0, 0x1000]]);
        many[56..58].fill(0xff);
        many[41] = 0x10;
        many.resize(0x2000, 0);
        // The first section header has the count.
        many[0x1000 + 44] = 1;
        assert!(look(&many, 1 << 40).unwrap().is_some());
        many[0x1000 + 44..0x1000 + 48].fill(0xff);
        let told = look(&many, 1 << 40).unwrap_err().to_string();
        assert!(told.contains("claims 4294967295 segments"), "{told}");
        for endless in [
            [u64::MAX, 0, 2],
            [0x1000, 0, u64::MAX],
            [u64::MAX - 4095, 1, 4096],
        ] {
            assert!(matches!(
                look(&image(&[endless]), 1 << 40),
                Err(CoreError::Unsound(_))
            ));
        }
        assert!(matches!(
            look(&image(&[]), 1 << 40),
            Err(CoreError::NoMemory)
        ));
    }
}
