//! T.85: JBIG for fax, which is T.82 with one resolution layer, one bit plane and stripes in order.
//!
//! A page is one BIE: a header of twenty octets, then stripes. Every pel of a stripe is coded by the QM
//! coder after what the pels around it were, except those of lines that are like the line before.

mod decode;
mod encode;
mod header;
mod qm;
mod stripe;
mod template;

pub(crate) use decode::{T85Next, T85Rows};
pub(crate) use encode::LineEncoder;
pub use encode::encode;

/// Which pels around a pel tell what it may be (T.82 §6.7.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Template {
    /// From two lines above and its own: LRLTWO is not set.
    #[default]
    ThreeLine,
    /// From the line above and its own: LRLTWO. A little quicker, a little larger.
    TwoLine,
}

/// How a page is to be coded (T.85 Table 2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parameters {
    /// The template.
    pub template: Template,
    /// TPBON: lines like the one before are said to be so and not coded.
    pub typical: bool,
    /// L0, the lines of a stripe, at least 1. Other numbers than 128 must be agreed (T.30 bit 79).
    pub stripe_rows: u32,
    /// VLENGTH: the header says so many lines, and NEWLEN at the end says how many there were, as by a
    /// sender that does not know in advance.
    pub announced_rows: Option<u32>,
}

impl Default for Parameters {
    /// Three lines, typical lines, stripes of 128, the length in the header: what every T.85 receiver
    /// must take.
    fn default() -> Self {
        Parameters {
            template: Template::ThreeLine,
            typical: true,
            stripe_rows: STRIPE_ROWS,
            announced_rows: None,
        }
    }
}

/// L0 that every receiver takes (T.85 Table 2).
const STRIPE_ROWS: u32 = 128;

/// The octet before every marker (T.82 §6.2.6, Table 7).
const ESC: u8 = 0xFF;
/// ESC STUFF: a data octet FF.
const STUFF: u8 = 0x00;
/// The stripe ends; what was learnt is kept.
const SDNORM: u8 = 0x02;
/// The stripe ends; everything begins anew.
const SDRST: u8 = 0x03;
/// The number of lines, four octets.
const NEWLEN: u8 = 0x05;
/// The adaptive pel moves: line in the stripe, four octets; distance, one; zero, one.
const ATMOVE: u8 = 0x06;
/// Four octets for the length of a text, and the text.
const COMMENT: u8 = 0x07;
