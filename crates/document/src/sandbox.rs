//! Conversion in a child process with limits: a document is hostile until shown otherwise.
//!
//! The child is this very program called as `convert-worker`, or a program that is named. It gets the
//! document on stdin and answers on stdout; it has no environment and, by its own limits, no files and
//! no network (`crate::worker_main`). It is killed when its time is over.

use crate::wire::{Answer, Request};
use crate::{FaxDocument, Format, RenderError, RenderOptions};
use bytes::{Bytes, BytesMut};
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::LazyLock;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;

/// Largest answer of a child: fax pages are far smaller than this, so more is a runaway.
const MAX_ANSWER: usize = 256 << 20;
/// How much of a child's complaints is looked at.
const MAX_COMPLAINT: usize = 4096;

/// As many children at once as there are processors; further documents wait their turn.
static PLACES: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(2, |n| n.get().max(2))));

/// Which program is the child: it must call [`crate::worker_main`].
#[derive(Clone, Debug, Default)]
pub struct Converter {
    /// The program; `None` is this very program.
    pub program: Option<PathBuf>,
    /// Its arguments; empty with `program` `None` means `convert-worker`.
    pub args: Vec<OsString>,
}

impl Converter {
    /// Converts a document in a child process. Dropping the future ends the child.
    ///
    /// # Errors
    ///
    /// Those of [`crate::render`], and those of a child that ran into its limits or could not be started.
    pub async fn convert(
        &self,
        octets: Bytes,
        format: Format,
        options: &RenderOptions,
    ) -> Result<FaxDocument, RenderError> {
        let size = u64::try_from(octets.len()).unwrap_or(u64::MAX);
        if size > options.max_octets {
            return Err(RenderError::too_large(format!(
                "{size} octets, at most {} are taken",
                options.max_octets
            )));
        }
        let _place = PLACES.acquire().await.map_err(unavailable)?;
        let mut child = self.spawn()?;
        let mut request = serde_json::to_vec(&Request::new(format, options)).map_err(unavailable)?;
        request.push(b'\n');

        let talk = converse(&mut child, request, octets);
        let Ok(talked) = tokio::time::timeout(options.time_limit, talk).await else {
            child.kill().await.ok();
            return Err(timed_out(options));
        };
        let Talk { answer, complaint, status } = talked.map_err(unavailable)?;
        let Some(answer) = answer else {
            child.kill().await.ok();
            return Err(RenderError::too_large("its pages do not fit in memory"));
        };
        match status {
            Some(status) if status.success() => Answer::parse(&answer)
                .unwrap_or_else(|| Err(RenderError::Crashed { what: "its answer made no sense".into() })),
            Some(status) => Err(end_of(status, &complaint, options)),
            None => Err(RenderError::Crashed { what: "it vanished".into() }),
        }
    }

    fn spawn(&self) -> Result<Child, RenderError> {
        let own;
        let program = match &self.program {
            Some(p) => p,
            None => {
                own = own_program().map_err(unavailable)?;
                &own
            }
        };
        let mut command = Command::new(program);
        if self.program.is_none() && self.args.is_empty() {
            command.arg("convert-worker");
        }
        command
            .args(&self.args)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C at a terminal goes to the whole group: we end our children ourselves.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| RenderError::Unavailable { what: format!("{}: {e}", program.display()) })
    }
}

/// This very program, also where an upgrade has put another file in its place: its old name leads nowhere then, or to a
/// program that may speak otherwise with its children.
fn own_program() -> std::io::Result<PathBuf> {
    let own = Path::new("/proc/self/exe");
    if cfg!(target_os = "linux") && own.exists() { Ok(own.to_owned()) } else { std::env::current_exe() }
}

/// Converts a document in a child process of this very program, `… convert-worker`.
///
/// # Errors
///
/// See [`Converter::convert`].
pub async fn convert(
    octets: Bytes,
    format: Format,
    options: &RenderOptions,
) -> Result<FaxDocument, RenderError> {
    Converter::default().convert(octets, format, options).await
}

/// What came back from a child.
struct Talk {
    /// `None`: more than [`MAX_ANSWER`].
    answer: Option<Bytes>,
    complaint: String,
    status: Option<ExitStatus>,
}

