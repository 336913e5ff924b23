//! Reading a script and playing it. See `README.md`.

use bytes::Bytes;
use core::time::Duration;
use fax_base::line::{Heard, Modulation, Tone, Training, Transmit};
use fax_base::page::{Length, PageShape, Resolution, Tones, Width};
use fax_t30::dis::Fif;
use fax_t30::frames::{Fcf, Frame, build, ident_to_fif};
use fax_t30::{Capabilities, Config, Document, Event, Input, Operator, Outcome, Output, Poll, Role, Verdict};
use testkit::line::bench::{Bench, Carrier, Left};
use testkit::line::page::made_up;

/// Frames that go before the last one of a burst.
const BEFORE: [&str; 16] = [
    "CSI", "TSI", "CIG", "SUB", "SEP", "PWD", "SID", "PSA", "NSF", "NSS", "NSC", "TSA", "CIA", "IRA", "ISP",
    "CSA",
];
/// The longest wait for something that must come.
const PATIENCE: Duration = Duration::from_secs(200);

pub struct Script {
    pub name: String,
    options: Vec<String>,
    steps: Vec<String>,
}

struct Play {
    bench: Bench,
    /// Whether the far end is the calling one.
    far_calls: bool,
    ecm: bool,
    /// What the far end's images are sent with.
    modulation: Modulation,
    training: Training,
}

type Done = Result<(), String>;

impl Script {
    pub fn parse_all(text: &str) -> Result<Vec<Script>, String> {
        let mut all: Vec<Script> = Vec::new();
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            if let Some(name) = line.strip_prefix("==") {
                all.push(Script { name: name.trim().into(), options: Vec::new(), steps: Vec::new() });
                continue;
            }
            let script = all.last_mut().ok_or("a step before the first script")?;
            if script.options.is_empty() {
                script.options = line.split_whitespace().map(str::to_owned).collect();
            } else {
                script.steps.push(line.into());
            }
        }
        match all.iter().find(|s| !s.steps.last().is_some_and(|l| l.starts_with('='))) {
            Some(unfinished) => Err(format!("{}: it does not say how it ends", unfinished.name)),
            None => Ok(all),
        }
    }

    /// Whether it says something about calls over this.
    pub fn is_for(&self, carrier: Carrier) -> bool {
        let says = |option: &str| self.options.iter().any(|o| o == option);
        match carrier {
            Carrier::Times => true,
            Carrier::Audio => !says("times-only") && !says("no-audio"),
            Carrier::T38 => !says("times-only") && !says("modems-only"),
        }
    }

    /// Plays it.
    pub fn play(&self, carrier: Carrier) -> Done {
        let (config, octets, slow) = config(&self.options)?;
        let far_calls = config.role == Role::Called;
        let ecm = config.capabilities.ecm;
        let mut bench = Bench::start_over(config, carrier);
        bench.page = made_up(0, octets);
        bench.silent_assembly = slow;
        let modulation = Modulation::V17At14400;
        let mut play = Play { bench, far_calls, ecm, modulation, training: Training::Long };
        for step in &self.steps {
            play.step(step).map_err(|why| {
                let events: Vec<_> =
                    play.bench.events.iter().map(|(at, e)| format!("  {at} {e:?}")).collect();
                format!("{step}: {why}\n{}", events.join("\n"))
            })?;
        }
        Ok(())
    }
}

fn number<T: core::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

fn numbers(text: &str) -> Result<[u8; 3], String> {
    let all: Vec<u8> = text.split(',').map(number).collect::<Result<_, _>>()?;
    all.try_into().map_err(|_| format!("{text} is not three numbers"))
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|e| e.to_string()))
        .collect()
}

fn seconds(text: &str) -> Result<Duration, String> {
    Ok(Duration::from_secs_f64(number(text)?))
}

