//! libtiff in the same program, as an oracle and as the mark to beat: one-strip fax images encoded to
//! memory and decoded from memory (TIFF 6.0 §10 and §11).
//!
//! Used by benches and tests only. It is a crate of its own because calling C needs `unsafe`, which is
//! forbidden in all others. The few functions that are needed are declared here after `tiffio.h`; the
//! file lies in memory behind libtiff's own callbacks (`TIFFClientOpen`), so no disk is measured.

#![warn(missing_docs)]

use std::ffi::{CStr, c_char, c_int, c_void};

/// How the pels are coded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// Group 3, one-dimensional.
    G3OneD,
    /// Group 3, two-dimensional.
    G3TwoD,
    /// Group 4.
    G4,
    /// JBIG, compression 34661, by jbigkit.
    Jbig,
}

type Size = isize;
type ReadWrite = unsafe extern "C" fn(*mut c_void, *mut c_void, Size) -> Size;

unsafe extern "C" {
    fn TIFFClientOpen(
        name: *const c_char,
        mode: *const c_char,
        data: *mut c_void,
        read: ReadWrite,
        write: ReadWrite,
        seek: unsafe extern "C" fn(*mut c_void, u64, c_int) -> u64,
        close: unsafe extern "C" fn(*mut c_void) -> c_int,
        size: unsafe extern "C" fn(*mut c_void) -> u64,
        map: Option<unsafe extern "C" fn(*mut c_void, *mut *mut c_void, *mut u64) -> c_int>,
        unmap: Option<unsafe extern "C" fn(*mut c_void, *mut c_void, u64)>,
    ) -> *mut c_void;
    fn TIFFSetField(tiff: *mut c_void, tag: u32, ...) -> c_int;
    fn TIFFWriteEncodedStrip(tiff: *mut c_void, strip: u32, data: *mut c_void, size: Size) -> Size;
    fn TIFFReadEncodedStrip(tiff: *mut c_void, strip: u32, data: *mut c_void, size: Size) -> Size;
    fn TIFFReadRawStrip(tiff: *mut c_void, strip: u32, data: *mut c_void, size: Size) -> Size;
    fn TIFFRawStripSize64(tiff: *mut c_void, strip: u32) -> u64;
    fn TIFFWriteDirectory(tiff: *mut c_void) -> c_int;
    fn TIFFClose(tiff: *mut c_void);
    fn TIFFGetVersion() -> *const c_char;
}

/// A file in memory.
#[derive(Default)]
struct Memory {
    octets: Vec<u8>,
    at: usize,
}

unsafe extern "C" fn read(m: *mut c_void, to: *mut c_void, n: Size) -> Size {
    // SAFETY: libtiff hands back the pointer of `open`, which outlives the file, and a buffer of n octets.
    unsafe {
        let m = &mut *m.cast::<Memory>();
        let n = usize::try_from(n).unwrap_or(0).min(m.octets.len().saturating_sub(m.at));
        std::ptr::copy_nonoverlapping(m.octets.as_ptr().add(m.at), to.cast(), n);
        m.at += n;
        n as Size
    }
}

unsafe extern "C" fn write(m: *mut c_void, from: *mut c_void, n: Size) -> Size {
    // SAFETY: as in `read`.
    unsafe {
        let m = &mut *m.cast::<Memory>();
        let len = usize::try_from(n).unwrap_or(0);
        let end = m.at + len;
        if m.octets.len() < end {
            m.octets.resize(end, 0);
        }
        m.octets[m.at..end].copy_from_slice(std::slice::from_raw_parts(from.cast::<u8>(), len));
        m.at = end;
        n
    }
}

unsafe extern "C" fn seek(m: *mut c_void, offset: u64, whence: c_int) -> u64 {
    // SAFETY: as in `read`.
    let m = unsafe { &mut *m.cast::<Memory>() };
    let base = match whence {
        0 => 0,
        1 => m.at as u64,
        _ => m.octets.len() as u64,
    };
    let at = base.wrapping_add(offset);
    m.at = at as usize;
    if m.octets.len() < m.at {
        m.octets.resize(m.at, 0);
    }
    at
}

unsafe extern "C" fn close(_: *mut c_void) -> c_int {
    0
}

