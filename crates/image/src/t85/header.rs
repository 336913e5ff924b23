//! The header of a BIE (T.82 §6.2.1 to §6.2.4, T.85 Table 2).

use super::{Parameters, Template};

/// Octets of a header.
pub(super) const HEADER_OCTETS: usize = 20;

const LRLTWO: u8 = 0x40;
const VLENGTH: u8 = 0x20;
const TPBON: u8 = 0x08;
const DPON: u8 = 0x04;
const DPPRIV: u8 = 0x02;
const DPLAST: u8 = 0x01;

/// Octets of a table for deterministic prediction (T.82 §6.7.3.4).
const DP_TABLE_OCTETS: usize = 1728;

/// What a header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    /// XD, pels on a line.
    pub(super) width: u32,
    /// YD, lines, or more than there will be.
    pub(super) rows: u32,
    /// L0, lines of a stripe.
    pub(super) stripe_rows: u32,
    pub(super) template: Template,
    /// TPBON.
    pub(super) typical: bool,
    /// VLENGTH: NEWLEN may come.
    pub(super) variable: bool,
    /// Octets behind the header that mean nothing to a picture of one layer.
    pub(super) skip: usize,
}

impl Header {
    pub(super) fn new(width: u32, rows: u32, parameters: &Parameters) -> Self {
        Header {
            width,
            rows,
            stripe_rows: parameters.stripe_rows,
            template: parameters.template,
            typical: parameters.typical,
            variable: parameters.announced_rows.is_some(),
            skip: 0,
        }
    }

    /// As T.85 wants it: MX and MY zero, since the adaptive pel does not move.
    pub(super) fn to_octets(self) -> [u8; HEADER_OCTETS] {
        let two_line = match self.template {
            Template::ThreeLine => 0,
            Template::TwoLine => LRLTWO,
        };
        let options =
            two_line | if self.typical { TPBON } else { 0 } | if self.variable { VLENGTH } else { 0 };
        let [x0, x1, x2, x3] = self.width.to_be_bytes();
        let [y0, y1, y2, y3] = self.rows.to_be_bytes();
        let [l0, l1, l2, l3] = self.stripe_rows.to_be_bytes();
        [0, 0, 1, 0, x0, x1, x2, x3, y0, y1, y2, y3, l0, l1, l2, l3, 0, 0, 0, options]
    }

    /// Reads a header. What makes no difference to a picture of one layer and one plane is accepted, though
    /// T.85 wants it to be zero: the order of what there is one of, and options for other layers. `None` for
    /// what is not such a picture or has no pels.
    pub(super) fn parse(octets: &[u8; HEADER_OCTETS]) -> Option<Self> {
        let [first, last, planes, _, rest @ ..] = *octets;
        let [x0, x1, x2, x3, y0, y1, y2, y3, l0, l1, l2, l3, _, _, _, options] = rest;
        let header = Header {
            width: u32::from_be_bytes([x0, x1, x2, x3]),
            rows: u32::from_be_bytes([y0, y1, y2, y3]),
            stripe_rows: u32::from_be_bytes([l0, l1, l2, l3]),
            template: if options & LRLTWO == 0 { Template::ThreeLine } else { Template::TwoLine },
            typical: options & TPBON != 0,
            variable: options & VLENGTH != 0,
            skip: if options & (DPON | DPPRIV | DPLAST) == DPON | DPPRIV { DP_TABLE_OCTETS } else { 0 },
        };
        let one = (first, last, planes) == (0, 0, 1);
        (one && header.width > 0 && header.rows > 0 && header.stripe_rows > 0).then_some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        for (template, typical, announced) in [
            (Template::ThreeLine, true, None),
            (Template::TwoLine, false, Some(9)),
            (Template::TwoLine, true, None),
        ] {
            let parameters = Parameters { template, typical, stripe_rows: 17, announced_rows: announced };
            let header = Header::new(1728, 2287, &parameters);
            assert_eq!(Header::parse(&header.to_octets()), Some(header));
        }
        let octets = Header::new(16, 4, &Parameters::default()).to_octets();
        assert_eq!(octets, [0, 0, 1, 0, 0, 0, 0, 16, 0, 0, 0, 4, 0, 0, 0, 128, 0, 0, 0, 8]);
        // Layers, planes, no pels, no lines, no stripes.
        for (at, value) in [(0, 1), (1, 1), (2, 2), (2, 0), (7, 0), (11, 0), (15, 0)] {
            let mut wrong = octets;
            wrong[at] = value;
            assert_eq!(Header::parse(&wrong), None, "octet {at}");
        }
        let mut private = octets;
        private[19] |= 0x06;
        assert_eq!(Header::parse(&private).map(|h| h.skip), Some(1728));
    }
}
