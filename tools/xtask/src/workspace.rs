//! The workspace as `cargo metadata` tells it.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where a package stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Floor {
    /// A floor of the product, 0 (ground) to 6 (roof).
    Product(u64),
    /// Tests, benches and tools only.
    Garden,
}

/// One package of the workspace.
#[derive(Debug)]
pub struct Package {
    pub name: String,
    pub floor: Floor,
    pub dir: PathBuf,
    /// Normal and build dependencies: names, with the features asked for.
    pub dependencies: BTreeMap<String, Vec<String>>,
}

/// The raw metadata, with dependencies resolved for this platform when `deps`.
pub fn metadata(manifest: &Path, deps: bool) -> Result<Value> {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    command.args(["metadata", "--format-version", "1", "--manifest-path"]).arg(manifest);
    if deps {
        command.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
    } else {
        command.arg("--no-deps");
    }
    let output = command.output().context("cargo metadata does not start")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// A string field of a JSON object.
pub fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().with_context(|| format!("metadata without {key}"))
}

/// An array field of a JSON object; empty where it is missing.
pub fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// All packages of the workspace with their floors.
pub fn packages(manifest: &Path) -> Result<Vec<Package>> {
    list(&metadata(manifest, false)?, "packages").iter().map(package).collect()
}

fn package(value: &Value) -> Result<Package> {
    let name = text(value, "name")?.to_owned();
    let floor = match &value["metadata"]["house"]["floor"] {
        Value::Number(n) => Floor::Product(n.as_u64().context("a floor is 0 to 6")?),
        Value::String(s) if s == "garden" => Floor::Garden,
        _ => bail!("{name}: no floor in [package.metadata.house]"),
    };
    let manifest = Path::new(text(value, "manifest_path")?);
    let dependencies = list(value, "dependencies")
        .iter()
        .filter(|d| d["kind"].as_str() != Some("dev"))
        .map(|d| {
            let features = list(d, "features").iter().filter_map(|f| f.as_str().map(str::to_owned));
            Ok((text(d, "name")?.to_owned(), features.collect()))
        })
        .collect::<Result<_>>()?;
    Ok(Package { name, floor, dir: manifest.parent().context("manifest")?.to_owned(), dependencies })
}
