//! The first reading: TOML with the line of everything, typed, and what nobody asked for.

use super::Fault;
use std::cell::RefCell;
use std::collections::BTreeSet;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

#[cfg(test)]
thread_local! {
    /// Every key that this thread asked for.
    pub(super) static KNOWN: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// A value and the line it stands in.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) line: usize,
}

/// A file as written.
pub(super) struct File<'a> {
    text: &'a str,
    root: Spanned<DeTable<'a>>,
}

/// Reads the text; what is not TOML becomes faults, the rest is kept.
pub(super) fn read(text: &str) -> (File<'_>, Vec<Fault>) {
    let (root, errors) = DeTable::parse_recoverable(text);
    let faults = errors
        .iter()
        .map(|e| Fault {
            line: line_of(text, e.span().map_or(0, |s| s.start)),
            what: e.message().to_owned(),
            remedy: "write it as TOML wants it: KEY = VALUE, text in quotes".to_owned(),
        })
        .collect();
    (File { text, root }, faults)
}

impl<'a> File<'a> {
    /// The whole file as a section.
    pub(super) fn root<'f>(&'f self, faults: &'f RefCell<Vec<Fault>>) -> Section<'f, 'a> {
        Section {
            text: self.text,
            name: String::new(),
            line: 1,
            table: Some(self.root.get_ref()),
            asked: RefCell::new(BTreeSet::new()),
            faults,
        }
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|b| *b == b'\n').count() + 1
}

/// A table of the file. It remembers what it was asked for, to tell what nobody asked for.
pub(super) struct Section<'f, 'a> {
    text: &'a str,
    name: String,
    /// Line of the section's beginning.
    pub(super) line: usize,
    table: Option<&'f DeTable<'a>>,
    asked: RefCell<BTreeSet<&'static str>>,
    faults: &'f RefCell<Vec<Fault>>,
}

impl<'f, 'a> Section<'f, 'a> {
    /// Notes a fault.
    pub(super) fn fault(&self, line: usize, what: impl Into<String>, remedy: impl Into<String>) {
        self.faults.borrow_mut().push(Fault { line, what: what.into(), remedy: remedy.into() });
    }

    /// The key with its section, as `sip.listen`.
    pub(super) fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    fn get(&self, key: &'static str) -> Option<&'f Spanned<DeValue<'a>>> {
        self.asked.borrow_mut().insert(key);
        #[cfg(test)]
        KNOWN.with_borrow_mut(|known| known.insert(self.path(key)));
        self.table?.iter().find(|(k, _)| k.get_ref() == key).map(|(_, v)| v)
    }

    fn line_of(&self, value: &Spanned<DeValue<'_>>) -> usize {
        line_of(self.text, value.span().start)
    }

    fn wrong(&self, key: &str, value: &Spanned<DeValue<'_>>, want: &str) {
        self.fault(
            self.line_of(value),
            format!("{} is {}", self.path(key), article(value.get_ref().type_str())),
            format!("write {want}"),
        );
    }

    /// Text.
    pub(super) fn text(&self, key: &'static str) -> Option<At<String>> {
        let value = self.get(key)?;
        match value.get_ref().as_str() {
            Some(s) => Some(At { value: s.to_owned(), line: self.line_of(value) }),
            None => {
                self.wrong(key, value, "text in quotes");
                None
            }
        }
    }

    /// True or false.
    pub(super) fn flag(&self, key: &'static str) -> Option<At<bool>> {
        let value = self.get(key)?;
        match value.get_ref().as_bool() {
            Some(b) => Some(At { value: b, line: self.line_of(value) }),
            None => {
                self.wrong(key, value, "true or false");
                None
            }
        }
    }

