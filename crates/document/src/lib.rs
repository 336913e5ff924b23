//! fax-document
