//! The commands that Vault has: what they send, and how an answer of any kind is shown.

use super::*;

fn done() -> Value {
    json!({})
}

#[tokio::test]
async fn any_path_is_read_written_listed_and_deleted() {
    let fake = Fake::with(&[
        ("GET sys/config", 200, json!({"request_id": "r", "data": {"a": 1, "b": "two"}})),
        ("PUT sys/config", 204, done()),
        ("LIST sys/configs", 200, json!({"data": {"keys": ["x", "y/"]}})),
        ("DELETE sys/config", 204, done()),
        ("GET sys/none", 404, json!({"errors": []})),
    ])
    .await;
    let table = fake.run("twinkeep read sys/config depth=2").await.expect("read").text;
    assert_eq!(table, "Key    Value\n---    -----\na      1\nb      two");
    assert_eq!(fake.run("twinkeep read -field=b sys/config").await.expect("a field").text, "two");
    let written = fake.run("twinkeep write sys/config a=b").await.expect("written").text;
    assert_eq!(written, "Success! Data written to: sys/config");
    assert_eq!(fake.heard("PUT sys/config"), Some(json!({"a": "b"})));
    assert_eq!(fake.run("twinkeep list sys/configs").await.expect("a list").text, "Keys\n----\nx\ny/");
    assert!(fake.run("twinkeep delete sys/config").await.is_ok());
    let missing = fake.run("twinkeep read sys/none").await.expect_err("nothing there");
    assert_eq!((missing.exit, missing.text.as_str()), (2, "No value found at sys/none"));
    assert!(refused("twinkeep write sys/config").contains("<KEY=VALUE>"));
}

#[tokio::test]
async fn tokens_are_made_and_ended_and_shown_as_vaults_command_line_does() {
    let auth = json!({"auth": {"client_token": "hvs.new", "accessor": "a1", "lease_duration": 3600,
        "renewable": true, "token_policies": ["app"], "policies": ["app"]}});
    let fake = Fake::with(&[
        ("PUT auth/token/create", 200, auth.clone()),
        ("PUT auth/token/renew-self", 200, auth),
        ("PUT auth/token/revoke-accessor", 204, done()),
        ("PUT auth/token/revoke-orphan", 204, done()),
        ("PUT sys/capabilities-self", 200, json!({"data": {"capabilities": ["update", "read"]}})),
        ("PUT sys/capabilities", 200, json!({"data": {"capabilities": ["deny"]}})),
    ])
    .await;
    let words =
        "twinkeep token create -policy=app -policy=more -ttl=1h -use-limit=3 -orphan -metadata=a=b -field=token";
    assert_eq!(fake.run(words).await.expect("a token").text, "hvs.new");
    let sent = json!({"policies": ["app", "more"], "ttl": "1h", "num_uses": 3, "no_parent": true, "meta": {"a": "b"}});
    assert_eq!(fake.heard("PUT auth/token/create"), Some(sent));
    let table = fake.run("twinkeep token create").await.expect("a token").text;
    assert!(table.contains("token              hvs.new") && table.contains("token_duration     3600"), "{table}");
    fake.run("twinkeep token create -role=web").await.expect("a token of a role");
    assert!(fake.heard("PUT auth/token/create/web").is_some());
    fake.run("twinkeep token renew -increment=2h").await.expect("renewed");
    assert_eq!(fake.heard("PUT auth/token/renew-self"), Some(json!({"increment": "2h"})));
    fake.run("twinkeep token revoke -accessor a1").await.expect("revoked");
    assert_eq!(fake.heard("PUT auth/token/revoke-accessor"), Some(json!({"accessor": "a1"})));
    fake.run("twinkeep token revoke -mode=orphan hvs.old").await.expect("revoked");
    assert_eq!(fake.heard("PUT auth/token/revoke-orphan"), Some(json!({"token": "hvs.old"})));
    assert_eq!(fake.run("twinkeep token capabilities secret/a").await.expect("words").text, "read, update");
    fake.run("twinkeep token capabilities hvs.other secret/a").await.expect("words");
    assert_eq!(fake.heard("PUT sys/capabilities"), Some(json!({"token": "hvs.other", "path": "secret/a"})));
}

