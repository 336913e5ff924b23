//! Who is banned from the SIP side, for operators (an addition beside Crossbar's resources).

use fax_switch::Service;
use serde_json::{Value, json};
use std::net::IpAddr;

use crate::destinations::operators_only;
use crate::envelope::{Fault, Success};

/// `GET …/bans`: the bans that hold, and what was turned away since the start.
///
/// # Errors
///
/// 403 for accounts that are not operators.
pub fn list(service: &Service, account: &str) -> Result<Success, Fault> {
    operators_only(service, account)?;
    Ok(Success::ok(Value::Object(service.protection())))
}

/// `DELETE …/bans/{address}`: the ban is lifted.
///
/// # Errors
///
/// 403 for accounts that are not operators, 404 where there is no such ban.
pub fn lift(service: &Service, account: &str, address: &str) -> Result<Success, Fault> {
    operators_only(service, account)?;
    let source = address.split('/').next().unwrap_or_default().parse::<IpAddr>();
    match source {
        Ok(source) if service.lift_ban(source) => Ok(Success::ok(json!({ "lifted": address }))),
        Ok(_) | Err(_) => Err(Fault::bad_identifier(address)),
    }
}
