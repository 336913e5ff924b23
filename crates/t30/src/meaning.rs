//! Frames in sentences, for a ladder that reads like a book (T.30 §5.3.6).

use crate::describe::describe;
use crate::dis::{Fif, Reading};
use crate::ecm;
use crate::frames::{Fcf, Fcf2, Frame};
use bytes::Bytes;

/// What a frame (from the address octet on, without FCS) means, in words; empty for one that T.30 does not know.
///
/// ```
/// use bytes::Bytes;
/// let pps = Bytes::from_static(&[0xFF, 0xC8, 0x7D, 0x74, 0x80, 0x00, 0x2C]);
/// assert_eq!(fax_t30::explain(&pps), "page 1, block 0, 53 frames were sent, and nothing follows: did they arrive?");
/// ```
#[must_use]
pub fn explain(octets: &Bytes) -> String {
    explain_within(octets, ecm::BLOCK_FRAMES)
}

/// The same where the last block had so many frames: a request for frames (PPR) names those beyond it, too.
#[must_use]
pub fn explain_within(octets: &Bytes, frames: usize) -> String {
    let Some(frame) = Frame::parse(octets) else {
        return String::new();
    };
    let detail = describe(octets);
    let named = |what: &str| if detail.is_empty() { what.to_owned() } else { format!("{what}: {detail}") };
    let said = |what: &str| what.to_owned();
    match frame.fcf {
        Fcf::Dis => format!("can: {}", abilities(&frame, Reading::Capabilities)),
        Fcf::Dtc => format!("asks for a document; can: {}", abilities(&frame, Reading::Capabilities)),
        Fcf::Dcs => format!("chooses: {}; the training check follows", abilities(&frame, Reading::Command)),
        Fcf::Csi => named("number of the called end"),
        Fcf::Tsi => named("number of the sender"),
        Fcf::Cig => named("number of the end that asks"),
        Fcf::Nsf | Fcf::Nsc | Fcf::Nss => named("the maker's own abilities"),
        Fcf::Sub => named("sub-address of the recipient"),
        Fcf::Sep => named("address of the document that is asked for"),
        Fcf::Psa => named("sub-address of the document that is asked for"),
        Fcf::Pwd | Fcf::Sid => named("password"),
        Fcf::Cfr => said("the training check was good: send the page"),
        Fcf::Ftt => said("the training check was bad: train again, more slowly"),
        Fcf::Ctc => named("goes on with what was not received, at another rate"),
        Fcf::Ctr => said("agrees to that rate"),
        Fcf::Mps => said("the page is over, another follows: did it arrive?"),
        Fcf::Eom => said("the document is over, another or another format follows: did it arrive?"),
        Fcf::Eop => said("the page is over, and nothing follows: did it arrive?"),
        Fcf::Eos => said("the document is over, and another is asked for: did it arrive?"),
        Fcf::PriMps | Fcf::PriEom | Fcf::PriEop => said("the page is over, and an operator is wanted"),
        Fcf::Pps => format!("{detail} were sent{}", follows(&frame)),
        Fcf::Eor => format!("gives the rest of the block up{}", follows(&frame)),
        Fcf::Err => said("agrees to that"),
        Fcf::Ppr => {
            let wanted = ecm::requested(&frame.fif, frames);
            let list: Vec<String> = wanted.iter().take(8).map(usize::to_string).collect();
            let more = if wanted.len() > 8 { " …" } else { "" };
            format!("{} of the frames are wanted again: {}{more}", wanted.len(), list.join(" "))
        }
        Fcf::Rr => said("are you ready?"),
        Fcf::Rnr => said("not ready yet: wait"),
        Fcf::Mcf => said("it arrived"),
        Fcf::RetrainPositive => said("it arrived, readable but not good; train again"),
        Fcf::Rtn => said("it cannot be read; train again"),
        Fcf::Pip => said("it arrived, and an operator is wanted"),
        Fcf::Pin => said("it cannot be read, and an operator is wanted"),
        Fcf::Pid => said("it arrived, and the line is to be cleared"),
        Fcf::Fnv => named("refuses a field"),
        Fcf::Crp => said("say that again"),
        Fcf::Dcn => said("hangs up"),
        Fcf::Tr => said("are you ready?"),
        Fcf::Tnr => said("not ready to send yet: wait"),
        // Of the internet, of secured and of character terminals: nobody sends them here.
        Fcf::Tsa
        | Fcf::Spi
        | Fcf::Ira
        | Fcf::Csa
        | Fcf::Dec
        | Fcf::Der
        | Fcf::Des
        | Fcf::Tk
        | Fcf::Rk
        | Fcf::Fdm
        | Fcf::Dnk
        | Fcf::Cia
        | Fcf::Isp
        | Fcf::Fcd
        | Fcf::Rcp
        | Fcf::Ccd
        | Fcf::Unknown => detail,
    }
}

/// What comes behind a partial page.
fn follows(frame: &Frame) -> &'static str {
    match frame.fcf2() {
        Some(Fcf2::Null) => ", and the page goes on: did they arrive?",
        Some(Fcf2::Mps | Fcf2::PriMps) => ", and another page follows: did they arrive?",
        Some(Fcf2::Eom | Fcf2::PriEom) => ", and another document or format follows: did they arrive?",
        Some(Fcf2::Eos) => ", and another document is asked for: did they arrive?",
        Some(Fcf2::Eop | Fcf2::PriEop) => ", and nothing follows: did they arrive?",
        None => "",
    }
}

/// The ones and groups of Table 2 without their bits' numbers.
fn abilities(frame: &Frame, reading: Reading) -> String {
    let without_bits = |item: String| {
        let cut = item.rfind(" (").filter(|at| {
            let bits = item.get(at + 2..item.len().saturating_sub(1)).unwrap_or_default();
            bits.chars().all(|c| c.is_ascii_digit() || c == '–')
        });
        cut.and_then(|at| item.get(..at)).unwrap_or(&item).to_owned()
    };
    let items = Fif::parse(&frame.fif).describe(reading).into_iter().map(without_bits);
    let items = items.map(|item| item.strip_prefix("can ").map(str::to_owned).unwrap_or(item));
    items.filter(|item| item != "reserved").collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::build;

    #[test]
    fn what_was_chosen_is_told_without_numbers_of_bits() {
        let mut fif = Fif::new();
        for bit in [10, 14, 15, 27, 31] {
            fif.put(bit, true);
        }
        let dcs = build(Fcf::Dcs, true, true, &fif.to_octets());
        assert_eq!(
            explain(&dcs),
            "chooses: receive, V.17 14400, R8 × 7.7 or 200 × 200, width 215 mm, length 297 mm, row time 20 ms, ECM, \
             T.6 (MMR); the training check follows"
        );
        let mut map = [0u8; 32];
        map[0] = 0b1010_0000;
        let ppr = build(Fcf::Ppr, false, true, &map);
        assert_eq!(explain(&ppr), "2 of the frames are wanted again: 0 2");
    }
}
