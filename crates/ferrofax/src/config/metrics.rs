//! `[metrics]`: where Prometheus asks, and who may.

use super::sections::{parsed, secret};
use super::valid::{Metrics, Secret};
use super::written::Section;
use std::net::SocketAddr;
use std::path::Path;

/// The section; `None` where there is none.
pub(super) fn metrics(root: &Section<'_, '_>, base: &Path) -> Option<Metrics> {
    if !root.has("metrics") {
        return None;
    }
    let s = root.section("metrics");
    let listen = parsed::<SocketAddr>(&s, "listen", "127.0.0.1:9363")
        .or_else(|| (!s.has("listen")).then(|| SocketAddr::from(([127, 0, 0, 1], 9363))));
    let token = secret(&s, base, ["token", "token_file", "token_env"]);
    if let Some(short) = token.as_ref().filter(|t| t.value.len() < 16) {
        s.fault(
            short.line,
            "the token of [metrics] is short",
            "use at least 16 characters, as `openssl rand -hex 16` makes",
        );
    }
    if let Some(open) = listen.filter(|l| !l.ip().is_loopback() && token.is_none()) {
        s.fault(
            s.line,
            format!("metrics.listen {open} lets everybody read the figures"),
            "add token_file = \"metrics.token\" and give Prometheus the same token, or listen on 127.0.0.1",
        );
    }
    s.finish();
    Some(Metrics { listen: listen?, token: token.map(|t| Secret(t.value)) })
}
