//! baresip, a telephone.

use super::free;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// baresip with one account at the middle, in a folder of its own.
pub struct Baresip {
    child: Child,
    folder: tempfile::TempDir,
}

impl Baresip {
    pub fn start(
        user: &str,
        password: &str,
        server: SocketAddr,
        answers: bool,
        dial: Option<&str>,
    ) -> Baresip {
        Baresip::start_with(user, password, server, answers, dial, "", "")
    }

    /// The same with more in its configuration and in its account.
    pub fn start_with(
        user: &str,
        password: &str,
        server: SocketAddr,
        answers: bool,
        dial: Option<&str>,
        config: &str,
        account: &str,
    ) -> Baresip {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        let own = free();
        file(
            "config",
            format!(
                "sip_listen {own}\nmodule_path /usr/lib/baresip/modules\nmodule g711.so\nmodule aubridge.so\n\
                 module_tmp account.so\nmodule_app menu.so\naudio_source aubridge,loop\naudio_player aubridge,loop\n\
                 audio_alert aubridge,alert\n{config}"
            ),
        );
        let mode = if answers { "auto" } else { "manual" };
        file(
            "accounts",
            format!(
                "<sip:{user}@{server};transport=udp>;auth_user={user};auth_pass={password};answermode={mode};regint=60{account}\n"
            ),
        );
        file("contacts", String::new());
        file("uuid", "7d54b4b6-0000-4000-8000-000000000001".to_owned());
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new("baresip");
        command.arg("-f").arg(folder.path()).args(["-4", "-t", "50", "-s"]);
        if let Some(number) = dial {
            command.args(["-e", &format!("/dial sip:{number}@{server}")]);
        }
        let child =
            command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap_or_else(
                |error| panic!("no baresip ({error}): install baresip-core (./tools/test does)"),
            );
        Baresip { child, folder }
    }

    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.path().join("log")).unwrap_or_default())
            .into_owned()
    }

    /// Waits until its log has these words.
    pub async fn says(&self, words: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        while !self.log().contains(words) {
            assert!(Instant::now() < end, "baresip does not say {words:?}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("{}", self.log());
        }
    }
}
