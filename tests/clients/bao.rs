//! What an operator does with OpenBao's command line, which is Vault's.

use super::{Part, Stage, succeeded};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

const POLICY: &str = r#"path "ops/data/app/*" { capabilities = ["create", "read", "update", "delete"] }
path "ops/metadata/app/*" { capabilities = ["list"] }
path "auth/token/create" { capabilities = ["update"] }
"#;

struct Bao<'a> {
    stage: &'a Stage,
    token: String,
    home: PathBuf,
}

impl Bao<'_> {
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("bao");
        command.args(arguments).env("HOME", &self.home);
        for prefix in ["VAULT", "BAO"] {
            command.env(format!("{prefix}_ADDR"), &self.stage.address).env(format!("{prefix}_CACERT"), &self.stage.ca);
            command.env(format!("{prefix}_TOKEN"), &self.token);
        }
        command.output().expect("bao starts")
    }

    fn ok(&self, arguments: &[&str]) -> String {
        succeeded(&format!("bao {}", arguments.join(" ")), &self.run(arguments))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        // The flag belongs behind the command's words and before its arguments; the environment spares finding out.
        let text = self.ok(arguments);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("bao {}: {error}: {text}", arguments.join(" ")))
    }

    /// Refused, with these words.
    fn refused(&self, arguments: &[&str], words: &str) {
        let out = self.run(arguments);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "bao {}: {said}", arguments.join(" "));
        assert!(said.contains(words), "bao {}: {said}", arguments.join(" "));
    }

    fn as_token(&self, token: &str) -> Bao<'_> {
        Bao { stage: self.stage, token: token.to_owned(), home: self.home.clone() }
    }
}

pub fn story(part: Part, stage: &Stage) {
    let home = stage.notes.join("bao-home");
    fs::create_dir_all(&home).expect("a home");
    let root = Bao { stage, token: stage.token.clone(), home };
    match part {
        Part::Before => before(&root),
        Part::After => after(&root),
    }
}

fn before(root: &Bao<'_>) {
    assert!(root.ok(&["status"]).contains("raft"));
    assert!(root.ok(&["operator", "raft", "list-peers"]).contains("us-east-1-2"));
    root.ok(&["operator", "members"]);
    root.ok(&["operator", "init", "-status"]);
    root.ok(&["login", &root.token]);
    mounts(root);
    versions(root);
    tokens(root);
    wrapping(root);
    keys_and_audit(root);
}

fn mounts(root: &Bao<'_>) {
    root.ok(&["secrets", "enable", "-path=ops", "-version=2", "kv"]);
    root.ok(&["secrets", "enable", "-path=plain", "-version=1", "-description=old", "kv"]);
    assert!(root.ok(&["secrets", "list", "-detailed"]).contains("ops/"));
    root.ok(&["secrets", "tune", "-default-lease-ttl=3h", "-description=tuned", "ops/"]);
    assert_eq!(root.json(&["read", "-format=json", "sys/mounts/ops/tune"])["data"]["default_lease_ttl"], 10800);
    root.ok(&["secrets", "move", "plain", "older"]);
    root.ok(&["kv", "put", "older/one", "key=value"]);
    assert_eq!(root.ok(&["kv", "get", "-field=key", "older/one"]).trim(), "value");
    root.ok(&["write", "older/raw", "a=1", "b=two"]);
    assert_eq!(root.json(&["read", "-format=json", "older/raw"])["data"]["b"], "two");
    assert_eq!(root.json(&["list", "-format=json", "older/"]), serde_json::json!(["one", "raw"]));
    root.ok(&["delete", "older/raw"]);
    root.refused(&["read", "older/raw"], "No value found");
    root.ok(&["secrets", "enable", "-path=short", "kv"]);
    root.ok(&["secrets", "disable", "short"]);
}

fn versions(root: &Bao<'_>) {
    root.ok(&["kv", "put", "-mount=ops", "app/db", "user=root", "password=s3cr3t"]);
    root.ok(&["kv", "put", "ops/app/db", "user=root", "password=changed"]);
    assert_eq!(root.ok(&["kv", "get", "-field=password", "ops/app/db"]).trim(), "changed");
    assert_eq!(root.ok(&["kv", "get", "-version=1", "-field=password", "ops/app/db"]).trim(), "s3cr3t");
    assert!(root.ok(&["kv", "list", "ops/app"]).contains("db"));
    root.refused(&["kv", "put", "-cas=1", "ops/app/db", "user=late"], "check-and-set");
    root.ok(&["kv", "patch", "ops/app/db", "user=admin"]);
    root.ok(&["kv", "patch", "-method=rw", "ops/app/db", "more=1"]);
    root.ok(&["kv", "rollback", "-version=1", "ops/app/db"]);
    assert_eq!(root.ok(&["kv", "get", "-field=password", "ops/app/db"]).trim(), "s3cr3t");
    root.ok(&["kv", "delete", "ops/app/db"]);
    // As with Vault: a deleted version is shown, without its data.
    let deleted = root.ok(&["kv", "get", "ops/app/db"]);
    assert!(deleted.contains("deletion_time") && !deleted.contains("admin"), "{deleted}");
    root.ok(&["kv", "undelete", "-versions=5", "ops/app/db"]);
    root.ok(&["kv", "destroy", "-versions=2", "ops/app/db"]);
    root.ok(&["kv", "metadata", "put", "-max-versions=7", "-custom-metadata=owner=ops", "ops/app/db"]);
    let metadata = root.json(&["kv", "metadata", "get", "-format=json", "ops/app/db"]);
    assert_eq!(metadata["data"]["custom_metadata"]["owner"], "ops", "{metadata}");
    assert_eq!(metadata["data"]["versions"]["2"]["destroyed"], true, "{metadata}");
    root.ok(&["kv", "put", "ops/app/passing", "a=1"]);
    root.ok(&["kv", "metadata", "delete", "ops/app/passing"]);
    root.refused(&["kv", "get", "ops/app/passing"], "No value found");
}

