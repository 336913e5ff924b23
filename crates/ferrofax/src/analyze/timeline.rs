//! A captured call in the order in which it was sent: RTP by its time stamps, with gaps; UDPTL as it came
//! (RFC 3550 §5.1).

use super::capture::Capture;
use super::flows::{Flows, Media, media};
use super::{Moment, Passed};
use anyhow::Result;
use core::time::Duration;
use fax_base::Instant;
use fax_base::time::{SAMPLE, SAMPLE_RATE};
use fax_t30::observer::Side;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

/// Packets are put in order within this time.
const WINDOW: Duration = Duration::from_millis(400);
/// And so many of them at most.
const MOST: usize = 4096;
/// A jump in time stamps beyond this is a new stream, not a loss.
const LONGEST_GAP: u32 = 10 * SAMPLE_RATE;
/// Samples in one packet at most.
const LARGEST: usize = 2048;

/// One direction's audio.
#[derive(Debug)]
struct Stream {
    ssrc: u32,
    /// Which stream of this direction it is: a jump in time stamps begins a new one.
    epoch: u64,
    /// The time stamp that belongs to `anchor`.
    base: u32,
    anchor: Instant,
    /// Samples from the anchor on that were passed on or lost.
    done: u64,
}

/// A call in a capture.
pub(super) struct Timeline {
    capture: Capture,
    pub(super) flows: Flows,
    streams: [Option<Stream>; 2],
    /// By the time at which they belong, the direction, and the order in the file.
    waiting: BTreeMap<(Instant, u8, u64), Waiting>,
    order: u64,
    ready: VecDeque<Moment>,
    ended: bool,
}

#[derive(Debug)]
enum Waiting {
    /// Samples with their place in the stream.
    Audio {
        epoch: u64,
        place: u64,
        samples: Vec<i16>,
    },
    Datagram(Vec<u8>),
}

impl Timeline {
    pub(super) fn open(path: &Path) -> Result<Timeline> {
        let flows = Flows::find(path)?;
        Ok(Timeline {
            capture: Capture::open(path)?,
            flows,
            streams: [None, None],
            waiting: BTreeMap::new(),
            order: 0,
            ready: VecDeque::new(),
            ended: false,
        })
    }

    /// What passed next; `None` at the end.
    pub(super) fn next(&mut self) -> Option<Moment> {
        loop {
            if let Some(moment) = self.ready.pop_front() {
                return Some(moment);
            }
            let due = |at: Instant| self.newest().is_none_or(|newest| newest.since(at) > WINDOW);
            if let Some(((at, _, _), _)) = self.waiting.first_key_value()
                && (self.ended || self.waiting.len() > MOST || due(*at))
            {
                self.release();
            } else if self.ended {
                return None;
            } else {
                self.read();
            }
        }
    }

    fn newest(&self) -> Option<Instant> {
        self.waiting.last_key_value().map(|((at, _, _), _)| *at)
    }

    /// Takes the next datagram of the call in.
    fn read(&mut self) {
        let Some(datagram) = self.capture.next() else {
            self.ended = true;
            return;
        };
        let Some((first, at)) = self.flows.side(&datagram) else {
            return;
        };
        let index = u8::from(!first);
        self.order += 1;
        match media(&datagram.payload) {
            None => {}
            Some(Media::T38) => {
                self.waiting.insert((at, index, self.order), Waiting::Datagram(datagram.payload));
            }
            Some(Media::Audio { ssrc, timestamp, law, octets, .. }) => {
                let octets = octets.get(..LARGEST).unwrap_or(octets);
                let samples: Vec<i16> = octets.iter().map(|o| law.decode(*o)).collect();
                let Some(slot) = self.streams.get_mut(usize::from(index)) else { return };
                let fresh = Stream { ssrc, epoch: self.order, base: timestamp, anchor: at, done: 0 };
                let stream = match slot {
                    Some(stream) if stream.ssrc == ssrc && stream.follows(timestamp) => stream,
                    _ => slot.insert(fresh),
                };
                // From before the first packet of the stream: too late.
                let Ok(place) = u32::try_from(timestamp.wrapping_sub(stream.base).cast_signed()) else {
                    return;
                };
                let at = stream.anchor + SAMPLE * place;
                let waiting = Waiting::Audio { epoch: stream.epoch, place: place.into(), samples };
                self.waiting.insert((at, index, self.order), waiting);
            }
        }
    }

    /// Passes on what comes first.
    fn release(&mut self) {
        let Some(((at, index, _), what)) = self.waiting.pop_first() else {
            return;
        };
        let side = if index == 0 { Side::First } else { Side::Second };
        match what {
            Waiting::Datagram(octets) => {
                self.ready.push_back(Moment { at, side, passed: Passed::Datagram(octets) })
            }
            Waiting::Audio { epoch, place, mut samples } => {
                let stream = self.streams.get_mut(usize::from(index)).and_then(Option::as_mut);
                if let Some(stream) = stream.filter(|s| s.epoch == epoch) {
                    if place > stream.done {
                        let lost = usize::try_from(place - stream.done).unwrap_or(usize::MAX);
                        self.ready.push_back(Moment { at, side, passed: Passed::Lost(lost) });
                        stream.done = place;
                    }
                    // A packet that came twice, or one that overlaps the one before.
                    let known = usize::try_from(stream.done - place).unwrap_or(usize::MAX).min(samples.len());
                    samples.drain(..known);
                    stream.done += samples.len() as u64;
                }
                if !samples.is_empty() {
                    self.ready.push_back(Moment { at, side, passed: Passed::Audio(samples) });
                }
            }
        }
    }

    /// What a person should know about the file.
    pub(super) fn notes(&self) -> Vec<String> {
        self.flows.notes.clone()
    }
}

impl Stream {
    /// Whether a time stamp goes on from what was passed on.
    fn follows(&self, timestamp: u32) -> bool {
        let ahead = timestamp.wrapping_sub(self.base.wrapping_add(self.done as u32)).cast_signed();
        ahead.unsigned_abs() <= LONGEST_GAP
    }
}