fn config(options: &[String]) -> Result<(Config, usize, bool), String> {
    let shape = PageShape { width: Width::A4, resolution: Resolution::Fine, rows: 2000, tones: None };
    let pages = |n: &str| Ok::<_, String>(Document::new(vec![shape; number(n)?]));
    let capabilities = Capabilities { ecm: false, ..Capabilities::default() };
    let mut config = Config { capabilities, ..Config::default() };
    let (mut octets, mut slow) = (20_000, false);
    for option in options {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        match key {
            "calling" => config.role = Role::Calling,
            "called" => config.role = Role::Called,
            "pages" => config.send = vec![pages(value)?],
            "docs" => config.send = value.split('+').map(pages).collect::<Result<_, _>>()?,
            "coarse" => {
                for page in config.send.iter_mut().flat_map(|d| d.pages.iter_mut().skip(1)) {
                    page.resolution = Resolution::Standard;
                }
            }
            "colour" | "grey" => {
                let tones = if key == "grey" { Tones::Grey } else { Tones::Colour };
                for page in config.send.iter_mut().flat_map(|d| &mut d.pages).take(number(value)?) {
                    page.tones = Some(tones);
                }
            }
            "offer" => {
                let (count, address) = value.split_once('@').unwrap_or((value, ""));
                let address = (!address.is_empty()).then(|| address.to_owned());
                config.send.push(Document { address, ..pages(count)? });
            }
            "ecm" => config.capabilities.ecm = true,
            "t85" => config.capabilities.prefer_t85 = true,
            "small" => config.capabilities.small_frames = true,
            "max" => config.capabilities.max_rate = number(value)?,
            "min" => config.capabilities.min_rate = number(value)?,
            "modems" => {
                let wanted: Vec<&str> = value.split(',').collect();
                let name = |m: &Modulation| m.recommendation().to_lowercase().replace('.', "");
                config.capabilities.modulations.retain(|m| wanted.contains(&name(m).as_str()));
            }
            "ident" => config.ident = value.into(),
            "sub" => config.sub_address = Some(value.into()),
            "pwd" => config.password = Some(value.into()),
            "poll" => {
                config.poll.push(Poll { sep: (!value.is_empty()).then(|| value.into()), psa: None });
            }
            "retries" => config.rules.page_retries = number(value)?,
            "refuse" => config.rules.refuse_at_percent = None,
            "cap" => config.rules.longest_page = seconds(value)?,
            "operator" => {
                config.rules.operator = match value {
                    "present" => Operator::Present,
                    "asks" => Operator::Asks,
                    _ => return Err(format!("no such operator: {value}")),
                }
            }
            "crp" => config.rules.command_repeat = true,
            "subs" => config.sub_addresses = value.split(',').map(str::to_owned).collect(),
            "shape" => {
                let (resolution, width) = value.split_once('/').ok_or("shape=R16/A3")?;
                let resolutions = Resolution::ALL.into_iter().map(|r| (format!("{r:?}"), r));
                let widths = Width::ALL.into_iter().map(|w| (format!("{w:?}"), w));
                for page in config.send.iter_mut().flat_map(|d| d.pages.iter_mut()) {
                    page.resolution = named(resolutions.clone(), resolution)?;
                    page.width = named(widths.clone(), width)?;
                }
            }
            "length" => {
                config.capabilities.max_length = match value {
                    "a4" => Length::A4,
                    "b4" => Length::B4,
                    _ => return Err(format!("no such length: {value}")),
                }
            }
            "norx" => config.receive = false,
            "octets" => octets = number(value)?,
            "slow" => slow = true,
            "modems-only" | "times-only" | "no-audio" => {}
            _ => return Err(format!("no such option: {option}")),
        }
    }
    Ok((config, octets, slow))
}

fn named<T>(mut all: impl Iterator<Item = (String, T)>, name: &str) -> Result<T, String> {
    all.find(|(known, _)| known == name).map(|(_, t)| t).ok_or_else(|| format!("no such: {name}"))
}

