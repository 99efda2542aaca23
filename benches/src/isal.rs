//! ISA-L's deflate, if the machine has it: the library is looked for when the program
//! runs (`apt-get install libisal2`), so that it builds everywhere.

#![expect(unsafe_code, reason = "ISA-L is C, loaded while running")]

use crate::PAGE;
use crate::rivals::{Rival, libdeflate};
use libloading::Library;
use std::ffi::c_int;
use std::ptr;
use std::sync::{Arc, OnceLock};

/// log2 of the history that matches may reach back.
const HIST_BITS: u16 = 12;

/// `IGZIP_HUFFTABLE_*` of igzip_lib.h.
const CUSTOM: c_int = 0;
const DEFAULT: c_int = 1;
const STATIC: c_int = 2;

/// Bytes for level 1: `ISAL_DEF_LVL1_DEFAULT`.
const LEVEL_BUFFER: usize = 4 * 1024 + 2 * 8 * 1024 + 4 * 64 * 1024;

/// `struct isal_zstream`. What comes after the fields that are named is ISA-L's own,
/// 82 KiB in 2.30 and 2.31; there is room for more.
#[repr(C, align(64))]
struct Stream {
    next_in: *const u8,
    avail_in: u32,
    total_in: u32,
    next_out: *mut u8,
    avail_out: u32,
    total_out: u32,
    hufftables: *const Hufftables,
    level: u32,
    level_buf_size: u32,
    level_buf: *mut u8,
    end_of_stream: u16,
    flush: u16,
    gzip_flag: u16,
    hist_bits: u16,
    own: [u8; 256 * 1024],
}

/// `struct isal_hufftables`: the header comes first, the rest (1.9 KiB, or 34 in builds
/// with longer tables) is ISA-L's own.
#[repr(C, align(64))]
struct Hufftables {
    header: [u8; 328],
    header_bytes: u32,
    header_odd_bits: u32,
    own: [u8; 64 * 1024],
}

/// `struct isal_huff_histogram`.
#[repr(C)]
struct Histogram {
    literals: [u64; 286],
    distances: [u64; 30],
    hash: [u16; 8 * 1024],
}

struct Functions {
    init: unsafe extern "C" fn(*mut Stream),
    deflate: unsafe extern "C" fn(*mut Stream) -> c_int,
    set_hufftables: unsafe extern "C" fn(*mut Stream, *const Hufftables, c_int) -> c_int,
    count: unsafe extern "C" fn(*const u8, c_int, *mut Histogram),
    create_hufftables: unsafe extern "C" fn(*mut Hufftables, *const Histogram) -> c_int,
    /// Never dropped, so that the functions stay.
    _library: Library,
}

fn functions() -> Option<&'static Functions> {
    static LOADED: OnceLock<Option<Functions>> = OnceLock::new();
    LOADED.get_or_init(load).as_ref()
}

fn load() -> Option<Functions> {
    // SAFETY: ISA-L's only initialisation is to look what the CPU can do.
    let library = unsafe { Library::new("libisal.so.2") }.ok()?;
    macro_rules! function {
        ($name:literal) => {
            // SAFETY: the field that it goes to has the type that igzip_lib.h gives it,
            // which is the same for all of version 2. The library stays loaded.
            *unsafe { library.get($name) }.ok()?
        };
    }
    Some(Functions {
        init: function!(c"isal_deflate_stateless_init"),
        deflate: function!(c"isal_deflate_stateless"),
        set_hufftables: function!(c"isal_deflate_set_hufftables"),
        count: function!(c"isal_update_histogram"),
        create_hufftables: function!(c"isal_create_hufftables"),
        _library: library,
    })
}

/// Which codes level 0 writes.
#[derive(Debug, Clone)]
pub enum Codes {
    /// deflate's fixed ones.
    Fixed,
    /// ISA-L's own, whose header is in each page.
    Default,
    /// Made from other pages.
    Custom(Tables),
}

/// Codes made from pages.
#[derive(Clone)]
pub struct Tables(Arc<Hufftables>);

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tables")
            .field("header_bits", &self.header_bits())
            .finish_non_exhaustive()
    }
}

