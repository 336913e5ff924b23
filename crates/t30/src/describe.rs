//! A frame in words, for the ladder (T.30 §5.3.6).

use crate::address::InternetAddress;
use crate::dis::{Fif, Reading};
use crate::frames::{Fcf, Frame, ident_from_fif};
use crate::{ecm, nsf, rates, refusal};
use bytes::Bytes;

/// What a frame (from the address octet on, without FCS) says beyond its name; empty when its name says
/// all.
///
/// ```
/// use bytes::Bytes;
/// let pps = Bytes::from_static(&[0xFF, 0xC8, 0x7D, 0x74, 0x80, 0x00, 0x2C]);
/// assert_eq!(fax_t30::describe(&pps), "page 1, block 0, 53 frames");
/// ```
#[must_use]
pub fn describe(octets: &Bytes) -> String {
    let Some(frame) = Frame::parse(octets) else {
        return String::new();
    };
    let fif = &frame.fif;
    match frame.fcf {
        Fcf::Dis | Fcf::Dtc => Fif::parse(fif).describe(Reading::Capabilities).join(", "),
        Fcf::Dcs => Fif::parse(fif).describe(Reading::Command).join(", "),
        Fcf::Csi | Fcf::Tsi | Fcf::Cig | Fcf::Sub | Fcf::Sep | Fcf::Psa => {
            ident_from_fif(fif).unwrap_or_default()
        }
        // Passwords are not for the log.
        Fcf::Pwd | Fcf::Sid => "***".to_owned(),
        Fcf::Nsf | Fcf::Nsc | Fcf::Nss => nsf::describe(fif),
        Fcf::Ctc => rates::from_dcs(&Fif::parse(fif)).map_or_else(String::new, |m| m.to_string()),
        Fcf::Pps => match fif.get(1..4) {
            Some(&[page, block, frames]) => format!(
                "page {}, block {}, {} frames",
                page.reverse_bits(),
                block.reverse_bits(),
                u16::from(frames.reverse_bits()) + 1
            ),
            _ => String::new(),
        },
        Fcf::Ppr => {
            let wanted = ecm::requested(fif, ecm::BLOCK_FRAMES);
            let list: Vec<String> = wanted.iter().take(8).map(usize::to_string).collect();
            let dots = if wanted.len() > 8 { " …" } else { "" };
            format!("frames {}{dots}", list.join(" "))
        }
        Fcf::Fnv => refusal::reasons(fif).join(", "),
        Fcf::Tsa | Fcf::Cia | Fcf::Ira | Fcf::Isp | Fcf::Csa => {
            InternetAddress::parse(fif).map_or_else(String::new, |address| address.to_string())
        }
        _ => String::new(),
    }
}
