//! By which trunks a number is called, in what order, and which caller they are shown: prefixes, costs and weights;
//! lists of callers' numbers.

use std::collections::HashMap;

use fax_store::model::AccountId;

/// Numbers that a trunk is used for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prefix {
    /// What the number begins with, as `+49`.
    pub begins: String,
    /// What a call there costs, in any unit that is the same for all trunks; `None`: as the trunk says.
    pub cost: Option<u32>,
    /// These numbers are not called by it.
    pub barred: bool,
}

/// A trunk as routing sees it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TrunkRoute {
    /// Its name.
    pub name: String,
    /// The numbers it is used for; the longest that fits counts. None: for all.
    pub prefixes: Vec<Prefix>,
    /// What a call costs where no prefix says it.
    pub cost: u32,
    /// Trunks of the same cost with a weight share calls by it; without, the order of the configuration counts.
    pub weight: Option<u32>,
    /// Calls are made by it; else it is only called from.
    pub outgoing: bool,
    /// The callers that it takes.
    pub callers: CallerRules,
}

/// Which callers' numbers may be shown.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CallerRules {
    /// Numbers, or beginnings of numbers with `*` behind; none: all.
    pub allowed: Vec<String>,
    /// Shown instead of what is not allowed, or where there is no number.
    pub default: Option<String>,
}

impl CallerRules {
    /// The number that is shown for this caller. `None`: no number may be.
    #[must_use]
    pub fn show(&self, number: &str) -> Option<String> {
        let fits = |rule: &String| match rule.strip_suffix('*') {
            Some(begins) => number.starts_with(begins),
            None => number == rule,
        };
        let known = !number.is_empty() && (self.allowed.is_empty() || self.allowed.iter().any(fits));
        if known {
            return Some(number.to_owned());
        }
        let single = || self.allowed.iter().find(|rule| !rule.ends_with('*')).cloned();
        let shown = self.default.clone().or_else(single);
        // Where nothing is ruled, nothing is missing.
        shown.or_else(|| self.allowed.is_empty().then(|| number.to_owned()))
    }
}

/// What an account says of its calls.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AccountRoute {
    /// Its trunks, the best first; none: all.
    pub trunks: Vec<String>,
    /// The callers it may show.
    pub callers: CallerRules,
    /// The called side does not see who calls.
    pub anonymous: bool,
}

/// By which trunks calls are made.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TrunkRouting {
    /// The trunks, in the order of the configuration.
    pub trunks: Vec<TrunkRoute>,
    /// What accounts say, by their id.
    pub accounts: HashMap<AccountId, AccountRoute>,
}

impl TrunkRoute {
    /// What it costs to call this number, however it is written; `None`: it is not called by this trunk.
    pub(super) fn cost_of(&self, written: &[&str]) -> Option<u32> {
        if self.prefixes.is_empty() {
            return Some(self.cost);
        }
        let fits = |p: &&Prefix| written.iter().any(|number| number.starts_with(&p.begins));
        let longest = self.prefixes.iter().filter(fits).max_by_key(|p| p.begins.len());
        match longest {
            Some(prefix) => (!prefix.barred).then(|| prefix.cost.unwrap_or(self.cost)),
            // A list that only bars takes all else.
            None => self.prefixes.iter().all(|p| p.barred).then_some(self.cost),
        }
    }
}

impl TrunkRouting {
    /// The trunks by which an account's call to a number is tried, in order: the cheapest first, then as the account or
    /// the configuration orders them, or by lot where they have weights. `written` is the number in all the ways in which
    /// it is written; `lot` draws a number up to and with its argument.
    pub fn order(
        &self,
        account: &AccountId,
        written: &[&str],
        mut lot: impl FnMut(u64) -> u64,
    ) -> Vec<&TrunkRoute> {
        let named = self.accounts.get(account).map(|a| a.trunks.as_slice()).unwrap_or_default();
        let all = || self.trunks.iter().filter(|t| t.outgoing).collect::<Vec<_>>();
        let candidates = if named.is_empty() {
            all()
        } else {
            named.iter().filter_map(|name| self.trunks.iter().find(|t| t.name == *name)).collect()
        };
        let mut priced: Vec<(u32, &TrunkRoute)> =
            candidates.into_iter().filter_map(|t| Some((t.cost_of(written)?, t))).collect();
        priced.sort_by_key(|(cost, _)| *cost);
        let mut ordered = Vec::with_capacity(priced.len());
        while let Some((cost, first)) = priced.first().copied() {
            let equal = priced.iter().take_while(|(c, _)| *c == cost).count();
            // RFC 2782's way: each is drawn with the chance of its weight.
            let weights: u64 = priced.iter().take(equal).map(|(_, t)| u64::from(t.weight.unwrap_or(0))).sum();
            let at = if first.weight.is_none() || weights == 0 {
                0
            } else {
                let mut drawn = lot(weights - 1);
                let mut at = 0;
                for (n, (_, trunk)) in priced.iter().take(equal).enumerate() {
                    let weight = u64::from(trunk.weight.unwrap_or(0));
                    if drawn < weight {
                        at = n;
                        break;
                    }
                    drawn -= weight;
                }
                at
            };
            ordered.push(priced.remove(at).1);
        }
        ordered
    }

