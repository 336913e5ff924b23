//! Where calls go that come in: rules by number, source and header, first match first, and what holds without a rule.
//!
//! Pure: [`Directory::route`] says what is to happen with a call and which rule said so. Without a rule a number of a
//! faxbox goes to that faxbox, a number of a terminal to that terminal, other numbers from a terminal to the trunk of
//! its account, and all else is refused with 404: a trunk reaches another trunk by a rule only.

mod pattern;
#[cfg(test)]
mod tests;

pub use pattern::{HeaderPattern, NumberPattern};

use crate::directory::{Directory, Faxbox};
use crate::number::NumberPlan;
use crate::service::{Decision, IncomingCall};
use fax_store::model::{AccountId, FaxboxId};
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

/// Who calls, as far as the network shows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Source {
    /// A trunk, by name.
    Trunk(String),
    /// A terminal of ours, by user, which has proved who it is.
    Terminal(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Trunk(name) => write!(f, "trunk:{name}"),
            Source::Terminal(user) => write!(f, "terminal:{user}"),
        }
    }
}

impl FromStr for Source {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':').map(|(kind, name)| (kind.trim(), name.trim().to_owned())) {
            Some(("trunk", name)) if !name.is_empty() => Ok(Source::Trunk(name)),
            Some(("terminal", user)) if !user.is_empty() => Ok(Source::Terminal(user)),
            _ => Err(format!("{text:?} is no source")),
        }
    }
}

/// A telephone, fax machine or adapter that registers here.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Terminal {
    /// Its user name.
    pub user: String,
    /// Whose it is.
    pub account: AccountId,
    /// Numbers at which it is called.
    pub numbers: Vec<String>,
    /// The number it calls from, where it does not say one of its own.
    pub caller_id: String,
}

/// Where a call is passed on to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Onward {
    /// Over a trunk, to this number.
    Trunk {
        /// Its name.
        name: String,
        /// The number, as it is dialled there.
        number: String,
    },
    /// To wherever a terminal is registered.
    Terminal {
        /// Its user name.
        user: String,
    },
}

impl fmt::Display for Onward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Onward::Trunk { name, number } => write!(f, "trunk:{name} as {number}"),
            Onward::Terminal { user } => write!(f, "terminal:{user}"),
        }
    }
}

/// What a rule does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Received for this faxbox.
    Faxbox(FaxboxId),
    /// Passed on: these one after the other, until one takes it.
    Onward(Vec<Source>),
    /// Refused with this SIP status.
    Refuse {
        /// 400 to 699.
        code: u16,
        /// The reason phrase; empty: the standard's.
        reason: String,
    },
}

/// One rule. What it does not name does not matter to it.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name in logs.
    pub name: String,
    /// Calls from one of these; empty: from anywhere.
    pub from: Vec<Source>,
    /// Calls to this number.
    pub to: Option<NumberPattern>,
    /// Calls of this caller.
    pub caller: Option<NumberPattern>,
    /// Calls that were diverted from this number, which was called first.
    pub diverted_from: Option<NumberPattern>,
    /// Calls with all of these headers.
    pub headers: Vec<HeaderPattern>,
    /// The number that is called onward: `$1` is what `*` stands for in `to`, or its first group. `None`: as it came.
    pub rewrite: Option<String>,
    /// What becomes of them.
    pub action: Action,
}

/// Everything that routing goes by, beside accounts and faxboxes.
#[derive(Clone, Debug, Default)]
pub struct Routing {
    /// The first that matches decides.
    pub rules: Vec<Rule>,
    /// Terminals of ours.
    pub terminals: Vec<Terminal>,
    /// The trunk of each account that has one of its own.
    pub account_trunks: HashMap<AccountId, String>,
    /// The trunk of all others.
    pub default_trunk: Option<String>,
}

/// What becomes of a call, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Routed {
    /// What to do.
    pub decision: Decision,
    /// The rule that decided; `None`: none did.
    pub rule: Option<String>,
    /// Why, in a few words.
    pub why: String,
    /// Whose terminal calls; `None`: it is no terminal's call.
    pub account: Option<AccountId>,
    /// The caller's number as it may be shown: a terminal calls from a number of its own.
    pub from_number: String,
    /// The caller's name.
    pub from_name: String,
}

impl Rule {
    /// The number to go on with, if this rule is for the call.
    fn matches(&self, call: &IncomingCall, from_number: &str, plan: &NumberPlan) -> Option<String> {
        if !self.from.is_empty() && !call.source.as_ref().is_some_and(|s| self.from.contains(s)) {
            return None;
        }
        if self.caller.as_ref().is_some_and(|c| c.rewritten(from_number, plan, None).is_none()) {
            return None;
        }
        if self.diverted_from.as_ref().is_some_and(|d| {
            call.diverted_from.is_empty() || d.rewritten(&call.diverted_from, plan, None).is_none()
        }) {
            return None;
        }
        if !self.headers.iter().all(|h| h.matches(&call.headers)) {
            return None;
        }
        match &self.to {
            Some(to) => to.rewritten(&call.to_number, plan, self.rewrite.as_deref()),
            None => Some(self.rewrite.clone().unwrap_or_else(|| call.to_number.clone())),
        }
    }
}

