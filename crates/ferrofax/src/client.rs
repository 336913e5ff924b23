//! The command line as a client of the REST interface.

use crate::cli::ServerArgs;
use anyhow::{Context, Result, bail};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// Where the parts of a multipart body are cut; it does not occur in base64 or JSON.
const BOUNDARY: &str = "ferrofax-part-d41d8cd98f00b204";

/// A logged-in client of one account.
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
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
        let login = http.put(format!("{base}/api_auth")).json(&json!({ "data": { "api_key": key } }));
        let answer = login
            .send()
            .await
            .with_context(|| format!("{api} does not answer; is the server running there?"))?;
        let answer = envelope(answer).await?;
        let text = |v: &Value| v.as_str().map(str::to_owned);
        Ok(Client {
            http,
            base,
            token: text(&answer["auth_token"]).context("the server gave no token")?,
            account: text(&answer["data"]["account_id"]).context("the server named no account")?,
        })
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

    /// Queues a document; the job.
    pub(crate) async fn submit(&self, fax: &Value, media_type: &str, document: &[u8]) -> Result<Value> {
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
            .body(body);
        Ok(envelope(request.send().await?).await?["data"].take())
    }
}

/// The envelope of an answer; an error in its words.
async fn envelope(answer: reqwest::Response) -> Result<Value> {
    let status = answer.status();
    let value: Value = answer.json().await.unwrap_or(Value::Null);
    if status.is_success() {
        return Ok(value);
    }
    let message = value["message"].as_str().unwrap_or("no reason given");
    match status {
        StatusCode::UNAUTHORIZED => bail!("the server does not take this API key ({message})"),
        StatusCode::BAD_REQUEST => bail!("the server refuses this: {message}: {}", value["data"]),
        StatusCode::CONFLICT => {
            bail!("the server refuses this: {}", value["data"]["cause"].as_str().unwrap_or(message))
        }
        _ => bail!("the server answered {status}: {message}"),
    }
}
