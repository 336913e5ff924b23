//! The setup of a recorded call: everything that a terminal is made from, as numbered fields. A field that is not
//! there means its default; one that is not known comes from a newer ferrofax, and the recording is refused.

use super::Options;
use super::octets::{Cursor, Fault, Hash, field, number, octets, signed};
use crate::api::{AudioOptions, CodedPage, Config, Document};
use bytes::Bytes;
use core::time::Duration;
use fax_base::level::Dbm0;
use fax_base::line::Modulation;
use fax_base::page::{Coding, Length, PageShape, Resolution, Tones, Width};
use fax_t30::{Capabilities, Operator, Poll, Role, Rules};
use fax_t38 as t38;
use std::sync::Arc;

const CODINGS: [Coding; 6] =
    [Coding::Mh, Coding::Mr, Coding::Mmr, Coding::T85, Coding::T81(Tones::Grey), Coding::T81(Tones::Colour)];
const TONES: [Option<Tones>; 3] = [None, Some(Tones::Grey), Some(Tones::Colour)];
const LENGTHS: [Length; 3] = [Length::A4, Length::B4, Length::Unlimited];
const ROLES: [Role; 2] = [Role::Calling, Role::Called];
const OPERATORS: [Operator; 3] = [Operator::Absent, Operator::Present, Operator::Asks];
const CORRECTIONS: [t38::ErrorCorrection; 3] =
    [t38::ErrorCorrection::None, t38::ErrorCorrection::Redundancy, t38::ErrorCorrection::Fec];
/// Things of one kind in a setup at most.
const MOST: u64 = 100_000;

/// What a recorded call was set up with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The terminal's configuration. Pages that are not in the recording have no octets.
    pub config: Config,
    /// How its modems were set.
    pub audio: AudioOptions,
    /// Whether our own numbers are the true ones.
    pub numbers: bool,
    /// The hash of every page to be sent, in order.
    pub hashes: Vec<u64>,
    /// Whether the pages themselves are in the recording.
    pub pages: bool,
    /// The version of ferrofax that made it.
    pub maker: String,
    /// What is worth knowing of the call: names and values.
    pub labels: Vec<(String, String)>,
}

/// The hash by which a page is known again.
#[must_use]
pub(super) fn hash(page: &CodedPage) -> u64 {
    Hash::new().feed(&page.t6).feed(page.jpeg.as_deref().unwrap_or_default()).whole()
}

/// The place of a value in a list of all of them.
fn place<T: PartialEq>(all: &[T], value: &T) -> u64 {
    all.iter().position(|v| v == value).map_or(u64::MAX, |i| i as u64)
}

fn at<T: Copy>(all: &[T], cursor: &mut Cursor<'_>, what: &str) -> Result<T, Fault> {
    let i = cursor.number()?;
    let value = usize::try_from(i).ok().and_then(|i| all.get(i)).copied();
    value.ok_or_else(|| Fault::new(format!("{what} number {i} is not known here")))
}

