//! Our terminal against spandsp's fax machine over audio on simulated time: every modulation and rate, ECM and
//! not, every coding; each page arrives pel for pel (T.30; V.17, V.27ter, V.29).

#![allow(clippy::unwrap_used, clippy::panic)] // the exemption for tests does not reach the functions beside them

use crate::spandsp;

use fax_base::line::Modulation;
use fax_t30 as t30;
use spandsp::audio::{receive, send};
use spandsp::{Document, ECM_MH, ECM_MMR, ECM_MR, ECM_T85, MH, MR, three};
use spandsp_peer::{Options, Recommendation, pages};

fn text(rows: u32) -> Document {
    Document { name: "text".to_owned(), pages: vec![pages::generated(11, rows)] }
}

/// Only this modulation (and V.27ter 2400, which is always there).
fn only(modulation: Modulation) -> (Options, t30::Capabilities) {
    let modems = match modulation.recommendation() {
        "V.27ter" => vec![Recommendation::V27ter],
        "V.29" => vec![Recommendation::V29, Recommendation::V27ter],
        _ => vec![Recommendation::V17, Recommendation::V29, Recommendation::V27ter],
    };
    let capabilities = t30::Capabilities { modulations: vec![modulation], ..t30::Capabilities::default() };
    (Options { modems, ..Options::default() }, capabilities)
}

macro_rules! modulations {
    ($($name:ident: $modulation:ident;)*) => { $(
        mod $name {
            use super::*;

            #[test]
            fn sent() {
                for (way, rows) in [(ECM_MMR, 400), (MR, 200)] {
                    let (options, capabilities) = only(Modulation::$modulation);
                    let seen = send(&text(rows), way, options, capabilities);
                    assert_eq!(seen.outcome.as_ref().unwrap().modulation, Some(Modulation::$modulation), "{}", seen.tail());
                }
            }

            #[test]
            fn received() {
                for (way, rows) in [(ECM_MMR, 400), (MR, 200)] {
                    let (options, capabilities) = only(Modulation::$modulation);
                    let seen = receive(&text(rows), way, options, capabilities);
                    assert_eq!(seen.outcome.as_ref().unwrap().modulation, Some(Modulation::$modulation), "{}", seen.tail());
                }
            }
        }
    )* };
}

modulations! {
    v27ter_2400: V27ter2400;
    v27ter_4800: V27ter4800;
    v29_7200: V29At7200;
    v29_9600: V29At9600;
    v17_7200: V17At7200;
    v17_9600: V17At9600;
    v17_12000: V17At12000;
    v17_14400: V17At14400;
}

#[test]
fn several_pages_sent() {
    for way in [ECM_T85, ECM_MMR, ECM_MR, ECM_MH, MR, MH] {
        send(&three(), way, Options::default(), t30::Capabilities::default());
    }
}

#[test]
fn several_pages_received() {
    for way in [ECM_T85, ECM_MMR, ECM_MR, ECM_MH, MR, MH] {
        receive(&three(), way, Options::default(), t30::Capabilities::default());
    }
}

/// 200 ms of plain carrier before the training of every image (T.30 §5.3, V.17 §5).
#[test]
fn talker_echo_protection() {
    for modulation in [Modulation::V27ter4800, Modulation::V29At9600, Modulation::V17At14400] {
        let (options, capabilities) = only(modulation);
        let options = Options { talker_echo_protection: true, ..options };
        for way in [ECM_MMR, MH] {
            send(&text(200), way, options.clone(), capabilities.clone());
            receive(&text(200), way, options.clone(), capabilities.clone());
        }
    }
}
