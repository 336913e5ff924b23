//! `ferrofax demo`: two real servers on this machine, a real PDF from one to the other, compared pel
//! for pel.

mod compare;
mod postbox;
mod watch;
mod world;

use crate::cli::DemoArgs;
use crate::client::Client;
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use world::World;

/// The bundled document: a page of text, a drawing and a photograph.
const DOCUMENT: &[u8] = include_bytes!("../../../../testdata/demo.pdf");

/// A demo that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs the command.
pub(crate) async fn run(args: DemoArgs, as_json: bool) -> Result<ExitCode> {
    let document = match &args.document {
        Some(path) => tokio::fs::read(path).await.with_context(|| format!("{}", path.display()))?,
        None => DOCUMENT.to_vec(),
    };
    let say = |text: &str| {
        if !as_json {
            println!("{text}");
        }
    };
    let mut world = World::start().await?;
    say(&format!("two servers are up; their files are in {}", world.folder.display()));
    say(&format!("  clinic  SIP {}  REST http://{}", world.clinic.sip, world.clinic_api));
    say(&format!("  court   SIP {}  REST http://{}\n", world.court.sip, world.court_api));

    let clinic = Client::with_key(&format!("http://{}", world.clinic_api), world::CLINIC_KEY).await?;
    let court = Client::with_key(&format!("http://{}", world.court_api), world::COURT_KEY).await?;
    let began = Instant::now();
    let events = world.clinic.service.subscribe();
    let fax = json!({
        "to_number": world::COURT_NUMBER, "from_number": world::CLINIC_NUMBER, "from_name": "Clinic",
        "notifications": { "email": { "send_to": [world::SENDER] } },
    });
    let media_type =
        fax_document::sniff(&document, None, None).context("no document that can be faxed")?.media_type();
    let job = clinic.submit(&fax, media_type, &document).await?;
    let id = job["id"].as_str().context("the server named no job")?.to_owned();
    say(&format!("PUT http://{}/v2/accounts/{}/faxes → 201, job {id}", world.clinic_api, clinic.account));

    let watched = watch::follow(&world.clinic.service, events, &clinic.account, &id, as_json);
    let job = tokio::time::timeout(PATIENCE, watched).await.context("the fax takes too long")??;
    let sent_in = began.elapsed();
    let attempt = job.attempts.last().cloned().context("the fax was never tried")?;
    if !as_json {
        println!("\nT.30 between the two, in short:");
        watch::ladder(&attempt.trace);
    }

    let verdict = compare::run(&clinic, &court, &id, &world.folder).await?;
    let mails = world.mails(Duration::from_secs(20)).await;
    let identical = verdict.pages > 0 && verdict.different.is_empty();
    let good = identical && mails.len() == 2 && attempt.pages_confirmed as usize == verdict.pages;
    if as_json {
        println!(
            "{}",
            json!({ "identical": identical, "pages": verdict.pages, "different": verdict.different,
                "seconds": sent_in.as_secs_f64(), "bit_rate": attempt.bit_rate, "modem": attempt.modem,
                "coding": attempt.coding, "ecm": attempt.ecm, "t38": attempt.t38, "resends": attempt.resends,
                "files": verdict.files, "mails": mails })
        );
    } else {
        table(&attempt, &verdict, sent_in, &mails);
    }
    if args.stay {
        stay(&world).await?;
    }
    world.stop().await;
    if !good && mails.len() != 2 {
        bail!("{} of 2 mails arrived", mails.len());
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn table(attempt: &fax_store::model::Attempt, verdict: &compare::Verdict, took: Duration, mails: &[PathBuf]) {
    let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "?".to_owned());
    let result = if verdict.pages > 0 && verdict.different.is_empty() {
        "every page the same, pel for pel".to_owned()
    } else {
        format!("DIFFERENT: pages {:?}", verdict.different)
    };
    println!("\n  time         {:.1} s from REST to the confirmation", took.as_secs_f64());
    println!("  carrier      {}", if attempt.t38 { "T.38 over UDPTL" } else { "audio" });
    println!("  rate         {} {} bit/s", or(&attempt.modem), attempt.bit_rate.unwrap_or_default());
    println!("  compression  {}{}", or(&attempt.coding), if attempt.ecm { ", ECM" } else { "" });
    println!("  pages        {} of {} confirmed", attempt.pages_confirmed, verdict.pages);
    println!("  resends      {}", attempt.resends);
    println!("  result       {result}");
    println!("\nwhat was received:");
    verdict.files.iter().for_each(|f| println!("  {}", f.display()));
    println!("mails (receipt and received fax):");
    mails.iter().for_each(|m| println!("  {}", m.display()));
}

/// Keeps both running until Ctrl-C.
async fn stay(world: &World) -> Result<()> {
    println!("\nboth servers stay up; stop with Ctrl-C. To try:");
    println!(
        "  curl -X PUT http://{}/v2/accounts/{}/faxes -H 'X-Auth-Token: {}' \\\n    -F 'json={{\"data\":{{\"to_number\":\"{}\",\"from_number\":\"{}\"}}}};type=application/json' \\\n    -F 'file=@document.pdf;type=application/pdf'",
        world.clinic_api,
        world.clinic_account(),
        world::CLINIC_KEY,
        world::COURT_NUMBER,
        world::CLINIC_NUMBER,
    );
    println!("  ferrofax jobs --api http://{} --key {} received", world.court_api, world::COURT_KEY);
    println!("  or mail a PDF by SMTP to {}@clinic.demo at {}", world::COURT_NUMBER, world.clinic_smtp);
    tokio::signal::ctrl_c().await?;
    Ok(())
}
