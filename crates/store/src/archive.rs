//! A whole store in one file, to be kept or to be carried into another kind of store.
//!
//! The file is a tar: `ferrofax-store.json` says what it is, `rows/KIND-NNNNNN.jsonl` hold a row a line, `documents/KEY`
//! the documents that rows name, as they lie in their place (sealed ones stay sealed, and their wrapped keys are among
//! the rows), and `end.json` counts everything and has the SHA-256 of it. Without that last member the file is cut off.
//! Each member has its own SHA-256 as pax record `FERROFAX.sha256` (POSIX.1 pax), so that damage has a place.

use crate::model::{DocumentKey, FaxId, JobId, Row, RowKind};
use crate::port::{Documents, Store, StoreError};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

/// The form that this code writes, and the newest that it reads.
const FORMAT: u32 = 2;
const HEAD: &str = "ferrofax-store.json";
const END: &str = "end.json";
/// Rows in one member.
const BATCH: usize = 200;
/// Largest member that is read, octets.
const MOST: u64 = 1 << 30;
/// The pax record with the SHA-256 of a member, in hexadecimal digits.
const DIGEST: &str = "FERROFAX.sha256";
/// Members or documents that are told by name; the rest is a number.
const TOLD: usize = 100;

/// Why an archive was not written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The archive's file failed.
    #[error("the archive: {0}")]
    File(#[from] std::io::Error),
    /// It is no archive of ours, or a damaged one: why.
    #[error("the archive cannot be used: {0}")]
    Unusable(String),
    /// The store holds something already.
    #[error("the store is not empty: import into a new one")]
    NotEmpty,
    /// The import of another archive was begun and not ended.
    #[error(
        "the import of another archive was begun here and not ended: repeat that one, or begin with a new store"
    )]
    Other,
}

/// What is in an archive.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Contents {
    /// Rows, by kind.
    pub rows: BTreeMap<String, u64>,
    /// Documents.
    pub documents: u64,
    /// Documents that a row names and that are not there.
    pub missing: u64,
    /// Whose these are, the first hundred, in words: `the pages of job …`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
    /// SHA-256 over names, lengths and contents of all members before this.
    pub sha256: String,
}

impl Contents {
    /// Rows and documents.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.rows.values().sum::<u64>() + self.documents
    }

    /// What rows named and nobody found.
    fn lose(&mut self, named: BTreeMap<DocumentKey, Owner>) {
        self.missing = u64::try_from(named.len()).unwrap_or(u64::MAX);
        self.lost = named.iter().take(TOLD).map(|(key, owner)| format!("{owner} (document {key})")).collect();
    }

    /// A number for this archive.
    fn number(&self) -> u64 {
        u64::from_str_radix(self.sha256.get(..16).unwrap_or("0"), 16).unwrap_or(0)
    }
}

#[derive(Serialize, Deserialize)]
struct Head {
    format: u32,
    version: String,
}

fn unusable(why: impl std::fmt::Display) -> ArchiveError {
    ArchiveError::Unusable(why.to_string())
}

/// What a document is of.
enum Owner {
    Original(JobId),
    Pages(JobId),
    Received(FaxId),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::Original(job) => write!(f, "what was handed in for job {job}"),
            Owner::Pages(job) => write!(f, "the pages of job {job}"),
            Owner::Received(fax) => write!(f, "the pages of received fax {fax}"),
        }
    }
}

/// The digest of members.
#[derive(Default)]
struct Sum(Sha256);

impl Sum {
    fn member(&mut self, name: &str, octets: &[u8]) {
        for part in [name.as_bytes(), octets] {
            self.0.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            self.0.update(part);
        }
    }

    fn end(self) -> String {
        hex::encode(self.0.finalize())
    }
}

struct Writer {
    tar: tar::Builder<BufWriter<File>>,
    sum: Sum,
}

impl Writer {
    fn add(&mut self, name: &str, octets: &[u8]) -> Result<(), ArchiveError> {
        let digest = hex::encode(Sha256::digest(octets));
        self.tar.append_pax_extensions([(DIGEST, digest.as_bytes())])?;
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(octets.len()).unwrap_or(u64::MAX));
        header.set_mode(0o600);
        header.set_cksum();
        self.tar.append_data(&mut header, name, octets)?;
        self.sum.member(name, octets);
        Ok(())
    }
}

/// The documents that a row names.
fn documents_of(row: &Row) -> Vec<(DocumentKey, Owner)> {
    let named = match row {
        Row::Job(job) => vec![
            job.source.original().map(|key| (key.clone(), Owner::Original(job.id.clone()))),
            job.document.clone().map(|key| (key, Owner::Pages(job.id.clone()))),
        ],
        Row::Received(fax) => {
            vec![fax.document.clone().map(|key| (key, Owner::Received(fax.id.clone())))]
        }
        Row::Entry(_)
        | Row::Profile(_)
        | Row::Notice(_)
        | Row::HookNotice(_)
        | Row::HookAttempt(_)
        | Row::Audit(_) => Vec::new(),
    };
    named.into_iter().flatten().filter(|(key, _)| !key.as_str().is_empty()).collect()
}