fn list<T>(
    cursor: &mut Cursor<'_>,
    mut one: impl FnMut(&mut Cursor<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let count = cursor.bounded(MOST.min(cursor.len() as u64), "a list")?;
    (0..count).map(|_| one(cursor)).collect()
}

fn put_list<T>(out: &mut Vec<u8>, values: &[T], mut one: impl FnMut(&mut Vec<u8>, &T)) {
    number(out, values.len() as u64);
    values.iter().for_each(|v| one(out, v));
}

fn put_option(out: &mut Vec<u8>, text: Option<&String>) {
    number(out, u64::from(text.is_some()));
    if let Some(text) = text {
        octets(out, text.as_bytes());
    }
}

fn option(cursor: &mut Cursor<'_>) -> Result<Option<String>, Fault> {
    (cursor.number()? != 0).then(|| cursor.text()).transpose()
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn small(cursor: &mut Cursor<'_>) -> Result<u32, Fault> {
    let n = cursor.bounded(u32::MAX.into(), "a number")?;
    Ok(u32::try_from(n).unwrap_or(u32::MAX))
}

/// The same number of characters, none of them true but signs and the last two.
fn redacted(text: &str) -> String {
    let hidden = text.chars().count().saturating_sub(2);
    let other = |c: char| if c.is_ascii_digit() { '0' } else { 'x' };
    text.chars()
        .enumerate()
        .map(|(i, c)| if i < hidden && c.is_alphanumeric() { other(c) } else { c })
        .collect()
}

/// Writes the setup of a call.
pub(super) fn encode(config: &Config, audio: AudioOptions, options: &Options) -> Vec<u8> {
    let mut out = Vec::new();
    // Whoever adds a field to one of these writes it here.
    let Config {
        role,
        ident,
        capabilities,
        documents,
        receive,
        poll,
        sub_address,
        // A call that has one is not recorded.
        password: _,
        sub_addresses,
        rules,
        keeps_pages,
    } = config;
    let shown = |text: &String| if options.numbers { text.clone() } else { redacted(text) };
    let maker = env!("CARGO_PKG_VERSION");
    field(&mut out, 1, |out| out.extend_from_slice(maker.as_bytes()));
    field(&mut out, 2, |out| number(out, place(&ROLES, role)));
    field(&mut out, 3, |out| out.extend_from_slice(shown(ident).as_bytes()));
    field(&mut out, 4, |out| put_capabilities(out, capabilities));
    field(&mut out, 5, |out| number(out, (*receive).into()));
    field(&mut out, 6, |out| {
        put_list(out, poll, |out, Poll { sep, psa }| {
            put_option(out, sep.as_ref().map(shown).as_ref());
            put_option(out, psa.as_ref().map(shown).as_ref());
        });
    });
    field(&mut out, 7, |out| put_option(out, sub_address.as_ref().map(shown).as_ref()));
    field(&mut out, 8, |out| {
        let Rules { page_retries, poor_at_percent, refuse_at_percent, longest_page, .. } = rules;
        number(out, u64::from(*page_retries));
        number(out, u64::from(*poor_at_percent));
        number(out, refuse_at_percent.map_or(0, |p| u64::from(p) + 1));
        number(out, micros(*longest_page));
    });
    field(&mut out, 9, |out| {
        let AudioOptions { level, talker_echo_protection } = audio;
        signed(out, (f64::from(level.0) * 1000.0).round() as i64);
        number(out, talker_echo_protection.into());
    });
    field(&mut out, 10, |out| number(out, options.numbers.into()));
    field(&mut out, 11, |out| {
        put_list(out, &options.labels, |out, (name, value)| {
            octets(out, name.as_bytes());
            octets(out, value.as_bytes());
        });
    });
    field(&mut out, 12, |out| number(out, options.pages.into()));
    field(&mut out, 14, |out| {
        let Rules {
            page_retries: _,
            poor_at_percent: _,
            refuse_at_percent: _,
            longest_page: _,
            command_repeat,
            operator,
        } = rules;
        number(out, (*command_repeat).into());
        number(out, place(&OPERATORS, operator));
    });
    // They are compared with what the far end names.
    field(&mut out, 15, |out| put_list(out, sub_addresses, |out, sub| octets(out, sub.as_bytes())));
    // Others can still be read by a ferrofax that does not know it.
    if *keeps_pages {
        field(&mut out, 16, |out| number(out, 1));
    }
    for Document { pages, address } in documents {
        field(&mut out, 13, |out| {
            // It is compared with what the far end asks for, and is no telephone number.
            put_option(out, address.as_ref());
            put_list(out, pages, |out, page| {
                let CodedPage { shape: PageShape { width, resolution, rows, tones }, t6, jpeg } = &**page;
                let embedded = |octets: &Bytes| if options.pages { octets.clone() } else { Bytes::new() };
                number(out, place(&Width::ALL, width));
                number(out, place(&Resolution::ALL, resolution));
                number(out, (*rows).into());
                number(out, place(&TONES, tones));
                number(out, hash(page));
                octets(out, &embedded(t6));
                number(out, jpeg.is_some().into());
                octets(out, &jpeg.as_ref().map(embedded).unwrap_or_default());
            });
        });
    }
    out
}

fn put_capabilities(out: &mut Vec<u8>, capabilities: &Capabilities) {
    let Capabilities {
        ecm,
        modulations,
        codings,
        prefer_t85,
        resolutions,
        max_width,
        max_length,
        min_row_time,
        max_rate,
        min_rate,
        small_frames,
    } = capabilities;
    field(out, 1, |out| number(out, (*ecm).into()));
    field(out, 2, |out| put_list(out, modulations, |out, m| number(out, place(&Modulation::ALL, m))));
    field(out, 3, |out| put_list(out, codings, |out, c| number(out, place(&CODINGS, c))));
    field(out, 4, |out| put_list(out, resolutions, |out, r| number(out, place(&Resolution::ALL, r))));
    field(out, 5, |out| number(out, place(&Width::ALL, max_width)));
    field(out, 6, |out| number(out, place(&LENGTHS, max_length)));
    field(out, 7, |out| number(out, micros(*min_row_time)));
    field(out, 8, |out| number(out, (*max_rate).into()));
    field(out, 9, |out| number(out, (*min_rate).into()));
    field(out, 10, |out| number(out, (*small_frames).into()));
    field(out, 11, |out| number(out, (*prefer_t85).into()));
}

fn capabilities(cursor: &mut Cursor<'_>) -> Result<Capabilities, Fault> {
    let mut c = Capabilities::default();
    while !cursor.is_empty() {
        let (id, mut inner) = (cursor.number()?, Cursor::new(cursor.octets()?));
        let inner = &mut inner;
        match id {
            1 => c.ecm = inner.number()? != 0,
            2 => c.modulations = list(inner, |i| at(&Modulation::ALL, i, "modulation"))?,
            3 => c.codings = list(inner, |i| at(&CODINGS, i, "coding"))?,
            4 => c.resolutions = list(inner, |i| at(&Resolution::ALL, i, "resolution"))?,
            5 => c.max_width = at(&Width::ALL, inner, "width")?,
            6 => c.max_length = at(&LENGTHS, inner, "length")?,
            7 => c.min_row_time = Duration::from_micros(inner.number()?),
            8 => c.max_rate = small(inner)?,
            9 => c.min_rate = small(inner)?,
            10 => c.small_frames = inner.number()? != 0,
            11 => c.prefer_t85 = inner.number()? != 0,
            id => return Err(newer(id)),
        }
    }
    Ok(c)
}

fn newer(id: u64) -> Fault {
    Fault::new(format!("field {id} of the setup is not known here; a newer ferrofax may read it"))
}

/// Reads the setup of a call.
pub(super) fn decode(octets: &[u8]) -> Result<Setup, Fault> {
    let mut cursor = Cursor::new(octets);
    let mut setup = Setup {
        config: Config::default(),
        audio: AudioOptions::default(),
        numbers: true,
        hashes: Vec::new(),
        pages: true,
        maker: String::new(),
        labels: Vec::new(),
    };
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    while !cursor.is_empty() {
        let (id, octets) = (cursor.number()?, cursor.octets()?);
        let inner = &mut Cursor::new(octets);
        let config = &mut setup.config;
        match id {
            1 => setup.maker = text(octets),
            2 => config.role = at(&ROLES, inner, "role")?,
            3 => config.ident = text(octets),
            4 => config.capabilities = capabilities(inner)?,
            5 => config.receive = inner.number()? != 0,
            6 => config.poll = list(inner, |i| Ok(Poll { sep: option(i)?, psa: option(i)? }))?,
            7 => config.sub_address = option(inner)?,
            8 => {
                let percent = |n: u32| u8::try_from(n).unwrap_or(u8::MAX);
                config.rules = Rules {
                    page_retries: small(inner)?,
                    poor_at_percent: percent(small(inner)?),
                    refuse_at_percent: small(inner)?.checked_sub(1).map(percent),
                    longest_page: Duration::from_micros(inner.number()?),
                    ..config.rules
                };
            }
            9 => {
                let level = inner.signed()? as f64 / 1000.0;
                setup.audio =
                    AudioOptions { level: Dbm0(level as f32), talker_echo_protection: inner.number()? != 0 };
            }
            10 => setup.numbers = inner.number()? != 0,
            11 => setup.labels = list(inner, |i| Ok((i.text()?, i.text()?)))?,
            12 => setup.pages = inner.number()? != 0,
            13 => {
                let address = option(inner)?;
                let hashes = &mut setup.hashes;
                let pages = list(inner, |i| page(i, hashes))?;
                config.documents.push(Document { pages, address });
            }
            14 => {
                config.rules.command_repeat = inner.number()? != 0;
                config.rules.operator = at(&OPERATORS, inner, "operator")?;
            }
            15 => config.sub_addresses = list(inner, |i| i.text())?,
            16 => config.keeps_pages = inner.number()? != 0,
            id => return Err(newer(id)),
        }
    }
    Ok(setup)
}

fn page(cursor: &mut Cursor<'_>, hashes: &mut Vec<u64>) -> Result<Arc<CodedPage>, Fault> {
    let shape = PageShape {
        width: at(&Width::ALL, cursor, "width")?,
        resolution: at(&Resolution::ALL, cursor, "resolution")?,
        rows: small(cursor)?,
        tones: at(&TONES, cursor, "tones")?,
    };
    hashes.push(cursor.number()?);
    let t6 = Bytes::copy_from_slice(cursor.octets()?);
    let has_jpeg = cursor.number()? != 0;
    let jpeg = Bytes::copy_from_slice(cursor.octets()?);
    Ok(Arc::new(CodedPage { shape, t6, jpeg: has_jpeg.then_some(jpeg) }))
}

/// Writes what was agreed for T.38.
pub(super) fn put_t38(out: &mut Vec<u8>, config: &t38::Config) {
    let t38::Config {
        version,
        far_max_datagram,
        error_correction,
        control_redundancy,
        image_redundancy,
        // The tape writes it where there is one.
        far_max_bit_rate: _,
    } = config;
    number(out, (*version).into());
    number(out, (*far_max_datagram).into());
    number(out, place(&CORRECTIONS, error_correction));
    number(out, (*control_redundancy).into());
    number(out, (*image_redundancy).into());
}

/// Reads what was agreed for T.38.
pub(super) fn t38(cursor: &mut Cursor<'_>) -> Result<t38::Config, Fault> {
    let octet = |cursor: &mut Cursor<'_>| {
        cursor.bounded(255, "a field of T.38").map(|n| u8::try_from(n).unwrap_or(u8::MAX))
    };
    Ok(t38::Config {
        version: octet(cursor)?,
        far_max_datagram: u16::try_from(cursor.bounded(65_535, "T38FaxMaxDatagram")?).unwrap_or(u16::MAX),
        error_correction: at(&CORRECTIONS, cursor, "error correction")?,
        control_redundancy: octet(cursor)?,
        image_redundancy: octet(cursor)?,
        far_max_bit_rate: u32::MAX,
    })
}
