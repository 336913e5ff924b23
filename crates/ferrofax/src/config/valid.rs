//! The second reading: what makes sense. Every default of ferrofax is in this file, in [`super::sections`] and in
//! [`super::learning`].

use super::Fault;
use super::compressions::{Compressions, compressions};
use super::folders::{self, Watched};
use super::keep::{self, DocumentPlace};
use super::learning::learning;
use super::protection;
use super::routes;
use super::sections;
use super::terminals;
use super::trunks;
use super::written::File;
use fax_net::{Listen, LocalTerminal, Protection, Registrar, StreamLimits, Tls, TraceConfig, Trunk};
use fax_switch::Directory;
use fax_switch::number::NumberPlan;
use fax_switch::policy::{LearningRules, TollRules, TrunkRouting};
use fax_switch::retention::{Retention, RetentionRules};
use fax_switch::routing::Routing;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How log lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines, an object a line.
    Json,
}

/// A configuration in which everything fits.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Where the store and the documents are.
    pub(crate) data_dir: PathBuf,
    /// The name of this node in leases.
    pub(crate) node: String,
    pub(crate) log_level: String,
    pub(crate) log_format: LogFormat,
    pub(crate) sip: Sip,
    pub(crate) trunks: Vec<Trunk>,
    /// The codings of each trunk that does not use all, by its name.
    pub(crate) trunk_compressions: HashMap<String, Compressions>,
    /// Who may register here, and how that is done.
    pub(crate) terminals: Vec<LocalTerminal>,
    pub(crate) registrar: Registrar,
    pub(crate) api: Option<Api>,
    /// Where Prometheus asks, if it does.
    pub(crate) metrics: Option<Metrics>,
    pub(crate) smtp: Option<Smtp>,
    pub(crate) mail: Option<Smarthost>,
    pub(crate) queue: Queue,
    /// Rows in a database that other nodes may share; `None`: in a file of `data_dir`.
    pub(crate) database: Option<Database>,
    /// Where calls are recorded, if they are.
    pub(crate) traces: Option<TraceConfig>,
    /// `[learning]`; `None`: off.
    pub(crate) learning: Option<LearningRules>,
    pub(crate) directory: Directory,
    /// By which trunks calls are made.
    pub(crate) trunk_routing: TrunkRouting,
    /// What the SIP side bears of whom.
    pub(crate) protection: Protection,
    /// Where documents are, and whether they are encrypted.
    pub(crate) documents: DocumentPlace,
    /// Folders whose files become faxes, and how often they are looked at.
    pub(crate) folders: Vec<(Watched, Duration)>,
    /// How long faxes are kept.
    pub(crate) retention: RetentionRules,
    /// What may be called and spent.
    pub(crate) toll: TollRules,
    pub(crate) plan: NumberPlan,
    /// Callers are told that grey and colour are taken.
    pub(crate) receive_colour: bool,
}

/// `[sip]`, `[[listen]]`, `[tls]`, `[connections]` and `[dns]`
#[derive(Clone, Debug)]
pub(crate) struct Sip {
    pub(crate) listen: Vec<Listen>,
    pub(crate) tls: Tls,
    pub(crate) streams: StreamLimits,
    pub(crate) dns: Vec<SocketAddr>,
    pub(crate) advertise: Option<IpAddr>,
    pub(crate) stun: Vec<String>,
    pub(crate) media_ports: Option<RangeInclusive<u16>>,
    pub(crate) workers: usize,
    pub(crate) max_calls: usize,
}

/// `[api]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Api {
    pub(crate) listen: SocketAddr,
    pub(crate) max_upload: usize,
    pub(crate) allow_private_urls: bool,
    pub(crate) user_auth: bool,
    /// What an attachment is when the client does not say.
    pub(crate) attachment_format: fax_switch::Format,
    /// Signs tokens; `None`: drawn at each start.
    pub(crate) token_secret: Option<Secret>,
    /// Who is believed for whom he asks.
    pub(crate) trusted_proxies: Vec<IpAddr>,
}

