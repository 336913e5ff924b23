//! Error correction, both roles, against a script.

use super::*;
use fax_base::line::{Training, Transmit};
use fax_t30::Verdict;
use testkit::line::page::made_up;

const IMAGE: &str = "V.17 14400 short";

/// A page of this many frames has been sent with its PPS.
fn block_sent(frames: usize, pages: usize) -> Bench {
    let mut b = Bench::start(config(Role::Calling, pages));
    b.page = made_up(0, frames * 256);
    b.wait(SECOND);
    b.burst(&[called(Fcf::Dis, &DIS_ECM)]);
    assert_eq!(b.sent(SECOND * 9)[0], "DCS");
    b.burst(&[called(Fcf::Cfr, &[])]);
    let command = if pages > 1 { "PPS-MPS" } else { "PPS-EOP" };
    assert_eq!(b.sent(LONG), [format!("{IMAGE} {} frames", frames + 3), command.to_owned()]);
    b
}

fn map(frames: &[usize]) -> [u8; 32] {
    let mut map = [0; 32];
    for i in frames {
        map[i / 8] |= 0x80 >> (i % 8);
    }
    map
}

fn last_sent(b: &Bench) -> Bytes {
    let sent = b.events.iter().rev().find_map(|(_, e)| match e {
        Event::FrameSent { octets, .. } => Some(octets.clone()),
        _ => None,
    });
    sent.expect("a frame")
}

#[test]
fn pps_counts_frames_blocks_and_pages() {
    let mut b = block_sent(45, 2);
    assert_eq!(last_sent(&b).as_ref(), [0xFF, 0xC8, 0xFD, 0xF2, 0x00, 0x00, 0x34]);
    b.burst(&[called(Fcf::Mcf, &[])]);
    assert_eq!(b.sent(LONG)[1], "PPS-EOP");
    assert_eq!(last_sent(&b).as_ref(), [0xFF, 0xC8, 0xFD, 0xF4, 0x80, 0x00, 0x34]);
    b.burst(&[called(Fcf::Mcf, &[])]);
    assert_succeeded(&mut b);
    assert_eq!(confirmed(&b), [0, 1]);
}

#[test]
fn ppr_gets_the_frames_it_names_and_no_others() {
    let mut b = block_sent(45, 1);
    let mut wanted = [0xFF; 32];
    wanted[..6].copy_from_slice(&[0, 0, 0x40, 0, 0, 0x07]);
    b.burst(&[called(Fcf::Ppr, &wanted)]);
    let left = b.sent_timed(LONG);
    let frames = left.iter().find_map(|l| match &l.what {
        Transmit::Frames { frames, .. } => Some(frames.clone()),
        _ => None,
    });
    let frames = frames.expect("frames again");
    assert_eq!(frames.len(), 4);
    assert_eq!(frames[0][3], 17u8.reverse_bits());
    assert_eq!(last_sent(&b).as_ref(), [0xFF, 0xC8, 0xFD, 0xF4, 0x00, 0x00, 0x00]);
    b.burst(&[called(Fcf::Mcf, &[])]);
    assert_succeeded(&mut b);
}

#[test]
fn ppr_that_asks_for_nothing_gets_pps_alone() {
    let mut b = block_sent(10, 1);
    b.burst(&[called(Fcf::Ppr, &[0; 32])]);
    assert_eq!(b.sent(LONG), ["PPS-EOP"]);
    assert_eq!(confirmed(&b), Vec::<usize>::new());
    b.burst(&[called(Fcf::Mcf, &[])]);
    assert_succeeded(&mut b);
}

