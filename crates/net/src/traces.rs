//! Recordings of calls on disk: a folder with a bound, one thread that writes, and what a media worker hands to it.
//!
//! A worker never waits for the disk and writes into buffers that go round: when all of a call's are with the writer,
//! the recording is cut, and the call goes on.

use fax_base::Instant;
use fax_base::time::Duration;
use fax_terminal::recording::file::{self, Kind, State};
use fax_terminal::recording::{Options, Tape};
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// The name of a recording ends with this.
pub const EXTENSION: &str = "faxtrace";
/// Buffers that go round between a call and the writer, and the room in each.
const BUFFERS: usize = 3;
const ROOM: usize = 16 * 1024;
/// What is recorded is handed over when it is so much, or so old: a crash loses no more.
const ENOUGH: usize = 8 * 1024;
const OLD: Duration = Duration::from_secs(1);
/// While no buffer is free a call keeps no more than this.
const MOST_WAITING: usize = 64 * 1024;

/// Which calls are recorded, where, and how many are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceConfig {
    /// The folder; it is made if it is not there.
    pub folder: PathBuf,
    /// Recordings of calls that went well: so many of the newest are kept. Those of calls that failed are kept as
    /// far as there is room.
    pub keep_good: usize,
    /// Octets of all recordings together; the oldest go first, good ones before failed ones.
    pub most_octets: u64,
    /// Octets of one recording, before it is packed.
    pub call_octets: u64,
    /// With the pages that are sent, so that a recording can be replayed by itself.
    pub pages: bool,
    /// With our own numbers.
    pub numbers: bool,
}

impl TraceConfig {
    /// Failed calls and the newest 20 good ones, 500 MB, 32 MB a call, with pages, without numbers.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        TraceConfig {
            folder: folder.into(),
            keep_good: 20,
            most_octets: 500_000_000,
            call_octets: 32_000_000,
            pages: true,
            numbers: false,
        }
    }
}

enum Message {
    Begin {
        id: u64,
        name: String,
        setup: Vec<u8>,
    },
    Records {
        id: u64,
        octets: Vec<u8>,
        back: SyncSender<Vec<u8>>,
    },
    End {
        id: u64,
        state: State,
    },
    /// What was recorded must not be kept.
    Void {
        id: u64,
    },
}

/// The folder and its writer. Clones are the same.
#[derive(Clone)]
pub(crate) struct Traces {
    config: Arc<TraceConfig>,
    to: Sender<Message>,
    next: Arc<AtomicU64>,
}

impl Traces {
    /// Makes the folder and starts the writer.
    pub(crate) fn start(config: TraceConfig) -> io::Result<Traces> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&config.folder)?;
        let config = Arc::new(config);
        let (to, inbox) = channel();
        let mut writer = Writer::open(config.clone())?;
        std::thread::Builder::new().name("traces".to_owned()).spawn(move || writer.run(&inbox))?;
        Ok(Traces { config, to, next: Arc::new(AtomicU64::new(1)) })
    }

    /// How a call is to be recorded.
    pub(crate) fn options(&self, labels: Vec<(String, String)>) -> Options {
        let TraceConfig { pages, numbers, call_octets, .. } = *self.config;
        Options { pages, numbers, limit: call_octets, labels }
    }

    /// Whether recordings of calls that went well are kept.
    pub(crate) fn keeps_good(&self) -> bool {
        self.config.keep_good > 0
    }

    /// Begins a recording: its file's name, and what the call's media writes with.
    pub(crate) fn begin(&self, tape: &mut Tape) -> (String, Recording) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        let name = format!("{time}-{:08x}.{EXTENSION}", rand::random::<u32>());
        let setup = tape.take_setup();
        let (back, spares) = sync_channel(BUFFERS);
        for _ in 1..BUFFERS {
            // There is room for all of them.
            let _ = back.try_send(Vec::with_capacity(ROOM));
        }
        drop(tape.swap(Vec::with_capacity(ROOM)));
        // The writer is gone only when the program ends.
        let _ = self.to.send(Message::Begin { id, name: name.clone(), setup });
        let recording = Recording {
            id,
            to: self.to.clone(),
            back,
            spares,
            handed: Instant::ZERO,
            state: State::Open,
            void: false,
        };
        (name, recording)
    }
}

/// A call's recording in the hands of its media worker.
pub(crate) struct Recording {
    id: u64,
    to: Sender<Message>,
    back: SyncSender<Vec<u8>>,
    spares: Receiver<Vec<u8>>,
    handed: Instant,
    state: State,
    void: bool,
}

impl Recording {
    /// Hands over what is on the tape when it is enough.
    pub(crate) fn keep(&mut self, now: Instant, tape: &mut Tape) {
        if tape.is_secret() {
            if !self.void {
                self.void = true;
                let _ = self.to.send(Message::Void { id: self.id });
            }
        } else if tape.waiting() >= ENOUGH || (tape.waiting() > 0 && now.since(self.handed) >= OLD) {
            self.hand_over(now, tape);
        }
    }

