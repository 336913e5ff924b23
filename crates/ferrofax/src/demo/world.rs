//! The demo's world: a clinic and a court, each with its server, and a post office for their mails.

use super::postbox::Postbox;
use crate::config;
use crate::server::Server;
use anyhow::{Context, Result, anyhow};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) const CLINIC_KEY: &str = "demo-key-of-the-clinic";
pub(super) const COURT_KEY: &str = "demo-key-of-the-court";
pub(super) const CLINIC_NUMBER: &str = "+14155550100";
pub(super) const COURT_NUMBER: &str = "+14155550199";
pub(super) const SENDER: &str = "nurse@clinic.demo";
const RECIPIENT: &str = "clerk@court.demo";

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
        let clinic = server(
            &folder,
            &Side {
                name: "clinic",
                sip: clinic_sip,
                peer: court_sip,
                key: CLINIC_KEY,
                number: CLINIC_NUMBER,
                mail: SENDER,
                post: postbox.address,
            },
        )
        .await?;
        let court = server(
            &folder,
            &Side {
                name: "court",
                sip: court_sip,
                peer: clinic_sip,
                key: COURT_KEY,
                number: COURT_NUMBER,
                mail: RECIPIENT,
                post: postbox.address,
            },
        )
        .await?;
        let clinic_api = clinic.api.context("no REST")?;
        let clinic_smtp = clinic.smtp.context("no SMTP")?;
        let court_api = court.api.context("no REST")?;
        Ok(World { folder, clinic, court, clinic_api, clinic_smtp, court_api, postbox })
    }

    /// The mails that have come, once both are there or the patience is over.
    pub(super) async fn mails(&mut self, patience: Duration) -> Vec<PathBuf> {
        self.postbox.wait_for(2, patience).await
    }

    pub(super) fn clinic_account(&self) -> String {
        let directory = self.clinic.service.directory();
        directory.accounts().first().map(|a| a.id.to_string()).unwrap_or_default()
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
    key: &'static str,
    number: &'static str,
    mail: &'static str,
    post: SocketAddr,
}

/// A server from a configuration as anyone would write it; it is left beside the data to be read.
async fn server(folder: &Path, side: &Side) -> Result<Server> {
    let Side { name, sip, peer, key, number, mail, post } = side;
    let text = format!(
        r#"# The {name} of the demo.
data_dir = "{name}"

[sip]
listen = "{sip}"

[[trunk]]
name = "other-side"
peer = "{peer}"

[[account]]
name = "{name}"
api_key = "{key}"

[[faxbox]]
name = "{name}"
account = "{name}"
numbers = ["{number}"]
caller_id = "{number}"
ident = "{number}"
mail_domain = "{name}.demo"
allow_senders = ["{mail}"]
notify_inbound = ["{mail}"]

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
    std::fs::write(folder.join(format!("{name}.toml")), &text)?;
    let config = config::parse(&text, folder)
        .map_err(|faults| anyhow!("the demo's own configuration is faulty: {faults:?}"))?;
    Server::start(config).await
}

fn free_port() -> Result<SocketAddr> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?)
}
