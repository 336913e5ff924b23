//! `ferrofax receive`: faxes into a folder, without a server.

use crate::cli::ReceiveArgs;
use crate::pages;
use crate::wire::ladder::LiveLadder;
use crate::wire::{called, end};
use anyhow::{Context, Result};
use fax_document::{PdfInfo, to_pdf};
use fax_net::{CallEvent, Config, Endpoint, IncomingCall, Network, T38Policy, Trunk};
use fax_t30::Role;
use fax_terminal::ReceivedPage;
use serde_json::json;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tempfile::TempDir;

/// Runs the command.
pub(crate) async fn run(args: ReceiveArgs, as_json: bool) -> Result<ExitCode> {
    let networks = args
        .from
        .iter()
        .map(|n| n.parse::<Network>().map_err(anyhow::Error::msg))
        .collect::<Result<Vec<_>>>()?;
    tokio::fs::create_dir_all(&args.dir)
        .await
        .with_context(|| format!("{} cannot be made", args.dir.display()))?;
    let mut trunk = Trunk::new("anyone", "0.0.0.0");
    trunk.accept_from = networks;
    if args.audio {
        trunk.t38 = T38Policy::NEVER;
    }
    let mut config = Config::new(args.listen);
    config.trunks = vec![trunk];
    let (endpoint, mut incoming) =
        Endpoint::start(config).await.with_context(|| format!("{} cannot be bound", args.listen))?;
    if as_json {
        println!("{}", json!({ "event": "listening", "address": endpoint.local_address().to_string() }));
    } else {
        println!("waiting for faxes at {}; stop with Ctrl-C", endpoint.local_address());
    }
    let (done, mut ended) = tokio::sync::mpsc::unbounded_channel();
    loop {
        let call = tokio::select! {
            call = incoming.recv() => call.context("the driver stopped")?,
            Some(good) = ended.recv(), if args.once => {
                endpoint.stop().await;
                return Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
            _ = tokio::signal::ctrl_c() => {
                endpoint.stop().await;
                return Ok(ExitCode::SUCCESS);
            }
        };
        let (ident, dir, done) = (args.ident.clone(), args.dir.clone(), done.clone());
        tokio::spawn(async move {
            match reception(call, ident, &dir, as_json).await {
                Ok(good) => {
                    let _ = done.send(good);
                }
                Err(error) => eprintln!("error: {error:#}"),
            }
        });
    }
}

/// Pages that come in, on disk before they are confirmed: in a folder of their own, until the fax is written as a whole.
struct Tray {
    dir: PathBuf,
    folder: Option<TempDir>,
}

impl Tray {
    fn new(dir: &Path) -> Self {
        Tray { dir: dir.to_owned(), folder: None }
    }

    /// Keeps a page, in place of what came of it before.
    async fn keep(&mut self, page: ReceivedPage) -> std::io::Result<()> {
        let (dir, folder) = (self.dir.clone(), self.folder.take());
        let kept = tokio::task::spawn_blocking(move || {
            let folder = match folder {
                Some(folder) => folder,
                None => tempfile::Builder::new().prefix("incoming-").tempdir_in(dir)?,
            };
            let written = write(folder.path(), &page);
            Ok::<_, std::io::Error>((folder, written))
        });
        // The pages before stay, whatever becomes of this one.
        let (folder, written) = kept.await.map_err(std::io::Error::other)??;
        self.folder = Some(folder);
        written
    }

    /// Leaves what was kept where it is.
    fn leave(&mut self) -> Option<PathBuf> {
        self.folder.take().map(TempDir::keep)
    }
}

/// Writes a page so that it is on disk when this comes back.
fn write(folder: &Path, page: &ReceivedPage) -> std::io::Result<()> {
    let mut file = File::create(folder.join(format!("page-{:04}.tif", page.index.saturating_add(1))))?;
    file.write_all(&pages::received(std::slice::from_ref(page)).to_tiff())?;
    file.sync_all()?;
    File::open(folder)?.sync_all()
}

/// Receives one fax and writes it; whether it came well.
async fn reception(incoming: IncomingCall, ident: String, dir: &Path, as_json: bool) -> Result<bool> {
    let from = incoming.from.clone();
    let mut call = incoming.accept(called(ident, true));
    let mut received = Vec::new();
    let mut tray = Tray::new(dir);
    let mut ladder = LiveLadder::new(Role::Called, 0);
    let report = loop {
        let event = call.next().await.context("the driver stopped in mid-call")?;
        if !as_json {
            ladder.lines(&event).iter().for_each(|line| println!("{line}"));
        }
        match event {
            CallEvent::KeepPage(page) => {
                let kept = tray.keep(page).await;
                call.page_kept(kept.is_ok());
                if let Err(error) = kept {
                    eprintln!("error: a page cannot be kept in {}: {error}", dir.display());
                }
            }
            CallEvent::Page(page) => received.push(page),
            CallEvent::Ended(report) => break report,
            CallEvent::Fax(_)
            | CallEvent::Signal(_)
            | CallEvent::T38
            | CallEvent::T38Refused { .. }
            | CallEvent::Audio
            | CallEvent::Ringing
            | CallEvent::Answered => {}
        }
    };
    let good = report.outcome.as_ref().is_some_and(|o| o.failure.is_none() && o.pages_received > 0);
    let mut files = Vec::new();
    if !received.is_empty() {
        let document = pages::received(&received);
        let (tiff, pdf) = pages::free_names(dir);
        let written = async {
            tokio::fs::write(&tiff, document.to_tiff()).await?;
            tokio::fs::write(&pdf, to_pdf(&document, &PdfInfo::default())).await
        };
        if let Err(error) = written.await {
            let pages = tray.leave().map(|folder| format!("; its pages are in {}", folder.display()));
            let told = format!("{} cannot be written{}", tiff.display(), pages.unwrap_or_default());
            return Err(error).context(told);
        }
        files = vec![tiff, pdf];
    }
    let failure = report.outcome.as_ref().and_then(|o| o.failure.as_ref()).map(|f| format!("{:?}", f.cause));
    if as_json {
        println!(
            "{}",
            json!({ "event": "received", "ok": good, "from": from, "pages": received.len(), "cause": failure,
                "end": format!("{:?}", report.end), "files": files, "t38": report.t38 })
        );
    } else {
        let state = if good { "received" } else { "not received well" };
        println!(
            "{state}: {} pages from {from}{}",
            received.len(),
            if good { String::new() } else { format!(". {}", end::sentence(&report)) }
        );
        files.iter().for_each(|f| println!("  {}", f.display()));
    }
    Ok(good)
}