fn line(row: &Row, to: &mut Vec<u8>) -> Result<(), ArchiveError> {
    serde_json::to_writer(&mut *to, row).map_err(unusable)?;
    to.push(b'\n');
    Ok(())
}

/// Writes everything of a store that nobody uses meanwhile, and the documents that its rows name. `progress` is told how
/// many rows and documents are written. The file appears under its name when it is whole.
///
/// # Errors
///
/// See [`ArchiveError`]; then there is no such file, or still the old one.
pub async fn export(
    store: &dyn Store,
    documents: &dyn Documents,
    path: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Contents, ArchiveError> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = std::path::PathBuf::from(part);
    let done = write(store, documents, &part, progress).await;
    match done.and_then(|contents| Ok(std::fs::rename(&part, path).map(|()| contents)?)) {
        Ok(contents) => {
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            crate::folder::sync_folder(folder)?;
            Ok(contents)
        }
        Err(e) => {
            // It may not be there.
            let _ = std::fs::remove_file(&part);
            Err(e)
        }
    }
}

async fn write(
    store: &dyn Store,
    documents: &dyn Documents,
    part: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Contents, ArchiveError> {
    if store.import_under_way().await?.is_some() {
        return Err(ArchiveError::Other);
    }
    // What an interrupted export left may have others' rights.
    if let Err(e) = std::fs::remove_file(part)
        && e.kind() != std::io::ErrorKind::NotFound
    {
        return Err(e.into());
    }
    let file = crate::private::file(part)?;
    let mut w = Writer { tar: tar::Builder::new(BufWriter::new(file)), sum: Sum::default() };
    let head = Head { format: FORMAT, version: env!("CARGO_PKG_VERSION").into() };
    w.add(HEAD, &serde_json::to_vec(&head).map_err(unusable)?)?;
    let mut contents = Contents::default();
    let mut named = BTreeMap::new();
    for kind in RowKind::ALL {
        let (mut after, mut number) = (None, 0u64);
        loop {
            let rows = store.rows(kind, after.take(), BATCH).await?;
            let Some((last, _)) = rows.last() else { break };
            after = Some(last.clone());
            let mut lines = Vec::new();
            for (_, row) in &rows {
                line(row, &mut lines)?;
                named.extend(documents_of(row));
            }
            number += 1;
            w.add(&format!("rows/{}-{number:06}.jsonl", kind.name()), &lines)?;
            *contents.rows.entry(kind.name().to_owned()).or_default() +=
                u64::try_from(rows.len()).unwrap_or(0);
            progress(contents.count());
        }
    }
    let mut lost = BTreeMap::new();
    for (key, owner) in named {
        match documents.get(&key).await {
            Ok(octets) => {
                w.add(&format!("documents/{key}"), &octets)?;
                contents.documents += 1;
            }
            Err(StoreError::NotFound) => drop(lost.insert(key, owner)),
            Err(e) => return Err(e.into()),
        }
        progress(contents.count());
    }
    contents.lose(lost);
    contents.sha256 = std::mem::take(&mut w.sum).end();
    w.add(END, &serde_json::to_vec(&contents).map_err(unusable)?)?;
    let mut file = w.tar.into_inner()?;
    file.flush()?;
    file.into_inner().map_err(|e| e.into_error())?.sync_all()?;
    Ok(contents)
}

/// A member of an archive.
enum Member {
    /// It is not what it was: its name.
    Damaged(String),
    Head,
    Rows(Vec<Row>),
    Document(DocumentKey, Vec<u8>),
    End(Contents),
}

/// The digest that a member was written with; archives of before have none.
fn digest_of(entry: &mut tar::Entry<'_, impl Read>) -> Result<Option<String>, ArchiveError> {
    for record in entry.pax_extensions().map_err(unusable)?.into_iter().flatten() {
        let record = record.map_err(unusable)?;
        if record.key_bytes() == DIGEST.as_bytes() {
            return Ok(Some(String::from_utf8_lossy(record.value_bytes()).into_owned()));
        }
    }
    Ok(None)
}

fn read_member(entry: &mut tar::Entry<'_, impl Read>, sum: &mut Sum) -> Result<Member, ArchiveError> {
    let name = entry.path().map_err(unusable)?.to_string_lossy().into_owned();
    if entry.size() > MOST {
        return Err(unusable(format!("{name} has {} octets", entry.size())));
    }
    let mut octets = Vec::new();
    entry.read_to_end(&mut octets).map_err(unusable)?;
    if u64::try_from(octets.len()).ok() != Some(entry.size()) {
        return Err(unusable("it is cut off"));
    }
    let json = |e: serde_json::Error| unusable(format!("{name}: {e}"));
    if name == END {
        return serde_json::from_slice(&octets).map(Member::End).map_err(json);
    }
    sum.member(&name, &octets);
    if digest_of(entry)?.is_some_and(|digest| digest != hex::encode(Sha256::digest(&octets))) {
        return Ok(Member::Damaged(name));
    }
    if name == HEAD {
        let head: Head = serde_json::from_slice(&octets).map_err(json)?;
        if head.format > FORMAT {
            return Err(unusable(format!(
                "it has form {}, written by ferrofax {}; this one reads up to {FORMAT}",
                head.format, head.version
            )));
        }
        return Ok(Member::Head);
    }
    match name.split_once('/') {
        Some(("rows", _)) => {
            let lines = octets.split(|b| *b == b'\n').filter(|l| !l.is_empty());
            lines.map(serde_json::from_slice).collect::<Result<_, _>>().map(Member::Rows).map_err(json)
        }
        Some(("documents", key)) => Ok(Member::Document(DocumentKey::new(key), octets)),
        _ => Err(unusable(format!("{name} is none of what an archive holds"))),
    }
}

/// Reads an archive to its end and compares everything with what its end says.
///
/// # Errors
///
/// [`ArchiveError::Unusable`] with what is wrong, and where; [`ArchiveError::File`].
pub fn verify(path: &Path) -> Result<Contents, ArchiveError> {
    let mut tar = tar::Archive::new(BufReader::new(File::open(path)?));
    let (mut sum, mut found, mut begun) = (Sum::default(), Contents::default(), false);
    let (mut named, mut damaged) = (BTreeMap::new(), Vec::new());
    for entry in tar.entries().map_err(unusable)? {
        let mut entry = entry.map_err(unusable)?;
        let member = read_member(&mut entry, &mut sum)?;
        if !begun && !matches!(member, Member::Head) {
            return Err(unusable("it does not begin as an archive of ferrofax"));
        }
        match member {
            Member::Head => begun = true,
            Member::Damaged(name) => {
                // Rows come before documents: whose it is is known, unless just that is damaged.
                let key = name.strip_prefix("documents/").map(DocumentKey::new);
                let owner = key.and_then(|key| named.remove(&key));
                damaged.push(owner.map_or(name.clone(), |owner: Owner| format!("{name}, {owner}")));
            }
            Member::Rows(rows) => {
                for row in rows {
                    *found.rows.entry(row.kind().name().to_owned()).or_default() += 1;
                    named.extend(documents_of(&row));
                }
            }
            Member::Document(key, _) => {
                found.documents += 1;
                named.remove(&key);
            }
            Member::End(_) if !damaged.is_empty() => return Err(changed(&damaged)),
            Member::End(end) => {
                found.sha256 = sum.end();
                found.lose(named);
                let same = (&found.rows, found.documents, found.missing, &found.sha256)
                    == (&end.rows, end.documents, end.missing, &end.sha256);
                return if same {
                    Ok(found)
                } else {
                    Err(unusable("it was changed: its checksum is another"))
                };
            }
        }
    }
    Err(unusable("it is cut off"))
}

/// The members that are not what they were.
fn changed(members: &[String]) -> ArchiveError {
    let mut told = members.iter().take(TOLD).map(String::as_str).collect::<Vec<_>>().join("; ");
    if members.len() > TOLD {
        told.push_str(&format!("; and {} more", members.len() - TOLD));
    }
    unusable(format!("changed or damaged: {told}"))
}

/// Brings everything of an archive into an empty store, after the whole archive was verified. One that was interrupted is
/// repeated with the same archive; until it is done the store says that an import is under way.
///
/// # Errors
///
/// See [`ArchiveError`].
pub async fn import(
    store: &dyn Store,
    documents: &dyn Documents,
    path: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Contents, ArchiveError> {
    let contents = verify(path)?;
    match store.import_under_way().await? {
        Some(number) if number == contents.number() => {}
        Some(_) => return Err(ArchiveError::Other),
        None => {
            for kind in RowKind::ALL {
                if !store.rows(kind, None, 1).await?.is_empty() {
                    return Err(ArchiveError::NotEmpty);
                }
            }
            store.note_import(Some(contents.number())).await?;
        }
    }
    let mut tar = tar::Archive::new(BufReader::new(File::open(path)?));
    let (mut sum, mut done) = (Sum::default(), 0u64);
    for entry in tar.entries()? {
        match read_member(&mut entry?, &mut sum)? {
            Member::Head => {}
            Member::Damaged(name) => return Err(changed(&[name])),
            Member::Rows(rows) => {
                done += u64::try_from(rows.len()).unwrap_or(0);
                store.restore(rows).await?;
            }
            Member::Document(key, octets) => {
                documents.put_as(&key, octets.into()).await?;
                done += 1;
            }
            Member::End(_) => break,
        }
        progress(done);
    }
    if sum.end() != contents.sha256 {
        return Err(unusable("it changed while it was read"));
    }
    store.note_import(None).await?;
    Ok(contents)
}
