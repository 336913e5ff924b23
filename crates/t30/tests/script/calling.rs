//! The calling terminal sends; the script answers.

use super::*;
use fax_base::line::{Heard, Tone, Training, Transmit};
use fax_t30::Input;

const TCF: &str = "V.17 14400 long bits";
const PAGE: &str = "V.17 14400 short bits";

/// Calls, hears DIS, and has sent DCS and TCF.
fn trained(pages: usize, dis: &[u8]) -> Bench {
    let mut b = Bench::start(config(Role::Calling, pages));
    b.wait(SECOND * 4);
    b.burst(&[called(Fcf::Dis, dis)]);
    assert_eq!(b.sent(SECOND * 9), ["DCS", TCF]);
    b
}

/// Has sent the first page and its command.
fn page_sent(pages: usize) -> Bench {
    let mut b = trained(pages, &DIS);
    b.burst(&[called(Fcf::Cfr, &[])]);
    let command = if pages > 1 { "MPS" } else { "EOP" };
    assert_eq!(b.sent(LONG), [PAGE, command]);
    b
}

#[test]
fn cng_comes_every_three_and_a_half_seconds_until_t0() {
    let mut b = Bench::start(config(Role::Calling, 1));
    b.wait(SECOND * 20);
    let tones: Vec<u64> = b
        .left
        .iter()
        .filter(|l| matches!(l.what, Transmit::Tone(Tone::Cng, _)))
        .map(|l| l.began.as_millis())
        .collect();
    assert_eq!(tones, [0, 3500, 7000, 10_500, 14_000, 17_500]);
    assert_failed(&mut b, Cause::NoFax);
    let at = b.outcome.as_ref().map(|(at, _)| at.as_millis());
    assert!(at.is_some_and(|at| (55_000..=65_000).contains(&at)), "{at:?}");
}

#[test]
fn cng_stops_at_flags_and_goes_on_when_they_were_none() {
    let mut b = Bench::start(config(Role::Calling, 1));
    b.wait(SECOND);
    b.flags_only(Duration::from_millis(300));
    b.left.clear();
    b.wait(SECOND * 5);
    assert!(b.left.iter().any(|l| matches!(l.what, Transmit::Tone(Tone::Cng, _))));
    b.input(Input::Heard(Heard::CarrierUp(fax_base::line::Channel::Control)));
    b.left.clear();
    b.wait(SECOND * 3);
    assert!(b.left.is_empty());
}

#[test]
fn ced_starts_t1() {
    let mut b = Bench::start(config(Role::Calling, 1));
    b.wait(SECOND * 50);
    b.input(Input::Heard(Heard::Tone(Tone::Ced)));
    b.wait(SECOND * 30);
    assert!(b.outcome.is_none());
    assert_failed(&mut b, Cause::NoFax);
}

#[test]
fn the_whole_way_without_ecm() {
    let mut b = page_sent(2);
    b.burst(&[called(Fcf::Mcf, &[])]);
    assert_eq!(b.sent(LONG), [PAGE, "EOP"]);
    assert_eq!(confirmed(&b), [0]);
    b.burst(&[called(Fcf::Mcf, &[])]);
    let dcn = b.sent_timed(SECOND * 3);
    let gone = dcn.last().map(|l| l.ended).expect("DCN left");
    assert_succeeded(&mut b);
    assert_eq!(confirmed(&b), [0, 1]);
    let (at, _) = b.outcome.clone().expect("ended");
    assert_eq!(at.since(gone), SECOND);
}

#[test]
fn gaps_between_carriers_are_75_ms() {
    let mut b = Bench::start(config(Role::Calling, 1));
    b.wait(SECOND * 4);
    b.burst(&[called(Fcf::Dis, &DIS)]);
    let left = b.sent_timed(SECOND * 9);
    let kinds: Vec<&Transmit> = left.iter().map(|l| &l.what).collect();
    let gap = Transmit::Silence(Duration::from_millis(75));
    assert!(matches!(
        kinds.as_slice(),
        [.., a, Transmit::Control(_), b, Transmit::Bits { training: Training::Long, .. }]
            if **a == gap && **b == gap
    ));
}

