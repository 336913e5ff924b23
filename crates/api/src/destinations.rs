//! What was learnt of numbers and trunks, to be seen, set, locked and forgotten (an addition beside Crossbar's resources).

use axum::http::Method;
use fax_store::model::{Ability, AccountId, Profile, ProfileKey, Timestamp, Trait};
use fax_store::port::Range;
use fax_switch::port::TrunkStatus;
use fax_switch::{Service, ServiceError, TraitSetting};
use serde_json::{Map, Value, json};

use crate::envelope::{Fault, Success, Validation};
use crate::filter::{Listing, page};
use crate::present::Document;
use crate::request::{Envelope, Query};

/// `GET …/destinations`: profiles in order of their numbers, in pages.
///
/// # Errors
///
/// 400 for a query that cannot be, 503.
pub async fn list(service: &Service, account: &str, query: &Query) -> Result<Success, Fault> {
    let listing = Listing::of_query(query, false, service.now())?;
    let id = AccountId::new(account);
    let id = &id;
    let fetch = |range: Range| async move {
        let page = service.destinations(id, range.after.map(|(_, number)| number), range.limit).await;
        let page = page.map_err(|e| Fault::of_service(&e, account))?;
        let item = |p: &Profile| (Timestamp(0), p.key.parts().2.to_owned(), present(service, p));
        Ok(page.iter().map(item).collect())
    };
    page(&listing, fetch, |_| true).await
}

/// `GET`, `PATCH` and `DELETE …/destinations/{number}`.
///
/// # Errors
///
/// 404 where nothing is known of the number, or it is none; 400 for traits and settings that there are not; 503.
pub async fn one(
    service: &Service,
    account: &str,
    number: &str,
    verb: &Method,
    envelope: &Envelope,
) -> Result<Success, Fault> {
    let key = service.destination_key(&AccountId::new(account), number);
    let length = key.parts().2.len();
    if !(1..=MAX_NUMBER).contains(&length) {
        return Err(Fault::bad_identifier(number));
    }
    of_key(service, &key, verb, envelope).await
}

/// Numbers are no longer than this.
const MAX_NUMBER: usize = 32;

/// `GET …/trunks`: all trunks, for accounts of operators.
///
/// # Errors
///
/// 403 for other accounts, 503.
pub async fn trunks(service: &Service, account: &str) -> Result<Success, Fault> {
    operators_only(service, account)?;
    let known = service.trunks().await.map_err(|e| Fault::of_service(&e, account))?;
    let states = service.trunk_states().await;
    let config = service.config();
    let all = config.trunks.iter().map(|name| {
        let key = ProfileKey::trunk(name.as_str());
        let found = known.iter().find(|p| p.key == key).cloned();
        let mut shown = present(service, &found.unwrap_or(Profile { key, ..Profile::default() }));
        add_state(&mut shown, &states, name);
        Value::Object(shown)
    });
    Ok(Success::ok(Value::Array(all.collect())))
}

/// How the trunk is, beside what was learnt of it.
fn add_state(shown: &mut Map<String, Value>, states: &[TrunkStatus], name: &str) {
    if let Some(state) = states.iter().find(|s| s.name == name) {
        shown.insert("state".to_owned(), Value::Object(state.fields.clone()));
    }
}

/// `PUT …/reload`: the configuration is read again; `restart_needed` names what waits for the next start.
///
/// # Errors
///
/// 403 for accounts that are not operators, 409 with the faults of a configuration that is refused, 503.
pub async fn reload(service: &Service, account: &str) -> Result<Success, Fault> {
    operators_only(service, account)?;
    let kept = service.ask_for_reload().await.map_err(|e| Fault::of_service(&e, account))?;
    Ok(Success::ok(json!({ "reloaded": true, "restart_needed": kept })))
}

/// `GET`, `PATCH` and `DELETE …/trunks/{name}`.
///
/// # Errors
///
/// 403 for accounts that are not operators, 404 for a trunk that is not configured, 400, 503.
pub async fn trunk(
    service: &Service,
    account: &str,
    name: &str,
    verb: &Method,
    envelope: &Envelope,
) -> Result<Success, Fault> {
    operators_only(service, account)?;
    if !service.config().trunks.iter().any(|trunk| trunk == name) {
        return Err(Fault::bad_identifier(name));
    }
    let key = ProfileKey::trunk(name);
    let found = match of_key(service, &key, verb, envelope).await {
        // A trunk by which nothing was called yet has a state all the same.
        Err(_) if *verb == Method::GET && service.profile(&key).await == Err(ServiceError::NotFound) => {
            Success::ok(Value::Object(present(service, &Profile { key, ..Profile::default() })))
        }
        found => found?,
    };
    let mut found = found;
    if let Value::Object(shown) = &mut found.data {
        add_state(shown, &service.trunk_states().await, name);
    }
    Ok(found)
}

/// Trunks are everybody's: an account that is not the operator's does not touch them.
pub(crate) fn operators_only(service: &Service, account: &str) -> Result<(), Fault> {
    let directory = service.directory();
    let operator = directory.account(&AccountId::new(account)).is_some_and(|a| a.operator);
    if operator { Ok(()) } else { Err(Fault::forbidden()) }
}

