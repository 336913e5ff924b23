//! Where calls go that come in: `[[route]]`.

use super::written::{At, Section};
use fax_net::Trunk;
use fax_store::model::FaxboxId;
use fax_switch::Faxbox;
use fax_switch::policy::DialRules;
use fax_switch::routing::{Action, HeaderPattern, NumberPattern, Rule, Source, Terminal};
use std::collections::HashMap;

/// Whom routes may name.
pub(super) struct Targets<'a> {
    pub(super) trunks: &'a [Trunk],
    pub(super) terminals: &'a [Terminal],
    pub(super) faxboxes: &'a [Faxbox],
}

impl Targets<'_> {
    fn has(&self, source: &Source) -> bool {
        match source {
            Source::Trunk(name) => self.trunks.iter().any(|t| t.name == *name),
            Source::Terminal(user) => self.terminals.iter().any(|t| t.user == *user),
        }
    }

    fn remedy(source: &Source) -> &'static str {
        match source {
            Source::Trunk(_) => "name one of the [[trunk]] sections",
            Source::Terminal(_) => "name the user of one of the [[terminal]] sections",
        }
    }

    /// A faxbox by its name or id.
    fn faxbox(&self, name: &str) -> Option<FaxboxId> {
        let found = self.faxboxes.iter().find(|f| f.name == name || f.id.as_str() == name);
        found.map(|f| f.id.clone())
    }
}

/// `[[route]]`, in the order of the file, and which numbers some of them may call, by their names.
pub(super) fn routes(root: &Section<'_, '_>, known: &Targets<'_>) -> (Vec<Rule>, HashMap<String, DialRules>) {
    let mut rules = Vec::new();
    let mut numbers = HashMap::new();
    for (number, s) in root.sections("route").into_iter().enumerate() {
        let may = super::protection::numbers(&s);
        if let Some(rule) = route(s, number + 1, known) {
            if may != DialRules::default() {
                numbers.insert(rule.name.clone(), may);
            }
            rules.push(rule);
        }
    }
    (rules, numbers)
}

fn route(s: Section<'_, '_>, number: usize, known: &Targets<'_>) -> Option<Rule> {
    let name = s.text("name").map_or_else(|| format!("{number}"), |n| n.value);
    let from = s.texts("from").iter().filter_map(|said| source(&s, said, known)).collect();
    let to_line = s.text("to").map_or(s.line, |t| t.line);
    let to = pattern(&s, "to");
    let caller = pattern(&s, "caller");
    let diverted_from = pattern(&s, "diverted_from");
    let headers = s
        .texts("headers")
        .iter()
        .filter_map(|said| match HeaderPattern::read(&said.value) {
            Ok(header) => Some(header),
            Err(what) => {
                let remedy = "write it as \"X-Fax\", \"X-Fax = yes\" or \"X-Fax = /ye?s/\"";
                s.fault(said.line, format!("route.headers: {what}"), remedy);
                None
            }
        })
        .collect();
    let rewrite = s.text("rewrite");
    if let Some(rewrite) = &rewrite {
        check_rewrite(&s, rewrite, to.as_ref(), to_line);
    }
    let action = action(&s, known);
    s.finish();
    let rewrite = rewrite.map(|r| r.value);
    Some(Rule { name, from, to, caller, diverted_from, headers, rewrite, action: action? })
}

fn source(s: &Section<'_, '_>, said: &At<String>, known: &Targets<'_>) -> Option<Source> {
    match said.value.parse::<Source>() {
        Ok(source) if known.has(&source) => Some(source),
        Ok(source) => {
            s.fault(said.line, format!("route.from: there is no {source}"), Targets::remedy(&source));
            None
        }
        Err(what) => {
            s.fault(said.line, format!("route.from: {what}"), "write \"trunk:NAME\" or \"terminal:USER\"");
            None
        }
    }
}

fn pattern(s: &Section<'_, '_>, key: &'static str) -> Option<NumberPattern> {
    let said = s.text(key)?;
    match NumberPattern::read(&said.value) {
        Ok(pattern) => Some(pattern),
        Err(what) => {
            s.fault(
                said.line,
                format!("route.{key}: {what}"),
                format!("write a number as {key} = \"+4930123\", a beginning as \"+49*\", or a pattern as \"/0([1-9].*)/\""),
            );
            None
        }
    }
}

/// Every group that a rewriting names must be there.
fn check_rewrite(s: &Section<'_, '_>, rewrite: &At<String>, to: Option<&NumberPattern>, to_line: usize) {
    let groups = rewrite.value.match_indices('$').filter_map(|(at, _)| {
        let rest = rewrite.value.get(at + 1..)?.trim_start_matches('{');
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<usize>().ok()
    });
    for group in groups {
        if !to.is_some_and(|to| to.has_group(group)) {
            s.fault(
                rewrite.line,
                format!("route.rewrite has ${group}, and route.to (line {to_line}) has nothing for it"),
                "end `to` with *, or put a part of its /pattern/ in ( ); a number after $1 needs ${1}",
            );
        }
    }
}

fn action(s: &Section<'_, '_>, known: &Targets<'_>) -> Option<Action> {
    let (send_to, refuse) = (s.texts("send_to"), s.number("refuse", 400, 699));
    let faxbox = s.text("faxbox");
    let reason = s.text("reason").map(|r| r.value).unwrap_or_default();
    let given = usize::from(s.has("send_to")) + usize::from(s.has("refuse")) + usize::from(s.has("faxbox"));
    if given != 1 {
        s.fault(
            s.line,
            if given == 0 { "a route that goes nowhere" } else { "a route with several ends" },
            "give one of faxbox = \"NAME\", send_to = [\"trunk:NAME\", \"terminal:USER\"] or refuse = 404",
        );
        return None;
    }
    if let Some(refuse) = refuse {
        return Some(Action::Refuse { code: u16::try_from(refuse.value).unwrap_or(404), reason });
    }
    if let Some(said) = faxbox {
        let found = known.faxbox(&said.value);
        if found.is_none() {
            let what = format!("route.faxbox: there is no faxbox {}", said.value);
            s.fault(said.line, what, "name one of the [[faxbox]] sections");
        }
        return found.map(Action::Faxbox);
    }
    let mut list = Vec::new();
    for said in &send_to {
        match said.value.parse::<Source>() {
            Ok(target) if known.has(&target) => list.push(target),
            Ok(target) => {
                s.fault(said.line, format!("route.send_to: there is no {target}"), Targets::remedy(&target));
            }
            Err(_) => s.fault(
                said.line,
                format!("route.send_to has {:?}", said.value),
                "write \"trunk:NAME\" or \"terminal:USER\"",
            ),
        }
    }
    (!list.is_empty()).then_some(Action::Onward(list))
}