fn modulation(text: &str) -> Result<Modulation, String> {
    let wanted = |m: &Modulation| short(*m) == text;
    Modulation::ALL.into_iter().find(wanted).ok_or_else(|| format!("no such modem: {text}"))
}

fn short(modulation: Modulation) -> String {
    modulation.to_string().replace('.', "").replace(' ', "/")
}

fn fcf(name: &str) -> Result<Fcf, String> {
    let all = (0..=u8::MAX).map(Fcf::parse);
    all.into_iter().find(|f| f.name() == name).ok_or_else(|| format!("no such frame: {name}"))
}

impl Play {
    fn step(&mut self, step: &str) -> Done {
        let (word, rest) = step.split_once(' ').unwrap_or((step, ""));
        match word {
            "times" => {
                let (count, steps) = rest.split_once(':').ok_or("times N: step; step")?;
                for n in 0..number::<u32>(count)? {
                    for step in steps.split(';') {
                        let step = step.trim().replace('#', &(n % 256).to_string());
                        self.step(&step).map_err(|why| format!("{n}: {why}"))?;
                    }
                }
                Ok(())
            }
            "says" => self.says(rest),
            "<" => self.hear(rest),
            ">" => self.sends(rest),
            "=" => self.ends(rest),
            "silence" => {
                self.bench.left.clear();
                self.bench.wait(seconds(rest)?);
                let said = self.bench.sent(Duration::ZERO);
                if said.is_empty() { Ok(()) } else { Err(format!("it sent {said:?}")) }
            }
            "wait" => {
                self.bench.wait(seconds(rest)?);
                self.bench.left.clear();
                Ok(())
            }
            "quality" => {
                let bad_rows = number(rest)?;
                self.bench.verdict = Verdict { rows: 1000, bad_rows, longest_bad_run: bad_rows, cut: false };
                Ok(())
            }
            "cut" => {
                self.bench.verdict.cut = true;
                Ok(())
            }
            "blank" => {
                self.bench.verdict = Verdict::default();
                Ok(())
            }
            "notkept" => {
                self.bench.input(Input::PageNotKept);
                Ok(())
            }
            "verdict" => {
                self.bench.input(Input::Verdict(self.bench.verdict));
                Ok(())
            }
            "hangup" => {
                self.bench.input(Input::HungUp);
                Ok(())
            }
            "cancel" => {
                self.bench.input(Input::Cancel);
                Ok(())
            }
            "linechange" => {
                if !rest.is_empty() {
                    self.bench.session.limit_rate(number(rest)?);
                }
                self.bench.input(Input::LineChanged);
                Ok(())
            }
            _ => Err("no such step".into()),
        }
    }

    /// The far end sends something.
    fn hear(&mut self, what: &str) -> Done {
        let mut burst = Vec::new();
        let mut damaged = false;
        for word in what.split_whitespace() {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            match key {
                "bad" => damaged = true,
                "TCF" => self.bench.tcf(self.modulation),
                "badTCF" => {
                    let octets = self.modulation.bit_rate() as usize * 3 / 16;
                    self.bench.bits(self.modulation, Training::Long, vec![0x55; octets].into());
                }
                "image" => {
                    let octets = vec![0x35; number(value)?];
                    self.bench.bits(self.modulation, self.image_training(), octets.into());
                    self.training = Training::Short;
                }
                "frames" => {
                    let frames = frames(value)?;
                    self.bench.frames(self.modulation, self.image_training(), frames);
                    self.training = Training::Short;
                }
                "flags" => self.bench.flags_only(seconds(value)?),
                "echo" => {
                    let frames = self.bench.last_burst.clone();
                    self.bench.burst(&frames);
                }
                "CED" => self.bench.input(Input::Heard(Heard::Tone(Tone::Ced))),
                _ if word.starts_with("TCF@") => self.bench.tcf(modulation(&word[4..])?),
                _ => {
                    let name = key.split(':').next().unwrap_or(key);
                    let last = !BEFORE.contains(&name);
                    burst.push(self.frame(word, last)?);
                    if last {
                        let frames = core::mem::take(&mut burst);
                        match frames.last() {
                            Some(frame) if damaged => self.bench.bad_burst(frame),
                            _ => self.bench.burst(&frames),
                        }
                        damaged = false;
                    }
                }
            }
        }
        if burst.is_empty() { Ok(()) } else { Err("a burst without its last frame".into()) }
    }

