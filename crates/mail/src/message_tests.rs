//! Mails good and bad: what is faxed of them, and what is refused within bounds.

use super::*;

const PDF: &str = "JVBERi0xLjQKJSVFT0YK"; // "%PDF-1.4\n%%EOF\n"

fn multipart(parts: &[&str]) -> Vec<u8> {
    let mut mail = "From: a@b\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=XX\r\n\r\n".to_owned();
    for part in parts {
        mail += &format!("--XX\r\n{part}\r\n");
    }
    (mail + "--XX--\r\n").into_bytes()
}

fn pdf_part(kind: &str, name: &str) -> String {
    format!(
        "Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"{name}\"\r\n\r\n{PDF}\r\n"
    )
}

#[test]
fn every_usable_part_is_faxed_in_order() {
    let text = "Content-Type: text/plain\r\n\r\nhello\r\n";
    let logo =
        "Content-Type: image/png; name=logo.png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0K\r\n";
    let mail = multipart(&[
        text,
        &pdf_part("application/pdf", "one.pdf"),
        &pdf_part("application/x-pdf", "C:\\\\x\\\\two.pdf"),
        logo,
    ]);
    let fax = fax_mail(&mail).unwrap();
    assert_eq!(fax.subject.as_deref(), Some("Grüße"));
    let names: Vec<_> = fax.attachments.iter().map(|a| a.file_name.as_deref()).collect();
    assert_eq!(names, [Some("one.pdf"), Some("two.pdf")]);
    for attachment in &fax.attachments {
        assert_eq!(attachment.content_type, "application/pdf");
        assert_eq!(&attachment.octets[..], b"%PDF-1.4\n%%EOF\n");
    }
}

#[test]
fn octet_stream_goes_by_its_name() {
    let named = |name: &str| fax_mail(&multipart(&[&pdf_part("application/octet-stream", name)]));
    assert_eq!(named("Letter.PDF").unwrap().attachments[0].content_type, "application/pdf");
    assert_eq!(named("scan.tif").unwrap().attachments[0].content_type, "image/tiff");
    assert_eq!(named("letter.docx"), Err(MailFault::Office));
    assert_eq!(named("scan.JPG").unwrap().attachments[0].content_type, "image/jpeg");
    assert_eq!(named("virus.exe"), Err(MailFault::NoAttachment));
    assert_eq!(named("noextension"), Err(MailFault::NoAttachment));
}

#[test]
fn a_mail_that_is_nothing_but_a_pdf_is_taken() {
    let mail = format!(
        "From: a@b\r\nMIME-Version: 1.0\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n{PDF}\r\n"
    );
    let fax = fax_mail(mail.as_bytes()).unwrap();
    assert_eq!((&fax.attachments[0].octets[..], fax.subject), (&b"%PDF-1.4\n%%EOF\n"[..], None));
}

#[test]
fn nested_multiparts_and_forwarded_mails_are_looked_into() {
    let inner = format!(
        "Content-Type: multipart/alternative; boundary=YY\r\n\r\n--YY\r\nContent-Type: text/plain\r\n\r\nx\r\n--YY\r\n{}\r\n--YY--\r\n",
        pdf_part("application/pdf", "in.pdf")
    );
    assert!(fax_mail(&multipart(&[&inner])).is_ok());
    let forwarded = format!(
        "Content-Type: message/rfc822\r\n\r\nFrom: c@d\r\nContent-Type: multipart/mixed; boundary=YY\r\n\r\n--YY\r\n{}\r\n--YY--\r\n",
        pdf_part("application/pdf", "fw.pdf")
    );
    assert_eq!(
        fax_mail(&multipart(&[&forwarded])).unwrap().attachments[0].file_name.as_deref(),
        Some("fw.pdf")
    );
}

#[test]
fn mails_of_programs_and_mails_that_go_round_are_known() {
    let part = pdf_part("application/pdf", "a.pdf");
    let with = |field: &str| fax_mail(&[field.as_bytes(), &multipart(&[&part])].concat());
    assert!(!with("").unwrap().automatic);
    assert!(!with("Auto-Submitted: no\r\n").unwrap().automatic);
    assert!(with("Auto-Submitted: auto-generated; x=y\r\n").unwrap().automatic);
    let hops = "Received: from a by b; Sat, 21 Nov 2026 00:00:00 +0000\r\n";
    assert!(with(&hops.repeat(20)).is_ok());
    assert_eq!(with(&hops.repeat(101)), Err(MailFault::Loop));
}

#[test]
fn nothing_to_fax_is_said() {
    assert_eq!(fax_mail(b"Subject: hi\r\n\r\njust text\r\n"), Err(MailFault::NoAttachment));
    assert_eq!(fax_mail(&multipart(&[])), Err(MailFault::NoAttachment));
    assert!(fax_mail(b"").is_err());
    assert!(fax_mail(b"\0\xff\r\n").is_err());
    let broken =
        "Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n%%%%not base64%%%%\r\n";
    assert!(fax_mail(&multipart(&[broken])).is_err());
    // One that would be lost beside a good one, and more than anybody means.
    let good = pdf_part("application/pdf", "a.pdf");
    assert_eq!(fax_mail(&multipart(&[&good, broken])), Err(MailFault::Undecodable));
    assert!(fax_mail(&multipart(&[good.as_str(); 20])).is_ok());
    assert_eq!(fax_mail(&multipart(&[good.as_str(); 21])), Err(MailFault::TooMany));
}

