//! Writing TIFF-F: II, first IFD at octet 8, each page's data behind its IFD, one strip a page (RFC
//! 2301 §3 and §4).

use super::{Image, TiffPage, WriteOptions};
use crate::{EncodeOptions, Limits, k_for, recode};
use fax_base::bits::reverse;
use fax_base::page::{Coding, Resolution};
use std::borrow::Cow;

/// The values of a field.
enum Values {
    Short([u16; 2], u32),
    Long(u32),
    Text(String),
    Fraction(u32, u32),
}

use Values::{Fraction, Long, Short, Text};

fn short(n: u16) -> Values {
    Short([n, 0], 1)
}

/// Writes a file. Pages without rows are left out, since TIFF has none; so are pages behind the 4 GB
/// that a TIFF file can hold.
#[must_use]
pub fn write(pages: &[TiffPage], options: &WriteOptions) -> Vec<u8> {
    let pages: Vec<&TiffPage> = pages.iter().filter(|p| p.image.rows() > 0).collect();
    let total = u16::try_from(pages.len()).unwrap_or(0);
    let mut file = b"II\x2A\0\0\0\0\0".to_vec();
    // Where the position of the next directory must be written.
    let mut link = 4;
    for (i, page) in pages.into_iter().enumerate() {
        let data = coded(page, options);
        let fields = fields(page, i, total, data.len(), options);
        let at = file.len();
        // Directory, values and data of one page, and the padding between them.
        let size = fields.len() * 12 + 8192 + data.len();
        if u32::try_from(at + size).is_err() {
            break;
        }
        put_u32(&mut file, link, at);
        link = directory(&mut file, &fields);
        file.extend_from_slice(&data);
        if file.len() % 2 == 1 {
            file.push(0);
        }
    }
    file
}

/// The strip.
fn coded(page: &TiffPage, options: &WriteOptions) -> Vec<u8> {
    let resolution = page.resolution().unwrap_or(Resolution::Standard);
    let how = EncodeOptions {
        k: k_for(resolution),
        // EOFB belongs to the strip of Group 4; RTC is not written into files.
        end_of_page: options.coding == Coding::Mmr,
        ..EncodeOptions::default()
    };
    let mut data = match &page.image {
        Image::Bitmap(b) => crate::encode(b, options.coding, &how),
        Image::T6 { octets, .. } if options.coding == Coding::Mmr => octets.to_vec(),
        Image::T6 { octets, width, rows } => {
            recode(octets, *width, options.coding, &how, Limits { max_rows: *rows }).octets
        }
    };
    if options.lsb_first {
        for o in &mut data {
            *o = reverse(*o);
        }
    }
    data
}

/// The fields in rising order; StripOffsets is set later.
fn fields(
    page: &TiffPage,
    index: usize,
    total: u16,
    octets: usize,
    options: &WriteOptions,
) -> Vec<(u16, Values)> {
    let rows = page.image.rows();
    let mut f = vec![
        (254, Long(2)),
        (256, Long(page.image.width())),
        (257, Long(rows)),
        (258, short(1)),
        (259, short(if options.coding == Coding::Mmr { 4 } else { 3 })),
        (262, short(0)),
        (266, short(if options.lsb_first { 2 } else { 1 })),
    ];
    if let Some(text) = &page.description {
        f.push((270, ascii(text)));
    }
    f.extend([
        (273, Long(0)),
        (274, short(1)),
        (277, short(1)),
        (278, Long(rows)),
        (279, Long(u32::try_from(octets).unwrap_or(u32::MAX))),
        (282, fraction(page.x_per_inch)),
        (283, fraction(page.y_per_inch)),
    ]);
    f.push(match options.coding {
        Coding::Mh => (292, Long(0)),
        Coding::Mr => (292, Long(1)),
        Coding::Mmr => (293, Long(0)),
    });
    let number = u16::try_from(index).unwrap_or(u16::MAX);
    f.extend([(296, short(2)), (297, Short([number, total], 2))]);
    if !options.software.is_empty() {
        f.push((305, ascii(&options.software)));
    }
    if let Some(when) = &options.date_time {
        f.push((306, ascii(when)));
    }
    if let Some(q) = &page.quality {
        let clean = match (q.bad_rows, q.left_in) {
            (0, _) => 0,
            (_, false) => 1,
            (_, true) => 2,
        };
        f.extend([(326, Long(q.bad_rows)), (327, short(clean)), (328, Long(q.longest_bad_run))]);
    }
    f
}

/// A text as TIFF has it: seven bits a character, no NUL inside, not too long.
fn ascii(text: &str) -> Values {
    let plain = |c: char| if c.is_ascii() && c != '\0' { c } else { '?' };
    let mut text: String = text.chars().take(2000).map(plain).collect();
    text.push('\0');
    Text(text)
}

fn fraction(figure: f32) -> Values {
    let figure = if figure.is_finite() { figure.clamp(1.0, 100_000.0) } else { 1.0 };
    let rounded = figure.round();
    if (figure - rounded).abs() < 0.001 {
        Fraction(rounded as u32, 1)
    } else {
        Fraction((figure * 1000.0).round() as u32, 1000)
    }
}

/// Appends a directory and its values; the strip is expected behind them. Gives the place for the
/// position of the next directory.
fn directory(file: &mut Vec<u8>, fields: &[(u16, Values)]) -> usize {
    let at = file.len();
    let count = fields.len();
    file.extend_from_slice(&u16::try_from(count).unwrap_or(0).to_le_bytes());
    let values_at = at + 2 + count * 12 + 4;
    let mut values: Vec<u8> = Vec::new();
    let mut strip_offset = None;
    for (tag, value) in fields {
        let (kind, number, bytes): (u16, u32, Cow<'_, [u8]>) = match value {
            Short(n, count) => {
                let (a, b) = (n[0].to_le_bytes(), n[1].to_le_bytes());
                (3, *count, vec![a[0], a[1], b[0], b[1]].into())
            }
            Long(n) => (4, 1, n.to_le_bytes().to_vec().into()),
            Text(t) => (2, u32::try_from(t.len()).unwrap_or(0), t.as_bytes().into()),
            Fraction(n, d) => (5, 1, [n.to_le_bytes(), d.to_le_bytes()].concat().into()),
        };
        file.extend_from_slice(&tag.to_le_bytes());
        file.extend_from_slice(&kind.to_le_bytes());
        file.extend_from_slice(&number.to_le_bytes());
        if *tag == 273 {
            strip_offset = Some(file.len());
        }
        let value_at = file.len();
        file.extend_from_slice(&[0; 4]);
        if bytes.len() <= 4 {
            if let Some(to) = file.get_mut(value_at..value_at + bytes.len()) {
                to.copy_from_slice(&bytes);
            }
        } else {
            put_u32(file, value_at, values_at + values.len());
            values.extend_from_slice(&bytes);
            if values.len() % 2 == 1 {
                values.push(0);
            }
        }
    }
    let link = file.len();
    file.extend_from_slice(&[0; 4]);
    file.extend_from_slice(&values);
    let data_at = file.len();
    if let Some(to) = strip_offset {
        put_u32(file, to, data_at);
    }
    link
}

fn put_u32(file: &mut [u8], at: usize, value: usize) {
    if let (Some(to), Ok(value)) = (file.get_mut(at..at + 4), u32::try_from(value)) {
        to.copy_from_slice(&value.to_le_bytes());
    }
}
