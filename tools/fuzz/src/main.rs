//! Coverage-guided fuzzing of every decoder of frames, packets, messages and images, with libFuzzer.
//!
//! One program holds all targets; `FUZZ_TARGET` names the one to run, and the arguments are libFuzzer's.
//! `cargo xtask fuzz` builds and calls it. A target gets octets, must not panic, hang or grow, and checks what must hold
//! whatever came in: what is written reads back, and the result does not depend on how the octets were cut.

#![no_main]

mod gateway;
mod image;
mod input;
mod mail;
mod rtp;
mod sip;
mod srtp;
mod t30;
mod t38;

/// Of fax-mail, where its session expects it.
#[allow(dead_code)]
#[path = "../../../crates/mail/src/data.rs"]
mod data;

use std::sync::OnceLock;

type Target = fn(&[u8]);

/// The targets by name. `cargo xtask fuzz` finds the names in this list.
const TARGETS: &[(&str, Target)] = &[
    ("t30_frame", t30::frame),
    ("t30_session", t30::session),
    ("t30_observer", t30::observer),
    ("hdlc", t30::hdlc),
    ("ifp", t38::ifp),
    ("udptl", t38::udptl),
    ("t38_endpoint", t38::endpoint),
    ("t38_terminal", t38::terminal),
    ("recording", t38::recording),
    ("sdp", sip::sdp),
    ("sip_message", sip::message),
    ("sip_stream", sip::stream),
    ("sip_agent", sip::agent),
    ("rtp", rtp::stream),
    ("rtcp", srtp::rtcp),
    ("srtp", srtp::unprotect),
    ("crypto", srtp::crypto),
    ("stun", srtp::stun),
    ("gateway", gateway::both),
    ("decode", image::decode),
    ("recode", image::recode),
    ("jpeg", image::jpeg),
    ("tiff", image::tiff),
    ("header", image::header),
    ("scale", image::scale),
    ("smtp", mail::session),
    ("mime", mail::message),
];

fn target() -> Target {
    static TARGET: OnceLock<Target> = OnceLock::new();
    *TARGET.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        let found = TARGETS.iter().find(|(n, _)| *n == name);
        found.map(|(_, target)| *target).unwrap_or_else(|| {
            let names: Vec<&str> = TARGETS.iter().map(|(n, _)| *n).collect();
            eprintln!("FUZZ_TARGET must be one of {}", names.join(" "));
            std::process::exit(2);
        })
    })
}

libfuzzer_sys::fuzz_target!(|octets: &[u8]| target()(octets));
