//! The profiles of TIFF-FX for pages of black and white: S, which every reader of internet fax takes, and F
//! (RFC 3949 §3 and §4; RFC 2301).

use super::{Image, TiffPage, WriteOptions};
use crate::scale;
use fax_base::page::{Coding, Resolution, Width};

/// A profile of TIFF-FX.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Profile {
    /// Minimal: MH, 1728 pels, standard or fine, first bit least significant. T.37's simple mode sends nothing else.
    S,
    /// Extended: MH, MR or MMR, every width of a fax, up to 400 per inch.
    F,
}

/// Figures per inch that a profile allows, metric and inch (RFC 3949 §3.2.1 and §4.2.1).
const FIGURES: [(Resolution, [(f32, f32); 2]); 5] = [
    (Resolution::Standard, [(204.0, 98.0), (200.0, 100.0)]),
    (Resolution::Fine, [(204.0, 196.0), (200.0, 200.0)]),
    (Resolution::Superfine, [(204.0, 391.0), (200.0, 400.0)]),
    (Resolution::Inch300, [(300.0, 300.0), (300.0, 300.0)]),
    (Resolution::R16, [(408.0, 391.0), (400.0, 400.0)]),
];

impl Profile {
    /// How files of this profile are written.
    #[must_use]
    pub fn options(self) -> WriteOptions {
        match self {
            Profile::S => WriteOptions { coding: Coding::Mh, lsb_first: true, ..WriteOptions::default() },
            Profile::F => WriteOptions::default(),
        }
    }

    const fn takes(self, resolution: Resolution, width: Width) -> bool {
        match self {
            Profile::S => {
                matches!(resolution, Resolution::Standard | Resolution::Fine) && matches!(width, Width::A4)
            }
            Profile::F => true,
        }
    }

    /// The page as the profile takes it: as it is where that is allowed, with the profile's exact figures for its
    /// resolution; else fitted to the best that is.
    #[must_use]
    pub fn fitted(self, page: &TiffPage) -> TiffPage {
        let mut page = TiffPage { tones: None, ..page.clone() };
        if matches!(page.image, Image::T81 { .. }) {
            // Grey and colour are profile C's.
            page.image = Image::Bitmap(page.image.to_bitmap());
        }
        let shape = page.resolution().and_then(|r| Some((r, page.fax_width()?)));
        let (resolution, width) = match shape {
            Some((resolution, width)) if self.takes(resolution, width) => (resolution, width),
            _ => self.refit(&mut page),
        };
        debug_assert!(self.takes(resolution, width));
        let metric = (resolution.x_per_inch() as f32, resolution.y_per_inch() as f32);
        let off = |(x, y): (f32, f32)| (x - page.x_per_inch).abs() + (y - page.y_per_inch).abs();
        let figures = FIGURES.iter().find(|(r, _)| *r == resolution).map_or([metric; 2], |(_, f)| *f);
        let [metric, inch] = figures;
        (page.x_per_inch, page.y_per_inch) = if off(inch) < off(metric) { inch } else { metric };
        page
    }

    /// Scales the page to a shape that the profile takes.
    fn refit(self, page: &mut TiffPage) -> (Resolution, Width) {
        let from = page.resolution();
        let wanted = from.unwrap_or(Resolution::Fine);
        let to = if self.takes(wanted, Width::A4) { wanted } else { Resolution::Fine };
        let mut map = page.image.to_bitmap();
        if from.is_none() {
            // Not a fax's figures: to fine first, as far as that is an image at all.
            let scaled = |pels: u32, per_inch: f32, to: u32| {
                ((f64::from(pels) * f64::from(to) / f64::from(per_inch.max(1.0))).round() as u32).max(1)
            };
            let x = scaled(map.width(), page.x_per_inch, wanted.x_per_inch());
            let y = scaled(map.rows(), page.y_per_inch, wanted.y_per_inch());
            map = scale::resize(&map, x, y);
        }
        let natural = u64::from(map.width()) * u64::from(to.x_per_inch());
        let fits = |w: &Width| {
            self.takes(to, *w) && natural <= u64::from(w.pels(to)) * u64::from(wanted.x_per_inch())
        };
        let widest = if self == Profile::S { Width::A4 } else { Width::A3 };
        let width = Width::ALL.into_iter().find(fits).unwrap_or(widest);
        page.image = Image::Bitmap(scale::fit(&map, wanted, to, width));
        (page.x_per_inch, page.y_per_inch) = (to.x_per_inch() as f32, to.y_per_inch() as f32);
        (to, width)
    }

    /// A file of this profile, with these pages as it takes them.
    ///
    /// ```
    /// use fax_base::page::Resolution;
    /// use fax_image::{Bitmap, tiff::{Image, Profile, TiffPage}};
    /// let page = TiffPage::new(Image::Bitmap(Bitmap::blank(3456, 4000)), Resolution::R16);
    /// let file = Profile::S.write(&[page], "ferrofax");
    /// let read = fax_image::tiff::read(&file, &Default::default()).unwrap();
    /// assert_eq!((read.pages[0].image.width(), read.pages[0].x_per_inch), (1728, 204.0));
    /// ```
    #[must_use]
    pub fn write(self, pages: &[TiffPage], software: &str) -> Vec<u8> {
        let pages: Vec<TiffPage> = pages.iter().map(|p| self.fitted(p)).collect();
        super::write(&pages, &WriteOptions { software: software.into(), ..self.options() })
    }
}
