//! What tests of ferrofax share: simulated lines and networks, scripted peers and calls, made-up material.
//! Everything on one simulated clock, everything from a seed.

pub mod audio;
pub mod line;
pub mod network;
pub mod pages;
pub mod pair;
