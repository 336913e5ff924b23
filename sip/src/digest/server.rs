//! Digest authentication as a server: challenges, nonces with an end and a count, proofs (RFC 7616 §3.3, §3.4, §5; RFC 8760; RFC 3261 §22).

use core::fmt;
use std::collections::BTreeMap;

use fax_base::Instant;
use fax_base::time::Duration;

use super::Algorithm;
use crate::message::{Challenge, Message, quote};

/// How long a nonce is good for; a later request is told that it is stale and may use the next one.
const NONCE_LIFE: Duration = Duration::from_secs(300);
/// How many nonces in use are remembered; beyond, the oldest count as stale.
const NONCES: usize = 65_536;
/// How far counts may overtake each other on their way.
const WINDOW: u32 = 64;

/// What proves who a peer is: its password, or the hashes of `username:realm:password` (HA1) that are kept instead.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The password; every algorithm can be used.
    Password(String),
    /// Hashes in lower-case hexadecimal; an algorithm without its hash cannot be used.
    Ha1 {
        /// For MD5.
        md5: Option<String>,
        /// For SHA-256.
        sha256: Option<String>,
        /// For SHA-512-256.
        sha512_256: Option<String>,
    },
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// HA1 for this algorithm, where it can be had.
    fn ha1(&self, algorithm: Algorithm, username: &str, realm: &str) -> Option<String> {
        match self {
            Secret::Password(password) => Some(algorithm.hash(&format!("{username}:{realm}:{password}"))),
            Secret::Ha1 { md5, sha256, sha512_256 } => match algorithm {
                Algorithm::Md5 | Algorithm::Md5Sess => md5.clone(),
                Algorithm::Sha256 | Algorithm::Sha256Sess => sha256.clone(),
                Algorithm::Sha512T256 | Algorithm::Sha512T256Sess => sha512_256.clone(),
            },
        }
    }
}

/// Who a request says it is from, before that is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// The user name; empty where it says none.
    pub username: String,
    /// The realm it is known in.
    pub realm: String,
}

impl Claim {
    /// The claim of Authorization, else of Proxy-Authorization, in whatever realm.
    pub(crate) fn read(request: &Message) -> Option<Claim> {
        let proof = [false, true].into_iter().find_map(|proxy| proofs(request, proxy).into_iter().next())?;
        Some(Claim::in_proof(&proof))
    }

    /// The claim that [`crate::Command::Authenticate`] judges with the same realm and `proxy`: a request may carry proofs for
    /// others on its way, too (RFC 3261 §22.3).
    #[must_use]
    pub fn of(request: &Message, realm: &str, proxy: bool) -> Option<Claim> {
        let proofs = proofs(request, proxy);
        proofs.iter().find(|p| p.get("realm") == Some(realm)).map(Claim::in_proof)
    }

    fn in_proof(proof: &Challenge) -> Claim {
        let field = |name| proof.get(name).unwrap_or_default().to_owned();
        Claim { username: field("username"), realm: field("realm") }
    }
}

/// Why a proof did not do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Denial {
    /// No such user, as the service said.
    UnknownUser,
    /// The response does not fit the secret: a wrong password, or a guess.
    WrongPassword,
    /// The count of the nonce was used before: somebody sends again what he has overheard.
    Replayed,
    /// It is no proof at all: fields are missing, or the algorithm or `qop` was not offered.
    Malformed,
}

/// What a request's proof is worth.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// It is this user.
    Proven(String),
    /// There is none for this realm: ask for it.
    Missing,
    /// Right, but with an old nonce: ask again with a new one.
    Stale,
    /// Wrong.
    Denied(Denial),
}

/// Makes challenges and judges proofs. A nonce tells its own age and maker, so only those in use are remembered.
pub(crate) struct Challenger {
    key: [u8; 32],
    algorithms: Vec<Algorithm>,
    count: u64,
    /// Nonces in use: the highest count seen and which of the [`WINDOW`] below it were.
    used: BTreeMap<(u64, u64), (u32, u64)>,
    /// Nonces up to here are forgotten.
    floor: (u64, u64),
}

