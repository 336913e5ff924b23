//! Budgets as calls are made: asked before each, told when it is over (see [`crate::policy::Budgets`]).

use super::{IncomingCall, Service, lock};
use crate::policy::{Budgets, SavedBudgets, TollCall, TollRefusal};
use crate::routing::{Onward, Source};
use core::time::Duration;
use fax_store::model::{AccountId, Job};

/// A call that the budgets have room for. Dropped without [`TollPass::end`] it was not answered, and costs nothing.
pub struct TollPass {
    service: Service,
    call: Option<u64>,
    account: Option<AccountId>,
    number: String,
    dialled: Option<String>,
}

impl TollPass {
    /// The call is over: it was talked for so long, by this trunk where that is known.
    pub fn end(mut self, talked: Duration, trunk: Option<&str>) {
        let written: Vec<&str> =
            core::iter::once(self.number.as_str()).chain(self.dialled.as_deref()).collect();
        let price = self.service.config().toll.price(self.account.as_ref(), trunk, &written);
        self.over(Some((talked, price)));
    }

    /// No call was made, since no trunk had room: it is not counted.
    pub fn undo(mut self) {
        if let Some(call) = self.call.take() {
            lock(&self.service.inner.budgets).undo(call);
        }
    }

    fn over(&mut self, talked: Option<(Duration, u64)>) {
        if let Some(call) = self.call.take() {
            let now = self.service.now();
            lock(&self.service.inner.budgets).end(now, call, talked);
        }
    }
}

impl Drop for TollPass {
    fn drop(&mut self) {
        self.over(None);
    }
}

impl core::fmt::Debug for TollPass {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TollPass").field("call", &self.call).finish_non_exhaustive()
    }
}

impl Service {
    fn admit(&self, mut call: TollCall, trunk: Option<&str>) -> Result<TollPass, TollRefusal> {
        let config = self.config();
        call.price = config.toll.price(call.account.as_ref(), trunk, &call.written());
        let begun = lock(&self.inner.budgets).begin(self.now(), &config.toll, &call)?;
        let TollCall { account, number, dialled, .. } = call;
        Ok(TollPass { service: self.clone(), call: Some(begun), account, number, dialled })
    }

    /// Whether a job's next call may be made now.
    pub(crate) fn admit_job(&self, job: &Job) -> Result<TollPass, TollRefusal> {
        self.admit(self.toll_call(&job.account, &job.to_number), None)
    }

    /// A call to a number that may be dialled otherwise than by the plan of numbers: no rule is passed by that.
    fn toll_call(&self, account: &AccountId, to_number: &str) -> TollCall {
        let number = self.config().numbers.normalise(to_number);
        let dialled = Some(crate::number::digits(to_number)).filter(|dialled| *dialled != number);
        TollCall { account: Some(account.clone()), number, dialled, ..TollCall::default() }
    }

    /// Whether an account may call this number at all.
    pub(crate) fn permit(&self, account: &AccountId, number: &str) -> Result<(), TollRefusal> {
        self.config().toll.permit(&self.toll_call(account, number))
    }

    /// Whether a call that comes in may be passed on to these, as a rule of routing says, over a trunk now. `None`: it goes
    /// over none, and costs nothing.
    ///
    /// # Errors
    ///
    /// See [`TollRefusal`].
    pub fn admit_onward(
        &self,
        call: &IncomingCall,
        targets: &[Onward],
        rule: Option<String>,
    ) -> Result<Option<TollPass>, TollRefusal> {
        let by_trunk = targets.iter().find_map(|target| match target {
            Onward::Trunk { name, number } => Some((name, number)),
            Onward::Terminal { .. } => None,
        });
        let Some((trunk, number)) = by_trunk else { return Ok(None) };
        let terminal = match &call.source {
            Some(Source::Terminal(user)) => Some(user.clone()),
            Some(Source::Trunk(_)) | None => None,
        };
        let directory = self.directory();
        let account = terminal.as_ref().and_then(|user| directory.terminal(user)).map(|t| t.account.clone());
        let number = self.config().numbers.normalise(number);
        let call = TollCall { account, terminal, route: rule, number, ..TollCall::default() };
        self.admit(call, Some(trunk)).map(Some)
    }

    /// What is to be kept of the budgets over a restart.
    #[must_use]
    pub fn save_budgets(&self) -> SavedBudgets {
        lock(&self.inner.budgets).save(self.now())
    }

    /// Goes on from what was kept of the budgets; before the first call.
    pub fn restore_budgets(&self, saved: SavedBudgets) {
        *lock(&self.inner.budgets) = Budgets::restored(saved);
    }
}
