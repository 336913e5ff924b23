//! spandsp-peer
