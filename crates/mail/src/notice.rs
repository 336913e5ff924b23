//! One mail about one fax: subject, plain text, HTML, the first page as a picture, the fax as PDF (RFC 5322, RFC 2045).

use std::fmt::Write as _;

use fax_document::{FaxDocument, PdfInfo, first_page_png, to_pdf};
use fax_store::model::{Job, Notice, NoticeKind, Received, Timestamp};
use jiff::tz::TimeZone;
use lettre::message::header::{self, Header, HeaderName, HeaderValue};
use lettre::message::{Attachment, Body, Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};

/// Width of the picture of the first page, pels.
const PICTURE_WIDTH: u32 = 600;
/// The picture's Content-ID.
const PICTURE_ID: &str = "first-page@ferrofax";

/// What a notice tells, ready to be worded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Subject of the mail.
    pub subject: String,
    /// One sentence that says it.
    pub headline: String,
    /// What there is to know, as label and value.
    pub rows: Vec<(&'static str, String)>,
    /// Name of the attached file without extension.
    pub file_name: String,
}

/// What is told about a job.
#[must_use]
pub fn about_job(kind: NoticeKind, job: &Job, zone: &TimeZone) -> News {
    let whom = name_number(&job.to_name, &job.to_number);
    let last = job.attempts.last();
    let why = job.reason.clone().or_else(|| last.map(|a| a.outcome.text.clone())).filter(|w| !w.is_empty());
    let (subject, headline) = match kind {
        NoticeKind::Sent => {
            (format!("Fax has been sent to {whom}"), format!("Your fax to {whom} was sent and confirmed."))
        }
        NoticeKind::Uncertain => (
            format!("Fax to {whom} may not have arrived"),
            format!(
                "Every page of your fax to {whom} was sent, but the other side did not confirm the last one. It has probably arrived. It will not be sent again by itself: please ask the recipient."
            ),
        ),
        NoticeKind::Failed | NoticeKind::Received | NoticeKind::ReceiveFailed | NoticeKind::Event => {
            (format!("Error sending Fax to {whom}"), format!("Your fax to {whom} could not be sent."))
        }
    };
    let mut rows = vec![("To", whom)];
    let mut row = |label, value: String| rows.push((label, value));
    if let Some(why) = why.filter(|_| kind != NoticeKind::Sent) {
        row("Reason", why);
    }
    if !job.from_number.is_empty() {
        row("From", name_number(&job.from_name, &job.from_number));
    }
    if let Some(subject) = &job.subject {
        row("Subject", clean(subject));
    }
    if job.pages > 0 {
        row("Pages", format!("{} of {} confirmed", job.pages_confirmed(), job.pages));
    }
    for remark in &job.remarks {
        row("Please check", clean(remark));
    }
    row("Accepted", local_time(job.created, zone));
    if let Some(last) = last {
        row(if kind == NoticeKind::Sent { "Sent" } else { "Last attempt" }, local_time(last.ended, zone));
        row("Attempts", format!("{} of {}", job.attempts.len(), job.retries.max(1)));
        if let Some(ident) = last.remote_ident.as_deref().filter(|i| !i.trim().is_empty()) {
            row("Answered by", clean(ident));
        }
        let line = line(last.bit_rate, last.ecm, last.t38);
        if !line.is_empty() {
            row("Line", line);
        }
    }
    row("Job", job.id.to_string());
    let from = if job.from_name.is_empty() { &job.from_number } else { &job.from_name };
    News { subject, headline, rows, file_name: file_name(from, job.created, zone) }
}

/// What is told about a received fax.
#[must_use]
pub fn about_received(kind: NoticeKind, fax: &Received, zone: &TimeZone) -> News {
    let mut whom = name_number(&fax.from_name, &fax.from_number);
    if whom.is_empty() {
        whom = fax
            .remote_ident
            .as_deref()
            .map(clean)
            .filter(|i| !i.is_empty())
            .unwrap_or_else(|| "an unknown number".into());
    }
    let pages = if fax.pages == 1 { "1 page".to_owned() } else { format!("{} pages", fax.pages) };
    let (subject, headline) = match (kind, fax.pages) {
        (NoticeKind::ReceiveFailed, 0) => {
            (format!("Error receiving fax from {whom}"), format!("A fax from {whom} could not be received."))
        }
        (NoticeKind::ReceiveFailed, _) => (
            format!("Error receiving fax from {whom}"),
            format!(
                "A fax from {whom} broke off. What came, {pages}, is attached; ask the sender for the rest."
            ),
        ),
        _ => (format!("New fax from {whom}"), format!("A fax of {pages} from {whom} has arrived.")),
    };
    let mut rows = vec![("From", whom.clone())];
    let mut row = |label, value: String| rows.push((label, value));
    if kind == NoticeKind::ReceiveFailed && !fax.result_text.is_empty() {
        row("Reason", fax.result_text.clone());
    }
    row("To", fax.to_number.clone());
    if !fax.diverted_from.is_empty() {
        row("Diverted from", clean(&fax.diverted_from));
    }
    row("Pages", fax.pages.to_string());
    row("Received", local_time(fax.created, zone));
    if let Some(ident) = fax.remote_ident.as_deref().filter(|i| !i.trim().is_empty()) {
        row("Sender's station", clean(ident));
    }
    let line = line(fax.bit_rate, fax.ecm, fax.t38);
    if !line.is_empty() {
        row("Line", line);
    }
    if fax.bad_rows > 0 {
        row("Damaged rows", fax.bad_rows.to_string());
    }
    row("Fax", fax.id.to_string());
    let from = if fax.from_name.is_empty() { &fax.from_number } else { &fax.from_name };
    News { subject, headline, rows, file_name: file_name(from, fax.created, zone) }
}

