//! The APP1 segments `G3FAX` (T.42 §6, T.4 Annex E): version and resolution, range of the gamut, illuminant.

/// What identifies the segments; one octet follows that says which it is.
const NAME: &[u8; 5] = b"G3FAX";

/// The range of one component: its value is (sample − offset) × range / 255.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// The sample that means zero.
    pub offset: i16,
    /// How much the samples from 0 to 255 span.
    pub range: u16,
}

/// The ranges of L*, a* and b* (T.42 §6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gamut(pub [Range; 3]);

impl Default for Gamut {
    /// 0 to 100, −85 to 85, −75 to 125.
    fn default() -> Self {
        Gamut([
            Range { offset: 0, range: 100 },
            Range { offset: 128, range: 170 },
            Range { offset: 96, range: 200 },
        ])
    }
}

/// What T.42's segments say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// Year of the version, 1994 or 1997.
    pub version: u16,
    /// Pels per inch, in both directions.
    pub per_inch: u16,
    /// Ranges of the components.
    pub gamut: Gamut,
    /// Another illuminant than D50: the octets that name it or give its temperature.
    pub illuminant: Option<Vec<u8>>,
}

impl Default for Header {
    /// 1994, 200 per inch, the usual ranges, D50.
    fn default() -> Self {
        Header { version: 1994, per_inch: 200, gamut: Gamut::default(), illuminant: None }
    }
}

impl Header {
    /// The content of the first segment: `G3FAX`, 0, version, resolution.
    pub(super) fn to_segment(&self) -> Vec<u8> {
        let mut octets = NAME.to_vec();
        octets.push(0);
        octets.extend(self.version.to_be_bytes());
        octets.extend(self.per_inch.to_be_bytes());
        octets
    }

    /// What segments APP1 say. Others than T.42's and nonsense in them are left out.
    pub(super) fn from_segments(segments: &[Vec<u8>]) -> Header {
        let mut header = Header::default();
        for segment in segments {
            let Some((&kind, content)) = segment.strip_prefix(NAME).and_then(|rest| rest.split_first())
            else {
                continue;
            };
            let mut numbers = content.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair));
            match kind {
                0 => {
                    if let (Some(version), Some(per_inch)) = (numbers.next(), numbers.next()) {
                        header.version = version;
                        if per_inch > 0 {
                            header.per_inch = per_inch;
                        }
                    }
                }
                1 => {
                    let ranges = core::array::from_fn(|_| {
                        let offset = numbers.next().map(u16::cast_signed);
                        let range = numbers.next().filter(|r| *r > 0);
                        offset.zip(range).map(|(offset, range)| Range { offset, range })
                    });
                    if let [Some(l), Some(a), Some(b)] = ranges {
                        header.gamut = Gamut([l, a, b]);
                    }
                }
                2 => header.illuminant = Some(content.iter().take(16).copied().collect()),
                _ => {}
            }
        }
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_segment_is_as_t42_prints_it() {
        let octets = Header::default().to_segment();
        assert_eq!(octets, [0x47, 0x33, 0x46, 0x41, 0x58, 0x00, 0x07, 0xCA, 0x00, 0xC8]);
        assert_eq!(Header::from_segments(&[octets]), Header::default());
    }

    #[test]
    fn gamut_and_illuminant_are_read_and_nonsense_is_not() {
        let gamut =
            [b"G3FAX\x01".to_vec(), [0u16, 100, 128, 200, 128, 220].map(u16::to_be_bytes).concat()].concat();
        let header = Header::from_segments(&[gamut, b"G3FAX\x02D65".to_vec(), b"Exif\0\0".to_vec()]);
        assert_eq!(header.gamut.0[2], Range { offset: 128, range: 220 });
        assert_eq!(header.illuminant.as_deref(), Some(&b"D65"[..]));
        let nonsense =
            [b"G3FAX\x01\0\0\0\0".to_vec(), b"G3FAX\0\x07".to_vec(), b"G3FAX".to_vec(), Vec::new()];
        assert_eq!(Header::from_segments(&nonsense), Header::default());
    }
}
