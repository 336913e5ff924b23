//! The called terminal receives; the script sends.

use super::*;
use fax_base::line::{Channel, Heard, Tone, Training, Transmit};
use fax_t30::{Input, Phase, Verdict};

fn answered() -> Bench {
    let mut b = Bench::start(config(Role::Called, 0));
    assert_eq!(b.sent(SECOND * 9), ["DIS"]);
    b
}

/// Has said CFR.
fn ready() -> Bench {
    let mut b = answered();
    b.burst(&[calling(Fcf::Dcs, &DCS)]);
    b.tcf(V17);
    assert_eq!(b.sent(SECOND * 3), ["CFR"]);
    b
}

fn image(b: &mut Bench, octets: usize) {
    b.bits(V17, Training::Short, vec![0x35; octets].into());
}

#[test]
fn silence_ced_gap_dis() {
    let mut b = Bench::start(config(Role::Called, 0));
    let left = b.sent_timed(SECOND * 9);
    let [silence, ced, gap, _dis] = left.as_slice() else {
        panic!("{left:?}");
    };
    let Transmit::Silence(before) = silence.what else { panic!("{silence:?}") };
    assert!((Duration::from_millis(200)..=Duration::from_millis(2500)).contains(&before));
    let Transmit::Tone(Tone::Ced, length) = ced.what else { panic!("{ced:?}") };
    assert!((Duration::from_millis(2600)..=Duration::from_millis(4000)).contains(&length));
    assert_eq!(gap.what, Transmit::Silence(Duration::from_millis(75)));
}

#[test]
fn dis_is_repeated_until_t1() {
    let mut b = answered();
    let mut count = 1;
    loop {
        let sent = b.sent(SECOND * 9);
        if sent != ["DIS"] {
            assert_eq!(sent, ["DCN"]);
            break;
        }
        count += 1;
    }
    assert!((4..=9).contains(&count), "{count}");
    assert_failed(&mut b, Cause::NoFax);
    let lasted = b.outcome.as_ref().map(|(at, _)| at.as_millis());
    assert!(lasted.is_some_and(|ms| (33_000..46_000).contains(&ms)), "{lasted:?}");
}

