//! What tests of ferrofax share: simulated lines, scripted peers, made-up material.

pub mod line;
