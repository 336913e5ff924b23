//! Who is banned and what the guard has done, as REST and the command line show it.

use super::trunk_state::at;
use fax_net::{BanState, GuardState};
use serde_json::{Map, Value, json};

/// The fields.
pub(super) fn status(state: &GuardState) -> Map<String, Value> {
    let c = &state.counters;
    let shown = json!({
        "bans": state.bans.iter().map(ban).collect::<Vec<_>>(),
        "counters": {
            "bans": c.bans,
            "banned": c.banned,
            "scanners": c.scanners,
            "over_source": c.over_source,
            "over_strangers": c.over_strangers,
            "over_known": c.over_known,
            "connections": c.connections,
            "slowed": c.slowed,
            "delayed": c.delayed,
        },
        "sources": state.sources,
    });
    match shown {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn ban(ban: &BanState) -> Value {
    json!({
        "source": ban.source,
        "since": at(ban.since),
        "until": at(ban.until),
        "times": ban.times,
        "why": ban.why.words(),
        "dropped": ban.dropped,
    })
}