#[test]
fn x_is_one_in_every_frame_of_the_caller() {
    let mut b = page_sent(1);
    b.burst(&[called(Fcf::Mcf, &[])]);
    assert_succeeded(&mut b);
    let all = b.events.iter().filter_map(|(_, e)| match e {
        Event::FrameSent { octets, .. } => octets.get(2),
        _ => None,
    });
    assert!(all.into_iter().all(|fcf| fcf & 0x80 != 0));
}

#[test]
fn nobody_answers_dcs() {
    let mut b = trained(1, &DIS);
    assert_eq!(b.sent(SECOND * 10), ["DCS", TCF]);
    assert_eq!(b.sent(SECOND * 10), ["DCS", TCF]);
    assert_eq!(b.sent(SECOND * 10), ["DCN"]);
    assert_failed(&mut b, Cause::NoResponseToTraining);
}

#[test]
fn the_response_search_lasts_t4() {
    let mut b = trained(1, &DIS);
    let gone = b.now;
    let left = b.sent_timed(SECOND * 10);
    let again = left.first().map(|l| l.began.since(gone)).expect("sent again");
    assert!((Duration::from_millis(2550)..=Duration::from_millis(3500)).contains(&again));
}

#[test]
fn dis_again_gets_dcs_again_and_then_dcn() {
    let mut b = trained(1, &DIS);
    for _ in 0..2 {
        b.burst(&[called(Fcf::Dis, &DIS)]);
        assert_eq!(b.sent(SECOND * 9), ["DCS", TCF]);
    }
    b.burst(&[called(Fcf::Dis, &DIS)]);
    assert_eq!(b.sent(SECOND * 9), ["DCN"]);
    assert_failed(&mut b, Cause::RemoteDoesNotHear);
}

#[test]
fn ftt_steps_down_to_the_end() {
    let mut b = trained(1, &DIS);
    let want = ["V.17 12000", "V.29 9600", "V.29 7200", "V.27ter 4800", "V.27ter 2400"];
    for modulation in want {
        b.burst(&[called(Fcf::Ftt, &[])]);
        let sent = b.sent(SECOND * 9);
        assert_eq!(sent, ["DCS".to_owned(), format!("{modulation} long bits")]);
    }
    b.burst(&[called(Fcf::Ftt, &[])]);
    assert_eq!(b.sent(SECOND * 9), ["DCN"]);
    assert_failed(&mut b, Cause::CannotTrain);
}

#[test]
fn ftt_counts_the_sends_anew() {
    let mut b = trained(1, &DIS);
    assert_eq!(b.sent(SECOND * 10).len(), 2);
    assert_eq!(b.sent(SECOND * 10).len(), 2);
    b.burst(&[called(Fcf::Ftt, &[])]);
    for _ in 0..3 {
        assert_eq!(b.sent(SECOND * 10)[0], "DCS");
    }
    assert_eq!(b.sent(SECOND * 10), ["DCN"]);
}