impl Challenger {
    /// `key` must be unpredictable; `algorithms` are offered in this order, session forms left out.
    pub(crate) fn new(key: [u8; 32], algorithms: &[Algorithm]) -> Challenger {
        let mut new =
            Challenger { key, algorithms: Vec::new(), count: 0, used: BTreeMap::new(), floor: (0, 0) };
        new.offer(algorithms);
        new
    }

    /// Other algorithms from now on.
    pub(crate) fn offer(&mut self, algorithms: &[Algorithm]) {
        self.algorithms = algorithms.iter().copied().filter(|a| !a.is_session()).collect();
        if self.algorithms.is_empty() {
            self.algorithms = vec![Algorithm::Sha256, Algorithm::Md5];
        }
    }

    /// The headers of a 401 or 407: one challenge for each algorithm (RFC 8760 §2.3).
    pub(crate) fn challenge(
        &mut self,
        now: Instant,
        realm: &str,
        proxy: bool,
        stale: bool,
    ) -> Vec<(&'static str, String)> {
        let name = if proxy { "Proxy-Authenticate" } else { "WWW-Authenticate" };
        let stale = if stale { ", stale=true" } else { "" };
        let algorithms = self.algorithms.clone();
        algorithms
            .into_iter()
            .map(|algorithm| {
                self.count += 1;
                let nonce = self.nonce(now.as_millis(), self.count, realm);
                let value = format!(
                    "Digest realm={}, nonce=\"{nonce}\", qop=\"auth\", algorithm={}{stale}",
                    quote(realm),
                    algorithm.name()
                );
                (name, value)
            })
            .collect()
    }

    /// Time and number, and a mark that only we can make.
    fn nonce(&self, millis: u64, number: u64, realm: &str) -> String {
        let text = format!("{millis:012x}{number:012x}");
        let inner = Algorithm::Sha256.hash(&format!("{}{text}{realm}", hex::encode(self.key)));
        let mark = Algorithm::Sha256.hash(&format!("{}{inner}", hex::encode(self.key)));
        format!("{text}{}", &mark[..24])
    }

    /// Time and number of a nonce of ours.
    fn read_nonce(&self, nonce: &str, realm: &str) -> Option<(u64, u64)> {
        let millis = u64::from_str_radix(nonce.get(..12)?, 16).ok()?;
        let number = u64::from_str_radix(nonce.get(12..24)?, 16).ok()?;
        equal(nonce, &self.nonce(millis, number, realm)).then_some((millis, number))
    }

    /// Judges the proof for `realm` in a request; `secret` is that of the user it names, if there is such a user.
    pub(crate) fn judge(
        &mut self,
        now: Instant,
        request: &Message,
        realm: &str,
        proxy: bool,
        secret: Option<&Secret>,
    ) -> Verdict {
        let proofs = proofs(request, proxy);
        let Some(proof) = proofs.iter().find(|p| p.get("realm") == Some(realm)) else {
            return Verdict::Missing;
        };
        let Some(secret) = secret else {
            return Verdict::Denied(Denial::UnknownUser);
        };
        let Some(known) = self.read(proof) else {
            return Verdict::Denied(Denial::Malformed);
        };
        let method = request.method().map_or("", crate::message::Method::as_str);
        let Some(expected) = known.expected(secret, realm, method) else {
            return Verdict::Denied(Denial::Malformed);
        };
        if !equal(&expected, &known.response.to_ascii_lowercase()) {
            return Verdict::Denied(Denial::WrongPassword);
        }
        let Some(place) = self.read_nonce(known.nonce, realm) else {
            return Verdict::Stale;
        };
        let age = now.since(Instant::ZERO).as_millis().saturating_sub(u128::from(place.0));
        if age > NONCE_LIFE.as_millis() || place <= self.floor {
            return Verdict::Stale;
        }
        match known.count {
            // Peers of RFC 2617 without `qop` have no count: their nonce is good once.
            None if self.used.contains_key(&place) => return Verdict::Stale,
            None => self.remember(place, 1),
            Some(count) if !self.fresh(place, count) => return Verdict::Denied(Denial::Replayed),
            Some(count) => self.remember(place, count),
        }
        Verdict::Proven(known.username.to_owned())
    }

