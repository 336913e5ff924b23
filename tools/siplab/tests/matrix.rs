//! The negotiation matrix: every row is a test of its own, and README.md lists them all.
#![allow(clippy::unwrap_used, clippy::panic)]

use fax_t30::Role;
use siplab::{Case, cases, play};
use std::fmt::Write as _;

fn read(text: &str) -> Vec<Case> {
    cases(text).unwrap_or_else(|e| panic!("{e}"))
}

fn run(text: &str, name: &str) {
    let case = read(text).into_iter().find(|c| c.name == name).unwrap_or_else(|| panic!("no case {name}"));
    match play(&case) {
        Ok(played) => println!("{name}: {:?} after {:?}", played.report.map(|r| r.end), played.took),
        Err(why) => panic!("{name} ({}): {why}", case.about),
    }
}

macro_rules! rows {
    ($file:ident: $($name:ident)*) => {
        mod $file {
            pub const TEXT: &str = include_str!(concat!("../cases/", stringify!($file), ".txt"));
            pub const ROWS: &[&str] = &[$(stringify!($name)),*];
            $(#[test]
            fn $name() {
                super::run(TEXT, stringify!($name));
            })*
        }
    };
}

const FILES: [(&str, &str, &[&str]); 6] = [
    ("roles", roles::TEXT, roles::ROWS),
    ("refusals", refusals::TEXT, refusals::ROWS),
    ("sdp", sdp::TEXT, sdp::ROWS),
    ("changes", changes::TEXT, changes::ROWS),
    ("cleared", cleared::TEXT, cleared::ROWS),
    ("network", network::TEXT, network::ROWS),
];

#[test]
fn every_case_is_a_test() {
    let mut count = 0;
    for (file, text, rows) in FILES {
        let names: Vec<String> = read(text).into_iter().map(|c| c.name).collect();
        assert_eq!(names, rows, "the rows of {file}.txt");
        count += rows.len();
    }
    println!("{count} cases");
    assert!(count >= 200, "{count} cases");
}

#[test]
fn the_same_seed_is_the_same_call() {
    let case = read(network::TEXT).into_iter().find(|c| c.name == "t38_loss_5_calling").unwrap();
    let took: Vec<_> = (0..2).map(|_| play(&case).unwrap().took).collect();
    assert_eq!(took[0], took[1]);
}

/// The table in README.md is made from the cases; `FERROFAX_BLESS=1` writes it anew.
#[test]
fn the_readme_lists_them_all() {
    const BEGIN: &str = "<!-- cases -->\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (head, present) = readme.split_once(BEGIN).expect("the mark before the table");
    let mut table = String::new();
    for (file, text, _) in FILES {
        let _ = write!(table, "\n### {file}\n\n| case | we | what it shows |\n| --- | --- | --- |\n");
        let mut cases = read(text).into_iter().peekable();
        while let Some(case) = cases.next() {
            let twin = case
                .name
                .strip_suffix("_calling")
                .filter(|_| cases.peek().is_some_and(|n| n.about == case.about));
            let role = if case.role == Role::Calling { "call" } else { "are called" };
            let (name, role) = match twin {
                Some(name) => (name.to_owned(), "both"),
                None => (case.name.clone(), role),
            };
            if twin.is_some() {
                cases.next();
            }
            let _ = writeln!(table, "| {name} | {role} | {} |", case.about);
        }
    }
    if std::env::var_os("FERROFAX_BLESS").is_some() {
        std::fs::write(path, format!("{head}{BEGIN}{table}")).unwrap();
    } else {
        assert!(present == table, "README.md is not up to date: run this test with FERROFAX_BLESS=1");
    }
}

rows! { roles:
    receiver_only_calling
    receiver_only_called
    either_side_calling
    either_side_called
    sender_after_a_time
    sender_at_once
    never_calling
    never_called
    nobody_offers_calling
    nobody_offers_called
    their_offer_after_cng
    their_offer_after_ced
    our_offer_after_cng
    their_offer_in_phase_b_calling
    their_offer_in_phase_b_called
    their_offer_in_phase_c_by_audio_calling
    their_offer_in_phase_c_by_audio_called
    audio_and_image_first
    image_and_audio_first
    audio_and_image_first_never_t38
    image_only_first
    image_only_first_never_t38
    late_offer
    late_offer_unanswered
    late_offer_in_mid_call_calling
    late_offer_in_mid_call_called
    late_offer_in_audio_calling
    late_offer_in_audio_called
    fax_preference
}