#[test]
fn one_page() {
    let mut b = ready();
    image(&mut b, 9000);
    b.burst(&[calling(Fcf::Eop, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    b.burst(&[calling(Fcf::Dcn, &[])]);
    assert_succeeded(&mut b);
    assert_eq!(settled(&b), [(true, true)]);
    let phases: Vec<Phase> = b
        .events
        .iter()
        .filter_map(|(_, e)| match e {
            Event::Phase(p) => Some(*p),
            _ => None,
        })
        .collect();
    assert_eq!(phases, [Phase::A, Phase::B, Phase::C, Phase::D, Phase::E]);
}

#[test]
fn x_is_zero_and_peers_with_the_other_x_are_heard() {
    let mut b = answered();
    b.burst(&[called(Fcf::Dcs, &DCS)]);
    b.tcf(V17);
    assert_eq!(b.sent(SECOND * 3), ["CFR"]);
    image(&mut b, 9000);
    b.burst(&[called(Fcf::Eop, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    b.burst(&[called(Fcf::Dcn, &[])]);
    assert_succeeded(&mut b);
    let mut fcfs = b.events.iter().filter_map(|(_, e)| match e {
        Event::FrameSent { octets, .. } => octets.get(2),
        _ => None,
    });
    assert!(fcfs.all(|fcf| fcf & 0x80 == 0));
}

#[test]
fn commands_repeated_get_the_same_answer_and_count_once() {
    let mut b = ready();
    image(&mut b, 9000);
    for _ in 0..3 {
        b.burst(&[calling(Fcf::Mps, &[])]);
        assert_eq!(b.sent(SECOND * 3), ["MCF"]);
        b.wait(Duration::from_millis(1500));
    }
    image(&mut b, 9000);
    for _ in 0..3 {
        b.burst(&[calling(Fcf::Eop, &[])]);
        assert_eq!(b.sent(SECOND * 3), ["MCF"]);
        b.wait(Duration::from_millis(1500));
    }
    b.burst(&[calling(Fcf::Dcn, &[])]);
    assert_succeeded(&mut b);
    assert_eq!(settled(&b), [(true, true), (true, true)]);
}

#[test]
fn eom_repeated_then_dis() {
    let mut b = ready();
    image(&mut b, 9000);
    for _ in 0..3 {
        b.burst(&[calling(Fcf::Eom, &[])]);
        assert_eq!(b.sent(SECOND * 3), ["MCF"]);
        b.wait(SECOND * 2);
    }
    assert_eq!(b.sent(SECOND * 7), ["DIS"]);
    // Once more, after DIS: the caller still has no answer.
    b.burst(&[calling(Fcf::Eom, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    b.burst(&[calling(Fcf::Dcs, &DCS)]);
    b.tcf(V17);
    assert_eq!(b.sent(SECOND * 3), ["CFR"]);
    assert_eq!(settled(&b), [(true, true)]);
}

#[test]
fn a_post_message_command_without_a_page_is_never_confirmed() {
    for fcf in [Fcf::Mps, Fcf::Eom, Fcf::Eop] {
        let mut b = ready();
        b.wait(SECOND * 4);
        b.burst(&[calling(fcf, &[])]);
        assert_eq!(b.sent(SECOND * 3), ["RTN"], "{fcf:?}");
    }
    // After a page, too, when it is too late for a repeat.
    let mut b = ready();
    image(&mut b, 9000);
    b.burst(&[calling(Fcf::Mps, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    b.wait(SECOND * 5);
    b.burst(&[calling(Fcf::Mps, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["RTN"]);
    // And when an image carrier was heard, but no page.
    let mut b = ready();
    image(&mut b, 9000);
    b.burst(&[calling(Fcf::Mps, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    image(&mut b, 0);
    b.burst(&[calling(Fcf::Mps, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["RTN"]);
    assert_eq!(settled(&b), [(true, true)]);
}

#[test]
fn cfr_lost_dcs_again() {
    let mut b = ready();
    b.wait(SECOND * 2);
    b.burst(&[calling(Fcf::Dcs, &DCS)]);
    b.tcf(V17);
    assert_eq!(b.sent(SECOND * 3), ["CFR"]);
    image(&mut b, 9000);
    b.burst(&[calling(Fcf::Eop, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
}

#[test]
fn bad_and_missing_training_checks_get_ftt() {
    let mut b = answered();
    b.burst(&[calling(Fcf::Dcs, &DCS)]);
    b.bits(V17, Training::Long, vec![0x55; 2700].into());
    assert_eq!(b.sent(SECOND * 3), ["FTT"]);
    // Another modem than announced: nothing is heard.
    b.burst(&[calling(Fcf::Dcs, &DCS)]);
    b.tcf(Modulation::V29At9600);
    assert_eq!(b.sent(SECOND * 5), ["FTT"]);
    b.burst(&[calling(Fcf::Dcs, &[0x00, 0x63, 0x1E])]);
    b.tcf(Modulation::V29At9600);
    assert_eq!(b.sent(SECOND * 3), ["CFR"]);
}

#[test]
fn ftt_without_training_comes_before_the_callers_t4() {
    let mut b = answered();
    b.burst(&[calling(Fcf::Dcs, &DCS)]);
    let gone = b.now;
    let left = b.sent_timed(SECOND * 9);
    let ftt = left.iter().find(|l| matches!(l.what, Transmit::Control(_))).expect("FTT");
    // DCS, gap, V.17's long training, 1.65 s of TCF, the shortest T4.
    let latest = Duration::from_millis(75 + 1393 + 1650 + 2550);
    assert!(ftt.began.since(gone) < latest);
}

#[test]
fn a_training_check_may_come_late_and_lose_packets() {
    let mut b = answered();
    b.burst(&[calling(Fcf::Dcs, &DCS)]);
    b.wait(Duration::from_millis(2550));
    b.tcf(V17);
    assert_eq!(b.sent(SECOND * 3), ["CFR"]);

    let mut b = answered();
    b.burst(&[calling(Fcf::Dcs, &DCS)]);
    b.input(Input::Heard(Heard::CarrierUp(Channel::Image(V17))));
    for i in 0..30 {
        b.wait(Duration::from_millis(40));
        b.input(Input::Heard(if i % 4 == 1 {
            Heard::Lost { octets: 72 }
        } else {
            Heard::Bits { modulation: V17, octets: vec![0; 72].into() }
        }));
    }
    b.input(Input::Heard(Heard::CarrierDown(Channel::Image(V17))));
    assert_eq!(b.sent(SECOND * 3), ["CFR"]);
}

#[test]
fn the_end_of_a_training_check_may_go_unseen() {
    let mut b = answered();
    b.burst(&[calling(Fcf::Dcs, &DCS)]);
    b.input(Input::Heard(Heard::CarrierUp(Channel::Image(V17))));
    b.input(Input::Heard(Heard::Bits { modulation: V17, octets: vec![0; 2700].into() }));
    assert_eq!(b.sent(SECOND * 6), ["CFR"]);
}

#[test]
fn mmr_without_ecm_is_never_received() {
    let mut b = answered();
    let dcs = calling(Fcf::Dcs, &[0x00, 0x46, 0x1F, 0x02]);
    b.burst(core::slice::from_ref(&dcs));
    b.tcf(V17);
    assert_eq!(b.sent(SECOND * 5), ["FTT"]);
    b.burst(&[dcs]);
    b.tcf(V17);
    assert_eq!(b.sent(SECOND * 5), ["DCN"]);
    assert_failed(&mut b, Cause::ProtocolError);
}

#[test]
fn quality_decides_between_mcf_rtp_and_rtn() {
    for (bad_rows, want) in [(0, "MCF"), (49, "MCF"), (50, "RTP"), (149, "RTP"), (150, "RTN"), (1000, "RTN")]
    {
        let mut b = ready();
        b.verdict = Verdict { rows: 1000, bad_rows, longest_bad_run: bad_rows, cut: false };
        image(&mut b, 9000);
        b.burst(&[calling(Fcf::Eop, &[])]);
        assert_eq!(b.sent(SECOND * 3), [want], "{bad_rows}");
    }
    let mut c = config(Role::Called, 0);
    c.rules.refuse_at_percent = None;
    let mut b = Bench::start(c);
    b.sent(SECOND * 9);
    b.burst(&[calling(Fcf::Dcs, &DCS)]);
    b.tcf(V17);
    b.sent(SECOND * 3);
    b.verdict = Verdict { rows: 1000, bad_rows: 900, longest_bad_run: 900, cut: false };
    image(&mut b, 9000);
    b.burst(&[calling(Fcf::Mps, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["RTP"]);
    // Not one row is no page.
    b.verdict = Verdict::default();
    image(&mut b, 9000);
    b.burst(&[calling(Fcf::Mps, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["RTN"]);
}

#[test]
fn a_refused_page_comes_again_or_is_kept() {
    let mut b = ready();
    b.verdict = Verdict { rows: 1000, bad_rows: 500, longest_bad_run: 500, cut: false };
    image(&mut b, 9000);
    b.burst(&[calling(Fcf::Eop, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["RTN"]);
    b.burst(&[calling(Fcf::Dcs, &[0x00, 0x63, 0x1E])]);
    b.tcf(Modulation::V29At9600);
    assert_eq!(b.sent(SECOND * 3), ["CFR"]);
    b.verdict = Verdict { rows: 1000, bad_rows: 0, longest_bad_run: 0, cut: false };
    b.bits(Modulation::V29At9600, Training::Long, vec![0x35; 9000].into());
    b.burst(&[calling(Fcf::Eop, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    b.burst(&[calling(Fcf::Dcn, &[])]);
    assert_succeeded(&mut b);
    assert_eq!(settled(&b), [(false, false), (true, true)]);

    let mut b = ready();
    b.verdict = Verdict { rows: 1000, bad_rows: 500, longest_bad_run: 500, cut: false };
    image(&mut b, 9000);
    b.burst(&[calling(Fcf::Eop, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["RTN"]);
    b.burst(&[calling(Fcf::Dcn, &[])]);
    assert_failed(&mut b, Cause::CallerLeftAfterRefusal);
    assert_eq!(settled(&b), [(true, false)]);
}

#[test]
fn dcn_in_every_state() {
    let mut b = answered();
    b.burst(&[calling(Fcf::Dcn, &[])]);
    assert_failed(&mut b, Cause::CallerLeftBeforePage);
    let mut b = ready();
    b.burst(&[calling(Fcf::Dcn, &[])]);
    assert_failed(&mut b, Cause::CallerLeftBeforePage);
    let mut b = ready();
    image(&mut b, 9000);
    b.burst(&[calling(Fcf::Dcn, &[])]);
    assert_failed(&mut b, Cause::CallerLeftInPage);
    assert_eq!(settled(&b), [(true, false)]);
    let mut b = ready();
    image(&mut b, 9000);
    b.burst(&[calling(Fcf::Mps, &[])]);
    b.sent(SECOND * 3);
    b.burst(&[calling(Fcf::Dcn, &[])]);
    assert_failed(&mut b, Cause::CallerLeftBetweenPages);
    assert_eq!(settled(&b), [(true, true)]);
    // After EOM the document is whole.
    let mut b = ready();
    image(&mut b, 9000);
    b.burst(&[calling(Fcf::Eom, &[])]);
    b.sent(SECOND * 3);
    b.burst(&[calling(Fcf::Dcn, &[])]);
    assert_succeeded(&mut b);
}

#[test]
fn nothing_comes_after_cfr_or_after_the_page() {
    let mut b = ready();
    let gone = b.now;
    assert_eq!(b.sent(SECOND * 9), ["DCN"]);
    assert!(b.now.since(gone) > SECOND * 7);
    assert_failed(&mut b, Cause::CommandLost);
    let mut b = ready();
    image(&mut b, 9000);
    assert_eq!(b.sent(SECOND * 9), ["DCN"]);
    assert_failed(&mut b, Cause::CommandLost);
    assert_eq!(settled(&b), [(true, false)]);
}

#[test]
fn the_end_without_dcn() {
    let mut b = ready();
    image(&mut b, 9000);
    b.burst(&[calling(Fcf::Eop, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    // Clipped: flags, but no frame.
    b.flags_only(SECOND);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    assert_succeeded(&mut b);
    let mut b = ready();
    image(&mut b, 9000);
    b.burst(&[calling(Fcf::Eop, &[])]);
    b.sent(SECOND * 3);
    b.input(Input::HungUp);
    assert_succeeded(&mut b);
}

#[test]
fn the_echo_of_our_answer_is_not_a_clipped_command() {
    let mut b = ready();
    image(&mut b, 9000);
    b.burst(&[calling(Fcf::Eop, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    b.hear(&Transmit::Control(vec![called(Fcf::Mcf, &[])]));
    assert_eq!(b.sent(SECOND * 2), Vec::<String>::new());
    b.burst(&[calling(Fcf::Dcn, &[])]);
    assert_succeeded(&mut b);
}

#[test]
fn polled_with_nothing_to_send() {
    for fcf in [Fcf::Dtc, Fcf::Dis] {
        let mut b = answered();
        b.burst(&[calling(fcf, &[0x00, 0x50, 0x00])]);
        assert_eq!(b.sent(SECOND * 3), ["DCN"]);
        assert_failed(&mut b, Cause::NothingToPoll);
    }
}

#[test]
fn own_dis_heard_again_is_an_echo() {
    let mut b = Bench::start(config(Role::Called, 0));
    let left = b.sent_timed(SECOND * 9);
    let dis = left.last().map(|l| l.what.clone()).expect("DIS");
    b.hear(&dis);
    assert!(b.outcome.is_none());
    b.wait(SECOND);
    b.burst(&[calling(Fcf::Dcs, &DCS)]);
    b.tcf(V17);
    assert_eq!(b.sent(SECOND * 3), ["CFR"]);
}

#[test]
fn sub_is_told_and_one_that_got_lost_is_waited_for() {
    let dcs = calling(Fcf::Dcs, &[0x00, 0x47, 0x1F, 0x01, 0x01, 0x01, 0x80]);
    let mut b = answered();
    b.burst(core::slice::from_ref(&dcs));
    b.tcf(V17);
    assert_ne!(b.sent(SECOND * 2), ["CFR"]);
    b.wait(SECOND * 6);
    b.left.clear();
    b.burst(&[more(Fcf::Tsi, true, "49 1"), more(Fcf::Sub, true, "4711"), dcs]);
    b.tcf(V17);
    assert_eq!(b.sent(SECOND * 3), ["CFR"]);
    assert!(b.events.iter().any(|(_, e)| *e == Event::SubAddress("4711".into())));
    assert!(b.events.iter().any(|(_, e)| *e == Event::RemoteIdent("49 1".into())));
}

#[test]
fn the_line_changes() {
    // In CED.
    let mut b = Bench::start(config(Role::Called, 0));
    b.wait(SECOND);
    b.input(Input::LineChanged);
    let left = b.sent_timed(SECOND * 5);
    assert!(!left.iter().any(|l| l.began.as_millis() >= 1000 && matches!(l.what, Transmit::Tone(..))));
    assert!(left.iter().any(|l| matches!(l.what, Transmit::Control(_))));
    // While DIS is repeated: DIS at once, and T1 anew.
    let mut b = answered();
    b.wait(SECOND * 28);
    b.left.clear();
    b.input(Input::LineChanged);
    let changed = b.now;
    let left = b.sent_timed(SECOND * 5);
    let dis = left.iter().find(|l| matches!(l.what, Transmit::Control(_))).expect("DIS");
    assert!(dis.began.since(changed) < SECOND / 5);
    b.wait(SECOND * 25);
    assert!(b.outcome.is_none());
    // After CFR: it waits, and takes DCS again or the page.
    let mut b = ready();
    b.input(Input::LineChanged);
    assert_eq!(b.sent(SECOND * 3), Vec::<String>::new());
    image(&mut b, 9000);
    b.burst(&[calling(Fcf::Eop, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
}

#[test]
fn a_gap_in_the_page_is_told() {
    let mut b = ready();
    image(&mut b, 5000);
    b.wait(Duration::from_millis(400));
    image(&mut b, 5000);
    b.burst(&[calling(Fcf::Eop, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    assert!(b.pages.iter().any(|o| matches!(o, Output::PageLost { octets } if *octets > 500)));
    assert_eq!(settled(&b), [(true, true)]);
}

#[test]
fn a_carrier_without_data_does_not_hold_the_call() {
    let mut b = ready();
    b.input(Input::Heard(Heard::CarrierUp(Channel::Image(V17))));
    assert_failed(&mut b, Cause::CommandLost);
    assert!(b.now.as_millis() < 60_000);
}

#[test]
fn no_verdict_no_confirmation() {
    let mut b = ready();
    b.silent_assembly = true;
    image(&mut b, 9000);
    b.burst(&[calling(Fcf::Eop, &[])]);
    assert_eq!(b.sent(SECOND * 15), ["DCN"]);
    assert_failed(&mut b, Cause::TooSlow);
    assert_eq!(settled(&b), [(true, false)]);
}
