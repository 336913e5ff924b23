//! `ferrofax demo`: two real servers on this machine, a real PDF from one to the other by T.38 and by G.711
//! at the same time, compared pel for pel.

mod compare;
mod postbox;
mod watch;
mod world;

use crate::cli::DemoArgs;
use crate::client::Client;
use crate::server::Server;
use anyhow::{Context, Result, bail};
use compare::Verdict;
use fax_store::model::Attempt;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use watch::Screen;
use world::{COURT, WAYS, Way, World};

/// The bundled document: a page of text, a drawing and a photograph.
const DOCUMENT: &[u8] = include_bytes!("../../../../testdata/demo.pdf");

/// A demo that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(600);

/// One fax of the demo, from order to comparison.
struct Fax {
    way: Way,
    job: String,
    sent_in: Duration,
    attempt: Attempt,
    verdict: Verdict,
}

impl Fax {
    fn is_good(&self) -> bool {
        self.verdict.pages > 0
            && self.verdict.different.is_empty()
            && self.attempt.pages_confirmed as usize == self.verdict.pages
            && self.attempt.t38 == (self.way.name == "T.38")
    }

    fn result(&self) -> String {
        if self.verdict.pages > 0 && self.verdict.different.is_empty() {
            format!("{} pages the same, pel for pel", self.verdict.pages)
        } else {
            format!("DIFFERENT: pages {:?}", self.verdict.different)
        }
    }
}

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

    let court = Client::with_key(&format!("http://{}", world.court_api), COURT.key).await?;
    let screen = Screen::new(as_json);
    let [by_t38, by_audio] = WAYS;
    let (t38, audio) = tokio::try_join!(
        send(&world, &court, by_t38, &document, &screen),
        send(&world, &court, by_audio, &document, &screen),
    )?;
    let faxes = [t38, audio];
    // A receipt and a received fax each.
    let mails = world.mails(2 * faxes.len(), Duration::from_secs(20)).await;
    if as_json {
        println!("{}", told(&faxes, &mails));
    } else {
        for fax in &faxes {
            println!("\nT.30 by {}, in short:", fax.way.name);
            watch::ladder(&fax.attempt.trace);
        }
        table(&faxes, &mails);
    }
    if args.stay {
        stay(&world, as_json).await?;
    }
    world.stop().await;
    let all_good = faxes.iter().all(Fax::is_good);
    if all_good && mails.len() != 2 * faxes.len() {
        bail!("{} of {} mails arrived", mails.len(), 2 * faxes.len());
    }
    Ok(if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Hands the document in, watches its call, and compares what arrived.
async fn send(world: &World, court: &Client, way: Way, document: &[u8], screen: &Screen) -> Result<Fax> {
    let clinic = Client::with_key(&format!("http://{}", world.clinic_api), way.key).await?;
    let began = Instant::now();
    let events = world.clinic.service.subscribe();
    let order = json!({
        "to_number": way.to, "from_number": way.number, "from_name": "Clinic", "retries": 0,
        "notifications": { "email": { "send_to": [way.mail] } },
    });
    let media_type =
        fax_document::sniff(document, None, None).context("no document that can be faxed")?.media_type();
    let job = clinic.submit(&order, media_type, document, uuid::Uuid::new_v4()).await?;
    let job = job["id"].as_str().context("the server named no job")?.to_owned();
    let watched = watch::follow(&world.clinic.service, events, &clinic.account, &job, way.name, screen);
    let done = tokio::time::timeout(PATIENCE, watched).await.context("the fax takes too long")??;
    let sent_in = began.elapsed();
    let attempt = done.attempts.last().cloned().context("the fax was never tried")?;
    if attempt.pages_confirmed == 0 {
        bail!("by {}: {}", way.name, attempt.outcome.text);
    }
    let verdict = compare::run(&clinic, court, &way, &job, &world.folder).await?;
    Ok(Fax { way, job, sent_in, attempt, verdict })
}

fn told(faxes: &[Fax], mails: &[PathBuf]) -> Value {
    let each = faxes.iter().map(|f| {
        let a = &f.attempt;
        json!({ "way": f.way.name, "job": f.job, "identical": f.is_good(), "pages": f.verdict.pages,
            "different": f.verdict.different, "seconds": f.sent_in.as_secs_f64(), "bit_rate": a.bit_rate,
            "modem": a.modem, "coding": a.coding, "ecm": a.ecm, "t38": a.t38, "resends": a.resends,
            "files": f.verdict.files })
    });
    json!({ "identical": faxes.iter().all(Fax::is_good), "faxes": each.collect::<Vec<_>>(), "mails": mails })
}

fn table(faxes: &[Fax], mails: &[PathBuf]) {
    let row = |[carrier, modem, rate, ecm, coding, seconds, resends, result]: [&str; 8]| {
        println!("  {carrier:8} {modem:6} {rate:>6} {ecm:4} {coding:6} {seconds:>7} {resends:>7}  {result}");
    };
    println!();
    row(["carrier", "modem", "bit/s", "ECM", "coding", "seconds", "resends", "result"]);
    for fax in faxes {
        let a = &fax.attempt;
        let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "?".to_owned());
        row([
            if a.t38 { "T.38" } else { "G.711" },
            &or(&a.modem),
            &a.bit_rate.unwrap_or_default().to_string(),
            if a.ecm { "yes" } else { "no" },
            &or(&a.coding),
            &format!("{:.1}", fax.sent_in.as_secs_f64()),
            &a.resends.to_string(),
            &fax.result(),
        ]);
    }
    println!("\nwhat was received:");
    faxes.iter().flat_map(|f| &f.verdict.files).for_each(|f| println!("  {}", f.display()));
    println!("mails (receipts and received faxes):");
    mails.iter().for_each(|m| println!("  {}", m.display()));
}

/// Keeps both running until Ctrl-C.
async fn stay(world: &World, as_json: bool) -> Result<()> {
    if as_json {
        let side = |server: &Server, key: &str| json!({ "sip": server.sip, "api": server.api.map(|a| format!("http://{a}")), "smtp": server.smtp, "key": key });
        let mut clinic = side(&world.clinic, WAYS[0].key);
        clinic["account"] = world.clinic_account().into();
        println!("{}", json!({ "clinic": clinic, "court": side(&world.court, COURT.key) }));
        tokio::signal::ctrl_c().await?;
        return Ok(());
    }
    println!("\nboth servers stay up; stop with Ctrl-C. To try:");
    println!(
        "  curl -X PUT http://{}/v2/accounts/{}/faxes -H 'X-Auth-Token: {}' \\\n    -F 'json={{\"data\":{{\"to_number\":\"{}\",\"from_number\":\"{}\"}}}};type=application/json' \\\n    -F 'file=@document.pdf;type=application/pdf'",
        world.clinic_api,
        world.clinic_account(),
        WAYS[0].key,
        COURT.number,
        WAYS[0].number,
    );
    println!("  ferrofax jobs --api http://{} --key {} received", world.court_api, COURT.key);
    println!("  or mail a PDF by SMTP to {}@clinic.demo at {}", COURT.number, world.clinic_smtp);
    tokio::signal::ctrl_c().await?;
    Ok(())
}
