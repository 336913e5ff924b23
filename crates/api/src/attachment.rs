//! The document of a fax by HTTP: what Accept asks for, entity tags and ranges (RFC 9110 §12.5.1, §13, §14).

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use fax_store::model::AccountId;
use fax_switch::{Attachment, Format, Service};
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
    let format = format(accept, default).ok_or_else(Fault::not_acceptable)?;
    let account = AccountId::new(scope.account.as_str());
    let mut attachment =
        service.attachment(&account, &found.which(), format).await.map_err(|e| Fault::of_service(&e, id))?;
    let name = attachment.file_name.clone();
    let extension = name.rsplit_once('.').map_or("bin", |(_, e)| e);
    attachment.file_name = format!("fax_document_{}.{}", stamp(&found), extension);
    let inline = query.get("disposition").is_some_and(|d| d == "inline");
    Ok(respond(&attachment, headers, inline))
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
    let mut best: Option<(u32, u8, Format)> = None;
    for item in accept.split(',') {
        let mut fields = item.split(';');
        let range = fields.next().unwrap_or_default().trim().to_ascii_lowercase();
        let quality =
            fields.find_map(|f| f.trim().strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok()));
        // Thousandths, as RFC 9110 §12.4.2 has them.
        let quality = (quality.unwrap_or(1.0).clamp(0.0, 1.0) * 1000.0).round() as u32;
        let (exact, format) = match range.as_str() {
            "application/pdf" | "application/x-pdf" => (1, Format::Pdf),
            "image/tiff" | "image/tif" | "image/x-tiff" => (1, Format::Tiff),
            "application/*" => (0, Format::Pdf),
            "image/*" => (0, Format::Tiff),
            "*/*" | "*" | "application/octet-stream" => (0, default),
            _ => continue,
        };
        if quality > 0 && best.is_none_or(|(q, e, _)| (quality, exact) > (q, e)) {
            best = Some((quality, exact, format));
        }
    }
    best.map(|(_, _, format)| format)
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
        ] {
            assert_eq!(format(accept, Format::Pdf), wanted, "{accept:?}");
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