impl Directory {
    /// The same with rules and terminals. Terminals' numbers are normalised by `plan`.
    ///
    /// # Errors
    ///
    /// In a sentence: a user or number that is there twice, or a terminal without account.
    pub fn with_routing(mut self, mut routing: Routing, plan: &NumberPlan) -> Result<Self, String> {
        let mut users = HashMap::new();
        for (i, terminal) in routing.terminals.iter_mut().enumerate() {
            if self.account(&terminal.account).is_none() {
                return Err(format!("terminal {} has no account {}", terminal.user, terminal.account));
            }
            if users.insert(terminal.user.clone(), i).is_some() {
                return Err(format!("terminal {} is there twice", terminal.user));
            }
            for number in &mut terminal.numbers {
                *number = plan.normalise(number);
                if let Some(faxbox) = self.faxbox_by_number(number) {
                    return Err(format!(
                        "number {number} is used by faxbox {} and terminal {}",
                        faxbox.name, terminal.user
                    ));
                }
            }
        }
        let mut numbers = HashMap::new();
        for (i, terminal) in routing.terminals.iter().enumerate() {
            for number in &terminal.numbers {
                if numbers.insert(number.clone(), i).is_some() {
                    return Err(format!("number {number} is used by two terminals"));
                }
                self.fix_number(number, &terminal.account);
            }
        }
        self.terminal_users = users;
        self.terminal_numbers = numbers;
        self.routing = routing;
        Ok(self)
    }

    /// The rules and terminals.
    #[must_use]
    pub fn routing(&self) -> &Routing {
        &self.routing
    }

    /// A terminal by its user name.
    #[must_use]
    pub fn terminal(&self, user: &str) -> Option<&Terminal> {
        self.terminal_users.get(user).and_then(|i| self.routing.terminals.get(*i))
    }

    /// The terminal with this number, which is normalised already.
    #[must_use]
    pub fn terminal_by_number(&self, number: &str) -> Option<&Terminal> {
        self.terminal_numbers.get(number).and_then(|i| self.routing.terminals.get(*i))
    }

    /// What becomes of a call. `default_ident` is the subscriber number of faxboxes that have none.
    #[must_use]
    pub fn route(&self, call: &IncomingCall, plan: &NumberPlan, default_ident: &str) -> Routed {
        let terminal = match &call.source {
            Some(Source::Terminal(user)) => self.terminal(user),
            Some(Source::Trunk(_)) | None => None,
        };
        let (from_number, from_name) = match terminal {
            Some(terminal) => (pinned(terminal, &call.from_number, plan), call.from_name.clone()),
            None => (call.from_number.clone(), call.from_name.clone()),
        };
        let (decision, rule, why) = self.decide(call, &from_number, terminal, plan, default_ident);
        let account = terminal.map(|t| t.account.clone());
        Routed { decision, rule, why, account, from_number, from_name }
    }

    fn decide(
        &self,
        call: &IncomingCall,
        from_number: &str,
        terminal: Option<&Terminal>,
        plan: &NumberPlan,
        default_ident: &str,
    ) -> (Decision, Option<String>, String) {
        let number = plan.normalise(&call.to_number);
        let receive = |faxbox: &Faxbox| {
            let ident = [faxbox.fax_identity.as_str(), default_ident].into_iter().find(|i| !i.is_empty());
            Decision::Receive {
                account: faxbox.account.clone(),
                faxbox: faxbox.id.clone(),
                ident: ident.unwrap_or(&number).to_owned(),
            }
        };
        for rule in &self.routing.rules {
            let Some(onward) = rule.matches(call, from_number, plan) else {
                continue;
            };
            let decision = match &rule.action {
                Action::Faxbox(id) => self.faxbox(id).map(receive),
                Action::Onward(list) => Some(Decision::Onward {
                    targets: list.iter().map(|target| onward_to(target, &onward)).collect(),
                }),
                Action::Refuse { code, reason } => {
                    Some(Decision::Reject { code: *code, reason: reason.clone() })
                }
            };
            if let Some(decision) = decision {
                return (decision, Some(rule.name.clone()), format!("rule {}", rule.name));
            }
        }
        if let Some(faxbox) = self.faxbox_by_number(&number) {
            return (receive(faxbox), None, format!("{number} is a number of faxbox {}", faxbox.name));
        }
        if let Some(called) = self.terminal_by_number(&number) {
            let targets = vec![Onward::Terminal { user: called.user.clone() }];
            let why = format!("{number} is a number of terminal {}", called.user);
            return (Decision::Onward { targets }, None, why);
        }
        let not_found = Decision::Reject { code: 404, reason: "Not Found".to_owned() };
        let Some(terminal) = terminal else {
            return (not_found, None, format!("{number} is nobody's number, and no rule is for it"));
        };
        let routing = &self.routing;
        let trunk = routing.account_trunks.get(&terminal.account).or(routing.default_trunk.as_ref());
        match trunk {
            Some(name) => {
                let number = plan.accept(&call.to_number).unwrap_or_else(|| call.to_number.clone());
                let why = format!("a call of terminal {} goes to the trunk of its account", terminal.user);
                (Decision::Onward { targets: vec![Onward::Trunk { name: name.clone(), number }] }, None, why)
            }
            None => (not_found, None, "there is no trunk for it".to_owned()),
        }
    }
}

fn onward_to(target: &Source, number: &str) -> Onward {
    match target {
        Source::Trunk(name) => Onward::Trunk { name: name.clone(), number: number.to_owned() },
        Source::Terminal(user) => Onward::Terminal { user: user.clone() },
    }
}

/// The number that a terminal may show: what it says where that is one of its own, else what it is given.
fn pinned(terminal: &Terminal, said: &str, plan: &NumberPlan) -> String {
    let said = plan.normalise(said);
    let caller_id = plan.normalise(&terminal.caller_id);
    let own = !said.is_empty() && (terminal.numbers.contains(&said) || said == caller_id);
    match (own, terminal.caller_id.is_empty(), terminal.numbers.first()) {
        (true, _, _) => said,
        (false, false, _) => terminal.caller_id.clone(),
        (false, true, Some(first)) => first.clone(),
        (false, true, None) => terminal.user.clone(),
    }
}
