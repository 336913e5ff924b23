//! Bilevel TIFF files read and written through libtiff (TIFF 6.0 §10, §11; RFC 2301).

use crate::session::c_path;
use core::ffi::{c_char, c_double, c_int, c_void};
use std::io;
use std::path::Path;
use std::sync::Once;

/// A page of pels.
#[derive(Clone, PartialEq)]
pub struct Page {
    /// Pels on a row.
    pub width: u32,
    /// Rows.
    pub rows: u32,
    /// Pels per inch along a row.
    pub x_per_inch: f32,
    /// Rows per inch.
    pub y_per_inch: f32,
    /// The rows one after the other, each filled up to an octet; the first pel is the highest bit; 1 is
    /// black. The bits behind the last pel of a row are 0.
    pub pels: Vec<u8>,
}

impl core::fmt::Debug for Page {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} × {} at {} × {}", self.width, self.rows, self.x_per_inch, self.y_per_inch)
    }
}

impl Page {
    /// Octets of a row.
    #[must_use]
    pub fn row_octets(&self) -> usize {
        self.width.div_ceil(8) as usize
    }

    /// The octets of one row.
    #[must_use]
    pub fn row(&self, row: u32) -> &[u8] {
        let n = self.row_octets();
        self.pels.get(row as usize * n..(row as usize + 1) * n).unwrap_or(&[])
    }

    /// The number of the first row that differs in its pels, if any; a missing row differs. Resolutions
    /// are not compared.
    #[must_use]
    pub fn first_difference(&self, other: &Page) -> Option<u32> {
        if self.width != other.width {
            return Some(0);
        }
        (0..self.rows.max(other.rows))
            .find(|&row| row >= self.rows || row >= other.rows || self.row(row) != other.row(row))
    }
}

// From tiff.h.
const IMAGE_WIDTH: u32 = 256;
const IMAGE_LENGTH: u32 = 257;
const BITS_PER_SAMPLE: u32 = 258;
const COMPRESSION: u32 = 259;
const PHOTOMETRIC: u32 = 262;
const SAMPLES_PER_PIXEL: u32 = 277;
const ROWS_PER_STRIP: u32 = 278;
const X_RESOLUTION: u32 = 282;
const Y_RESOLUTION: u32 = 283;
const RESOLUTION_UNIT: u32 = 296;
const PAGE_NUMBER: u32 = 297;
const GROUP_4: c_int = 4;
const MIN_IS_WHITE: u16 = 0;
const CENTIMETRE: u16 = 3;
const INCH: c_int = 2;

#[repr(C)]
struct Tiff {
    _opaque: [u8; 0],
}

// libtiff is linked by spandsp-sys.
unsafe extern "C" {
    fn TIFFOpen(path: *const c_char, mode: *const c_char) -> *mut Tiff;
    fn TIFFClose(tiff: *mut Tiff);
    fn TIFFGetFieldDefaulted(tiff: *mut Tiff, tag: u32, ...) -> c_int;
    fn TIFFSetField(tiff: *mut Tiff, tag: u32, ...) -> c_int;
    fn TIFFScanlineSize(tiff: *mut Tiff) -> isize;
    fn TIFFReadScanline(tiff: *mut Tiff, buf: *mut c_void, row: u32, sample: u16) -> c_int;
    fn TIFFWriteScanline(tiff: *mut Tiff, buf: *mut c_void, row: u32, sample: u16) -> c_int;
    fn TIFFRawStripSize(tiff: *mut Tiff, strip: u32) -> isize;
    fn TIFFReadRawStrip(tiff: *mut Tiff, strip: u32, buf: *mut c_void, size: isize) -> isize;
    fn TIFFWriteRawStrip(tiff: *mut Tiff, strip: u32, buf: *mut c_void, size: isize) -> isize;
    fn TIFFReadDirectory(tiff: *mut Tiff) -> c_int;
    fn TIFFWriteDirectory(tiff: *mut Tiff) -> c_int;
    fn TIFFSetErrorHandler(f: Option<Reporter>) -> Option<Reporter>;
    fn TIFFSetWarningHandler(f: Option<Reporter>) -> Option<Reporter>;
}

