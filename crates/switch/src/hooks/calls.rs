//! Calling hooks: what is due is taken, told, and written down; a slow hook does not take the others' places.

use super::{Target, target};
use crate::directory::entries::hidden;
use crate::port::{HookAnswer, HookCaller, HookOrder};
use crate::service::{Service, ServiceError};
use core::time::Duration;
use fax_store::StoreError;
use fax_store::model::{Entry, EntryKind, HookAttempt, Notice, Timestamp};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{Semaphore, broadcast, watch};
use tokio::task::JoinSet;

/// Calls of hooks at a time, of all and of one: a slow one does not take the others' places.
const AT_ONCE: usize = 64;
const OF_ONE: usize = 8;
/// What waits for a hook that has all its places taken is looked at again after this, the second one a little later, and so
/// on up to the last: however much waits, little is looked at in vain.
const BUSY: Duration = Duration::from_secs(2);
const BETWEEN: Duration = Duration::from_millis(60);
const LONGEST_BUSY: Duration = Duration::from_secs(900);
/// A call that has not been told of for so long was made by a node that is gone.
const LEASE: Duration = Duration::from_secs(120);
/// How long to wait before the store is tried again.
const STORE_AGAIN: Duration = Duration::from_secs(1);
/// Rows of nodes that are gone are looked for so often.
const LOOK: Duration = Duration::from_secs(30);

/// The places of a hook, and when what was put off last is looked at again.
struct Places {
    free: Arc<Semaphore>,
    again: Timestamp,
}

impl Places {
    fn new() -> Places {
        Places { free: Arc::new(Semaphore::new(OF_ONE)), again: Timestamp(i64::MIN) }
    }

    /// When the next one that finds no place is looked at again.
    fn put_off(&mut self, now: Timestamp) -> Timestamp {
        self.again = self.again.plus(BETWEEN).clamp(now.plus(BUSY), now.plus(LONGEST_BUSY));
        self.again
    }
}

impl Service {
    /// Calls hooks until `shutdown` becomes true or its sender is gone; calls that run are ended first.
    pub async fn run_hooks(&self, caller: Arc<dyn HookCaller>, shutdown: watch::Receiver<bool>) {
        tokio::join!(self.hear_pages(shutdown.clone()), self.call_due(caller, shutdown));
    }

