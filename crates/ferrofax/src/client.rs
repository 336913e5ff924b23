//! The command line as a client of the REST interface.

use crate::cli::ServerArgs;
use anyhow::{Context, Result, bail};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The first wait before a request is made again, doubled each time up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Where the parts of a multipart body are cut; it does not occur in base64 or JSON.
const BOUNDARY: &str = "ferrofax-part-d41d8cd98f00b204";

/// A logged-in client of one account.
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    key: String,
    token: String,
    /// The account's id.
    pub(crate) account: String,
}

impl Client {
    /// Logs in with the API key.
    pub(crate) async fn open(args: &ServerArgs) -> Result<Client> {
        let Some(key) = &args.key else {
            bail!("no API key: give --key or set FERROFAX_KEY to the account's key");
        };
        Self::with_key(&args.api, key).await
    }

    /// Logs in at `api` with `key`.
    pub(crate) async fn with_key(api: &str, key: &str) -> Result<Client> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).build()?;
        let base = format!("{}/v2", api.trim_end_matches('/'));
        let mut client =
            Client { http, base, key: key.to_owned(), token: String::new(), account: String::new() };
        client.account =
            client.log_in().await.map_err(|error| match error.downcast_ref::<reqwest::Error>() {
                Some(_) => error.context(format!("{api} does not answer; is the server running there?")),
                None => error,
            })?;
        Ok(client)
    }

    /// Takes a new token; the key's account.
    async fn log_in(&mut self) -> Result<String> {
        let login = self
            .http
            .put(format!("{}/api_auth", self.base))
            .json(&json!({ "data": { "api_key": self.key } }));
        let answer = envelope(login.send().await?).await?;
        let text = |v: &Value| v.as_str().map(str::to_owned);
        self.token = text(&answer["auth_token"]).context("the server gave no token")?;
        text(&answer["data"]["account_id"]).context("the server named no account")
    }

    /// Asks until there is an answer that counts: after a broken connection, silence or a 5xx again, later and later, for
    /// as long as `patience`; where the token is not taken any more (it has run out, or the server was started again) with
    /// a new one.
    pub(crate) async fn persist<T>(
        &mut self,
        patience: Duration,
        ask: impl AsyncFn(&Client) -> Result<T>,
    ) -> Result<T> {
        let began = Instant::now();
        let (mut wait, mut renewed) = (FIRST_WAIT, false);
        loop {
            let mut error = match ask(self).await {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            if !renewed && is_of(&error, |status| status == StatusCode::UNAUTHORIZED) {
                match self.log_in().await {
                    Ok(_) => {
                        renewed = true;
                        continue;
                    }
                    Err(again) => error = again,
                }
            }
            if !is_passing(&error) || began.elapsed() + wait > patience {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            (wait, renewed) = ((wait * 2).min(LONGEST_WAIT), false);
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/accounts/{}/{path}", self.base, self.account);
        self.http.request(method, url).header("X-Auth-Token", &self.token)
    }

    /// GET, the `data` of the answer.
    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        Ok(envelope(self.request(Method::GET, path).send().await?).await?["data"].take())
    }

    /// PUT without anything, the `data` of the answer.
    pub(crate) async fn put(&self, path: &str) -> Result<Value> {
        let request = self.request(Method::PUT, path).json(&json!({ "data": {} }));
        Ok(envelope(request.send().await?).await?["data"].take())
    }

    /// PUT with this `action`.
    pub(crate) async fn act(&self, path: &str, action: &str) -> Result<Value> {
        let request = self.request(Method::PUT, path).json(&json!({ "action": action, "data": {} }));
        Ok(envelope(request.send().await?).await?["data"].take())
    }

    /// PATCH with this `data`.
    pub(crate) async fn patch(&self, path: &str, data: &Value) -> Result<Value> {
        let request = self.request(Method::PATCH, path).json(&json!({ "data": data }));
        Ok(envelope(request.send().await?).await?["data"].take())
    }

    /// DELETE.
    pub(crate) async fn delete(&self, path: &str) -> Result<Value> {
        Ok(envelope(self.request(Method::DELETE, path).send().await?).await?["data"].take())
    }

    /// An attachment in this form.
    pub(crate) async fn attachment(&self, path: &str, media_type: &str) -> Result<Vec<u8>> {
        let answer = self.request(Method::GET, path).header("Accept", media_type).send().await?;
        if !answer.status().is_success() {
            bail!("{path}: {}", answer.status());
        }
        Ok(answer.bytes().await?.to_vec())
    }

    /// Queues a document; the job. With the same `again` it is the same job, however often it is handed in
    /// (`Idempotency-Key`).
    pub(crate) async fn submit(
        &self,
        fax: &Value,
        media_type: &str,
        document: &[u8],
        again: uuid::Uuid,
    ) -> Result<Value> {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Type: application/json\r\n\r\n{}\r\n--{BOUNDARY}\r\nContent-Type: {media_type}\r\n\r\n",
            json!({ "data": fax })
        );
        let mut body = head.into_bytes();
        body.extend_from_slice(document);
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        let request = self
            .request(Method::PUT, "faxes")
            .header("Content-Type", format!("multipart/mixed; boundary={BOUNDARY}"))
            .header("Idempotency-Key", again.to_string())
            .body(body);
        Ok(envelope(request.send().await?).await?["data"].take())
    }
}

