//! Who watches faxes live, by server-sent events or WebSocket: how many may, what each may see, and an event as KAZOO writes it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{Method, StatusCode};
use fax_store::model::{AccountId, FaxboxId, Timestamp};
use fax_switch::{EventSubject, JobEvent, Service};
use serde_json::{Value, json};

use crate::auth::{Caller, Tokens};
use crate::envelope::Fault;
use crate::present::status_word;
use crate::route::{Resource, Right, Route, Scope};

/// Who watches: counted by name (an account, an address) and in all.
#[derive(Clone, Debug)]
pub struct Places {
    taken: Arc<Mutex<HashMap<String, usize>>>,
    each: usize,
    all: usize,
}

/// The place of one who watches; given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    name: String,
}

impl Places {
    /// So many for each name, and so many in all.
    #[must_use]
    pub fn new(each: usize, all: usize) -> Self {
        Places { taken: Arc::default(), each, all }
    }

    /// A place.
    ///
    /// # Errors
    ///
    /// 429 where all are taken.
    pub fn take(&self, name: &str) -> Result<Place, Fault> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let in_all: usize = taken.values().sum();
        let own = taken.entry(name.to_owned()).or_default();
        if *own >= self.each || in_all >= self.all {
            if *own == 0 {
                taken.remove(name);
            }
            let message = "too many connections that watch: close one and try again";
            return Err(Fault {
                retry_after: Some(10),
                ..Fault::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message)
            });
        }
        *own += 1;
        Ok(Place { places: self.clone(), name: name.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.name) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.name);
            }
        }
    }
}

/// What somebody watches: the faxes of an account, or of a faxbox or user of it, and by which right.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Of what.
    pub scope: Scope,
    /// The token that gives the right.
    pub token: String,
}

impl Watched {
    /// Whether the token is (still) for this.
    ///
    /// # Errors
    ///
    /// 401, 403, 404.
    pub fn check(&self, service: &Service, tokens: &Tokens) -> Result<Caller, Fault> {
        let directory = service.directory();
        let caller = tokens.check(&directory, &self.token, service.now())?;
        let mut path = format!("accounts/{}", self.scope.account);
        for (word, id) in [("users", &self.scope.user), ("faxboxes", &self.scope.faxbox)] {
            if let Some(id) = id {
                path.push_str(&format!("/{word}/{id}"));
            }
        }
        path.push_str("/faxes/events");
        let route = Route { resource: Resource::Events, scope: self.scope.clone(), id: String::new() };
        caller.may(&directory, &route, Right::ReadFaxes)?;
        if !caller.only.allow(&Method::GET, &path) {
            return Err(Fault::forbidden());
        }
        if directory.account(&AccountId::new(self.scope.account.as_str())).is_none() {
            return Err(Fault::bad_identifier(&self.scope.account));
        }
        if let Some(id) = &self.scope.faxbox {
            let found = directory.faxbox(&FaxboxId::new(id.as_str()));
            found
                .filter(|f| f.account.as_str() == self.scope.account)
                .ok_or_else(|| Fault::bad_identifier(id))?;
        }
        Ok(caller)
    }

    /// Whether an event is for them.
    #[must_use]
    pub fn sees(&self, service: &Service, event: &JobEvent) -> bool {
        let faxbox = event.faxbox.as_ref();
        let in_box = |id: &String| faxbox.is_some_and(|f| f.as_str() == id);
        let his = |user: &String| {
            let directory = service.directory();
            let owner = faxbox.and_then(|f| directory.faxbox(f)).and_then(|f| f.owner.clone());
            in_box(user) || owner.as_ref() == Some(user)
        };
        event.account.as_str() == self.scope.account
            && self.scope.faxbox.as_ref().is_none_or(in_box)
            && self.scope.user.as_ref().is_none_or(his)
    }
}

/// The fax that an event is about.
#[must_use]
pub fn fax_of(event: &JobEvent) -> &str {
    match &event.subject {
        EventSubject::Job(id) => id.as_str(),
        EventSubject::Fax(id) => id.as_str(),
    }
}

/// An event with KAZOO's keys.
#[must_use]
pub fn shown(event: &JobEvent) -> Value {
    let outgoing = matches!(event.subject, EventSubject::Job(_));
    let at: Timestamp = event.at;
    json!({
        "event_category": "fax",
        "event_name": "status",
        "job_id": fax_of(event),
        "account_id": event.account.as_str(),
        "faxbox_id": event.faxbox.as_ref().map(|f| f.as_str()),
        "status": event.text,
        "fax_state": event.stage.as_str(),
        "job_state": event.state.map(status_word),
        "direction": if outgoing { "outgoing" } else { "incoming" },
        "page": event.page,
        "pages": event.pages,
        "timestamp": at.gregorian_seconds(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        let places = Places::new(2, 3);
        let a = [places.take("a").unwrap(), places.take("a").unwrap()];
        assert_eq!(places.take("a").unwrap_err().status, StatusCode::TOO_MANY_REQUESTS);
        let b = places.take("b").unwrap();
        assert!(places.take("b").is_err() && places.take("c").is_err());
        drop(a);
        let _c = places.take("c").unwrap();
        drop(b);
        assert_eq!(places.taken.lock().unwrap().len(), 1);
    }
}