fn tokens(root: &Bao<'_>) {
    let file = root.home.join("app.hcl");
    fs::write(&file, POLICY).expect("a policy's file");
    root.ok(&["policy", "write", "ops-app", &file.display().to_string()]);
    assert_eq!(root.ok(&["policy", "read", "ops-app"]).trim(), POLICY.trim());
    assert!(root.ok(&["policy", "list"]).contains("ops-app"));
    let made = root.json(&["token", "create", "-format=json", "-policy=ops-app", "-ttl=2h", "-display-name=ops"]);
    let (token, accessor) = (text(&made["auth"]["client_token"]), text(&made["auth"]["accessor"]));
    let app = root.as_token(&token);
    app.ok(&["kv", "put", "ops/app/mine", "a=b"]);
    app.refused(&["kv", "put", "ops/other", "a=b"], "permission denied");
    assert_eq!(app.ok(&["token", "capabilities", "ops/data/app/x"]).trim(), "create, delete, read, update");
    assert!(app.ok(&["token", "lookup"]).contains("token-ops"));
    app.ok(&["token", "renew", "-increment=1h"]);
    root.ok(&["token", "lookup", "-accessor", &accessor]);
    let child = text(&app.json(&["token", "create", "-format=json"])["auth"]["client_token"]);
    root.ok(&["token", "revoke", &child]);
    root.as_token(&child).refused(&["token", "lookup"], "permission denied");
    fs::write(root.home.join("token"), token).expect("notes");
    root.ok(&["write", "auth/token/roles/web", "allowed_policies=ops-app", "token_period=1h"]);
    assert!(root.ok(&["list", "auth/token/roles"]).contains("web"));
    root.ok(&["token", "create", "-role=web"]);
    root.ok(&["token", "create", "-orphan", "-use-limit=3", "-policy=default"]);
    assert!(root.ok(&["token", "create", "-type=batch", "-policy=ops-app", "-field=token"]).starts_with("b."));
}

fn wrapping(root: &Bao<'_>) {
    let wrapped = root.json(&["kv", "get", "-format=json", "-wrap-ttl=10m", "ops/app/db"]);
    let token = text(&wrapped["wrap_info"]["token"]);
    assert_eq!(root.ok(&["unwrap", "-format=json", &token]).matches("s3cr3t").count(), 1);
    root.refused(&["unwrap", &token], "wrapping token is not valid");
}

/// While the other clients are at work.
fn keys_and_audit(root: &Bao<'_>) {
    root.ok(&["write", "cubbyhole/a", "b=c"]);
    assert_eq!(root.ok(&["read", "-field=b", "cubbyhole/a"]).trim(), "c");
    root.ok(&["operator", "rotate"]);
    assert!(root.ok(&["operator", "key-status"]).contains('2'));
    assert!(root.ok(&["operator", "raft", "autopilot", "state"]).contains("us-east-1-0"));
    let log = root.home.join("audit.log");
    root.ok(&["audit", "enable", "file", &format!("file_path={}", log.display())]);
    assert!(root.ok(&["audit", "list"]).contains("file/"));
    root.ok(&["kv", "get", "ops/app/mine"]);
    assert!(fs::read_to_string(&log).expect("the log").contains("ops/data/app/mine"));
    root.ok(&["audit", "disable", "file"]);
}

fn after(root: &Bao<'_>) {
    let app = root.as_token(&fs::read_to_string(root.home.join("token")).expect("notes of the first part"));
    assert_eq!(app.ok(&["kv", "get", "-field=a", "ops/app/mine"]).trim(), "b");
    app.ok(&["kv", "put", "-cas=1", "ops/app/mine", "a=elsewhere"]);
    assert!(app.ok(&["kv", "list", "ops/app"]).contains("mine"));
    assert_eq!(root.ok(&["kv", "get", "-field=key", "older/one"]).trim(), "value");
    root.ok(&["kv", "enable-versioning", "older/"]);
    assert_eq!(root.ok(&["kv", "get", "-field=key", "older/one"]).trim(), "value");
    assert!(root.ok(&["policy", "read", "ops-app"]).contains("ops/data/app/*"));
    app.ok(&["token", "revoke", "-self"]);
    app.refused(&["token", "lookup"], "permission denied");
    root.ok(&["policy", "delete", "ops-app"]);
    assert!(root.ok(&["operator", "key-status"]).contains('2'));
    root.ok(&["operator", "step-down"]);
    assert!(root.ok(&["operator", "raft", "list-peers"]).contains("eu-west-1-0"));
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text was expected, not {value}")).to_owned()
}