#[test]
fn office_documents_are_refused_whatever_lies_beside_them() {
    for kind in [
        "application/msword",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.oasis.opendocument.text",
    ] {
        let mail = multipart(&[&pdf_part("application/pdf", "a.pdf"), &pdf_part(kind, "b")]);
        assert_eq!(fax_mail(&mail), Err(MailFault::Office), "{kind}");
    }
    assert_eq!(MailFault::Office.to_string(), "Office documents cannot be faxed; send a PDF");
}

/// What is attached is faxed; what belongs to a text is not.
#[test]
fn pictures_that_are_attached_are_faxed_and_logos_are_not() {
    let png = "iVBORw0KGgo=";
    let picture = |disposition: &str| {
        format!("Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n{disposition}\r\n{png}")
    };
    let pdf = pdf_part("application/pdf", "a.pdf");
    let attached = picture("Content-Disposition: attachment; filename=scan.png\r\n");
    let inline = picture("Content-Disposition: inline; filename=logo.png\r\n");
    let kinds = |mail: &[u8]| -> Vec<String> {
        fax_mail(mail).unwrap().attachments.into_iter().map(|a| a.content_type).collect()
    };
    assert_eq!(kinds(&multipart(&[&pdf, &attached])), ["application/pdf", "image/png"]);
    assert_eq!(kinds(&multipart(&[&pdf, &inline, &picture("")])), ["application/pdf"]);
    let related = format!(
        "Content-Type: multipart/related; boundary=YY\r\n\r\n--YY\r\nContent-Type: text/html\r\n\r\nx\r\n--YY\r\n{attached}\r\n--YY--"
    );
    assert_eq!(kinds(&multipart(&[&related, &pdf])), ["application/pdf"]);
}

/// Octets that are no text stay what they are, whatever they are called.
#[test]
fn binary_documents_are_not_mangled() {
    let document = b"%PDF-1.4\n\xff\xfe\x00\x80\n%%EOF";
    for head in [
        "Content-Type: text/pdf; charset=iso-8859-1\r\n",
        "Content-Disposition: attachment; filename=a.pdf\r\n",
    ] {
        let mail = [
            b"Content-Type: multipart/mixed; boundary=XX\r\n\r\n--XX\r\n",
            head.as_bytes(),
            b"Content-Transfer-Encoding: binary\r\n\r\n",
            document,
            b"\r\n--XX--\r\n",
        ]
        .concat();
        assert_eq!(&fax_mail(&mail).unwrap().attachments[0].octets[..], document, "{head}");
    }
}

/// Base64 in lines of 76, as mailers write it.
fn base64(octets: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for (nth, group) in octets.chunks(3).enumerate() {
        let all = (0..3).fold(0u32, |sum, i| sum << 8 | u32::from(group.get(i).copied().unwrap_or(0)));
        for i in 0..4 {
            let digit = DIGITS[(all >> (18 - 6 * i) & 63) as usize];
            text.push(if i > group.len() { '=' } else { digit.into() });
        }
        if nth % 19 == 18 {
            text.push_str("\r\n");
        }
    }
    text
}

/// A mail that holds the other one as `head` says.
fn holding(head: &str, inner: &[u8]) -> Vec<u8> {
    [head.as_bytes(), b"\r\n\r\n", inner].concat()
}

#[test]
fn forwarded_mails_are_looked_into_three_deep_and_encoded_too() {
    let pdf = pdf_part("application/pdf", "deep.pdf");
    let nest = |own_boundaries: bool| {
        let mut mail = multipart(&[&pdf]);
        for level in 0..3 {
            let mut inner = String::from_utf8(mail).unwrap();
            if own_boundaries {
                inner = inner.replace("XX", &format!("Y{level}"));
            }
            let beside = pdf_part("application/pdf", "beside.pdf");
            let inner = format!("Content-Type: message/rfc822\r\n\r\n{inner}");
            mail = multipart(&["Content-Type: text/plain\r\n\r\nsee below", &inner, &beside]);
        }
        mail
    };
    let mail = nest(true);
    let names: Vec<_> = fax_mail(&mail).unwrap().attachments.into_iter().map(|a| a.file_name).collect();
    let names: Vec<_> = names.iter().map(|n| n.as_deref().unwrap_or_default()).collect();
    assert_eq!(names, ["deep.pdf", "beside.pdf", "beside.pdf", "beside.pdf"]);
    assert_eq!(
        fax_mail(&nest(false)).unwrap().attachments.len(),
        4,
        "one boundary for all, and nothing is lost"
    );
    let encoded = "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64";
    let once = holding(encoded, base64(&multipart(&[&pdf])).as_bytes());
    assert_eq!(fax_mail(&once).unwrap().attachments[0].file_name.as_deref(), Some("deep.pdf"));
    // In a digest what has no type is a mail.
    let inner = String::from_utf8(multipart(&[&pdf])).unwrap();
    let digest =
        format!("Content-Type: multipart/digest; boundary=DD\r\n\r\n--DD\r\n\r\n{inner}\r\n--DD--\r\n");
    assert_eq!(fax_mail(digest.as_bytes()).unwrap().attachments.len(), 1);
}

