//! Talk-off: what the detector of CNG and CED makes of speech, music and signalling, ten minutes of each and more.

use fax_base::level::Dbm0;
use fax_base::line::Tone;
use fax_dsp::{ToneDetector, ToneGenerator};
use sounds::{Random, add_noise};

use crate::sounds;

fn heard(samples: &[i16]) -> Vec<Tone> {
    let mut detector = ToneDetector::new();
    let mut heard = Vec::new();
    for block in samples.chunks(160) {
        detector.receive(block, &mut heard);
    }
    heard
}

#[test]
fn speech_music_and_signalling_are_no_fax() {
    for (what, sound) in [
        ("speech", sounds::speech as fn(usize, f32, u64) -> Vec<i16>),
        ("music", sounds::music),
        ("signalling", sounds::signalling),
        ("noise", sounds::noise),
    ] {
        for (level, seed) in [(-12.0, 51), (-22.0, 52), (-32.0, 53)] {
            let heard = heard(&sound(600, level, seed));
            println!("{what} at {level} dBm0: {heard:?} in 600 s");
            assert_eq!(heard, [], "{what} {level}");
        }
    }
}

/// Tones over speech of the other side, 10 dB below them.
#[test]
fn tones_are_heard_over_speech() {
    let mut random = Random(1);
    for (tone, hertz, off, length) in [(Tone::Cng, 1100.0, 38.0, 4000), (Tone::Ced, 2100.0, 15.0, 24_000)] {
        for round in 0..20 {
            let mut samples = vec![0; length];
            let hertz = hertz + random.between(-off, off);
            ToneGenerator::new(hertz, Dbm0(-15.0)).transmit(&mut samples);
            for (s, speech) in samples.iter_mut().zip(sounds::speech(3, -27.0, 60 + round)) {
                *s += speech;
            }
            add_noise(&mut samples, -40.0, round);
            assert_eq!(heard(&samples), [tone], "{hertz} {round}");
        }
    }
}
