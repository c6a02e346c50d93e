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
    assert!(statuses > 0, "a line a second, on a machine with time for it");
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

/// Plays one of the program's own scenarios; its last line is the score.
fn rehearsed(scenario: &str) -> serde_json::Value {
    let temp = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(BINARY);
    command.args(["demo", "--headless", "--wan-latency", "20", "--scenario", scenario]).env("TMPDIR", temp.path());
    let out = command.output().expect("the built binary starts");
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{}\n{text}\n{}", out.status, String::from_utf8_lossy(&out.stderr));
    let left: Vec<_> = std::fs::read_dir(temp.path()).expect("the folder").collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    let end: serde_json::Value = serde_json::from_str(text.lines().last().expect("a last line")).expect("JSON");
    assert_eq!(end["green"], true);
    end
}

#[test]
fn rehearsal_dead_primary_ends_green_and_its_score_counts_the_loss() {
    let score = &rehearsed("dead-primary")["score"];
    for fact in ["noticed_ms", "promoted_ms", "writes_again_ms", "lost"] {
        assert!(score[fact].is_u64(), "{fact}: {score}");
    }
}

#[test]
fn rehearsal_switchover_ends_green_and_nothing_is_lost() {
    assert_eq!(rehearsed("switchover")["score"]["lost"], 0);
}

#[test]
fn rehearsal_cut_link_ends_green_with_equal_roots() {
    let score = &rehearsed("cut-link")["score"];
    assert!(score["promoted_ms"].is_null(), "nobody was promoted: {score}");
}

#[test]
fn rehearsal_lost_leader_ends_green_with_equal_roots() {
    rehearsed("lost-leader");
}

#[test]
fn rehearsal_ledger_ends_green_with_all_that_was_lost_written_again() {
    let score = &rehearsed("ledger")["score"];
    assert!(score["lost"].as_u64().is_some_and(|lost| lost > 0), "{score}");
    assert_eq!(score["recovered"], score["lost"], "{score}");
}

#[test]
fn a_scenario_that_is_no_scenario_is_refused_before_anything_starts() {
    let temp = tempfile::tempdir().expect("a folder");
    let file = temp.path().join("mine.txt");
    std::fs::write(&file, "connect\nwait forever\n").expect("a file");
    let out = headless(temp.path(), &["--scenario", file.to_str().expect("a path")]);
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains(":2: `forever` is nothing to wait for"));
}
