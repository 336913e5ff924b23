//! fax-sip
