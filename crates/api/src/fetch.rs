//! Documents by URL, for [`fax_switch::port::Fetcher`]: HTTP GET or POST that never reaches into private networks.
//!
//! A URL is a stranger's wish. Only http and https are followed; the host's addresses are looked up here, each must be public
//! unless that is switched off, and the connection goes to exactly the addresses that were looked at, so a name that
//! changes between look and use changes nothing. Redirects are followed by hand, each looked at in the same way. Proxies of
//! the environment are not used.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use fax_store::model::WebRequest;
use fax_switch::port::{ConvertError, Fetched, Fetcher};
use reqwest::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HOST, HeaderValue, LOCATION, REFERER};
use reqwest::{Client, Method, Response, StatusCode, Url, redirect};

use crate::multipart::{media_type, parameter};

/// Bounds of fetching.
#[derive(Clone, Debug)]
pub struct FetchConfig {
    /// Documents may be fetched from private and loopback addresses.
    pub allow_private_urls: bool,
    /// Largest document, octets.
    pub max_size: usize,
    /// How long one document may take, redirects included.
    pub time: Duration,
    /// How long a connection may take to stand.
    pub connect_time: Duration,
    /// Most redirects.
    pub redirects: usize,
}

impl Default for FetchConfig {
    fn default() -> Self {
        FetchConfig {
            allow_private_urls: false,
            max_size: 64 << 20,
            time: Duration::from_secs(60),
            connect_time: Duration::from_secs(10),
            redirects: 5,
        }
    }
}

/// Fetches documents by HTTP.
#[derive(Clone, Debug)]
pub struct HttpFetcher {
    config: FetchConfig,
}

impl HttpFetcher {
    /// A fetcher. Makes ring the process's TLS provider if none is chosen yet.
    #[must_use]
    pub fn new(config: FetchConfig) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        HttpFetcher { config }
    }

    async fn follow(&self, order: &WebRequest) -> Result<Fetched, ConvertError> {
        let mut url = Url::parse(&order.url).map_err(|e| refused(&format!("the URL cannot be read: {e}")))?;
        let mut method = if order.method.eq_ignore_ascii_case("post") { Method::POST } else { Method::GET };
        for hop in 0..=self.config.redirects {
            let response = self.ask(&url, &method, order, hop == 0).await?;
            let status = response.status();
            let target = response.headers().get(LOCATION).and_then(|l| l.to_str().ok());
            match (status, target) {
                (StatusCode::OK, _) => return self.take(&url, response).await,
                (s, Some(target)) if s.is_redirection() => {
                    url = url
                        .join(target)
                        .map_err(|e| refused(&format!("the redirect cannot be read: {e}")))?;
                    // RFC 9110 §15.4: all but 307 and 308 are followed with GET.
                    if !matches!(s, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
                        method = Method::GET;
                    }
                }
                (s, _) if s.is_server_error() || s == StatusCode::TOO_MANY_REQUESTS => {
                    return Err(ConvertError::Later(format!("the document's server answered {s}")));
                }
                (s, _) => return Err(refused(&format!("the document's server answered {s}"))),
            }
        }
        Err(refused("the document's URL redirects too often"))
    }

    async fn ask(
        &self,
        url: &Url,
        method: &Method,
        order: &WebRequest,
        first: bool,
    ) -> Result<Response, ConvertError> {
        let client = guarded(url, self.config.allow_private_urls, self.config.connect_time).await?;
        let mut request = client.request(method.clone(), url.clone());
        let field = |text: &Option<String>| text.as_deref().and_then(|t| HeaderValue::from_str(t).ok());
        // The client's own fields go to the server it named, not where that one redirects to.
        if first {
            for (name, value) in [(HOST, field(&order.host)), (REFERER, field(&order.referer))] {
                if let Some(value) = value {
                    request = request.header(name, value);
                }
            }
        }
        if *method == Method::POST {
            let kind = field(&order.content_type).unwrap_or(HeaderValue::from_static("text/plain"));
            request = request.header(CONTENT_TYPE, kind).body(order.content.clone().unwrap_or_default());
        }
        request.send().await.map_err(|e| {
            // A URL may hold a password or a signature.
            tracing::info!(error = ?e.without_url(), "a document could not be fetched");
            ConvertError::Later("the document's server could not be reached".into())
        })
    }

    async fn take(&self, url: &Url, mut response: Response) -> Result<Fetched, ConvertError> {
        let too_large = || refused(&format!("the document is larger than {} octets", self.config.max_size));
        let announced = response.content_length().map(usize::try_from);
        if announced.is_some_and(|n| n.map_or(true, |n| n > self.config.max_size)) {
            return Err(too_large());
        }
        let field =
            |name| response.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let (kind, disposition) = (media_type(&field(CONTENT_TYPE)), field(CONTENT_DISPOSITION));
        let named = parameter(&disposition, "filename")
            .or_else(|| url.path_segments()?.next_back().map(str::to_owned));
        let named = named.map(|n| {
            n.rsplit(['/', '\\'])
                .next()
                .unwrap_or_default()
                .chars()
                .filter(|c| !c.is_control())
                .take(200)
                .collect()
        });
        let mut octets = BytesMut::new();
        loop {
            match response.chunk().await {
                Ok(None) => break,
                Ok(Some(piece)) if octets.len().saturating_add(piece.len()) > self.config.max_size => {
                    return Err(too_large());
                }
                Ok(Some(piece)) => octets.extend_from_slice(&piece),
                Err(_) => {
                    return Err(ConvertError::Later("the document broke off while it was fetched".into()));
                }
            }
        }
        if octets.is_empty() {
            return Err(refused("the document's server sent nothing"));
        }
        let content_type = if kind.is_empty() { "application/octet-stream".to_owned() } else { kind };
        Ok(Fetched {
            octets: octets.freeze(),
            content_type,
            file_name: named.filter(|n: &String| !n.is_empty()),
        })
    }
}

