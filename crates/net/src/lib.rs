//! fax-net
