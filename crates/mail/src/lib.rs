//! Mail on both sides of ferrofax: faxes that arrive by SMTP (RFC 5321) and mails that tell what became of a fax.
//!
//! In: [`session`] is the SMTP server as a machine without I/O, [`data`] its mail-data reader, [`address`] reads a
//! fax number out of a recipient (RFC 3191, RFC 3192, RFC 4143 forms), [`message`] finds the document in a MIME
//! mail, [`listener`] gives sockets to sessions, and [`ingress`] is the policy: which faxbox, who may, which job.
//!
//! Out: [`notice`] words a mail about one fax, [`mailer`] sends what is due through a smarthost and keeps it until
//! the smarthost has taken it over.

pub mod address;
pub mod data;
pub mod ingress;
pub mod listener;
pub mod mailer;
pub mod message;
pub mod notice;
mod once;
pub mod session;
