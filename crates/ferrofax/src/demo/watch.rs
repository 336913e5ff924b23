//! A job watched live: a progress bar a page, and the T.30 ladder in short.

use anyhow::Result;
use fax_document::FaxDocument;
use fax_store::model::{AccountId, Job, JobId};
use fax_switch::{EventSubject, Format, JobEvent, Service, Which};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// How often the bars move.
const TICK: Duration = Duration::from_millis(200);

/// What a page takes beside its octets: training, post-message command and confirmation.
const OVERHEAD: Duration = Duration::from_secs(4);

/// The usual rate, until something else is agreed.
const BIT_RATE: u64 = 14_400;

struct Page {
    bar: ProgressBar,
    expected: Duration,
    began: Option<Instant>,
    done: bool,
}

/// Follows the job to its end.
pub(super) async fn follow(
    service: &Service,
    mut events: Receiver<JobEvent>,
    account: &str,
    id: &str,
    as_json: bool,
) -> Result<Job> {
    let (account, job) = (AccountId::new(account), JobId::new(id));
    let target = if as_json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stdout() };
    // Into a file or a pipe go lines instead of bars.
    let lines = !as_json && !std::io::stdout().is_terminal();
    let bars = MultiProgress::with_draw_target(target);
    let mut pages: Vec<Page> = Vec::new();
    let mut tick = tokio::time::interval(TICK);
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            _ = tick.tick() => {
                pages.iter().for_each(Page::advance);
                let now = service.job(&account, &job).await?;
                if now.state.is_final() {
                    pages.iter_mut().for_each(Page::end);
                    return Ok(now);
                }
                continue;
            }
        };
        let event = match event {
            Ok(event) if event.subject == EventSubject::Job(job.clone()) => event,
            Ok(_) | Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return Ok(service.job(&account, &job).await?),
        };
        if lines {
            println!("  {}", event.text);
        }
        match event.page.and_then(|p| usize::try_from(p).ok()).and_then(|p| p.checked_sub(1)) {
            Some(page) => {
                if pages.is_empty() {
                    pages = bars_for(service, &account, &job, &bars).await;
                }
                if let Some(page) = pages.get_mut(page) {
                    page.told(&event.text);
                }
            }
            None if !as_json && !lines => bars.println(format!("  {}", event.text))?,
            None => {}
        }
    }
}

/// A bar for each page, as long as its octets take at the usual rate.
async fn bars_for(service: &Service, account: &AccountId, job: &JobId, bars: &MultiProgress) -> Vec<Page> {
    let tiff = service.attachment(account, &Which::Job(job.clone()), Format::Tiff).await.ok();
    let document = tiff.and_then(|t| FaxDocument::from_tiff(&t.octets).ok());
    let style = ProgressStyle::with_template("  page {prefix} [{bar:40}] {msg}")
        .map(|s| s.progress_chars("━╸ "))
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let pages = document.map(|d| d.pages).unwrap_or_default();
    pages
        .iter()
        .enumerate()
        .map(|(i, page)| {
            let octets = page.t6.len() as u64;
            let expected = OVERHEAD + Duration::from_millis(octets * 8 * 1000 / BIT_RATE);
            let length = u64::try_from(expected.as_millis()).unwrap_or(u64::MAX);
            let bar = bars.add(ProgressBar::new(length));
            bar.set_style(style.clone());
            bar.set_prefix((i + 1).to_string());
            bar.set_message(format!("{octets} octets"));
            Page { bar, expected, began: None, done: false }
        })
        .collect()
}

impl Page {
    fn told(&mut self, text: &str) {
        if text.starts_with("Sent ") {
            self.end();
            self.bar.set_message("confirmed");
        } else if self.began.is_none() {
            self.began = Some(Instant::now());
        } else {
            self.bar.set_message(text.to_owned());
        }
    }

    /// Where the page must be by now; the last bit is left to the confirmation.
    fn advance(&self) {
        if let (Some(began), false) = (self.began, self.done) {
            let at = began.elapsed().min(self.expected.mul_f32(0.97));
            self.bar.set_position(u64::try_from(at.as_millis()).unwrap_or(u64::MAX));
        }
    }

    fn end(&mut self) {
        if !self.done {
            self.done = true;
            self.bar.set_position(self.bar.length().unwrap_or_default());
            self.bar.abandon();
        }
    }
}

/// The ladder, repetitions of a line told once.
pub(super) fn ladder(trace: &[String]) {
    let mut lines = trace.iter().peekable();
    while let Some(line) = lines.next() {
        let mut times = 1;
        while lines.next_if(|l| *l == line).is_some() {
            times += 1;
        }
        if times > 1 {
            println!("  {line}  (×{times})");
        } else {
            println!("  {line}");
        }
    }
}
