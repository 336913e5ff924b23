//! `ferrofax dns`: how a name is resolved for SIP (RFC 3263).

use crate::cli::{DnsArgs, SipTransport};
use anyhow::{Context, Result};
use fax_net::{Locator, Transport};
use serde_json::json;
use std::process::ExitCode;

/// Asks, and prints what was asked and what came of it.
pub(crate) async fn run(args: DnsArgs, json: bool) -> Result<ExitCode> {
    let transport = args.transport.map(|transport| match transport {
        SipTransport::Udp => Transport::Udp,
        SipTransport::Tcp => Transport::Tcp,
        SipTransport::Tls => Transport::Tls,
    });
    let hop = fax_net::hop(&args.name, transport)
        .with_context(|| format!("{} is no host, address or SIP URI", args.name))?;
    let found = Locator::new(&args.server)?.locate(&hop).await;
    if json {
        let places: Vec<_> = found
            .places
            .iter()
            .map(|p| json!({"transport": p.transport.via().to_lowercase(), "address": p.address.to_string()}))
            .collect();
        let valid = found.valid.as_secs();
        println!("{}", json!({"name": args.name, "places": places, "valid_s": valid, "asked": found.steps}));
    } else {
        for step in &found.steps {
            println!("{step}");
        }
        println!();
        for (number, place) in found.places.iter().enumerate() {
            println!("{}. {} {}", number + 1, place.transport.via(), place.address);
        }
        if found.places.is_empty() {
            println!("no place for SIP");
        } else {
            println!("valid for {} s", found.valid.as_secs());
        }
    }
    Ok(if found.places.is_empty() { ExitCode::from(1) } else { ExitCode::SUCCESS })
}
