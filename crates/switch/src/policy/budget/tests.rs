//! Tables: numbers, limits, when there is room again, what is spent.

use super::super::trunks::{Prefix, TrunkRoute};
use super::*;

const START: Timestamp = Timestamp::from_unix_seconds(1_750_000_000);

fn at(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

fn list(of: &[&str]) -> Vec<String> {
    of.iter().map(|s| (*s).to_owned()).collect()
}

fn rules(budget: Budget) -> TollRules {
    TollRules { everywhere: Toll { budget, ..Toll::default() }, ..TollRules::default() }
}

fn call(number: &str) -> TollCall {
    TollCall { account: Some("a".into()), number: number.to_owned(), ..TollCall::default() }
}

#[test]
fn the_longest_beginning_decides() {
    let rules = DialRules {
        allow: list(&["+49", "+44", "+8821", "0"]),
        deny: list(&["+882", "+49900", "+44", "00", "0900"]),
    };
    for (number, want) in [
        ("+4930123", Ok(())),
        ("+49900123", Err(Some("+49900"))),
        ("+882123", Ok(())),
        ("+882223", Err(Some("+882"))),
        ("+44123", Err(Some("+44"))),
        ("+1415", Err(None)),
        ("030123", Ok(())),
        ("0900123", Err(Some("0900"))),
        // However it is dialled.
        ("00882223", Err(Some("+882"))),
        ("011882223", Err(Some("+882"))),
        ("00491", Ok(())),
    ] {
        assert_eq!(rules.permit(&[number]), want, "{number}");
    }
    let only_deny = DialRules { deny: list(&["+882"]), ..DialRules::default() };
    assert_eq!(only_deny.permit(&["+1415"]), Ok(()));
    assert_eq!(DialRules::default().permit(&[""]), Ok(()));
}

#[test]
fn every_scope_has_its_say() {
    let deny = |begins: &str| DialRules { deny: list(&[begins]), ..DialRules::default() };
    let toll = |begins: &str| Toll { numbers: deny(begins), ..Toll::default() };
    let rules = TollRules {
        everywhere: toll("+1"),
        accounts: [("a".into(), toll("+2"))].into(),
        terminals: [("ata".to_owned(), toll("+3"))].into(),
        routes: [("out".to_owned(), deny("+4"))].into(),
        ..TollRules::default()
    };
    let asked = |number: &str| {
        let call =
            TollCall { terminal: Some("ata".to_owned()), route: Some("out".to_owned()), ..call(number) };
        match rules.permit(&call) {
            Ok(()) => None,
            Err(TollRefusal::Barred { scope, .. }) => Some(scope),
            Err(over) => panic!("{over}"),
        }
    };
    assert_eq!(asked("+1"), Some(Scope::Everywhere));
    assert_eq!(asked("+2"), Some(Scope::Account("a".into())));
    assert_eq!(asked("+3"), Some(Scope::Terminal("ata".to_owned())));
    assert_eq!(asked("+4"), Some(Scope::Route("out".to_owned())));
    assert_eq!(asked("+5"), None);
    let other = TollCall { account: Some("b".into()), number: "+2".to_owned(), ..TollCall::default() };
    assert_eq!(rules.permit(&other), Ok(()));
    let said = rules.permit(&call("+1415")).unwrap_err().to_string();
    assert_eq!(said, "Calls to this number are not allowed: +1… is barred for all calls.");
}

#[test]
fn each_limit_says_when_there_is_room_again() {
    for (budget, limit, before, free) in [
        // So many calls at second 0 and 1, the next is asked for at `before` and fits at `free`.
        (Budget { per_minute: Some(2), ..Budget::default() }, Limit::PerMinute(2), 59, 61),
        (Budget { per_hour: Some(2), ..Budget::default() }, Limit::PerHour(2), 3_599, 3_660),
        (Budget { per_day: Some(2), ..Budget::default() }, Limit::PerDay(2), 86_399, 87_840),
    ] {
        let rules = rules(budget);
        let mut budgets = Budgets::default();
        for second in [0, 1] {
            let begun = budgets.begin(at(second), &rules, &call("+1")).unwrap();
            budgets.end(at(second), begun, None);
        }
        let refused = budgets.begin(at(before), &rules, &call("+1")).unwrap_err();
        let TollRefusal::Over { scope, limit: told, free_at } = refused.clone() else { panic!("{refused}") };
        assert_eq!((scope, told), (Scope::Everywhere, limit));
        assert!(free_at > at(before) && free_at <= at(free), "{limit:?}: {refused}");
        assert!(budgets.begin(Timestamp(free_at.0 - 1), &rules, &call("+1")).is_err(), "{limit:?}");
        assert!(budgets.begin(free_at, &rules, &call("+1")).is_ok(), "{limit:?}");
    }
    let lines = rules(Budget { at_once: Some(1), ..Budget::default() });
    let mut budgets = Budgets::default();
    let first = budgets.begin(at(0), &lines, &call("+1")).unwrap();
    let said = budgets.begin(at(1), &lines, &call("+1")).unwrap_err();
    let want = TollRefusal::Over { scope: Scope::Everywhere, limit: Limit::AtOnce(1), free_at: at(6) };
    assert_eq!(said, want);
    assert_eq!(
        said.to_string(),
        "The budget of all calls is used up: 1 calls at a time; there is room again at 2025-06-15 15:06:46 UTC"
    );
    budgets.end(at(2), first, None);
    budgets.end(at(2), first, None);
    budgets.undo(first);
    assert!(budgets.begin(at(2), &lines, &call("+1")).is_ok());
}

#[test]
fn what_was_not_made_is_not_counted() {
    let limits = Budget { per_day: Some(1), spend_per_day: Some(10), ..Budget::default() };
    let (rules, dear) = (rules(limits), TollCall { price: 10, ..call("+1") });
    let mut budgets = Budgets::default();
    for _ in 0..100 {
        let begun = budgets.begin(at(0), &rules, &dear).unwrap();
        budgets.undo(begun);
    }
    budgets.begin(at(0), &rules, &dear).unwrap();
    assert!(budgets.begin(at(0), &rules, &dear).is_err());
}

#[test]
fn never_more_than_the_limit_is_within_any_window() {
    let rules = rules(Budget { per_minute: Some(5), ..Budget::default() });
    let mut budgets = Budgets::default();
    let mut begun: Vec<u64> = Vec::new();
    for tenth in 0..6_000_u64 {
        let now = START.plus(Duration::from_millis(tenth * 100));
        if let Ok(call) = budgets.begin(now, &rules, &call("+1")) {
            budgets.end(now, call, None);
            begun.push(tenth * 100);
        }
    }
    assert!(begun.len() >= 48, "{}", begun.len());
    assert!(begun.windows(6).all(|w| w[5] - w[0] >= 60_000), "{begun:?}");
}

#[test]
fn accounts_terminals_and_destinations_have_budgets_of_their_own() {
    let one = Budget { per_day: Some(1), ..Budget::default() };
    let toll = Toll { budget: one, ..Toll::default() };
    let rules = TollRules {
        accounts: [("a".into(), toll.clone()), ("b".into(), toll.clone())].into(),
        terminals: [("ata".to_owned(), toll)].into(),
        destinations: vec![
            ("+88".to_owned(), Budget { per_day: Some(9), ..Budget::default() }),
            ("+882".to_owned(), one),
        ],
        ..TollRules::default()
    };
    let mut budgets = Budgets::default();
    let mut over = |call: TollCall| match budgets.begin(at(0), &rules, &call) {
        Ok(_) => None,
        Err(TollRefusal::Over { scope, .. }) => Some(scope),
        Err(barred) => panic!("{barred}"),
    };
    let of = |account: Option<&str>, terminal: Option<&str>, number: &str| TollCall {
        account: account.map(Into::into),
        terminal: terminal.map(str::to_owned),
        number: number.to_owned(),
        ..TollCall::default()
    };
    assert_eq!(over(of(Some("a"), None, "+1")), None);
    assert_eq!(over(of(Some("a"), None, "+1")), Some(Scope::Account("a".into())));
    assert_eq!(over(of(Some("b"), Some("ata"), "+1")), None);
    assert_eq!(over(of(None, Some("ata"), "+1")), Some(Scope::Terminal("ata".to_owned())));
    assert_eq!(over(of(None, None, "+8821")), None);
    assert_eq!(over(of(None, None, "00882")), Some(Scope::Destination("+882".to_owned())));
    assert_eq!(over(of(None, None, "+881")), None);
    assert_eq!(over(of(Some("c"), None, "+1")), None, "who has no budget has no limit");
}

#[test]
fn what_is_spent_is_counted_by_minutes_begun() {
    let rules = rules(Budget { spend_per_day: Some(100), ..Budget::default() });
    let dear = |price| TollCall { price, ..call("+1") };
    let mut budgets = Budgets::default();
    // Two and a half minutes are three.
    let first = budgets.begin(at(0), &rules, &dear(10)).unwrap();
    budgets.end(at(150), first, Some((Duration::from_secs(150), 10)));
    // Not answered: nothing. Dearer by the trunk that took it.
    let second = budgets.begin(at(200), &rules, &dear(10)).unwrap();
    budgets.end(at(210), second, None);
    let third = budgets.begin(at(300), &rules, &dear(10)).unwrap();
    budgets.end(at(310), third, Some((Duration::from_secs(10), 40)));
    // 70 are gone: a call at 30 fits, one at 31 does not.
    assert!(budgets.clone().begin(at(400), &rules, &dear(30)).is_ok());
    let refused = budgets.begin(at(400), &rules, &dear(31)).unwrap_err();
    let TollRefusal::Over { limit, free_at, .. } = refused else { panic!("{refused}") };
    assert_eq!(limit, Limit::SpendPerDay(100));
    assert!(free_at > at(86_400) && budgets.begin(free_at, &rules, &dear(31)).is_ok());
    // What costs nothing is always paid for.
    assert!(budgets.begin(at(400), &rules, &dear(0)).is_ok());
    // A call that runs costs as long as it does.
    let mut budgets = Budgets::default();
    let running = budgets.begin(at(0), &rules, &dear(10)).unwrap();
    assert!(budgets.clone().begin(at(59), &rules, &dear(90)).is_ok());
    assert!(budgets.clone().begin(at(61), &rules, &dear(90)).is_err());
    assert!(budgets.clone().begin(at(10 * 60 + 1), &rules, &dear(1)).is_err());
    budgets.end(at(60), running, Some((Duration::from_secs(60), 10)));
    assert!(budgets.begin(at(10 * 60), &rules, &dear(90)).is_ok());
    // A price above the whole budget.
    assert!(Budgets::default().begin(at(0), &rules, &dear(101)).is_err());
}

#[test]
fn prices_are_those_of_the_trunks() {
    let trunk = |name: &str, cost, prefixes| TrunkRoute {
        name: name.to_owned(),
        cost,
        prefixes,
        outgoing: true,
        ..TrunkRoute::default()
    };
    let german = vec![
        Prefix { begins: "+49".to_owned(), cost: None, barred: false },
        Prefix { begins: "+4915".to_owned(), cost: Some(90), barred: false },
    ];
    let trunks = TrunkRouting {
        trunks: vec![trunk("wide", 50, Vec::new()), trunk("german", 20, german)],
        ..TrunkRouting::default()
    };
    let rules = TollRules { trunks, ..TollRules::default() };
    let a = AccountId::new("a");
    for (trunk, number, price) in [
        (None, "+4930", 20),
        (None, "+4915", 50),
        (None, "+1", 50),
        (Some("german"), "+4915", 90),
        (Some("german"), "+1", 0),
        (Some("gone"), "+4930", 20),
    ] {
        assert_eq!(rules.price(Some(&a), trunk, &[number]), price, "{trunk:?} {number}");
    }
}

#[test]
fn budgets_go_on_after_a_restart() {
    let rules = rules(Budget { per_hour: Some(2), at_once: Some(5), ..Budget::default() });
    let mut budgets = Budgets::default();
    budgets.begin(at(0), &rules, &call("+1")).unwrap();
    budgets.begin(at(1), &rules, &call("+1")).unwrap();
    let text = serde_json::to_string(&budgets.save(at(2))).unwrap();
    let mut again = Budgets::restored(serde_json::from_str(&text).unwrap());
    assert!(again.begin(at(3), &rules, &call("+1")).is_err());
    // The calls that ran are over.
    assert!(again.begin(at(3_700), &rules, &call("+1")).is_ok());
    assert_eq!(again.save(at(200_000)).0.len(), 1, "one call runs");
    assert!(Budgets::restored(SavedBudgets::default()).save(at(0)).0.is_empty());
}
