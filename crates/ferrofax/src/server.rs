//! One ferrofax server: everything wired, started, and stopped in the right order.

use crate::config::{Config, Smarthost, Watched};
use crate::wire::{DocumentConverter, NetDialler, Spool, Ways, answer_calls};
use anyhow::{Context, Result};
use fax_mail::mailer::{MailerConfig, Security};
use fax_net::Endpoint;
use fax_spool::{CallRounds, HotRounds, Rounds};
use fax_store::Store;
use fax_store::model::NodeId;
use fax_store::postgres::PostgresStore;
use fax_store::redb::RedbStore;
use fax_switch::port::SystemClock;
use fax_switch::{Ports, ReloadRequest, Service, ServiceConfig};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// How long fronts and the dispatcher may take to end beyond their own limits.
const GRACE: Duration = Duration::from_secs(10);

/// A running server.
pub(crate) struct Server {
    pub(crate) service: Service,
    pub(crate) sip: SocketAddr,
    pub(crate) api: Option<SocketAddr>,
    pub(crate) smtp: Option<SocketAddr>,
    endpoint: Endpoint,
    dialler: Arc<NetDialler>,
    /// Somebody asks for the configuration to be read again.
    reloads: mpsc::Receiver<ReloadRequest>,
    stop: watch::Sender<bool>,
    fronts: Vec<JoinHandle<()>>,
    dispatcher: JoinHandle<()>,
    /// Becomes true, or its sender is gone, when the queue has ended.
    ended: watch::Receiver<bool>,
    answering: JoinHandle<()>,
    /// Told when no fax is being received any more, after the stop.
    quiet: oneshot::Receiver<()>,
    mailer: Option<JoinHandle<()>>,
    stop_timeout: Duration,
    /// Callers are told that grey and colour are taken.
    receive_colour: Arc<AtomicBool>,
    /// The configuration of the start: what of it cannot change while the server runs.
    started: Config,
}

