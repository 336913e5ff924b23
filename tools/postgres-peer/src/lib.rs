//! A PostgreSQL server of a test's own: in a temporary folder, on a free loopback port, gone when dropped.

use std::io::{Error, Result};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the server may take to answer.
const START: Duration = Duration::from_secs(60);

/// A running server with an empty database `postgres` and a superuser of the same name.
#[derive(Debug)]
pub struct Server {
    // Order matters: the server stops before its folder goes.
    running: Running,
    port: u16,
    _folder: tempfile::TempDir,
}

#[derive(Debug)]
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // SIGKILL to the postmaster: its children notice and go; nothing of the folder is needed again.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where Debian, Homebrew and others put the programs; the newest first.
fn programs() -> Result<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        let bin = entry.path().join("bin");
        let version = entry.file_name().to_string_lossy().parse().unwrap_or(0);
        if bin.join("initdb").exists() {
            found.push((version, bin));
        }
    }
    found.sort();
    let beside = |p: PathBuf| p.join("initdb").exists().then_some(p);
    let in_path = || std::env::split_paths(&std::env::var_os("PATH")?).find_map(beside);
    let missing = || Error::other("PostgreSQL is not installed: apt-get install postgresql");
    found.pop().map(|(_, bin)| bin).or_else(in_path).ok_or_else(missing)
}

/// Someone who is not root, for the server refuses to run as root: `postgres` if there is one, else `nobody`.
fn other_user() -> Option<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let of = |name: &str| {
        let line = users.lines().find(|l| l.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    of("postgres").or_else(|| of("nobody"))
}

impl Server {
    /// Makes a database cluster and starts the server on it. What it commits survives a `kill -9` of its
    /// clients, not a loss of power: it does not wait for the disk.
    ///
    /// # Errors
    ///
    /// PostgreSQL is not installed, or does not start: what it said.
    pub fn start() -> Result<Server> {
        Self::start_with("off")
    }

    /// The same, but what it commits survives a loss of power, too: for measurements.
    ///
    /// # Errors
    ///
    /// As [`Server::start`].
    pub fn durable() -> Result<Server> {
        Self::start_with("on")
    }

    fn start_with(fsync: &str) -> Result<Server> {
        let bin = programs()?;
        let folder = tempfile::Builder::new().prefix("postgres-peer-").tempdir()?;
        let root = std::fs::metadata("/proc/self")?.uid() == 0;
        let user = root.then(other_user).flatten();
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid))?;
        }
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700))?;
        let data = folder.path().join("data");
        let mut initdb = command(&bin.join("initdb"), user);
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N", "-D"]).arg(&data);
        let made = initdb.output()?;
        if !made.status.success() {
            return Err(Error::other(String::from_utf8_lossy(&made.stderr).into_owned()));
        }
        // Freed at once: another process may take it in between, and then the start fails plainly.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut postgres = command(&bin.join("postgres"), user);
        postgres.arg("-D").arg(&data).arg("-p").arg(port.to_string());
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            &format!("fsync={fsync}"),
            "max_connections=200",
            "shared_buffers=64MB",
            "log_min_messages=fatal",
        ] {
            postgres.arg("-c").arg(setting);
        }
        let log = std::fs::File::create(folder.path().join("log"))?;
        let child = postgres.stdout(Stdio::null()).stderr(log).spawn()?;
        let mut server = Server { running: Running(child), port, _folder: folder };
        server.wait(&bin)?;
        Ok(server)
    }

    fn wait(&mut self, bin: &Path) -> Result<()> {
        let end = Instant::now() + START;
        loop {
            if let Some(status) = self.running.0.try_wait()? {
                let log = std::fs::read_to_string(self._folder.path().join("log")).unwrap_or_default();
                return Err(Error::other(format!("postgres ended with {status}: {log}")));
            }
            let ready = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
                && command(&bin.join("pg_isready"), None)
                    .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
                    .status()?
                    .success();
            if ready {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(Error::other("postgres does not answer"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Runs SQL in a database.
    ///
    /// # Errors
    ///
    /// What the server said.
    pub fn run(&self, database: &str, sql: &str) -> Result<()> {
        let done = command(&programs()?.join("psql"), None)
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database), "-c", sql])
            .output()?;
        if !done.status.success() {
            return Err(Error::other(String::from_utf8_lossy(&done.stderr).into_owned()));
        }
        Ok(())
    }

    /// Where a database of this name is, whether it exists or not.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database and answers its URL.
    ///
    /// # Errors
    ///
    /// There is one already, or the server is gone.
    pub fn database(&self, name: &str) -> Result<String> {
        let made = command(&programs()?.join("createdb"), None)
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres", name])
            .output()?;
        if !made.status.success() {
            return Err(Error::other(String::from_utf8_lossy(&made.stderr).into_owned()));
        }
        Ok(self.url(name))
    }
}

fn command(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C").current_dir("/");
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}
