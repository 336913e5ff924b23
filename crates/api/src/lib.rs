//! fax-api
