//! Writing TIFF-F: II, first IFD at octet 8, each page's data behind its IFD, one strip a page (RFC
//! 2301 §3 and §4).

use super::{Image, TiffPage, WriteOptions};
use crate::{EncodeOptions, Limits, k_for, recode};
use fax_base::bits::reverse;
use fax_base::page::{Coding, Resolution, Tones};
use std::borrow::Cow;

/// The values of a field.
enum Values {
    Short([u16; 2], u32),
    /// Three alike.
    Thrice(u16),
    Long(u32),
    Text(String),
    Fraction(u32, u32),
}

use Values::{Fraction, Long, Short, Text, Thrice};

fn short(n: u16) -> Values {
    Short([n, 0], 1)
}

/// Where a file begins: little-endian, and the place for the position of the first directory.
const HEADER: [u8; 8] = *b"II\x2A\0\0\0\0\0";

/// Writes a file. Pages without rows are left out, since TIFF has none; so are pages behind the 4 GB
/// that a TIFF file can hold.
#[must_use]
pub fn write(pages: &[TiffPage], options: &WriteOptions) -> Vec<u8> {
    let with_rows = pages.iter().filter(|p| p.image.rows() > 0).count();
    let mut appender =
        Appender { total: u16::try_from(with_rows).unwrap_or(0), ..Appender::new(options.clone()) };
    let mut file = HEADER.to_vec();
    for page in pages {
        let Some(addition) = appender.page(page) else {
            continue;
        };
        let new = addition.octets.get(file.len().saturating_sub(addition.at)..).unwrap_or_default();
        file.extend_from_slice(new);
        put_u32(&mut file, addition.link_at, addition.link);
    }
    file
}

/// A file that grows page by page. It is whole after every page, and while one is being added as long as
/// the octets are written before the link to them.
#[derive(Clone, Debug)]
pub struct Appender {
    options: WriteOptions,
    /// Pages of the file, 0 when that is not known.
    total: u16,
    pages: usize,
    /// Octets so far.
    length: usize,
    /// Where the position of the next directory must be written.
    link_at: usize,
}

/// What is to be written for one more page, in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Addition {
    /// Where [`Addition::octets`] go: the end of the file.
    pub at: usize,
    /// The page, and before the first one the beginning of the file.
    pub octets: Vec<u8>,
    /// Where [`Addition::link`] goes.
    pub link_at: usize,
    /// The position of the new directory: four octets, little-endian.
    pub link: usize,
}

impl Appender {
    /// A file without pages, not a single octet of it written.
    #[must_use]
    pub fn new(options: WriteOptions) -> Self {
        Appender { options, total: 0, pages: 0, length: 0, link_at: 4 }
    }

    /// One more page; `None` for one without rows and for one behind the 4 GB that a file can hold.
    pub fn page(&mut self, page: &TiffPage) -> Option<Addition> {
        let at = self.length;
        let mut octets = if at == 0 { HEADER.to_vec() } else { Vec::new() };
        let tones = beside(page, &self.options);
        let mut parts = vec![self.part(page, tones.is_some())];
        parts.extend(tones.map(|tones| self.part(&tones, false)));
        let link = at + octets.len();
        // Directories, values and data of one page, and the padding between them.
        let size: usize = parts.iter().map(|(fields, data)| fields.len() * 12 + 8192 + data.len()).sum();
        if page.image.rows() == 0 || u32::try_from(link + size).is_err() {
            return None;
        }
        let mut link_at = None;
        let mut below = None;
        for (fields, data) in &parts {
            if let Some(place) = below {
                let here = at + octets.len();
                put_u32(&mut octets, place, here);
            }
            let places = directory(&mut octets, at, fields);
            octets.extend_from_slice(data);
            if octets.len() % 2 == 1 {
                octets.push(0);
            }
            link_at = link_at.or(Some(places.link));
            below = places.below;
        }
        let link_at = core::mem::replace(&mut self.link_at, link_at.unwrap_or_default());
        self.length = at + octets.len();
        self.pages += 1;
        Some(Addition { at, octets, link_at, link })
    }

