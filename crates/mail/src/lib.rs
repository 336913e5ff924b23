//! fax-mail
