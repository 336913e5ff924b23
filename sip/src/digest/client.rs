//! Digest authentication as a client: MD5, SHA-256 and SHA-512-256, plain and `-sess`, `qop=auth` (RFC 7616, RFC 8760, RFC 2617, RFC 3261 §22).

use core::fmt::Write as _;

use super::Algorithm;
use crate::api::Credentials;
use crate::message::{Challenge, Message, quote};

/// A challenge we can answer, with the count of its uses.
#[derive(Clone, Debug)]
struct Known {
    proxy: bool,
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// The algorithm was named, so it is named in return.
    named: bool,
    qop: bool,
    count: u32,
    /// Ours, from the first use on: the session forms hash it into their secret once (RFC 7616 §3.4.2).
    cnonce: String,
}

/// What one call or registration knows about proving who it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Authentication {
    credentials: Option<Credentials>,
    known: Vec<Known>,
    /// Realms that were answered since the last success: a second challenge there means a wrong password.
    answered: Vec<(bool, String)>,
}

impl Authentication {
    pub(crate) fn new(credentials: Option<Credentials>) -> Authentication {
        Authentication { credentials, known: Vec::new(), answered: Vec::new() }
    }

    /// A request went through: the next challenge is a fresh one.
    pub(crate) fn succeeded(&mut self) {
        self.answered.clear();
    }

    /// Takes the challenges of a 401 or 407; says whether trying again makes sense.
    pub(crate) fn challenged(&mut self, response: &Message) -> bool {
        if self.credentials.is_none() || self.answered.len() > 8 {
            return false;
        }
        let mut fresh = false;
        for (proxy, name) in [(false, "WWW-Authenticate"), (true, "Proxy-Authenticate")] {
            let challenges = response.all(name).flat_map(|h| Challenge::read_list(h.value()));
            let mut offers: Vec<(Known, bool)> = challenges.filter_map(|c| read(proxy, &c)).collect();
            // The strongest first; one a realm.
            offers.sort_by_key(|(known, _)| core::cmp::Reverse(known.algorithm));
            let mut seen: Vec<String> = Vec::new();
            for (known, stale) in offers.into_iter().take(8) {
                if seen.contains(&known.realm) {
                    continue;
                }
                seen.push(known.realm.clone());
                let place = (proxy, known.realm.clone());
                if self.answered.contains(&place) && !stale {
                    continue;
                }
                // A server that always says "stale" must not keep us going for ever.
                self.answered.push(place);
                fresh = true;
                self.known.retain(|k| k.proxy != proxy || k.realm != known.realm);
                self.known.push(known);
            }
        }
        fresh
    }

    /// The headers for a request; `cnonce` is fresh and used for challenges that have none yet.
    pub(crate) fn authorize(&mut self, method: &str, uri: &str, cnonce: &str) -> Vec<(&'static str, String)> {
        let Some(credentials) = &self.credentials else {
            return Vec::new();
        };
        self.known
            .iter_mut()
            .map(|known| {
                known.count = known.count.saturating_add(1);
                if known.cnonce.is_empty() {
                    cnonce.clone_into(&mut known.cnonce);
                }
                let name = if known.proxy { "Proxy-Authorization" } else { "Authorization" };
                (name, answer(known, credentials, method, uri))
            })
            .collect()
    }
}

fn read(proxy: bool, challenge: &Challenge) -> Option<(Known, bool)> {
    if !challenge.scheme.eq_ignore_ascii_case("Digest") {
        return None;
    }
    let algorithm = Algorithm::read(challenge.get("algorithm"))?;
    let qop = match challenge.get("qop") {
        None | Some("") => false,
        Some(list) if list.split(',').any(|q| q.trim().eq_ignore_ascii_case("auth")) => true,
        Some(_) => return None,
    };
    let known = Known {
        proxy,
        realm: challenge.get("realm").unwrap_or_default().to_owned(),
        nonce: challenge.get("nonce")?.to_owned(),
        opaque: challenge.get("opaque").map(str::to_owned),
        algorithm,
        named: challenge.get("algorithm").is_some(),
        qop,
        count: 0,
        cnonce: String::new(),
    };
    let stale = challenge.get("stale").is_some_and(|s| s.eq_ignore_ascii_case("true"));
    Some((known, stale))
}