    /// Notes the pages that come in.
    async fn hear_pages(&self, mut shutdown: watch::Receiver<bool>) {
        let mut live = self.subscribe();
        let stopped = async {
            let _ = shutdown.wait_for(|stop| *stop).await;
        };
        let mut stopped = std::pin::pin!(stopped);
        loop {
            let heard = tokio::select! {
                () = &mut stopped => return,
                heard = live.recv() => heard,
            };
            match heard {
                Ok(event) => self.tell_of_reception(event).await,
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    async fn call_due(&self, caller: Arc<dyn HookCaller>, mut shutdown: watch::Receiver<bool>) {
        let clock = &self.inner.ports.clock;
        let mut calls = JoinSet::new();
        let mut places = HashMap::new();
        while !*shutdown.borrow() {
            let woken = self.inner.wake_hooks.notified();
            let now = clock.now();
            let next = match self.take_due(&caller, &mut calls, &mut places, now).await {
                Ok(next) => next.unwrap_or(now.plus(LOOK)).min(now.plus(LOOK)),
                Err(error) => {
                    tracing::error!(%error, "web hooks wait for the store");
                    now.plus(STORE_AGAIN)
                }
            };
            tokio::select! {
                stopped = shutdown.changed() => if stopped.is_err() { break },
                () = woken => {}
                Some(_) = calls.join_next(), if !calls.is_empty() => {}
                () = clock.sleep_until(next) => {}
            }
        }
        while calls.join_next().await.is_some() {}
    }

    /// Begins the calls that are due, as far as there is room. When there will be more to do, if that is known.
    async fn take_due(
        &self,
        caller: &Arc<dyn HookCaller>,
        calls: &mut JoinSet<()>,
        places: &mut HashMap<String, Places>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let store = &self.inner.ports.store;
        // Looking costs less than taking, which writes.
        loop {
            let room = AT_ONCE.saturating_sub(calls.len());
            let next = store.next_hook_notice().await?;
            if room == 0 || next.is_none_or(|at| at > now) {
                return Ok(next.filter(|_| room > 0));
            }
            places.retain(|_, places| places.free.available_permits() < OF_ONE);
            let mut put_off = JoinSet::new();
            for notice in store.take_hook_notices(now, now.plus(LEASE), room).await? {
                let hook = notice.hook.as_ref().map(|event| event.hook.clone()).unwrap_or_default();
                let places = places.entry(hook).or_insert_with(Places::new);
                match places.free.clone().try_acquire_owned() {
                    Ok(place) => {
                        let call = self.clone().call_hook(notice, caller.clone());
                        calls.spawn(async move {
                            call.await;
                            drop(place);
                        });
                    }
                    Err(_) => {
                        let (store, at) = (store.clone(), places.put_off(now));
                        put_off.spawn(async move { store.hook_called(&notice.id, Some(at), None).await });
                    }
                }
            }
            while let Some(done) = put_off.join_next().await {
                done.unwrap_or_else(|e| Err(StoreError::Unavailable(e.to_string())))?;
            }
        }
    }

    /// Calls one hook once.
    async fn call_hook(self, notice: Notice, caller: Arc<dyn HookCaller>) {
        let Some(event) = notice.hook.clone() else { return };
        let Some(target) = target(&self.directory(), &event.hook) else {
            // It was removed or switched off.
            self.hook_done(&notice, None, None).await;
            return;
        };
        let began = self.now();
        let order = HookOrder {
            target: target.clone(),
            delivery: notice.id.to_string(),
            event: event.event.clone(),
            data: event.data,
            happened: notice.created,
            now: began,
        };
        let answer = caller.call(order).await;
        let now = self.now();
        let config = self.config();
        let most = match &target {
            Target::Hook(hook) => hook.document.get("retries").and_then(Value::as_u64),
            Target::Callback { .. } => None,
        };
        let gone = answer.status == Some(410);
        let tried = usize::try_from(notice.tries).unwrap_or(usize::MAX).saturating_sub(1);
        let may = most.is_none_or(|most| u64::try_from(tried).is_ok_and(|tried| tried < most)) && !gone;
        let wait = config.hook_again.get(tried).filter(|_| may && answer.error.is_some());
        let next = wait.map(|wait| now.plus(*wait));
        self.inner.metrics.hook_called(answer.error.is_none(), next.is_some());
        if let Some(error) = &answer.error {
            tracing::warn!(hook = event.hook, delivery = %notice.id, attempt = notice.tries, error, ?wait, "a web hook failed");
        }
        let attempt = HookAttempt {
            id: uuid::Uuid::now_v7().simple().to_string(),
            hook: event.hook,
            delivery: notice.id.clone(),
            event: event.event,
            at: began,
            attempt: notice.tries,
            status: answer.status,
            error: answer.error.clone(),
            took_ms: u64::try_from(now.since(began).as_millis()).unwrap_or(u64::MAX),
            next,
        };
        // A hook that is switched off is not called once more meanwhile.
        if let Target::Hook(hook) = target {
            self.judge_hook(&hook, &answer, now).await;
        }
        self.hook_done(&notice, next, Some(attempt)).await;
    }

    async fn hook_done(&self, notice: &Notice, again: Option<Timestamp>, attempt: Option<HookAttempt>) {
        let clock = &self.inner.ports.clock;
        let until = clock.now().plus(LEASE / 2);
        while let Err(error) = self.inner.ports.store.hook_called(&notice.id, again, attempt.clone()).await {
            tracing::error!(%error, "what came of a web hook could not be written");
            if clock.now() >= until {
                return;
            }
            clock.sleep_until(clock.now().plus(STORE_AGAIN)).await;
        }
    }

    /// Remembers since when a hook fails, and switches it off when that is too long or it said that it is gone for good.
    async fn judge_hook(&self, hook: &Entry, answer: &HookAnswer, now: Timestamp) {
        let directory = self.directory();
        let Some(known) = directory.entry(EntryKind::Webhook, &hook.id) else { return };
        let since = known.hidden.get(hidden::FAILING_SINCE).and_then(Value::as_i64).map(Timestamp);
        let mut entry = Entry::clone(known);
        let off = match (&answer.error, since) {
            (None, None) => return,
            (None, Some(_)) => {
                entry.hidden.remove(hidden::FAILING_SINCE);
                None
            }
            (Some(_), _) if answer.status == Some(410) => {
                Some("it answered that it is gone for good (410)".to_owned())
            }
            (Some(_), None) => {
                entry.hidden.insert(hidden::FAILING_SINCE.into(), now.0.into());
                None
            }
            (Some(why), Some(since)) if now.since(since) >= self.config().hook_patience => {
                Some(format!("every call has failed since {}: {why}", since.to_jiff()))
            }
            (Some(_), Some(_)) => return,
        };
        if let Some(why) = off {
            tracing::warn!(hook = hook.id, account = %hook.account, why, "a web hook is switched off");
            entry.document.insert("enabled".into(), false.into());
            entry.document.insert("disable_reason".into(), why.into());
            entry.modified = now;
        }
        // Who changed it meanwhile is right.
        if let Err(error) = self.put_entries(vec![entry]).await {
            tracing::debug!(%error, hook = hook.id, "the state of a web hook was not written");
        }
    }

    /// The attempts of a hook, the newest first.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`].
    pub async fn hook_attempts(&self, hook: &str) -> Result<Vec<HookAttempt>, ServiceError> {
        Ok(self.inner.ports.store.hook_attempts(hook).await?)
    }

    /// Forgets the attempts of a hook that is gone.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`].
    pub async fn forget_hook(&self, hook: &str) -> Result<(), ServiceError> {
        let done: Result<(), StoreError> = self.inner.ports.store.forget_hook(hook).await;
        Ok(done?)
    }
}
