//! The document of a fax by HTTP: what Accept asks for, entity tags and ranges (RFC 9110 §12.5.1, §13, §14).

use std::cmp::Reverse;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use fax_store::model::AccountId;
use fax_switch::{Attachment, Format, Service, ServiceError};
use sha2::{Digest, Sha256};

use crate::envelope::Fault;
use crate::faxes::find;
use crate::request::Query;
use crate::route::{Folder, Scope};

/// The document of the fax `id`.
///
/// # Errors
///
/// 404, 406, 416 for a range outside it, 503.
pub async fn get(
    service: &Service,
    scope: &Scope,
    folder: Folder,
    id: &str,
    headers: &HeaderMap,
    query: &Query,
    default: Format,
) -> Result<Response<Body>, Fault> {
    let found = find(service, scope, folder, id).await?;
    let accept = query
        .get("accept")
        .map(String::as_str)
        .or_else(|| headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()));
    let wanted = format(accept, default).ok_or_else(Fault::not_acceptable)?;
    let account = AccountId::new(scope.account.as_str());
    let which = found.which();
    let mut got = service.attachment(&account, &which, wanted).await;
    // Of what was fetched and not kept, or let go since, there is no original.
    if let (Format::Original, Err(ServiceError::NoDocument)) = (wanted, &got) {
        let other = format(accept, Format::Pdf).ok_or_else(Fault::not_acceptable)?;
        got = service.attachment(&account, &which, other).await;
    }
    let mut attachment = got.map_err(|e| Fault::of_service(&e, id))?;
    let extension = if wanted == Format::Original {
        typed(&mut attachment)
    } else {
        attachment.file_name.rsplit_once('.').map_or("bin", |(_, e)| e).to_owned()
    };
    attachment.file_name = format!("fax_document_{}.{extension}", stamp(&found));
    let inline = query.get("disposition").is_some_and(|d| d == "inline");
    Ok(respond(&attachment, headers, inline))
}

/// Names an original by what it is, not by what a stranger said: nothing comes from here that a browser would run. Answers
/// the usual ending of its name.
fn typed(attachment: &mut Attachment) -> String {
    let (kind, name) = (Some(attachment.content_type.as_str()), Some(attachment.file_name.as_str()));
    let known = fax_document::sniff(&attachment.octets, kind, name);
    attachment.content_type = known.map_or("application/octet-stream", |f| f.media_type()).to_owned();
    known.map_or("bin", |f| f.extension()).to_owned()
}

fn stamp(found: &crate::faxes::Found) -> String {
    let (at, zone) = match found {
        crate::faxes::Found::Job(job) => (job.created, job.timezone.as_str()),
        crate::faxes::Found::Fax(fax) => (fax.created, ""),
    };
    let zone = jiff::tz::TimeZone::get(zone).unwrap_or(jiff::tz::TimeZone::UTC);
    at.to_jiff().to_zoned(zone).strftime("%Y-%m-%d_%H-%M-%S").to_string()
}

/// The format that an Accept field asks for; `None` if it wants neither PDF nor TIFF.
fn format(accept: Option<&str>, default: Format) -> Option<Format> {
    let Some(accept) = accept.filter(|a| !a.trim().is_empty()) else {
        return Some(default);
    };
    let ranges: Vec<(String, u32)> = accept
        .split(',')
        .map(|item| {
            let item = item.to_ascii_lowercase();
            let mut fields = item.split(';').map(str::trim);
            let range = fields.next().unwrap_or_default().to_owned();
            let quality = fields.find_map(|f| f.strip_prefix("q=")?.trim().parse::<f32>().ok());
            // Thousandths, as RFC 9110 §12.4.2 has them.
            (range, (quality.unwrap_or(1.0).clamp(0.0, 1.0) * 1000.0).round() as u32)
        })
        .collect();
    // How much one is wanted: by the range that names it most exactly (§12.5.1), of such the first; 0 is not at all.
    let wanted = |format: Format| {
        let exactly = |range: &str| match (range, format) {
            ("application/pdf" | "application/x-pdf", Format::Pdf) => Some(2),
            ("image/tiff" | "image/tif" | "image/x-tiff", Format::Tiff) => Some(2),
            ("application/*", Format::Pdf) | ("image/*", Format::Tiff) => Some(1),
            ("*/*" | "*", _) => Some(0),
            ("application/octet-stream", _) if format == default => Some(0),
            _ => None,
        };
        let named =
            ranges.iter().enumerate().filter_map(|(at, (range, q))| Some((exactly(range)?, Reverse(at), *q)));
        let (exact, at, quality) = named.max()?;
        (quality > 0).then_some(((quality, exact, at, format == default), format))
    };
    let all = [default, Format::Pdf, Format::Tiff];
    all.into_iter().filter_map(wanted).max_by_key(|(how, _)| *how).map(|(_, format)| format)
}