    fn read<'a>(&self, proof: &'a Challenge) -> Option<Proof<'a>> {
        let algorithm = Algorithm::read(proof.get("algorithm")).filter(|a| self.algorithms.contains(a))?;
        let count = match proof.get("qop") {
            None => None,
            Some(qop) if qop.eq_ignore_ascii_case("auth") => {
                let count = proof.get("nc").filter(|n| n.len() <= 8)?;
                Some(u32::from_str_radix(count, 16).ok().filter(|n| *n > 0)?)
            }
            Some(_) => return None,
        };
        Some(Proof {
            algorithm,
            username: proof.get("username")?,
            nonce: proof.get("nonce")?,
            uri: proof.get("uri")?,
            response: proof.get("response")?,
            nc: proof.get("nc").unwrap_or_default(),
            cnonce: proof.get("cnonce").unwrap_or_default(),
            count,
        })
    }

    /// Whether this count of a nonce was not seen yet.
    fn fresh(&self, place: (u64, u64), count: u32) -> bool {
        self.used.get(&place).is_none_or(|&(highest, seen)| {
            if count > highest {
                return true;
            }
            let behind = highest - count;
            behind < WINDOW && seen & (1 << behind) == 0
        })
    }

    fn remember(&mut self, place: (u64, u64), count: u32) {
        let (highest, seen) = self.used.entry(place).or_insert((0, 0));
        if count > *highest {
            let ahead = count - *highest;
            *seen = if ahead < WINDOW { *seen << ahead | 1 } else { 1 };
            *highest = count;
        } else if *highest - count < WINDOW {
            *seen |= 1 << (*highest - count);
        }
        while self.used.len() > NONCES {
            if let Some((oldest, _)) = self.used.pop_first() {
                self.floor = oldest;
            }
        }
    }
}

/// The fields of Authorization that count.
struct Proof<'a> {
    algorithm: Algorithm,
    username: &'a str,
    nonce: &'a str,
    /// As the client hashed it: proxies on the way may have put another Request-URI in its place.
    uri: &'a str,
    response: &'a str,
    nc: &'a str,
    cnonce: &'a str,
    count: Option<u32>,
}

impl Proof<'_> {
    /// The response that the right secret makes; `None`: no secret for this algorithm.
    fn expected(&self, secret: &Secret, realm: &str, method: &str) -> Option<String> {
        let ha1 = secret.ha1(self.algorithm, self.username, realm)?.to_ascii_lowercase();
        let ha2 = self.algorithm.hash(&format!("{method}:{}", self.uri));
        Some(match self.count {
            Some(_) => {
                self.algorithm.hash(&format!("{ha1}:{}:{}:{}:auth:{ha2}", self.nonce, self.nc, self.cnonce))
            }
            None => self.algorithm.hash(&format!("{ha1}:{}:{ha2}", self.nonce)),
        })
    }
}

fn proofs(request: &Message, proxy: bool) -> Vec<Challenge> {
    let name = if proxy { "Proxy-Authorization" } else { "Authorization" };
    let list = request.all(name).flat_map(|h| Challenge::read_list(h.value()));
    list.filter(|c| c.scheme.eq_ignore_ascii_case("Digest")).take(16).collect()
}