#[async_trait]
impl Fetcher for HttpFetcher {
    async fn fetch(&self, order: WebRequest) -> Result<Fetched, ConvertError> {
        let late = |_| Err(ConvertError::Later("fetching the document took too long".into()));
        tokio::time::timeout(self.config.time, self.follow(&order)).await.unwrap_or_else(late)
    }
}

/// A client that connects to the permitted addresses of this URL and to no others, follows no redirect and uses no proxy.
pub(crate) async fn guarded(url: &Url, private: bool, patience: Duration) -> Result<Client, ConvertError> {
    let (host, addresses) = addresses(url, private, patience).await?;
    pinned(&host, &addresses, patience)
}

/// A client that takes these for the addresses of a host, whatever the DNS says by now.
fn pinned(host: &str, addresses: &[SocketAddr], patience: Duration) -> Result<Client, ConvertError> {
    Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(patience)
        .user_agent(concat!("ferrofax/", env!("CARGO_PKG_VERSION")))
        .resolve_to_addrs(host, addresses)
        .build()
        .map_err(|e| ConvertError::Later(format!("cannot fetch: {e}")))
}

/// The host of a URL and its addresses, every one permitted.
async fn addresses(
    url: &Url,
    private: bool,
    patience: Duration,
) -> Result<(String, Vec<SocketAddr>), ConvertError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused("only http and https URLs are fetched"));
    }
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(refused("the URL has no host"));
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found: Vec<SocketAddr> = match bare.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_) => match tokio::time::timeout(patience, tokio::net::lookup_host((bare, port))).await {
            Ok(Ok(found)) => found.take(16).collect(),
            _ => return Err(ConvertError::Later("the URL's server was not found in the DNS".into())),
        },
    };
    let permitted = |a: &SocketAddr| private || is_public(a.ip());
    if found.is_empty() || !found.iter().all(permitted) {
        return Err(refused("the URL leads to an address that is not public"));
    }
    Ok((bare.to_owned(), found))
}

