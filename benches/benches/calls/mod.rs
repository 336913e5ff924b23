//! What the benches of whole calls share: the pages, their coding, and the thread's time.

use fax_base::page::{PageShape, Resolution, Width};
use fax_terminal::CodedPage;
use rustix::time::{ClockId, clock_gettime};
use spandsp_peer::pages;
use spandsp_peer::tiff::{self, Page};
use std::sync::Arc;
use std::time::Duration;

/// The CPU time of this thread so far.
pub fn cpu() -> Duration {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(t.tv_sec.try_into().unwrap(), t.tv_nsec.try_into().unwrap())
}

/// The page as our terminal takes it.
pub fn coded(page: &Page) -> Arc<CodedPage> {
    let resolution = Resolution::from_per_inch(page.x_per_inch, page.y_per_inch).unwrap();
    let width = Width::from_pels(page.width, resolution).unwrap();
    let shape = PageShape { width, resolution, rows: page.rows, tones: None };
    Arc::new(CodedPage { shape, t6: tiff::encode_t6(page).unwrap().into(), jpeg: None })
}

/// The eight ITU charts, or as many generated pages.
pub fn documents() -> Vec<Page> {
    let charts: Vec<Page> =
        (1..=8).filter_map(pages::chart).flat_map(|path| tiff::read(&path).unwrap()).collect();
    if !charts.is_empty() {
        return charts;
    }
    println!("skipped: no charts; generated pages instead");
    (1..=8).map(|seed| pages::generated(seed, 1200)).collect()
}
