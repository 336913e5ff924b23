//! The geometry of a fax page: widths, resolutions, codings (T.4 §2, T.30 Table 2).

use core::fmt;
use core::time::Duration;

/// How the pels of a page are coded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Coding {
    /// Modified Huffman, one-dimensional (T.4 §4.1).
    Mh,
    /// Modified READ, two-dimensional with one-dimensional lines between (T.4 §4.2).
    Mr,
    /// Modified modified READ (T.6). Needs ECM on the line.
    Mmr,
    /// JBIG in the profile of T.85 (T.82 with one layer, one plane). Needs ECM on the line.
    T85,
    /// JPEG of a continuous-tone page (T.81 with the colours of T.42). Needs ECM on the line.
    T81(Tones),
}

/// The tones of a page that has more than black and white (T.42, T.30 Annex E).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Tones {
    /// Lightness only (bit 68).
    Grey,
    /// Lightness and two components of colour, CIELAB (bits 68 and 69).
    Colour,
}

impl Coding {
    /// Whether the least significant bit of its octets goes first on the line. T.4 and T.6 make bits, the first of
    /// them highest in an octet, and those go in their order. T.82 and T.81 make octets, which go as HDLC sends
    /// octets (ISO/IEC 13239 §4.2): so do HylaFAX and spandsp, and so the machines that they talk to.
    #[must_use]
    pub const fn is_lsb_first(self) -> bool {
        match self {
            Coding::Mh | Coding::Mr | Coding::Mmr => false,
            Coding::T85 | Coding::T81(_) => true,
        }
    }

    /// The tones that it carries beyond black and white, if it does.
    #[must_use]
    pub const fn tones(self) -> Option<Tones> {
        match self {
            Coding::Mh | Coding::Mr | Coding::Mmr | Coding::T85 => None,
            Coding::T81(tones) => Some(tones),
        }
    }
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Coding::Mh => "MH",
            Coding::Mr => "MR",
            Coding::Mmr => "MMR",
            Coding::T85 => "T.85",
            Coding::T81(Tones::Grey) => "JPEG grey",
            Coding::T81(Tones::Colour) => "JPEG colour",
        })
    }
}

/// The resolutions of T.30 Table 2 that ferrofax knows, horizontal × vertical.
///
/// The metric values (R8 = 8.04 pels/mm and 3.85, 7.7, 15.4 lines/mm) and their inch twins
/// (200 × 100, 200 × 200, 200 × 400) are interchangeable in transmission (T.30 Table 2 note 21).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Resolution {
    /// R8 × 3.85 lines/mm, 204 × 98 per inch. Every terminal can do it.
    Standard,
    /// R8 × 7.7 lines/mm, 204 × 196 per inch (bit 15).
    Fine,
    /// R8 × 15.4 lines/mm, 204 × 391 per inch (bit 41).
    Superfine,
    /// R16 × 15.4 lines/mm, 408 × 391 per inch (bit 43).
    R16,
    /// 300 × 300 per inch (bit 42).
    Inch300,
}

impl Resolution {
    /// All of them, coarsest first.
    pub const ALL: [Resolution; 5] =
        [Resolution::Standard, Resolution::Fine, Resolution::Superfine, Resolution::Inch300, Resolution::R16];

    /// Pels per inch along a line, as TIFF states it.
    #[must_use]
    pub const fn x_per_inch(self) -> u32 {
        match self {
            Resolution::Standard | Resolution::Fine | Resolution::Superfine => 204,
            Resolution::R16 => 408,
            Resolution::Inch300 => 300,
        }
    }

    /// Lines per inch, as TIFF states it.
    #[must_use]
    pub const fn y_per_inch(self) -> u32 {
        match self {
            Resolution::Standard => 98,
            Resolution::Fine => 196,
            Resolution::Superfine | Resolution::R16 => 391,
            Resolution::Inch300 => 300,
        }
    }

    /// The resolution that a file's or a far end's figures mean, within 3 % in each direction,
    /// metric or inch.
    #[must_use]
    pub fn from_per_inch(x: f32, y: f32) -> Option<Self> {
        let near = |a: f32, b: f32| (a - b).abs() <= b * 0.03;
        Self::ALL.into_iter().find(|r| {
            let (rx, ry) = (r.x_per_inch() as f32, r.y_per_inch() as f32);
            near(x, rx) && near(y, ry)
        })
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {}", self.x_per_inch(), self.y_per_inch())
    }
}