/// The answer for a document: 200, 206, 304 or 416.
fn respond(attachment: &Attachment, headers: &HeaderMap, inline: bool) -> Response<Body> {
    let length = attachment.octets.len();
    let tag = format!("\"{}\"", hex::encode(&Sha256::digest(&attachment.octets)[..16]));
    let text = |name: header::HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    let mut response = Response::new(Body::empty());
    let fields = response.headers_mut();
    let mut set = |name: header::HeaderName, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            fields.insert(name, value);
        }
    };
    set(header::ETAG, tag.clone());
    set(header::ACCEPT_RANGES, "bytes".into());
    let matches = |field: &str| {
        field.split(',').any(|t| matches!(t.trim(), "*") || t.trim().trim_start_matches("W/") == tag)
    };
    if text(header::IF_NONE_MATCH).is_some_and(matches) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    // RFC 9110 §13.1.5: with If-Range a range counts only while the entity is the same.
    let range = text(header::RANGE).filter(|_| text(header::IF_RANGE).is_none_or(|t| t.trim() == tag));
    let body = match range.and_then(|r| byte_range(r, length)) {
        None => attachment.octets.clone(),
        Some(Some((first, last))) => {
            set(header::CONTENT_RANGE, format!("bytes {first}-{last}/{length}"));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            attachment.octets.slice(first..=last)
        }
        Some(None) => {
            set(header::CONTENT_RANGE, format!("bytes */{length}"));
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            return response;
        }
    };
    let fields = response.headers_mut();
    let disposition = if inline { "inline" } else { "attachment" };
    let disposition = format!("{disposition}; filename={}", attachment.file_name);
    for (name, value) in
        [(header::CONTENT_TYPE, attachment.content_type.clone()), (header::CONTENT_DISPOSITION, disposition)]
    {
        if let Ok(value) = HeaderValue::try_from(value) {
            fields.insert(name, value);
        }
    }
    *response.body_mut() = Body::from(body);
    response
}

/// A single range of octets: `None` to be passed over (several ranges, other units, nonsense), `Some(None)` outside.
fn byte_range(field: &str, length: usize) -> Option<Option<(usize, usize)>> {
    let spec = field.trim().strip_prefix("bytes=")?.trim();
    let (first, last) = spec.split_once('-')?;
    let number = |t: &str| t.trim().parse::<usize>().ok();
    match (first.trim(), last.trim()) {
        ("", suffix) => {
            let count = number(suffix)?.min(length);
            Some((count > 0).then(|| (length - count, length - 1)))
        }
        (first, last) => {
            let first = number(first)?;
            let last = if last.is_empty() { usize::MAX } else { number(last)? };
            if last < first {
                return None;
            }
            Some((first < length).then(|| (first, last.min(length - 1))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_chooses_between_pdf_and_tiff() {
        for (accept, wanted) in [
            (None, Some(Format::Pdf)),
            (Some("*/*"), Some(Format::Pdf)),
            (Some("image/tiff"), Some(Format::Tiff)),
            (Some("application/pdf"), Some(Format::Pdf)),
            (Some("text/html, application/pdf;q=0.5, image/tiff;q=0.9, */*;q=0.1"), Some(Format::Tiff)),
            (Some("application/json, */*"), Some(Format::Pdf)),
            (Some("application/json"), None),
            (Some("image/tiff;q=0"), None),
            (Some("application/pdf;q=0, */*"), Some(Format::Tiff)),
            (Some("*/*, application/pdf; Q=0.0"), Some(Format::Tiff)),
            (Some("image/*;q=0, application/*;q=0, */*"), None),
            (Some("image/tiff, application/pdf"), Some(Format::Tiff)),
            (Some("image/tiff, */*"), Some(Format::Tiff)),
        ] {
            assert_eq!(format(accept, Format::Pdf), wanted, "{accept:?}");
        }
        for (accept, wanted) in [
            (None, Some(Format::Original)),
            (Some("text/html, */*;q=0.8"), Some(Format::Original)),
            (Some("application/pdf"), Some(Format::Pdf)),
            (Some("image/tiff, */*"), Some(Format::Tiff)),
            (Some("image/png"), None),
        ] {
            assert_eq!(format(accept, Format::Original), wanted, "{accept:?}");
        }
    }

    #[test]
    fn an_original_is_called_what_it_is() {
        for (octets, said, name, wanted) in [
            (&b"%PDF-1.7"[..], "text/html", "x.html", ("application/pdf", "pdf")),
            (b"<script>", "text/html", "x.html", ("application/octet-stream", "bin")),
            (b"hello", "text/plain; charset=utf-8", "x.sh; a=b", ("text/plain", "txt")),
            (b"II\x2A\0", "application/octet-stream", "", ("image/tiff", "tiff")),
        ] {
            let mut original =
                Attachment { content_type: said.into(), file_name: name.into(), octets: octets.into() };
            assert_eq!(typed(&mut original), wanted.1);
            assert_eq!(original.content_type, wanted.0);
        }
    }

    #[test]
    fn ranges_are_cut_to_the_document() {
        for (field, wanted) in [
            ("bytes=0-3", Some(Some((0, 3)))),
            ("bytes=4-", Some(Some((4, 9)))),
            ("bytes=-3", Some(Some((7, 9)))),
            ("bytes=-30", Some(Some((0, 9)))),
            ("bytes=9-99999999999", Some(Some((9, 9)))),
            ("bytes=10-", Some(None)),
            ("bytes=-0", Some(None)),
            ("bytes=5-4", None),
            ("bytes=0-1,3-4", None),
            ("lines=0-1", None),
            ("bytes=x-", None),
        ] {
            assert_eq!(byte_range(field, 10), wanted, "{field}");
        }
        assert_eq!(byte_range("bytes=0-", 0), Some(None));
    }
}