impl Tables {
    /// Codes for pages such as these; `None` without ISA-L.
    ///
    /// # Panics
    /// If ISA-L makes none.
    #[must_use]
    pub fn train<'a>(pages: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let isal = functions()?;
        let mut histogram = Box::new(Histogram {
            literals: [0; 286],
            distances: [0; 30],
            hash: [0; 8 * 1024],
        });
        for page in pages {
            // SAFETY: reads `page.len()` bytes of a live slice that a C int can count,
            // and adds to a histogram of the type that it takes.
            unsafe { (isal.count)(page.as_ptr(), page.len() as c_int, &raw mut *histogram) };
        }
        let mut tables = Box::new(Hufftables {
            header: [0; 328],
            header_bytes: 0,
            header_odd_bits: 0,
            own: [0; 64 * 1024],
        });
        // SAFETY: writes a hufftables, for which there is more than enough room, from a
        // live histogram; keeps neither.
        let code = unsafe { (isal.create_hufftables)(&raw mut *tables, &raw const *histogram) };
        assert_eq!(code, 0, "ISA-L makes codes of any histogram");
        Some(Self(tables.into()))
    }

    /// Bits of the header that each page has, and a reader who knows it would not need.
    #[must_use]
    pub fn header_bits(&self) -> usize {
        8 * self.0.header_bytes as usize + self.0.header_odd_bits as usize
    }
}

/// What a stream points to.
struct Context {
    stream: Box<Stream>,
    _level_buffer: Vec<u8>,
    _codes: Codes,
}

fn context(level: u32, codes: Codes) -> Option<(Context, &'static Functions)> {
    let isal = functions()?;
    let mut stream = Box::new(Stream {
        next_in: ptr::null(),
        avail_in: 0,
        total_in: 0,
        next_out: ptr::null_mut(),
        avail_out: 0,
        total_out: 0,
        hufftables: ptr::null(),
        level: 0,
        level_buf_size: 0,
        level_buf: ptr::null_mut(),
        end_of_stream: 0,
        flush: 0,
        gzip_flag: 0,
        hist_bits: 0,
        own: [0; 256 * 1024],
    });
    // SAFETY: sets the fields of a live stream.
    unsafe { (isal.init)(&raw mut *stream) };
    let (tables, kind) = match &codes {
        Codes::Fixed => (ptr::null(), STATIC),
        Codes::Default => (ptr::null(), DEFAULT),
        Codes::Custom(tables) => (Arc::as_ptr(&tables.0), CUSTOM),
    };
    // SAFETY: the stream is live, and so are the tables, which ISA-L keeps a pointer to,
    // as long as it: `Context` has both.
    let code = unsafe { (isal.set_hufftables)(&raw mut *stream, tables, kind) };
    assert_eq!(code, 0, "a new stream takes any tables");
    let mut level_buffer = vec![0; LEVEL_BUFFER];
    stream.level = level;
    if level > 0 {
        stream.level_buf = level_buffer.as_mut_ptr();
        stream.level_buf_size = LEVEL_BUFFER as u32;
    }
    stream.hist_bits = HIST_BITS;
    stream.end_of_stream = 1;
    let context = Context {
        stream,
        _level_buffer: level_buffer,
        _codes: codes,
    };
    Some((context, isal))
}

impl Context {
    /// A method, so that a closure with a context in it has all of it.
    fn compress(&mut self, isal: &Functions, page: &[u8], dst: &mut [u8]) -> Option<usize> {
        let stream = &mut *self.stream;
        stream.next_in = page.as_ptr();
        stream.avail_in = page.len() as u32;
        stream.total_in = 0;
        stream.next_out = dst.as_mut_ptr();
        stream.avail_out = dst.len().min(PAGE - 1) as u32;
        stream.total_out = 0;
        // SAFETY: reads `avail_in` bytes of one live slice and writes at most `avail_out`
        // of another. The level buffer and the tables that it uses live as long as the
        // stream: `self` has all three, and changes none of them.
        let code = unsafe { (isal.deflate)(stream) };
        (code == 0).then_some(stream.total_out as usize)
    }
}

/// ISA-L's stateless encoder at a window of 4096 bytes, with libdeflate's decoder, the
/// faster one; `None` if it is not installed.
#[must_use]
pub fn isal(level: u32, codes: Codes) -> Option<Rival> {
    let name = match &codes {
        _ if level > 0 => format!("ISA-L {level}"),
        Codes::Fixed => "ISA-L 0 fixed".to_owned(),
        Codes::Default => "ISA-L 0 default".to_owned(),
        Codes::Custom(_) => "ISA-L 0 custom".to_owned(),
    };
    let (mut context, isal) = context(level, codes)?;
    Some(Rival {
        name,
        compress: Box::new(move |page, dst| context.compress(isal, page, dst)),
        decompress: libdeflate(1).decompress,
    })
}
