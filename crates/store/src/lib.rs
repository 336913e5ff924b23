//! fax-store
