//! Continuous-tone fax pages: CIELAB in JPEG (T.42, T.4 Annex E, T.30 Annex E).
//!
//! [`Picture`] holds a page as lightness, or lightness and two components of colour, in the coding that T.42 lays
//! down for eight bits. [`encode`] makes the octets for the line and for TIFF-FX profile C, [`decode`] reads what
//! comes, whole or damaged, and turns other gamuts into the usual one. [`Picture::from_rgb`] and [`Picture::to_rgb`]
//! go from and to sRGB, [`Picture::to_bitmap`] to black and white.

mod bilevel;
mod lab;
mod segment;

pub use crate::t81::Error;
use crate::{Bitmap, t81};
use fax_base::page::Tones;
pub use segment::{Gamut, Header};

/// Most pels of a page that is read: A3 at 400 per inch has 33.5 millions.
pub const MAX_PELS: u64 = 1 << 25;

/// A white pel.
const WHITE: [u8; 3] = [255, lab::NEUTRAL[0], lab::NEUTRAL[1]];

/// A page in grey or colour: one octet of lightness a pel, or three of L*, a* and b* in the usual gamut of T.42:
/// L* from 0 to 100 in 255 steps, a* from −85 to 85 with 0 at 128, b* from −75 to 125 with 0 at 96. The illuminant is
/// D50.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    width: u32,
    tones: Tones,
    samples: Vec<u8>,
}

impl Picture {
    /// A page without rows.
    #[must_use]
    pub fn new(width: u32, tones: Tones) -> Self {
        Picture { width, tones, samples: Vec::new() }
    }

    /// A page of samples as they lie in memory; an incomplete last row is left out.
    #[must_use]
    pub fn from_samples(width: u32, tones: Tones, mut samples: Vec<u8>) -> Self {
        let row = width as usize * components(tones);
        let rows = samples.len().checked_div(row).unwrap_or(0);
        samples.truncate(rows * row);
        Picture { width, tones, samples }
    }

    /// A page of sRGB pels, three octets each (IEC 61966-2-1).
    #[must_use]
    pub fn from_rgb(width: u32, tones: Tones, rgb: &[u8]) -> Self {
        Self::from_samples(width, tones, lab::from_rgb(rgb, tones))
    }

    /// A page of pels that are black or white.
    #[must_use]
    pub fn from_bitmap(bitmap: &Bitmap, tones: Tones) -> Self {
        let mut picture = Self::new(bitmap.width(), tones);
        for y in 0..bitmap.rows() {
            let pels = (0..bitmap.width()).flat_map(|x| {
                let pel = if bitmap.get(x, y) { [0, WHITE[1], WHITE[2]] } else { WHITE };
                pel.into_iter().take(components(tones))
            });
            picture.samples.extend(pels);
        }
        picture
    }

    /// Pels on a row.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> u32 {
        let row = self.width as usize * components(self.tones);
        u32::try_from(self.samples.len().checked_div(row).unwrap_or(0)).unwrap_or(u32::MAX)
    }

    /// Grey or colour.
    #[must_use]
    pub fn tones(&self) -> Tones {
        self.tones
    }

    /// The samples, those of a pel side by side.
    #[must_use]
    pub fn samples(&self) -> &[u8] {
        &self.samples
    }

    /// Adds the rows of another page of the same width and tones; others are left out.
    pub fn append(&mut self, other: &Picture) {
        if (other.width, other.tones) == (self.width, self.tones) {
            self.samples.extend_from_slice(&other.samples);
        }
    }

    /// The lightness alone.
    #[must_use]
    pub fn to_grey(&self) -> Picture {
        let samples = self.samples.iter().step_by(components(self.tones)).copied().collect();
        Picture { width: self.width, tones: Tones::Grey, samples }
    }

    /// In sRGB, three octets a pel. Colours that it does not have become the nearest in each component.
    #[must_use]
    pub fn to_rgb(&self) -> Vec<u8> {
        lab::to_rgb(&self.samples, self.tones)
    }

    /// In black and white.
    #[must_use]
    pub fn to_bitmap(&self) -> Bitmap {
        bilevel::dithered(self)
    }
}