fn line(bit_rate: Option<u32>, ecm: bool, t38: bool) -> String {
    let rate = bit_rate.map(|r| format!("{r} bit/s")).into_iter();
    let parts: Vec<String> =
        rate.chain(ecm.then(|| "ECM".to_owned())).chain(t38.then(|| "T.38".to_owned())).collect();
    parts.join(", ")
}

/// `Name (number)`, or the one of them that there is.
fn name_number(name: &str, number: &str) -> String {
    let (name, number) = (clean(name), clean(number));
    match (name.is_empty() || name == number, number.is_empty()) {
        (true, _) => number,
        (false, true) => name,
        (false, false) => format!("{name} ({number})"),
    }
}

/// One line without control characters, at most 120 characters: what a stranger's fax machine says goes into headers.
fn clean(text: &str) -> String {
    let kept: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(120).collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn local_time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_jiff().to_zoned(zone.clone()).strftime("%a, %d %b %Y %H:%M:%S %Z").to_string()
}

/// `<name or number>_<local time>`, lower case, only letters, digits, `+ - . _`.
fn file_name(from: &str, at: Timestamp, zone: &TimeZone) -> String {
    let from = if from.trim().is_empty() { "unknown" } else { from.trim() };
    let time = at.to_jiff().to_zoned(zone.clone()).strftime("%Y-%m-%d_%H-%M-%S");
    let safe = |c: char| {
        if c.is_alphanumeric() || matches!(c, '+' | '-' | '.') { c } else { '_' }
    };
    let name: String = from.chars().take(60).flat_map(char::to_lowercase).map(safe).collect();
    format!("{}_{time}", name.trim_start_matches('.'))
}

/// The pages of a fax as a mail shows them.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    /// All of them as PDF.
    pub pdf: Option<Vec<u8>>,
    /// The first as PNG.
    pub picture: Option<Vec<u8>>,
    /// They are too large to be attached.
    pub left_out: bool,
}

impl Pages {
    /// The pages of a TIFF-F; takes a while. More than `limit` octets are not attached.
    #[must_use]
    pub fn of_tiff(octets: &[u8], limit: usize) -> Self {
        let document = match FaxDocument::from_tiff(octets) {
            Ok(document) => document,
            Err(error) => {
                tracing::error!(%error, "a stored fax cannot be read for its mail");
                return Pages::default();
            }
        };
        let pdf = to_pdf(&document, &PdfInfo::default());
        let left_out = pdf.len() > limit;
        let picture = first_page_png(&document, PICTURE_WIDTH);
        Pages { pdf: (!left_out).then_some(pdf), picture: (!picture.is_empty()).then_some(picture), left_out }
    }
}

/// `Auto-Submitted: auto-generated` (RFC 3834 §5): no program is to answer.
#[derive(Clone, Debug)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(AutoSubmitted)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".into())
    }
}

/// Why a mail could not be made.
pub type ComposeError = Box<dyn std::error::Error + Send + Sync>;

/// The whole mail to one recipient. Its Message-ID is made of the notice's id, so that a mail sent twice is known as one.
///
/// # Errors
///
/// A part that cannot be put together.
pub fn compose(
    notice: &Notice,
    to: &Address,
    from: &Mailbox,
    about: &News,
    pages: Pages,
) -> Result<Message, ComposeError> {
    let mut text = format!("{}\n\n", about.headline);
    let mut html = format!(
        "<!DOCTYPE html><html><head><meta charset=\"utf-8\"></head><body style=\"font-family:sans-serif\"><p>{}</p><table cellpadding=\"3\">",
        escape(&about.headline)
    );
    for (label, value) in &about.rows {
        let _ = writeln!(text, "{label}: {value}");
        let _ = write!(
            html,
            "<tr><td style=\"color:#666\">{}</td><td>{}</td></tr>",
            escape(label),
            escape(value)
        );
    }
    html += "</table>";
    if pages.left_out {
        let said = "The fax is too large to be attached; fetch it from your fax box, where it is kept.";
        let _ = write!(text, "\n{said}\n");
        let _ = write!(html, "<p>{said}</p>");
    }
    if pages.picture.is_some() {
        let _ = write!(
            html,
            "<p><img src=\"cid:{PICTURE_ID}\" alt=\"First page\" style=\"border:1px solid #999;max-width:100%\"></p>"
        );
    }
    html += "</body></html>";

    let png = header::ContentType::parse("image/png")?;
    let html = SinglePart::html(html);
    let html = match pages.picture {
        Some(picture) => {
            let picture = Attachment::new_inline(PICTURE_ID.to_owned()).body(Body::new(picture), png);
            MultiPart::related().singlepart(html).singlepart(picture)
        }
        None => MultiPart::related().singlepart(html),
    };
    let mut mail = MultiPart::mixed()
        .multipart(MultiPart::alternative().singlepart(SinglePart::plain(text)).multipart(html));
    if let Some(pdf) = pages.pdf {
        let name = format!("{}.pdf", about.file_name);
        mail = mail.singlepart(
            Attachment::new(name).body(Body::new(pdf), header::ContentType::parse("application/pdf")?),
        );
    }
    let builder = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to.clone()))
        .subject(about.subject.as_str())
        .date(std::time::SystemTime::now())
        .message_id(Some(format!("<{}@{}>", notice.id, from.email.domain())))
        .header(AutoSubmitted);
    Ok(builder.multipart(mail)?)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
