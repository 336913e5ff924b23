//! The table of routing: calls in, decisions out.

use super::*;
use crate::directory::Account;

fn directory(rules: Vec<Rule>) -> Directory {
    let account = |id: &str| Account { id: id.into(), name: id.into(), ..Account::default() };
    let faxbox = Faxbox {
        id: "desk".into(),
        account: "clinic".into(),
        name: "Desk".into(),
        numbers: vec!["+14155550100".into()],
        ..Faxbox::default()
    };
    let terminal = |user: &str, account: &str, number: &str, caller_id: &str| Terminal {
        user: user.into(),
        account: account.into(),
        numbers: vec![number.into()],
        caller_id: caller_id.into(),
    };
    let routing = Routing {
        rules,
        terminals: vec![
            terminal("reception", "clinic", "415 555 0101", "+14155550100"),
            terminal("ata", "court", "+14155550102", ""),
        ],
        account_trunks: HashMap::from([("court".into(), "second".to_owned())]),
        default_trunk: Some("carrier".to_owned()),
    };
    let plan = NumberPlan::default();
    let directory = Directory::new(vec![account("clinic"), account("court")], vec![faxbox], &plan).unwrap();
    directory.with_routing(routing, &plan).unwrap()
}

fn rule(name: &str, to: &str, action: Action) -> Rule {
    let to = Some(to).filter(|t| !t.is_empty()).map(|t| NumberPattern::read(t).unwrap());
    let (from, headers) = (Vec::new(), Vec::new());
    Rule { name: name.into(), from, to, caller: None, diverted_from: None, headers, rewrite: None, action }
}

fn trunks(names: &[&str]) -> Action {
    Action::Onward(names.iter().map(|n| Source::Trunk((*n).to_owned())).collect())
}

fn call(from: &str, to: &str) -> IncomingCall {
    IncomingCall {
        to_number: to.into(),
        from_number: "+15550001111".into(),
        source: from.parse().ok(),
        ..IncomingCall::default()
    }
}

fn said(directory: &Directory, call: &IncomingCall) -> String {
    let routed = directory.route(call, &NumberPlan::default(), "");
    let what = match routed.decision {
        Decision::Receive { faxbox, ident, .. } => format!("faxbox {faxbox} {ident}"),
        Decision::Onward { targets } => {
            targets.iter().map(Onward::to_string).collect::<Vec<_>>().join(", then ")
        }
        Decision::Reject { code, reason } => format!("{code} {reason}"),
    };
    format!("{} → {what}", routed.rule.as_deref().unwrap_or("-"))
}