async fn of_key(
    service: &Service,
    key: &ProfileKey,
    verb: &Method,
    envelope: &Envelope,
) -> Result<Success, Fault> {
    let name = key.parts().2;
    let fault = |e: ServiceError| Fault::of_service(&e, name);
    let profile = match *verb {
        Method::PATCH => {
            let settings = wanted(service, key, &envelope.data)?;
            service.set_traits(key, settings).await.map_err(fault)?
        }
        Method::DELETE => {
            let profile = service.profile(key).await.map_err(fault)?;
            service.forget_profile(key).await.map_err(fault)?;
            profile
        }
        _ => service.profile(key).await.map_err(fault)?,
    };
    Ok(Success::ok(Value::Object(present(service, &profile))))
}

/// The traits of a PATCH: `{"traits": {"ecm": {"setting": "off", "locked": true}, "t38@carrier": "off"}}`.
fn wanted(service: &Service, key: &ProfileKey, data: &Value) -> Result<Vec<TraitSetting>, Fault> {
    let mut faults = Validation::default();
    let mut settings = Vec::new();
    let empty = Map::new();
    let given = data["traits"].as_object().unwrap_or(&empty);
    if given.is_empty() {
        let message = "name at least one trait, as {\"traits\": {\"ecm\": {\"setting\": \"off\"}}}";
        faults.add("traits", "required", json!({ "message": message }));
    }
    for (name, value) in given {
        let field = format!("traits.{name}");
        let mut wrong = |rule: &str, message: String| {
            faults.add(&field, rule, json!({ "message": message, "cause": value }));
        };
        let (of, trunk) = name.split_once('@').map_or((name.as_str(), None), |(a, t)| (a, Some(t)));
        let Some(ability) = Ability::of_name(of) else {
            let all: Vec<&str> = Ability::ALL.into_iter().map(Ability::name).collect();
            wrong("enum", format!("there is no such trait; there are {}", all.join(", ")));
            continue;
        };
        let by_trunk = ability == Ability::T38 && matches!(key, ProfileKey::Number { .. });
        if let Some(trunk) = trunk
            && !(by_trunk && service.config().trunks.iter().any(|t| t == trunk))
        {
            wrong(
                "enum",
                "only t38 of a number goes with a trunk, and only with one that is configured".into(),
            );
            continue;
        }
        let (setting, locked) = match value {
            Value::Object(fields) => {
                (fields.get("setting").unwrap_or(&Value::Null), fields.get("locked").unwrap_or(&Value::Null))
            }
            other => (other, &Value::Null),
        };
        let step = match setting {
            Value::Null => None,
            Value::String(word) => ability.step(word),
            // A rate may come as a number.
            Value::Number(n) => ability.step(&n.to_string()),
            _ => None,
        };
        if step.is_none() && !setting.is_null() {
            wrong("enum", format!("the setting is one of {}", ability.settings().join(", ")));
        } else if !(locked.is_null() || locked.is_boolean()) {
            wrong("type", "locked is true or false".into());
        } else {
            let trunk = trunk.map(str::to_owned);
            settings.push(TraitSetting { ability, trunk, step, locked: locked.as_bool() });
        }
    }
    if faults.is_empty() { Ok(settings) } else { Err(faults.fault()) }
}

fn seconds(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, |at| at.gregorian_seconds().into())
}

fn failure(last: Option<&(Timestamp, String)>) -> Value {
    last.map_or(Value::Null, |(at, class)| {
        let text = fax_switch::policy::class(class).map_or("", |c| c.sentence);
        json!({ "at": at.gregorian_seconds(), "class": class, "text": text })
    })
}

/// A profile as it is shown.
#[must_use]
pub fn present(service: &Service, profile: &Profile) -> Document {
    let name = profile.key.parts().2;
    let kind = match profile.key {
        ProfileKey::Number { .. } => "number",
        ProfileKey::Trunk { .. } => "trunk",
        ProfileKey::None => "name",
    };
    let traits = profile.traits.iter().map(|t| {
        let name = t.ability.name();
        let name = t.trunk.as_ref().map_or_else(|| name.to_owned(), |trunk| format!("{name}@{trunk}"));
        (name, present_trait(service, t))
    });
    let far_end = profile.far_end.as_ref().map(|f| {
        json!({
            "at": f.at.gregorian_seconds(), "ident": f.ident, "maker": f.maker, "dis": f.dis, "says": f.says,
        })
    });
    let document = json!({
        "id": name,
        kind: name,
        "created": profile.created.gregorian_seconds(),
        "modified": profile.modified.gregorian_seconds(),
        "calls": profile.calls,
        "delivered": profile.delivered,
        "last_delivered": seconds(profile.last_delivered),
        "last_failure": failure(profile.last_failure.as_ref()),
        "best_bit_rate": profile.best_bit_rate,
        "last_bit_rate": profile.last_bit_rate,
        "far_end": far_end,
        "refused_calls": profile.dead.as_ref().map_or(0, |d| d.calls),
        "not_called_until": seconds(profile.dead.as_ref().and_then(|d| d.until)),
        "traits": traits.collect::<Map<String, Value>>(),
    });
    match document {
        Value::Object(document) => document,
        _ => Document::new(),
    }
}

fn present_trait(service: &Service, t: &Trait) -> Value {
    json!({
        "setting": t.setting,
        "settings": t.ability.settings(),
        "locked": t.locked,
        "origin": t.origin,
        "reason": t.reason,
        "since": seconds(t.since),
        "probation_from": seconds(t.until),
        "on_probation": service.on_probation(t),
        "failures": t.failures,
        "successes": t.successes,
        "last_failure": failure(t.last_failure.as_ref()),
        "last_success": seconds(t.last_success),
        "delivered_since": t.delivered,
        "failed_probations": t.relapses,
    })
}
