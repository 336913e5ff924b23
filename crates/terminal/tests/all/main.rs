//! The terminals: with each other, with spandsp, with nonsense.
//!
//! One program: what each of these tests would link again takes longer than to run them.

#![allow(clippy::unwrap_used, clippy::panic)]

mod audio_calls;
mod audio_nonsense;
mod charts;
mod ladder;
mod recording;
mod spandsp;
mod spandsp_audio;
mod spandsp_audio_charts;
mod spandsp_audio_loss;
mod spandsp_gateway;
mod spandsp_polling;
mod spandsp_procedures;
mod spandsp_t38;
mod spandsp_t38_habits;
mod spandsp_t38_network;
mod spandsp_t38_terminals;
mod spandsp_tones;
mod t38_calls;
mod t38_pages;
mod tones;
