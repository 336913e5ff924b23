//! Mail out: takes due notices, words them, gives them to a smarthost (RFC 5321, STARTTLS RFC 3207), and forgets a notice
//! only after the smarthost said 250 for every recipient.
//!
//! A mail that is too large for the smarthost goes without the fax, and says so. A recipient refused for good (5yz) is
//! logged; if nobody is left to be told, the notice is kept as failed, out of the way. Anything else is tried again, later
//! and later; who has the mail is written down with the notice, and gets it no second time.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use fax_store::model::{Notice, NoticeId, NoticeSubject};
use fax_switch::{Format, Service, ServiceError, Which};
use jiff::tz::TimeZone;
use lettre::address::Envelope;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use crate::notice::{News, Pages, about_job, about_received, compose};

/// How the connection to the smarthost is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Security {
    /// Not at all.
    #[default]
    None,
    /// STARTTLS, demanded.
    StartTls,
    /// TLS from the first octet.
    Tls,
}

/// The usual [`MailerConfig::max_attachment`]: many servers take mails of 10 MB and no larger ones.
pub const MAX_ATTACHMENT: usize = 7 << 20;

/// The smarthost and what mails look like.
#[derive(Clone)]
pub struct MailerConfig {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Protection.
    pub security: Security,
    /// Name and password, if it wants them.
    pub credentials: Option<(String, String)>,
    /// Our name in EHLO; `None`: the machine's.
    pub hello: Option<String>,
    /// Sender of the mails: `ferrofax <fax@example.com>`.
    pub from: String,
    /// How long one step of SMTP may take.
    pub patience: Duration,
    /// Largest PDF attached, octets; in a mail it is 37 % larger.
    pub max_attachment: usize,
    /// The first waits before a mail is tried again; the last is repeated.
    pub waits: Vec<Duration>,
    /// Tries after which a mail is kept as failed.
    pub max_tries: u32,
}

impl std::fmt::Debug for MailerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the password.
        f.debug_struct("MailerConfig")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("security", &self.security)
            .field("user", &self.credentials.as_ref().map(|(user, _)| user))
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

impl MailerConfig {
    /// Mails of `from` through `host:port`, unprotected.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16, from: impl Into<String>) -> Self {
        MailerConfig {
            host: host.into(),
            port,
            security: Security::None,
            credentials: None,
            hello: None,
            from: from.into(),
            patience: Duration::from_secs(60),
            max_attachment: MAX_ATTACHMENT,
            waits: [60, 120, 300, 900, 1800, 3600].map(Duration::from_secs).to_vec(),
            max_tries: 80,
        }
    }
}

/// Why a mailer cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    /// The sender's address cannot be read.
    #[error("the sender's address {0:?} cannot be read")]
    From(String),
    /// TLS cannot be set up.
    #[error("TLS for the smarthost cannot be set up: {0}")]
    Tls(String),
}

/// Whether a text can be the sender of mails: an address, with or without a name before it.
#[must_use]
pub fn is_sender(text: &str) -> bool {
    text.parse::<Mailbox>().is_ok()
}

/// Sends notices.
pub struct Mailer {
    service: Service,
    config: MailerConfig,
    from: Mailbox,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

/// How long a notice that is kept as failed stays out of the way: it is not tried again.
const SET_ASIDE: Duration = Duration::from_secs(10 * 365 * 86_400);

/// What a refusal of the smarthost is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// The mail is too large.
    TooLarge,
    /// This mail or recipient: it will not be otherwise later.
    Final,
    /// A passing trouble, or one that people will mend.
    Passing,
}

/// What happened to one notice.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Done,
    Later,
    Failed,
}