#[test]
fn without_rules_numbers_find_their_owner_and_terminals_their_trunk() {
    let directory = directory(Vec::new());
    for (from, to, want) in [
        ("trunk:carrier", "+1 415 555 0100", "- → faxbox desk +14155550100"),
        ("terminal:ata", "4155550100", "- → faxbox desk +14155550100"),
        ("trunk:carrier", "+14155550101", "- → terminal:reception"),
        ("terminal:ata", "4155550101", "- → terminal:reception"),
        ("terminal:reception", "4155550199", "- → trunk:carrier as +14155550199"),
        ("terminal:ata", "011 49 30 1234567", "- → trunk:second as +49301234567"),
        ("terminal:ata", "911", "- → trunk:second as 911"),
        // A trunk reaches no other trunk by itself, nor does somebody unknown.
        ("trunk:carrier", "+14155550199", "- → 404 Not Found"),
        ("terminal:nobody", "+14155550199", "- → 404 Not Found"),
        ("", "+14155550199", "- → 404 Not Found"),
    ] {
        assert_eq!(said(&directory, &call(from, to)), want, "{from} {to}");
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let mut inside = rule("inside", "0*", trunks(&["second", "carrier"]));
    inside.rewrite = Some("+49$1".into());
    inside.from = vec![Source::Terminal("ata".into()), Source::Trunk("pbx".into())];
    let mut short = rule("short", r"/1(\d\d)/", trunks(&["carrier"]));
    short.rewrite = Some("+1415555${1}00".into());
    let mut spam = rule("spam", "", Action::Refuse { code: 603, reason: String::new() });
    spam.caller = Some(NumberPattern::read("+1999*").unwrap());
    let mut marked = rule("marked", "", Action::Faxbox("desk".into()));
    marked.headers = vec![HeaderPattern::read("X-Fax = yes").unwrap()];
    let gone = rule("gone", "+14155550103", Action::Faxbox("no such".into()));
    let exact = rule("exact", "+14155550103", Action::Onward(vec![Source::Terminal("ata".into())]));
    let directory = directory(vec![spam, marked, inside, short, gone, exact]);
    for (from, to, want) in [
        ("terminal:ata", "030123", "inside → trunk:second as +4930123, then trunk:carrier as +4930123"),
        ("trunk:pbx", "030123", "inside → trunk:second as +4930123, then trunk:carrier as +4930123"),
        ("terminal:reception", "030123", "- → trunk:carrier as 030123"),
        ("trunk:x", "123", "short → trunk:carrier as +14155552300"),
        ("trunk:x", "1234", "- → 404 Not Found"),
        // A rule matches the number as it came or as it is normalised; one whose faxbox is gone does not.
        ("trunk:x", "415 555 0103", "exact → terminal:ata"),
        ("trunk:x", "14155550100", "- → faxbox desk +14155550100"),
    ] {
        assert_eq!(said(&directory, &call(from, to)), want, "{from} {to}");
    }
    let unwanted = IncomingCall { from_number: "19995551234".into(), ..call("trunk:x", "+14155550100") };
    assert_eq!(said(&directory, &unwanted), "spam → 603 ");
    for (value, want) in [("YES ", "marked → faxbox desk"), ("no", "- → 404")] {
        let headers = vec![("x-fax".to_owned(), value.to_owned())];
        let call = IncomingCall { headers, ..call("trunk:x", "77") };
        assert!(said(&directory, &call).starts_with(want), "{value}");
    }
}

#[test]
fn a_rule_may_be_for_calls_that_were_diverted_from_a_number() {
    let diverted = |pattern: &str, name: &str, action| Rule {
        diverted_from: Some(NumberPattern::read(pattern).unwrap()),
        ..rule(name, "", action)
    };
    let directory = directory(vec![
        diverted("+4930*", "berlin", Action::Faxbox("desk".into())),
        diverted("/.*/", "others", Action::Refuse { code: 603, reason: String::new() }),
    ]);
    for (from, want) in [("+4930123", "berlin → faxbox desk"), ("+331234", "others → 603"), ("", "- → 404")]
    {
        let call = IncomingCall { diverted_from: from.into(), ..call("trunk:x", "77") };
        assert!(said(&directory, &call).starts_with(want), "{from}: {}", said(&directory, &call));
    }
}

#[test]
fn a_terminal_calls_from_a_number_of_its_own() {
    let directory = directory(Vec::new());
    for (from, said, want) in [
        ("terminal:reception", "reception", "+14155550100"),
        ("terminal:reception", "+14155550101", "+14155550101"),
        ("terminal:reception", "4155550100", "+14155550100"),
        ("terminal:reception", "+14155550102", "+14155550100"),
        ("terminal:ata", "anonymous", "+14155550102"),
        ("trunk:carrier", "whatever", "whatever"),
    ] {
        let call = IncomingCall { from_number: said.into(), ..call(from, "+14155550199") };
        assert_eq!(directory.route(&call, &NumberPlan::default(), "").from_number, want, "{from} {said}");
    }
}

#[test]
fn patterns_that_are_none_are_refused_in_a_sentence() {
    for wrong in ["", "a b", "1*2", "*21", "/(/", "/a{100000}{1000}/"] {
        assert!(NumberPattern::read(wrong).is_err(), "{wrong}");
    }
    assert!(NumberPattern::read("*").unwrap().has_group(1));
    assert!(!NumberPattern::read("112").unwrap().has_group(1));
    for wrong in ["", "= x", "X Y = 1", "X = /(/"] {
        assert!(HeaderPattern::read(wrong).is_err(), "{wrong}");
    }
    let several = [("Via".to_owned(), "a".to_owned()), ("X".to_owned(), "tag;reason=deflection".to_owned())];
    for (pattern, want) in
        [("x", true), ("X=/reason=def/", true), ("X = tag", false), ("Y", false), ("via = A", true)]
    {
        assert_eq!(HeaderPattern::read(pattern).unwrap().matches(&several), want, "{pattern}");
    }
}

#[test]
fn users_and_numbers_are_used_once() {
    let plan = NumberPlan::default();
    let account = Account { id: "a".into(), ..Account::default() };
    let faxbox = Faxbox {
        id: "f".into(),
        account: "a".into(),
        numbers: vec!["+14155550100".into()],
        ..Faxbox::default()
    };
    let base = Directory::new(vec![account], vec![faxbox], &plan).unwrap();
    let terminal = |user: &str, account: &str, number: &str| Terminal {
        user: user.into(),
        account: account.into(),
        numbers: vec![number.into()],
        caller_id: String::new(),
    };
    for (terminals, what) in [
        (vec![terminal("x", "b", "1")], "no account b"),
        (vec![terminal("x", "a", "1"), terminal("x", "a", "2")], "there twice"),
        (vec![terminal("x", "a", "1"), terminal("y", "a", "1")], "by two terminals"),
        (vec![terminal("x", "a", "4155550100")], "by faxbox"),
    ] {
        let routing = Routing { terminals, ..Routing::default() };
        assert!(base.clone().with_routing(routing, &plan).unwrap_err().contains(what), "{what}");
    }
}