/// `/metrics`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Metrics {
    pub(crate) listen: SocketAddr,
    /// Who asks must have it; `None`: whoever reaches the address.
    pub(crate) token: Option<Secret>,
}

/// Text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// `[smtp]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Smtp {
    pub(crate) listen: SocketAddr,
    pub(crate) hostname: String,
    pub(crate) max_message: usize,
    pub(crate) max_sessions: usize,
    /// A balancer in front tells who connects, in a PROXY line.
    pub(crate) proxy: bool,
    /// A faxbox without owner and without permission list takes mail from anybody.
    pub(crate) allow_all: bool,
    /// What generated mail domains and realms end in.
    pub(crate) fax_domain: String,
}

/// `[mail]`
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Smarthost {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// `none`, `starttls` or `tls`.
    pub(crate) tls: String,
    pub(crate) credentials: Option<(String, String)>,
    pub(crate) from: String,
    /// Largest PDF that is attached, octets.
    pub(crate) max_attachment: usize,
}

impl std::fmt::Debug for Smarthost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smarthost")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .field("credentials", &self.credentials.as_ref().map(|_| "…"))
            .field("from", &self.from)
            .field("max_attachment", &self.max_attachment)
            .finish()
    }
}

/// `[database]`
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Database {
    /// `postgres://user:password@host/database`.
    pub(crate) url: String,
    pub(crate) connections: u32,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("url", &"…").field("connections", &self.connections).finish()
    }
}

/// `[queue]`
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    pub(crate) max_calls: usize,
    pub(crate) max_pages: u32,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) conversion_timeout: Duration,
    pub(crate) stop_timeout: Duration,
    /// How long a node may be silent before others take its jobs over.
    pub(crate) lease: Duration,
    /// Only one call to a number at a time.
    pub(crate) serialise_numbers: bool,
    /// So many faxes of a sender that wait for the same number go out in one call.
    pub(crate) jobs_per_call: usize,
    /// Calls going out at a time of accounts that say nothing.
    pub(crate) max_outbound: u32,
    /// When numbers are not called any more.
    pub(crate) dead_numbers: fax_switch::DeadNumberRules,
    /// What follows a failed attempt, as the operator wants it.
    pub(crate) reschedule: Vec<fax_switch::policy::RescheduleRule>,
}

/// Checks a file. Faults are added; `None` when there is nothing to go on with.
pub(super) fn check(file: &File<'_>, base: &Path, faults: &mut Vec<Fault>) -> Option<Config> {
    let noted = RefCell::new(std::mem::take(faults));
    let config = {
        let root = file.root(&noted);
        let config = whole(&root, base);
        root.finish();
        config
    };
    *faults = noted.into_inner();
    config
}