#[tokio::test]
async fn mounts_policies_and_audit_logs_are_named_by_their_paths() {
    let fake = Fake::with(&[
        ("GET sys/mounts", 200, json!({"data": {"kv/": {"type": "kv", "accessor": "kv_1", "description": ""}}})),
        ("PUT sys/mounts/team", 204, done()),
        ("PUT sys/mounts/team/tune", 204, done()),
        ("PUT sys/remount", 200, json!({"data": {"migration_id": "1"}})),
        ("PUT sys/audit/file", 204, done()),
        ("PUT sys/policies/acl/app", 204, done()),
        ("GET sys/policies/acl/app", 200, json!({"data": {"name": "app", "policy": "path \"a\" {}\n"}})),
        ("GET sys/policy", 200, json!({"data": {"policies": ["default", "root"]}})),
    ])
    .await;
    let table = fake.run("twinkeep secrets list").await.expect("a table").text;
    assert!(table.ends_with("kv/     kv      kv_1        n/a"), "{table}");
    fake.run("twinkeep secrets enable -path=team/ -version=2 kv").await.expect("enabled");
    let sent = json!({"type": "kv", "description": "", "options": {"version": "2"}});
    assert_eq!(fake.heard("PUT sys/mounts/team"), Some(sent));
    fake.run("twinkeep secrets tune -default-lease-ttl=2h team").await.expect("tuned");
    assert_eq!(fake.heard("PUT sys/mounts/team/tune"), Some(json!({"default_lease_ttl": "2h"})));
    fake.run("twinkeep secrets move team new").await.expect("moved");
    assert_eq!(fake.heard("PUT sys/remount"), Some(json!({"from": "team", "to": "new"})));
    fake.run("twinkeep audit enable file file_path=/var/log/a").await.expect("enabled");
    let sent = json!({"type": "file", "description": "", "options": {"file_path": "/var/log/a"}});
    assert_eq!(fake.heard("PUT sys/audit/file"), Some(sent));
    let mut pipe = Script { standard_input: "path \"a\" {}".into(), ..Script::default() };
    fake.run_as("twinkeep policy write app -", &mut pipe).await.expect("written");
    assert_eq!(fake.heard("PUT sys/policies/acl/app"), Some(json!({"policy": "path \"a\" {}"})));
    assert_eq!(fake.run("twinkeep policy read app").await.expect("a policy").text, "path \"a\" {}\n");
    assert_eq!(fake.run("twinkeep policy list").await.expect("names").text, "default\nroot");
}

#[tokio::test]
async fn kv_knows_both_versions() {
    let plain = json!({"data": {"path": "old/", "type": "kv", "options": {"version": "1"}}});
    let metadata = json!({"data": {"version": 3, "created_time": "t", "destroyed": false}});
    let secret = |n: u64| json!({"data": {"data": {"n": n}, "metadata": {"version": 2}}});
    let fake = Fake::with(&[
        kv_mount(),
        ("GET sys/internal/ui/mounts/old", 200, plain),
        ("PUT old/app", 204, done()),
        ("GET old/app", 200, json!({"request_id": "r", "data": {"user": "ann"}})),
        ("PATCH secret/data/app", 200, metadata.clone()),
        ("GET secret/data/app", 200, secret(1)),
        ("PUT secret/data/app", 200, metadata),
        ("PUT secret/undelete/app", 204, done()),
        ("PUT secret/metadata/app", 204, done()),
    ])
    .await;
    fake.run("twinkeep kv put old/app user=ann").await.expect("written");
    assert_eq!(fake.heard("PUT old/app"), Some(json!({"user": "ann"})));
    assert_eq!(fake.run("twinkeep kv get -field=user old/app").await.expect("a field").text, "ann");
    let refused = fake.run("twinkeep kv undelete -versions=1 old/app").await.expect_err("no versions");
    assert!(refused.text.contains("enable-versioning old"), "{}", refused.text);
    fake.run("twinkeep kv patch -cas=2 secret/app user=eve").await.expect("patched");
    let sent = json!({"data": {"user": "eve"}, "options": {"cas": 2}});
    assert_eq!(fake.heard("PATCH secret/data/app"), Some(sent));
    fake.run("twinkeep kv undelete -versions=1,2 secret/app").await.expect("undeleted");
    assert_eq!(fake.heard("PUT secret/undelete/app"), Some(json!({"versions": [1, 2]})));
    fake.run("twinkeep kv rollback -version=1 secret/app").await.expect("rolled back");
    assert_eq!(fake.heard("PUT secret/data/app"), Some(json!({"data": {"n": 1}, "options": {"cas": 2}})));
    fake.run("twinkeep kv metadata put -max-versions=5 -custom-metadata=owner=ann secret/app").await.expect("set");
    let sent = json!({"max_versions": 5, "custom_metadata": {"owner": "ann"}});
    assert_eq!(fake.heard("PUT secret/metadata/app"), Some(sent));
}

