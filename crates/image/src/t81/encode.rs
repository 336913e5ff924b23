//! Writing a stream: one interleaved scan with the preferred tables (T.81 Annexes A, B, F and K).

use super::dct;
use super::tables::{
    AC_COLOUR, AC_LIGHTNESS, DC_COLOUR, DC_LIGHTNESS, QUANTIZATION_COLOUR, QUANTIZATION_LIGHTNESS, Spec,
    ZIGZAG,
};

/// What is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    /// Pels on a row, at least one.
    pub(crate) width: u16,
    /// Rows, at least one.
    pub(crate) rows: u16,
    /// One or three.
    pub(crate) components: usize,
    /// The samples, those of a pel side by side.
    pub(crate) samples: &'a [u8],
    /// Application segments that follow SOI: number and content.
    pub(crate) segments: &'a [(u8, Vec<u8>)],
    /// From 1 to 100, as it is usual: 50 takes the tables of Annex K as they are.
    pub(crate) quality: u8,
    /// The second and third component have one sample for 2 × 2 pels.
    pub(crate) subsampled: bool,
}

/// A component: its place in the samples, its sampling, its tables, the last constant term.
struct Component {
    place: usize,
    /// Blocks in each direction in a unit that is coded together; pels for a sample is two over it.
    blocks: usize,
    quantization: [f32; 64],
    dc: Codes,
    ac: Codes,
    last: i32,
}

/// The stream.
pub(crate) fn encode(source: &Source<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(source.samples.len() / 12 + 1024);
    out.extend([0xFF, 0xD8]);
    for (number, content) in source.segments {
        segment(&mut out, 0xE0 | number & 15, content);
    }
    let quantization = [QUANTIZATION_LIGHTNESS, QUANTIZATION_COLOUR].map(|t| scaled(&t, source.quality));
    let colour = source.components == 3;
    let tables = if colour { 2 } else { 1 };
    for (i, table) in (0u8..).zip(quantization.iter().take(tables)) {
        let mut content = vec![i];
        content.extend(ZIGZAG.iter().map(|&z| table[usize::from(z & 63)]));
        segment(&mut out, 0xDB, &content);
    }
    // One component alone is never subsampled.
    let most = if source.subsampled && colour { 2 } else { 1 };
    let [high, low] = source.rows.to_be_bytes();
    let [wide, narrow] = source.width.to_be_bytes();
    let count = if colour { 3 } else { 1 };
    let mut frame = vec![8, high, low, wide, narrow, count];
    for i in 0..count {
        let sampling = if i == 0 { most } else { 1 };
        frame.extend([i + 1, sampling << 4 | sampling, u8::from(i > 0)]);
    }
    segment(&mut out, 0xC0, &frame);
    for (i, specs) in (0u8..).zip([[DC_LIGHTNESS, AC_LIGHTNESS], [DC_COLOUR, AC_COLOUR]].iter().take(tables))
    {
        for (class, spec) in (0u8..).zip(specs) {
            let mut content = vec![class << 4 | i];
            content.extend(spec.counts);
            content.extend(spec.symbols);
            segment(&mut out, 0xC4, &content);
        }
    }
    let mut scan = vec![count];
    for i in 0..count {
        scan.extend([i + 1, if i == 0 { 0 } else { 0x11 }]);
    }
    scan.extend([0, 63, 0]);
    segment(&mut out, 0xDA, &scan);

    let component = |i: usize| {
        let table = &quantization[i.min(1)];
        Component {
            place: i,
            blocks: if i == 0 { usize::from(most) } else { 1 },
            quantization: core::array::from_fn(|k| 1.0 / f32::from(table[k])),
            dc: Codes::new(if i == 0 { &DC_LIGHTNESS } else { &DC_COLOUR }),
            ac: Codes::new(if i == 0 { &AC_LIGHTNESS } else { &AC_COLOUR }),
            last: 0,
        }
    };
    let mut components: Vec<Component> = (0..usize::from(count)).map(component).collect();
    let mut bits = Bits { out, hold: 0, held: 0 };
    let unit = 8 * usize::from(most);
    for y in (0..usize::from(source.rows)).step_by(unit) {
        for x in (0..usize::from(source.width)).step_by(unit) {
            for component in &mut components {
                let pels = usize::from(most) / component.blocks;
                for b in 0..component.blocks * component.blocks {
                    let (dx, dy) = (b % component.blocks * 8, b / component.blocks * 8);
                    let mut block = gather(source, component.place, x + dx, y + dy, pels);
                    dct::forward(&mut block);
                    component.code(&block, &mut bits);
                }
            }
        }
    }
    bits.finish()
}

