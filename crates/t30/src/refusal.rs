//! FNV, field not valid: an address or a password that is not taken (T.30 §5.3.6.1.8 and §5.3.6.2.13, Table 2 bit 33).

use crate::call::{Burst, Call};
use crate::called::AwaitDcs;
use crate::cause::Cause;
use crate::dis::Fif;
use crate::frames::{self, Fcf, Frame, ident_from_fif};
use crate::release;
use crate::session::State;

/// After so many FNV the caller has had its chances.
const CHANCES: u32 = 2;

/// The fields that FNV's first octet names, first bit first; its last bit says that a second octet follows.
const FIRST: [&str; 7] = ["PWD", "SEP", "SUB", "SID", "secure fax", "TSI", "PSA"];
/// The same of its second octet.
const SECOND: [&str; 3] = ["BFT", "IRA", "ISP"];
/// FNV's first octet says that there is a second one.
const EXTENDED: u8 = 0x01;

/// What is refused, and how.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    cause: Cause,
    /// FNV's information field, if the far end understands it.
    fnv: Option<Vec<u8>>,
}

impl Refusal {
    /// A refusal that only DCN can tell.
    pub(crate) const fn plain(cause: Cause) -> Self {
        Refusal { cause, fnv: None }
    }

    /// A refusal of what `burst`, whose last frame is a DCS or DTC, brought in a frame `field`.
    pub(crate) fn of(cause: Cause, field: Fcf, burst: &Burst) -> Self {
        let understood = Fif::parse(&burst.last.fif).bit(33);
        let given = burst.frames.iter().find(|f| f.fcf == field);
        Refusal { cause, fnv: understood.then(|| information(field, given)) }
    }

    /// Tells the far end: with FNV it may try again.
    pub(crate) fn tell(self, call: &mut Call) -> State {
        call.reception.refused = Some(self.cause);
        match self.fnv {
            Some(fif) if call.reception.refusals < CHANCES => {
                call.reception.refusals += 1;
                let state = AwaitDcs::after(call);
                call.send_frame(Fcf::Fnv, &fif);
                state
            }
            Some(_) | None => release::disconnect(call, Some(self.cause)),
        }
    }
}

/// What a burst with DCS brings that we do not take.
pub(crate) fn of_dcs(call: &Call, burst: &Burst) -> Option<Refusal> {
    if !password_fits(call, burst) {
        return Some(Refusal::of(Cause::WrongPassword, Fcf::Sid, burst));
    }
    (!is_at_home(call, burst)).then(|| Refusal::of(Cause::UnknownAddress, Fcf::Sub, burst))
}

/// Whether the far end knows our password, if we demand one: in SID beside DCS, in PWD beside DTC.
pub(crate) fn password_fits(call: &Call, burst: &Burst) -> bool {
    let Some(wanted) = call.config.password.as_deref() else {
        return true;
    };
    let mut given = burst.frames.iter().filter(|f| matches!(f.fcf, Fcf::Sid | Fcf::Pwd));
    call.is_calling() || given.any(|f| is(f, wanted))
}

/// Whether the sub-address, if one is named, is ours.
fn is_at_home(call: &Call, burst: &Burst) -> bool {
    let ours = &call.config.sub_addresses;
    let mut named = burst.frames.iter().filter(|f| f.fcf == Fcf::Sub);
    ours.is_empty() || named.all(|frame| ours.iter().any(|sub| is(frame, sub)))
}

/// Compared as it would have arrived: twenty printable characters.
fn is(frame: &Frame, text: &str) -> bool {
    ident_from_fif(&frame.fif) == ident_from_fif(&frames::ident_to_fif(text))
}

/// FNV's information field: the reason, a sequence number, and, when it was given at all, the field that is not
/// valid with its length and content.
fn information(field: Fcf, given: Option<&Frame>) -> Vec<u8> {
    let reason = FIRST.iter().position(|name| *name == field.name());
    let mut fif = vec![reason.map_or(0, |n| 0x80 >> n), 0];
    if let Some(frame) = given {
        let content = frame.fif.get(..20).unwrap_or(&frame.fif);
        fif.push(field.octet(false));
        fif.push(u8::try_from(content.len()).unwrap_or(0).reverse_bits());
        fif.extend_from_slice(content);
    }
    fif
}

/// What an FNV refuses, by name.
pub(crate) fn reasons(fif: &[u8]) -> Vec<&'static str> {
    let named = |octet: u8, names: &'static [&'static str]| {
        names.iter().enumerate().filter(move |(i, _)| octet & (0x80 >> i) != 0).map(|(_, name)| *name)
    };
    let first = fif.first().copied().unwrap_or(0);
    let second = if first & EXTENDED == 0 { 0 } else { fif.get(1).copied().unwrap_or(0) };
    named(first, &FIRST).chain(named(second, &SECOND)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_that_is_refused_is_named() {
        for (field, octet) in [
            (Fcf::Pwd, 0x80),
            (Fcf::Sep, 0x40),
            (Fcf::Sub, 0x20),
            (Fcf::Sid, 0x10),
            (Fcf::Tsi, 0x04),
            (Fcf::Psa, 0x02),
        ] {
            let fif = information(field, None);
            assert_eq!(fif, [octet, 0]);
            assert_eq!(reasons(&fif), [field.name()]);
        }
        assert_eq!(reasons(&[0x21, 0x60, 0]), ["SUB", "IRA", "ISP"]);
        assert_eq!(reasons(&[]), Vec::<&str>::new());
    }

    #[test]
    fn its_content_follows() {
        let frame = frames::build(Fcf::Sub, true, false, &frames::ident_to_fif("17"));
        let frame = Frame::parse(&frame).expect("a frame");
        let fif = information(Fcf::Sub, Some(&frame));
        assert_eq!(fif[..4], [0x20, 0x00, 0x43, 20u8.reverse_bits()]);
        assert_eq!(ident_from_fif(&fif[4..]), Some("17".into()));
    }
}
