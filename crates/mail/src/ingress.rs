//! Which faxbox a mail is for, who may send to it, and the jobs made of it (one for every document and recipient).

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fax_store::model::{AccountId, Timestamp};
use fax_switch::{Account, Directory, Faxbox, NewDocument, NewJob, RefusedMail, Service, SubmitError};

use crate::address::{FaxAddress, fax_address};
use crate::listener::Ingress;
use crate::message::{Attachment, FaxMail, fax_mail};
use crate::once::Order;
use crate::session::{Disposition, Envelope, Verdict};

/// Refused mails of an account that are kept within an hour.
const LOGGED_AN_HOUR: u32 = 500;
const HOUR: Duration = Duration::from_secs(3600);

/// Mail becomes jobs of the switch.
#[derive(Clone)]
pub struct FaxIngress {
    service: Service,
    allow_all_when_empty: bool,
    /// Records of refused mails of each account since an hour began.
    logged: Arc<Mutex<(Timestamp, HashMap<AccountId, u32>)>>,
}

/// A recipient that is permitted: its faxbox and the number to be called.
struct Target {
    faxbox: Faxbox,
    address: FaxAddress,
}

impl FaxIngress {
    /// Mail for this switch. A faxbox without owner and without permission list takes mail from anybody only if
    /// `allow_all_when_empty`.
    #[must_use]
    pub fn new(service: Service, allow_all_when_empty: bool) -> Self {
        FaxIngress { service, allow_all_when_empty, logged: Arc::default() }
    }

    /// As [`FaxIngress::target`], away from the threads that serve: there may be hundreds of expressions to compile and to
    /// look for.
    async fn find_target(
        &self,
        directory: &Arc<Directory>,
        sender: &str,
        recipient: &str,
    ) -> Result<Target, Verdict> {
        let (this, directory) = (self.clone(), Arc::clone(directory));
        let (sender, recipient) = (sender.to_owned(), recipient.to_owned());
        let found = tokio::task::spawn_blocking(move || this.target(&directory, &sender, &recipient)).await;
        found.unwrap_or(Err(Verdict::TryLater))
    }

    fn target(&self, directory: &Directory, sender: &str, recipient: &str) -> Result<Target, Verdict> {
        let address = fax_address(recipient).ok_or(Verdict::NotFound)?;
        self.service.config().numbers.accept(&address.number).ok_or(Verdict::NotFound)?;
        // The null reverse-path is a bounce or a receipt: never a fax (RFC 5321 §4.5.5).
        if sender.is_empty() {
            return Err(Verdict::NotAllowed);
        }
        if let Some(faxbox) = directory.faxbox_by_mail_domain(&address.domain) {
            return if self.permits(directory, faxbox, sender) {
                Ok(Target { faxbox: faxbox.clone(), address })
            } else {
                Err(Verdict::NotAllowed)
            };
        }
        let account = directory.account_by_realm(&address.domain).ok_or(Verdict::NotFound)?;
        let faxbox = box_in_realm(directory, account, sender).ok_or(Verdict::NotFound)?;
        Ok(Target { faxbox: faxbox.clone(), address })
    }

    /// Keeps a refused mail for the account that it was meant for; where there is none, the log of the server has to do.
    async fn log(
        &self,
        sender: &str,
        recipient: &str,
        helo: &str,
        attachment: Option<&Attachment>,
        why: &str,
    ) {
        let directory = self.service.directory();
        let Some((local, domain)) = recipient.rsplit_once('@') else { return };
        let faxbox = directory.faxbox_by_mail_domain(domain);
        let realm = || directory.account_by_realm(domain).map(|a| a.id.clone());
        let Some(account) = faxbox.map(|f| f.account.clone()).or_else(realm) else { return };
        if !self.may_log(&account) {
            return;
        }
        let number = self.service.config().numbers.accept(local).unwrap_or_default();
        let refused = RefusedMail {
            from: sender.to_owned(),
            to: recipient.to_owned(),
            original_number: local.to_owned(),
            number,
            domain: domain.to_owned(),
            faxbox: faxbox.map(|f| f.id.clone()),
            owner: faxbox.and_then(|f| f.owner.clone()),
            owner_email: faxbox.and_then(|f| directory.owner_email(f)).map(str::to_owned),
            content_type: attachment.map(|a| a.content_type.clone()),
            file_name: attachment.and_then(|a| a.file_name.clone()),
            helo: helo.to_owned(),
            errors: vec![why.to_owned()],
            ..RefusedMail::default()
        };
        if let Err(error) = self.service.mail_refused(account, refused).await {
            tracing::warn!(%error, "a refused mail is missing in the log of its account");
        }
    }

