//! The segments between the markers: tables, frame and scan headers (T.81 Annex B).

use super::Error;
use super::huffman::Table;
use super::tables::{AC_COLOUR, AC_LIGHTNESS, DC_COLOUR, DC_LIGHTNESS, ZIGZAG};

/// What the segments up to now have set.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    pub(super) quantization: [Option<[u16; 64]>; 4],
    pub(super) dc: [Option<Table>; 4],
    pub(super) ac: [Option<Table>; 4],
    /// Units between restart markers; 0: there are none.
    pub(super) restart_interval: usize,
}

impl Tables {
    /// The preferred Huffman tables are there from the beginning: a sender may leave them out.
    pub(super) fn new() -> Self {
        Tables {
            quantization: [None; 4],
            dc: [Table::known(&DC_LIGHTNESS), Table::known(&DC_COLOUR), None, None],
            ac: [Table::known(&AC_LIGHTNESS), Table::known(&AC_COLOUR), None, None],
            restart_interval: 0,
        }
    }

    /// DQT.
    pub(super) fn quantization(&mut self, mut content: &[u8]) -> Result<(), Error> {
        let short = Error::Damaged("a quantization table is cut off");
        while let Some((&head, rest)) = content.split_first() {
            let wide = head >> 4 != 0;
            let octets = if wide { 128 } else { 64 };
            let (values, after) = rest.split_at_checked(octets).ok_or_else(|| short.clone())?;
            let mut table = [1u16; 64];
            for (i, &z) in ZIGZAG.iter().enumerate() {
                let value = if wide {
                    u16::from_be_bytes([values[2 * i], values[2 * i + 1]])
                } else {
                    u16::from(values[i])
                };
                table[usize::from(z & 63)] = value.max(1);
            }
            *slot(&mut self.quantization, head)? = Some(table);
            content = after;
        }
        Ok(())
    }

    /// DHT.
    pub(super) fn huffman(&mut self, mut content: &[u8]) -> Result<(), Error> {
        let short = || Error::Damaged("a Huffman table is cut off");
        while let Some((&head, rest)) = content.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(short)?;
            let symbols: usize = counts.iter().map(|&c| usize::from(c)).sum();
            let (symbols, after) = rest.split_at_checked(symbols).ok_or_else(short)?;
            let table = Table::new(counts, symbols)?;
            let tables = if head >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            *slot(tables, head)? = Some(table);
            content = after;
        }
        Ok(())
    }
}

fn slot<T>(tables: &mut [T; 4], head: u8) -> Result<&mut T, Error> {
    tables.get_mut(usize::from(head & 15)).ok_or(Error::Damaged("a table has a number beyond 3"))
}

/// SOF.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) width: usize,
    /// 0: DNL will tell.
    pub(super) rows: usize,
    pub(super) components: Vec<Component>,
    /// The largest sampling factors.
    pub(super) most: (usize, usize),
}

/// A component of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Component {
    pub(super) id: u8,
    pub(super) across: usize,
    pub(super) down: usize,
    pub(super) table: usize,
}

impl Frame {
    pub(super) fn parse(content: &[u8]) -> Result<Frame, Error> {
        let (&[bits, r1, r0, w1, w0, count], rest) =
            content.split_first_chunk::<6>().ok_or(Error::Damaged("the frame header is cut off"))?;
        if bits != 8 {
            return Err(Error::Unsupported(format!("{bits} bits a component")));
        }
        if count != 1 && count != 3 {
            return Err(Error::Unsupported(format!("{count} components")));
        }
        let mut components = Vec::new();
        for &[id, sampling, table] in rest.as_chunks::<3>().0.iter().take(usize::from(count)) {
            let (across, down) = (usize::from(sampling >> 4), usize::from(sampling & 15));
            if !(1..=4).contains(&across) || !(1..=4).contains(&down) {
                return Err(Error::Damaged("a sampling factor is none"));
            }
            components.push(Component { id, across, down, table: usize::from(table & 3) });
        }
        if components.len() != usize::from(count) {
            return Err(Error::Damaged("the frame header is cut off"));
        }
        if let [only] = components.as_mut_slice() {
            // The factors of one component alone mean nothing.
            (only.across, only.down) = (1, 1);
        }
        let width = usize::from(u16::from_be_bytes([w1, w0]));
        if width == 0 {
            return Err(Error::Damaged("rows without pels"));
        }
        let most = components.iter().fold((1, 1), |m, c| (m.0.max(c.across), m.1.max(c.down)));
        Ok(Frame { width, rows: usize::from(u16::from_be_bytes([r1, r0])), components, most })
    }
}

/// SOS: places of the components in the frame, and the numbers of their tables.
pub(super) fn scan(content: &[u8], frame: &Frame) -> Result<Vec<(usize, usize, usize)>, Error> {
    let cut = || Error::Damaged("a scan header is cut off");
    let (&count, rest) = content.split_first().ok_or_else(cut)?;
    let mut chosen: Vec<(usize, usize, usize)> = Vec::new();
    for &[id, tables] in rest.as_chunks::<2>().0.iter().take(usize::from(count)) {
        let place = frame.components.iter().position(|c| c.id == id);
        let place = place.ok_or(Error::Damaged("a scan of a component that there is not"))?;
        if chosen.iter().any(|c| c.0 == place) {
            return Err(Error::Damaged("a scan with a component twice"));
        }
        chosen.push((place, usize::from(tables >> 4 & 3), usize::from(tables & 3)));
    }
    if chosen.is_empty() || chosen.len() != usize::from(count) {
        return Err(cut());
    }
    Ok(chosen)
}
