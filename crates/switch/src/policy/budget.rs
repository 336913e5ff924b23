//! Guards against toll fraud: which numbers may be called, how many calls in what time and at once, and what they may cost;
//! for all together, by account, by terminal and by destination. Pure: it is told the time.

mod numbers;
#[cfg(test)]
mod tests;
mod window;

pub use numbers::DialRules;

use super::trunks::TrunkRouting;
use core::fmt;
use core::time::Duration;
use fax_store::model::{AccountId, Timestamp};
use numbers::forms;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use window::Window;

/// Where all lines are in use nobody knows when one is free: it is looked at again after this.
const LINES_AGAIN: Duration = Duration::from_secs(5);

const MINUTE: u32 = 60;
const HOUR: u32 = 3_600;
const DAY: u32 = 86_400;

/// What may be called and spent. `None`: no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Budget {
    /// Calls begun within a minute.
    pub per_minute: Option<u32>,
    /// Calls begun within an hour.
    pub per_hour: Option<u32>,
    /// Calls begun within a day of 24 hours.
    pub per_day: Option<u32>,
    /// Calls at a time.
    pub at_once: Option<u32>,
    /// What calls of a day may cost, by the costs of the trunks for each minute begun.
    pub spend_per_day: Option<u64>,
}

impl Budget {
    fn is_empty(&self) -> bool {
        *self == Budget::default()
    }
}

/// Numbers and budget of one scope.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Toll {
    /// Which numbers.
    pub numbers: DialRules,
    /// How many calls.
    pub budget: Budget,
}

/// All that is ruled. A call needs the consent of everything that it falls under.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TollRules {
    /// For all calls.
    pub everywhere: Toll,
    /// By account.
    pub accounts: HashMap<AccountId, Toll>,
    /// By terminal.
    pub terminals: HashMap<String, Toll>,
    /// Numbers by rule of routing.
    pub routes: HashMap<String, DialRules>,
    /// Budgets of destinations, by the beginning of the number; the longest that fits counts.
    pub destinations: Vec<(String, Budget)>,
    /// What calls cost.
    pub trunks: TrunkRouting,
}

/// What a rule or budget is for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All calls.
    Everywhere,
    /// Those of an account.
    Account(AccountId),
    /// Those of a terminal.
    Terminal(String),
    /// Those that a rule of routing passes on.
    Route(String),
    /// Those to numbers that begin so.
    Destination(String),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Everywhere => f.write_str("all calls"),
            Scope::Account(id) => write!(f, "account {id}"),
            Scope::Terminal(user) => write!(f, "terminal {user}"),
            Scope::Route(name) => write!(f, "route {name}"),
            Scope::Destination(begins) => write!(f, "calls to {begins}…"),
        }
    }
}

/// Which limit of a budget.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Limit {
    /// Calls within a minute.
    PerMinute(u32),
    /// Calls within an hour.
    PerHour(u32),
    /// Calls within a day.
    PerDay(u32),
    /// Calls at a time.
    AtOnce(u32),
    /// What calls of a day cost.
    SpendPerDay(u64),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::PerMinute(n) => write!(f, "{n} calls a minute"),
            Limit::PerHour(n) => write!(f, "{n} calls an hour"),
            Limit::PerDay(n) => write!(f, "{n} calls a day"),
            Limit::AtOnce(n) => write!(f, "{n} calls at a time"),
            Limit::SpendPerDay(n) => write!(f, "a cost of {n} a day"),
        }
    }
}

/// Why a call is not made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TollRefusal {
    /// The number is not to be called, now or ever.
    #[error("Calls to this number are not allowed: {}", barred(.scope, .begins.as_deref()))]
    Barred {
        /// By what.
        scope: Scope,
        /// The beginning of the number that is barred; `None`: it is not among those that are allowed.
        begins: Option<String>,
    },
    /// A budget is used up.
    #[error("The budget of {scope} is used up: {limit}; there is room again at {}", clock(*.free_at))]
    Over {
        /// Whose.
        scope: Scope,
        /// Which limit.
        limit: Limit,
        /// When there is room again, or when to look again.
        free_at: Timestamp,
    },
}

fn barred(scope: &Scope, begins: Option<&str>) -> String {
    match begins {
        Some(begins) => format!("{begins}… is barred for {scope}."),
        None => format!("it is not among the numbers of {scope}."),
    }
}

