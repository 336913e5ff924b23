//! The report: what came of the call, with the contract's keys.

use fax_base::Instant;
use fax_base::page::Coding;
use fax_switch::policy;
use fax_t30::Outcome;
use serde_json::{Value, json};

/// The result of one call.
#[derive(Debug)]
pub(super) struct Report<'a> {
    outcome: &'a Outcome,
    end: Instant,
    bad_rows: u32,
}

impl<'a> Report<'a> {
    pub(super) fn new(outcome: &'a Outcome, end: Instant, bad_rows: u32) -> Self {
        Report { outcome, end, bad_rows }
    }

    /// Exactly the keys of the contract. What was never agreed is null.
    pub(super) fn json(&self) -> Value {
        let o = self.outcome;
        json!({
            "status": if o.failure.is_none() { "ok" } else { "failed" },
            "error": o.failure.as_ref().map(|f| policy::class_of_cause(f.cause)),
            "pages_sent": o.pages_confirmed,
            "pages_received": o.pages_received,
            "modem": o.modulation.map(|m| m.recommendation()),
            "bit_rate": o.modulation.map(|m| m.bit_rate()),
            "ecm": o.format.map(|f| f.ecm),
            "compression": o.format.map(|f| recommendation(f.coding)),
            "remote_id": o.remote_ident,
            "duration_s": self.end.as_millis() as f64 / 1000.0,
            "bad_rows": self.bad_rows,
        })
    }

    pub(super) fn sentence(&self) -> String {
        let o = self.outcome;
        let how = match (o.modulation, o.format) {
            (Some(modulation), Some(format)) => {
                let ecm = if format.ecm { ", ECM" } else { "" };
                format!("; {modulation}, {}{ecm}", format.coding)
            }
            _ => String::new(),
        };
        format!(
            "{} Pages sent: {}, received: {}{how}; {:.1} s",
            told(o),
            o.pages_confirmed,
            o.pages_received,
            self.end.as_millis() as f64 / 1000.0
        )
    }
}

/// How it ended, for people.
pub(super) fn told(outcome: &Outcome) -> String {
    let Some(failure) = &outcome.failure else {
        return "The fax went well.".to_owned();
    };
    let sentence =
        policy::class(policy::class_of_cause(failure.cause)).map_or("The fax failed.", |c| c.sentence);
    let frame = |name: Option<&'static str>| name.unwrap_or("nothing");
    format!(
        "{} (phase {:?}, sent {}, received {}).",
        sentence.trim_end_matches('.'),
        failure.phase,
        frame(failure.last_sent),
        frame(failure.last_received)
    )
}

/// The coding by its Recommendation.
const fn recommendation(coding: Coding) -> &'static str {
    match coding {
        Coding::Mh => "T.4 1-D",
        Coding::Mr => "T.4 2-D",
        Coding::Mmr => "T.6",
        Coding::T85 => "T.85",
        Coding::T81(_) => "T.81",
    }
}