    /// Whoever mails nonsense does not fill the disk.
    fn may_log(&self, account: &AccountId) -> bool {
        let now = self.service.now();
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if now.since(logged.0) >= HOUR {
            *logged = (now, HashMap::new());
        }
        let count = logged.1.entry(account.clone()).or_default();
        *count = count.saturating_add(1);
        *count <= LOGGED_AN_HOUR
    }

    fn permits(&self, directory: &Directory, faxbox: &Faxbox, sender: &str) -> bool {
        let owner = directory.owner_email(faxbox);
        if faxbox.smtp_permission_list.is_empty() && owner.is_none() {
            return self.allow_all_when_empty;
        }
        owner.is_some_and(|o| o.eq_ignore_ascii_case(sender)) || faxbox.permits(sender)
    }

    fn new_job(
        &self,
        owner: Option<&str>,
        target: &Target,
        sender: &str,
        mail: &FaxMail,
        attachment: &Attachment,
    ) -> NewJob {
        let faxbox = &target.faxbox;
        // The sender, the owner and the faxbox's list are told; a program that sent the mail is not.
        let mut told: BTreeSet<String> = faxbox.notify_outbound.iter().cloned().collect();
        told.extend(owner.map(str::to_owned));
        if !mail.automatic {
            told.insert(sender.to_owned());
        }
        let number = &target.address.number;
        let document = NewDocument::Octets {
            octets: attachment.octets.clone(),
            content_type: attachment.content_type.clone(),
            file_name: attachment.file_name.clone(),
        };
        NewJob {
            faxbox: Some(faxbox.id.clone()),
            to_name: Some(number.clone()),
            subject: mail.subject.clone(),
            sub_address: target.address.sub_address.clone(),
            notify: told.into_iter().filter(|a| !a.is_empty()).collect(),
            ..NewJob::new(faxbox.account.clone(), number.as_str(), document)
        }
    }
}

/// The faxbox of an account whose realm is the domain: the only box of the one user with this address, else the first
/// whose permission list has the sender.
fn box_in_realm<'d>(directory: &'d Directory, account: &'d Account, sender: &str) -> Option<&'d Faxbox> {
    let mut users = directory.users_of(&account.id).filter(|u| u.email.eq_ignore_ascii_case(sender));
    if let (Some(user), None) = (users.next(), users.next()) {
        let mut owned =
            directory.faxboxes_of(&account.id).filter(|f| f.owner.as_deref() == Some(user.id.as_str()));
        if let (Some(only), None) = (owned.next(), owned.next()) {
            return Some(only);
        }
    }
    directory.faxboxes_of(&account.id).find(|f| f.permits(sender))
}

/// What a mail's sender is told when its fax was not queued.
fn refusal(error: SubmitError) -> Disposition {
    match error {
        SubmitError::Unavailable(_) => Disposition::TryLater,
        SubmitError::EmptyDocument => Disposition::Refused("no valid attachment".into()),
        SubmitError::TooLarge(_) => Disposition::Refused("the attachment is too large".into()),
        SubmitError::Barred(why) => Disposition::Refused(why),
        SubmitError::CallerId(_) => Disposition::Refused("the faxbox has no caller id of its account".into()),
        SubmitError::BadNumber(_)
        | SubmitError::KeyReused
        | SubmitError::NotFound
        | SubmitError::Conflict(_)
        | SubmitError::UnknownAccount
        | SubmitError::Disabled
        | SubmitError::UnknownFaxbox => Disposition::Refused("Not Found".into()),
    }
}