    fn image_training(&self) -> Training {
        let v17 = self.modulation.recommendation() == "V.17";
        if v17 { self.training } else { Training::Long }
    }

    fn frame(&mut self, word: &str, last: bool) -> Result<Bytes, String> {
        let x = self.far_calls;
        let (word, ident) = word.split_once('=').unwrap_or((word, ""));
        if !ident.is_empty() {
            return Ok(build(fcf(word)?, x, last, &ident_to_fif(ident)));
        }
        let (name, field) = word.split_once(':').unwrap_or((word, ""));
        if let Some(second) = name.strip_prefix("PPS-").or(name.strip_prefix("EOR-")) {
            let second = if second == "NULL" { 0 } else { fcf(second)?.octet(x) };
            let mut fif = vec![second];
            for (i, n) in field.split(',').filter(|n| !n.is_empty()).enumerate() {
                let n: u8 = number(n)?;
                fif.push(if i == 2 { n.wrapping_sub(1) } else { n }.reverse_bits());
            }
            return Ok(build(fcf(&name[..3])?, x, last, &fif));
        }
        let fif = match name {
            "PPR" if field.len() < 60 => {
                let mut map = vec![0; 32];
                for n in field.split(',').filter(|n| !n.is_empty()) {
                    let n: usize = number(n)?;
                    map[n / 8] |= 0x80 >> (n % 8);
                }
                map
            }
            "DIS" | "DTC" if field.is_empty() => {
                if self.ecm {
                    vec![0x00, 0x77, 0x1F, 0x22]
                } else {
                    vec![0x00, 0x77, 0x1E]
                }
            }
            "DCS" if field.is_empty() => {
                if self.ecm {
                    vec![0x00, 0x46, 0x1F, 0x22]
                } else {
                    vec![0x00, 0x47, 0x1E]
                }
            }
            _ => hex(field)?,
        };
        if name == "DCS" || name == "CTC" {
            let code = fif.get(1).map_or(0, |o| o >> 2 & 0x0F);
            self.modulation = match code {
                0b0000 => Modulation::V27ter2400,
                0b0100 => Modulation::V27ter4800,
                0b1000 => Modulation::V29At9600,
                0b1100 => Modulation::V29At7200,
                0b0101 => Modulation::V17At12000,
                0b1001 => Modulation::V17At9600,
                0b1101 => Modulation::V17At7200,
                _ => Modulation::V17At14400,
            };
            self.training = if name == "CTC" { Training::Long } else { Training::Short };
        }
        Ok(build(fcf(name)?, x, last, &fif))
    }

    /// Our end must send this.
    fn sends(&mut self, what: &str) -> Done {
        let (what, window) = match what.split_once(" in ") {
            Some((what, window)) => (what, Some(window)),
            None => (what, None),
        };
        let asked = self.bench.now;
        let left = self.bench.sent_timed(PATIENCE);
        let got: Vec<String> = left.iter().flat_map(|l| told(&l.what)).collect();
        let want: Vec<&str> = what.split_whitespace().collect();
        if got != want {
            return Err(format!("it sent {got:?}"));
        }
        gaps(&left)?;
        lengths(&left)?;
        let Some(window) = window else { return Ok(()) };
        let (least, most) = window.split_once("..").ok_or("a window is 1..2")?;
        let began = left.iter().find(|l| !told(&l.what).is_empty()).map(|l| l.began.since(asked));
        let (least, most) = (seconds(least)?, seconds(most)?);
        match began {
            Some(began) if (least..=most).contains(&began) => Ok(()),
            other => Err(format!("it began after {other:?}")),
        }
    }