/// Each would be the end of a stack or of the memory, were it followed.
#[test]
fn mails_without_bottom_are_refused() {
    let deep = Err(MailFault::TooDeep);
    for field in [
        "Content-Type: message/rfc822",
        "content-TYPE : MESSAGE/RFC822; x=y",
        "Content-Type: (a (nested) comment) message/rfc822",
        "Content-Type:\r\n message/rfc822",
        "Content-Type: message/global\r\nContent-Transfer-Encoding: 8BIT",
        "Content-Type: text/plain\r\nContent-Type: message/rfc822",
    ] {
        let mail = format!("{field}\r\n\r\n").repeat(200_000);
        assert_eq!(fax_mail(mail.as_bytes()), deep, "{field}");
        assert_eq!(fax_mail(mail.replace("\r\n", "\n").as_bytes()), deep, "{field}");
    }
    let levels = |one: &dyn Fn(usize) -> String| (0..20_000).map(one).collect::<String>();
    let digest = levels(&|n| format!("Content-Type: multipart/digest; boundary=b{n}\r\n\r\n--b{n}\r\n\r\n"));
    assert_eq!(fax_mail(digest.as_bytes()), deep);
    let mixed = levels(&|n| format!("Content-Type: multipart/mixed; boundary=\"b {n}\"\r\n\r\n--b {n}\r\n"));
    assert_eq!(fax_mail(mixed.as_bytes()), deep);
    // One boundary for all of them: whatever is made of it, it ends.
    let same = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".repeat(50_000);
    assert!(fax_mail(same.as_bytes()).is_err());
    for encoding in ["base64", "quoted-printable"] {
        let head = format!("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: {encoding}");
        let mut mail = multipart(&[&pdf_part("application/pdf", "a.pdf")]);
        for _ in 0..20 {
            let inner = match encoding {
                "base64" => base64(&mail).into_bytes(),
                _ => String::from_utf8(mail).unwrap().replace('=', "=3D").into_bytes(),
            };
            mail = holding(&head, &inner);
        }
        assert_eq!(fax_mail(&mail), deep, "{encoding}");
        // Two hundred levels, of which only the outermost can be whole.
        let mail = format!("{head}\r\n\r\n").repeat(200);
        assert!(fax_mail(mail.as_bytes()).is_err(), "{encoding}");
    }
}

#[test]
fn millions_of_fields_parts_and_lines_cost_nothing() {
    let pdf = pdf_part("application/pdf", "a.pdf");
    let fields = "a:b\r\n".repeat(1_000_000);
    let mail = [fields.as_bytes(), &multipart(&[&pdf])].concat();
    assert_eq!(fax_mail(&mail).unwrap().attachments.len(), 1);
    for delimiter in ["--XX\r\n", "--XX\r\n\r\n", "--XX\nContent-Type: text/plain\n\nx\n"] {
        let head = "Content-Type: multipart/mixed; boundary=XX\r\n\r\n";
        let mail = format!("{head}{}", delimiter.repeat(500_000));
        assert_eq!(fax_mail(mail.as_bytes()), Err(MailFault::TooManyParts), "{delimiter:?}");
    }
    let text = "Content-Type: text/plain\r\n\r\nx";
    assert!(fax_mail(&multipart(&[&[text; 900][..], &[&pdf]].concat())).is_ok());
    let endless = format!("Content-Type: application/pdf;{}\r\n\r\nx", " a=b;\r\n".repeat(100_000));
    assert_eq!(fax_mail(endless.as_bytes()), Err(MailFault::Undecodable));
    let subject = format!("Subject: {}\r\n", "=?utf-8?q?=41?= ".repeat(100_000));
    let mail = [subject.as_bytes(), &multipart(&[&pdf])].concat();
    assert_eq!(fax_mail(&mail).unwrap().attachments.len(), 1);
}

#[test]
fn the_message_id_is_told_if_it_is_one() {
    let with = |field: &str| {
        let part = pdf_part("application/pdf", "a.pdf");
        fax_mail(&[field.as_bytes(), &multipart(&[&part])].concat()).unwrap().message_id
    };
    assert_eq!(with(""), None);
    assert_eq!(with("message-id:\r\n <a@b>\r\n").as_deref(), Some("<a@b>"));
    assert_eq!(with("Message-ID: <a@b>\r\nResent-Message-ID: <c@d>\r\n").as_deref(), Some("<a@b><c@d>"));
    assert_eq!(with("Message-ID: \r\n"), None);
    assert_eq!(with(&format!("Message-ID: <{}@b>\r\n", "x".repeat(1000))), None);
}