/// The scan line lengths of T.4 §2.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Width {
    /// 215 mm: ISO A4, North American Letter and Legal. 1728 pels at R8.
    A4,
    /// 255 mm: ISO B4. 2048 pels at R8.
    B4,
    /// 303 mm: ISO A3. 2432 pels at R8.
    A3,
}

impl Width {
    /// All of them, narrowest first.
    pub const ALL: [Width; 3] = [Width::A4, Width::B4, Width::A3];

    /// Pels on a line at `resolution`: the only legal numbers.
    #[must_use]
    pub const fn pels(self, resolution: Resolution) -> u32 {
        let r8 = match self {
            Width::A4 => 1728,
            Width::B4 => 2048,
            Width::A3 => 2432,
        };
        match resolution {
            Resolution::Standard | Resolution::Fine | Resolution::Superfine => r8,
            Resolution::Inch300 => r8 / 2 * 3,
            Resolution::R16 => r8 * 2,
        }
    }

    /// The width whose lines have exactly `pels` at `resolution`.
    #[must_use]
    pub fn from_pels(pels: u32, resolution: Resolution) -> Option<Self> {
        Self::ALL.into_iter().find(|w| w.pels(resolution) == pels)
    }
}

/// The longest page a terminal takes (T.30 Table 2, bits 19 and 20).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Length {
    /// 297 mm.
    A4,
    /// 364 mm.
    B4,
    /// No limit.
    Unlimited,
}

/// How a page goes over the line: what a DCS states (T.30 Table 2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PageFormat {
    /// Coding of the pels.
    pub coding: Coding,
    /// Resolution.
    pub resolution: Resolution,
    /// Line length.
    pub width: Width,
    /// Error correction mode: pages travel in HDLC frames that are repeated until they are right.
    pub ecm: bool,
    /// The least time a coded line may take (T.4 §2, T.30 bits 21–23); zero with ECM.
    pub min_row_time: Duration,
}

impl PageFormat {
    /// Pels on a line.
    #[must_use]
    pub const fn pels(&self) -> u32 {
        self.width.pels(self.resolution)
    }
}

/// The shape of a page that waits to be sent, before it is known what the far end takes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PageShape {
    /// Line length.
    pub width: Width,
    /// Resolution.
    pub resolution: Resolution,
    /// Rows at that resolution.
    pub rows: u32,
    /// The tones of its continuous-tone rendition (200 × 200 per inch), if there is one and it is to be sent where
    /// the far end takes it.
    pub tones: Option<Tones>,
}

impl PageShape {
    /// How long it is, millimetres.
    #[must_use]
    pub fn millimetres(&self) -> u32 {
        let tenths = u64::from(self.rows) * 254 / u64::from(self.resolution.y_per_inch());
        u32::try_from(tenths / 10).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_those_of_t4() {
        let want = [
            (Resolution::Fine, [1728, 2048, 2432]),
            (Resolution::Inch300, [2592, 3072, 3648]),
            (Resolution::R16, [3456, 4096, 4864]),
        ];
        for (r, pels) in want {
            assert_eq!(Width::ALL.map(|w| w.pels(r)), pels);
            for (w, p) in Width::ALL.into_iter().zip(pels) {
                assert_eq!(Width::from_pels(p, r), Some(w));
            }
        }
    }

    #[test]
    fn inch_twins_are_recognised() {
        for (x, y, want) in [
            (200.0, 100.0, Resolution::Standard),
            (203.0, 98.0, Resolution::Standard),
            (200.0, 200.0, Resolution::Fine),
            (204.0, 196.0, Resolution::Fine),
            (200.0, 400.0, Resolution::Superfine),
            (400.0, 400.0, Resolution::R16),
            (300.0, 300.0, Resolution::Inch300),
        ] {
            assert_eq!(Resolution::from_per_inch(x, y), Some(want));
        }
        assert_eq!(Resolution::from_per_inch(72.0, 72.0), None);
    }
}
