//! How trunks are, as REST and the command line show it.

use fax_net::{PlaceState, RegistrationState, TrunkState};
use fax_switch::port::TrunkStatus;
use serde_json::{Map, Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds from the year 0, from which REST counts, to 1970.
const GREGORIAN_OFFSET: i64 = 62_167_219_200;

/// Fields of a trunk.
pub(super) fn status(state: &TrunkState) -> TrunkStatus {
    let fields = json!({
        "up": state.up,
        "since": state.since.map(at),
        "why": state.why,
        "tried_again": state.tried_again.map(at),
        "last_failure": failure(&state.last_failure),
        "registrations": state.registrations.iter().map(registration).collect::<Vec<_>>(),
        "places": state.places.iter().map(place).collect::<Vec<_>>(),
        "calls": {
            "out": state.calls_out,
            "in": state.calls_in,
            "waiting": state.waiting,
            "max": state.limits.calls,
            "max_out": state.limits.calls_out,
            "max_in": state.limits.calls_in,
            "per_second": state.limits.per_second_out,
            "per_second_in": state.limits.per_second_in,
        },
    });
    let fields = match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    TrunkStatus { name: state.name.clone(), fields }
}

pub(super) fn at(time: SystemTime) -> i64 {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_add(GREGORIAN_OFFSET)
}

fn failure(failure: &Option<(SystemTime, String)>) -> Value {
    failure.as_ref().map_or(Value::Null, |(when, text)| json!({ "at": at(*when), "text": text }))
}

fn registration(state: &RegistrationState) -> Value {
    json!({
        "at": state.at.map(|p| p.address.to_string()),
        "transport": state.at.map(|p| p.transport.via().to_lowercase()),
        "since": state.since.map(at),
        "until": state.until.map(at),
        "service_route": state.service_route,
        "outbound": state.outbound,
        "seen": state.seen.map(|s| s.to_string()),
        "last_failure": failure(&state.last_failure),
        "tried_again": state.tried_again.map(at),
    })
}

fn place(state: &PlaceState) -> Value {
    json!({
        "address": state.place.address.to_string(),
        "transport": state.place.transport.via().to_lowercase(),
        "failed": state.failed,
        "round_trip_ms": state.round_trip.map(|r| u64::try_from(r.as_millis()).unwrap_or(u64::MAX)),
    })
}