/// Octets of a pel.
const fn components(tones: Tones) -> usize {
    match tones {
        Tones::Grey => 1,
        Tones::Colour => 3,
    }
}

/// How a page is coded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// From 1 to 100 as is usual for JPEG: 50 is what T.81 Annex K recommends, 75 good for print.
    pub quality: u8,
    /// One sample of colour for 2 × 2 pels; whoever cannot take more (T.30 bit 73) takes this.
    pub subsampled: bool,
    /// Pels per inch, in both directions.
    pub per_inch: u16,
}

impl Default for Options {
    /// What every terminal takes that takes JPEG: 200 per inch, subsampled; quality 75.
    fn default() -> Self {
        Options { quality: 75, subsampled: true, per_inch: 200 }
    }
}

/// The page as JPEG with T.42's header. One without pels has no octets. T.81 counts to 65535: what is beyond, in
/// either direction, is left out.
#[must_use]
pub fn encode(picture: &Picture, options: &Options) -> Vec<u8> {
    let rows = u16::try_from(picture.rows()).unwrap_or(u16::MAX);
    let Ok(width) = u16::try_from(picture.width) else {
        return Vec::new();
    };
    if rows == 0 || width == 0 {
        return Vec::new();
    }
    let header = Header { per_inch: options.per_inch, ..Header::default() };
    t81::encode(&t81::Source {
        width,
        rows,
        components: components(picture.tones),
        samples: &picture.samples,
        segments: &[(1, header.to_segment())],
        quality: options.quality,
        subsampled: options.subsampled,
    })
}

/// A page that was decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decoded {
    /// The page, in the usual gamut. It ends with the last row of which anything was there; what is missing in it is
    /// white or grey.
    pub picture: Picture,
    /// What T.42's segments say; as usual, where there are none.
    pub header: Header,
    /// Rows that are damaged or missing, those beyond the end of the picture included.
    pub bad_rows: u32,
    /// The longest run of them.
    pub longest_bad_run: u32,
    /// Octets of the stream: what follows only fills up a frame.
    pub length: usize,
    /// The stream has its end. One without may have lost rows of which nobody knows.
    pub ended: bool,
    /// Colour has fewer samples than lightness.
    pub subsampled: bool,
}

impl Decoded {
    /// Whether every row is there, and the end.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.bad_rows == 0 && self.ended
    }
}

/// Decodes a page. It may be damaged or cut off; zeros and other things behind its end do no harm.
///
/// # Errors
///
/// See [`Error`]: there is nothing that could be shown, or more than [`MAX_PELS`].
pub fn decode(octets: &[u8]) -> Result<Decoded, Error> {
    let found = t81::decode(octets, MAX_PELS)?;
    let header = Header::from_segments(&found.segments);
    let tones = if found.components == 3 { Tones::Colour } else { Tones::Grey };
    let mut samples = found.samples;
    if header.gamut != Gamut::default() {
        lab::to_usual_gamut(&mut samples, tones, &header.gamut);
    }
    let (mut bad_rows, mut run, mut longest_bad_run) = (0u32, 0u32, 0u32);
    for bad in &found.bad {
        run = if *bad { run + 1 } else { 0 };
        bad_rows += u32::from(*bad);
        longest_bad_run = longest_bad_run.max(run);
    }
    run = run.saturating_add(found.missing_rows);
    Ok(Decoded {
        picture: Picture::from_samples(found.width, tones, samples),
        header,
        bad_rows: bad_rows.saturating_add(found.missing_rows),
        longest_bad_run: longest_bad_run.max(run),
        length: found.length,
        ended: found.ended,
        subsampled: found.subsampled,
    })
}