impl Mailer {
    /// A mailer for this switch.
    ///
    /// # Errors
    ///
    /// See [`MailerError`].
    pub fn new(service: Service, config: MailerConfig) -> Result<Self, MailerError> {
        let from: Mailbox = config.from.parse().map_err(|_| MailerError::From(config.from.clone()))?;
        let tls = || TlsParameters::new(config.host.clone()).map_err(|e| MailerError::Tls(e.to_string()));
        let tls = match config.security {
            Security::None => Tls::None,
            Security::StartTls => Tls::Required(tls()?),
            Security::Tls => Tls::Wrapper(tls()?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(config.host.as_str())
            .port(config.port)
            .tls(tls)
            .timeout(Some(config.patience));
        if let Some((name, password)) = &config.credentials {
            builder = builder.credentials(Credentials::new(name.clone(), password.clone()));
        }
        if let Some(hello) = &config.hello {
            builder = builder.hello_name(ClientId::Domain(hello.clone()));
        }
        Ok(Mailer { service, from, transport: builder.build(), config })
    }

    /// Sends what is due until `shutdown` is done. A mail on its way is finished first.
    pub async fn run(&self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = std::pin::pin!(shutdown);
        // Who was served of notices whose row does not say so yet, since the store failed, lest they get the mail again.
        let mut unwritten: HashMap<NoticeId, BTreeSet<String>> = HashMap::new();
        if let Err(error) = self.service.release_notices().await {
            tracing::error!(%error, "mails under way at the last stop wait for the end of their leases");
        }
        loop {
            let due = tokio::select! {
                () = &mut shutdown => return,
                due = self.service.next_notices(1) => due,
            };
            let due = match due {
                Ok(due) => due,
                Err(error) => {
                    tracing::error!(%error, "the mail outbox cannot be read");
                    tokio::select! {
                        () = &mut shutdown => return,
                        () = tokio::time::sleep(Duration::from_secs(5)) => continue,
                    }
                }
            };
            for notice in due {
                let mut served = unwritten.remove(&notice.id).unwrap_or_default();
                served.extend(notice.served.iter().cloned());
                let Some(fate) = self.send_and_keep(&notice, &mut served).await else {
                    tracing::warn!(notice = %notice.id, "another node has taken the mail over");
                    continue;
                };
                match self.settle(&notice, &fate, &served).await {
                    Ok(()) => {}
                    Err(ServiceError::NotFound) => {
                        tracing::warn!(notice = %notice.id, "a mail was done with meanwhile");
                    }
                    Err(error) => {
                        tracing::error!(%error, notice = %notice.id, "the mail outbox cannot be written");
                        if fate != Fate::Failed {
                            unwritten.insert(notice.id, served);
                        }
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                }
            }
        }
    }

    async fn settle(
        &self,
        notice: &Notice,
        fate: &Fate,
        served: &BTreeSet<String>,
    ) -> Result<(), ServiceError> {
        let served = served.iter().cloned().collect();
        match fate {
            Fate::Done => self.service.notice_done(&notice.id).await,
            Fate::Failed => {
                let (about, to) = (subject_of(notice), &notice.to);
                tracing::error!(notice = %notice.id, about, ?to, "a mail is set aside: it was refused for good");
                self.service.notice_retry(&notice.id, SET_ASIDE, served).await
            }
            Fate::Later if notice.tries.saturating_add(1) >= self.config.max_tries => {
                let (about, to) = (subject_of(notice), &notice.to);
                tracing::error!(notice = %notice.id, about, ?to, "a mail is set aside after too many tries");
                self.service.notice_retry(&notice.id, SET_ASIDE, served).await
            }
            Fate::Later => {
                let tries = usize::try_from(notice.tries).unwrap_or(usize::MAX);
                let waits = &self.config.waits;
                let wait = waits.get(tries).or(waits.last()).copied().unwrap_or(Duration::from_secs(60));
                self.service.notice_retry(&notice.id, wait, served).await
            }
        }
    }

    /// Sends one notice, and keeps other nodes from it meanwhile. `None`: another has it all the same, since this
    /// one fell silent for too long.
    async fn send_and_keep(&self, notice: &Notice, served: &mut BTreeSet<String>) -> Option<Fate> {
        let mut sending = std::pin::pin!(self.send(notice, served));
        loop {
            tokio::select! {
                fate = &mut sending => return Some(fate),
                () = tokio::time::sleep(self.service.config().lease / 3) => {}
            }
            match self.service.keep_notice(&notice.id).await {
                Err(ServiceError::Conflict(_)) => return None,
                Err(error) => {
                    tracing::warn!(%error, notice = %notice.id, "a mail's lease could not be renewed")
                }
                Ok(()) => {}
            }
        }
    }

    /// Sends one notice to everybody who has not got it.
    async fn send(&self, notice: &Notice, served: &mut BTreeSet<String>) -> Fate {
        let (about, which) = match self.about(notice).await {
            Ok(told) => told,
            // The fax was deleted meanwhile: there is nothing left to tell.
            Err(ServiceError::NotFound) => return Fate::Done,
            Err(error) => {
                tracing::error!(%error, "a fax cannot be read for its mail");
                return Fate::Later;
            }
        };
        let mut to: Vec<Address> = Vec::new();
        for text in &notice.to {
            match text.trim().parse::<Address>() {
                Ok(address) if !to.contains(&address) => to.push(address),
                Ok(_) => {}
                Err(_) => tracing::warn!(notice = %notice.id, "a recipient is no mail address"),
            }
        }
        if to.is_empty() {
            return if notice.to.is_empty() { Fate::Done } else { Fate::Failed };
        }
        let pages = match self.pages(notice, &which).await {
            Ok(pages) => pages,
            Err(error) => {
                tracing::error!(%error, "the pages of a fax cannot be read for its mail");
                return Fate::Later;
            }
        };
        // A mail for each recipient: nobody sees who else was told, and one that is refused does not keep it from the others.
        let (mut refused, mut later) = (0, 0);
        for address in &to {
            if served.contains::<str>(address.as_ref()) {
                continue;
            }
            match self.deliver(notice, &about, &pages, address).await {
                Fate::Done => {
                    served.insert(address.to_string());
                }
                Fate::Failed => {
                    refused += 1;
                    served.insert(address.to_string());
                }
                Fate::Later => later += 1,
            }
        }
        match (refused, later) {
            (_, 1..) => Fate::Later,
            (n, 0) if n >= to.len() => Fate::Failed,
            _ => Fate::Done,
        }
    }

    /// Sends a notice to one recipient, without the fax if it is too large with it.
    async fn deliver(&self, notice: &Notice, about: &News, pages: &Pages, to: &Address) -> Fate {
        let fate = self.attempt(notice, about, pages, to).await;
        let fate = match fate {
            Err(Refusal::TooLarge) if pages.pdf.is_some() => {
                let without = Pages { pdf: None, left_out: true, ..pages.clone() };
                self.attempt(notice, about, &without, to).await
            }
            other => other,
        };
        match fate {
            Ok(()) => Fate::Done,
            Err(Refusal::Passing) => Fate::Later,
            Err(Refusal::TooLarge | Refusal::Final) => Fate::Failed,
        }
    }

    async fn attempt(
        &self,
        notice: &Notice,
        about: &News,
        pages: &Pages,
        to: &Address,
    ) -> Result<(), Refusal> {
        let mail = match compose(notice, to, &self.from, about, pages.clone()) {
            Ok(mail) => mail.formatted(),
            Err(error) => {
                tracing::error!(%error, notice = %notice.id, "a mail cannot be put together");
                return Err(Refusal::Final);
            }
        };
        let envelope = Envelope::new(Some(self.from.email.clone()), vec![to.clone()]);
        let envelope = envelope.map_err(|_| Refusal::Final)?;
        let Err(error) = self.transport.send_raw(&envelope, &mail).await else { return Ok(()) };
        let refusal = meaning(&error);
        match refusal {
            Refusal::TooLarge => {
                tracing::warn!(%error, notice = %notice.id, size = mail.len(), "a mail is too large for the smarthost");
            }
            Refusal::Final => {
                tracing::error!(%error, notice = %notice.id, "the smarthost refuses a mail for good");
            }
            Refusal::Passing => {
                tracing::warn!(%error, notice = %notice.id, tries = notice.tries, "a mail could not be sent yet");
            }
        }
        Err(refusal)
    }

    async fn about(&self, notice: &Notice) -> Result<(News, Which), ServiceError> {
        let directory = self.service.directory();
        let zone = |own: &str, faxbox: Option<&fax_store::model::FaxboxId>| {
            let faxbox = faxbox.and_then(|id| directory.faxbox(id));
            let usual = directory.timezone(&notice.account, faxbox);
            let name = [own, usual].into_iter().find(|z| !z.is_empty()).unwrap_or("UTC");
            TimeZone::get(name).unwrap_or(TimeZone::UTC)
        };
        Ok(match &notice.subject {
            NoticeSubject::Job(id) => {
                let job = self.service.job(&notice.account, id).await?;
                let zone = zone(&job.timezone, job.faxbox.as_ref());
                (about_job(notice.kind, &job, &zone), Which::Job(id.clone()))
            }
            NoticeSubject::Fax(id) => {
                let fax = self.service.fax(&notice.account, id).await?;
                (about_received(notice.kind, &fax, &zone("", fax.faxbox.as_ref())), Which::Fax(id.clone()))
            }
        })
    }

    async fn pages(&self, notice: &Notice, which: &Which) -> Result<Pages, ServiceError> {
        let tiff = match self.service.attachment(&notice.account, which, Format::Tiff).await {
            Ok(attachment) => attachment.octets,
            // A fax that failed before it had pages, or of which none came; or nobody can read them any more.
            Err(ServiceError::NoDocument | ServiceError::NotFound | ServiceError::KeyDestroyed) => {
                return Ok(Pages::default());
            }
            Err(error) => return Err(error),
        };
        let limit = self.config.max_attachment;
        let made = tokio::task::spawn_blocking(move || Pages::of_tiff(&tiff, limit)).await;
        // A panic in drawing is no reason to keep the news from anybody.
        Ok(made.unwrap_or_default())
    }
}

/// The fax that a notice is about, for the log.
fn subject_of(notice: &Notice) -> String {
    match &notice.subject {
        NoticeSubject::Job(id) => format!("job {id}"),
        NoticeSubject::Fax(id) => format!("fax {id}"),
    }
}

/// What an error of the smarthost means.
fn meaning(error: &lettre::transport::smtp::Error) -> Refusal {
    let code = error.status().filter(|_| error.is_permanent()).map(u16::from);
    let text = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    code.map_or(Refusal::Passing, |code| refusal(code, &text))
}

/// What a reply with 5yz means (RFC 5321 §4.2.3, RFC 7504; RFC 3463 §3 for the code that its text may begin with).
fn refusal(code: u16, text: &str) -> Refusal {
    let mut enhanced = text.split_whitespace().next().unwrap_or_default().splitn(3, '.');
    let enhanced = match (enhanced.next(), enhanced.next(), enhanced.next()) {
        (Some("5"), Some(subject), Some(detail)) => Some((subject, detail)),
        _ => None,
    };
    match (code, enhanced) {
        // Message too long for the recipient, and for the system.
        (_, Some(("2", "3") | ("3", "4"))) => Refusal::TooLarge,
        // Policy: relaying denied, sender not ours. People mend that, as they do a wrong password, so those mails wait.
        (_, Some(("7", _))) => Refusal::Passing,
        (552, None) => Refusal::TooLarge,
        (550..=556, _) => Refusal::Final,
        _ => Refusal::Passing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart_by_code_and_enhanced_code() {
        for (code, text, meant) in [
            (552, "Message too large", Refusal::TooLarge),
            (552, "5.3.4 Message size exceeds fixed limit", Refusal::TooLarge),
            (554, "5.2.3 too long for this mailbox", Refusal::TooLarge),
            (552, "5.2.2 mailbox full", Refusal::Final),
            (550, "5.1.1 no such user", Refusal::Final),
            (554, "Not Found", Refusal::Final),
            (554, "5.7.1 Relay access denied", Refusal::Passing),
            (550, "5.7.60 sender rejected", Refusal::Passing),
            (535, "5.7.8 bad credentials", Refusal::Passing),
            (503, "bad sequence", Refusal::Passing),
        ] {
            assert_eq!(refusal(code, text), meant, "{code} {text}");
        }
    }
}
