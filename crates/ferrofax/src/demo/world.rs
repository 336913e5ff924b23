//! The demo's world: a clinic and a court, each with its server, and a post office for their mails.

use super::postbox::Postbox;
use crate::config;
use crate::server::Server;
use anyhow::{Context, Result, anyhow};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A way for the fax to go: an account of the clinic with its trunk.
#[derive(Clone, Copy)]
pub(super) struct Way {
    pub(super) name: &'static str,
    account: &'static str,
    pub(super) key: &'static str,
    pub(super) number: &'static str,
    /// A second number of the faxbox: one number is called once at a time.
    also: Option<&'static str>,
    pub(super) mail: &'static str,
    /// The number it calls.
    pub(super) to: &'static str,
    /// The trunk's rule.
    t38: &'static str,
}

/// Both ways to the court.
pub(super) const WAYS: [Way; 2] = [
    Way {
        name: "T.38",
        account: "clinic",
        key: "demo-key-of-the-clinic",
        number: "+14155550100",
        also: None,
        mail: "nurse@clinic.demo",
        to: "+14155550199",
        t38: "either",
    },
    Way {
        name: "G.711",
        account: "ward",
        key: "demo-key-of-the-ward",
        number: "+14155550101",
        also: None,
        mail: "doctor@ward.demo",
        to: "+14155550198",
        t38: "never",
    },
];

/// The court, where both faxes arrive.
pub(super) const COURT: Way = Way {
    name: "court",
    account: "court",
    key: "demo-key-of-the-court",
    number: "+14155550199",
    also: Some("+14155550198"),
    mail: "clerk@court.demo",
    to: "+14155550100",
    t38: "either",
};

pub(super) struct World {
    pub(super) folder: PathBuf,
    pub(super) clinic: Server,
    pub(super) court: Server,
    pub(super) clinic_api: SocketAddr,
    pub(super) clinic_smtp: SocketAddr,
    pub(super) court_api: SocketAddr,
    postbox: Postbox,
}

impl World {
    /// Starts everything on free ports of the loopback, with the files in a new temporary folder.
    pub(super) async fn start() -> Result<World> {
        let folder = tempfile::Builder::new()
            .prefix("ferrofax-demo-")
            .tempdir()
            .context("no temporary folder can be made")?
            .keep();
        let postbox = Postbox::open(&folder.join("mail")).await?;
        let (clinic_sip, court_sip) = (free_port()?, free_port()?);
        let post = postbox.address;
        let clinic =
            server(&folder, &Side { name: "clinic", sip: clinic_sip, peer: court_sip, post, ways: &WAYS })
                .await?;
        let court =
            server(&folder, &Side { name: "court", sip: court_sip, peer: clinic_sip, post, ways: &[COURT] })
                .await?;
        let clinic_api = clinic.api.context("no REST")?;
        let clinic_smtp = clinic.smtp.context("no SMTP")?;
        let court_api = court.api.context("no REST")?;
        Ok(World { folder, clinic, court, clinic_api, clinic_smtp, court_api, postbox })
    }

    /// The mails that have come, once so many are there or the patience is over.
    pub(super) async fn mails(&mut self, count: usize, patience: Duration) -> Vec<PathBuf> {
        self.postbox.wait_for(count, patience).await
    }

    /// The account of the first way, whose key is shown beside it.
    pub(super) fn clinic_account(&self) -> String {
        let directory = self.clinic.service.directory();
        directory.account_by_key(WAYS[0].key).map(|a| a.id.to_string()).unwrap_or_default()
    }

    pub(super) async fn stop(self) {
        self.clinic.stop().await;
        self.court.stop().await;
    }
}

struct Side {
    name: &'static str,
    sip: SocketAddr,
    peer: SocketAddr,
    post: SocketAddr,
    ways: &'static [Way],
}

/// A server from a configuration as anyone would write it; it is left beside the data to be read.
async fn server(folder: &Path, side: &Side) -> Result<Server> {
    let Side { name, sip, peer, post, ways } = side;
    let mut text = format!(
        r#"# The {name} of the demo.
data_dir = "{name}"

[sip]
listen = "{sip}"

[api]
listen = "127.0.0.1:0"

[smtp]
listen = "127.0.0.1:0"
hostname = "{name}.demo"

[mail]
host = "{host}"
port = {port}
tls = "none"
from = "Fax of the {name} <fax@{name}.demo>"
"#,
        host = post.ip(),
        port = post.port(),
    );
    for way in *ways {
        let Way { account, key, number, also, mail, t38, .. } = way;
        let numbers: Vec<String> =
            [Some(*number), *also].iter().flatten().map(|n| format!("\"{n}\"")).collect();
        let numbers = numbers.join(", ");
        text.push_str(&format!(
            r#"
[[trunk]]
name = "for-{account}"
peer = "{peer}"
t38 = "{t38}"

[[account]]
name = "{account}"
api_key = "{key}"
trunk = "for-{account}"

[[faxbox]]
name = "{account}"
account = "{account}"
numbers = [{numbers}]
caller_id = "{number}"
ident = "{number}"
mail_domain = "{account}.demo"
allow_senders = ["{mail}"]
notify_inbound = ["{mail}"]
"#
        ));
    }
    std::fs::write(folder.join(format!("{name}.toml")), &text)?;
    let config = config::parse(&text, folder)
        .map_err(|faults| anyhow!("the demo's own configuration is faulty: {faults:?}"))?;
    Server::start(config).await
}

fn free_port() -> Result<SocketAddr> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?)
}