fn whole(root: &super::written::Section<'_, '_>, base: &Path) -> Option<Config> {
    let data_dir = root.text("data_dir");
    if data_dir.is_none() {
        root.fault(
            1,
            "data_dir is missing",
            "say where jobs and documents are kept, as data_dir = \"/var/lib/ferrofax\"",
        );
    }
    let node = root.text("node").map_or_else(|| "ferrofax".to_owned(), |n| n.value);

    let log = root.section("log");
    let log_level = sections::choice(&log, "level", "info", &["error", "warn", "info", "debug", "trace"]);
    let log_format = match sections::choice(&log, "format", "text", &["text", "json"]).as_str() {
        "json" => LogFormat::Json,
        _ => LogFormat::Text,
    };
    log.finish();

    let sip = sections::sip(root, base);
    let usual = compressions(root);
    let mut trunks = Vec::new();
    let mut trunk_routes = Vec::new();
    let mut trunk_compressions = HashMap::new();
    for configured in trunks::trunks(root, base) {
        if let Some(own) = configured.compressions.or_else(|| usual.clone()) {
            trunk_compressions.insert(configured.trunk.name.clone(), own);
        }
        trunks.push(configured.trunk);
        trunk_routes.push(configured.route);
    }
    let api = sections::api(root, base);
    let metrics = super::metrics::metrics(root, base);
    let smtp = sections::smtp(root);
    let mail = sections::mail(root, base);
    let queue = super::queue::queue(root);
    let database = sections::database(root, base);
    if let Some((_, line)) = database.as_ref().filter(|_| !root.has("node")) {
        root.fault(
            *line,
            "a database without a node name",
            "add node = \"fax1\" at the top, another for each node on this database",
        );
    }
    let traces = sections::trace(root, &base.join(data_dir.as_ref().map_or("", |d| &d.value)));
    let documents = keep::documents(root, base, &base.join(data_dir.as_ref().map_or("", |d| &d.value)));
    let retention = keep::retention(root.section("retention"), Retention::default());
    let learning = learning(root);
    let plan = match sections::choice(root, "number_plan", "nanp", &["nanp", "open"]).as_str() {
        "open" => NumberPlan::open(),
        _ => NumberPlan::default(),
    };
    let receive_colour = root.flag("receive_colour").is_none_or(|f| f.value);
    let (accounts, account_routes) = sections::accounts(root, base, &trunks, retention);
    let trunk_routing = TrunkRouting {
        trunks: trunk_routes,
        accounts: account_routes.iter().map(|(id, route, ..)| (id.clone(), route.clone())).collect(),
    };
    let faxboxes = sections::faxboxes(root, &accounts);
    let folders = folders::folders(root, base, &accounts, &faxboxes);
    let (mut terminals, mut local, mut terminal_tolls) = (Vec::new(), Vec::new(), HashMap::new());
    for (terminal, net, toll) in terminals::terminals(root, base, &accounts) {
        terminal_tolls.insert(terminal.user.clone(), toll);
        terminals.push(terminal);
        local.push(net);
    }
    let known = routes::Targets { trunks: &trunks, terminals: &terminals, faxboxes: &faxboxes };
    let (rules, route_numbers) = routes::routes(root, &known);
    let kept = account_routes.iter().filter_map(|(id, _, _, kept)| Some((id.clone(), (*kept)?)));
    let retention = RetentionRules { everywhere: retention, accounts: kept.collect() };
    let (protection, everywhere, destinations) = protection::protection(root);
    let toll = TollRules {
        everywhere,
        accounts: account_routes.into_iter().map(|(id, _, toll, _)| (id, toll)).collect(),
        terminals: terminal_tolls,
        routes: route_numbers,
        destinations,
        trunks: trunk_routing.clone(),
    };
    let routing = Routing {
        rules,
        terminals,
        account_trunks: trunk_routing
            .accounts
            .iter()
            .filter_map(|(account, route)| Some((account.clone(), route.trunks.first()?.clone())))
            .collect(),
        default_trunk: trunks.first().map(|t| t.name.clone()),
    };
    let registrar = terminals::registrar(root);
    let directory = Directory::new(accounts, faxboxes, &plan);
    let directory = match directory.and_then(|d| d.with_routing(routing, &plan)) {
        Ok(directory) => Some(directory),
        Err(sentence) => {
            root.fault(1, sentence, "use every id, user, key, realm, number and domain once");
            None
        }
    };
    Some(Config {
        data_dir: base.join(data_dir?.value),
        node,
        log_level,
        log_format,
        sip: sip?,
        trunks,
        trunk_compressions,
        terminals: local,
        registrar,
        api,
        metrics,
        smtp,
        mail,
        queue,
        database: database.map(|(database, _)| database),
        traces,
        learning,
        directory: directory?,
        trunk_routing,
        protection,
        documents,
        folders,
        retention,
        toll,
        plan,
        receive_colour,
    })
}