fn answer(known: &Known, credentials: &Credentials, method: &str, uri: &str) -> String {
    let (algorithm, cnonce) = (known.algorithm, &known.cnonce);
    let mut secret =
        algorithm.hash(&format!("{}:{}:{}", credentials.username, known.realm, credentials.password));
    if algorithm.is_session() {
        secret = algorithm.hash(&format!("{secret}:{}:{cnonce}", known.nonce));
    }
    let request = algorithm.hash(&format!("{method}:{uri}"));
    let count = format!("{:08x}", known.count);
    let response = if known.qop {
        algorithm.hash(&format!("{secret}:{}:{count}:{cnonce}:auth:{request}", known.nonce))
    } else {
        algorithm.hash(&format!("{secret}:{}:{request}", known.nonce))
    };
    let mut out = format!(
        "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\"",
        quote(&credentials.username),
        quote(&known.realm),
        quote(&known.nonce),
        quote(uri),
    );
    if known.named {
        let _ = write!(out, ", algorithm={}", algorithm.name());
    }
    if known.qop {
        let _ = write!(out, ", cnonce=\"{cnonce}\", qop=auth, nc={count}");
    } else if algorithm.is_session() {
        let _ = write!(out, ", cnonce=\"{cnonce}\"");
    }
    if let Some(opaque) = &known.opaque {
        let _ = write!(out, ", opaque={}", quote(opaque));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Builder;
    use bytes::Bytes;
    use md5::{Digest as _, Md5};

    fn credentials(username: &str, password: &str) -> Option<Credentials> {
        Some(Credentials { username: username.into(), password: password.into() })
    }

    fn response(code: u16, headers: &[(&str, &str)]) -> Message {
        headers.iter().fold(Builder::response(code, ""), |b, (n, v)| b.header(n, v)).finish()
    }

    fn field(header: &str, name: &str) -> Option<String> {
        let list = Challenge::read_list(&Bytes::copy_from_slice(header.as_bytes()));
        list.first()?.get(name).map(str::to_owned)
    }

    /// RFC 2617 §3.5.
    #[test]
    fn the_example_of_rfc_2617() {
        let mut auth = Authentication::new(credentials("Mufasa", "Circle Of Life"));
        let challenge = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
            nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        assert!(auth.challenged(&response(401, &[("WWW-Authenticate", challenge)])));
        let headers = auth.authorize("GET", "/dir/index.html", "0a4f113b");
        assert_eq!(headers[0].0, "Authorization");
        assert_eq!(field(&headers[0].1, "response").unwrap(), "6629fae49393a05397450978507c4ef1");
        assert_eq!(field(&headers[0].1, "opaque").unwrap(), "5ccc069c403ebaf9f0171e9517f40e41");
        assert_eq!(field(&headers[0].1, "nc").unwrap(), "00000001");
        assert_eq!(field(&headers[0].1, "algorithm"), None);
    }

    /// RFC 7616 §3.9.1: both algorithms offered; the stronger is taken.
    #[test]
    fn the_examples_of_rfc_7616() {
        let md5 = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=MD5, \
            nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
        let sha = md5.replace("algorithm=MD5", "algorithm=SHA-256");
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let mut auth = Authentication::new(credentials("Mufasa", "Circle of Life"));
        assert!(auth.challenged(&response(401, &[("WWW-Authenticate", md5)])));
        let headers = auth.authorize("GET", "/dir/index.html", cnonce);
        assert_eq!(field(&headers[0].1, "response").unwrap(), "8ca523f5e9506fed4657c9700eebdbec");

        let mut auth = Authentication::new(credentials("Mufasa", "Circle of Life"));
        assert!(auth.challenged(&response(401, &[("WWW-Authenticate", md5), ("WWW-Authenticate", &sha)])));
        let headers = auth.authorize("GET", "/dir/index.html", cnonce);
        assert_eq!(headers.len(), 1);
        assert_eq!(field(&headers[0].1, "algorithm").unwrap(), "SHA-256");
        assert_eq!(
            field(&headers[0].1, "response").unwrap(),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
        );
    }

    #[test]
    fn without_qop_the_old_form_is_used() {
        let mut auth = Authentication::new(credentials("bob", "zanzibar"));
        let challenge = "Digest realm=\"biloxi.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
        assert!(auth.challenged(&response(407, &[("Proxy-Authenticate", challenge)])));
        let headers = auth.authorize("INVITE", "sip:bob@biloxi.com", "x");
        assert_eq!(headers[0].0, "Proxy-Authorization");
        let h = |t: &str| hex::encode(Md5::digest(t.as_bytes()));
        let expected = h(&format!(
            "{}:dcd98b7102dd2f0e8b11d0f600bfb0c093:{}",
            h("bob:biloxi.com:zanzibar"),
            h("INVITE:sip:bob@biloxi.com")
        ));
        assert_eq!(field(&headers[0].1, "response").unwrap(), expected);
        assert_eq!(field(&headers[0].1, "cnonce"), None);
    }

    #[test]
    fn a_wrong_password_is_tried_once_a_stale_nonce_again_and_not_for_ever() {
        let first = response(401, &[("WWW-Authenticate", "Digest realm=\"r\", nonce=\"1\"")]);
        let second = response(401, &[("WWW-Authenticate", "Digest realm=\"r\", nonce=\"2\"")]);
        let stale = response(401, &[("WWW-Authenticate", "Digest realm=\"r\", nonce=\"3\", stale=TRUE")]);
        let mut auth = Authentication::new(credentials("u", "p"));
        assert!(auth.challenged(&first));
        assert!(!auth.challenged(&second));
        assert!(auth.challenged(&stale));
        assert!((0..100).any(|_| !auth.challenged(&stale)));
        auth.succeeded();
        assert!(auth.challenged(&second));
        assert!(!Authentication::new(None).challenged(&first));
    }

    #[test]
    fn two_proxies_and_the_server_are_all_answered() {
        let all = response(
            401,
            &[
                ("WWW-Authenticate", "Digest realm=\"a\", nonce=\"1\", Digest realm=\"b\", nonce=\"2\""),
                ("WWW-Authenticate", "Basic realm=\"c\""),
                ("Proxy-Authenticate", "Digest realm=\"a\", nonce=\"3\", algorithm=AKAv1-MD5"),
                ("Proxy-Authenticate", "Digest realm=\"p, \\\"q\\\"\", nonce=\"4\", qop=\"auth\""),
            ],
        );
        let mut auth = Authentication::new(credentials("u", "p"));
        assert!(auth.challenged(&all));
        let headers = auth.authorize("INVITE", "sip:x", "c");
        assert_eq!(
            headers.iter().map(|h| h.0).collect::<Vec<_>>(),
            ["Authorization", "Authorization", "Proxy-Authorization"]
        );
        assert_eq!(field(&headers[2].1, "realm").unwrap(), "p, \"q\"");
        assert!(headers[2].1.contains("realm=\"p, \\\"q\\\"\""));
    }

    /// RFC 8760: the algorithms and their session forms; expected values made with another implementation of the hashes.
    #[test]
    fn every_algorithm_of_rfc_8760() {
        for (algorithm, expected) in [
            ("MD5", "37f027ffbb03dc1447152ac7cf7fbc89"),
            ("MD5-sess", "cdd0747bcf8bbd9cd58121daf21e52cf"),
            ("SHA-256", "c99a3f10afd6a80ec05b562a0c686f63635799a58f9bafece27298d8e7143483"),
            ("SHA-256-sess", "5a1bcd0b09e5d78ec303ecb5c12c4bd125a35662210fecbf1c3cac29f41e59c6"),
            ("SHA-512-256", "8ea4eac0627bf7c668a2d5c5c4a862488c9907ad01cc282bc7de439673ddccb9"),
            ("SHA-512-256-sess", "43d7a67fdfee87e27e883c94a40fa4ae0cac0bbed50c4eedfb8d40bd80e49513"),
        ] {
            let challenge = format!(
                "Digest realm=\"atlanta.example\", nonce=\"n0\", qop=\"auth\", algorithm={algorithm}"
            );
            let mut auth = Authentication::new(credentials("bob", "zanzibar"));
            assert!(auth.challenged(&response(401, &[("WWW-Authenticate", &challenge)])));
            let headers = auth.authorize("INVITE", "sip:1@atlanta.example", "c0");
            assert_eq!(field(&headers[0].1, "response").unwrap(), expected, "{algorithm}");
            assert_eq!(field(&headers[0].1, "algorithm").unwrap(), algorithm);
        }
    }
}