    /// A whole number within bounds.
    pub(super) fn number(&self, key: &'static str, least: u64, most: u64) -> Option<At<u64>> {
        let value = self.get(key)?;
        let line = self.line_of(value);
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|n| u64::from_str_radix(&n.as_str().replace('_', ""), n.radix()).ok());
        match number {
            Some(n) if (least..=most).contains(&n) => Some(At { value: n, line }),
            Some(n) => {
                self.fault(
                    line,
                    format!("{} is {n}", self.path(key)),
                    format!("write a number from {least} to {most}"),
                );
                None
            }
            None => {
                self.wrong(key, value, &format!("a whole number from {least} to {most}"));
                None
            }
        }
    }

    /// A list of texts; a single text counts as a list of one.
    pub(super) fn texts(&self, key: &'static str) -> Vec<At<String>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        if let Some(one) = value.get_ref().as_str() {
            return vec![At { value: one.to_owned(), line: self.line_of(value) }];
        }
        let Some(array) = value.get_ref().as_array() else {
            self.wrong(key, value, "a list of texts, as [\"one\", \"two\"]");
            return Vec::new();
        };
        array
            .iter()
            .filter_map(|item| match item.get_ref().as_str() {
                Some(s) => Some(At { value: s.to_owned(), line: self.line_of(item) }),
                None => {
                    self.wrong(key, item, "text in quotes");
                    None
                }
            })
            .collect()
    }

    /// A section within; an empty one where it is missing.
    pub(super) fn section(&self, key: &'static str) -> Section<'f, 'a> {
        let found = self.get(key);
        let table = found.and_then(|v| v.get_ref().as_table());
        if let (Some(value), None) = (found, table) {
            self.wrong(key, value, &format!("a section: [{}]", self.path(key)));
        }
        self.within(self.path(key), found.map_or(self.line, |v| self.line_of(v)), table)
    }

    /// Whether a section or key is there at all.
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.get(key).is_some()
    }

    /// The sections of a repeated header, `[[key]]`.
    pub(super) fn sections(&self, key: &'static str) -> Vec<Section<'f, 'a>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.wrong(key, value, &format!("double brackets: [[{}]]", self.path(key)));
            return Vec::new();
        };
        array
            .iter()
            .filter_map(|item| match item.get_ref().as_table() {
                Some(table) => Some(self.within(self.path(key), self.line_of(item), Some(table))),
                None => {
                    self.wrong(key, item, &format!("sections: [[{}]]", self.path(key)));
                    None
                }
            })
            .collect()
    }

    fn within(&self, name: String, line: usize, table: Option<&'f DeTable<'a>>) -> Section<'f, 'a> {
        let (text, faults) = (self.text, self.faults);
        Section { text, name, line, table, asked: RefCell::new(BTreeSet::new()), faults }
    }

    /// Names the keys that nobody asked for. Call it when all that is known was asked for.
    pub(super) fn finish(self) {
        let asked = self.asked.borrow();
        for (key, _) in self.table.into_iter().flatten() {
            let name: &str = key.get_ref();
            if !asked.contains(name) {
                let near = asked.iter().min_by_key(|a| distance(a, name));
                let remedy = match near {
                    Some(near) if distance(near, name) <= 2 => format!("did you mean {near}?"),
                    _ => format!("known here: {}", asked.iter().copied().collect::<Vec<_>>().join(", ")),
                };
                let line = line_of(self.text, key.span().start);
                self.fault(line, format!("{} is not known", self.path(name)), remedy);
            }
        }
    }
}

fn article(kind: &str) -> String {
    match kind.chars().next() {
        Some('a' | 'e' | 'i' | 'o' | 'u') => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}

/// Edit distance, for "did you mean".
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut before = i;
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
        for (j, cb) in b.iter().enumerate() {
            let (Some(&left), Some(&above)) = (row.get(j), row.get(j + 1)) else { break };
            let best = (before + usize::from(ca != *cb)).min(left + 1).min(above + 1);
            before = above;
            if let Some(cell) = row.get_mut(j + 1) {
                *cell = best;
            }
        }
    }
    row.last().copied().unwrap_or_default()
}