#[test]
fn four_ppr_lead_to_ctc_and_a_long_training() {
    let mut b = block_sent(10, 1);
    for _ in 0..3 {
        b.burst(&[called(Fcf::Ppr, &map(&[2, 3]))]);
        assert_eq!(b.sent(LONG), [format!("{IMAGE} 5 frames"), "PPS-EOP".into()]);
    }
    b.burst(&[called(Fcf::Ppr, &map(&[2, 3]))]);
    assert_eq!(b.sent(LONG), ["CTC"]);
    // 12 000 bit/s, the rest of the first two octets as in DCS.
    assert_eq!(last_sent(&b).as_ref(), [0xFF, 0xC8, 0xC8, 0x00, 0x56]);
    b.burst(&[called(Fcf::Ctr, &[])]);
    assert_eq!(b.sent(LONG), ["V.17 12000 long 5 frames", "PPS-EOP"]);
    b.burst(&[called(Fcf::Ppr, &map(&[3]))]);
    assert_eq!(b.sent(LONG), ["V.17 12000 short 4 frames", "PPS-EOP"]);
    b.burst(&[called(Fcf::Mcf, &[])]);
    assert_succeeded(&mut b);
}

#[test]
fn nobody_answers_ctc() {
    let mut b = block_sent(10, 1);
    for _ in 0..4 {
        b.burst(&[called(Fcf::Ppr, &map(&[2]))]);
        b.sent(LONG);
    }
    assert_eq!(b.sent(SECOND * 9), ["CTC"]);
    assert_eq!(b.sent(SECOND * 9), ["CTC"]);
    assert_eq!(b.sent(SECOND * 9), ["DCN"]);
    assert_failed(&mut b, Cause::NoResponseAfterPage);
}

#[test]
fn eor_at_the_lowest_rate() {
    let mut c = config(Role::Calling, 1);
    c.capabilities.modulations.clear();
    let mut b = Bench::start(c);
    b.page = made_up(0, 1000);
    b.wait(SECOND);
    b.burst(&[called(Fcf::Dis, &DIS_ECM)]);
    b.sent(SECOND * 9);
    b.burst(&[called(Fcf::Cfr, &[])]);
    b.sent(LONG);
    for _ in 0..4 {
        b.burst(&[called(Fcf::Ppr, &map(&[1]))]);
        b.sent(LONG);
    }
    assert_eq!(last_sent(&b).as_ref(), [0xFF, 0xC8, 0xF3, 0xF4]);
    b.burst(&[called(Fcf::Rnr, &[])]);
    assert_eq!(b.sent(LONG), ["RR"]);
    b.burst(&[called(Fcf::Err, &[])]);
    assert_eq!(b.sent(LONG), ["DCN"]);
    assert_failed(&mut b, Cause::EcmGaveUp);
    assert_eq!(confirmed(&b), Vec::<usize>::new());
}

#[test]
fn rnr_is_asked_until_ready() {
    let mut b = block_sent(10, 1);
    for _ in 0..8 {
        b.burst(&[called(Fcf::Rnr, &[])]);
        assert_eq!(b.sent(SECOND * 5), ["RR"]);
    }
    b.burst(&[called(Fcf::Mcf, &[])]);
    assert_succeeded(&mut b);
}

#[test]
fn rnr_for_longer_than_t5_ends() {
    let mut b = block_sent(10, 1);
    b.burst(&[called(Fcf::Rnr, &[])]);
    let first = b.now;
    while b.outcome.is_none() && b.now.since(first) < LONG {
        if b.sent(SECOND * 5) == ["RR"] {
            b.burst(&[called(Fcf::Rnr, &[])]);
        } else {
            b.wait(SECOND);
        }
    }
    assert_failed(&mut b, Cause::RemoteBusy);
    let lasted = b.outcome.as_ref().map(|(at, _)| at.since(first)).expect("ended");
    assert!((SECOND * 55..SECOND * 70).contains(&lasted), "{lasted:?}");
}

#[test]
fn nobody_answers_rr() {
    let mut b = block_sent(10, 1);
    b.burst(&[called(Fcf::Rnr, &[])]);
    for _ in 0..3 {
        assert_eq!(b.sent(SECOND * 9), ["RR"]);
    }
    assert_eq!(b.sent(SECOND * 9), ["DCN"]);
    assert_failed(&mut b, Cause::NoResponseAfterPage);
}

