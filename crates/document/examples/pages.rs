//! Draws a document as fax pages and writes each as PNG, to look at.
//!
//! `pages FILE OUT [standard|fine|superfine|r16|inch300] [X,Y,W,H]`; the last cuts out a part, in pixels.

use fax_base::page::Resolution;
use fax_document::{RenderOptions, page_png, render, sniff};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, file, out, rest @ ..] = args.as_slice() else {
        return Err("usage: pages FILE OUT [RESOLUTION]".into());
    };
    let resolution = match rest.first().map(String::as_str) {
        Some("standard") => Resolution::Standard,
        Some("superfine") => Resolution::Superfine,
        Some("r16") => Resolution::R16,
        Some("inch300") => Resolution::Inch300,
        _ => Resolution::Fine,
    };
    let octets = std::fs::read(file)?;
    let format = sniff(&octets, None, Some(file)).ok_or("not a document")?;
    let options = RenderOptions { resolution, ..RenderOptions::default() };
    let start = Instant::now();
    let document = render(&octets, format, &options)?;
    let took = start.elapsed();
    println!(
        "{} pages in {took:.1?}, {:.1?} a page",
        document.page_count(),
        took / document.page_count().max(1)
    );
    for (i, page) in document.pages.iter().enumerate() {
        println!("{}: {:?}, {} octets", i + 1, page.shape, page.t6.len());
        let png = page_png(&document, i, 5000);
        let name = format!("{out}-{}.png", i + 1);
        let part: Vec<u32> =
            rest.get(1).map(|p| p.split(',').filter_map(|v| v.parse().ok()).collect()).unwrap_or_default();
        match part[..] {
            [x, y, w, h] => image::load_from_memory(&png)?.crop_imm(x, y, w, h).save(name)?,
            _ => std::fs::write(name, png)?,
        }
    }
    for remark in &document.remarks {
        println!("{remark}");
    }
    Ok(())
}
