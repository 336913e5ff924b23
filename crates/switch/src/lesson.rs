//! What is known before a call and what it has taught after it (see [`crate::policy`]).

use crate::policy::{Known, Lesson, class, degrade, is_success, testify};
use crate::port::CallResult;
use crate::service::Service;
use fax_store::model::{FarEnd, Job, ProfileKey, RetryPolicy, Timestamp};
use fax_store::port::ProfileQuery;
use fax_t30::dis::{Fif, Reading};
use fax_t30::{PageRecord, PageStatus};
use std::sync::Arc;

impl Service {
    /// What is known of the number and the trunks before a call. A store that fails now does not keep it from being made.
    pub(crate) async fn known(&self, job: &Job) -> Known {
        let mut known = Known { degrade: degrade(job), now: self.now(), ..Known::default() };
        let Some(rules) = self.config().learning else {
            return known;
        };
        known.rules = Some(rules);
        let store = &self.inner.ports.store;
        let key = ProfileKey::number(job.account.clone(), job.to_number.clone());
        match (store.profile(&key).await, store.profiles(ProfileQuery::Trunks).await) {
            (Ok(number), Ok(trunks)) => (known.number, known.trunks) = (number, trunks),
            (Err(e), _) | (_, Err(e)) => {
                tracing::warn!(job = %job.id, error = %e, "the call is made without what was learnt");
            }
        }
        known
    }

    /// What a call teaches; nothing if it met no fax machine, or was ended for reasons of our own.
    pub(crate) fn lesson(
        &self,
        job: &Job,
        result: &CallResult,
        key: &str,
        at: Timestamp,
    ) -> Option<Arc<Lesson>> {
        self.config().learning?;
        let (plan, trunk) = (result.plan.as_ref()?, result.trunk.as_ref()?);
        let own = class(key).is_none_or(|c| matches!(c.policy, RetryPolicy::Local | RetryPolicy::Never));
        if key != result.class || own {
            return None;
        }
        let said = testify(plan, result);
        let seen = &result.observed;
        if said.is_empty() && seen.dis.is_none() {
            return None;
        }
        let far_end = seen.dis.as_ref().map(|dis| FarEnd {
            at,
            ident: result.remote_ident.clone(),
            maker: seen.maker.clone(),
            dis: dis.iter().map(|o| format!("{o:02x}")).collect(),
            says: Fif::parse(dis).describe(Reading::Capabilities),
        });
        let good = |p: &&PageRecord| matches!(p.status, PageStatus::Confirmed | PageStatus::Poor);
        Some(Arc::new(Lesson {
            account: job.account.clone(),
            number: job.to_number.clone(),
            trunk: trunk.clone(),
            plan: plan.clone(),
            said,
            delivered: is_success(key),
            class: key.to_owned(),
            bit_rate: seen.pages.iter().rfind(good).map(|p| p.modulation.bit_rate()),
            far_end,
            at,
        }))
    }
}
