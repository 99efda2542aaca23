//! Whether a library can be preloaded into a program.

use crate::error::Error;
use rustix::fs::{Access, access};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Where commands are looked for if nobody says.
const PATH: &str = "/bin:/usr/bin";
/// The loader of programs that glibc on x86-64 is linked with, in whatever place.
const LOADER: &str = "ld-linux-x86-64.so.2";

const SET_UID: u32 = 0o4000;
const SET_GID: u32 = 0o2000;

/// The file that a command's name stands for, as a shell finds it.
pub(super) fn find(command: &OsStr) -> Result<PathBuf, Error> {
    let (found, refused) = if command.as_bytes().contains(&b'/') {
        match check(Path::new(command)) {
            Ok(()) => (Some(command.into()), None),
            Err(error) => (None, Some(error)),
        }
    } else {
        in_path(command)
    };
    let missing = || io::Error::new(io::ErrorKind::NotFound, "command not found");
    found.ok_or_else(|| Error::Command {
        command: command.to_string_lossy().into_owned(),
        source: refused
            .filter(|error| !is_missing(error))
            .unwrap_or_else(missing),
    })
}

/// The first file of that name that can be executed, or why one cannot be.
fn in_path(name: &OsStr) -> (Option<PathBuf>, Option<io::Error>) {
    let path = std::env::var_os("PATH").unwrap_or_else(|| PATH.into());
    let mut refused = None;
    for directory in std::env::split_paths(&path) {
        let here = directory.as_os_str().is_empty();
        let file = if here { Path::new(".") } else { &directory }.join(name);
        // Directories count as little as what is in one that is closed to this user.
        if !file.is_file() {
            continue;
        }
        match check(&file) {
            Ok(()) => return (Some(file), None),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    (None, refused)
}

fn check(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.is_dir() {
        return Err(rustix::io::Errno::ISDIR.into());
    }
    Ok(access(path, Access::EXEC_OK)?)
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Why nothing can be preloaded into a program, if that is known beforehand. A
/// script's interpreter is not looked at.
pub(super) fn hindrance(path: &Path) -> Option<String> {
    let metadata = fs::metadata(path).ok()?;
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    let (mode, uid, gid) = (metadata.mode(), metadata.uid(), metadata.gid());
    if mode & SET_UID != 0 && uid != user || mode & SET_GID != 0 && gid != group {
        return Some("it is set-uid or set-gid, and into such nothing is preloaded".to_owned());
    }
    // What may be executed and not read is not for us to judge.
    let file = File::open(path).ok()?;
    match loader(&file) {
        Ok(Loader::NoProgram) | Err(_) => None,
        Ok(Loader::Foreign) => Some("it is no program for x86-64".to_owned()),
        Ok(Loader::Static) => {
            Some("it is linked statically, and into such nothing is preloaded".to_owned())
        }
        Ok(Loader::At(loader)) if loader.file_name() == Some(LOADER.as_ref()) => None,
        Ok(Loader::At(loader)) => Some(format!(
            "it is not linked with glibc for x86-64: its loader is {}",
            loader.display()
        )),
    }
}

/// Who loads a program's libraries.
#[derive(Debug, PartialEq, Eq)]
enum Loader {
    /// It is no ELF file.
    NoProgram,
    /// It is one for another processor.
    Foreign,
    /// Nobody: it has none.
    Static,
    /// The program at this path.
    At(PathBuf),
}

/// Reads as much of an ELF file (elf(5)) as tells its loader.
fn loader(file: &File) -> io::Result<Loader> {
    const EHDR: usize = 64;
    const PHDR: usize = 56;
    const X86_64: u16 = 62;
    const PT_INTERP: u32 = 3;
    const PATH_MAX: usize = 4096;

    let mut header = [0; EHDR];
    let got = file.read_at(&mut header, 0)?;
    if !header[..got].starts_with(b"\x7fELF") {
        return Ok(Loader::NoProgram);
    }
    // 64 bits, little-endian.
    if header[4..6] != [2, 1] || u16_at(&header, 18) != X86_64 {
        return Ok(Loader::Foreign);
    }
    let table = u64_at(&header, 32);
    for number in 0..u64::from(u16_at(&header, 56)) {
        let mut segment = [0; PHDR];
        file.read_exact_at(&mut segment, table.saturating_add(number * PHDR as u64))?;
        if segment[..4] == PT_INTERP.to_le_bytes() {
            let length = usize::try_from(u64_at(&segment, 32)).unwrap_or(PATH_MAX);
            let mut path = vec![0; length.min(PATH_MAX)];
            file.read_exact_at(&mut path, u64_at(&segment, 8))?;
            let end = path.iter().position(|&byte| byte == 0);
            path.truncate(end.unwrap_or(path.len()));
            return Ok(Loader::At(std::ffi::OsString::from_vec(path).into()));
        }
    }
    Ok(Loader::Static)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn loader_of(bytes: &[u8]) -> io::Result<Loader> {
        let file = tempfile::tempfile()?;
        file.write_all_at(bytes, 0)?;
        loader(&file)
    }

    /// This test itself, which is a program with a loader.
    fn own() -> Vec<u8> {
        fs::read("/proc/self/exe").unwrap()
    }

    #[test]
    fn programs_tell_their_loader() {
        let own = own();
        let Loader::At(path) = loader_of(&own).unwrap() else {
            panic!("a test is linked dynamically");
        };
        assert_eq!(path.file_name(), Some(LOADER.as_ref()));
        // The same without its PT_INTERP, and for another processor.
        let mut changed = own.clone();
        let table = u64_at(&own, 32) as usize;
        for number in 0..usize::from(u16_at(&own, 56)) {
            let at = table + number * 56;
            if changed[at..at + 4] == 3_u32.to_le_bytes() {
                changed[at] = 0;
            }
        }
        assert_eq!(loader_of(&changed).unwrap(), Loader::Static);
        changed[18] = 183;
        assert_eq!(loader_of(&changed).unwrap(), Loader::Foreign);
        assert_eq!(loader_of(b"#!/bin/sh\n").unwrap(), Loader::NoProgram);
        assert_eq!(loader_of(b"").unwrap(), Loader::NoProgram);
        // Cut off before the table is over: it is not said to be static.
        assert!(loader_of(&own[..table + 57]).is_err());
    }

    #[test]
    fn names_are_found_as_by_a_shell() {
        assert!(find("sh".as_ref()).unwrap().is_absolute());
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x");
        let code = |path: &Path| find(path.as_os_str()).unwrap_err().exit_code();
        assert_eq!(code(&file), 127);
        fs::write(&file, "#!/bin/sh\n").unwrap();
        assert_eq!(code(&file), 126);
        assert_eq!(code(&file.join("below")), 127);
        assert_eq!(code(dir.path()), 126);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(find(file.as_os_str()).unwrap(), file);
        assert_eq!(code(Path::new("no-such-command")), 127);
    }
}