fn clock(at: Timestamp) -> String {
    let time = jiff::Timestamp::from_second(at.unix_seconds());
    time.map_or_else(|_| "an unknown time".to_owned(), |t| t.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// A call that is to be made.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TollCall {
    /// Whose; `None`: a trunk's.
    pub account: Option<AccountId>,
    /// The terminal that makes it.
    pub terminal: Option<String>,
    /// The rule of routing that passes it on.
    pub route: Option<String>,
    /// The number, in E.164 as far as the plan of numbers goes.
    pub number: String,
    /// The same as it is dialled, where that is something else: what is ruled for either way of writing it holds.
    pub dialled: Option<String>,
    /// What a minute costs.
    pub price: u64,
}

impl TollCall {
    /// The number in all the ways in which it is written.
    #[must_use]
    pub fn written(&self) -> Vec<&str> {
        core::iter::once(self.number.as_str()).chain(self.dialled.as_deref()).collect()
    }
}

impl TollRules {
    /// Whether the number may be called at all.
    ///
    /// # Errors
    ///
    /// [`TollRefusal::Barred`].
    pub fn permit(&self, call: &TollCall) -> Result<(), TollRefusal> {
        let account = call.account.as_ref().and_then(|id| Some((id, self.accounts.get(id)?)));
        let terminal = call.terminal.as_ref().and_then(|user| Some((user, self.terminals.get(user)?)));
        let route = call.route.as_ref().and_then(|name| Some((name, self.routes.get(name)?)));
        let rules = [
            Some((Scope::Everywhere, &self.everywhere.numbers)),
            account.map(|(id, toll)| (Scope::Account(id.clone()), &toll.numbers)),
            terminal.map(|(user, toll)| (Scope::Terminal(user.clone()), &toll.numbers)),
            route.map(|(name, rules)| (Scope::Route(name.clone()), rules)),
        ];
        for (scope, rules) in rules.into_iter().flatten() {
            if let Err(begins) = rules.permit(&call.written()) {
                return Err(TollRefusal::Barred { scope, begins: begins.map(str::to_owned) });
            }
        }
        Ok(())
    }

    /// The budgets that a call falls under.
    fn budgets(&self, call: &TollCall) -> Vec<(Scope, Budget)> {
        let account = call.account.as_ref();
        let account =
            account.and_then(|id| Some((Scope::Account(id.clone()), self.accounts.get(id)?.budget)));
        let terminal = call.terminal.as_ref();
        let terminal =
            terminal.and_then(|user| Some((Scope::Terminal(user.clone()), self.terminals.get(user)?.budget)));
        let numbers = forms(&call.written());
        let begins = |(begins, _): &&(String, Budget)| numbers.iter().any(|n| n.starts_with(begins.as_str()));
        let destination = self.destinations.iter().filter(begins).max_by_key(|(begins, _)| begins.len());
        let destination = destination.map(|(begins, budget)| (Scope::Destination(begins.clone()), *budget));
        let all = [Some((Scope::Everywhere, self.everywhere.budget)), account, terminal, destination];
        all.into_iter().flatten().filter(|(_, budget)| !budget.is_empty()).collect()
    }

    /// What a minute to this number, however it is written, costs by this trunk; where that is not known, by the cheapest
    /// that may be used.
    #[must_use]
    pub fn price(&self, account: Option<&AccountId>, trunk: Option<&str>, written: &[&str]) -> u64 {
        let named = trunk.and_then(|name| self.trunks.trunks.iter().find(|t| t.name == name));
        let cost = match named {
            Some(trunk) => trunk.cost_of(written),
            None => {
                let anybody = AccountId::default();
                let order = self.trunks.order(account.unwrap_or(&anybody), written, |_| 0);
                order.first().and_then(|trunk| trunk.cost_of(written))
            }
        };
        u64::from(cost.unwrap_or_default())
    }
}

/// What was used of one budget.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Meter {
    minute: Window,
    hour: Window,
    day: Window,
    #[serde(skip)]
    running: u32,
}

impl Meter {
    fn new() -> Meter {
        Meter { minute: Window::new(MINUTE), hour: Window::new(HOUR), day: Window::new(DAY), running: 0 }
    }

    /// The limit that has no room, and when it has. `accrued` is what running calls cost beyond what is noted.
    fn room(
        &mut self,
        now: Timestamp,
        budget: &Budget,
        price: u64,
        accrued: u64,
    ) -> Result<(), (Limit, Timestamp)> {
        if let Some(most) = budget.at_once.filter(|most| self.running >= *most) {
            return Err((Limit::AtOnce(most), now.plus(LINES_AGAIN)));
        }
        let windows = [
            (budget.per_day, &mut self.day, Limit::PerDay as fn(u32) -> Limit),
            (budget.per_hour, &mut self.hour, Limit::PerHour),
            (budget.per_minute, &mut self.minute, Limit::PerMinute),
        ];
        // The one that takes longest says when there is room.
        for (most, window, limit) in windows {
            if let Some(most) = most.filter(|most| window.calls(now) >= *most) {
                let free = window.calls_fall_to(most.saturating_sub(1));
                return Err((limit(most), free.unwrap_or(now.plus(window.length()))));
            }
        }
        if let Some(most) = budget.spend_per_day {
            let spent = self.day.spent(now);
            // Room for the minute that is begun; a price above all there is never fits, and is tried again each day.
            let room = most.saturating_sub(price);
            if price > 0 && (spent.saturating_add(accrued) > room || price > most) {
                let free = self.day.spent_falls_to(room.saturating_sub(accrued)).filter(|_| price <= most);
                return Err((Limit::SpendPerDay(most), free.unwrap_or(now.plus(self.day.length()))));
            }
        }
        Ok(())
    }
}