unsafe extern "C" fn size(m: *mut c_void) -> u64 {
    // SAFETY: as in `read`.
    unsafe { (*m.cast::<Memory>()).octets.len() as u64 }
}

/// libtiff's file over `memory`, which must live until the file is closed.
fn open(memory: &mut Memory, mode: &CStr) -> *mut c_void {
    let data: *mut Memory = memory;
    // SAFETY: all callbacks match tiffio.h; the pointer stays good as the caller promises.
    let tiff = unsafe {
        TIFFClientOpen(
            c"memory".as_ptr(),
            mode.as_ptr(),
            data.cast(),
            read,
            write,
            seek,
            close,
            size,
            None,
            None,
        )
    };
    assert!(!tiff.is_null(), "libtiff does not open the file");
    tiff
}

/// The version of libtiff.
#[must_use]
pub fn version() -> String {
    // SAFETY: a constant string.
    let text = unsafe { CStr::from_ptr(TIFFGetVersion()) };
    text.to_string_lossy().lines().next().unwrap_or("").to_owned()
}

/// Encodes packed rows (1 = black, `width.div_ceil(8)` octets each) as the one strip of a TIFF file
/// and gives the file.
#[must_use]
pub fn encode(rows: &[u8], width: u32, scheme: Scheme) -> Vec<u8> {
    let stride = width.div_ceil(8);
    let count = rows.len() as u32 / stride;
    let mut memory = Memory::default();
    let tiff = open(&mut memory, c"wl");
    // SAFETY: fields have the types that tiff.h states; libtiff does not change the rows, since the bit
    // order of the data is that of the file.
    unsafe {
        let set = |tag: u32, value: u32| assert_eq!(TIFFSetField(tiff, tag, value), 1, "tag {tag}");
        set(256, width);
        set(257, count);
        set(258, 1);
        set(
            259,
            match scheme {
                Scheme::G3OneD | Scheme::G3TwoD => 3,
                Scheme::G4 => 4,
                Scheme::Jbig => 34_661,
            },
        );
        set(262, 0);
        set(266, 1);
        set(277, 1);
        set(278, count);
        match scheme {
            Scheme::G3OneD => set(292, 0),
            Scheme::G3TwoD => set(292, 1),
            Scheme::G4 | Scheme::Jbig => {}
        }
        let n = TIFFWriteEncodedStrip(tiff, 0, rows.as_ptr().cast_mut().cast(), rows.len() as Size);
        assert_eq!(n, rows.len() as Size, "libtiff does not encode the strip");
        TIFFWriteDirectory(tiff);
        TIFFClose(tiff);
    }
    memory.octets
}

/// A TIFF file that is open in libtiff, to be decoded again and again.
pub struct Opened {
    tiff: *mut c_void,
    memory: *mut Memory,
}

impl Opened {
    /// Opens a file in memory.
    #[must_use]
    pub fn new(file: Vec<u8>) -> Self {
        let memory = Box::into_raw(Box::new(Memory { octets: file, at: 0 }));
        // SAFETY: the box was just made and lives until `drop`.
        let tiff = open(unsafe { &mut *memory }, c"r");
        Opened { tiff, memory }
    }

    /// The coded octets of strip 0.
    #[must_use]
    pub fn raw_strip(&self) -> Vec<u8> {
        // SAFETY: the buffer has the size that is told.
        unsafe {
            let mut raw = vec![0u8; TIFFRawStripSize64(self.tiff, 0) as usize];
            let n = TIFFReadRawStrip(self.tiff, 0, raw.as_mut_ptr().cast(), raw.len() as Size);
            assert_eq!(n, raw.len() as Size);
            raw
        }
    }

    /// Decodes strip 0 into packed rows. `rows` is as large as they are.
    pub fn decode(&self, rows: &mut [u8]) -> bool {
        // SAFETY: the buffer has the size that is told.
        let n = unsafe { TIFFReadEncodedStrip(self.tiff, 0, rows.as_mut_ptr().cast(), rows.len() as Size) };
        n == rows.len() as Size
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // SAFETY: both were made in `new` and are not used after this.
        unsafe {
            TIFFClose(self.tiff);
            drop(Box::from_raw(self.memory));
        }
    }
}
