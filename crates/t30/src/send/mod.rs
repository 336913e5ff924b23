//! Sending pages: what is common to training, messages and error correction (T.30 §5.2, flow chart
//! "TRANSMIT"; t30 §5.3.6.1.7 for what follows a page).

pub(crate) mod ecm;
pub(crate) mod message;
pub(crate) mod operator;
pub(crate) mod training;

use crate::api::{Config, Document, Event, Output, PageStatus, Poll, Role};
use crate::call::{Burst, Call};
use crate::called::AwaitDcs;
use crate::cause::Cause;
use crate::dis::Fif;
use crate::frames::{self, Fcf, Fcf2};
use crate::negotiate::{self, Agreed};
use crate::polling;
use crate::rates::Ladder;
use crate::release;
use crate::session::State;
use crate::timers::{self, Timer};
use fax_base::page::{PageFormat, PageShape};
use message::AwaitCodedPage;

/// What a sender remembers over its pages.
#[derive(Debug, Default)]
pub(crate) struct Transmission {
    /// The pages to be sent in this call, in order.
    plan: Vec<Planned>,
    /// Which of them is in hand.
    at: usize,
    /// Which documents of the configuration are in the plan already.
    taken: Vec<usize>,
    /// The far end polls us, and named this.
    named: Poll,
    /// The far end polls us.
    pub(crate) polled: bool,
    /// The page counter of PPS.
    pub(crate) counter: u8,
    /// How often the page in hand was refused.
    refused: u32,
    /// An answer to the page in hand may have been lost: the far end may have it, whatever it says later.
    pub(crate) doubtful: bool,
    /// The page was once sent whole and never answered before the far end was back in phase B: it may be there,
    /// whatever becomes of sending it again.
    pub(crate) unanswered: bool,
    /// How many pages in a row were readable but not good.
    poor: u8,
    /// The far end's last DIS or DTC.
    pub(crate) dis: Fif,
    pub(crate) ladder: Ladder,
    pub(crate) agreed: Option<Agreed>,
    /// Whether a page has been sent: then late answers to it may come again.
    pub(crate) any_sent: bool,
}

/// A page to be sent.
#[derive(Clone, Copy, Debug)]
struct Planned {
    /// Its number through all documents.
    index: usize,
    /// Number of its document.
    document: usize,
    shape: PageShape,
}

impl Transmission {
    /// A calling terminal plans to send all it has; a called one nothing until it is polled.
    pub(crate) fn new(config: &Config) -> Self {
        let mut transmission = Transmission::default();
        if config.role == Role::Calling {
            transmission.plan(&config.send, |_| true);
        }
        transmission
    }

    /// Adds the documents that are wanted to the plan.
    fn plan(&mut self, documents: &[Document], wanted: impl Fn(&Document) -> bool) {
        let mut index = 0;
        for (number, document) in documents.iter().enumerate() {
            let begin = index;
            index += document.pages.len();
            if wanted(document) && !self.taken.contains(&number) {
                self.taken.push(number);
                let pages = document.pages.iter().enumerate();
                self.plan.extend(pages.map(|(i, shape)| Planned {
                    index: begin + i,
                    document: number,
                    shape: *shape,
                }));
            }
        }
    }

    /// The far end polls what it names. When it named the same before, what was begun goes on.
    pub(crate) fn select(&mut self, documents: &[Document], named: Poll) {
        self.polled = true;
        if self.is_over() || self.named != named {
            self.plan.truncate(self.at);
            let fits = |d: &Document| d.address.is_none() || [&named.sep, &named.psa].contains(&&d.address);
            self.plan(documents, fits);
            self.named = named;
        }
    }

    /// The documents that could still be polled.
    pub(crate) fn undelivered<'a>(&'a self, documents: &'a [Document]) -> impl Iterator<Item = &'a Document> {
        let begun = self.plan.get(self.at).map(|p| p.document);
        documents
            .iter()
            .enumerate()
            .filter(move |(i, d)| !d.pages.is_empty() && (!self.taken.contains(i) || begun == Some(*i)))
            .map(|(_, d)| d)
    }

    /// Number of the page in hand; after the last one the number after it.
    pub(crate) fn index(&self) -> usize {
        let after = || self.plan.last().map_or(0, |p| p.index + 1);
        self.plan.get(self.at).map_or_else(after, |p| p.index)
    }