type Reporter = unsafe extern "C" fn(*const c_char, *const c_char, *mut c_void);

/// libtiff prints to standard error unless told not to.
pub(crate) fn quiet() {
    static ONCE: Once = Once::new();
    // SAFETY: taking the reporters away is allowed at any time.
    ONCE.call_once(|| unsafe {
        TIFFSetErrorHandler(None);
        TIFFSetWarningHandler(None);
    });
}

/// An open file, closed when dropped.
struct Open(*mut Tiff);

impl Open {
    fn new(path: &Path, mode: &core::ffi::CStr) -> io::Result<Self> {
        quiet();
        let path = c_path(path)?;
        // SAFETY: both strings end with 0 and live through the call.
        let tiff = unsafe { TIFFOpen(path.as_ptr(), mode.as_ptr()) };
        if tiff.is_null() { Err(bad("not a TIFF file, or not to be opened")) } else { Ok(Open(tiff)) }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // SAFETY: open, and closed only here.
        unsafe { TIFFClose(self.0) };
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// The pages of a bilevel file of any compression that libtiff reads.
///
/// # Errors
///
/// The file cannot be read, is not bilevel, or a row of it is damaged.
pub fn read(path: &Path) -> io::Result<Vec<Page>> {
    let file = Open::new(path, c"r")?;
    let mut pages = Vec::new();
    loop {
        pages.push(read_page(&file)?);
        // SAFETY: the file is open.
        if unsafe { TIFFReadDirectory(file.0) } == 0 {
            return Ok(pages);
        }
    }
}

fn read_page(file: &Open) -> io::Result<Page> {
    let (mut width, mut rows) = (0u32, 0u32);
    let (mut bits, mut samples, mut photometric, mut unit) = (0u16, 0u16, 0u16, 0u16);
    let (mut x, mut y) = (0f32, 0f32);
    // SAFETY: the file is open, and each pointer is to the type that libtiff's manual names for the tag.
    let row_size = unsafe {
        TIFFGetFieldDefaulted(file.0, IMAGE_WIDTH, &raw mut width);
        TIFFGetFieldDefaulted(file.0, IMAGE_LENGTH, &raw mut rows);
        TIFFGetFieldDefaulted(file.0, BITS_PER_SAMPLE, &raw mut bits);
        TIFFGetFieldDefaulted(file.0, SAMPLES_PER_PIXEL, &raw mut samples);
        TIFFGetFieldDefaulted(file.0, PHOTOMETRIC, &raw mut photometric);
        TIFFGetFieldDefaulted(file.0, X_RESOLUTION, &raw mut x);
        TIFFGetFieldDefaulted(file.0, Y_RESOLUTION, &raw mut y);
        TIFFGetFieldDefaulted(file.0, RESOLUTION_UNIT, &raw mut unit);
        TIFFScanlineSize(file.0)
    };
    let octets = width.div_ceil(8) as usize;
    if bits != 1 || samples != 1 || width == 0 || usize::try_from(row_size) != Ok(octets) {
        return Err(bad("not a bilevel page"));
    }
    if unit == CENTIMETRE {
        (x, y) = (x * 2.54, y * 2.54);
    }
    let mut pels = vec![0u8; octets * rows as usize];
    let spare = (octets * 8) as u32 - width;
    for (row, into) in (0..rows).zip(pels.chunks_exact_mut(octets)) {
        // SAFETY: `into` is writable for one row, whose size libtiff stated above.
        if unsafe { TIFFReadScanline(file.0, into.as_mut_ptr().cast(), row, 0) } < 0 {
            return Err(bad("a damaged row"));
        }
        if photometric != MIN_IS_WHITE {
            into.iter_mut().for_each(|octet| *octet = !*octet);
        }
        if let Some(last) = into.last_mut() {
            *last &= 0xFFu8 << spare;
        }
    }
    Ok(Page { width, rows, x_per_inch: x, y_per_inch: y, pels })
}

/// Writes pages as one Group 4 file.
///
/// # Errors
///
/// The file cannot be written, or a page's pels do not match its size.
pub fn write(path: &Path, pages: &[Page]) -> io::Result<()> {
    let file = Open::new(path, c"w")?;
    let count = c_int::try_from(pages.len()).map_err(|_| bad("too many pages"))?;
    for (number, page) in (0..count).zip(pages) {
        if page.pels.len() != page.row_octets() * page.rows as usize {
            return Err(bad("pels that do not match the size"));
        }
        set_fields(&file, page, number, count);
        for row in 0..page.rows {
            let mut pels = page.row(row).to_vec();
            // SAFETY: the file is open; `pels` is one row, writable because libtiff may change it.
            if unsafe { TIFFWriteScanline(file.0, pels.as_mut_ptr().cast(), row, 0) } < 0 {
                return Err(bad("a row could not be written"));
            }
        }
        end_page(&file)?;
    }
    Ok(())
}

/// `page` as one run of T.6 octets with EOFB, first bit highest.
///
/// # Errors
///
/// As [`write()`].
pub fn encode_t6(page: &Page) -> io::Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("page.tif");
    write(&path, core::slice::from_ref(page))?;
    let file = Open::new(&path, c"r")?;
    // SAFETY: the file is open; the buffer has the size that libtiff states, and it is told that size.
    unsafe {
        let size = TIFFRawStripSize(file.0, 0);
        let mut octets = vec![0u8; usize::try_from(size).map_err(|_| bad("an empty page"))?];
        if TIFFReadRawStrip(file.0, 0, octets.as_mut_ptr().cast(), size) != size {
            return Err(bad("a short page"));
        }
        Ok(octets)
    }
}

/// The page that T.6 octets (first bit highest) mean to libtiff.
///
/// # Errors
///
/// As [`read`].
pub fn decode_t6(width: u32, rows: u32, t6: &[u8]) -> io::Result<Page> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("page.tif");
    let page = Page { width, rows, x_per_inch: 204.0, y_per_inch: 196.0, pels: Vec::new() };
    {
        let file = Open::new(&path, c"w")?;
        set_fields(&file, &page, 0, 1);
        let mut octets = t6.to_vec();
        let size = isize::try_from(octets.len()).map_err(|_| bad("too long"))?;
        // SAFETY: the file is open; `octets` is `size` octets, writable because libtiff may change them.
        if unsafe { TIFFWriteRawStrip(file.0, 0, octets.as_mut_ptr().cast(), size) } != size {
            return Err(bad("a page could not be written"));
        }
        end_page(&file)?;
    }
    read(&path)?.pop().ok_or_else(|| bad("no page"))
}