async fn converse(child: &mut Child, request: Vec<u8>, octets: Bytes) -> std::io::Result<Talk> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let ask = async {
        if let Some(mut stdin) = stdin {
            // A child that is gone says so by its status; a broken pipe adds nothing.
            if stdin.write_all(&request).await.is_ok() {
                stdin.write_all(&octets).await.ok();
            }
            stdin.shutdown().await.ok();
        }
    };
    let hear = read_up_to(stdout, MAX_ANSWER);
    let complaints = async {
        match stderr {
            Some(mut pipe) => {
                let (kept, _) = take(&mut pipe, MAX_COMPLAINT).await?;
                // The rest is read and forgotten, so that the child does not wait for us.
                tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
                Ok(kept)
            }
            None => Ok(BytesMut::new()),
        }
    };
    let ((), answer, complaint) = tokio::join!(ask, hear, complaints);
    let answer = answer?;
    let complaint = complaint.unwrap_or_else(|_: std::io::Error| BytesMut::new());
    let status = match answer {
        Some(_) => Some(child.wait().await?),
        None => None,
    };
    Ok(Talk {
        answer: answer.map(BytesMut::freeze),
        complaint: String::from_utf8_lossy(&complaint).into_owned(),
        status,
    })
}

/// Everything, or `None` if that is more than `most`.
async fn read_up_to(pipe: Option<impl AsyncRead + Unpin>, most: usize) -> std::io::Result<Option<BytesMut>> {
    match pipe {
        Some(mut pipe) => {
            let (octets, more) = take(&mut pipe, most).await?;
            Ok((!more).then_some(octets))
        }
        None => Ok(Some(BytesMut::new())),
    }
}

/// At most `most` octets, and whether the pipe has more.
async fn take(pipe: &mut (impl AsyncRead + Unpin), most: usize) -> std::io::Result<(BytesMut, bool)> {
    let mut octets = BytesMut::new();
    loop {
        if octets.len() >= most {
            return Ok((octets, true));
        }
        if pipe.read_buf(&mut octets).await? == 0 {
            return Ok((octets, false));
        }
    }
}

/// What the end of a child means.
fn end_of(status: ExitStatus, complaint: &str, options: &RenderOptions) -> RenderError {
    const SIGHUP: i32 = 1;
    const SIGINT: i32 = 2;
    const SIGKILL: i32 = 9;
    const SIGTERM: i32 = 15;
    const SIGXCPU: i32 = 24;
    const SIGXFSZ: i32 = 25;
    if complaint.contains("memory allocation of") || complaint.contains("Cannot allocate memory") {
        return RenderError::OutOfMemory { mebibytes: options.memory_limit >> 20 };
    }
    match status.signal() {
        Some(SIGXCPU) => timed_out(options),
        // Somebody stops the machine or the service, whose manager tells every process of it: nothing about the document.
        Some(n @ (SIGHUP | SIGINT | SIGTERM)) => {
            unavailable(format!("it was ended from outside by signal {n}"))
        }
        // The kernel's own shortage of memory: the only one besides us who sends it.
        Some(SIGKILL) => RenderError::OutOfMemory { mebibytes: options.memory_limit >> 20 },
        Some(SIGXFSZ) => crashed("it tried to write a file"),
        Some(n) => crashed(&format!("ended by signal {n}")),
        None if complaint.contains("panicked") => {
            tracing::warn!(complaint, "the converter panicked");
            crashed("an error in the converter")
        }
        None if complaint.contains("convert-worker:") => {
            RenderError::Unavailable { what: complaint.trim().chars().take(200).collect() }
        }
        None => crashed(&format!("exit status {}", status.code().unwrap_or(-1))),
    }
}

fn crashed(what: &str) -> RenderError {
    RenderError::Crashed { what: what.into() }
}

fn timed_out(options: &RenderOptions) -> RenderError {
    RenderError::TimedOut { seconds: options.time_limit.as_secs().max(1) }
}

fn unavailable(e: impl core::fmt::Display) -> RenderError {
    RenderError::Unavailable { what: e.to_string() }
}