/// Compares in a time that does not tell where the first difference is.
fn equal(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |sum, (x, y)| sum | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::super::Authentication;
    use super::*;
    use crate::api::Credentials;
    use crate::message::{Builder, Method, Uri};
    use bytes::Bytes;

    const REALM: &str = "fax.example";

    fn at(seconds: u64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    fn response(headers: Vec<(&'static str, String)>) -> Message {
        headers.iter().fold(Builder::response(401, ""), |b, (n, v)| b.header(n, v)).finish()
    }

    fn request(headers: Vec<(&'static str, String)>) -> Message {
        let uri = Uri::read(Bytes::from_static(b"sip:1@fax.example")).unwrap();
        headers.iter().fold(Builder::request(Method::Invite, uri), |b, (n, v)| b.header(n, v)).finish()
    }

    fn client(username: &str, password: &str) -> Authentication {
        Authentication::new(Some(Credentials { username: username.into(), password: password.into() }))
    }

    fn password() -> Option<Secret> {
        Some(Secret::Password("secret".into()))
    }

    #[test]
    fn our_own_client_proves_itself_with_every_algorithm() {
        for algorithm in [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512T256] {
            for proxy in [false, true] {
                let mut server = Challenger::new([3; 32], &[algorithm]);
                let mut auth = client("office", "secret");
                assert!(auth.challenged(&response(server.challenge(at(1), REALM, proxy, false))));
                for _ in 0..3 {
                    let request = request(auth.authorize("INVITE", "sip:1@fax.example", "c"));
                    let verdict = server.judge(at(2), &request, REALM, proxy, password().as_ref());
                    assert_eq!(verdict, Verdict::Proven("office".into()));
                }
                let hashed = Secret::Ha1 {
                    md5: Some(Algorithm::Md5.hash("office:fax.example:secret")),
                    sha256: Some(Algorithm::Sha256.hash("office:fax.example:secret")),
                    sha512_256: Some(Algorithm::Sha512T256.hash("office:fax.example:secret")),
                };
                let request = request(auth.authorize("INVITE", "sip:1@fax.example", "c"));
                let verdict = server.judge(at(2), &request, REALM, proxy, Some(&hashed));
                assert_eq!(verdict, Verdict::Proven("office".into()));
            }
        }
    }

    #[test]
    fn the_strongest_of_several_challenges_is_answered() {
        let mut server =
            Challenger::new([3; 32], &[Algorithm::Sha512T256, Algorithm::Sha256, Algorithm::Md5]);
        let mut auth = client("office", "secret");
        assert!(auth.challenged(&response(server.challenge(at(1), REALM, false, false))));
        let headers = auth.authorize("INVITE", "sip:1@fax.example", "c");
        assert_eq!(headers.len(), 1);
        assert!(headers[0].1.contains("SHA-512-256"));
        let verdict = server.judge(at(2), &request(headers), REALM, false, password().as_ref());
        assert_eq!(verdict, Verdict::Proven("office".into()));
    }

    #[test]
    fn replays_are_refused_and_overtaking_is_not() {
        let mut server = Challenger::new([3; 32], &[Algorithm::Sha256]);
        let mut auth = client("office", "secret");
        auth.challenged(&response(server.challenge(at(1), REALM, false, false)));
        let sent: Vec<Message> =
            (0..80).map(|_| request(auth.authorize("INVITE", "sip:1@fax.example", "c"))).collect();
        let mut judge = |n: usize| server.judge(at(2), &sent[n], REALM, false, password().as_ref());
        let proven = Verdict::Proven("office".into());
        assert_eq!(judge(1), proven);
        assert_eq!(judge(0), proven);
        assert_eq!(judge(0), Verdict::Denied(Denial::Replayed));
        assert_eq!(judge(1), Verdict::Denied(Denial::Replayed));
        assert_eq!(judge(70), proven);
        assert_eq!(judge(2), Verdict::Denied(Denial::Replayed), "too far behind");
        assert_eq!(judge(69), proven);
        assert_eq!(judge(69), Verdict::Denied(Denial::Replayed));
        assert_eq!(judge(71), proven);
    }

    #[test]
    fn wrong_old_and_foreign_proofs() {
        let mut server = Challenger::new([3; 32], &[Algorithm::Md5]);
        let mut auth = client("office", "guess");
        let challenge = response(server.challenge(at(1), REALM, false, false));
        auth.challenged(&challenge);
        let wrong = request(auth.authorize("INVITE", "sip:1@fax.example", "c"));
        let secret = password();
        let judge = |server: &mut Challenger, seconds, request: &Message, secret: Option<&Secret>| {
            server.judge(at(seconds), request, REALM, false, secret)
        };
        assert_eq!(judge(&mut server, 2, &wrong, secret.as_ref()), Verdict::Denied(Denial::WrongPassword));
        assert_eq!(judge(&mut server, 2, &wrong, None), Verdict::Denied(Denial::UnknownUser));
        assert_eq!(judge(&mut server, 2, &request(vec![]), secret.as_ref()), Verdict::Missing);
        let basic = request(vec![("Authorization", String::from("Basic b2ZmaWNlOnNlY3JldA=="))]);
        assert_eq!(judge(&mut server, 2, &basic, secret.as_ref()), Verdict::Missing);

        let mut auth = client("office", "secret");
        auth.challenged(&challenge);
        let right = request(auth.authorize("INVITE", "sip:1@fax.example", "c"));
        assert_eq!(judge(&mut server, 302, &right, secret.as_ref()), Verdict::Stale);
        // A nonce of another server, of another realm, or made up.
        let mut other = Challenger::new([4; 32], &[Algorithm::Md5]);
        assert_eq!(judge(&mut other, 2, &right, secret.as_ref()), Verdict::Stale);
        assert_eq!(judge(&mut server, 2, &right, secret.as_ref()), Verdict::Proven("office".into()));
        for nonce in ["", "00", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "é0000000000000000000000"]
        {
            let mut auth = client("office", "secret");
            let value = format!("Digest realm=\"{REALM}\", nonce=\"{nonce}\", qop=\"auth\"");
            auth.challenged(&response(vec![("WWW-Authenticate", value)]));
            let made_up = request(auth.authorize("INVITE", "sip:1@fax.example", "c"));
            assert_eq!(judge(&mut server, 2, &made_up, secret.as_ref()), Verdict::Stale, "{nonce}");
        }
        // An algorithm that was not offered, qop=auth-int, a count of 0 or none, fields that are missing.
        let value = right.text("Authorization").unwrap();
        for (from, to) in [
            ("algorithm=MD5", "algorithm=SHA-256"),
            ("qop=auth", "qop=auth-int"),
            ("nc=00000001", "nc=00000000"),
            ("nc=00000001", "nc=g"),
            ("nc=00000001", "x=1"),
            ("response=", "x="),
            ("nonce=", "x="),
            ("username=", "x="),
            ("uri=", "x="),
        ] {
            assert!(value.contains(from), "{from}");
            let bad = request(vec![("Authorization", value.replacen(from, to, 1))]);
            assert_eq!(
                judge(&mut server, 2, &bad, secret.as_ref()),
                Verdict::Denied(Denial::Malformed),
                "{to}"
            );
        }
    }

    #[test]
    fn an_old_client_without_qop_may_use_a_nonce_once() {
        let mut server = Challenger::new([3; 32], &[Algorithm::Md5]);
        let value = server.challenge(at(1), REALM, false, false)[0].1.replace(", qop=\"auth\"", "");
        let mut auth = client("office", "secret");
        auth.challenged(&response(vec![("WWW-Authenticate", value)]));
        let old = request(auth.authorize("INVITE", "sip:1@fax.example", "c"));
        assert!(!old.text("Authorization").unwrap().contains("qop"));
        let judge = |server: &mut Challenger| server.judge(at(2), &old, REALM, false, password().as_ref());
        assert_eq!(judge(&mut server), Verdict::Proven("office".into()));
        assert_eq!(judge(&mut server), Verdict::Stale);
    }

    #[test]
    fn memory_is_bounded_and_what_is_forgotten_is_stale() {
        let mut server = Challenger::new([3; 32], &[Algorithm::Md5]);
        let first = (1, 1);
        server.remember(first, 1);
        for n in 2..=(NONCES as u64 + 2) {
            server.remember((1, n), 1);
        }
        assert_eq!((server.used.len(), server.floor), (NONCES, (1, 2)));
        assert!(first <= server.floor);
    }

    #[test]
    fn secrets_are_not_printed() {
        assert_eq!(format!("{:?}", password().unwrap()), "Secret(…)");
    }
}
