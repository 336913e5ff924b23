//! fax-switch