fn set_fields(file: &Open, page: &Page, number: c_int, count: c_int) {
    // SAFETY: the file is open; each value has the type (after C's promotions) that libtiff's manual names
    // for the tag.
    unsafe {
        TIFFSetField(file.0, IMAGE_WIDTH, page.width);
        TIFFSetField(file.0, IMAGE_LENGTH, page.rows);
        TIFFSetField(file.0, BITS_PER_SAMPLE, 1 as c_int);
        TIFFSetField(file.0, SAMPLES_PER_PIXEL, 1 as c_int);
        TIFFSetField(file.0, COMPRESSION, GROUP_4);
        TIFFSetField(file.0, PHOTOMETRIC, c_int::from(MIN_IS_WHITE));
        TIFFSetField(file.0, ROWS_PER_STRIP, page.rows);
        TIFFSetField(file.0, X_RESOLUTION, c_double::from(page.x_per_inch));
        TIFFSetField(file.0, Y_RESOLUTION, c_double::from(page.y_per_inch));
        TIFFSetField(file.0, RESOLUTION_UNIT, INCH);
        TIFFSetField(file.0, PAGE_NUMBER, number, count);
    }
}

fn end_page(file: &Open) -> io::Result<()> {
    // SAFETY: the file is open.
    if unsafe { TIFFWriteDirectory(file.0) } == 0 { Err(bad("a page could not be written")) } else { Ok(()) }
}