#[test]
fn nobody_answers_pps() {
    let mut b = block_sent(10, 1);
    assert_eq!(b.sent(SECOND * 9), ["PPS-EOP"]);
    assert_eq!(b.sent(SECOND * 9), ["PPS-EOP"]);
    assert_eq!(b.sent(SECOND * 9), ["DCN"]);
    assert_failed(&mut b, Cause::NoResponseAfterPage);
    assert_eq!(b.outcome.as_ref().and_then(|(_, o)| o.page_uncertain), Some(0));
}

#[test]
fn ppr_of_a_wrong_length_ends() {
    let mut b = block_sent(10, 1);
    b.burst(&[called(Fcf::Ppr, &[0xFF; 31])]);
    assert_failed(&mut b, Cause::EcmBroken);
}

// The receiver.

fn fcd(number: u8, data: &[u8]) -> Bytes {
    let mut octets = vec![0xFF, 0xC0, 0x60, number.reverse_bits()];
    octets.extend_from_slice(data);
    octets.into()
}

fn block(frames: &[u8], seed: u8) -> Vec<Bytes> {
    let mut all: Vec<Bytes> = frames.iter().map(|n| fcd(*n, &[n ^ seed; 256])).collect();
    for _ in 0..3 {
        all.push(Bytes::from_static(&[0xFF, 0xC0, 0x61]));
    }
    all
}

fn pps(second: u8, page: u8, block: u8, frames: u8) -> Bytes {
    let fif = [second, page.reverse_bits(), block.reverse_bits(), (frames - 1).reverse_bits()];
    calling(Fcf::Pps, &fif)
}

const NULL: u8 = 0x00;
const MPS: u8 = 0xF2;
const EOM: u8 = 0xF1;
const EOP: u8 = 0xF4;

/// Has said CFR.
fn ready() -> Bench {
    let mut b = Bench::start(config(Role::Called, 0));
    assert_eq!(b.sent(SECOND * 9), ["DIS"]);
    b.burst(&[calling(Fcf::Dcs, &DCS_ECM)]);
    b.tcf(V17);
    assert_eq!(b.sent(SECOND * 3), ["CFR"]);
    b
}

fn send(b: &mut Bench, frames: &[u8], seed: u8) {
    b.frames(V17, Training::Short, block(frames, seed));
}

fn data(b: &Bench) -> Vec<u8> {
    let parts = b.pages.iter().filter_map(|o| match o {
        Output::PageData(octets) => Some(octets.to_vec()),
        _ => None,
    });
    parts.flatten().collect()
}

fn page(frames: core::ops::Range<u8>, seed: u8) -> Vec<u8> {
    frames.flat_map(|n| [n ^ seed; 256]).collect()
}

