//! Looking at what was learnt, setting and locking it, and forgetting it.

use super::{Service, ServiceError};
use crate::policy::{LearningRules, is_on_probation, set_by_operator};
use fax_store::model::{Ability, AccountId, Profile, ProfileKey, Timestamp, Trait};
use fax_store::port::ProfileQuery;

/// What somebody wants of one ability.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraitSetting {
    /// Which.
    pub ability: Ability,
    /// By which trunk only; `None`: by all. Of a trunk's own profile always `None`.
    pub trunk: Option<String>,
    /// A step of [`Ability::settings`]; `None`: as it is.
    pub step: Option<usize>,
    /// `None`: as it is.
    pub locked: Option<bool>,
}

impl Service {
    /// The rules of learning as they are, or their defaults where it is off.
    #[must_use]
    pub fn learning(&self) -> LearningRules {
        self.config().learning.unwrap_or_default()
    }

    /// Whether the next call tries something better than this decision.
    #[must_use]
    pub fn on_probation(&self, known: &Trait) -> bool {
        is_on_probation(known, self.now(), &self.learning())
    }

    /// Profiles of an account's numbers, in their order, `limit` of them after `after`.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`].
    pub async fn destinations(
        &self,
        account: &AccountId,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<Profile>, ServiceError> {
        let query = ProfileQuery::Numbers { account: account.clone(), after, limit };
        Ok(self.inner.ports.store.profiles(query).await?)
    }

    /// Profiles of the trunks.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`].
    pub async fn trunks(&self) -> Result<Vec<Profile>, ServiceError> {
        Ok(self.inner.ports.store.profiles(ProfileQuery::Trunks).await?)
    }

    /// The key of a number's profile, however the number is written.
    #[must_use]
    pub fn destination_key(&self, account: &AccountId, number: &str) -> ProfileKey {
        ProfileKey::number(account.clone(), self.config().numbers.normalise(number))
    }

    /// A profile.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`] where nothing is known; [`ServiceError::Unavailable`].
    pub async fn profile(&self, key: &ProfileKey) -> Result<Profile, ServiceError> {
        self.inner.ports.store.profile(key).await?.ok_or(ServiceError::NotFound)
    }

    /// Sets and locks traits; the profile begins with it if there is none.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`].
    pub async fn set_traits(
        &self,
        key: &ProfileKey,
        settings: Vec<TraitSetting>,
    ) -> Result<Profile, ServiceError> {
        let (now, rules) = (self.now(), self.learning());
        let change = move |p: &mut Profile| {
            for TraitSetting { ability, trunk, step, locked } in settings {
                if ability == Ability::T38 && trunk.is_none() && step.is_some() {
                    // What is said of all trunks replaces what single ones taught.
                    p.traits.retain(|t| t.ability != ability || t.trunk.is_none() || t.locked);
                }
                p.change(ability, trunk.as_deref(), |t| set_by_operator(t, step, locked, now, &rules));
            }
            if p.created == Timestamp::default() {
                p.created = now;
            }
            p.modified = now;
        };
        Ok(self.inner.ports.store.change_profile((key.clone(), Box::new(change))).await?)
    }

    /// Forgets what is known: the next call begins with the best again.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`]; [`ServiceError::Unavailable`].
    pub async fn forget_profile(&self, key: &ProfileKey) -> Result<(), ServiceError> {
        Ok(self.inner.ports.store.forget_profile(key).await?)
    }
}