rows! { refusals:
    refused_488_calling
    refused_488_called
    refused_415_calling
    refused_415_called
    refused_606_calling
    refused_606_called
    refused_501_calling
    refused_501_called
    refused_403_calling
    refused_403_called
    refused_400_calling
    refused_400_called
    refused_500_calling
    refused_500_called
    refused_503_calling
    refused_503_called
    refused_603_calling
    refused_603_called
    refused_405_calling
    refused_405_called
    refused_404_calling
    refused_404_called
    refused_503_retry_after
    refused_port_zero_calling
    refused_port_zero_called
    refused_audio_instead_calling
    refused_audio_instead_called
    refused_without_sdp_calling
    refused_without_sdp_called
    refused_both_lines_calling
    refused_both_lines_called
    never_answered_calling
    never_answered_called
    answered_late
    refused_then_offered_calling
    refused_then_offered_called
    refused_then_audio_calling
    refused_then_audio_called
    dialog_gone
    trying_forever
    request_pending_once_calling
    request_pending_once_called
    glare_calling
    glare_called
    glare_ours_first_calling
    glare_ours_first_called
    overlapping_offers_calling
    overlapping_offers_called
    update_offers_t38_calling
    update_offers_t38_called
    silent_calling
    silent_called
    silent_and_no_return
    silent_and_return_ignored
}

rows! { sdp:
    max_datagram_0_calling
    max_datagram_0_called
    max_datagram_1_calling
    max_datagram_1_called
    max_datagram_72_calling
    max_datagram_72_called
    max_datagram_176_calling
    max_datagram_176_called
    max_datagram_65535_calling
    max_datagram_65535_called
    max_datagram_negative_calling
    max_datagram_negative_called
    max_datagram_text_calling
    max_datagram_text_called
    max_datagram_missing_calling
    max_datagram_missing_called
    max_bit_rate_9600_calling
    max_bit_rate_9600_called
    max_bit_rate_4800_calling
    max_bit_rate_4800_called
    max_bit_rate_2400_calling
    max_bit_rate_2400_called
    max_bit_rate_33600_calling
    max_bit_rate_33600_called
    max_bit_rate_missing_calling
    max_bit_rate_missing_called
    version_0_calling
    version_0_called
    version_1_calling
    version_1_called
    version_2_calling
    version_2_called
    version_3_calling
    version_3_called
    version_4_calling
    version_4_called
    version_missing_calling
    version_missing_called
    rate_management_missing_calling
    rate_management_missing_called
    rate_management_misspelt_calling
    rate_management_misspelt_called
    local_tcf_offered
    local_tcf_answered
    ec_none_calling
    ec_none_called
    ec_redundancy_calling
    ec_redundancy_called
    ec_fec_calling
    ec_fec_called
    ec_unknown_calling
    ec_unknown_called
    ec_missing_calling
    ec_missing_called
    ec_twice_calling
    ec_twice_called
    lower_case_calling
    lower_case_called
    upper_case_calling
    upper_case_called
    other_names_calling
    other_names_called
    fill_bit_removal_calling
    fill_bit_removal_called
    fill_bit_removal_0_calling
    fill_bit_removal_0_called
    fill_bit_removal_1_calling
    fill_bit_removal_1_called
    vendor_info_calling
    vendor_info_called
    t38_modem_type_calling
    t38_modem_type_called
    bare_image_line_calling
    bare_image_line_called
    application_line_calling
    application_line_called
    tcp_offered
    tcp_capitals_offered
    tcp_beside_udptl_offered
    tcp_answered
    dtls_offered
    t38_over_rtp_offered
    image_port_zero_offered
    audio_off_image_on
    audio_19_after_image
    audio_and_image_in_mid_call
    image_and_audio_in_mid_call
    video_beside
    c_at_media_level_calling
    c_at_media_level_called
    c_at_both_levels_calling
    c_at_both_levels_called
    c_nowhere_calling
    c_nowhere_called
    unknown_lines_calling
    unknown_lines_called
    sendonly_hold_calling
    sendonly_hold_called
    inactive_hold_calling
    inactive_hold_called
    recvonly_hold_calling
    recvonly_hold_called
    hold_by_address_calling
    hold_by_address_called
    hold_then_t38
    ipv6_calling
    ipv6_called
    ipv6_audio_calling
    ipv6_audio_called
    static_types_without_rtpmap_calling
    static_types_without_rtpmap_called
    only_pcmu_calling
    only_pcmu_called
    only_pcma_calling
    only_pcma_called
    dynamic_pcmu
    dynamic_pcma_one_channel
    dynamic_pcmu_in_the_answer
    ptime_10_calling
    ptime_10_called
    ptime_30_calling
    ptime_30_called
    ptime_40_calling
    ptime_40_called
    ptime_60_calling
    ptime_60_called
    telephone_event_only_offered
    telephone_event_only_answered
    g729_only_offered
    g729_only_answered
    savp_only_offered
    no_sdp_at_all_answered
}