    /// The fields and the strip of a page, and room for the position of one below it.
    fn part(&self, page: &TiffPage, below: bool) -> (Vec<(u16, Values)>, Vec<u8>) {
        let data = coded(page, &self.options);
        let mut fields = fields(page, self.pages, self.total, data.len(), &self.options);
        if below {
            let after = fields.partition_point(|(tag, _)| *tag < 330);
            fields.insert(after, (330, Long(0)));
        }
        (fields, data)
    }
}

/// The rendition in tones that stands below a page of pels, where pages in tones may be written.
fn beside(page: &TiffPage, options: &WriteOptions) -> Option<TiffPage> {
    let tones = page.tones.clone().and_then(|octets| TiffPage::in_tones(octets).ok())?;
    page_coding(&tones, options).tones().map(|_| tones)
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
        Image::T81 { octets, .. } => match page_coding(page, options) {
            // Octets have no other order of bits.
            Coding::T81(_) => return octets.to_vec(),
            coding => crate::encode(&page.image.to_bitmap(), coding, &how),
        },
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

/// How this page is coded in the file.
fn page_coding(page: &TiffPage, options: &WriteOptions) -> Coding {
    match (&page.image, options.coding) {
        (Image::T81 { tones, .. }, Coding::Mmr | Coding::T85 | Coding::T81(_)) => Coding::T81(*tones),
        (_, coding) => coding,
    }
}

/// The fields in rising order; StripOffsets and SubIFDs are set later.
fn fields(
    page: &TiffPage,
    index: usize,
    total: u16,
    octets: usize,
    options: &WriteOptions,
) -> Vec<(u16, Values)> {
    let rows = page.image.rows();
    let coding = page_coding(page, options);
    let (samples, bits, photometric) = match coding {
        Coding::Mh | Coding::Mr | Coding::Mmr | Coding::T85 => (1, short(1), 0),
        Coding::T81(Tones::Grey) => (1, short(8), 10),
        Coding::T81(Tones::Colour) => (3, Thrice(8), 10),
    };
    let lsb_first = options.lsb_first && coding.tones().is_none();
    let mut f = vec![
        (254, Long(2)),
        (256, Long(page.image.width())),
        (257, Long(rows)),
        (258, bits),
        (259, short(compression(coding))),
        (262, short(photometric)),
        (266, short(if lsb_first { 2 } else { 1 })),
    ];
    if let Some(text) = &page.description {
        f.push((270, ascii(text)));
    }
    f.extend([
        (273, Long(0)),
        (274, short(1)),
        (277, short(samples)),
        (278, Long(rows)),
        (279, Long(u32::try_from(octets).unwrap_or(u32::MAX))),
        (282, fraction(page.x_per_inch)),
        (283, fraction(page.y_per_inch)),
    ]);
    match coding {
        Coding::Mh => f.push((292, Long(0))),
        Coding::Mr => f.push((292, Long(1))),
        Coding::Mmr => f.push((293, Long(0))),
        Coding::T85 | Coding::T81(_) => {}
    }
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
    if options.coding == Coding::T85 {
        // T82Options: nothing but T.85.
        f.push((435, Long(0)));
    }
    if coding.tones().is_some() {
        let each = if page.image.is_subsampled() { 2 } else { 1 };
        f.extend([(530, Short([each; 2], 2)), (531, short(1))]);
    }
    f
}

/// Compression (RFC 2301 §3.2.1, §4.2.1, §5.2.1).
const fn compression(coding: Coding) -> u16 {
    match coding {
        Coding::Mh | Coding::Mr => 3,
        Coding::Mmr => 4,
        Coding::T85 => 9,
        Coding::T81(_) => 7,
    }
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

/// What has to be filled in behind a directory.
struct Places {
    /// In the file: the position of the next directory.
    link: usize,
    /// In the octets at hand: the position of the directory below this one, if there is to be one.
    below: Option<usize>,
}

/// Appends a directory and its values to octets that stand at `base` in the file; the strip is expected
/// behind them.
fn directory(octets: &mut Vec<u8>, base: usize, fields: &[(u16, Values)]) -> Places {
    let count = fields.len();
    octets.extend_from_slice(&u16::try_from(count).unwrap_or(0).to_le_bytes());
    let values_at = base + octets.len() + count * 12 + 4;
    let mut values: Vec<u8> = Vec::new();
    let (mut strip_offset, mut below) = (None, None);
    for (tag, value) in fields {
        let (kind, number, bytes): (u16, u32, Cow<'_, [u8]>) = match value {
            Short(n, count) => {
                let (a, b) = (n[0].to_le_bytes(), n[1].to_le_bytes());
                (3, *count, vec![a[0], a[1], b[0], b[1]].into())
            }
            Thrice(n) => (3, 3, [n.to_le_bytes(); 3].concat().into()),
            Long(n) => (4, 1, n.to_le_bytes().to_vec().into()),
            Text(t) => (2, u32::try_from(t.len()).unwrap_or(0), t.as_bytes().into()),
            Fraction(n, d) => (5, 1, [n.to_le_bytes(), d.to_le_bytes()].concat().into()),
        };
        octets.extend_from_slice(&tag.to_le_bytes());
        octets.extend_from_slice(&kind.to_le_bytes());
        octets.extend_from_slice(&number.to_le_bytes());
        match tag {
            273 => strip_offset = Some(octets.len()),
            330 => below = Some(octets.len()),
            _ => {}
        }
        let value_at = octets.len();
        octets.extend_from_slice(&[0; 4]);
        if bytes.len() <= 4 {
            if let Some(to) = octets.get_mut(value_at..value_at + bytes.len()) {
                to.copy_from_slice(&bytes);
            }
        } else {
            put_u32(octets, value_at, values_at + values.len());
            values.extend_from_slice(&bytes);
            if values.len() % 2 == 1 {
                values.push(0);
            }
        }
    }
    let link = base + octets.len();
    octets.extend_from_slice(&[0; 4]);
    octets.extend_from_slice(&values);
    let data_at = base + octets.len();
    if let Some(to) = strip_offset {
        put_u32(octets, to, data_at);
    }
    Places { link, below }
}

fn put_u32(octets: &mut [u8], at: usize, value: usize) {
    if let (Some(to), Ok(value)) = (octets.get_mut(at..at + 4), u32::try_from(value)) {
        to.copy_from_slice(&value.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bitmap;
    use crate::tiff::{self, read};

    /// As a reader finds it: all pages whose link was written, whatever stands behind them.
    #[test]
    fn a_growing_file_is_whole_at_every_step() {
        let pages: Vec<TiffPage> = [3u32, 0, 700, 41]
            .into_iter()
            .map(|rows| {
                let mut bitmap = Bitmap::blank(1728, rows);
                (0..rows).for_each(|y| bitmap.set(y * 7 % 1728, y, true));
                TiffPage::new(Image::Bitmap(bitmap), Resolution::Fine)
            })
            .collect();
        let mut appender = Appender::new(WriteOptions::default());
        let mut file = Vec::new();
        let mut whole = 0;
        for page in &pages {
            let Some(addition) = appender.page(page) else {
                assert_eq!(page.image.rows(), 0);
                continue;
            };
            assert_eq!(addition.at, file.len());
            file.extend_from_slice(&addition.octets);
            if whole > 0 {
                assert_eq!(read(&file, &tiff::Limits::default()).unwrap().pages.len(), whole);
            }
            put_u32(&mut file, addition.link_at, addition.link);
            whole += 1;
            let found = read(&file, &tiff::Limits::default()).unwrap();
            assert_eq!(found.pages.len(), whole);
            let last = found.pages.last().unwrap();
            assert_eq!(last.image.to_bitmap(), page.image.to_bitmap());
        }
        assert_eq!(file.len(), write(&pages, &WriteOptions::default()).len());
    }
}
