//! One user agent against a peer played by hand: what pairs of ourselves would never do.

mod bench;
mod called;
mod calling;
mod registering;