    /// The fax is over, well or not.
    pub(crate) fn end(&mut self, now: Instant, tape: &mut Tape, good: bool) {
        if !tape.is_secret() {
            self.hand_over(now, tape);
        }
        self.state = if good { State::Good } else { State::Failed };
    }

    fn hand_over(&mut self, now: Instant, tape: &mut Tape) {
        match self.spares.try_recv() {
            Ok(spare) => {
                self.handed = now;
                let (id, octets, back) = (self.id, tape.swap(spare), self.back.clone());
                let _ = self.to.send(Message::Records { id, octets, back });
            }
            Err(_) if tape.waiting() > MOST_WAITING => tape.cut(),
            Err(_) => {}
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let _ = self.to.send(Message::End { id: self.id, state: self.state });
    }
}

/// The thread that writes.
struct Writer {
    config: Arc<TraceConfig>,
    open: HashMap<u64, Open>,
    /// What is in the folder, oldest first: state and octets.
    kept: BTreeMap<String, (State, u64)>,
    packed: Vec<u8>,
}

struct Open {
    name: String,
    file: File,
}

impl Writer {
    fn open(config: Arc<TraceConfig>) -> io::Result<Writer> {
        let mut kept = BTreeMap::new();
        for entry in std::fs::read_dir(&config.folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if Path::new(&name).extension().is_some_and(|e| e == EXTENSION) {
                let mut head = Vec::new();
                // A file that cannot be read is the oldest failed one some day.
                let read = File::open(entry.path()).and_then(|f| f.take(16).read_to_end(&mut head));
                let state = read.ok().and_then(|_| file::state(&head)).unwrap_or(State::Open);
                kept.insert(name, (state, entry.metadata().map_or(0, |m| m.len())));
            }
        }
        let mut writer = Writer { config, open: HashMap::new(), kept, packed: Vec::new() };
        writer.make_room();
        Ok(writer)
    }

    fn run(&mut self, inbox: &Receiver<Message>) {
        while let Ok(message) = inbox.recv() {
            match message {
                Message::Begin { id, name, setup } => self.begin(id, name, &setup),
                Message::Records { id, octets, back } => {
                    self.write(id, Kind::Records, &octets);
                    // The call may be over.
                    let _ = back.try_send(octets);
                }
                Message::End { id, state } => self.end(id, state),
                Message::Void { id } => {
                    if let Some(open) = self.open.remove(&id) {
                        self.remove(&open.name);
                    }
                }
            }
        }
    }

    fn begin(&mut self, id: u64, name: String, setup: &[u8]) {
        let path = self.config.folder.join(&name);
        let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        match created.and_then(|mut file| file.write_all(&file::head(State::Open)).map(|()| file)) {
            Ok(file) => {
                self.kept.insert(name.clone(), (State::Open, 0));
                self.open.insert(id, Open { name, file });
                self.write(id, Kind::Setup, setup);
            }
            Err(error) => tracing::warn!(%error, %name, "a call is not recorded"),
        }
    }

    fn write(&mut self, id: u64, kind: Kind, octets: &[u8]) {
        let Some(open) = self.open.get_mut(&id) else {
            return;
        };
        self.packed.clear();
        file::chunk(&mut self.packed, kind, octets);
        if let Err(error) = open.file.write_all(&self.packed) {
            tracing::warn!(%error, name = open.name, "the recording of a call ends early");
            // What is there stays, as of a call that was cut off.
            self.open.remove(&id);
        } else if let Some((_, size)) = self.kept.get_mut(&open.name) {
            *size += self.packed.len() as u64;
        }
    }

    fn end(&mut self, id: u64, state: State) {
        let Some(Open { name, mut file }) = self.open.remove(&id) else {
            return;
        };
        let noted = file.seek(SeekFrom::Start(file::STATE_AT)).and_then(|_| file.write_all(&[state as u8]));
        if let Err(error) = noted {
            tracing::warn!(%error, %name, "the recording of a call has no end");
        }
        if let Some((kept, _)) = self.kept.get_mut(&name) {
            *kept = state;
        }
        self.make_room();
    }

    fn remove(&mut self, name: &str) {
        self.kept.remove(name);
        if let Err(error) = std::fs::remove_file(self.config.folder.join(name)) {
            tracing::warn!(%error, %name, "a recording cannot be removed");
        }
    }

    /// Removes what is too much: good ones first.
    fn make_room(&mut self) {
        let in_work = |name: &str| self.open.values().any(|o| o.name == name);
        let named = |good: bool| -> Vec<String> {
            let of = self
                .kept
                .iter()
                .filter(|(name, (state, _))| (*state == State::Good) == good && !in_work(name));
            of.map(|(name, _)| name.clone()).collect()
        };
        let (mut good, failed) = (named(true), named(false));
        let newest = good.split_off(good.len().saturating_sub(self.config.keep_good));
        good.iter().for_each(|name| self.remove(name));
        for name in newest.iter().chain(&failed) {
            let all: u64 = self.kept.values().map(|(_, size)| size).sum();
            if all <= self.config.most_octets {
                return;
            }
            self.remove(name);
        }
    }
}

#[cfg(test)]
mod tests;
