//! Why a call was not answered, and whether another trunk may do better: every SIP status and cause of Q.850 in one
//! table (RFC 3261 §21, RFC 3398 §7.2, RFC 3326, RFC 8197, RFC 8688; Q.850 §2.2).

/// What a failure means for the rest of the attempt.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Course {
    /// It is the number or who has it: every trunk would hear the same.
    GiveUp,
    /// It is the trunk or what is behind it: the next may do.
    NextTrunk,
    /// Both ends were in each other's way: this trunk will do a little later.
    LaterHere,
}

use Course::{GiveUp, LaterHere, NextTrunk};

/// A failed call in short.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CallCause {
    /// The key of its class, as `call.busy`.
    pub class: &'static str,
    /// What follows.
    pub course: Course,
}

/// Causes of Q.850, from–to. They know better than the status that they come with, except for their class where that
/// is left empty.
const Q850: &[(u16, u16, &str, Course)] = &[
    (1, 1, "call.unallocated", GiveUp),
    // No route: there are other networks.
    (2, 3, "", NextTrunk),
    (6, 6, "call.congestion", NextTrunk),
    (17, 17, "call.busy", GiveUp),
    (18, 20, "call.noanswer", GiveUp),
    (21, 21, "call.rejected", GiveUp),
    (22, 22, "call.unallocated", GiveUp),
    (27, 27, "", NextTrunk),
    (28, 28, "call.unallocated", GiveUp),
    (29, 29, "", NextTrunk),
    (34, 34, "call.congestion", NextTrunk),
    (38, 38, "call.congestion", NextTrunk),
    (41, 44, "call.congestion", NextTrunk),
    (47, 47, "call.congestion", NextTrunk),
    // Not subscribed, not authorised, not implemented: by this network.
    (50, 63, "", NextTrunk),
    (65, 65, "call.media", NextTrunk),
    (66, 79, "", NextTrunk),
    (88, 88, "call.media", GiveUp),
    (102, 102, "call.congestion", NextTrunk),
    (111, 111, "", NextTrunk),
];

/// SIP status codes, from–to; the first row that fits counts.
const STATUS: &[(u16, u16, &str, Course)] = &[
    // A redirection that was not followed.
    (300, 399, "call.failed", NextTrunk),
    // The trunk does not let us call so.
    (403, 403, "call.rejected", NextTrunk),
    (404, 404, "call.unallocated", GiveUp),
    (408, 408, "call.noanswer", GiveUp),
    (410, 410, "call.unallocated", GiveUp),
    (415, 415, "call.media", NextTrunk),
    (429, 429, "call.congestion", NextTrunk),
    // The called side takes no anonymous calls.
    (433, 433, "call.rejected", GiveUp),
    (480, 480, "call.noanswer", GiveUp),
    (484, 484, "call.unallocated", GiveUp),
    (486, 486, "call.busy", GiveUp),
    (487, 487, "call.noanswer", GiveUp),
    (488, 488, "call.media", NextTrunk),
    (491, 491, "call.glare", LaterHere),
    (400, 499, "call.failed", NextTrunk),
    (500, 500, "call.congestion", NextTrunk),
    (502, 504, "call.congestion", NextTrunk),
    (500, 599, "call.failed", NextTrunk),
    (600, 600, "call.busy", GiveUp),
    (603, 603, "call.rejected", GiveUp),
    (604, 604, "call.unallocated", GiveUp),
    (606, 606, "call.media", GiveUp),
    // Unwanted, or rejected by a network's analysis.
    (607, 608, "call.rejected", GiveUp),
    (600, 699, "call.failed", GiveUp),
];