/// An answer that is no success, in its words.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
struct Refused {
    status: StatusCode,
    words: String,
}

fn is_of(error: &anyhow::Error, test: impl Fn(StatusCode) -> bool) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|refused| test(refused.status))
}

/// Whether another try may do better.
pub(crate) fn is_passing(error: &anyhow::Error) -> bool {
    let cut_off = error.downcast_ref::<reqwest::Error>().is_some_and(|e| !e.is_builder());
    cut_off || is_of(error, |s| s.is_server_error() || s == StatusCode::TOO_MANY_REQUESTS)
}

/// The envelope of an answer; an error in its words.
async fn envelope(answer: reqwest::Response) -> Result<Value> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer.json().await?);
    }
    let value: Value = answer.json().await.unwrap_or(Value::Null);
    let message = value["message"].as_str().unwrap_or("no reason given");
    let words = match status {
        StatusCode::UNAUTHORIZED => format!("the server does not take this API key ({message})"),
        StatusCode::BAD_REQUEST => format!("the server refuses this: {message}: {}", value["data"]),
        StatusCode::CONFLICT => {
            format!("the server refuses this: {}", value["data"]["cause"].as_str().unwrap_or(message))
        }
        _ => format!("the server answered {status}: {message}"),
    };
    Err(Refused { status, words }.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    /// One request, its head in lower case and its body.
    async fn request(stream: &mut TcpStream) -> (String, Vec<u8>) {
        let mut octets = Vec::new();
        loop {
            let mut more = [0; 4_096];
            let n = stream.read(&mut more).await.unwrap();
            octets.extend_from_slice(more.get(..n).unwrap());
            let Some(end) = octets.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&octets[..end]).to_lowercase();
            let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")?.parse::<usize>().ok());
            let body = octets[end + 4..].to_vec();
            if body.len() >= length.unwrap_or(0) {
                return (head, body);
            }
        }
    }

    async fn answer(stream: &mut TcpStream, status: &str, body: &Value) {
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await.unwrap();
    }

    #[tokio::test]
    async fn what_was_perhaps_handed_in_is_handed_in_again_as_the_same_and_with_a_new_token() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut keys, mut logins, mut tokens) = (Vec::new(), 0, Vec::new());
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (head, _) = request(&mut stream).await;
                let field = |name: &str| {
                    head.lines()
                        .find_map(|l| l.strip_prefix(&format!("{name}: ")))
                        .unwrap_or_default()
                        .to_owned()
                };
                if head.contains("/v2/api_auth") {
                    logins += 1;
                    let told =
                        json!({ "auth_token": format!("token-{logins}"), "data": { "account_id": "a" } });
                    answer(&mut stream, "201 Created", &told).await;
                    continue;
                }
                keys.push(field("idempotency-key"));
                tokens.push(field("x-auth-token"));
                match keys.len() {
                    // The answer is lost.
                    1 => drop(stream),
                    2 => answer(&mut stream, "503 Service Unavailable", &json!({})).await,
                    3 => answer(&mut stream, "401 Unauthorized", &json!({})).await,
                    _ => {
                        answer(&mut stream, "201 Created", &json!({ "data": { "id": "job" } })).await;
                        return (keys, tokens);
                    }
                }
            }
        });
        let mut client = Client::with_key(&api, "key").await.unwrap();
        let once = uuid::Uuid::new_v4();
        let fax = json!({ "to_number": "+14155550199" });
        let job = client
            .persist(Duration::from_secs(60), async |c| {
                c.submit(&fax, "application/pdf", b"%PDF", once).await
            })
            .await
            .unwrap();
        assert_eq!(job["id"], "job");
        let (keys, tokens) = server.await.unwrap();
        assert_eq!(keys, vec![once.to_string(); 4], "always the same fax");
        assert_eq!(tokens, ["token-1", "token-1", "token-1", "token-2"]);
    }

    #[tokio::test]
    async fn what_is_refused_is_not_asked_again() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            request(&mut stream).await;
            let told = json!({ "auth_token": "token", "data": { "account_id": "a" } });
            answer(&mut stream, "201 Created", &told).await;
            let (mut stream, _) = listener.accept().await.unwrap();
            request(&mut stream).await;
            answer(&mut stream, "400 Bad Request", &json!({ "message": "validation error" })).await;
            // Nobody is answered any more.
        });
        let mut client = Client::with_key(&api, "key").await.unwrap();
        let asked = client.persist(Duration::from_secs(60), async |c| c.get("faxes").await).await;
        assert!(asked.unwrap_err().to_string().contains("refuses this: validation error"));
        server.await.unwrap();
    }
}