    /// The number shown for a caller of this account by this trunk, and whether the called side sees it. `None`: the
    /// trunk takes none of what the account may show.
    #[must_use]
    pub fn caller(&self, account: &AccountId, trunk: &TrunkRoute, number: &str) -> Option<(String, bool)> {
        let rules = self.accounts.get(account);
        let of_account = match rules {
            Some(rules) => rules.callers.show(number)?,
            None => number.to_owned(),
        };
        Some((trunk.callers.show(&of_account)?, rules.is_some_and(|r| r.anonymous)))
    }

    /// The same for a call that is passed on to a trunk, by name; `account`: whose terminal calls.
    #[must_use]
    pub fn caller_onward(
        &self,
        account: Option<&AccountId>,
        trunk: &str,
        number: &str,
    ) -> Option<(String, bool)> {
        let known = self.trunks.iter().find(|t| t.name == trunk);
        match (account, known) {
            (Some(account), Some(trunk)) => self.caller(account, trunk, number),
            (None, Some(trunk)) => Some((trunk.callers.show(number)?, false)),
            (_, None) => Some((number.to_owned(), false)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        let (begins, cost) = text.split_once('=').map_or((text, None), |(b, c)| (b, c.parse().ok()));
        let barred = begins.starts_with('!');
        Prefix { begins: begins.trim_start_matches('!').to_owned(), cost, barred }
    }

    fn trunk(name: &str, cost: u32, prefixes: &[&str]) -> TrunkRoute {
        let prefixes = prefixes.iter().map(|p| prefix(p)).collect();
        TrunkRoute { name: name.to_owned(), cost, prefixes, outgoing: true, ..TrunkRoute::default() }
    }

    fn order<'r>(routing: &'r TrunkRouting, account: &str, number: &str) -> Vec<&'r str> {
        let ordered = routing.order(&AccountId::new(account), &[number], |_| 0);
        ordered.into_iter().map(|t| t.name.as_str()).collect()
    }

    #[test]
    fn the_cheapest_trunk_for_a_number_goes_first() {
        let routing = TrunkRouting {
            trunks: vec![
                trunk("wide", 50, &[]),
                trunk("german", 20, &["+49", "+4915=90", "!+49900"]),
                trunk("cheap", 10, &["+1", "+44=60"]),
                trunk("barring", 55, &["!+882"]),
                TrunkRoute { outgoing: false, ..trunk("inbound", 0, &[]) },
            ],
            accounts: HashMap::new(),
        };
        for (number, want) in [
            ("+4930123", &["german", "wide", "barring"][..]),
            ("+4915123", &["wide", "barring", "german"]),
            ("+49900123", &["wide", "barring"]),
            ("+14155550100", &["cheap", "wide", "barring"]),
            ("+44123", &["wide", "barring", "cheap"]),
            ("+882123", &["wide"]),
            ("110", &["wide", "barring"]),
        ] {
            assert_eq!(order(&routing, "a", number), want, "{number}");
        }
        // However it is dialled.
        let written = routing.order(&AccountId::new("a"), &["+882123", "882123"], |_| 0);
        assert_eq!(written.len(), 1);
    }