/// What a call that was not answered died of: its SIP status, the cause of Q.850 that came with it, and whether the trunk
/// said anything at all (`reached`).
#[must_use]
pub fn call_cause(status: Option<u16>, q850: Option<u16>, reached: bool) -> CallCause {
    if !reached && matches!(status, None | Some(0 | 408 | 503)) && q850.is_none() {
        // Silence, or nothing could be sent: it says nothing of the number.
        return CallCause { class: "l.notrunk", course: NextTrunk };
    }
    let find = |rows: &'static [(u16, u16, &'static str, Course)], n: Option<u16>| {
        let n = n?;
        rows.iter()
            .find(|(from, to, ..)| (*from..=*to).contains(&n))
            .map(|(.., class, course)| (*class, *course))
    };
    let by_status = find(STATUS, status).unwrap_or(("call.failed", NextTrunk));
    match find(Q850, q850) {
        Some(("", course)) => CallCause { class: by_status.0, course },
        Some((class, course)) => CallCause { class, course },
        None => CallCause { class: by_status.0, course: by_status.1 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table() {
        for (status, q850, class, course) in [
            // by status alone
            (302, None, "call.failed", NextTrunk),
            (400, None, "call.failed", NextTrunk),
            (401, None, "call.failed", NextTrunk),
            (402, None, "call.failed", NextTrunk),
            (403, None, "call.rejected", NextTrunk),
            (404, None, "call.unallocated", GiveUp),
            (405, None, "call.failed", NextTrunk),
            (407, None, "call.failed", NextTrunk),
            (408, None, "call.noanswer", GiveUp),
            (410, None, "call.unallocated", GiveUp),
            (415, None, "call.media", NextTrunk),
            (420, None, "call.failed", NextTrunk),
            (429, None, "call.congestion", NextTrunk),
            (433, None, "call.rejected", GiveUp),
            (438, None, "call.failed", NextTrunk),
            (480, None, "call.noanswer", GiveUp),
            (482, None, "call.failed", NextTrunk),
            (484, None, "call.unallocated", GiveUp),
            (486, None, "call.busy", GiveUp),
            (487, None, "call.noanswer", GiveUp),
            (488, None, "call.media", NextTrunk),
            (491, None, "call.glare", LaterHere),
            (500, None, "call.congestion", NextTrunk),
            (501, None, "call.failed", NextTrunk),
            (502, None, "call.congestion", NextTrunk),
            (503, None, "call.congestion", NextTrunk),
            (504, None, "call.congestion", NextTrunk),
            (505, None, "call.failed", NextTrunk),
            (513, None, "call.failed", NextTrunk),
            (580, None, "call.failed", NextTrunk),
            (600, None, "call.busy", GiveUp),
            (603, None, "call.rejected", GiveUp),
            (604, None, "call.unallocated", GiveUp),
            (606, None, "call.media", GiveUp),
            (607, None, "call.rejected", GiveUp),
            (608, None, "call.rejected", GiveUp),
            (699, None, "call.failed", GiveUp),
            // the cause knows better
            (503, Some(1), "call.unallocated", GiveUp),
            (404, Some(2), "call.unallocated", NextTrunk),
            (404, Some(3), "call.unallocated", NextTrunk),
            (500, Some(6), "call.congestion", NextTrunk),
            (480, Some(17), "call.busy", GiveUp),
            (503, Some(18), "call.noanswer", GiveUp),
            (480, Some(19), "call.noanswer", GiveUp),
            (480, Some(20), "call.noanswer", GiveUp),
            (403, Some(21), "call.rejected", GiveUp),
            (410, Some(22), "call.unallocated", GiveUp),
            (502, Some(27), "call.congestion", NextTrunk),
            (484, Some(28), "call.unallocated", GiveUp),
            (501, Some(29), "call.failed", NextTrunk),
            (480, Some(34), "call.congestion", NextTrunk),
            (503, Some(38), "call.congestion", NextTrunk),
            (486, Some(41), "call.congestion", NextTrunk),
            (480, Some(42), "call.congestion", NextTrunk),
            (480, Some(44), "call.congestion", NextTrunk),
            (500, Some(47), "call.congestion", NextTrunk),
            (403, Some(57), "call.rejected", NextTrunk),
            (488, Some(65), "call.media", NextTrunk),
            (501, Some(79), "call.failed", NextTrunk),
            (503, Some(88), "call.media", GiveUp),
            (504, Some(102), "call.congestion", NextTrunk),
            (500, Some(111), "call.congestion", NextTrunk),
            // causes that say nothing
            (486, Some(16), "call.busy", GiveUp),
            (503, Some(16), "call.congestion", NextTrunk),
            (480, Some(31), "call.noanswer", GiveUp),
            (503, Some(127), "call.congestion", NextTrunk),
        ] {
            let want = CallCause { class, course };
            assert_eq!(call_cause(Some(status), q850, true), want, "{status} {q850:?}");
        }
    }

    #[test]
    fn silence_is_the_trunks_and_not_the_numbers() {
        let silent = CallCause { class: "l.notrunk", course: NextTrunk };
        for status in [None, Some(0), Some(408), Some(503)] {
            assert_eq!(call_cause(status, None, false), silent);
        }
        // It rang for as long as we wanted, and nobody came.
        assert_eq!(call_cause(Some(487), None, true).course, GiveUp);
    }

    #[test]
    fn every_row_of_the_status_table_can_be_reached() {
        for (n, (from, to, ..)) in STATUS.iter().enumerate() {
            let first = |code: u16| STATUS.iter().position(|(a, b, ..)| (*a..=*b).contains(&code));
            assert!((*from..=*to).any(|code| first(code) == Some(n)), "row {n}");
        }
    }
}
