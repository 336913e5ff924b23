//! Benches of ferrofax against its peers; see `benches/*.rs` of this package.