    /// The longest page from the one in hand on, mm.
    fn longest(&self) -> u32 {
        self.plan.iter().skip(self.at).map(|p| p.shape.millimetres()).max().unwrap_or(0)
    }

    /// Whether nothing is left to be sent.
    pub(crate) fn is_over(&self) -> bool {
        self.at >= self.plan.len()
    }
}

/// A DIS came: can it take what we have, and how?
pub(crate) fn identified(call: &mut Call, burst: &Burst) -> State {
    let dis = Fif::parse(&burst.last.fif);
    call.x = true;
    call.timers.clear(Timer::T1);
    identify(call, burst, Fcf::Csi);
    call.transmission.dis = dis;
    if call.transmission.is_over() {
        return polling::request(call);
    }
    if !dis.bit(10) {
        return release::disconnect(call, Some(Cause::RemoteCannotReceive));
    }
    if sub_address(call).is_some() && !dis.bit(49) {
        return release::disconnect(call, Some(Cause::AddressUnsupported));
    }
    begin(call)
}

/// To whom we send is known, and that it takes it: trains.
pub(crate) fn begin(call: &mut Call) -> State {
    let transmission = &mut call.transmission;
    let mut capabilities = call.config.capabilities.clone();
    capabilities.max_rate = capabilities.max_rate.min(call.line_rate);
    match transmission.ladder.meet(&transmission.dis, &capabilities) {
        Some(_) => training::train(call),
        None => release::disconnect(call, Some(Cause::Incompatible)),
    }
}

/// The sub-address that the job names, if it names one.
fn sub_address(call: &Call) -> Option<&str> {
    call.config.sub_address.as_deref().map(str::trim).filter(|sub| !sub.is_empty())
}

/// Notes the far end's number, if the burst brings it in a frame of this kind.
pub(crate) fn identify(call: &mut Call, burst: &Burst, fcf: Fcf) {
    let frame = burst.frames.iter().find(|f| f.fcf == fcf);
    if let Some(ident) = frame.and_then(|f| frames::ident_from_fif(&f.fif))
        && call.tally.remote_ident.as_ref() != Some(&ident)
    {
        call.tally.remote_ident = Some(ident.clone());
        call.event(Event::RemoteIdent(ident));
    }
}

/// How a page of this shape would go out now.
fn format(call: &Call, shape: &PageShape) -> PageFormat {
    negotiate::choose(&call.config.capabilities, &call.transmission.dis, shape)
}

/// What follows the page in hand: the same again, another format or document, a poll, or nothing.
pub(crate) fn post_command(call: &Call) -> Fcf2 {
    let plain = plain_command(call);
    if call.asks_for_operator() { plain.with_interrupt() } else { plain }
}

fn plain_command(call: &Call) -> Fcf2 {
    let transmission = &call.transmission;
    let (this, next) = (transmission.plan.get(transmission.at), transmission.plan.get(transmission.at + 1));
    let dis = &transmission.dis;
    let Some(next) = next else {
        let polls = call.config.role == Role::Calling && !call.config.poll.is_empty() && dis.bit(9);
        // Another document can be selected (T.30 §5.3.6.1.6).
        let others = transmission.taken.len() < call.config.send.len() && dis.bit(34);
        return match (polls, transmission.polled && others) {
            (true, _) => Fcf2::Eom,
            (false, true) => Fcf2::Eos,
            (false, false) => Fcf2::Eop,
        };
    };
    let same_document = this.is_some_and(|this| this.document == next.document);
    if same_document && transmission.agreed.is_some_and(|a| a.format == format(call, &next.shape)) {
        Fcf2::Mps
    } else {
        Fcf2::Eom
    }
}

/// Whether the line below us has become one that does not carry what was agreed.
pub(crate) fn too_fast(call: &Call) -> bool {
    call.transmission.agreed.is_some_and(|agreed| agreed.modulation.bit_rate() > call.line_rate)
}

/// Asks for the page in hand, coded as agreed.
pub(crate) fn want_page(call: &mut Call) -> State {
    let Some(agreed) = call.transmission.agreed else {
        return training::train(call);
    };
    if too_fast(call) {
        return begin(call);
    }
    call.output(Output::WantPage {
        index: call.transmission.index(),
        format: agreed.format,
        bit_rate: agreed.modulation.bit_rate(),
    });
    if call.timers.get(Timer::Page).is_none() {
        call.timers.set(Timer::Page, call.now + call.config.rules.longest_page);
    }
    call.timers.set(Timer::Assembly, call.now + timers::ASSEMBLY);
    State::AwaitCodedPage(AwaitCodedPage)
}