rows! { changes:
    back_to_audio_in_negotiation_calling
    back_to_audio_in_negotiation_called
    back_to_audio_in_phase_c
    back_to_audio_at_the_end
    image_off_at_the_end
    refresh_in_t38_calling
    refresh_in_t38_called
    refresh_in_audio_calling
    refresh_in_audio_called
    refresh_by_update_calling
    refresh_by_update_called
    audio_port_changes_calling
    audio_port_changes_called
    audio_address_changes_calling
    audio_address_changes_called
    t38_port_changes_calling
    t38_port_changes_called
    t38_address_changes_calling
    t38_address_changes_called
    t38_from_another_port_calling
    t38_from_another_port_called
    audio_from_another_port_calling
    audio_from_another_port_called
    udptl_before_the_answer
    rtp_after_the_switch_calling
    rtp_after_the_switch_called
    early_media
    early_media_reliable
    reliable_required
    unknown_extension_required
    forked_answers
    slow_answer
    session_timer
}

rows! { cleared:
    bye_in_phase_a_calling
    bye_in_phase_a_called
    bye_in_audio_before_dis_calling
    bye_in_audio_before_dis_called
    bye_while_our_offer_is_out
    bye_after_the_switch_calling
    bye_after_the_switch_called
    bye_in_phase_b_calling
    bye_in_phase_b_called
    bye_in_phase_b_by_audio_calling
    bye_in_phase_b_by_audio_called
    bye_in_phase_c_calling
    bye_in_phase_c_called
    bye_in_phase_c_by_audio_calling
    bye_in_phase_c_by_audio_called
    cancel_before_ringing
    cancel_after_the_answer
    we_cancel_before_anything
    we_cancel_while_it_rings
    we_cancel_and_they_answer
    we_cancel_nobody_is_there
    it_rings_too_long
    we_give_up_in_phase_a_calling
    we_give_up_in_phase_a_called
    we_give_up_in_phase_b_calling
    we_give_up_in_phase_b_called
    we_give_up_by_audio_calling
    we_give_up_by_audio_called
    busy
    no_such_number
    declined
    media_refused
    unavailable
    a_voice_answers
    a_silent_caller
}

rows! { network:
    t38_delay_200_calling
    t38_delay_200_called
    t38_loss_1_calling
    t38_loss_1_called
    t38_loss_5_calling
    t38_loss_5_called
    t38_reordered_and_doubled_calling
    t38_reordered_and_doubled_called
    audio_delay_300_calling
    audio_delay_300_called
    audio_jitter_calling
    audio_jitter_called
    audio_reordered_and_doubled_calling
    audio_reordered_and_doubled_called
    audio_loss_1_calling
    audio_loss_1_called
    signalling_loss_20_calling
    signalling_loss_20_called
    peer_behind_nat_t38_calling
    peer_behind_nat_t38_called
    peer_behind_nat_audio_calling
    peer_behind_nat_audio_called
    we_behind_nat_t38_calling
    we_behind_nat_t38_called
    we_behind_nat_audio_calling
    we_behind_nat_audio_called
}
