//! fax-image
