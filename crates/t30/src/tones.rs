//! Pages in grey and colour: what DIS offers, what the sender picks, what DCS states (T.30 Annex E, T.4 Annex E,
//! T.30 Table 2 bits 68 to 75 and 97).

use crate::api::Capabilities;
use crate::dis::Fif;
use fax_base::page::{Coding, PageFormat, PageShape, Resolution, Tones, Width};

/// Whether we may send and receive pages in these tones. Who takes colour takes grey.
fn can(capabilities: &Capabilities, tones: Tones) -> bool {
    let has = |tones| capabilities.codings.contains(&Coding::T81(tones));
    capabilities.ecm && (has(Tones::Colour) || tones == Tones::Grey && has(Tones::Grey))
}

/// Puts into a DIS or DTC what we can receive.
pub(crate) fn offer(capabilities: &Capabilities, fif: &mut Fif) {
    if !can(capabilities, Tones::Grey) {
        return;
    }
    // The basic resolution of such a page is 200 × 200 per inch.
    fif.put(15, true);
    fif.put(68, true);
    fif.put(69, can(capabilities, Tones::Colour));
    // The streams say how they are subsampled and what their gamut is.
    fif.put(73, true);
    fif.put(75, true);
    let finer = [Resolution::Inch300, Resolution::R16];
    fif.put(97, finer.iter().any(|r| capabilities.resolutions.contains(r)));
}

/// The tones in which a page of this shape goes to a terminal with this DIS, which takes pages as wide as `widest`.
/// None: it goes in black and white.
pub(crate) fn choose(ours: &Capabilities, dis: &Fif, shape: &PageShape, widest: Width) -> Option<Tones> {
    let wanted = shape.tones?;
    if !dis.bit(27) || !dis.bit(15) || !dis.bit(68) || shape.width > widest {
        return None;
    }
    let both = |tones| can(ours, tones) && (tones == Tones::Grey || dis.bit(69));
    [Tones::Colour, Tones::Grey].into_iter().find(|t| *t <= wanted && both(*t))
}

/// Puts into a DCS how such a page goes: 200 × 200 per inch, subsampled, with the preferred tables.
pub(crate) fn command(format: &PageFormat, fif: &mut Fif) {
    let Coding::T81(tones) = format.coding else {
        return;
    };
    fif.put(44, true);
    fif.put(68, true);
    fif.put(69, tones == Tones::Colour);
    fif.put(70, true);
}

/// The tones that a DCS states, if it asks for a page that has any.
pub(crate) fn stated(dcs: &Fif) -> Option<Tones> {
    dcs.bit(68).then(|| if dcs.bit(69) { Tones::Colour } else { Tones::Grey })
}

/// What we cannot read of such pages: 12 bits a component, 100 × 100, 600 × 600 and 1200 × 1200 per inch.
pub(crate) const FOREIGN: [u32; 4] = [71, 98, 110, 111];

#[cfg(test)]
mod tests {
    use super::*;

    fn dis(bits: &[u32]) -> Fif {
        let mut fif = Fif::new();
        for n in bits {
            fif.put(*n, true);
        }
        fif
    }

    fn shape(tones: Option<Tones>) -> PageShape {
        PageShape { width: Width::A4, resolution: Resolution::Fine, rows: 1, tones }
    }

    #[test]
    fn colour_goes_where_both_can_and_the_page_has_it() {
        let all = Capabilities::default();
        let grey = Capabilities { codings: vec![Coding::T81(Tones::Grey)], ..Capabilities::default() };
        let none = Capabilities { codings: vec![Coding::Mmr], ..Capabilities::default() };
        let no_ecm = Capabilities { ecm: false, ..Capabilities::default() };
        let far = dis(&[10, 15, 27, 68, 69]);
        let pick = |ours: &Capabilities, dis: &Fif, tones| choose(ours, dis, &shape(tones), Width::A4);
        let (g, c) = (Some(Tones::Grey), Some(Tones::Colour));
        assert_eq!(pick(&all, &far, c), c);
        assert_eq!(pick(&all, &far, g), g);
        assert_eq!(pick(&all, &far, None), None);
        assert_eq!(pick(&grey, &far, c), g);
        assert_eq!(pick(&none, &far, c), None);
        assert_eq!(pick(&no_ecm, &far, c), None);
        assert_eq!(pick(&all, &dis(&[10, 15, 27, 68]), c), g);
        for missing in [15, 27, 68] {
            let bits: Vec<u32> = [10, 15, 27, 68, 69].into_iter().filter(|n| *n != missing).collect();
            assert_eq!(pick(&all, &dis(&bits), c), None, "without bit {missing}");
        }
        let wide = PageShape { width: Width::A3, ..shape(c) };
        assert_eq!(choose(&all, &far, &wide, Width::B4), None);
    }

    #[test]
    fn offers_say_what_is_allowed() {
        let offered = |codings: Vec<Coding>, ecm: bool| {
            let mut fif = Fif::new();
            let resolutions = vec![Resolution::Fine];
            offer(&Capabilities { codings, ecm, resolutions, ..Capabilities::default() }, &mut fif);
            (1..=128).filter(|n| fif.bit(*n)).collect::<Vec<u32>>()
        };
        assert_eq!(offered(vec![Coding::T81(Tones::Colour)], true), [15, 68, 69, 73, 75]);
        assert_eq!(offered(vec![Coding::T81(Tones::Grey)], true), [15, 68, 73, 75]);
        assert!(offered(vec![Coding::T81(Tones::Colour)], false).is_empty());
        assert!(offered(vec![Coding::Mmr], true).is_empty());
    }
}
