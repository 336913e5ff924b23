//! What others see and meet: the description of the API, web hooks, figures, and what is done against attacks.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests, which may

#[path = "../rig/mod.rs"]
mod rig;

mod attacks;
mod metrics;
mod openapi;
mod schemathesis;
mod webhooks;