    /// The last frame of that name that our end sent must have this content: `+33 -44` bits of DIS, DTC or DCS,
    /// `page,block,frames` of PPS, or hexadecimal octets that it begins with.
    fn says(&self, what: &str) -> Done {
        let mut words = what.split_whitespace();
        let name = words.next().ok_or("the name of a frame")?;
        let sent = self.bench.events.iter().rev().find_map(|(_, event)| match event {
            Event::FrameSent { name: sent, octets } if *sent == name => Frame::parse(octets),
            _ => None,
        });
        let fif = sent.ok_or("it was never sent")?.fif;
        for word in words {
            let bit = word.get(1..).unwrap_or_default();
            let holds = match word.chars().next() {
                Some('+') => Fif::parse(&fif).bit(number(bit)?),
                Some('-') => !Fif::parse(&fif).bit(number(bit)?),
                _ if word.contains(',') => {
                    let counters = fif.get(1..4).ok_or("no counters")?;
                    let (counters, wanted) = (counters.iter().map(|o| o.reverse_bits()), numbers(word)?);
                    counters.eq([wanted[0], wanted[1], wanted[2].wrapping_sub(1)])
                }
                _ => fif.starts_with(&hex(word)?),
            };
            if !holds {
                return Err(format!("{word}: it says {fif:02x?}"));
            }
        }
        Ok(())
    }

    /// The call must end so.
    fn ends(&mut self, how: &str) -> Done {
        let asked = self.bench.now;
        let Some(outcome) = self.bench.end(PATIENCE).cloned() else {
            return Err("it does not end".into());
        };
        let lasted = self.bench.now.since(asked);
        let cause = outcome.failure.as_ref().map_or("ok".into(), |f| format!("{:?}", f.cause));
        let mut words = how.split_whitespace();
        if words.next() != Some(&cause) {
            return Err(format!("it ended with {cause}"));
        }
        for word in words {
            let (key, value) = word.split_once('=').ok_or("key=value")?;
            if key == "in" {
                let (least, most) = value.split_once("..").ok_or("a window is 1..2")?;
                if !(seconds(least)?..=seconds(most)?).contains(&lasted) {
                    return Err(format!("it took {lasted:?}"));
                }
                continue;
            }
            let got = self.fact(&outcome, key)?;
            if got != value {
                return Err(format!("{key} is {got}"));
            }
        }
        Ok(())
    }

    fn fact(&self, outcome: &Outcome, key: &str) -> Result<String, String> {
        let settled = |wanted: bool| {
            let done = self.bench.pages.iter().filter(
                |o| matches!(o, Output::PageDone { kept: true, confirmed, .. } if *confirmed == wanted),
            );
            done.count().to_string()
        };
        Ok(match key {
            "confirmed" => outcome.pages_confirmed.to_string(),
            "received" => settled(true),
            "unconfirmed" => settled(false),
            "uncertain" => outcome.page_uncertain.map_or("none".into(), |n| n.to_string()),
            "format" => outcome
                .format
                .map_or("none".into(), |f| format!("{}/{:?}/{:?}", f.coding, f.resolution, f.width)),
            "modem" => outcome.modulation.map_or("none".into(), short),
            "coding" => outcome.format.map_or("none".into(), |f| f.coding.to_string().replace(' ', "-")),
            "dcs" => {
                let sent = self.bench.events.iter().rev().find_map(|(_, event)| match event {
                    Event::FrameSent { name: "DCS", octets } => octets.get(3..),
                    _ => None,
                });
                sent.unwrap_or_default().iter().map(|o| format!("{o:02x}")).collect()
            }
            "ident" => outcome.remote_ident.clone().unwrap_or_default(),
            "state" => outcome.failure.as_ref().map_or("", |f| f.state).into(),
            "timer" => outcome.failure.as_ref().and_then(|f| f.timer).unwrap_or("none").into(),
            _ => return Err(format!("no such fact: {key}")),
        })
    }
}

