//! Where the rows of a page go while it is read: to T.6 at once, or to pels when the page must be
//! turned (TIFF 6.0, PhotometricInterpretation and Orientation).

use super::Image;
use crate::changes::{Changes, Painter};
use crate::encode::RowEncoder;
use crate::{Bitmap, EncodeOptions};
use fax_base::page::Coding;

/// Takes rows.
#[derive(Debug)]
pub(super) struct Sink {
    width: u32,
    inverted: bool,
    pub(super) rows: u32,
    scratch: Changes,
    painter: Painter,
    to: To,
}

#[derive(Debug)]
enum To {
    T6(RowEncoder),
    Pels(Bitmap),
}

impl Sink {
    pub(super) fn new(width: u32, inverted: bool, pels: bool) -> Self {
        Sink {
            width,
            inverted,
            rows: 0,
            scratch: Changes::white(width),
            painter: Painter::default(),
            to: if pels {
                To::Pels(Bitmap::new(width))
            } else {
                To::T6(RowEncoder::new(width, Coding::Mmr, &EncodeOptions::default()))
            },
        }
    }

    /// A row by its changing elements.
    pub(super) fn row(&mut self, row: &Changes) {
        self.scratch.at.clone_from(&row.at);
        self.put();
    }

    /// A row of packed pels, 1 = black.
    pub(super) fn pels(&mut self, row: &[u8]) {
        self.scratch.find(row, self.width);
        self.put();
    }

    /// The row before once more; white at the beginning.
    pub(super) fn repeat(&mut self) {
        self.rows += 1;
        match &mut self.to {
            To::T6(e) if self.rows > 1 || !self.inverted => e.same_row(),
            To::Pels(b) => b.repeat_row(),
            To::T6(e) => e.row(&mut Changes::white(self.width)),
        }
    }

    fn put(&mut self) {
        self.rows += 1;
        if self.inverted {
            self.scratch.invert(self.width);
        }
        match &mut self.to {
            To::T6(e) => e.row(&mut self.scratch),
            To::Pels(b) => self.painter.paint(&self.scratch, b.grow_row()),
        }
    }

    /// The page, turned upright.
    pub(super) fn finish(self, orientation: u32) -> Image {
        let image = match self.to {
            To::T6(e) => {
                return Image::T6 { octets: e.finish().into(), width: self.width, rows: self.rows };
            }
            To::Pels(b) => Image::Bitmap(crate::turn::upright(b, orientation)),
        };
        Image::T6 { width: image.width(), rows: image.rows(), octets: image.to_t6() }
    }
}
