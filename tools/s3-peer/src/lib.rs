//! A server that speaks as much S3 as documents need, for tests: PUT, GET, HEAD, DELETE and ListObjectsV2 on one bucket.
//!
//! Every request's signature is made a second time by Amazon's own library, and a request is refused whose signature
//! or checksum differs. Faults can be ordered: they befall the next requests, one each.

#![allow(clippy::unwrap_used, clippy::panic)]

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// The bucket that there is.
pub const BUCKET: &str = "faxes";
/// Its region.
pub const REGION: &str = "eu-test-1";
/// The id of the key that may use it.
pub const ACCESS_KEY: &str = "AKIDPEER";
/// The key.
pub const SECRET_KEY: &str = "a-secret/of+the=peer";
/// Objects in one answer to a list: few, so that lists have several.
const PAGE: usize = 3;

/// What befalls a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It is answered with this status and nothing is done.
    Status(u16),
    /// It is carried out and answered with 500 all the same.
    DoneThen500,
    /// It is not answered.
    Silence,
}

/// What the server knows and did.
#[derive(Debug, Default)]
pub struct Inner {
    /// The objects.
    pub objects: BTreeMap<String, (Bytes, SystemTime)>,
    /// What befalls the next requests.
    pub faults: VecDeque<Fault>,
    /// Method and name of every request, also of those that a fault befell.
    pub requests: Vec<String>,
    /// Why requests were refused.
    pub refused: Vec<String>,
}

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Starts a server on a free port of the loopback.
    pub async fn start() -> Server {
        let inner = Arc::new(Mutex::new(Inner::default()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new().fallback(answer).with_state(inner.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Server { address, inner, task }
    }

    /// `http://127.0.0.1:…`
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Looks at, or changes, what the server knows.
    pub fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.inner.lock().unwrap())
    }

    /// These faults befall the next requests.
    pub fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.with(|i| i.faults.extend(faults));
    }
}

fn text(status: u16, body: impl Into<Body>) -> Response<Body> {
    Response::builder().status(status).header("content-type", "application/xml").body(body.into()).unwrap()
}

fn refusal(status: u16, code: &str) -> Response<Body> {
    text(status, format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>"))
}

async fn answer(State(inner): State<Arc<Mutex<Inner>>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 256 << 20).await.unwrap();
    let fault = {
        let mut inner = inner.lock().unwrap();
        inner.requests.push(format!("{} {}", parts.method, parts.uri.path()));
        inner.faults.pop_front()
    };
    match fault {
        Some(Fault::Status(status)) => return refusal(status, "SlowDown"),
        Some(Fault::Silence) => tokio::time::sleep(Duration::from_secs(3600)).await,
        Some(Fault::DoneThen500) | None => {}
    }
    if let Err(why) = check(&parts, &body) {
        inner.lock().unwrap().refused.push(why);
        return refusal(403, "SignatureDoesNotMatch");
    }
    let path = parts.uri.path().trim_start_matches('/');
    let (bucket, name) = path.split_once('/').unwrap_or((path, ""));
    if bucket != BUCKET {
        return refusal(404, "NoSuchBucket");
    }
    let mut inner = inner.lock().unwrap();
    let answer = carry_out(&mut inner, &parts.method, name, parts.uri.query().unwrap_or(""), body);
    if fault == Some(Fault::DoneThen500) { refusal(500, "InternalError") } else { answer }
}

fn date(at: SystemTime, format: &str) -> String {
    jiff::Timestamp::try_from(at).unwrap().strftime(format).to_string()
}

fn carry_out(inner: &mut Inner, method: &Method, name: &str, query: &str, body: Bytes) -> Response<Body> {
    match (method.as_str(), name) {
        ("PUT", name) if !name.is_empty() => {
            let tag = format!("\"{:x}\"", inner.requests.len());
            inner.objects.insert(name.to_owned(), (body, SystemTime::now()));
            Response::builder().status(200).header("etag", tag).body(Body::empty()).unwrap()
        }
        ("GET" | "HEAD", name) if !name.is_empty() => match inner.objects.get(name) {
            None => refusal(404, "NoSuchKey"),
            Some((octets, at)) => Response::builder()
                .header("etag", "\"1\"")
                .header("content-length", octets.len())
                .header("last-modified", date(*at, "%a, %d %b %Y %H:%M:%S GMT"))
                .body(Body::from(octets.clone()))
                .unwrap(),
        },
        ("DELETE", name) if !name.is_empty() => {
            inner.objects.remove(name);
            Response::builder().status(StatusCode::NO_CONTENT).body(Body::empty()).unwrap()
        }
        ("GET", "") => list(inner, query),
        _ => refusal(405, "MethodNotAllowed"),
    }
}

