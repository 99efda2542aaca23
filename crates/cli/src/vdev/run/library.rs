//! Where the library is that is preloaded.

use crate::error::Error;
use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The name that cargo gives it.
const NAME: &str = "libpagepress_preload.so";

/// The variable that names libraries to preload.
pub(super) const VARIABLE: &str = "LD_PRELOAD";

/// The library: `named`, or one beside this program.
pub(super) fn find(named: Option<&Path>) -> Result<PathBuf, Error> {
    let candidates = match named {
        Some(named) => vec![named.to_owned()],
        None => beside(&env::current_exe().map_err(|source| Error::Read {
            what: "/proc/self/exe".to_owned(),
            source,
        })?),
    };
    // The newest, the nearest of several: `cargo build` leaves one here, and other builds
    // make it anew in `deps` only.
    let age = |library: &Path| library.metadata().ok()?.modified().ok();
    let there = candidates.iter().rev().filter(|library| library.is_file());
    let found = there.max_by_key(|library| age(library));
    // Absolute, as COMMAND may go elsewhere.
    let found = found.and_then(|library| library.canonicalize().ok());
    let Some(found) = found else {
        let places: Vec<String> = candidates
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        return Err(Error::Usage(format!(
            "the library to preload is not there ({}); `cargo build --release --workspace` makes it",
            places.join(", ")
        )));
    };
    // Nothing quotes them there.
    if found
        .as_os_str()
        .as_bytes()
        .iter()
        .any(|b| b" :".contains(b))
    {
        return Err(Error::Usage(format!(
            "{}: {VARIABLE} takes no path with a space or a colon; use --library with another one",
            found.display()
        )));
    }
    Ok(found)
}

/// Where it is if it was built, or installed, with this program.
fn beside(program: &Path) -> Vec<PathBuf> {
    let here = program.parent().unwrap_or(Path::new("/"));
    let installed = here.parent().unwrap_or(Path::new("/"));
    vec![
        here.join(NAME),
        here.join("deps").join(NAME),
        installed.join("lib/pagepress").join(NAME),
    ]
}

/// What the variable says then; what it said before goes on being preloaded.
pub(super) fn before(library: PathBuf, others: Option<OsString>) -> OsString {
    let mut all = library.into_os_string();
    if let Some(others) = others.filter(|others| !others.is_empty()) {
        all.push(":");
        all.push(others);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn libraries_are_looked_for_beside_the_program() {
        let places = beside(Path::new("/opt/bin/pagepress"));
        let expected = [
            "/opt/bin/libpagepress_preload.so",
            "/opt/bin/deps/libpagepress_preload.so",
            "/opt/lib/pagepress/libpagepress_preload.so",
        ];
        assert_eq!(places, expected.map(PathBuf::from));
    }

    #[test]
    fn a_library_that_cannot_be_named_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let says = |path: &Path| find(Some(path)).unwrap_err().to_string();
        let at = dir.path().join("l.so");
        assert!(says(&at).contains("is not there"));
        fs::write(&at, "").unwrap();
        assert_eq!(find(Some(&at)).unwrap(), at.canonicalize().unwrap());
        for name in ["l so", "l:so"] {
            let at = dir.path().join(name);
            fs::write(&at, "").unwrap();
            assert!(says(&at).contains("takes no path"), "{name}");
        }
    }

    #[test]
    fn what_was_preloaded_still_is() {
        let with = |others: &str| before("/l.so".into(), Some(others.into()));
        assert_eq!(with("/a.so /b.so"), "/l.so:/a.so /b.so");
        assert_eq!(with(""), "/l.so");
        assert_eq!(before("/l.so".into(), None), "/l.so");
    }
}