/// A call that runs.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Running {
    scopes: Vec<Scope>,
    begun: Timestamp,
    price: u64,
}

impl Running {
    /// What it costs by now beyond its first minute.
    fn accrued(&self, now: Timestamp) -> u64 {
        minutes(now.since(self.begun)).saturating_sub(1).saturating_mul(self.price)
    }
}

/// Minutes begun.
fn minutes(talked: Duration) -> u64 {
    u64::try_from(talked.as_millis().div_ceil(60_000)).unwrap_or(u64::MAX)
}

/// What was used of all budgets.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Budgets {
    meters: HashMap<Scope, Meter>,
    running: HashMap<u64, Running>,
    last: u64,
}

/// What is kept of budgets over a restart.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SavedBudgets(Vec<(Scope, Meter)>);

impl Budgets {
    /// A call is begun, if everything that it falls under has room for it. Its number is for [`Budgets::end`].
    ///
    /// # Errors
    ///
    /// See [`TollRefusal`]; nothing is counted then.
    pub fn begin(&mut self, now: Timestamp, rules: &TollRules, call: &TollCall) -> Result<u64, TollRefusal> {
        rules.permit(call)?;
        let budgets = rules.budgets(call);
        for (scope, budget) in &budgets {
            let with = self.running.values().filter(|r| r.scopes.contains(scope));
            let accrued = with.map(|r| r.accrued(now)).fold(0, u64::saturating_add);
            let meter = self.meters.entry(scope.clone()).or_insert_with(Meter::new);
            if let Err((limit, free_at)) = meter.room(now, budget, call.price, accrued) {
                return Err(TollRefusal::Over { scope: scope.clone(), limit, free_at });
            }
        }
        let scopes: Vec<Scope> = budgets.into_iter().map(|(scope, _)| scope).collect();
        for scope in &scopes {
            if let Some(meter) = self.meters.get_mut(scope) {
                meter.running = meter.running.saturating_add(1);
                for window in [&mut meter.minute, &mut meter.hour, &mut meter.day] {
                    window.add(now, 1, call.price);
                }
            }
        }
        self.last = self.last.wrapping_add(1);
        self.running.insert(self.last, Running { scopes, begun: now, price: call.price });
        Ok(self.last)
    }

    /// A call is over: it was talked for so long, at this price a minute. `None`: it was not answered, and cost nothing.
    pub fn end(&mut self, now: Timestamp, call: u64, talked: Option<(Duration, u64)>) {
        let Some(running) = self.running.remove(&call) else { return };
        let cost = talked.map_or(0, |(talked, price)| minutes(talked).max(1).saturating_mul(price));
        for scope in &running.scopes {
            let Some(meter) = self.meters.get_mut(scope) else { continue };
            meter.running = meter.running.saturating_sub(1);
            if cost < running.price {
                meter.day.give_back(running.begun, 0, running.price - cost);
            } else {
                meter.day.add(now, 0, cost - running.price);
            }
        }
    }

    /// A call was not made after all: nothing is counted.
    pub fn undo(&mut self, call: u64) {
        let Some(running) = self.running.remove(&call) else { return };
        for scope in &running.scopes {
            let Some(meter) = self.meters.get_mut(scope) else { continue };
            meter.running = meter.running.saturating_sub(1);
            for window in [&mut meter.minute, &mut meter.hour, &mut meter.day] {
                window.give_back(running.begun, 1, running.price);
            }
        }
    }

    /// What is to be kept over a restart; calls that run are counted as begun.
    #[must_use]
    pub fn save(&mut self, now: Timestamp) -> SavedBudgets {
        self.meters
            .retain(|_, meter| meter.running > 0 || meter.day.calls(now) > 0 || meter.day.spent(now) > 0);
        let mut kept: Vec<_> =
            self.meters.iter().map(|(scope, meter)| (scope.clone(), meter.clone())).collect();
        kept.sort_by(|a, b| a.0.cmp(&b.0));
        SavedBudgets(kept)
    }

    /// Goes on from what was kept.
    #[must_use]
    pub fn restored(saved: SavedBudgets) -> Budgets {
        Budgets { meters: saved.0.into_iter().collect(), ..Budgets::default() }
    }
}