#[test]
fn crp_is_obeyed() {
    let mut b = trained(1, &DIS);
    b.burst(&[called(Fcf::Crp, &[])]);
    assert_eq!(b.sent(SECOND * 2 + SECOND * 5), ["DCS", TCF]);
    b.burst(&[called(Fcf::Cfr, &[])]);
    assert_eq!(b.sent(LONG), [PAGE, "EOP"]);
    b.burst(&[called(Fcf::Crp, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["EOP"]);
    b.burst(&[called(Fcf::Mcf, &[])]);
    assert_succeeded(&mut b);
}

#[test]
fn crp_for_ever_ends() {
    let mut b = page_sent(1);
    for _ in 0..2 {
        b.burst(&[called(Fcf::Crp, &[])]);
        assert_eq!(b.sent(SECOND * 3), ["EOP"]);
    }
    b.burst(&[called(Fcf::Crp, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["DCN"]);
    assert_failed(&mut b, Cause::NoResponseAfterPage);
}

#[test]
fn dcn_in_every_state() {
    let mut b = Bench::start(config(Role::Calling, 1));
    b.wait(SECOND);
    b.burst(&[called(Fcf::Dcn, &[])]);
    assert_failed(&mut b, Cause::DisconnectedBeforePage);

    let mut b = trained(1, &DIS);
    b.burst(&[called(Fcf::Dcn, &[])]);
    assert_failed(&mut b, Cause::DisconnectedBeforePage);

    let mut b = page_sent(1);
    b.burst(&[called(Fcf::Dcn, &[])]);
    assert_failed(&mut b, Cause::DisconnectedAfterPage);
    assert_eq!(b.outcome.as_ref().and_then(|(_, o)| o.page_uncertain), Some(0));
    assert_eq!(confirmed(&b), Vec::<usize>::new());
}

#[test]
fn dcn_while_the_page_is_sent() {
    let mut b = trained(1, &DIS);
    b.burst(&[called(Fcf::Cfr, &[])]);
    b.wait(SECOND * 3);
    b.burst(&[called(Fcf::Dcn, &[])]);
    assert_failed(&mut b, Cause::DisconnectedAfterPage);
    assert_eq!(b.outcome.as_ref().and_then(|(_, o)| o.page_uncertain), None);
}

#[test]
fn nobody_answers_the_post_message_command() {
    for pages in [1, 2] {
        let mut b = page_sent(pages);
        let command = if pages > 1 { "MPS" } else { "EOP" };
        assert_eq!(b.sent(SECOND * 9), [command]);
        assert_eq!(b.sent(SECOND * 9), [command]);
        assert_eq!(b.sent(SECOND * 9), ["DCN"]);
        assert_failed(&mut b, Cause::NoResponseAfterPage);
        assert_eq!(b.outcome.as_ref().and_then(|(_, o)| o.page_uncertain), Some(0));
    }
}

#[test]
fn a_response_with_a_wrong_fcs_is_none() {
    let mut b = page_sent(1);
    b.bad_burst(&called(Fcf::Mcf, &[]));
    assert_eq!(b.sent(SECOND * 9), ["EOP"]);
    b.burst(&[called(Fcf::Mcf, &[])]);
    assert_succeeded(&mut b);
    assert!(b.events.iter().any(|(_, e)| *e == Event::FrameBad));
}

#[test]
fn own_echo_is_no_response() {
    let mut b = page_sent(1);
    b.burst(&[calling(Fcf::Eop, &[])]);
    assert!(b.outcome.is_none());
    b.burst(&[called(Fcf::Mcf, &[])]);
    assert_succeeded(&mut b);
    assert_eq!(confirmed(&b), [0]);
}

#[test]
fn rtn_gets_the_page_again_slower_until_the_retries_are_used_up() {
    let mut b = page_sent(2);
    for modulation in ["V.17 12000", "V.29 9600"] {
        b.burst(&[called(Fcf::Rtn, &[])]);
        assert_eq!(b.sent(SECOND * 9), ["DCS".to_owned(), format!("{modulation} long bits")]);
        b.burst(&[called(Fcf::Cfr, &[])]);
        assert_eq!(b.sent(LONG)[1], "MPS");
        assert_eq!(b.wanted.last().map(|w| w.0), Some(0));
    }
    b.burst(&[called(Fcf::Rtn, &[])]);
    assert_eq!(b.sent(SECOND * 9), ["DCN"]);
    assert_failed(&mut b, Cause::PageRefused);
    assert_eq!(b.outcome.as_ref().and_then(|(_, o)| o.page_uncertain), None);
}

#[test]
fn rtn_after_eop_is_not_the_end() {
    let mut b = page_sent(1);
    b.burst(&[called(Fcf::Rtn, &[])]);
    assert_eq!(b.sent(SECOND * 9)[0], "DCS");
    b.burst(&[called(Fcf::Cfr, &[])]);
    assert_eq!(b.sent(LONG)[1], "EOP");
    b.burst(&[called(Fcf::Mcf, &[])]);
    assert_succeeded(&mut b);
    assert_eq!(confirmed(&b), [0]);
}

#[test]
fn rtp_confirms_and_trains_again() {
    let mut b = page_sent(2);
    b.burst(&[called(Fcf::RetrainPositive, &[])]);
    assert_eq!(confirmed(&b), [0]);
    assert_eq!(b.sent(SECOND * 9), ["DCS", TCF]);
    b.burst(&[called(Fcf::Cfr, &[])]);
    assert_eq!(b.sent(LONG), [PAGE, "EOP"]);
    b.burst(&[called(Fcf::RetrainPositive, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["DCN"]);
    assert_succeeded(&mut b);
}

#[test]
fn operators_are_passed_over() {
    let mut b = page_sent(2);
    b.burst(&[called(Fcf::Pip, &[])]);
    assert_eq!(b.sent(LONG), [PAGE, "EOP"]);
    b.burst(&[called(Fcf::Pin, &[])]);
    assert_eq!(b.sent(SECOND * 9)[0], "DCS");
    b.burst(&[called(Fcf::Cfr, &[])]);
    assert_eq!(b.sent(LONG)[1], "EOP");
    b.burst(&[called(Fcf::Pid, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["DCN"]);
    assert_succeeded(&mut b);
    assert_eq!(confirmed(&b), [0, 1]);
}

#[test]
fn eom_goes_back_to_phase_b() {
    let mut c = config(Role::Calling, 2);
    c.send[0].pages[1].resolution = Resolution::Standard;
    let mut b = Bench::start(c);
    b.wait(SECOND);
    b.burst(&[called(Fcf::Dis, &DIS)]);
    assert_eq!(b.sent(SECOND * 9)[0], "DCS");
    b.burst(&[called(Fcf::Cfr, &[])]);
    assert_eq!(b.sent(LONG), [PAGE, "EOM"]);
    b.burst(&[called(Fcf::Mcf, &[])]);
    b.wait(SECOND * 6);
    assert!(b.left.is_empty());
    b.burst(&[called(Fcf::Dis, &DIS)]);
    assert_eq!(b.sent(SECOND * 9), ["DCS", TCF]);
    b.burst(&[called(Fcf::Cfr, &[])]);
    assert_eq!(b.sent(LONG), [PAGE, "EOP"]);
    b.burst(&[called(Fcf::Mcf, &[])]);
    assert_succeeded(&mut b);
}

#[test]
fn after_eom_nobody_comes_back() {
    let mut c = config(Role::Calling, 2);
    c.send[0].pages[1].resolution = Resolution::Standard;
    let mut b = Bench::start(c);
    b.wait(SECOND);
    b.burst(&[called(Fcf::Dis, &DIS)]);
    b.sent(SECOND * 9);
    b.burst(&[called(Fcf::Cfr, &[])]);
    b.sent(LONG);
    b.burst(&[called(Fcf::Mcf, &[])]);
    assert_failed(&mut b, Cause::NoResponseAfterPage);
    assert_eq!(b.outcome.as_ref().map(|(_, o)| o.pages_confirmed), Some(1));
}

#[test]
fn dis_instead_of_a_confirmation_is_none() {
    let mut b = page_sent(1);
    b.burst(&[called(Fcf::Dis, &DIS)]);
    assert_eq!(confirmed(&b), Vec::<usize>::new());
    assert_eq!(b.sent(SECOND * 9), ["DCS", TCF]);
    b.burst(&[called(Fcf::Cfr, &[])]);
    assert_eq!(b.sent(LONG), [PAGE, "EOP"]);
    b.burst(&[called(Fcf::Mcf, &[])]);
    assert_succeeded(&mut b);
}

#[test]
fn a_far_end_that_cannot_receive() {
    let mut b = Bench::start(config(Role::Calling, 1));
    b.wait(SECOND);
    b.burst(&[called(Fcf::Dis, &[0x00, 0x34, 0x00])]);
    assert_eq!(b.sent(SECOND * 3), ["DCN"]);
    assert_failed(&mut b, Cause::RemoteCannotReceive);
}

#[test]
fn nothing_to_send() {
    let mut b = Bench::start(config(Role::Calling, 0));
    b.wait(SECOND);
    b.burst(&[called(Fcf::Dis, &DIS)]);
    assert_eq!(b.sent(SECOND * 3), ["DCN"]);
    assert_failed(&mut b, Cause::Incompatible);
}

#[test]
fn a_sub_address_goes_only_where_it_is_understood() {
    let mut c = config(Role::Calling, 1);
    c.sub_address = Some("4711".into());
    let mut b = Bench::start(c.clone());
    b.wait(SECOND);
    b.burst(&[called(Fcf::Dis, &DIS)]);
    assert_eq!(b.sent(SECOND * 3), ["DCN"]);
    assert_failed(&mut b, Cause::AddressUnsupported);

    c.ident = "123".into();
    let mut b = Bench::start(c);
    b.wait(SECOND);
    b.burst(&[called(Fcf::Dis, &[0x00, 0x77, 0x1F, 0x01, 0x01, 0x01, 0x80])]);
    assert_eq!(b.sent(SECOND * 12), ["TSI", "SUB", "DCS", TCF]);
}

#[test]
fn dtc_from_an_answering_terminal_is_an_error() {
    let mut b = Bench::start(config(Role::Calling, 1));
    b.wait(SECOND);
    b.burst(&[called(Fcf::Dtc, &DIS)]);
    assert_eq!(b.sent(SECOND * 3), ["DCN"]);
    assert_failed(&mut b, Cause::ProtocolError);
}

#[test]
fn unknown_and_damaged_frames_before_dis_are_waited_out() {
    let mut b = Bench::start(config(Role::Calling, 1));
    b.wait(SECOND);
    b.bad_burst(&called(Fcf::Dis, &DIS));
    b.wait(SECOND * 3);
    b.burst(&[Bytes::from_static(&[0xFF, 0xC8, 0x90, 1, 2, 3])]);
    b.wait(SECOND * 3);
    b.burst(&[
        build(Fcf::Nsf, false, false, &[0xB5, 1, 2, 3]),
        more(Fcf::Csi, false, "+1 (555) abc"),
        called(Fcf::Dis, &DIS),
    ]);
    assert_eq!(b.sent(SECOND * 9), ["DCS", TCF]);
    b.burst(&[called(Fcf::Dcn, &[])]);
    let outcome = b.end(LONG).expect("ended");
    assert_eq!(outcome.remote_ident.as_deref(), Some("+1 (555) abc"));
}

#[test]
fn senseless_answers_end_with_dcn() {
    let mut b = trained(1, &DIS);
    b.burst(&[called(Fcf::Ppr, &[0; 32])]);
    assert_eq!(b.sent(SECOND * 3), ["DCN"]);
    assert_failed(&mut b, Cause::InvalidResponseToTraining);
    let mut b = page_sent(1);
    b.burst(&[called(Fcf::Ctr, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["DCN"]);
    assert_failed(&mut b, Cause::InvalidResponseAfterPage);
}

#[test]
fn flags_that_never_end_do_not_hold_the_call() {
    let mut b = page_sent(1);
    for _ in 0..4 {
        b.input(Input::Heard(Heard::CarrierUp(fax_base::line::Channel::Control)));
        b.wait(SECOND * 10);
    }
    assert_failed(&mut b, Cause::NoResponseAfterPage);
}

#[test]
fn a_late_response_that_overlaps_the_repeated_command_counts() {
    let mut b = page_sent(2);
    // The repeat begins after 3.45 s; the response lies half over it.
    b.wait(Duration::from_millis(3_600));
    b.hear(&Transmit::Control(vec![called(Fcf::Mcf, &[])]));
    // It was still to be heard when the repeat was over.
    assert_eq!(b.sent(LONG), ["MPS", PAGE, "EOP"]);
    assert_eq!(confirmed(&b), [0]);

    // A response that is over before the repeat is does not count: the far end has heard the repeat
    // and answers again, and the next page must not fall on that.
    let mut b = page_sent(2);
    b.wait(Duration::from_millis(2_500));
    b.input(Input::Heard(Heard::Lost { octets: 1 }));
    b.wait(Duration::from_millis(1_100));
    b.input(Input::Heard(Heard::Frame {
        channel: fax_base::line::Channel::Control,
        octets: called(Fcf::Mcf, &[]),
        good: true,
    }));
    assert_eq!(b.sent(LONG), ["MPS"]);
    b.burst(&[called(Fcf::Mcf, &[])]);
    assert_eq!(b.sent(LONG), [PAGE, "EOP"]);
    assert_eq!(confirmed(&b), [0]);
}

#[test]
fn the_line_changes_while_dis_is_awaited() {
    let mut b = Bench::start(config(Role::Calling, 1));
    b.input(Input::Heard(Heard::Tone(Tone::Ced)));
    b.wait(SECOND * 30);
    b.input(Input::LineChanged);
    b.wait(SECOND * 25);
    assert!(b.outcome.is_none());
    b.burst(&[called(Fcf::Dis, &DIS)]);
    assert_eq!(b.sent(SECOND * 9), ["DCS", TCF]);
}

#[test]
fn cancel_and_hang_up() {
    let mut b = page_sent(1);
    b.input(Input::Cancel);
    assert_eq!(b.sent(SECOND * 3), ["DCN"]);
    assert_failed(&mut b, Cause::Cancelled);
    assert_eq!(b.outcome.as_ref().and_then(|(_, o)| o.page_uncertain), Some(0));
    let mut b = page_sent(1);
    b.input(Input::HungUp);
    assert_failed(&mut b, Cause::CallDropped);
    let mut b = Bench::start(config(Role::Calling, 1));
    b.input(Input::Cancel);
    assert_failed(&mut b, Cause::Cancelled);
}

#[test]
fn a_command_behind_a_page_is_told_when_it_has_left() {
    let mut b = trained(1, &DIS);
    b.burst(&[called(Fcf::Cfr, &[])]);
    let cfr = b.now;
    b.sent(LONG);
    let eop = b.events.iter().find_map(|(at, e)| match e {
        Event::FrameSent { name: "EOP", .. } => Some(*at),
        _ => None,
    });
    assert!(eop.is_some_and(|at| at.since(cfr) > SECOND * 10), "{eop:?}");
}

/// Whoever writes the ledger has a second for it: what ends a page is told before it can be understood.
#[test]
fn a_page_is_told_as_sent_before_its_command_can_arrive() {
    let b = page_sent(1);
    let told: Vec<_> = b
        .events
        .iter()
        .filter_map(|(at, e)| matches!(e, Event::PageSent { index: 0 }).then_some(*at))
        .collect();
    let command = b.events.iter().rev().find_map(|(at, e)| match e {
        Event::FrameSent { name: "EOP", .. } => Some(*at),
        _ => None,
    });
    let (Some(command), [told]) = (command, told.as_slice()) else {
        panic!("{told:?}");
    };
    let ahead = command.since(*told);
    assert!(ahead >= SECOND && ahead < SECOND * 4, "{ahead:?}");
}

/// What the far end can do, and how fast the line is, may be something else then.
#[test]
fn the_line_changes_after_dcs() {
    let slower = [0x00, 0x73, 0x1E];
    for (dis, limit, tcf) in [
        (Some(&DIS), 9600, "V.17 9600 long bits"),
        (Some(&slower), u32::MAX, "V.29 9600 long bits"),
        (None, 9600, "V.17 9600 long bits"),
    ] {
        let mut b = trained(1, &DIS);
        b.session.limit_rate(limit);
        b.input(Input::LineChanged);
        if let Some(dis) = dis {
            b.burst(&[called(Fcf::Dis, dis)]);
        }
        assert_eq!(b.sent(SECOND * 9), ["DCS", tcf]);
        // From here on it is repeated as ever.
        b.burst(&[called(Fcf::Dis, &DIS)]);
        assert_eq!(b.sent(SECOND * 9), ["DCS", tcf]);
    }
}

#[test]
fn the_line_changes_in_a_page_to_one_that_is_too_slow_for_it() {
    for limit in [u32::MAX, 9600] {
        let mut b = trained(1, &DIS);
        b.burst(&[called(Fcf::Cfr, &[])]);
        b.wait(SECOND);
        b.left.clear();
        b.session.limit_rate(limit);
        b.input(Input::LineChanged);
        if limit == 9600 {
            assert_eq!(b.sent(SECOND * 9), ["DCS", "V.17 9600 long bits"]);
            b.burst(&[called(Fcf::Cfr, &[])]);
            assert_eq!(b.sent(LONG), ["V.17 9600 short bits", "EOP"]);
        } else {
            assert_eq!(b.sent(LONG), [PAGE, "EOP"]);
        }
        b.burst(&[called(Fcf::Mcf, &[])]);
        assert_succeeded(&mut b);
    }
}

#[test]
fn the_line_changes_between_pages_to_one_that_is_too_slow() {
    let mut b = page_sent(2);
    b.session.limit_rate(9600);
    b.input(Input::LineChanged);
    assert_eq!(b.sent(SECOND * 9), ["MPS"]);
    b.burst(&[called(Fcf::Mcf, &[])]);
    assert_eq!(b.sent(SECOND * 9), ["DCS", "V.17 9600 long bits"]);
    b.burst(&[called(Fcf::Cfr, &[])]);
    assert_eq!(b.sent(LONG), ["V.17 9600 short bits", "EOP"]);
    assert_eq!(confirmed(&b), [0]);
}