    #[test]
    fn an_accounts_order_counts_among_equal_costs() {
        let accounts = [
            ("a", vec!["second", "first"]),
            ("b", vec!["third"]),
            ("c", vec!["inbound", "gone"]),
            ("d", vec![]),
        ];
        let routing = TrunkRouting {
            trunks: vec![
                trunk("first", 0, &[]),
                trunk("second", 0, &[]),
                trunk("third", 0, &["+49"]),
                TrunkRoute { outgoing: false, ..trunk("inbound", 0, &[]) },
            ],
            accounts: accounts
                .into_iter()
                .map(|(id, trunks)| {
                    let trunks = trunks.into_iter().map(str::to_owned).collect();
                    (AccountId::new(id), AccountRoute { trunks, ..AccountRoute::default() })
                })
                .collect(),
        };
        assert_eq!(order(&routing, "a", "+1"), ["second", "first"]);
        assert_eq!(order(&routing, "b", "+4930"), ["third"]);
        assert!(order(&routing, "b", "+1").is_empty());
        // Whoever names it wants it.
        assert_eq!(order(&routing, "c", "+1"), ["inbound"]);
        assert_eq!(order(&routing, "d", "+4930"), ["first", "second", "third"]);
        assert_eq!(order(&routing, "unknown", "+1"), ["first", "second"]);
    }

    #[test]
    fn weights_share_calls() {
        let weighted = |name, weight| TrunkRoute { weight: Some(weight), ..trunk(name, 0, &[]) };
        let routing = TrunkRouting {
            trunks: vec![
                weighted("a", 3),
                weighted("b", 1),
                weighted("never first", 0),
                trunk("dear", 9, &[]),
            ],
            accounts: HashMap::new(),
        };
        let mut first = HashMap::new();
        for drawn in 0..4 {
            let mut draws = [drawn, 0, 0].into_iter();
            let ordered =
                routing.order(&AccountId::new("x"), &["+1"], |most| draws.next().unwrap_or(0).min(most));
            assert_eq!(ordered.len(), 4);
            assert_eq!(ordered.last().map(|t| t.name.as_str()), Some("dear"));
            *first.entry(ordered.first().map(|t| t.name.clone())).or_insert(0) += 1;
        }
        assert_eq!(first, HashMap::from([(Some("a".to_owned()), 3), (Some("b".to_owned()), 1)]));
    }

    #[test]
    fn callers_that_are_not_allowed_are_replaced() {
        let list = |l: &[&str]| l.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let free = CallerRules::default();
        assert_eq!(free.show("+4930").as_deref(), Some("+4930"));
        assert_eq!(free.show("").as_deref(), Some(""));
        let fallback = CallerRules { default: Some("+4930100".to_owned()), ..free };
        assert_eq!(fallback.show("").as_deref(), Some("+4930100"));
        assert_eq!(fallback.show("+1").as_deref(), Some("+1"));
        let listed = CallerRules { allowed: list(&["+49301*", "+4930200"]), default: None };
        assert_eq!(listed.show("+4930155").as_deref(), Some("+4930155"));
        assert_eq!(listed.show("+4930200").as_deref(), Some("+4930200"));
        assert_eq!(listed.show("+49302001").as_deref(), Some("+4930200"));
        let ranges = CallerRules { allowed: list(&["+49301*"]), default: None };
        assert_eq!(ranges.show("+1"), None);

        let account = AccountId::new("a");
        let trunk = TrunkRoute { callers: listed, ..trunk("t", 0, &[]) };
        let callers = CallerRules { allowed: list(&["+4930155", "+1*"]), default: None };
        let route = AccountRoute { callers, anonymous: true, ..AccountRoute::default() };
        let routing =
            TrunkRouting { trunks: vec![trunk.clone()], accounts: [(account.clone(), route)].into() };
        // First the account's rules, then the trunk's.
        assert_eq!(routing.caller(&account, &trunk, "+4930177"), Some(("+4930155".to_owned(), true)));
        assert_eq!(routing.caller(&account, &trunk, "+1415"), Some(("+4930200".to_owned(), true)));
        assert_eq!(
            routing.caller(&AccountId::new("b"), &trunk, "+4930177"),
            Some(("+4930177".to_owned(), false))
        );
        // Who calls by another trunk has no account here, and the rules of this trunk hold.
        let shown = |number: &str| routing.caller_onward(None, "t", number);
        assert_eq!(shown("+4930177"), Some(("+4930177".to_owned(), false)));
        assert_eq!(shown("+1415"), Some(("+4930200".to_owned(), false)));
        assert_eq!(routing.caller_onward(Some(&account), "t", "+1415"), Some(("+4930200".to_owned(), true)));
        assert_eq!(routing.caller_onward(None, "gone", "+1"), Some(("+1".to_owned(), false)));
    }
}
