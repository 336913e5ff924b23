//! Small documents: PDFs written by hand (ISO 32000-1 §7), TIFFs whose pages tell which they are.

use fax_base::page::{PageShape, Resolution, Width};
use fax_document::{FaxDocument, Page};
use fax_image::Bitmap;

/// A PDF of so many pages, a few words and a bar on each.
pub fn pdf(pages: usize) -> Vec<u8> {
    let page = |i: usize| {
        let bar = 60 * (i + 1);
        (842, format!("72 700 {bar} 8 re f BT /F1 24 Tf 72 740 Td (Page {} of {pages}) Tj ET", i + 1))
    };
    pdf_of(&(0..pages).map(page).collect::<Vec<_>>())
}

/// A PDF of pages so many points long, 595 wide, on which that is drawn.
pub fn pdf_of(pages: &[(u32, String)]) -> Vec<u8> {
    let kids: Vec<String> = (0..pages.len()).map(|i| format!("{} 0 R", 4 + 2 * i)).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), pages.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    for (i, (length, drawn)) in pages.iter().enumerate() {
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 {length}] /Resources << /Font << /F1 3 0 R >> >> /Contents {} 0 R >>",
            5 + 2 * i
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{drawn}\nendstream", drawn.len()));
    }
    let mut file = String::from("%PDF-1.4\n");
    let mut offsets = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        file.push_str(&format!("{} 0 obj\n{object}\nendobj\n", i + 1));
    }
    let start = file.len();
    file.push_str(&format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1));
    offsets.iter().for_each(|o| file.push_str(&format!("{o:010} 00000 n \n")));
    file.push_str(&format!(
        "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n",
        objects.len() + 1
    ));
    file.into_bytes()
}

/// Rows of the line at the top of a page that was sent, at 196 lines per inch.
const HEADER: u32 = 40;
/// Rows of a marked page.
const ROWS: u32 = 120;
/// Where the first mark is, how wide a mark is, and how far the next.
const LEFT: u32 = 200;
const MARK: u32 = 40;
const STEP: u32 = 80;

/// A TIFF of fax pages that tell whose they are and which: 16 marks each, black for ones.
pub fn marked_tiff(owner: u8, pages: u8) -> Vec<u8> {
    let shape = PageShape { width: Width::A4, resolution: Resolution::Fine, rows: ROWS, tones: None };
    let mut document = FaxDocument::default();
    for page in 1..=pages {
        let mut bitmap = Bitmap::blank(1728, ROWS);
        let word = u16::from(owner) << 8 | u16::from(page);
        for bit in (0..16u32).filter(|b| word >> b & 1 == 1) {
            for x in 0..MARK {
                (40..80).for_each(|y| bitmap.set(LEFT + bit * STEP + x, y, true));
            }
        }
        document.pages.push(Page::from_bitmap(&bitmap, shape));
    }
    document.to_tiff()
}

/// Owner and number of each page of a TIFF made by [`marked_tiff`]. One that was cut off above the end of its marks,
/// as the last of a call that broke off, tells nothing and is left out.
pub fn marks(tiff: &[u8]) -> Vec<(u8, u8)> {
    let document = FaxDocument::from_tiff(tiff).unwrap();
    let read = |page: &Page| {
        let bitmap = page.to_bitmap();
        assert_eq!(bitmap.width(), 1728);
        let rows = bitmap.rows();
        assert!(rows <= HEADER + ROWS, "{rows} rows");
        let above = if rows == ROWS { 0 } else { HEADER };
        if rows < above + 80 {
            return None;
        }
        let word = (0..16u32)
            .filter(|bit| bitmap.get(LEFT + bit * STEP + MARK / 2, above + 60))
            .fold(0u16, |word, bit| word | 1 << bit);
        let [owner, page] = word.to_be_bytes();
        Some((owner, page))
    };
    document.pages.iter().filter_map(read).collect()
}

/// Fails unless both TIFFs have the same pages, pel for pel, the received ones with the line at their top.
pub fn assert_same_pels(sent: &[u8], received: &[u8]) {
    let (sent, received) = (FaxDocument::from_tiff(sent).unwrap(), FaxDocument::from_tiff(received).unwrap());
    assert_eq!(sent.pages.len(), received.pages.len(), "pages");
    for (i, (a, b)) in sent.pages.iter().zip(&received.pages).enumerate() {
        assert_eq!(
            (a.shape.width, a.shape.resolution),
            (b.shape.width, b.shape.resolution),
            "shape of page {}",
            i + 1
        );
        let (a, b) = (a.to_bitmap(), b.to_bitmap());
        assert_eq!(b.rows() - a.rows(), HEADER, "rows of page {}", i + 1);
        assert!(b.data().ends_with(a.data()), "page {} differs", i + 1);
        let strip = b.data().len() - a.data().len();
        assert!(b.data()[..strip].iter().any(|octet| *octet != 0), "page {} has no header", i + 1);
    }
    assert!(sent.pages.iter().any(|p| p.to_bitmap().black_pels() > 0), "the pages are white");
}