#[test]
fn a_block_in_any_order() {
    let mut b = ready();
    send(&mut b, &[3, 1, 0, 2, 1], 0);
    b.burst(&[pps(EOP, 0, 0, 4)]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    assert_eq!(data(&b), page(0..4, 0));
    b.burst(&[calling(Fcf::Dcn, &[])]);
    assert_succeeded(&mut b);
    assert_eq!(settled(&b), [(true, true)]);
}

#[test]
fn missing_frames_are_asked_for_until_they_are_there() {
    let mut b = ready();
    send(&mut b, &[0, 2, 3], 0);
    b.burst(&[pps(EOP, 0, 0, 5)]);
    assert_eq!(b.sent(SECOND * 3), ["PPR"]);
    let ppr = last_sent(&b);
    assert_eq!(ppr[..3], [0xFF, 0xC8, 0x3D]);
    // Frames 1 and 4, and all beyond the block.
    assert_eq!(ppr[3..5], [0b0100_1111, 0xFF]);
    send(&mut b, &[4], 0);
    // The count is now that of the burst; the first one stands.
    b.burst(&[pps(EOP, 0, 0, 2)]);
    assert_eq!(b.sent(SECOND * 3), ["PPR"]);
    assert_eq!(last_sent(&b)[3..5], [0b0100_0111, 0xFF]);
    send(&mut b, &[1], 0);
    b.burst(&[pps(EOP, 0, 0, 1)]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    assert_eq!(data(&b), page(0..5, 0));
}

#[test]
fn pps_repeated_is_confirmed_again_and_counted_once() {
    let mut b = ready();
    send(&mut b, &[0, 1], 0);
    for _ in 0..3 {
        b.burst(&[pps(MPS, 0, 0, 2)]);
        assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    }
    send(&mut b, &[0, 1], 7);
    for _ in 0..3 {
        b.burst(&[pps(EOP, 1, 0, 2)]);
        assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    }
    b.burst(&[calling(Fcf::Dcn, &[])]);
    assert_succeeded(&mut b);
    assert_eq!(settled(&b), [(true, true), (true, true)]);
    assert_eq!(b.outcome.as_ref().map(|(_, o)| o.pages_received), Some(2));
}

#[test]
fn a_whole_block_repeated_is_confirmed_again_and_counted_once() {
    let mut b = ready();
    send(&mut b, &[0, 1], 0);
    b.burst(&[pps(NULL, 0, 0, 2)]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    send(&mut b, &[0, 1], 0);
    b.burst(&[pps(NULL, 0, 0, 2)]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    send(&mut b, &[0, 1], 9);
    b.burst(&[pps(EOP, 0, 1, 2)]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    let mut want = page(0..2, 0);
    want.extend(page(0..2, 9));
    assert_eq!(data(&b), want);
}

#[test]
fn a_page_counter_that_stands_still_does_not_swallow_a_page() {
    let mut b = ready();
    send(&mut b, &[0, 1], 0);
    b.burst(&[pps(MPS, 0, 0, 2)]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    send(&mut b, &[0, 1], 5);
    b.burst(&[pps(EOP, 0, 0, 2)]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    assert_eq!(settled(&b), [(true, true), (true, true)]);
}

#[test]
fn a_block_that_was_skipped_is_not_confirmed() {
    let mut b = ready();
    send(&mut b, &[0, 1], 0);
    b.burst(&[pps(NULL, 0, 0, 2)]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    send(&mut b, &[0, 1], 5);
    b.burst(&[pps(EOP, 0, 2, 2)]);
    assert_eq!(b.sent(SECOND * 3), ["DCN"]);
    assert_failed(&mut b, Cause::EcmProtocolError);
    assert!(settled(&b).iter().all(|(_, confirmed)| !confirmed));
}

#[test]
fn pps_without_any_image_asks_for_everything() {
    let mut b = ready();
    b.burst(&[pps(EOP, 0, 0, 2)]);
    assert_eq!(b.sent(SECOND * 3), ["PPR"]);
    assert_eq!(last_sent(&b)[3..], [0xFF; 32]);
    send(&mut b, &[0, 1], 0);
    b.burst(&[pps(EOP, 0, 0, 2)]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
}

#[test]
fn the_second_page_unheard_is_not_the_first_repeated() {
    let mut b = ready();
    send(&mut b, &[0, 1], 0);
    b.burst(&[pps(MPS, 0, 0, 2)]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    b.wait(SECOND * 2);
    b.burst(&[pps(MPS, 1, 0, 2)]);
    assert_eq!(b.sent(SECOND * 3), ["PPR"]);
}

#[test]
fn ctc_changes_the_rate_and_trains_long() {
    let mut b = ready();
    send(&mut b, &[0], 0);
    b.burst(&[pps(EOP, 0, 0, 2)]);
    assert_eq!(b.sent(SECOND * 3), ["PPR"]);
    // V.29 7200.
    b.burst(&[calling(Fcf::Ctc, &[0x00, 0x72])]);
    assert_eq!(b.sent(SECOND * 3), ["CTR"]);
    b.frames(Modulation::V29At7200, Training::Long, block(&[1], 0));
    b.burst(&[pps(EOP, 0, 0, 1)]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    assert_eq!(data(&b), page(0..2, 0));
    b.burst(&[calling(Fcf::Dcn, &[])]);
    assert_succeeded(&mut b);
    let used = b.outcome.as_ref().and_then(|(_, o)| o.modulation);
    assert_eq!(used, Some(Modulation::V29At7200));
}

#[test]
fn eor_keeps_what_came_and_confirms_nothing() {
    let mut b = ready();
    send(&mut b, &[0, 2], 0);
    b.burst(&[pps(EOP, 0, 0, 3)]);
    assert_eq!(b.sent(SECOND * 3), ["PPR"]);
    for _ in 0..2 {
        b.burst(&[calling(Fcf::Eor, &[EOP])]);
        assert_eq!(b.sent(SECOND * 3), ["ERR"]);
    }
    b.burst(&[calling(Fcf::Dcn, &[])]);
    assert_failed(&mut b, Cause::EcmGaveUp);
    assert_eq!(settled(&b), [(true, false)]);
    assert!(b.pages.contains(&Output::PageLost { octets: 256 }));
}

#[test]
fn rr_gets_the_last_answer_again() {
    let mut b = ready();
    send(&mut b, &[0], 0);
    b.burst(&[pps(MPS, 0, 0, 1)]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    b.burst(&[calling(Fcf::Rr, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    send(&mut b, &[0], 3);
    b.burst(&[pps(EOP, 1, 0, 1)]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
}

#[test]
fn eom_is_followed_by_dis_and_counters_may_start_again() {
    let mut b = ready();
    send(&mut b, &[0], 0);
    b.burst(&[pps(EOM, 0, 0, 1)]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    let answered = b.now;
    let left = b.sent_timed(SECOND * 9);
    let dis = left.iter().find(|l| matches!(l.what, Transmit::Control(_))).expect("DIS");
    let after = dis.began.since(answered);
    assert!((SECOND * 5..SECOND * 7).contains(&after), "{after:?}");
    b.burst(&[calling(Fcf::Dcs, &DCS_ECM)]);
    b.tcf(V17);
    assert_eq!(b.sent(SECOND * 3), ["CFR"]);
    send(&mut b, &[0], 0);
    b.burst(&[pps(EOM, 0, 0, 1)]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    assert_eq!(settled(&b), [(true, true), (true, true)]);
    b.burst(&[calling(Fcf::Dcn, &[])]);
    assert_succeeded(&mut b);
}

#[test]
fn a_block_cut_off_is_kept_unconfirmed() {
    let mut b = ready();
    send(&mut b, &[0, 1, 3], 0);
    b.input(fax_t30::Input::HungUp);
    assert_failed(&mut b, Cause::CallDropped);
    assert_eq!(settled(&b), [(true, false)]);
    assert_eq!(b.outcome.as_ref().map(|(_, o)| o.pages_received), Some(1));
}

#[test]
fn frames_of_64_octets() {
    let mut b = Bench::start(config(Role::Called, 0));
    b.sent(SECOND * 9);
    b.burst(&[calling(Fcf::Dcs, &[0x00, 0x46, 0x1F, 0x32])]);
    b.tcf(V17);
    assert_eq!(b.sent(SECOND * 3), ["CFR"]);
    let mut frames: Vec<Bytes> = (0..5).map(|n| fcd(n, &[n; 64])).collect();
    frames.push(Bytes::from_static(&[0xFF, 0xC8, 0x61]));
    b.frames(V17, Training::Short, frames);
    b.burst(&[pps(EOP, 0, 0, 5)]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    assert_eq!(data(&b).len(), 320);
}

/// A rate at which frames keep arriving is kept: what is missing was lost on the way, not to noise.
#[test]
fn four_ppr_with_fewer_frames_each_lead_to_ctc_at_the_same_rate() {
    let mut b = block_sent(10, 1);
    for wanted in [&[1, 2, 3, 4, 5][..], &[2, 3, 5], &[3, 5]] {
        b.burst(&[called(Fcf::Ppr, &map(wanted))]);
        b.sent(LONG);
    }
    b.burst(&[called(Fcf::Ppr, &map(&[5]))]);
    assert_eq!(b.sent(LONG), ["CTC"]);
    assert_eq!(last_sent(&b).as_ref(), [0xFF, 0xC8, 0xC8, 0x00, 0x46]);
    b.burst(&[called(Fcf::Ctr, &[])]);
    assert_eq!(b.sent(LONG), ["V.17 14400 long 4 frames", "PPS-EOP"]);
    b.burst(&[called(Fcf::Mcf, &[])]);
    assert_succeeded(&mut b);
}

/// All frames are there and nothing in them can be read, such as JPEG without a table: that is no page, and its sender is
/// told so in the words that error correction has.
#[test]
fn a_page_without_a_readable_row_is_not_confirmed() {
    let mut b = ready();
    b.verdict = Verdict::default();
    send(&mut b, &[0, 1], 0);
    b.burst(&[pps(EOP, 0, 0, 2)]);
    assert_eq!(b.sent(SECOND * 3), ["PIN"]);
    assert_eq!(settled(&b), []);
    // The command repeated is told the same.
    b.burst(&[pps(EOP, 0, 0, 2)]);
    assert_eq!(b.sent(SECOND * 3), ["PIN"]);
    // It comes again, and can be read now.
    b.verdict = Verdict { rows: 1000, ..Verdict::default() };
    send(&mut b, &[0, 1, 2], 0);
    b.burst(&[pps(EOP, 0, 0, 3)]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    assert_eq!(settled(&b), [(false, false), (true, true)]);
    b.burst(&[calling(Fcf::Dcn, &[])]);
    assert_succeeded(&mut b);

    // A sender that leaves: what came is kept, and the call has failed.
    let mut b = ready();
    b.verdict = Verdict::default();
    send(&mut b, &[0], 0);
    b.burst(&[pps(EOP, 0, 0, 1)]);
    assert_eq!(b.sent(SECOND * 3), ["PIN"]);
    b.burst(&[calling(Fcf::Dcn, &[])]);
    assert_failed(&mut b, Cause::CallerLeftAfterRefusal);
    assert_eq!(settled(&b), [(true, false)]);
}

/// The sender is kept waiting with RNR while our assembly has not laid the page down, and not for ever.
#[test]
fn a_receiver_that_is_not_ready_says_so() {
    let mut b = ready();
    b.silent_assembly = true;
    send(&mut b, &[0, 1], 0);
    b.burst(&[pps(MPS, 0, 0, 2)]);
    let asked = b.now;
    let rnr = b.sent_timed(SECOND * 3);
    let began = rnr.iter().find(|l| matches!(l.what, Transmit::Control(_))).map(|l| l.began.since(asked));
    assert!(began.is_some_and(|d| d < Duration::from_millis(2550)), "before the sender's T4: {began:?}");
    assert_eq!(last_sent(&b).as_ref(), [0xFF, 0xC8, 0x37]);
    b.burst(&[calling(Fcf::Rr, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["RNR"]);
    // A command repeated is told the same.
    b.burst(&[pps(MPS, 0, 0, 2)]);
    assert_eq!(b.sent(SECOND * 3), ["RNR"]);
    assert_eq!(settled(&b), []);
    b.input(fax_t30::Input::Verdict(Verdict { rows: 10, ..Default::default() }));
    assert_eq!(b.sent(SECOND), Vec::<String>::new());
    b.burst(&[calling(Fcf::Rr, &[])]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    assert_eq!(settled(&b), [(true, true)]);
    b.silent_assembly = false;
    send(&mut b, &[0], 3);
    b.burst(&[pps(EOP, 1, 0, 1)]);
    assert_eq!(b.sent(SECOND * 3), ["MCF"]);
    b.burst(&[calling(Fcf::Dcn, &[])]);
    assert_succeeded(&mut b);

    let mut b = ready();
    b.silent_assembly = true;
    send(&mut b, &[0, 1], 0);
    b.burst(&[pps(EOP, 0, 0, 2)]);
    let asked = b.now;
    while b.sent(SECOND * 3) == ["RNR"] {
        b.burst(&[calling(Fcf::Rr, &[])]);
    }
    assert_failed(&mut b, Cause::TooSlow);
    let lasted = b.now.since(asked);
    assert!((SECOND * 55..SECOND * 66).contains(&lasted), "{lasted:?}");
    assert_eq!(settled(&b), [(true, false)]);
}
