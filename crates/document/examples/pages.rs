//! Draws a document as fax pages and writes each as PNG, to look at: `pages FILE OUT [standard|fine|superfine|r16|inch300]`.

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
    let options = RenderOptions {
        resolution,
        ..RenderOptions::default()
    };
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
        std::fs::write(format!("{out}-{}.png", i + 1), page_png(&document, i, 5000))?;
    }
    for remark in &document.remarks {
        println!("{remark}");
    }
    Ok(())
}