fn refused(why: &str) -> ConvertError {
    ConvertError::Document(why.to_owned())
}

/// Whether an address is one of the public Internet (IANA special-purpose registries, RFC 6890).
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(a: Ipv4Addr) -> bool {
    let [first, second, third, _] = a.octets();
    let special = a.is_private()
        || a.is_loopback()
        || a.is_link_local()
        || a.is_multicast()
        || a.is_documentation()
        || first == 0
        || first >= 240
        || (first == 100 && (64..128).contains(&second))
        || (first == 192 && second == 0 && third == 0)
        || (first == 192 && second == 88 && third == 99)
        || (first == 198 && (18..20).contains(&second));
    !special
}

fn is_public_v6(a: Ipv6Addr) -> bool {
    let s = a.segments();
    // Addresses that carry an IPv4 address are what that is: mapped, NAT64 (RFC 6052), 6to4 (RFC 3056).
    let carried = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        [0, 0, 0, 0, 0, 0xffff, high, low] => carried(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => carried(high, low),
        [0x2002, high, low, ..] => carried(high, low),
        // Teredo, benchmarking, ORCHID and documentation lie in 2001::/23 and 2001:db8::/32.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        // Only 2000::/3 is global unicast; ULA, link-local, loopback and multicast lie elsewhere.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `localhost` is a name that leads elsewhere when it is asked for again.
    #[tokio::test]
    async fn a_name_that_changes_its_mind_leads_nowhere_else() {
        // Another test may have chosen it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let looked_at = tokio::net::TcpListener::bind("127.0.0.9:0").await.unwrap();
        let at = looked_at.local_addr().unwrap();
        let elsewhere = tokio::net::TcpListener::bind(("127.0.0.1", at.port())).await.unwrap();
        let client = pinned("localhost", &[at], Duration::from_secs(5)).unwrap();
        let url = format!("http://localhost:{}/", at.port());
        let asked = tokio::spawn(async move { client.get(url).send().await });
        let (mut got, _) = looked_at.accept().await.unwrap();
        let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut got, answer).await.unwrap();
        assert_eq!(asked.await.unwrap().unwrap().status(), 204);
        let other = tokio::time::timeout(Duration::from_millis(200), elsewhere.accept()).await;
        assert!(other.is_err(), "it asked again");
    }

    #[test]
    fn only_the_public_internet_is_public() {
        for public in
            ["8.8.8.8", "1.1.1.1", "193.0.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "203.0.113.5",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "::127.0.0.1",
            "fec0::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }

    #[tokio::test]
    async fn private_addresses_are_refused_however_they_are_written() {
        let fetcher = HttpFetcher::new(FetchConfig::default());
        for url in [
            "http://127.0.0.1/x",
            "http://localhost/x",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "ftp://8.8.8.8/",
            "file:///etc/passwd",
            "http://",
            "gopher://x/",
            "nonsense",
        ] {
            assert!(
                matches!(fetcher.fetch(WebRequest::get(url)).await, Err(ConvertError::Document(_))),
                "{url}"
            );
        }
    }

    /// What is written to a log, to be read back.
    #[derive(Clone, Default)]
    struct Written(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl std::io::Write for Written {
        fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn the_log_does_not_hold_urls() {
        let written = Written::default();
        let writer = written.clone();
        let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let _log = tracing::subscriber::set_default(log);
        // Nobody listens there by now.
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let fetcher = HttpFetcher::new(FetchConfig { allow_private_urls: true, ..FetchConfig::default() });
        let url = format!("http://user:hidden-word@{gone}/x?signature=hidden-too");
        assert!(matches!(fetcher.fetch(WebRequest::get(&url)).await, Err(ConvertError::Later(_))));
        let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(log.contains("could not be fetched") && !log.contains("hidden"), "{log}");
    }
}
