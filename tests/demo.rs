//! `twinkeep demo` without a terminal: two regions that end with equal Merkle roots, and leave nothing behind.

mod support;

use std::process::{Command, Output};
use support::BINARY;

fn headless(temp: &std::path::Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.args(["demo", "--headless"]).args(arguments).env("TMPDIR", temp);
    command.output().expect("the built binary starts")
}

fn ends_equal(nodes: &str) {
    let temp = tempfile::tempdir().expect("a folder");
    let out = headless(temp.path(), &["--for", "4", "--nodes", nodes, "--wan-latency", "20", "--write-rate", "50"]);
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{}\n{text}\n{}", out.status, String::from_utf8_lossy(&out.stderr));
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect();
    let end = lines.last().expect("a last line");
    assert_eq!(end["event"], "end");
    assert_eq!(end["equal"], true);
    assert_eq!(end["primary_root"], end["standby_root"]);
    let statuses = lines.iter().filter(|line| line["event"] == "status").count();
    assert!(statuses >= 3, "a line a second: {statuses}");
    assert!(!text.contains("\"token\":\""), "the activation token is printed nowhere");
    let left: Vec<_> = std::fs::read_dir(temp.path()).expect("the folder").collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn a_headless_demo_ends_with_equal_roots() {
    ends_equal("1");
}

#[test]
fn so_does_one_with_three_nodes_a_region() {
    ends_equal("3");
}
