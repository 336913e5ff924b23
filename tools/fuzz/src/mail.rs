//! Mail: the SMTP session and the document in a mail. Their files are compiled here because the crate that they belong
//! to is heavy with what mail is turned into.

use crate::input::Choices;
use fax_base::Instant;
use message::fax_mail;
use session::{Disposition, Input, Limits, Output, Session, Verdict};

#[allow(dead_code)]
#[path = "../../../crates/mail/src/message.rs"]
mod message;

#[allow(dead_code)]
#[path = "../../../crates/mail/src/session.rs"]
mod session;

/// Octets of a client in any pieces, and any answers.
pub fn session(octets: &[u8]) {
    let c = &mut Choices::new(octets);
    let answers = c.octet();
    let limits = Limits { message: 2_000, ..Limits::default() };
    let mut session = Session::new("fax.example", limits);
    let mut now = Instant::ZERO;
    session.handle(now, Input::Connected);
    let mut closed = answer(&mut session, now, answers);
    while !c.is_empty() && !closed {
        let size = if answers & 0x80 == 0 { 200 } else { usize::from(c.octet()) + 1 };
        session.handle(now, Input::Octets(c.octets(size)));
        closed = answer(&mut session, now, answers);
    }
    while let Some(due) = session.deadline() {
        now = now.max(due);
        session.handle(now, Input::Timeout);
        let over = answer(&mut session, now, answers);
        assert!(over || session.deadline().is_none_or(|d| d > now), "a timer stays due");
        if over {
            return;
        }
    }
}

fn answer(session: &mut Session, now: Instant, answers: u8) -> bool {
    for _ in 0..10_000 {
        let Some(output) = session.poll() else { return false };
        match output {
            Output::Send(octets) => assert!(octets.ends_with(b"\r\n")),
            Output::Recipient { .. } => {
                let verdict = match answers & 3 {
                    0 | 1 => Verdict::Accept,
                    2 => Verdict::NotFound,
                    _ => Verdict::TryLater,
                };
                session.handle(now, Input::Recipient(verdict));
            }
            Output::Mail(envelope) => {
                assert!(!envelope.recipients.is_empty() && envelope.octets.len() <= 2_000);
                let _ = fax_mail(&envelope.octets);
                session.handle(now, Input::Mail(Disposition::Queued(vec!["1".into()])));
            }
            Output::Close => return true,
        }
    }
    panic!("outputs without end");
}

/// A mail.
pub fn message(octets: &[u8]) {
    if let Ok(mail) = fax_mail(octets) {
        assert!((1..=20).contains(&mail.attachments.len()));
        for attachment in mail.attachments {
            assert!(!attachment.content_type.is_empty());
            assert!(attachment.file_name.is_none_or(|n| !n.contains('/')));
        }
    }
}
