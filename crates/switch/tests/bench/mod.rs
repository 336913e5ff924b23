//! A switch on a store in a temporary folder, with a clock that is set by hand and scripted calls.

#![allow(dead_code)]

use async_trait::async_trait;
use bytes::Bytes;
use core::time::Duration;
use fax_base::page::{PageShape, Resolution, Width};
use fax_document::{FaxDocument, Page};
use fax_image::Bitmap;
use fax_store::folder::FolderDocuments;
use fax_store::model::{FaxboxId, Job, JobId, JobState, NodeId, Notice, Timestamp, WebRequest};
use fax_store::redb::RedbStore;
use fax_store::{Documents, Store};
use fax_switch::number::NumberPlan;
use fax_switch::policy::Plan;
use fax_switch::port::{
    CallEvent, CallOrder, CallResult, Clock, ConvertError, Converter, Dialler, Fetched, Fetcher,
};
use fax_switch::{Account, Directory, Faxbox, JobEvent, NewDocument, NewJob, Ports, Service, ServiceConfig};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{Semaphore, broadcast, mpsc, watch};
use tokio::task::JoinHandle;

/// No step of a test takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct HandClock(watch::Sender<Timestamp>);

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }
    async fn sleep_until(&self, until: Timestamp) {
        self.0.subscribe().wait_for(|t| *t >= until).await.unwrap();
    }
}

impl HandClock {
    pub fn advance(&self, seconds: u64) {
        self.0.send_modify(|t| *t = t.plus(Duration::from_secs(seconds)));
    }
}

