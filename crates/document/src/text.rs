//! Plain text as pages: Courier, 76 characters to the line, set as a PDF and drawn like one (RFC 2646 for
//! the habits of mail).

use crate::{FaxDocument, RenderError, RenderOptions};
use pdf_writer::{Content, Name, Pdf, Rect, Ref, Str};

const COLUMNS: usize = 76;
const LINES: usize = 57;
const SIZE: f32 = 10.5;
const LEADING: f32 = 12.75;
const LEFT: f32 = 57.0;
const TOP: f32 = 785.0;

/// Text in UTF-8 or Latin-1; a form feed begins a page.
pub(crate) fn render(octets: &[u8], options: &RenderOptions) -> Result<FaxDocument, RenderError> {
    let mut lost = 0usize;
    let latin: Vec<u8> = match core::str::from_utf8(octets) {
        Ok(text) => text
            .trim_start_matches('\u{feff}')
            .chars()
            .map(|c| {
                windows_1252(c).unwrap_or_else(|| {
                    lost += 1;
                    b'?'
                })
            })
            .collect(),
        Err(_) => octets.to_vec(),
    };
    if !latin.iter().any(u8::is_ascii_graphic) && !latin.iter().any(|o| *o >= 0x80) {
        return Err(RenderError::Empty);
    }
    let mut pages: Vec<Vec<Vec<u8>>> = vec![Vec::new()];
    for sheet in latin.split(|o| *o == 0x0C) {
        if pages.last().is_some_and(|p| !p.is_empty()) {
            pages.push(Vec::new());
        }
        for line in sheet.split(|o| *o == b'\n') {
            for part in wrapped(line) {
                if pages.last().is_some_and(|p| p.len() >= LINES) {
                    if pages.len() as u64 > u64::from(options.max_pages) {
                        return Err(RenderError::TooManyPages {
                            pages: options.max_pages.saturating_add(1),
                            max: options.max_pages,
                        });
                    }
                    pages.push(Vec::new());
                }
                if let Some(page) = pages.last_mut() {
                    page.push(part);
                }
            }
        }
    }
    while pages.len() > 1 && pages.last().is_some_and(|p| p.iter().all(Vec::is_empty)) {
        pages.pop();
    }
    let mut document = crate::pdf::render(&set(&pages), options)?;
    if lost > 0 {
        document
            .remarks
            .push(format!("{lost} characters have no shape in the font and are shown as question marks."));
    }
    Ok(document)
}

/// Lines of at most [`COLUMNS`] characters, broken at spaces where there are any; tabs to every eighth.
fn wrapped(line: &[u8]) -> Vec<Vec<u8>> {
    let mut flat = Vec::with_capacity(line.len());
    for &o in line {
        match o {
            b'\t' => {
                let until = (flat.len() / 8 + 1) * 8;
                flat.resize(until, b' ');
            }
            o if o < 0x20 || o == 0x7F => {}
            o => flat.push(o),
        }
    }
    let mut parts = Vec::new();
    let mut rest = flat.trim_ascii_end();
    while rest.len() > COLUMNS {
        let head = rest.get(..=COLUMNS).unwrap_or(rest);
        let cut = head.iter().rposition(|o| *o == b' ').filter(|at| *at > 0).unwrap_or(COLUMNS);
        let (part, left) = rest.split_at(cut);
        parts.push(part.trim_ascii_end().to_vec());
        rest = left.trim_ascii_start();
    }
    parts.push(rest.to_vec());
    parts
}

fn set(pages: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let mut pdf = Pdf::new();
    let (catalog, tree, font) = (Ref::new(1), Ref::new(2), Ref::new(3));
    let ids: Vec<(Ref, Ref)> = (0..pages.len())
        .map(|i| {
            let first = i32::try_from(10 + 2 * i).unwrap_or(i32::MAX - 1);
            (Ref::new(first), Ref::new(first + 1))
        })
        .collect();
    pdf.catalog(catalog).pages(tree);
    pdf.pages(tree)
        .kids(ids.iter().map(|(page, _)| *page))
        .count(i32::try_from(ids.len()).unwrap_or(i32::MAX));
    pdf.type1_font(font).base_font(Name(b"Courier")).encoding_predefined(Name(b"WinAnsiEncoding"));
    for (lines, (page_id, content_id)) in pages.iter().zip(ids) {
        let mut content = Content::new();
        content.begin_text();
        content.set_font(Name(b"C"), SIZE);
        content.next_line(LEFT, TOP);
        for line in lines {
            content.show(Str(line));
            content.next_line(0.0, -LEADING);
        }
        content.end_text();
        pdf.stream(content_id, content.finish().as_slice());
        let mut page = pdf.page(page_id);
        page.parent(tree);
        page.media_box(Rect::new(0.0, 0.0, 595.28, 841.89));
        page.contents(content_id);
        page.resources().fonts().pair(Name(b"C"), font);
    }
    pdf.finish()
}

/// The octet of a character in the encoding that PDF calls WinAnsi (ISO 32000-1 annex D.2).
fn windows_1252(c: char) -> Option<u8> {
    const UPPER: [(char, u8); 14] = [
        ('€', 0x80),
        ('‚', 0x82),
        ('„', 0x84),
        ('…', 0x85),
        ('‰', 0x89),
        ('Š', 0x8A),
        ('‘', 0x91),
        ('’', 0x92),
        ('“', 0x93),
        ('”', 0x94),
        ('•', 0x95),
        ('–', 0x96),
        ('—', 0x97),
        ('™', 0x99),
    ];
    match u32::from(c) {
        n @ (0..=0x7F | 0xA0..=0xFF) => u8::try_from(n).ok(),
        _ => UPPER.iter().find(|(u, _)| *u == c).map(|(_, o)| *o),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_and_long_words_are_cut() {
        let parts = wrapped(&b"word ".repeat(40));
        assert!(parts.iter().all(|p| p.len() <= COLUMNS));
        assert_eq!(parts.concat().iter().filter(|o| **o == b'w').count(), 40);
        assert_eq!(wrapped(&[b'x'; 100]).iter().map(Vec::len).collect::<Vec<_>>(), [76, 24]);
        assert_eq!(wrapped(b"a\tb\r"), [b"a       b".to_vec()]);
        assert_eq!(wrapped(b""), [b"".to_vec()]);
    }

    #[test]
    fn pages_fill_and_form_feeds_begin_new_ones() {
        let options = RenderOptions {
            resolution: fax_base::page::Resolution::Standard,
            max_pages: 5,
            ..RenderOptions::default()
        };
        let pages = |text: &str| render(text.as_bytes(), &options).map(|d| d.page_count());
        assert_eq!(pages("one\n"), Ok(1));
        assert_eq!(pages("one\x0Ctwo\x0C\n"), Ok(2));
        assert_eq!(pages(&"line\n".repeat(58)), Ok(2));
        assert_eq!(pages(" \n\t\n"), Err(RenderError::Empty));
        assert!(matches!(pages(&"line\n".repeat(1000)), Err(RenderError::TooManyPages { .. })));
        let odd = render("€ 5 – 漢字".as_bytes(), &options).unwrap();
        assert!(odd.remarks.concat().starts_with("2 characters"));
        assert!(odd.pages[0].to_bitmap().black_pels() > 100);
        assert_eq!(render(b"caf\xE9", &options).unwrap().page_count(), 1);
    }
}