/// `0-3,5:100`: data frames of 256 octets, one of 100, and three RCP.
fn frames(list: &str) -> Result<Vec<Bytes>, String> {
    let mut all = Vec::new();
    for part in list.split(',') {
        let (part, length) = part.split_once(':').unwrap_or((part, "256"));
        let length: usize = number(length)?;
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        for n in number::<u8>(from)?..=number::<u8>(to)? {
            let mut octets = vec![0xFF, 0xC0, 0x60, n.reverse_bits()];
            octets.extend(vec![n; length]);
            all.push(octets.into());
        }
    }
    all.extend([0; 3].map(|_| Bytes::from_static(&[0xFF, 0xC0, 0x61])));
    Ok(all)
}

fn told(transmit: &Transmit) -> Vec<String> {
    let letter = |training: &Training| if *training == Training::Long { "L" } else { "S" };
    match transmit {
        Transmit::Silence(_) => Vec::new(),
        Transmit::Tone(..) => Vec::new(),
        Transmit::Control(_) => testkit::line::air::names(transmit).into_iter().map(str::to_owned).collect(),
        Transmit::Bits { modulation, training, .. } => {
            vec![format!("{}{}", short(*modulation), letter(training))]
        }
        Transmit::Frames { modulation, training, frames } => {
            vec![format!("{}{}*{}", short(*modulation), letter(training), frames.len())]
        }
    }
}

/// A preamble is 1 s ± 15 %, and a training check 1.5 s ± 10 % of zeros.
fn lengths(left: &[Left]) -> Done {
    let signals: Vec<&Transmit> =
        left.iter().map(|l| &l.what).filter(|w| !matches!(w, Transmit::Silence(_))).collect();
    for pair in signals.windows(2) {
        if let [Transmit::Control(_), Transmit::Bits { modulation, octets, .. }] = pair {
            let seconds = octets.len() as f64 * 8.0 / f64::from(modulation.bit_rate());
            if !(1.35..=1.65).contains(&seconds) || octets.iter().any(|o| *o != 0) {
                return Err(format!("a training check of {seconds} s"));
            }
        }
    }
    // Where nothing else was sent, the whole time tells.
    if let [
        Left { what: Transmit::Silence(gap), began, .. },
        Left { what: Transmit::Control(frames), ended, .. },
    ] = left
    {
        let bits: usize = frames.iter().map(|f| 8 * (f.len() + 3) + stuffed(f)).sum();
        let preamble = ended.since(*began).as_secs_f64() - gap.as_secs_f64() - bits as f64 / 300.0;
        // More than one flag may stand between two frames.
        let most = 1.13 + 0.02 * frames.len() as f64;
        if !(0.85..=most).contains(&preamble) {
            return Err(format!("a preamble of {preamble} s"));
        }
    }
    Ok(())
}

/// Zeros that HDLC puts behind five ones, FCS left out.
fn stuffed(frame: &Bytes) -> usize {
    let (mut run, mut zeros) = (0, 0);
    for bit in frame.iter().flat_map(|octet| (0..8).rev().map(move |n| octet >> n & 1)) {
        run = if bit == 1 { run + 1 } else { 0 };
        if run == 5 {
            (run, zeros) = (0, zeros + 1);
        }
    }
    zeros
}

/// Between two carriers of ours there are 75 ± 20 ms of silence, and before the first.
fn gaps(left: &[Left]) -> Done {
    let mut quiet = None;
    for sent in left {
        match sent.what {
            Transmit::Silence(length) => quiet = Some(length),
            Transmit::Tone(..) => quiet = None,
            Transmit::Control(_) | Transmit::Bits { .. } | Transmit::Frames { .. } => {
                let gap = quiet.take().map(|q| q.as_millis());
                if !gap.is_some_and(|gap| (55..=95).contains(&gap)) {
                    return Err(format!("a gap of {gap:?} ms"));
                }
            }
        }
    }
    Ok(())
}
