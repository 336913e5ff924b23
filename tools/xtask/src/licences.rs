//! What the product is built from: licences, and no C but ring's. `deny.toml` says the same to
//! cargo-deny.

use crate::workspace::{self, list, text};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const ALLOWED: [&str; 16] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "0BSD",
    "BSL-1.0",
    "ISC",
    "Zlib",
    "MPL-2.0",
    "Unicode-3.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "Unlicense",
    "bzip2-1.0.6",
];

/// Packages that build or bind C. ring is let in with `cc`: TLS needs constant-time cryptography and
/// ring is the leanest that has it.
const C_BUILDERS: [&str; 5] = ["bindgen", "cmake", "pkg-config", "nasm-rs", "autotools"];

/// Declarations of a system's interface in Rust; they build no C.
const BINDINGS_ONLY: [&str; 3] = ["linux-raw-sys", "js-sys", "web-sys"];

/// Checks the tree of the package `ferrofax`.
pub fn check(manifest: &Path) -> Result<()> {
    let metadata = workspace::metadata(manifest, true)?;
    let packages: BTreeMap<&str, &Value> =
        list(&metadata, "packages").iter().map(|p| Ok((text(p, "id")?, p))).collect::<Result<_>>()?;
    let nodes: BTreeMap<&str, &Value> =
        list(&metadata["resolve"], "nodes").iter().map(|n| Ok((text(n, "id")?, n))).collect::<Result<_>>()?;
    let root = packages
        .iter()
        .find(|(_, p)| p["name"].as_str() == Some("ferrofax"))
        .map(|(id, _)| *id)
        .context("no package ferrofax")?;

    let mut tree = BTreeSet::new();
    let mut parents: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        if !tree.insert(id) {
            continue;
        }
        for dep in list(nodes.get(id).context("unresolved package")?, "deps") {
            let product = list(dep, "dep_kinds").iter().any(|k| k["kind"].as_str() != Some("dev"));
            if product {
                let child = text(dep, "pkg")?;
                parents.entry(child).or_default().insert(id);
                open.push(child);
            }
        }
    }

    let name = |id: &str| packages.get(id).and_then(|p| p["name"].as_str()).unwrap_or("?").to_owned();
    let mut faults = Vec::new();
    for id in &tree {
        let package = packages.get(id).context("unknown package")?;
        let (n, licence) = (name(id), package["license"].as_str().unwrap_or(""));
        if !allowed(licence) {
            faults.push(format!("{n}: licence {licence:?} is not in the list"));
        }
        let binds = n.ends_with("-sys") && !BINDINGS_ONLY.contains(&n.as_str());
        let builds = C_BUILDERS.contains(&n.as_str());
        let cc = n == "cc" && parents.get(id).is_some_and(|p| p.iter().any(|parent| name(parent) != "ring"));
        if binds || builds || cc {
            let by: Vec<String> =
                parents.get(id).map(|p| p.iter().map(|i| name(i)).collect()).unwrap_or_default();
            faults.push(format!("{n} brings C in (by {})", by.join(", ")));
        }
    }
    if !faults.is_empty() {
        bail!("the product's tree:\n  {}", faults.join("\n  "));
    }
    println!("licences: {} packages in order", tree.len());
    Ok(())
}

/// Whether an SPDX expression can be satisfied from the list: `OR` needs one side, `AND` both.
fn allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let tokens: Vec<String> =
        expression.replace('(', " ( ").replace(')', " ) ").split_whitespace().map(str::to_owned).collect();
    let mut at = 0;
    let answer = any_of(&tokens, &mut at);
    answer && at == tokens.len() && !tokens.is_empty()
}

fn any_of(tokens: &[String], at: &mut usize) -> bool {
    let mut answer = all_of(tokens, at);
    while tokens.get(*at).is_some_and(|t| t == "OR") {
        *at += 1;
        let right = all_of(tokens, at);
        answer = answer || right;
    }
    answer
}

fn all_of(tokens: &[String], at: &mut usize) -> bool {
    let mut answer = one(tokens, at);
    while tokens.get(*at).is_some_and(|t| t == "AND") {
        *at += 1;
        let right = one(tokens, at);
        answer = answer && right;
    }
    answer
}

fn one(tokens: &[String], at: &mut usize) -> bool {
    let Some(token) = tokens.get(*at) else {
        return false;
    };
    *at += 1;
    if token == "(" {
        let answer = any_of(tokens, at);
        *at += 1;
        return answer;
    }
    let mut licence = token.clone();
    if tokens.get(*at).is_some_and(|t| t == "WITH") {
        licence = format!("{licence} WITH {}", tokens.get(*at + 1).map_or("", String::as_str));
        *at += 2;
    }
    ALLOWED.contains(&licence.as_str())
}

#[cfg(test)]
mod tests {
    use super::allowed;

    #[test]
    fn expressions() {
        for good in [
            "MIT",
            "MIT OR Apache-2.0",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
        ] {
            assert!(allowed(good), "{good}");
        }
        for bad in ["", "GPL-3.0-only", "MIT AND LGPL-2.1", "(MIT", "AGPL-3.0 OR GPL-2.0"] {
            assert!(!allowed(bad), "{bad}");
        }
    }
}