/// How a call goes.
pub enum Script {
    /// All pages are delivered.
    Deliver,
    /// As the far end makes it of the plan for the trunk `carrier`; delivered if its class is.
    Far(fn(&Plan) -> CallResult),
    /// The call is refused.
    Refuse(&'static str),
    /// So many pages are confirmed, then it fails.
    ConfirmThen(usize, &'static str),
    /// The last page is sent and not confirmed.
    LastOpen(&'static str),
    /// The last page was said to be sent, but the session ends before it has left.
    LastCut(&'static str),
    /// All pages are confirmed, and the call fails behind them.
    AllThen(&'static str),
    /// So many pages are confirmed, one more is sent, then it fails.
    OpenAfter(usize, &'static str),
    /// Each page waits for a permit or for being called off.
    Stepwise(Arc<Semaphore>),
    /// The last page is sent, asked for again, and given up.
    LastRefused,
    /// It waits for a permit or for being called off, then delivers.
    Hold(Arc<Semaphore>),
    /// So many pages are confirmed, so many more sent, then nothing happens any more.
    Hang(usize, usize),
    Panic,
}

#[derive(Default)]
pub struct Scripted {
    pub scripts: Mutex<VecDeque<Script>>,
    pub calls: Mutex<Vec<CallOrder>>,
    active: Mutex<HashMap<String, usize>>,
    pub most_at_once: Mutex<usize>,
    pub most_to_one_number: Mutex<usize>,
    pub started: Mutex<Option<mpsc::UnboundedSender<JobId>>>,
}

impl Scripted {
    pub fn then(&self, script: Script) {
        self.scripts.lock().unwrap().push_back(script);
    }

    pub fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    fn enter(&self, number: &str) {
        let mut active = self.active.lock().unwrap();
        *active.entry(number.to_owned()).or_default() += 1;
        let (all, one) = (active.values().sum(), active[number]);
        let mut most = self.most_at_once.lock().unwrap();
        *most = (*most).max(all);
        let mut most = self.most_to_one_number.lock().unwrap();
        *most = (*most).max(one);
    }

    fn leave(&self, number: &str) {
        *self.active.lock().unwrap().get_mut(number).unwrap() -= 1;
    }
}

async fn confirm(order: &CallOrder, n: usize, events: &mpsc::Sender<CallEvent>) {
    for page in order.first_page..order.first_page + n {
        send(page, events).await;
        let confirmed = CallEvent::PageConfirmed { page, poor: false };
        events.send(confirmed).await.unwrap();
    }
}

async fn send(page: usize, events: &mpsc::Sender<CallEvent>) {
    events.send(CallEvent::PageSending { page }).await.unwrap();
    events.send(CallEvent::PageSent { page }).await.unwrap();
}

fn result(class: &str) -> CallResult {
    CallResult { class: class.into(), ..CallResult::default() }
}

#[async_trait]
impl Dialler for Scripted {
    async fn call(&self, order: CallOrder, events: mpsc::Sender<CallEvent>) -> CallResult {
        let script = self.scripts.lock().unwrap().pop_front();
        self.calls.lock().unwrap().push(order.clone());
        let number = order.to_number.clone();
        self.enter(&number);
        if let Some(started) = &*self.started.lock().unwrap() {
            let _ = started.send(order.job.clone());
        }
        let n = order.pages.len() + order.further.iter().map(|f| f.pages.len()).sum::<usize>();
        let ended = match script.unwrap_or(Script::Deliver) {
            Script::Deliver => {
                confirm(&order, n, &events).await;
                result("ok")
            }
            Script::Refuse(class) => result(class),
            Script::Far(far) => {
                let plan = order.plan("carrier");
                let ended = far(&plan);
                if ended.class == "ok" {
                    confirm(&order, n, &events).await;
                }
                CallResult { plan: Some(plan), trunk: Some("carrier".into()), ..ended }
            }
            Script::ConfirmThen(k, class) => {
                confirm(&order, k, &events).await;
                result(class)
            }
            Script::LastOpen(class) => {
                confirm(&order, n - 1, &events).await;
                send(order.pages_in_all - 1, &events).await;
                result(class)
            }
            Script::LastCut(class) => {
                confirm(&order, n - 1, &events).await;
                send(order.pages_in_all - 1, &events).await;
                CallResult { session_told: true, ..result(class) }
            }
            Script::AllThen(class) => {
                confirm(&order, n, &events).await;
                CallResult { session_told: true, ..result(class) }
            }
            Script::OpenAfter(k, class) => {
                confirm(&order, k, &events).await;
                send(order.first_page + k, &events).await;
                result(class)
            }
            Script::Stepwise(gate) => {
                let mut done = "ok";
                for page in order.first_page..order.first_page + n {
                    events.send(CallEvent::PageSending { page }).await.unwrap();
                    let mut cancel = order.cancel.clone();
                    tokio::select! {
                        biased;
                        _ = cancel.wait_for(|c| *c) => {
                            done = "call.cancelled";
                            break;
                        }
                        permit = gate.acquire() => permit.unwrap().forget(),
                    }
                    events.send(CallEvent::PageConfirmed { page, poor: false }).await.unwrap();
                }
                result(done)
            }
            Script::LastRefused => {
                confirm(&order, n - 1, &events).await;
                let page = order.pages_in_all - 1;
                for _ in 0..3 {
                    send(page, &events).await;
                    let again = CallEvent::Resend { page, frames: 0 };
                    events.send(again).await.unwrap();
                }
                send(page, &events).await;
                result("d.rtn")
            }
            Script::Hold(gate) => {
                let mut cancel = order.cancel.clone();
                let may = tokio::select! {
                    _ = cancel.wait_for(|c| *c) => false,
                    permit = gate.acquire() => {
                        permit.unwrap().forget();
                        true
                    }
                };
                if may {
                    confirm(&order, n, &events).await;
                }
                result(if may { "ok" } else { "call.cancelled" })
            }
            Script::Hang(confirmed, sent) => {
                confirm(&order, confirmed, &events).await;
                for page in order.first_page + confirmed..order.first_page + confirmed + sent {
                    send(page, &events).await;
                }
                events.send(CallEvent::Ringing).await.unwrap();
                std::future::pending().await
            }
            Script::Panic => panic!("scripted"),
        };
        self.leave(&number);
        ended
    }
}

/// `pages:N`, `bad`, `remarks`, `later`, `house` and `hang` are documents.
pub struct TextConverter;

#[async_trait]
impl Converter for TextConverter {
    async fn convert(
        &self,
        octets: Bytes,
        _content_type: &str,
        _file_name: Option<&str>,
        _colour: bool,
    ) -> Result<FaxDocument, ConvertError> {
        let text = String::from_utf8_lossy(&octets).into_owned();
        match text.strip_prefix("pages:") {
            Some(n) => Ok(document(n.parse().unwrap())),
            None if text == "house" => Err(ConvertError::House("no converter".into())),
            None if text == "remarks" => {
                let remarks = (0..50).map(|n| format!("{n} {}", "x".repeat(500))).collect();
                Ok(FaxDocument { remarks, ..document(1) })
            }
            None if text == "later" => Err(ConvertError::Later("not now".into())),
            None if text == "hang" => std::future::pending().await,
            None => Err(ConvertError::Document(format!("{text} is no document."))),
        }
    }
}

pub fn document(pages: u32) -> FaxDocument {
    let shape = PageShape { width: Width::A4, resolution: Resolution::Fine, rows: 0, tones: None };
    let page = |i: u32| {
        let mut b = Bitmap::blank(1728, 40);
        (0..100).for_each(|x| b.set(x * (i + 3), x % 40, true));
        Page::from_bitmap(&b, shape)
    };
    FaxDocument { pages: (0..pages).map(page).collect(), ..FaxDocument::default() }
}

/// `a|b` is `a` when anything is fetched for the first time, and `b` from then on.
#[derive(Default)]
pub struct TextFetcher {
    pub asked: AtomicUsize,
}

#[async_trait]
impl Fetcher for TextFetcher {
    async fn fetch(&self, order: WebRequest) -> Result<Fetched, ConvertError> {
        let turns = order.url.replace("http://example.org/", "");
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let text = turns.split('|').take(asked + 1).last().unwrap_or_default();
        Ok(Fetched {
            octets: Bytes::from(text.to_owned()),
            content_type: "text/plain".into(),
            file_name: None,
        })
    }
}

pub struct Bench {
    pub dir: tempfile::TempDir,
    pub store: Arc<dyn Store>,
    pub documents: Arc<dyn Documents>,
    pub clock: Arc<HandClock>,
    pub dialler: Arc<Scripted>,
    pub fetcher: Arc<TextFetcher>,
    pub service: Service,
    pub events: broadcast::Receiver<JobEvent>,
    pub config: ServiceConfig,
    pub stop: watch::Sender<bool>,
    pub runs: Option<JoinHandle<()>>,
}

pub fn directory() -> Directory {
    let account = |id: &str| Account {
        id: id.into(),
        name: id.to_uppercase(),
        realm: format!("{id}.example.org"),
        max_outbound: Some(2),
        ..Account::default()
    };
    let faxbox = Faxbox {
        id: FaxboxId::new("f"),
        account: "a".into(),
        name: "box".into(),
        caller_id: "+14155550100".into(),
        caller_name: "Clinic".into(),
        fax_header: "Clinic header".into(),
        retries: 2,
        numbers: vec!["(415) 555-0100".into()],
        notify_inbound: vec!["in@example.org".into()],
        ..Faxbox::default()
    };
    Directory::new(vec![account("a"), account("b")], vec![faxbox], &NumberPlan::default()).unwrap()
}

impl Bench {
    /// A switch that does not run yet.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut ServiceConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = ServiceConfig::new(NodeId::new("n1"));
        change(&mut config);
        let store: Arc<dyn Store> = Arc::new(RedbStore::open(dir.path()).unwrap());
        let documents: Arc<dyn Documents> =
            Arc::new(FolderDocuments::open(dir.path().join("documents")).unwrap());
        let start = Timestamp::from_unix_seconds(1_750_000_000);
        let clock = Arc::new(HandClock(watch::Sender::new(start)));
        let dialler = Arc::new(Scripted::default());
        let fetcher = Arc::new(TextFetcher::default());
        let ports = Ports {
            store: store.clone(),
            documents: documents.clone(),
            dialler: dialler.clone(),
            converter: Arc::new(TextConverter),
            fetcher: fetcher.clone(),
            clock: clock.clone(),
        };
        let service = Service::new(directory(), config.clone(), ports);
        Bench {
            events: service.subscribe(),
            dir,
            store,
            documents,
            clock,
            dialler,
            fetcher,
            service,
            config,
            stop: watch::Sender::new(false),
            runs: None,
        }
    }

    /// The switch begins to run.
    pub fn start(&mut self) {
        let (service, stop) = (self.service.clone(), self.stop.subscribe());
        self.runs = Some(tokio::spawn(async move { service.run(stop).await }));
    }

    pub fn running() -> Self {
        let mut b = Self::new();
        b.start();
        b
    }

    /// The switch dies without a word, and another is there on the same disk. It does not run yet.
    pub async fn crash(&mut self) {
        if let Some(runs) = self.runs.take() {
            runs.abort();
            let _ = runs.await;
        }
        let ports = Ports {
            store: self.store.clone(),
            documents: self.documents.clone(),
            dialler: self.dialler.clone(),
            converter: Arc::new(TextConverter),
            fetcher: self.fetcher.clone(),
            clock: self.clock.clone(),
        };
        self.service = Service::new(directory(), self.config.clone(), ports);
        self.events = self.service.subscribe();
    }

    /// The switch is asked to stop and comes to its end.
    pub async fn stopped(&mut self) {
        self.stop.send_replace(true);
        let runs = self.runs.take().unwrap();
        tokio::time::timeout(PATIENCE, runs).await.unwrap().unwrap();
    }

    pub fn new_job(text: &str, number: &str) -> NewJob {
        let document = NewDocument::Octets {
            octets: Bytes::from(text.to_owned()),
            content_type: "text/plain".into(),
            file_name: Some("letter.txt".into()),
        };
        let mut new = NewJob::new("a".into(), number, document);
        new.retries = Some(4);
        new.notify = vec!["me@example.org".into()];
        new
    }

    /// A job whose document is fetched; see [`TextFetcher`].
    pub fn fetched_job(text: &str, number: &str) -> NewJob {
        let document = NewDocument::Url(WebRequest::get(format!("http://example.org/{text}")));
        NewJob { document, ..Self::new_job("", number) }
    }

    pub async fn submit(&self, text: &str, number: &str) -> JobId {
        let new = Self::new_job(text, number);
        self.service.submit(new).await.unwrap().id
    }

    pub async fn submit_as(&self, from_name: &str, text: &str, number: &str) -> JobId {
        let new = NewJob { from_name: Some(from_name.into()), ..Self::new_job(text, number) };
        self.service.submit(new).await.unwrap().id
    }

    pub async fn job(&self, id: &JobId) -> Job {
        self.store.job(id).await.unwrap().unwrap()
    }

    /// Waits until the job is as it is wanted.
    pub async fn until(&mut self, id: &JobId, wanted: impl Fn(&Job) -> bool) -> Job {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let job = self.store.job(id).await.unwrap().unwrap();
                if wanted(&job) {
                    return job;
                }
                let _ = self.events.recv().await;
            }
        });
        match waited.await {
            Ok(job) => job,
            Err(_) => panic!("it never came to that: {:#?}", self.job(id).await),
        }
    }

    pub async fn until_state(&mut self, id: &JobId, state: JobState) -> Job {
        self.until(id, |j| j.state == state && (!state.is_final() || j.lease.is_none())).await
    }

    /// Waits until an attempt has failed and the job is back in the queue.
    pub async fn until_back(&mut self, id: &JobId, attempts: usize) -> Job {
        self.until(id, |j| j.state == JobState::Pending && j.attempts.len() == attempts).await
    }

    /// Reports of calls that begin from now on.
    pub fn calls_begin(&self) -> mpsc::UnboundedReceiver<JobId> {
        let (tx, rx) = mpsc::unbounded_channel();
        *self.dialler.started.lock().unwrap() = Some(tx);
        rx
    }

    pub async fn notices(&self) -> Vec<Notice> {
        self.store.notices_due(Timestamp(i64::MAX), 100).await.unwrap()
    }

    /// What is counted when this line is in it; counting comes after the commit.
    pub async fn counted(&self, line: &str) -> String {
        let counted = async {
            loop {
                let text = self.service.metrics().await;
                if text.contains(line) {
                    return text;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, counted).await.unwrap()
    }

    /// Lets the queue look at what it has a few times.
    pub async fn settle_time(&self) {
        for _ in 0..5 {
            self.service.refresh().await.unwrap();
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }

    /// Gives everything that could happen now the time to happen: a job that goes through the whole
    /// switch comes after it.
    pub async fn settle(&mut self) {
        let mut new = Self::new_job("pages:1", "+14155559999");
        new.account = "b".into();
        new.notify = Vec::new();
        let id = self.service.submit(new).await.unwrap().id;
        self.until_state(&id, JobState::Completed).await;
    }
}

pub async fn next(rx: &mut mpsc::UnboundedReceiver<JobId>) -> JobId {
    tokio::time::timeout(PATIENCE, rx.recv()).await.unwrap().unwrap()
}
