//! What was called and spent, kept in a file of the data folder, so that budgets do not begin anew with each start.

use fax_switch::Service;
use fax_switch::policy::SavedBudgets;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A crash forgets no more than the calls of this time.
const EVERY: Duration = Duration::from_secs(5);

/// Keeps the budgets of a service.
pub(crate) struct Kept {
    path: PathBuf,
    service: Service,
    written: SavedBudgets,
}

impl Kept {
    /// Goes on from the file, if there is one. One that cannot be read is told of and written anew: no call waits for that.
    pub(crate) fn open(path: PathBuf, service: &Service) -> Kept {
        let written = match read(&path) {
            Ok(saved) => saved,
            Err(error) => {
                tracing::error!(file = %path.display(), error, "budgets begin anew");
                SavedBudgets::default()
            }
        };
        service.restore_budgets(written.clone());
        Kept { path, service: service.clone(), written }
    }

    /// Writes what has changed, now and then and at the stop.
    pub(crate) async fn keep(mut self, stopped: impl Future<Output = ()>) {
        tokio::pin!(stopped);
        loop {
            let last = tokio::select! {
                () = &mut stopped => true,
                () = tokio::time::sleep(EVERY) => false,
            };
            let saved = self.service.save_budgets();
            if saved != self.written {
                match write(&self.path, &saved) {
                    Ok(()) => self.written = saved,
                    Err(error) => {
                        tracing::error!(file = %self.path.display(), error, "budgets cannot be kept")
                    }
                }
            }
            if last {
                return;
            }
        }
    }
}

fn read(path: &Path) -> Result<SavedBudgets, String> {
    match std::fs::read(path) {
        Ok(octets) => serde_json::from_slice(&octets).map_err(|e| e.to_string()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(SavedBudgets::default()),
        Err(error) => Err(error.to_string()),
    }
}

/// In one step: half a file is never there.
fn write(path: &Path, saved: &SavedBudgets) -> Result<(), String> {
    let octets = serde_json::to_vec(saved).map_err(|e| e.to_string())?;
    let beside = path.with_extension("new");
    let written = fax_store::private::file(&beside).and_then(|mut file| file.write_all(&octets));
    written.and_then(|()| std::fs::rename(&beside, path)).map_err(|e| e.to_string())
}
