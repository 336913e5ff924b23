//! Reading a stream, whole or damaged (T.81 Annexes B, E and F; T.42 §6).

use super::Error;
use super::markers::{self, Frame, Tables};
use super::scan::{self, Plane};

/// A picture as it was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Decoded {
    pub(crate) width: u32,
    pub(crate) rows: u32,
    /// One or three.
    pub(crate) components: usize,
    /// The samples, those of a pel side by side. Where nothing could be read they are 128.
    pub(crate) samples: Vec<u8>,
    /// Of every row whether something of it is missing.
    pub(crate) bad: Vec<bool>,
    /// Rows that should follow the last one and are not there at all.
    pub(crate) missing_rows: u32,
    /// What the segments APP1 contain.
    pub(crate) segments: Vec<Vec<u8>>,
    /// Octets up to the end of EOI, or as far as it was read.
    pub(crate) length: usize,
    /// EOI was there.
    pub(crate) ended: bool,
    /// The second and third component have fewer samples than the first.
    pub(crate) subsampled: bool,
}

/// Segments that are kept.
const MAX_SEGMENTS: usize = 64;

/// Reads a picture of at most `max_pels`.
pub(crate) fn decode(octets: &[u8], max_pels: u64) -> Result<Decoded, Error> {
    let mut at =
        octets.windows(3).take(4096).position(|w| w == [0xFF, 0xD8, 0xFF]).ok_or(Error::NotJpeg)? + 2;
    let mut tables = Tables::new();
    let mut frame: Option<Frame> = None;
    let mut planes: Vec<Plane> = Vec::new();
    let mut scanned = [false; 3];
    let mut bad: Vec<bool> = Vec::new();
    let mut segments = Vec::new();
    let mut ended = false;
    loop {
        at = scan::next_marker(octets, at);
        let Some(&marker) = octets.get(at + 1) else {
            break;
        };
        at += 2;
        match marker {
            0xD9 => {
                ended = true;
                break;
            }
            0x01 | 0xD0..=0xD8 => continue,
            _ => {}
        }
        let content = octets.get(at..at + 2).and_then(|l| {
            let length = usize::from(u16::from_be_bytes([l[0], l[1]]));
            octets.get(at + 2..at + length)
        });
        let Some(content) = content else {
            // Cut off in a header.
            break;
        };
        at += content.len() + 2;
        let complete = |frame: &Frame| scanned.iter().take(frame.components.len()).all(|done| *done);
        let over = frame.as_ref().is_some_and(complete);
        match marker {
            0xDC => {
                if let (Some(frame), &[high, low]) = (&mut frame, content) {
                    define_rows(frame, usize::from(u16::from_be_bytes([high, low])), &mut bad);
                }
            }
            // What else comes behind the picture cannot change it.
            _ if over => {}
            0xC0 | 0xC1 => {
                let found = Frame::parse(content)?;
                if frame.is_some() {
                    return Err(Error::Damaged("two frames"));
                }
                planes = new_planes(&found, max_pels)?;
                frame = Some(found);
            }
            0xC4 => tables.huffman(content)?,
            0xC2 | 0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                return Err(Error::Unsupported(format!("coding process {}", marker & 15)));
            }
            0xDB => tables.quantization(content)?,
            0xDD => {
                if let &[high, low] = content {
                    tables.restart_interval = usize::from(u16::from_be_bytes([high, low]));
                }
            }
            0xDA => {
                let Some(frame) = &frame else {
                    return Err(Error::Damaged("a scan before the frame header"));
                };
                let chosen = markers::scan(content, frame)?;
                if chosen.iter().any(|c| scanned.get(c.0) != Some(&false)) {
                    return Err(Error::Damaged("a component in two scans"));
                }
                for (place, ..) in &chosen {
                    if let Some(done) = scanned.get_mut(*place) {
                        *done = true;
                    }
                }
                let most = rows_allowed(frame.width, max_pels);
                at = scan::read(octets, at, (frame, &tables), &chosen, &mut planes, &mut bad, most)?;
            }
            0xE1 if segments.len() < MAX_SEGMENTS => segments.push(content.to_vec()),
            _ => {}
        }
    }
    let frame = frame.ok_or(Error::Damaged("no frame header"))?;
    let stated = if frame.rows == 0 { bad.len() } else { frame.rows };
    bad.truncate(stated);
    let rows = bad.len();
    if rows == 0 {
        return Err(Error::Damaged("no picture in it"));
    }
    if !scanned.iter().take(frame.components.len()).all(|done| *done) {
        bad.fill(true);
    }
    let missing_rows = u32::try_from(stated - rows).unwrap_or(u32::MAX);
    let (Ok(width), Ok(row_count)) = (u32::try_from(frame.width), u32::try_from(rows)) else {
        return Err(Error::Damaged("more rows than there can be"));
    };
    Ok(Decoded {
        width,
        rows: row_count,
        components: frame.components.len(),
        samples: interleaved(&frame, &planes, rows),
        bad,
        missing_rows,
        segments,
        length: at.min(octets.len()),
        ended,
        subsampled: frame.components.iter().any(|c| (c.across, c.down) != frame.most),
    })
}

fn rows_allowed(width: usize, max_pels: u64) -> usize {
    usize::try_from(max_pels).unwrap_or(usize::MAX).checked_div(width).unwrap_or(0).min(65_535)
}

fn new_planes(frame: &Frame, max_pels: u64) -> Result<Vec<Plane>, Error> {
    if frame.rows.max(1) > rows_allowed(frame.width, max_pels) {
        let (width, rows) = (frame.width as u32, frame.rows as u32);
        return Err(Error::TooLarge { width, rows });
    }
    let units = frame.width.div_ceil(8 * frame.most.0);
    let plane = |across: usize| Plane { stride: units * across * 8, samples: Vec::new() };
    Ok(frame.components.iter().map(|c| plane(c.across)).collect())
}

/// DNL: the page has so many rows. What was read beyond them falls away.
fn define_rows(frame: &mut Frame, rows: usize, bad: &mut Vec<bool>) {
    // A frame that has said it already is believed.
    if frame.rows == 0 && rows > 0 {
        frame.rows = rows;
        bad.truncate(rows);
    }
}

/// All components at the sampling of the finest, side by side.
fn interleaved(frame: &Frame, planes: &[Plane], rows: usize) -> Vec<u8> {
    let count = frame.components.len();
    let mut out = vec![128; frame.width * rows * count];
    for (i, (component, plane)) in frame.components.iter().zip(planes).enumerate() {
        let (across, down) = (component.across, component.down);
        for (y, to) in out.chunks_exact_mut(frame.width * count).enumerate() {
            let from = y * down / frame.most.1 * plane.stride;
            let Some(from) = plane.samples.get(from..from + plane.stride) else {
                break;
            };
            let to = to.iter_mut().skip(i).step_by(count);
            match (across, frame.most.0) {
                (a, b) if a == b => to.zip(from).for_each(|(to, from)| *to = *from),
                (1, 2) => {
                    to.zip(from.iter().flat_map(|s| [s, s])).for_each(|(to, from)| *to = *from);
                }
                (a, b) => {
                    to.enumerate().for_each(|(x, to)| *to = from.get(x * a / b).copied().unwrap_or(128))
                }
            }
        }
    }
    out
}