fn list(inner: &Inner, query: &str) -> Response<Body> {
    let asked: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let get = |key: &str| asked.get(key).cloned().unwrap_or_default();
    let (prefix, after) = (get("prefix"), get("continuation-token"));
    let mut found = inner.objects.iter().filter(|(name, _)| name.starts_with(&prefix) && **name > after);
    let page: Vec<_> = found.by_ref().take(PAGE).collect();
    let more = found.next().is_some();
    let mut xml = format!("<ListBucketResult><IsTruncated>{more}</IsTruncated>");
    for (name, (octets, at)) in &page {
        let at = date(*at, "%Y-%m-%dT%H:%M:%S.000Z");
        let size = octets.len();
        let _ = write!(
            xml,
            "<Contents><Key>{name}</Key><LastModified>{at}</LastModified><ETag>\"1\"</ETag><Size>{size}</Size></Contents>"
        );
    }
    if let Some((last, _)) = page.last().filter(|_| more) {
        let _ = write!(xml, "<NextContinuationToken>{last}</NextContinuationToken>");
    }
    xml.push_str("</ListBucketResult>");
    text(200, xml)
}

/// Whether signature and checksums of a request are what they have to be.
fn check(parts: &axum::http::request::Parts, body: &[u8]) -> Result<(), String> {
    let header = |name: &str| {
        let value = parts.headers.get(name).ok_or(format!("{name} is missing"))?;
        value.to_str().map(str::to_owned).map_err(|e| e.to_string())
    };
    let digest = Sha256::digest(body);
    let hex: String = digest.iter().map(|b| format!("{b:02x}")).collect();
    if header("x-amz-content-sha256")? != hex {
        return Err("x-amz-content-sha256 is of another body".into());
    }
    if parts.method == Method::PUT && header("x-amz-checksum-sha256")? != STANDARD.encode(digest) {
        return Err("x-amz-checksum-sha256 is of another body".into());
    }
    let authorization = header("authorization")?;
    let field = |name: &str| {
        let rest = authorization.split_once(&format!("{name}=")).map(|(_, rest)| rest);
        rest.map(|r| r.split([',', ' ']).next().unwrap_or("").to_owned()).ok_or(format!("no {name}"))
    };
    let at = header("x-amz-date")?;
    let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", &at).map_err(|e| e.to_string())?;
    let time =
        SystemTime::from(time.to_zoned(jiff::tz::TimeZone::UTC).map_err(|e| e.to_string())?.timestamp());
    if SystemTime::now().duration_since(time).is_ok_and(|age| age > Duration::from_secs(900)) {
        return Err("the request is old".into());
    }
    let day = at.get(..8).unwrap_or("");
    let credential = format!("{ACCESS_KEY}/{day}/{REGION}/s3/aws4_request");
    if field("Credential")? != credential {
        return Err(format!("the credential is {}", field("Credential")?));
    }
    let signed = field("SignedHeaders")?;
    let mut headers = Vec::new();
    for name in signed.split(';') {
        // The library adds these itself.
        if !matches!(name, "x-amz-date" | "x-amz-content-sha256" | "host") {
            headers.push((name.to_owned(), header(name)?));
        }
    }
    let identity = Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "peer").into();
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name("s3")
        .time(time)
        .settings(settings)
        .build()
        .map_err(|e| e.to_string())?
        .into();
    let url = format!("http://{}{}", header("host")?, parts.uri);
    let headers = headers.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    let body = SignableBody::Precomputed(hex);
    let request =
        SignableRequest::new(parts.method.as_str(), url, headers, body).map_err(|e| e.to_string())?;
    let made = sign(request, &params).map_err(|e| e.to_string())?;
    if made.signature() == field("Signature")? {
        Ok(())
    } else {
        Err(format!("another signature of {} {}, over {signed}", parts.method, parts.uri))
    }
}