#[async_trait]
impl Ingress for FaxIngress {
    async fn recipient(&self, sender: &str, recipient: &str) -> Verdict {
        match self.find_target(&self.service.directory(), sender, recipient).await {
            Ok(_) => Verdict::Accept,
            Err(verdict) => {
                tracing::info!(?verdict, "a mail recipient was refused");
                let why = match verdict {
                    Verdict::NotAllowed => "not allowed",
                    Verdict::Accept | Verdict::NotFound | Verdict::TryLater => "Not Found",
                };
                self.log(sender, recipient, "", None, why).await;
                verdict
            }
        }
    }

    async fn mail(&self, envelope: Envelope) -> Disposition {
        let Envelope { sender, recipients, octets, helo } = envelope;
        let mail = match tokio::task::spawn_blocking(move || fax_mail(&octets)).await {
            Ok(Ok(mail)) => mail,
            Ok(Err(fault)) => {
                tracing::info!(%fault, "a mail held no fax");
                for recipient in &recipients {
                    self.log(&sender, recipient, &helo, None, &fault.to_string()).await;
                }
                return Disposition::Refused(fault.to_string());
            }
            Err(error) => {
                tracing::error!(%error, "reading a mail failed");
                return Disposition::Refused("Message decode failed".into());
            }
        };
        let directory = self.service.directory();
        let mut jobs = Vec::new();
        let mut failed = None;
        let mut targets = Vec::new();
        for recipient in &recipients {
            // Asked again: the directory may have been replaced since RCPT.
            targets.push((recipient, self.find_target(&directory, &sender, recipient).await));
        }
        let documents = || mail.attachments.iter().enumerate();
        let orders: Vec<_> =
            targets.iter().flat_map(|(r, to)| documents().map(move |(nth, a)| (*r, to, nth, a))).collect();
        for (recipient, target, nth, attachment) in orders {
            let target = match target {
                Ok(target) => target,
                Err(verdict) => {
                    let later = *verdict == Verdict::TryLater;
                    let refused = || Disposition::Refused("Not Found".into());
                    let why = if later { Disposition::TryLater } else { refused() };
                    failed = Some((recipient, attachment, why));
                    break;
                }
            };
            let account = &target.faxbox.account;
            let new = self.new_job(directory.owner_email(&target.faxbox), target, &sender, &mail, attachment);
            let submitted = match mail.message_id.as_deref() {
                Some(message_id) => {
                    let octets = &attachment.octets;
                    let order = Order { account, message_id, sender: &sender, recipient, nth, octets };
                    order.submit(&self.service, new).await
                }
                None => self.service.submit(new).await.map(|job| (job, true)),
            };
            match submitted {
                Ok((job, is_new)) => jobs.push((account.clone(), job.id, is_new)),
                Err(error) => {
                    tracing::warn!(%error, "a mailed fax was not queued");
                    failed = Some((recipient, attachment, refusal(error)));
                    break;
                }
            }
        }
        // SMTP has one answer for all recipients: what was queued is taken back before a refusal, or the sender's next
        // mail would send it twice. What was found belongs to a mail that came before and may have been answered 250: it
        // goes on. The same mail that comes later finds what was queued, if it can be known again.
        if let Some((recipient, attachment, failed)) = failed {
            if let Disposition::Refused(why) = &failed {
                self.log(&sender, recipient, &helo, Some(attachment), why).await;
            }
            if failed == Disposition::TryLater && mail.message_id.is_some() {
                return failed;
            }
            for (account, job, _) in jobs.iter().filter(|(_, _, is_new)| *is_new) {
                if let Err(error) = self.service.take_back(account, job).await {
                    tracing::error!(%error, %job, "a job of a refused mail could not be taken back");
                }
            }
            return failed;
        }
        Disposition::Queued(jobs.into_iter().map(|(_, id, _)| id.to_string()).collect())
    }
}
