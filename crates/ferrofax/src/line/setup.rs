//! From the options of `ferrofax line` to a terminal.

use crate::cli::{Compression, LineArgs, Modem, Switch};
use crate::pages;
use anyhow::{Result, ensure};
use fax_base::line::Modulation;
use fax_base::page::{Coding, Tones};
use fax_t30::{Capabilities, Poll, Role};
use std::path::Path;

/// Characters of an ident, a sub-address or a password (T.30 §5.3.6.2).
const FIELD: usize = 20;

/// Where received documents go, if this end receives.
pub(super) fn receives(args: &LineArgs) -> Option<&Path> {
    let wanted = args.poll || args.answer && args.send.is_empty();
    args.receive.as_deref().or(wanted.then_some(Path::new(".")))
}

/// The terminal that the options describe.
pub(super) async fn terminal(args: &LineArgs) -> Result<fax_terminal::Config> {
    check(args)?;
    let capabilities = capabilities(args)?;
    let mut documents = Vec::new();
    for file in &args.send {
        let mut document = pages::load(file, false).await?;
        if let Some(text) = &args.header {
            pages::head(&mut document, text);
        }
        documents.push(fax_terminal::Document::new(pages::coded(&document)));
    }
    let poll = Poll { sep: args.sep.clone(), psa: None };
    Ok(fax_terminal::Config {
        role: if args.call { Role::Calling } else { Role::Called },
        ident: args.id.clone(),
        capabilities,
        receive: args.poll || receives(args).is_some(),
        documents,
        poll: if args.poll { vec![poll] } else { Vec::new() },
        sub_address: args.sub.clone(),
        password: args.pwd.clone(),
        ..fax_terminal::Config::default()
    })
}

/// Options that do not go together or cannot go on the line.
fn check(args: &LineArgs) -> Result<()> {
    ensure!(
        args.answer || args.poll || !args.send.is_empty(),
        "--call has nothing to do: give --send FILE, or --poll to fetch a document"
    );
    ensure!(args.id.chars().count() <= FIELD, "--id has more than {FIELD} characters");
    ensure!(
        args.id.chars().all(|c| c.is_ascii_graphic() || c == ' '),
        "--id can have letters, digits and signs of ASCII only"
    );
    for (name, field) in [("--sub", &args.sub), ("--sep", &args.sep), ("--pwd", &args.pwd)] {
        let Some(field) = field else { continue };
        ensure!(!field.is_empty() && field.len() <= FIELD, "{name} must have 1 to {FIELD} characters");
        ensure!(
            field.chars().all(|c| c.is_ascii_digit() || matches!(c, '#' | '*' | ' ' | '+')),
            "{name} can have digits, #, *, + and spaces only"
        );
    }
    ensure!(
        args.sub.is_none() || args.call,
        "--sub goes with --call: the end that calls names the sub-address"
    );
    ensure!(
        args.sep.is_none() || args.poll,
        "--sep goes with --call --poll: it names the document that is wanted"
    );
    Ok(())
}

fn capabilities(args: &LineArgs) -> Result<Capabilities> {
    let ecm = args.ecm == Switch::On;
    let modulations = modulations(args)?;
    let mut codings = vec![Coding::Mh];
    for compression in &args.compression {
        match compression {
            Compression::Mh => {}
            Compression::Mr => codings.push(Coding::Mr),
            Compression::Mmr => codings.push(Coding::Mmr),
            Compression::T85 => codings.push(Coding::T85),
            Compression::T81 => codings.push(Coding::T81(Tones::Colour)),
        }
    }
    let (min_rate, max_rate) = (args.min_rate, args.max_rate);
    let prefer_t85 = codings.contains(&Coding::T85);
    Ok(Capabilities { ecm, modulations, codings, prefer_t85, min_rate, max_rate, ..Capabilities::default() })
}

/// The modulations of --modems between --min-rate and --max-rate.
fn modulations(args: &LineArgs) -> Result<Vec<Modulation>> {
    let (least, most) = (args.min_rate, args.max_rate);
    ensure!(least <= most, "--min-rate {least} is above --max-rate {most}");
    let chosen: Vec<Modulation> = Modulation::ALL
        .into_iter()
        .filter(|m| (least..=most).contains(&m.bit_rate()) && args.modems.contains(&modem(*m)))
        .collect();
    ensure!(
        !chosen.is_empty(),
        "none of the --modems has a rate from {least} to {most} bit/s: V.27ter has 2400 and 4800, V.29 7200 and 9600, \
         V.17 7200, 9600, 12000 and 14400"
    );
    Ok(chosen)
}

const fn modem(modulation: Modulation) -> Modem {
    match modulation {
        Modulation::V27ter2400 | Modulation::V27ter4800 => Modem::V27ter,
        Modulation::V29At7200 | Modulation::V29At9600 => Modem::V29,
        Modulation::V17At7200 | Modulation::V17At9600 | Modulation::V17At12000 | Modulation::V17At14400 => {
            Modem::V17
        }
    }
}
