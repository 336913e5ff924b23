//! The conformance suite: scripts after T.30's flow charts, as data, against one session (T.30 §5.2 to §5.4,
//! Annex A), with the times of modems, over the modems themselves and over T.38. `README.md` says how to read them.

mod play;

use play::Script;
use testkit::line::bench::Carrier;

const FILES: [(&str, &str); 10] = [
    ("calling.txt", include_str!("calling.txt")),
    ("called.txt", include_str!("called.txt")),
    ("ecm-send.txt", include_str!("ecm-send.txt")),
    ("ecm-receive.txt", include_str!("ecm-receive.txt")),
    ("polling.txt", include_str!("polling.txt")),
    ("tones.txt", include_str!("tones.txt")),
    ("coding.txt", include_str!("coding.txt")),
    ("operator.txt", include_str!("operator.txt")),
    ("refusals.txt", include_str!("refusals.txt")),
    ("limits.txt", include_str!("limits.txt")),
];

fn scripts(file: &str) -> Vec<Script> {
    let (_, text) = FILES.iter().find(|(name, _)| *name == file).expect("a file");
    Script::parse_all(text).expect(file)
}

fn run(file: &str) {
    let (scripts, mut failed) = (scripts(file), Vec::new());
    for script in &scripts {
        for carrier in
            [Carrier::Times, Carrier::T38, Carrier::Audio].into_iter().filter(|c| script.is_for(*c))
        {
            if let Err(why) = script.play(carrier) {
                println!("{file}: {} ({carrier:?}): {why}", script.name);
                failed.push(script.name.clone());
            }
        }
    }
    println!("{file}: {} scripts, {} failed", scripts.len(), failed.len());
    assert_eq!(failed, Vec::<String>::new());
}

#[test]
fn calling() {
    run("calling.txt");
}

#[test]
fn called() {
    run("called.txt");
}

#[test]
fn ecm_send() {
    run("ecm-send.txt");
}

#[test]
fn ecm_receive() {
    run("ecm-receive.txt");
}

#[test]
fn polling() {
    run("polling.txt");
}

#[test]
fn tones() {
    run("tones.txt");
}

#[test]
fn coding() {
    run("coding.txt");
}

#[test]
fn operator() {
    run("operator.txt");
}

#[test]
fn refusals() {
    run("refusals.txt");
}

#[test]
fn limits() {
    run("limits.txt");
}

#[test]
fn the_suite_is_whole() {
    let mut count = 0;
    for (file, _) in FILES {
        let all = scripts(file);
        for (i, script) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|s| s.name != script.name), "{file}: twice: {}", script.name);
        }
        count += all.len();
    }
    println!("{count} scripts");
    assert!(count >= 370, "{count} scripts");
}
