//! A service on one store with nobody to call, and a listener of its own.

use async_trait::async_trait;
use bytes::Bytes;
use fax_document::FaxDocument;
use fax_mail::ingress::FaxIngress;
use fax_mail::listener::{Ingress, ListenerConfig, serve};
use fax_store::StoreError;
use fax_store::folder::FolderDocuments;
use fax_store::model::{
    AccountId, DocumentKey, Entry, EntryKind, FaxboxId, Folder, Job, NodeId, Timestamp, WebRequest,
};
use fax_store::port::{Documents, JobQuery};
use fax_store::redb::RedbStore;
use fax_switch::number::NumberPlan;
use fax_switch::port::{
    CallEvent, CallOrder, CallResult, ConvertError, Converter, Dialler, Fetched, Fetcher, SystemClock,
};
use fax_switch::{Account, Directory, Faxbox, Ports, Service, ServiceConfig};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

pub const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub const DOMAIN: &str = "0a1b2c3d.fax.example";
pub const PDF: &str = "JVBERi0xLjQKJSVFT0YK";

/// Nothing is called, converted or fetched here.
pub struct Idle;

#[async_trait]
impl Dialler for Idle {
    async fn call(&self, _: CallOrder, _: mpsc::Sender<CallEvent>) -> CallResult {
        CallResult::default()
    }
}

#[async_trait]
impl Converter for Idle {
    async fn convert(
        &self,
        _: Bytes,
        _: &str,
        _: Option<&str>,
        _: bool,
    ) -> Result<FaxDocument, ConvertError> {
        Err(ConvertError::Later("not here".into()))
    }
}

#[async_trait]
impl Fetcher for Idle {
    async fn fetch(&self, _: WebRequest) -> Result<Fetched, ConvertError> {
        Err(ConvertError::Later("not here".into()))
    }
}

/// A store of documents that fills up.
pub struct Filling {
    folder: FolderDocuments,
    /// So many documents have room; `None`: all.
    pub room: Mutex<Option<u32>>,
}

#[async_trait]
impl Documents for Filling {
    async fn put(&self, octets: Bytes) -> Result<DocumentKey, StoreError> {
        if let Some(left) = self.room.lock().unwrap().as_mut() {
            *left = left.checked_sub(1).ok_or(StoreError::Unavailable("it is full".into()))?;
        }
        self.folder.put(octets).await
    }

    async fn put_as(&self, key: &DocumentKey, octets: Bytes) -> Result<(), StoreError> {
        self.folder.put_as(key, octets).await
    }

    async fn get(&self, key: &DocumentKey) -> Result<Bytes, StoreError> {
        self.folder.get(key).await
    }

    async fn delete(&self, key: &DocumentKey) -> Result<(), StoreError> {
        self.folder.delete(key).await
    }

    async fn older_than(&self, age: Duration, shelf: u8) -> Result<Vec<DocumentKey>, StoreError> {
        self.folder.older_than(age, shelf).await
    }
}

pub struct Rig {
    pub service: Service,
    pub ports: Ports,
    pub documents: Arc<Filling>,
    _folder: tempfile::TempDir,
}

pub async fn rig() -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let documents = Arc::new(Filling {
        folder: FolderDocuments::open(folder.path().join("documents")).unwrap(),
        room: Mutex::new(None),
    });
    let ports = Ports {
        store: Arc::new(RedbStore::open(folder.path().join("rows")).unwrap()),
        documents: documents.clone(),
        dialler: Arc::new(Idle),
        converter: Arc::new(Idle),
        fetcher: Arc::new(Idle),
        clock: Arc::new(SystemClock),
    };
    let account = Account { id: AccountId::new(A), realm: "a.example".into(), ..Account::default() };
    let faxbox = Faxbox {
        id: FaxboxId::new("f"),
        account: AccountId::new(A),
        caller_id: "+14155550100".into(),
        timezone: "Europe/Berlin".into(),
        retries: 2,
        mail_domain: DOMAIN.into(),
        custom_mail_domain: Some("fax.custom.example".into()),
        smtp_permission_list: vec!["Boss@b.example".into(), r"@c\.example$".into()],
        owner: Some("u1".into()),
        owner_email: Some("jo@a.example".into()),
        notify_outbound: vec!["desk@a.example".into()],
        ..Faxbox::default()
    };
    let closed = Faxbox {
        id: FaxboxId::new("g"),
        account: AccountId::new(A),
        mail_domain: "closed.example".into(),
        ..Faxbox::default()
    };
    let directory = Directory::new(vec![account], vec![faxbox, closed], &NumberPlan::default()).unwrap();
    let service = Service::new(directory, ServiceConfig::new(NodeId::new("n")), ports.clone());
    let mut user = Entry::new(EntryKind::User, "u1", AccountId::new(A), Timestamp::now());
    user.document.insert("email".into(), "jo@a.example".into());
    service.put_entries(vec![user]).await.unwrap();
    Rig { service, ports, documents, _folder: folder }
}

impl Rig {
    pub async fn jobs(&self) -> Vec<Job> {
        let mut query = JobQuery::of(AccountId::new(A), Folder::Live);
        query.range.ascending = true;
        self.service.jobs(query).await.unwrap()
    }
}

pub async fn listen(ingress: Arc<dyn Ingress>, config: ListenerConfig) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, config, ingress, std::future::pending()));
    address
}

pub async fn server(rig: &Rig) -> SocketAddr {
    let ingress = Arc::new(FaxIngress::new(rig.service.clone(), false));
    listen(ingress, ListenerConfig { host: "mx.example".into(), ..ListenerConfig::default() }).await
}
