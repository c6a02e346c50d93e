//! `twinkeep import`: what another server holds comes here with its versions; to repeat it is safe, and goes on.

use crate::support::{BINARY, Region, Shape, free_port, has_client, wait_for};
use serde_json::{Value, json};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use twinkeep::api::kv::Metadata;
use twinkeep::client::{Client, ClientOptions, KvText, Logical};
use twinkeep::sensitive::SensitiveString;

const BAO_TOKEN: &str = "root-of-the-source";
/// So many secrets that an import can be killed among them.
const MANY: usize = 150;

/// `bao server -dev`, which ends with this.
struct Bao(Child);

impl Drop for Bao {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Bao {
    async fn start(folder: &Path) -> (Bao, Client) {
        let address = format!("127.0.0.1:{}", free_port());
        // A development server listens on the next port as well.
        free_port();
        let log = File::create(folder.join("bao.log")).unwrap();
        let child = Command::new("bao")
            .args(["server", "-dev", &format!("-dev-root-token-id={BAO_TOKEN}")])
            .arg(format!("-dev-listen-address={address}"))
            // It leaves its token in the home directory.
            .env("HOME", folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let bao = Bao(child);
        let mut options = ClientOptions::new(format!("http://{address}")).token(SensitiveString::new(BAO_TOKEN));
        options.call_timeout = Duration::from_secs(60);
        let client = Client::new(options).unwrap();
        wait_for("bao to have its mount", || async { client.mounts().await.ok()?.get("secret/").map(drop) }).await;
        (bao, client)
    }
}

fn command(from: &Client, from_token: &str, to: &Region) -> Command {
    let mut command = Command::new(BINARY);
    command.args(["import", &format!("-from={}", from.address()), "-format=json"]);
    command.env("VAULT_ADDR", &to.nodes[0].address).env("VAULT_TOKEN", &to.token).env("VAULT_FROM_TOKEN", from_token);
    command.env("HOME", "/nonexistent").stdin(Stdio::null());
    command
}

/// Its report, its exit code, and what it said on the way.
fn import(from: &Client, from_token: &str, to: &Region, more: &[&str]) -> (Value, i32, String) {
    let done = command(from, from_token, to).args(more).output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    let report = serde_json::from_slice(&done.stdout).unwrap_or_else(|_| panic!("no report: {said}"));
    for secret in [from_token, &to.token, "canary"] {
        assert!(!said.contains(secret) && !Value::to_string(&report).contains(secret), "{said}");
    }
    (report, done.status.code().unwrap(), said)
}

async fn write(client: &Client, path: &str, body: Value) {
    client.logical(path, &[], Logical::Write(body), None).await.unwrap_or_else(|error| panic!("{path}: {error}"));
}

/// All that a secret can be: with versions deleted, destroyed, pruned, to be deleted; with settings; in folders.
async fn fill(source: &Client) {
    for version in 1..=3 {
        write(source, "secret/data/a", json!({"data": {"n": version, "x": "canary"}})).await;
    }
    source.kv_delete_versions("secret", "a", &[1]).await.unwrap();
    source.kv_destroy("secret", "a", &[2]).await.unwrap();
    for version in 1..=13 {
        write(source, "secret/data/pruned", json!({"data": {"n": version}})).await;
    }
    let settings = json!({"max_versions": 4, "custom_metadata": {"owner": "me"}, "delete_version_after": "1h"});
    write(source, "secret/metadata/set", settings).await;
    for version in 1..=6 {
        write(source, "secret/data/set", json!({"data": {"n": version}})).await;
    }
    write(source, "secret/metadata/none", json!({"custom_metadata": {"only": "metadata"}})).await;
    write(source, "secret/data/deep/er/a b%c", json!({"data": {"é": "<&>", "f": 1.5}})).await;
    write(source, "sys/mounts/v1", json!({"type": "kv", "options": {"version": "1"}, "description": "old"})).await;
    write(source, "v1/dir/one", json!({"a": "canary"})).await;
    let team = json!({"type": "kv", "options": {"version": "2"}, "config": {"max_lease_ttl": "48h", "listing_visibility": "unauth", "audit_non_hmac_request_keys": ["a", "b"]}});
    write(source, "sys/mounts/team/kv", team).await;
    wait_for("the mount to be upgraded", || async { source.kv_config("team/kv").await.ok() }).await;
    write(source, "team/kv/config", json!({"max_versions": 3, "cas_required": true})).await;
    write(source, "team/kv/data/s", json!({"data": {"a": 1}, "options": {"cas": 0}})).await;
    let rule = "path \"secret/data/app/*\" { capabilities = [\"read\"] }";
    write(source, "sys/policies/acl/app", json!({"policy": rule})).await;
}

/// Of a secret all but the times.
async fn shape(client: &Client, mount: &str, path: &str) -> Value {
    let metadata: Metadata = client.kv_metadata(mount, path).await.unwrap().unwrap();
    let mut versions = Vec::new();
    for (version, state) in &metadata.versions {
        let data = match client.kv_text(mount, path, *version).await.unwrap() {
            KvText::Live(text) => serde_json::from_str(text.expose()).unwrap(),
            KvText::Gone | KvText::Missing => Value::Null,
        };
        versions.push(json!([version, data, state.deletion_time.is_empty()]));
    }
    json!({
        "current": metadata.current_version,
        "settings": [metadata.max_versions, metadata.cas_required, metadata.delete_version_after],
        "custom": metadata.custom_metadata,
        "versions": versions,
    })
}

const SECRETS: [(&str, &str); 6] = [
    ("secret", "a"),
    ("secret", "pruned"),
    ("secret", "set"),
    ("secret", "none"),
    ("secret", "deep/er/a b%c"),
    ("team/kv", "s"),
];

async fn same_everywhere(source: &Client, here: &Client) {
    for (mount, path) in SECRETS {
        assert_eq!(shape(source, mount, path).await, shape(here, mount, path).await, "{mount}/{path}");
    }
    let (there, here_mounts) = (source.mounts().await.unwrap(), here.mounts().await.unwrap());
    for path in ["v1/", "team/kv/"] {
        let (theirs, ours) = (&there[path], &here_mounts[path]);
        assert_eq!((&theirs.options, &theirs.description), (&ours.options, &ours.description));
        assert_eq!(theirs.config, ours.config);
    }
    assert_eq!(source.kv_config("team/kv").await.unwrap(), here.kv_config("team/kv").await.unwrap());
    let text = |found: Option<SensitiveString>| found.map(|text| text.expose().to_owned());
    assert_eq!(text(here.plain_text("v1", "dir/one").await.unwrap()), Some(r#"{"a":"canary"}"#.to_owned()));
    let policy = here.logical("sys/policies/acl/app", &[], Logical::Read, None).await.unwrap().unwrap();
    assert!(policy["data"]["policy"].as_str().unwrap().contains("secret/data/app/*"));
}

/// The whole story, whoever the source is.
async fn story(source: &Client, token: &str, to: &Region) {
    let here = to.client().await;
    fill(source).await;

    let (report, exit, _) = import(source, token, to, &["-dry-run"]);
    assert_eq!((report["dry_run"].as_bool(), exit), (Some(true), 0), "{report}");
    assert!(here.kv_list("secret", "").await.unwrap().is_none(), "a dry run wrote something");

    let (report, exit, said) = import(source, token, to, &[]);
    assert_eq!(exit, 0, "{report}");
    assert!(said.contains("progress"), "{said}");
    same_everywhere(source, &here).await;

    // Again: all of it is here.
    let (report, exit, _) = import(source, token, to, &[]);
    let written: u64 =
        report["mounts"].as_array().unwrap().iter().map(|mount| mount["written"].as_u64().unwrap()).sum();
    assert_eq!((written, exit), (0, 0), "{report}");

    // A newer version follows. What was changed here stays, and is named.
    write(source, "secret/data/pruned", json!({"data": {"n": "newer"}})).await;
    write(source, "secret/data/a", json!({"data": {"n": "theirs"}})).await;
    write(&here, "secret/data/a", json!({"data": {"n": "ours"}})).await;
    write(&here, "v1/dir/one", json!({"a": "ours"})).await;
    let (report, exit, _) = import(source, token, to, &[]);
    let conflicts: Vec<&str> =
        report["conflicts"].as_array().unwrap().iter().map(|conflict| conflict["what"].as_str().unwrap()).collect();
    assert_eq!((conflicts, exit), (vec!["secret/a", "v1/dir/one"], 1), "{report}");
    assert_eq!(shape(source, "secret", "pruned").await, shape(&here, "secret", "pruned").await);
    assert!(shape(&here, "secret", "a").await["versions"][3][1]["n"] == "ours");

    // Killed among many, and run again.
    for number in 0..MANY {
        write(source, &format!("secret/data/many/{number}"), json!({"data": {"n": number}})).await;
    }
    let mut first = command(source, token, to)
        .args(["-parallel=1", "-mount=secret"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("some of many", || async { here.kv_list("secret", "many").await.ok()? }).await;
    first.kill().unwrap();
    first.wait().unwrap();
    let (report, _, _) = import(source, token, to, &["-mount=secret"]);
    let known = here.kv_list("secret", "many").await.unwrap().unwrap().keys.len();
    assert_eq!(known, MANY, "{report}");
    assert_eq!(report["mounts"][0]["problems"], 1, "{report}");

    let refused = command(source, "hvs.nobody", to).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(2) && said.contains("VAULT_FROM_TOKEN"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_openbao_holds_is_imported() {
    if !has_client("bao", &["bao", "version"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (_bao, source) = Bao::start(folder.path()).await;
    write(&source, "sys/mounts/transit", json!({"type": "transit"})).await;
    write(&source, "sys/auth/userpass", json!({"type": "userpass"})).await;
    let to = Region::start_as(folder.path(), "eu", Shape { engine: "sled", ..Shape::default() }).await;
    story(&source, BAO_TOKEN, &to).await;
    let (report, _, _) = import(&source, BAO_TOKEN, &to, &["-dry-run"]);
    for left in ["transit/", "sys/auth/userpass/"] {
        assert!(report["not_taken"].as_array().unwrap().iter().any(|item| item["what"] == left), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_twinkeep_holds_is_imported() {
    let folder = tempfile::tempdir().unwrap();
    let from = Region::start(folder.path(), "us", 1).await;
    let to = Region::start(folder.path(), "eu", 1).await;
    let source = from.client().await;
    story(&source, &from.token, &to).await;

    let itself = command(&source, &from.token, &from).output().unwrap();
    assert_eq!(itself.status.code(), Some(1), "{}", String::from_utf8_lossy(&itself.stderr));
}
