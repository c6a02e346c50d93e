//! What the program is built from, read off `cargo metadata` without a network: licences that go with MPL-2.0, and no
//! crate in two versions but those that are known.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Each of these allows what MPL-2.0 does. Of `A OR B` one is enough, of `A AND B` both are wanted.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "WTFPL",
    "Zlib",
];

/// Crates that others bring in more than one version. A name that is new here costs build time and size: see with
/// `cargo tree -d` whether it can be avoided before it is added. One that is no longer twice is taken out.
const TWICE: &[&str] = &[
    "base64",
    "bit-vec",
    "bitflags",
    "cpufeatures",
    "crypto-bigint",
    "derive_more",
    "derive_more-impl",
    "embedded-io",
    "generic-array",
    "getrandom",
    "hashbrown",
    "nix",
    "parking_lot",
    "parking_lot_core",
    "rand",
    "rand_chacha",
    "rand_core",
    "serdect",
    "spin",
    "syn",
    "synstructure",
    "thiserror",
    "thiserror-impl",
];

/// What is linked into the program or builds it, as name, version and licence; tests' own dependencies aside.
fn packages() -> Vec<(String, String, String)> {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--locked", "--format-version=1", "--filter-platform", &platform])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let metadata: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let nodes: BTreeMap<String, &Value> =
        array(&metadata["resolve"]["nodes"]).map(|node| (text(&node["id"]), node)).collect();
    let mut wanted = BTreeSet::new();
    let mut next = vec![text(&metadata["resolve"]["root"])];
    while let Some(id) = next.pop() {
        if wanted.insert(id.clone()) {
            let own =
                array(&nodes[&id]["deps"]).filter(|dep| array(&dep["dep_kinds"]).any(|kind| kind["kind"] != "dev"));
            next.extend(own.map(|dep| text(&dep["pkg"])));
        }
    }
    array(&metadata["packages"])
        .filter(|package| wanted.contains(&text(&package["id"])))
        .map(|package| (text(&package["name"]), text(&package["version"]), text(&package["license"])))
        .collect()
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// `A/B` is an older way to write `A OR B`. Brackets stand around parts of an `AND` only.
fn is_allowed(licence: &str) -> bool {
    let known = |name: &str| LICENCES.contains(&name.trim());
    let any = |part: &str| part.trim_matches(['(', ')']).replace('/', " OR ").split(" OR ").any(known);
    licence.split(" AND ").all(|part| any(part.trim()))
}

#[test]
fn licences_go_with_the_programs_own() {
    assert!(is_allowed("MIT/GPL-3.0") && is_allowed("(MIT OR X) AND Unicode-3.0"));
    assert!(!is_allowed("GPL-3.0") && !is_allowed("MIT AND GPL-3.0") && !is_allowed(""));
    let packages = packages();
    assert!(packages.len() > 100, "only {} packages were found", packages.len());
    let wrong: Vec<String> = packages
        .iter()
        .filter(|(.., licence)| !is_allowed(licence))
        .map(|(name, version, licence)| format!("{name} {version}: {licence:?}"))
        .collect();
    assert!(wrong.is_empty(), "licences that nobody agreed to:\n{}", wrong.join("\n"));
}

#[test]
fn no_crate_is_there_twice_that_need_not_be() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, version, _) in packages() {
        versions.entry(name).or_default().insert(version);
    }
    let twice: BTreeSet<&str> =
        versions.iter().filter(|(_, versions)| versions.len() > 1).map(|(name, _)| name.as_str()).collect();
    let known: BTreeSet<&str> = TWICE.iter().copied().collect();
    let new: Vec<String> = twice.difference(&known).map(|name| format!("{name}: {:?}", versions[*name])).collect();
    assert!(new.is_empty(), "in several versions now: {}", new.join(", "));
    let gone: Vec<&str> = known.difference(&twice).copied().collect();
    assert!(gone.is_empty(), "no longer in several versions, take them off the list: {gone:?}");
}
