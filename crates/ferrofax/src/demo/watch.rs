//! A job watched live: a progress bar for its call, and the T.30 ladder in short.

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

/// Where the progress of all calls is shown.
pub(super) struct Screen {
    bars: MultiProgress,
    /// Into a file or a pipe go lines instead of bars.
    lines: bool,
}

impl Screen {
    pub(super) fn new(as_json: bool) -> Screen {
        let target = if as_json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stdout() };
        let lines = !as_json && !std::io::stdout().is_terminal();
        Screen { bars: MultiProgress::with_draw_target(target), lines }
    }
}

/// The bar of one call: it is as long as its pages take at the usual rate.
struct Call {
    bar: ProgressBar,
    /// The time of each page.
    pages: Vec<Duration>,
    /// The page on its way, from 0, and since when.
    page: Option<(usize, Instant)>,
}

/// Follows the job to its end.
pub(super) async fn follow(
    service: &Service,
    mut events: Receiver<JobEvent>,
    account: &str,
    id: &str,
    name: &str,
    screen: &Screen,
) -> Result<Job> {
    let (account, job) = (AccountId::new(account), JobId::new(id));
    let mut call = Call::new(name, screen);
    let mut tick = tokio::time::interval(TICK);
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            _ = tick.tick() => {
                call.advance();
                let now = service.job(&account, &job).await?;
                if now.state.is_final() {
                    call.bar.abandon();
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
        if screen.lines {
            println!("  {name:6} {}", event.text);
        }
        let page = event.page.and_then(|p| usize::try_from(p).ok()).and_then(|p| p.checked_sub(1));
        if page.is_some() && call.pages.is_empty() {
            call.measure(durations(service, &account, &job).await);
        }
        call.told(page, &event.text);
    }
}

/// About how long each page takes.
async fn durations(service: &Service, account: &AccountId, job: &JobId) -> Vec<Duration> {
    let tiff = service.attachment(account, &Which::Job(job.clone()), Format::Tiff).await.ok();
    let document = tiff.and_then(|t| FaxDocument::from_tiff(&t.octets).ok());
    let pages = document.map(|d| d.pages).unwrap_or_default();
    let octets = |t6: &[u8]| u64::try_from(t6.len()).unwrap_or(u64::MAX);
    pages.iter().map(|p| OVERHEAD + Duration::from_millis(octets(&p.t6) * 8 * 1000 / BIT_RATE)).collect()
}

impl Call {
    fn new(name: &str, screen: &Screen) -> Call {
        let style = ProgressStyle::with_template("  {prefix:6} [{bar:40}] {elapsed_precise} {msg}")
            .map(|s| s.progress_chars("━╸ "))
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = screen.bars.add(ProgressBar::new(u64::MAX));
        bar.set_style(style);
        bar.set_prefix(name.to_owned());
        Call { bar, pages: Vec::new(), page: None }
    }

    fn measure(&mut self, pages: Vec<Duration>) {
        self.bar.set_length(millis(pages.iter().sum()));
        self.pages = pages;
    }

    fn told(&mut self, page: Option<usize>, text: &str) {
        self.bar.set_message(text.to_owned());
        let Some(page) = page else { return };
        if text.starts_with("Sent ") {
            self.page = None;
            self.bar.set_position(millis(self.pages.iter().take(page + 1).sum()));
        } else if self.page.is_none_or(|(at, _)| at != page) {
            self.page = Some((page, Instant::now()));
        }
    }

    /// Where the call must be by now; the last bit of a page is left to its confirmation.
    fn advance(&self) {
        if let Some((page, since)) = self.page
            && let Some(expected) = self.pages.get(page)
        {
            let before: Duration = self.pages.iter().take(page).sum();
            self.bar.set_position(millis(before + since.elapsed().min(expected.mul_f32(0.97))));
        } else {
            self.bar.tick();
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
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
