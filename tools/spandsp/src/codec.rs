//! spandsp's T.4 and T.6 codec by itself: pages from memory to memory (T.4 §4, T.6 §2).

use core::ffi::{c_int, c_void};
use spandsp_sys::{
    t4_image_compression_t_T4_COMPRESSION_T4_1D as T4_1D,
    t4_image_compression_t_T4_COMPRESSION_T4_2D as T4_2D, t4_image_compression_t_T4_COMPRESSION_T6 as T6,
    t4_t6_decode_free, t4_t6_decode_init, t4_t6_decode_put, t4_t6_encode_free, t4_t6_encode_get,
    t4_t6_encode_init, t4_t6_encode_set_max_2d_rows_per_1d_row,
};

/// How the pels are coded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coding {
    /// MH.
    Mh,
    /// MR with this K.
    Mr(u8),
    /// MMR.
    Mmr,
}

impl Coding {
    fn number(self) -> c_int {
        let number = match self {
            Coding::Mh => T4_1D,
            Coding::Mr(_) => T4_2D,
            Coding::Mmr => T6,
        };
        c_int::try_from(number).unwrap_or(0)
    }
}

/// Rows on their way to the encoder.
struct Source<'a> {
    rows: &'a [u8],
}

/// Fills one row of pels; 0 at the end.
unsafe extern "C" fn read_row(source: *mut c_void, to: *mut u8, len: usize) -> c_int {
    // SAFETY: the pointer is that of `encode`, which lives as long as the encoder, and `to` has `len` octets.
    unsafe {
        let source = &mut *source.cast::<Source<'_>>();
        let Some((row, rest)) = source.rows.split_at_checked(len) else {
            return 0;
        };
        std::ptr::copy_nonoverlapping(row.as_ptr(), to, len);
        source.rows = rest;
    }
    c_int::try_from(len).unwrap_or(0)
}

/// Appends one row of pels; an empty one tells the end.
unsafe extern "C" fn write_row(sink: *mut c_void, from: *const u8, len: usize) -> c_int {
    if len > 0 {
        // SAFETY: the pointer is that of `decode`, which lives as long as the decoder, and `from` has `len` octets.
        unsafe { (*sink.cast::<Vec<u8>>()).extend_from_slice(std::slice::from_raw_parts(from, len)) };
    }
    0
}

/// Encodes packed rows (1 = black, `width.div_ceil(8)` octets each) and gives the octets as spandsp sends them: the
/// first bit is the least significant one.
#[must_use]
pub fn encode(rows: &[u8], width: u32, coding: Coding) -> Vec<u8> {
    let mut source = Source { rows };
    let count = rows.len() / width.div_ceil(8) as usize;
    let mut octets = Vec::new();
    let mut piece = [0u8; 4096];
    // SAFETY: the source lives until the encoder is freed; the buffer has the size that is told.
    unsafe {
        let at: *mut Source<'_> = &mut source;
        let s = t4_t6_encode_init(
            std::ptr::null_mut(),
            coding.number(),
            width as c_int,
            count as c_int,
            Some(read_row),
            at.cast(),
        );
        assert!(!s.is_null(), "spandsp makes no encoder");
        if let Coding::Mr(k) = coding {
            t4_t6_encode_set_max_2d_rows_per_1d_row(s, c_int::from(k));
        }
        loop {
            let n = t4_t6_encode_get(s, piece.as_mut_ptr(), piece.len() as c_int);
            let n = usize::try_from(n).unwrap_or(0);
            if n == 0 {
                break;
            }
            octets.extend_from_slice(piece.get(..n).unwrap_or(&[]));
        }
        t4_t6_encode_free(s);
    }
    octets
}

/// Decodes octets, the first bit being the least significant one, into packed rows.
#[must_use]
pub fn decode(octets: &[u8], width: u32, coding: Coding) -> Vec<u8> {
    let mut rows: Vec<u8> = Vec::new();
    // SAFETY: the sink lives until the decoder is freed; the octets have the length that is told.
    unsafe {
        let sink: *mut Vec<u8> = &mut rows;
        let s = t4_t6_decode_init(
            std::ptr::null_mut(),
            coding.number(),
            width as c_int,
            Some(write_row),
            sink.cast(),
        );
        assert!(!s.is_null(), "spandsp makes no decoder");
        for piece in octets.chunks(256) {
            if t4_t6_decode_put(s, piece.as_ptr(), piece.len()) != 0 {
                break;
            }
        }
        // No octets: the end.
        t4_t6_decode_put(s, std::ptr::null(), 0);
        t4_t6_decode_free(s);
    }
    rows
}
