//! What a request demands of us and what it carries: Require, the body and its coding, Accept (RFC 3261 §8.2.2.3, §8.2.3).

use crate::message::{Message, Method};

/// Why a body or its description cannot be used: code, header, value.
pub(crate) type Refusal = (u16, &'static str, String);

/// Checks Require, the body's type and coding, Accept (§8.2.2.3, §8.2.3).
pub(crate) fn check_content(request: &Message, supported: &str) -> Result<(), Refusal> {
    let known = |t: &String| supported.split(", ").any(|s| t.eq_ignore_ascii_case(s));
    let unknown: Vec<String> = request.tokens("Require").into_iter().filter(|t| !known(t)).collect();
    if !unknown.is_empty() {
        return Err((420, "Unsupported", unknown.join(", ")));
    }
    if !matches!(request.method(), Some(Method::Invite | Method::Update)) {
        return Ok(());
    }
    let coded = request.tokens("Content-Encoding").iter().any(|c| !c.eq_ignore_ascii_case("identity"));
    if coded && !request.body.is_empty() {
        return Err((415, "Accept-Encoding", String::from("identity")));
    }
    let optional = request
        .text("Content-Disposition")
        .is_some_and(|d| d.to_ascii_lowercase().replace(' ', "").contains("handling=optional"));
    if !request.body.is_empty() && request.sdp().is_none() && !optional {
        return Err((415, "Accept", String::from("application/sdp")));
    }
    let accepts = request.tokens("Accept");
    let takes_sdp = accepts.iter().any(|a| {
        let kind = a.split(';').next().unwrap_or_default().replace(' ', "").to_ascii_lowercase();
        matches!(kind.as_str(), "application/sdp" | "application/*" | "*/*")
    });
    if !accepts.is_empty() && !takes_sdp {
        return Err((406, "Accept", String::from("application/sdp")));
    }
    Ok(())
}
