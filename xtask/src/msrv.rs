//! No dependency may ask for a newer compiler than the workspace states.

use crate::{Faults, cargo};
use serde_json::Value;

pub(crate) fn run() -> Faults {
    let output = match cargo().args(["metadata", "--format-version", "1", "--locked"]).output() {
        Ok(output) if output.status.success() => output,
        Ok(output) => return vec![format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr))],
        Err(error) => return vec![format!("cargo metadata: {error}")],
    };
    let Ok(metadata) = serde_json::from_slice::<Value>(&output.stdout) else {
        return vec!["cargo metadata is not JSON".into()];
    };
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    let ours = packages.iter().find(|package| package["name"] == "towline-proto").and_then(asked);
    let Some(stated) = ours else { return vec!["towline-proto states no rust-version".into()] };
    let newer = packages.iter().filter(|package| asked(package).is_some_and(|version| version > stated));
    newer.map(|package| format!("{} asks for Rust {}", package["name"], package["rust_version"])).collect()
}

/// Major and minor of the package's `rust-version`.
fn asked(package: &Value) -> Option<(u32, u32)> {
    let mut parts = package["rust_version"].as_str()?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next().unwrap_or("0").parse().ok()?))
}