#[tokio::test]
async fn a_wrapped_answer_is_shown_by_its_token_and_unwrapped_without_an_argument() {
    let wrapped = json!({"wrap_info": {"token": "hvs.wrap", "accessor": "w", "ttl": 60}});
    let fake = Fake::with(&[
        ("GET secret/data/app", 200, wrapped),
        ("PUT sys/wrapping/unwrap", 200, json!({"request_id": "r", "data": {"k": "v"}})),
    ])
    .await;
    let table = fake.run("twinkeep read -wrap-ttl=60s secret/data/app").await.expect("wrapped").text;
    assert!(table.contains("wrapping_token") && table.contains("hvs.wrap"), "{table}");
    let mut pipe = Script { standard_input: "hvs.wrap\n".into(), ..Script::default() };
    let unwrapped = fake.run_as("twinkeep unwrap -field=k -", &mut pipe).await.expect("unwrapped").text;
    assert_eq!(unwrapped, "v");
    assert_eq!(fake.heard("PUT sys/wrapping/unwrap"), Some(json!({"token": "hvs.wrap"})));
}

#[tokio::test]
async fn a_rekey_is_begun_given_keys_and_verified() {
    let status = json!({"nonce": "n1", "started": true, "t": 2, "n": 3, "progress": 1, "required": 3,
        "verification_required": true, "verification_nonce": ""});
    let made = json!({"nonce": "n1", "complete": true, "keys_base64": ["one", "two", "three"],
        "verification_required": true, "verification_nonce": "v1"});
    let fake = Fake::with(&[
        ("PUT sys/rekey/init", 200, status.clone()),
        ("GET sys/rekey/init", 200, status),
        ("DELETE sys/rekey/init", 204, done()),
        ("PUT sys/rekey/update", 200, made),
        ("GET sys/rekey/verify", 200, json!({"nonce": "v1", "started": true, "t": 2, "n": 3, "progress": 0})),
        ("PUT sys/rekey/verify", 200, json!({"nonce": "v1", "complete": true})),
    ])
    .await;
    let begun = fake.run("twinkeep operator rekey -init -n 3 -t 2 -verify").await.expect("begun").text;
    let sent = json!({"secret_shares": 3, "secret_threshold": 2, "require_verification": true});
    assert_eq!(fake.heard("PUT sys/rekey/init"), Some(sent));
    assert!(begun.contains("Rekey Progress           1/3"), "{begun}");

    // Who can't see the nonce has to name it; who sits there is shown it.
    let piped = |text: &str| Script { standard_input: text.to_owned(), ..Script::default() };
    let refused = fake.run_as("twinkeep operator rekey", &mut piped("old")).await.expect_err("no nonce");
    assert!(refused.exit == 1 && refused.text.contains("-nonce"), "{}", refused.text);
    let made = fake.run_as("twinkeep operator rekey -nonce=n1", &mut piped("old\n")).await.expect("made").text;
    assert_eq!(fake.heard("PUT sys/rekey/update"), Some(json!({"key": "old", "nonce": "n1"})));
    assert!(made.starts_with("Key 1: one\nKey 2: two\nKey 3: three\n"), "{made}");
    assert!(made.contains("Verification nonce: v1"), "{made}");
    let mut person = Script { present: true, answers: vec!["new".to_owned()], ..Script::default() };
    let verified = fake.run_as("twinkeep operator rekey -verify", &mut person).await.expect("verified").text;
    assert!(person.told.contains("v1") && verified.contains("completed successfully"), "{verified}");
    assert_eq!(fake.heard("PUT sys/rekey/verify"), Some(json!({"key": "new", "nonce": "v1"})));
    assert!(fake.run("twinkeep operator rekey -cancel").await.is_ok());
}

#[tokio::test]
async fn a_snapshot_that_broke_off_replaces_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("region.snap");
    std::fs::write(&file, "the old one").expect("a file");
    let fake = Fake::with(&[("GET sys/storage/raft/snapshot", 200, json!("no archive"))]).await;
    let failed = fake.run(&format!("twinkeep operator raft snapshot save {}", file.display())).await;
    assert_eq!(failed.expect_err("no snapshot").exit, EXIT_SERVER);
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), "the old one");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing else is left");
}