/// The samples of a block; the last column and row are repeated beyond the edge.
fn gather(source: &Source<'_>, place: usize, x: usize, y: usize, pels: usize) -> [f32; 64] {
    let (width, rows) = (usize::from(source.width), usize::from(source.rows));
    let n = source.components;
    let mut block = [0.0; 64];
    for (dy, to) in block.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        for (dx, to) in to.iter_mut().enumerate() {
            let mut sum = 0u32;
            for i in 0..pels {
                let row = (y + dy * pels + i).min(rows - 1) * width;
                for j in 0..pels {
                    let at = (row + (x + dx * pels + j).min(width - 1)) * n + place;
                    sum += u32::from(source.samples.get(at).copied().unwrap_or(0));
                }
            }
            *to = sum as f32 / (pels * pels) as f32 - 128.0;
        }
    }
    block
}

impl Component {
    fn code(&mut self, block: &[f32; 64], bits: &mut Bits) {
        let quantized = |k: u8| {
            let k = usize::from(k & 63);
            (block[k] * self.quantization[k]).round() as i32
        };
        let constant = quantized(0).clamp(-1023, 1023);
        let difference = constant - self.last;
        self.last = constant;
        let size = size_of(difference);
        bits.put(self.dc.of(size as u8));
        bits.number(difference, size);
        let mut zeros = 0u8;
        for &k in ZIGZAG.iter().skip(1) {
            let value = quantized(k).clamp(-1023, 1023);
            if value == 0 {
                zeros += 1;
                continue;
            }
            while zeros > 15 {
                bits.put(self.ac.of(0xF0));
                zeros -= 16;
            }
            let size = size_of(value);
            bits.put(self.ac.of(zeros << 4 | size as u8));
            bits.number(value, size);
            zeros = 0;
        }
        if zeros > 0 {
            bits.put(self.ac.of(0));
        }
    }
}

const fn size_of(value: i32) -> u32 {
    32 - value.unsigned_abs().leading_zeros()
}

fn scaled(table: &[u8; 64], quality: u8) -> [u8; 64] {
    let quality = u32::from(quality.clamp(1, 100));
    let percent = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    table.map(|q| ((u32::from(q) * percent + 50) / 100).clamp(1, 255) as u8)
}

fn segment(out: &mut Vec<u8>, marker: u8, content: &[u8]) {
    let length = u16::try_from(content.len() + 2).unwrap_or(u16::MAX);
    out.extend([0xFF, marker]);
    out.extend(length.to_be_bytes());
    out.extend(content.iter().take(usize::from(length) - 2));
}

/// Code and length by symbol.
struct Codes([(u16, u8); 256]);

impl Codes {
    fn new(spec: &Spec) -> Self {
        let mut codes = [(0, 0); 256];
        let (mut code, mut symbols) = (0u16, spec.symbols.iter());
        for (length, &count) in (1u8..).zip(&spec.counts) {
            for &symbol in symbols.by_ref().take(usize::from(count)) {
                codes[usize::from(symbol)] = (code, length);
                code = code.wrapping_add(1);
            }
            code <<= 1;
        }
        Codes(codes)
    }

    fn of(&self, symbol: u8) -> (u16, u8) {
        self.0[usize::from(symbol)]
    }
}

/// Bits of a scan, a zero octet put behind every FF.
struct Bits {
    out: Vec<u8>,
    hold: u64,
    held: u32,
}

impl Bits {
    fn put(&mut self, (code, length): (u16, u8)) {
        self.push(u64::from(code), u32::from(length));
    }

    /// The bits behind a symbol: those of a negative number are one less.
    fn number(&mut self, value: i32, size: u32) {
        let bits = if value < 0 { value - 1 } else { value };
        self.push(bits as u64 & ((1 << size) - 1), size);
    }

    fn push(&mut self, bits: u64, count: u32) {
        self.hold = self.hold << count | bits;
        self.held += count;
        while self.held >= 8 {
            self.held -= 8;
            let octet = (self.hold >> self.held) as u8;
            self.out.push(octet);
            if octet == 0xFF {
                self.out.push(0);
            }
        }
    }

    /// Ones fill up the last octet; EOI.
    fn finish(mut self) -> Vec<u8> {
        if self.held > 0 {
            self.push(0x7F, 7);
        }
        self.out.extend([0xFF, 0xD9]);
        self.out
    }
}