impl Server {
    /// Opens the store, binds every address and starts working.
    pub(crate) async fn start(config: Config) -> Result<Server> {
        let folder = config.data_dir.clone();
        fax_store::private::folder(&folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
        let store = open_store(&config).await?;
        let named = store.claim(&NodeId::new(&config.node)).await;
        named
            .context("every node on one database needs a name of its own: see `node` in the configuration")?;
        if store.import_under_way().await.context("the store cannot be read")?.is_some() {
            anyhow::bail!(
                "an import was begun and not ended: repeat `ferrofax store import` with the same archive"
            );
        }
        let documents = crate::documents::open(&config.documents, &store).await?;

        let (endpoint, incoming) =
            Endpoint::start(network(&config)).await.context("SIP cannot be listened for")?;

        let mut converter = DocumentConverter::default();
        converter.options.max_pages = config.queue.max_pages;
        converter.options.time_limit = config.queue.conversion_timeout;
        let private = config.api.as_ref().is_some_and(|a| a.allow_private_urls);
        let dialler = Arc::new(NetDialler::new(endpoint.clone(), ways(&config)));
        let service = Service::new(
            config.directory.clone(),
            settings(&config),
            Ports {
                store,
                documents,
                dialler: dialler.clone(),
                converter: Arc::new(converter),
                fetcher: Arc::new(fax_api::HttpFetcher::new(fax_api::FetchConfig {
                    allow_private_urls: private,
                    ..fax_api::FetchConfig::default()
                })),
                clock: Arc::new(SystemClock),
            },
        );

        let budgets = crate::budgets::Kept::open(folder.join("budgets.json"), &service);
        service.refresh().await.context("accounts and faxboxes cannot be read from the store")?;
        let (ask, reloads) = mpsc::channel(4);
        service.on_reload(ask);
        let spool = Spool::open(folder.join("incoming"))?;
        spool.recover(&service).await?;

        let (stop, stopped) = watch::channel(false);
        let mut fronts = Vec::new();
        let mut api = None;
        if let Some(front) = &config.api {
            let listener = bind(front.listen, "api.listen").await?;
            api = Some(listener.local_addr()?);
            let router = fax_api::router(
                service.clone(),
                fax_api::Config {
                    node: config.node.clone(),
                    max_upload: front.max_upload,
                    user_auth: front.user_auth,
                    attachment_format: front.attachment_format,
                    token_secret: front.token_secret.as_ref().map(|s| s.0.clone()),
                    trusted_proxies: front.trusted_proxies.clone(),
                    ..fax_api::Config::default()
                },
            );
            let mut sockets = fax_api::ServeConfig::default();
            sockets.uncounted.extend(&front.trusted_proxies);
            let until = told(stopped.clone());
            fronts.push(tokio::spawn(fax_api::serve_with(listener, router, until, sockets)));
        }
        if let Some(front) = &config.metrics {
            let listener = bind(front.listen, "metrics.listen").await?;
            let router =
                fax_api::metrics::router(service.clone(), front.token.as_ref().map(|t| t.0.as_str()));
            fronts.push(tokio::spawn(fax_api::serve(listener, router, told(stopped.clone()))));
        }
        // What is told after the stop is on disk, and told after the next start.
        let caller = Arc::new(fax_api::HttpHookCaller::new(private));
        let (hooks, until) = (service.clone(), stopped.clone());
        fronts.push(tokio::spawn(async move { hooks.run_hooks(caller, until).await }));
        let mut smtp = None;
        if let Some(front) = &config.smtp {
            let listener = bind(front.listen, "smtp.listen").await?;
            smtp = Some(listener.local_addr()?);
            let settings = fax_mail::listener::ListenerConfig {
                host: front.hostname.clone(),
                sessions: front.max_sessions,
                limits: fax_mail::session::Limits {
                    message: front.max_message,
                    proxy_line: front.proxy,
                    ..fax_mail::session::Limits::default()
                },
                ..fax_mail::listener::ListenerConfig::default()
            };
            let ingress = Arc::new(fax_mail::ingress::FaxIngress::new(service.clone(), front.allow_all));
            let serving = fax_mail::listener::serve(listener, settings, ingress, told(stopped.clone()));
            fronts.push(tokio::spawn(serving));
        }
        let mailer = match &config.mail {
            Some(host) => {
                let mailer = fax_mail::mailer::Mailer::new(service.clone(), smarthost(host))?;
                let stopped = stopped.clone();
                Some(tokio::spawn(async move { mailer.run(told(stopped)).await }))
            }
            None => None,
        };
        let (end, ended) = watch::channel(false);
        let dispatcher = {
            let (service, stopped) = (service.clone(), stopped.clone());
            tokio::spawn(async move {
                service.run(stopped).await;
                end.send_replace(true);
            })
        };
        for (watched, every) in config.folders.clone() {
            let rounds = rounds(watched)?;
            fronts.push(tokio::spawn(rounds.run(service.clone(), every, stopped.clone())));
        }
        fronts.push(tokio::spawn(budgets.keep(told(stopped.clone()))));
        let receive_colour = Arc::new(AtomicBool::new(config.receive_colour));
        let (quiet_told, quiet) = oneshot::channel();
        let answering = tokio::spawn(answer_calls(
            service.clone(),
            spool,
            receive_colour.clone(),
            dialler.clone(),
            incoming,
            stopped.clone(),
            quiet_told,
        ));
        let sip = endpoint.local_address();
        tracing::info!(%sip, ?api, ?smtp, trunks = config.trunks.len(), "ferrofax is up");
        Ok(Server {
            service,
            sip,
            api,
            smtp,
            endpoint,
            dialler,
            reloads,
            stop,
            fronts,
            dispatcher,
            ended,
            answering,
            quiet,
            mailer,
            stop_timeout: config.queue.stop_timeout,
            receive_colour,
            started: config,
        })
    }

    /// Somebody who asks for a reload; they wait for what comes of it.
    pub(crate) async fn reload_asked(&mut self) -> Option<ReloadRequest> {
        self.reloads.recv().await
    }

    /// Comes back when the queue has ended without having been told to.
    pub(crate) fn queue_ended(&self) -> impl Future<Output = ()> + use<> {
        let mut ended = self.ended.clone();
        async move {
            let _ = ended.wait_for(|ended| *ended).await;
        }
    }

    /// Works by another configuration from now on, as far as that goes while it runs; says in sentences what waits for
    /// the next start. Calls that run go on as they began.
    pub(crate) async fn reload(&mut self, config: Config) -> Vec<String> {
        let mut kept = self.started.restart_needed(&config);
        kept.extend(self.endpoint.reload(network(&config)).await);
        self.dialler.change(ways(&config));
        self.service.reconfigure(ServiceConfig { mails: mails(&self.started), ..settings(&config) });
        self.receive_colour.store(config.receive_colour, Ordering::Relaxed);
        self.service.reload(config.directory);
        self.stop_timeout = config.queue.stop_timeout;
        kept
    }

    /// Stops: no new work, running calls to their end or the time limit, then everything else.
    pub(crate) async fn stop(self) {
        tracing::info!("stopping");
        let _ = self.stop.send(true);
        for front in self.fronts {
            let _ = tokio::time::timeout(GRACE, front).await;
        }
        // Both ways at the same time: faxes that come in have as long as those that go out.
        let (sent, received) = tokio::join!(
            tokio::time::timeout(self.stop_timeout + GRACE, self.dispatcher),
            tokio::time::timeout(self.stop_timeout, self.quiet),
        );
        if sent.is_err() || received.is_err() {
            tracing::warn!("calls were still running at the end of the time to stop");
        }
        self.endpoint.stop().await;
        // What was received is stored before the end.
        let _ = tokio::time::timeout(GRACE, self.answering).await;
        if let Some(mailer) = self.mailer {
            let _ = tokio::time::timeout(GRACE, mailer).await;
        }
        tracing::info!("stopped");
    }
}

/// What the network is set up with.
fn network(config: &Config) -> fax_net::Config {
    let first = config.sip.listen.first().map_or(([0, 0, 0, 0], 5060).into(), |l| l.address);
    let mut net = fax_net::Config::new(first);
    net.listen.clone_from(&config.sip.listen);
    net.tls.clone_from(&config.sip.tls);
    net.streams = config.sip.streams;
    net.protection.clone_from(&config.protection);
    net.dns.clone_from(&config.sip.dns);
    net.advertise = config.sip.advertise;
    net.stun.clone_from(&config.sip.stun);
    net.media_ports.clone_from(&config.sip.media_ports);
    net.workers = config.sip.workers;
    net.max_calls = config.sip.max_calls;
    net.trunks.clone_from(&config.trunks);
    net.terminals.clone_from(&config.terminals);
    net.registrar.clone_from(&config.registrar);
    net.traces.clone_from(&config.traces);
    net
}

/// Whether there is, or may be at another node, somebody who sends mails.
fn mails(config: &Config) -> bool {
    config.mail.is_some() || config.database.is_some()
}

/// What the switch is set up with.
fn settings(config: &Config) -> ServiceConfig {
    let mut settings = ServiceConfig::new(NodeId::new(&config.node));
    settings.mails = mails(config);
    settings.max_calls = config.queue.max_calls;
    settings.drain = config.queue.stop_timeout;
    settings.lease = config.queue.lease;
    settings.serialise_numbers = config.queue.serialise_numbers;
    settings.jobs_per_call = config.queue.jobs_per_call;
    settings.default_max_outbound = config.queue.max_outbound;
    settings.dead_numbers = config.queue.dead_numbers;
    settings.numbers = config.plan.clone();
    settings.learning = config.learning;
    settings.retention = config.retention.clone();
    settings.toll = Arc::new(config.toll.clone());
    if let Some(smtp) = &config.smtp {
        settings.mail_domain.clone_from(&smtp.fax_domain);
    }
    settings.trunks = config.trunks.iter().map(|t| t.name.clone()).collect();
    settings.retry.rules.clone_from(&config.queue.reschedule);
    settings.retry.every = config.queue.retry_after;
    settings
}

/// By which trunks calls are made.
fn ways(config: &Config) -> Ways {
    Ways {
        routing: config.trunk_routing.clone(),
        t38_policies: config.trunks.iter().map(|t| (t.name.clone(), t.t38)).collect(),
        compressions: config.trunk_compressions.clone(),
    }
}

/// What looks at a folder.
fn rounds(watched: Watched) -> Result<Rounds> {
    Ok(match watched {
        Watched::Hot(folder) => {
            let path = folder.path.clone();
            let opened = HotRounds::open(folder);
            Rounds::Hot(opened.with_context(|| format!("the hot folder {} cannot be used", path.display()))?)
        }
        Watched::Calls(folder) => {
            let path = folder.path.clone();
            let opened = CallRounds::open(folder);
            Rounds::Calls(
                opened.with_context(|| format!("the call files of {} cannot be used", path.display()))?,
            )
        }
    })
}

/// The rows: in the database that the configuration names, else in a file of the data folder.
pub(crate) async fn open_store(config: &Config) -> Result<Arc<dyn Store>> {
    match &config.database {
        Some(database) => {
            let opened = PostgresStore::open(&database.url, database.connections).await;
            Ok(Arc::new(opened.context("the database of [database] cannot be used")?))
        }
        None => {
            let folder = &config.data_dir;
            Ok(Arc::new(RedbStore::open(folder).with_context(|| {
                format!("the store in {} cannot be opened; is another ferrofax using it?", folder.display())
            })?))
        }
    }
}

async fn bind(address: SocketAddr, key: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("{key} {address} cannot be bound"))
}

fn smarthost(host: &Smarthost) -> MailerConfig {
    let mut mailer = MailerConfig::new(&host.host, host.port, &host.from);
    mailer.credentials.clone_from(&host.credentials);
    mailer.max_attachment = host.max_attachment;
    mailer.security = match host.tls.as_str() {
        "tls" => Security::Tls,
        "none" => Security::None,
        _ => Security::StartTls,
    };
    mailer
}

/// Done when the stop was told.
async fn told(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|s| *s).await;
}
