//! What is in order and yet worth a second thought.

use super::{Config, Place};
use fax_store::private;

impl Config {
    /// Sentences for whoever checks the configuration or starts a server with it.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut all = self.srtp_warnings();
        all.extend(self.open_folders());
        all.extend(self.told_to_nobody());
        all
    }

    /// Folders with faxes that others on this machine may read.
    fn open_folders(&self) -> Vec<String> {
        let documents = match &self.documents.place {
            Place::Folder(folder) if !folder.starts_with(&self.data_dir) => Some(folder),
            Place::Folder(_) | Place::Bucket(_) => None,
        };
        let folders = [Some(&self.data_dir), documents].into_iter().flatten();
        let open = folders.filter_map(|f| Some((f, private::open_to_others(f)?)));
        open.map(|(folder, mode)| {
            let folder = folder.display();
            format!(
                "{folder} is open to other users of this machine (mode {mode:o}), and with it every fax: `chmod 700 {folder}`, \
                 with systemd StateDirectoryMode=0700"
            )
        })
        .collect()
    }

    /// Faxboxes whose mails nobody sends.
    fn told_to_nobody(&self) -> Option<String> {
        let told = |f: &&fax_switch::Faxbox| !(f.notify_inbound.is_empty() && f.notify_outbound.is_empty());
        let first = self.directory.faxboxes().filter(|_| self.mail.is_none()).find(told)?;
        let else_who =
            if self.database.is_some() { "where no other node on the database has it, " } else { "" };
        Some(format!(
            "notify_inbound and notify_outbound (faxbox {}) need [mail]: {else_who}nobody is told",
            first.name
        ))
    }
}
