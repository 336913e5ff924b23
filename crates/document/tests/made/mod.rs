//! Documents made for the tests, and the tools that look at the results.
#![allow(dead_code)]

use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref, Str};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file in `testdata/`.
pub fn testdata(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A PDF of pages of `w` × `h` points with content, Helvetica as `/F`, and one image `/I` if given.
pub fn pdf(pages: &[(f32, f32, Vec<u8>)], image: Option<(i32, i32, i32, &[u8])>) -> Vec<u8> {
    let mut pdf = Pdf::new();
    let (catalog, tree, font, picture) = (Ref::new(1), Ref::new(2), Ref::new(3), Ref::new(4));
    let id = |i: usize, k: i32| Ref::new(10 + 2 * i32::try_from(i).unwrap() + k);
    pdf.catalog(catalog).pages(tree);
    pdf.pages(tree).kids((0..pages.len()).map(|i| id(i, 0))).count(i32::try_from(pages.len()).unwrap());
    pdf.type1_font(font).base_font(Name(b"Helvetica"));
    if let Some((w, h, bits, octets)) = image {
        let mut x = pdf.image_xobject(picture, octets);
        x.width(w);
        x.height(h);
        x.bits_per_component(bits);
        x.color_space().device_gray();
        if octets.starts_with(&[0x78]) {
            x.filter(Filter::FlateDecode);
        }
    }
    for (i, (w, h, content)) in pages.iter().enumerate() {
        let mut page = pdf.page(id(i, 0));
        page.parent(tree).media_box(Rect::new(0.0, 0.0, *w, *h)).contents(id(i, 1));
        let mut resources = page.resources();
        resources.fonts().pair(Name(b"F"), font);
        if image.is_some() {
            resources.x_objects().pair(Name(b"I"), picture);
        }
        resources.finish();
        page.finish();
        pdf.stream(id(i, 1), content);
    }
    pdf.finish()
}

/// Content: a frame exactly on the edge of the page, `inset` points wide, and a line of text.
pub fn framed(w: f32, h: f32, inset: f32) -> Vec<u8> {
    let mut c = Content::new();
    c.rect(0.0, 0.0, w, inset).fill_nonzero();
    c.rect(0.0, h - inset, w, inset).fill_nonzero();
    c.rect(0.0, 0.0, inset, h).fill_nonzero();
    c.rect(w - inset, 0.0, inset, h).fill_nonzero();
    c.begin_text();
    c.set_font(Name(b"F"), 14.0);
    c.next_line(w * 0.3, h * 0.5);
    c.show(Str(b"nothing is cut off"));
    c.end_text();
    c.finish().to_vec()
}

pub fn framed_page(w: f32, h: f32) -> Vec<u8> {
    pdf(&[(w, h, framed(w, h, 4.0))], None)
}

/// Runs a tool on files; its standard output and what it complained about.
pub fn run(package: &str, program: &str, args: &[&str]) -> (String, String) {
    let out = Command::new(program)
        .args(args)
        .output()
        .unwrap_or_else(|e| panic!("{program} is needed (install {package}): {e}"));
    assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    (String::from_utf8_lossy(&out.stdout).into_owned(), String::from_utf8_lossy(&out.stderr).into_owned())
}

/// A fresh folder that is removed when it is dropped.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fax-document-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn put(&self, name: &str, octets: &[u8]) -> String {
        std::fs::write(self.0.join(name), octets).unwrap();
        self.path(name)
    }

    pub fn get(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.0.join(name)).unwrap()
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// Numbers that look random and are the same each time.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }
}
