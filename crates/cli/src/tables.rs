//! Files of canned tables.

use crate::error::Error;
use pagepress::Tables;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// More than any tables have.
const MOST: u64 = 1 << 16;

/// Reads a file that `pagepress train` wrote.
///
/// # Errors
/// If there is none to be read, or it holds no tables.
pub(crate) fn load(path: &Path) -> Result<Tables, Error> {
    let file = path.display().to_string();
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|it| it.take(MOST).read_to_end(&mut bytes));
    if let Err(source) = read {
        return Err(Error::Read { what: file, source });
    }
    Tables::from_bytes(&bytes).map_err(|why| Error::Tables { file, why })
}

/// The id as it is shown.
pub(crate) fn id(tables: &Tables) -> String {
    format!("{:#010x}", tables.id())
}
