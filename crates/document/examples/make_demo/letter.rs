//! The words of the demo document: a letter with a table and small print, and the photograph's caption.

use super::text;
use pdf_writer::{Buf, Content};

const BODY: [&str; 17] = [
    "Dear reader,",
    "",
    "this page has travelled the way faxes do: it was drawn at 204 by 196 dots to the inch,",
    "coded as Group 4, offered to a far terminal in the words of Recommendation T.30, and",
    "confirmed by it page by page. If you can read these lines, every part of the chain works,",
    "from the document to the paper.",
    "",
    "A fax carries black and white only. Writing is therefore set crisply, without grey edges,",
    "and hairlines are kept however thin they are. Pictures are turned into fine dots instead;",
    "both may stand side by side on one page. Nothing is cut off: a page that is wider than it",
    "is tall is turned, and one that is too large is made smaller as a whole.",
    "",
    "The second page shows a drawing with lines of every direction and tints of several shades.",
    "The third is a photograph, which takes the longest on the line: a good moment to look at",
    "the transmission rate below.",
    "",
    "With kind regards",
];

const TABLE: [[&str; 4]; 6] = [
    ["Resolution", "Dots per inch", "Rows of an A4 page", "This page at 14 400 bit/s"],
    ["Standard", "204 x 98", "1143", "about 10 s"],
    ["Fine", "204 x 196", "2286", "about 14 s"],
    ["Superfine", "204 x 391", "4573", "about 20 s"],
    ["300 dpi", "300 x 300", "3507", "about 20 s"],
    ["R16", "408 x 391", "4573", "about 26 s"],
];

const SMALL: [(f32, &str); 5] = [
    (10.0, "Ten points: The quick brown fox jumps over the lazy dog. 0123456789"),
    (
        8.0,
        "Eight points: The quick brown fox jumps over the lazy dog. 0123456789 \u{e4}\u{f6}\u{fc}\u{df} \u{e9}\u{e8} \u{f1}",
    ),
    (7.0, "Seven points: The quick brown fox jumps over the lazy dog. 0123456789"),
    (
        6.0,
        "Six points: The quick brown fox jumps over the lazy dog. 0123456789 - the small print of contracts",
    ),
    (
        5.0,
        "Five points: The quick brown fox jumps over the lazy dog. 0123456789 - hardly for standard resolution",
    ),
];

pub(crate) fn write() -> Buf {
    let mut c = Content::new();
    text(&mut c, b"B", 26.0, 56.6, 768.0, "ferrofax");
    text(&mut c, b"H", 9.0, 56.6, 752.0, "Faxes over SIP, by T.38 and by modem");
    c.set_line_width(1.5);
    c.move_to(56.6, 742.0).line_to(538.6, 742.0).stroke();
    text(&mut c, b"H", 10.0, 400.0, 768.0, "Page 1 of 3");

    for (i, (label, value)) in [
        ("To", "whoever keeps the fax machine in order"),
        ("From", "the demonstration"),
        ("Subject", "A page of each kind"),
    ]
    .into_iter()
    .enumerate()
    {
        let y = 716.0 - 16.0 * i as f32;
        text(&mut c, b"B", 11.0, 56.6, y, label);
        text(&mut c, b"T", 12.0, 120.0, y, value);
    }
    for (i, line) in BODY.iter().enumerate() {
        text(&mut c, b"T", 12.0, 56.6, 648.0 - 15.2 * i as f32, line);
    }
    text(&mut c, b"I", 15.0, 56.6, 372.0, "The terminal at the near end");

    let top = 336.0;
    let columns = [56.6, 156.0, 258.0, 396.0];
    c.set_fill_gray(0.86);
    c.rect(56.6 - 6.0, top - 6.0, 494.0, 19.0).fill_nonzero();
    c.set_fill_gray(0.0);
    for (i, row) in TABLE.iter().enumerate() {
        let y = top - 19.0 * i as f32;
        for (cell, x) in row.iter().zip(columns) {
            let font: &[u8] = if i == 0 { b"B" } else { b"H" };
            text(&mut c, font, 10.0, x, y, cell);
        }
        c.set_line_width(if i == 0 { 1.0 } else { 0.25 });
        c.move_to(50.6, y - 6.0).line_to(544.6, y - 6.0).stroke();
    }

    let mut y = 200.0;
    for (size, line) in SMALL {
        text(&mut c, b"H", size, 56.6, y, line);
        y -= size + 5.0;
    }
    text(&mut c, b"C", 10.0, 56.6, 130.0, "+CED  DIS  DCS TCF  CFR  pels  PPS-EOP  MCF  DCN");
    c.set_fill_gray(0.55);
    text(&mut c, b"H", 10.0, 56.6, 110.0, "Grey writing on white stays readable;");
    c.set_fill_gray(0.35);
    c.rect(250.0, 104.0, 200.0, 18.0).fill_nonzero();
    c.set_fill_gray(1.0);
    text(&mut c, b"B", 10.0, 256.0, 109.5, "so does white writing on grey.");
    c.finish()
}

pub(crate) fn caption(c: &mut Content) {
    text(c, b"B", 20.0, 56.6, 760.0, "A photograph");
    text(c, b"H", 10.0, 480.0, 760.0, "Page 3 of 3");
    for (i, line) in [
        "Lake and mountains on a hazy afternoon. Continuous tone has no place on a fax page: each",
        "shade is made of black dots on white paper, more of them where the picture is darker. The",
        "writing around the picture stays crisp.",
    ]
    .into_iter()
    .enumerate()
    {
        text(c, b"T", 12.0, 56.6, 562.0 - 15.2 * i as f32, line);
    }
    text(c, b"I", 10.0, 56.6, 502.0, "The picture is computed; no camera was there.");
}