/// The page's command has left; whether it arrived is not known.
pub(crate) fn page_sent(call: &mut Call) {
    let index = call.transmission.index();
    if call.tally.page_uncertain != Some(index) {
        call.tally.page_uncertain = Some(index);
        if !call.told_sent {
            call.told_sent = true;
            call.event(Event::PageSent { index });
        }
    }
}

/// The far end has the page in hand: on to what `second` said follows.
pub(crate) fn confirmed(call: &mut Call, second: Fcf2, poor: bool) -> State {
    taken(call, poor);
    go_on(call, second, poor)
}

/// The far end has the page in hand; it was `poor` when RTP said so.
pub(crate) fn taken(call: &mut Call, poor: bool) {
    let index = call.transmission.index();
    call.timers.clear(Timer::Page);
    call.tally.page_uncertain = None;
    call.tally.pages_confirmed += 1;
    call.event(Event::PageConfirmed { index, poor });
    call.page_ends(if poor { PageStatus::Poor } else { PageStatus::Confirmed });
    call.transmission.at += 1;
    call.transmission.refused = 0;
    call.transmission.doubtful = false;
    call.transmission.unanswered = false;
    call.transmission.counter = call.transmission.counter.wrapping_add(1);
    call.transmission.poor = if poor { call.transmission.poor.saturating_add(1) } else { 0 };
}

/// On to what `second` said follows a page that is confirmed. After RTP there is a new training before the next page,
/// and the second time in a row one rate lower.
pub(crate) fn go_on(call: &mut Call, second: Fcf2, retrain: bool) -> State {
    match second.plain() {
        Fcf2::Eop => release::disconnect(call, polling::not_done(call)),
        Fcf2::Eom => polling::next_message(call),
        Fcf2::Null | Fcf2::Mps | Fcf2::Eos | Fcf2::PriMps | Fcf2::PriEom | Fcf2::PriEop => {
            if retrain {
                if call.transmission.poor > 1 {
                    // At the lowest rate it is kept.
                    let _ = call.transmission.ladder.fall_back();
                    call.transmission.poor = 0;
                }
                training::train(call)
            } else {
                want_page(call)
            }
        }
    }
}

/// The far end does not have the page in hand: again, after a new training, unless it was refused too
/// often already.
pub(crate) fn refused(call: &mut Call, cause: Cause, again: Again) -> State {
    let index = call.transmission.index();
    match again {
        // It went back to phase B without a word about the page.
        Again::Identified(_) => {
            call.transmission.doubtful = true;
            call.transmission.unanswered = true;
        }
        Again::Slower | Again::CutShort(_) => {}
    }
    call.tally.page_uncertain = call.transmission.doubtful.then_some(index);
    if call.transmission.refused >= call.config.rules.page_retries {
        return release::disconnect(call, Some(cause));
    }
    call.transmission.refused += 1;
    call.tally.resends = call.tally.resends.saturating_add(1);
    call.event(Event::Resend { index, frames: 0 });
    match again {
        Again::Slower => {
            let _ = call.transmission.ladder.fall_back();
            training::train(call)
        }
        Again::Identified(burst) | Again::CutShort(burst) if burst.last.fcf == Fcf::Dtc => {
            // A DTC that has lost a frame is left without an answer; then its sender is waited for.
            let stay = AwaitDcs::after(call);
            polling::polled(call, &burst, stay)
        }
        Again::Identified(burst) | Again::CutShort(burst) => identified(call, &burst),
    }
}

/// How to go about a page that must be sent again.
pub(crate) enum Again {
    /// DCS and training check one rate lower.
    Slower,
    /// The far end is back in phase B with this DIS or DTC.
    Identified(Burst),
    /// The same before the page was sent to its end: it cannot be there.
    CutShort(Burst),
}

/// The DCS for what is agreed at present.
fn dcs_now(call: &Call) -> Fif {
    match &call.transmission.agreed {
        Some(agreed) => negotiate::dcs(agreed, &call.transmission.dis, call.transmission.longest()),
        None => Fif::new(),
    }
}
