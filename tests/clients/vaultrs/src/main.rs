//! What vaultrs' users do, against one region; then, after a switchover, against the other.
//!
//!     vaultrs-story before ADDRESS CA TOKEN NOTES     does all of it, and notes the token that lives on
//!     vaultrs-story after  ADDRESS CA TOKEN NOTES     what was left behind is there, and the same token goes on

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use vaultrs::api::ResponseWrapper;
use vaultrs::api::kv2::requests::{ReadSecretRequest, SetSecretMetadataRequest, SetSecretRequestOptions};
use vaultrs::api::sys::requests::EnableEngineRequest;
use vaultrs::api::token::requests::{CreateTokenRequest, SetTokenRoleRequest};
use vaultrs::client::{VaultClient, VaultClientSettingsBuilder};
use vaultrs::error::ClientError;
use vaultrs::sys::{ServerStatus, auth, mount, policy, remount, wrapping};
use vaultrs::{cubbyhole, kv1, kv2, sys, token};

const POLICY: &str = r#"path "rs-kv/data/app/*" { capabilities = ["create", "read", "update"] }"#;

#[derive(Serialize, Deserialize, PartialEq, Eq, Debug, Clone)]
struct Secret {
    user: String,
    password: String,
}

fn secret(password: &str) -> Secret {
    Secret { user: "rs".into(), password: password.into() }
}

fn client(address: &str, ca: &str, token: &str) -> VaultClient {
    let settings = VaultClientSettingsBuilder::default()
        .address(address)
        .ca_certs(vec![ca.to_owned()])
        .token(token)
        .build()
        .expect("settings");
    VaultClient::new(settings).expect("a client")
}

/// The status and the errors of a call that must fail.
fn refused<T>(answer: Result<T, ClientError>) -> (u16, Vec<String>) {
    match answer {
        Err(ClientError::APIError { code, errors }) => (code, errors),
        Err(other) => panic!("an error of the server was expected, not {other:?}"),
        Ok(_) => panic!("an error was expected"),
    }
}

async fn before(root: &VaultClient, address: &str, ca: &str, notes: &str) -> Result<(), ClientError> {
    assert!(matches!(sys::status(root).await?, ServerStatus::OK | ServerStatus::STANDBY));
    if let Ok(health) = sys::health(root).await {
        assert!(health.initialized && !health.sealed && !health.performance_standby);
    }
    assert!(auth::list(root).await?.contains_key("token/"));

    let mut versioned = EnableEngineRequest::builder();
    versioned.options(HashMap::from([("version".to_owned(), "2".to_owned())]));
    mount::enable(root, "rs-kv", "kv", Some(&mut versioned)).await?;
    mount::enable(root, "rs-plain", "kv", None).await?;
    assert_eq!(mount::list(root).await?["rs-kv/"].mount_type, "kv");
    assert_eq!(mount::get_configuration_of_a_secret_engine(root, "rs-plain").await?.mount_type, "kv");
    let moved = remount::remount(root, "rs-plain", "rs-moved").await?;
    assert_eq!(remount::remount_status(root, &moved.migration_id).await?.migration_info.status, "success");

    kv1::set(root, "rs-moved", "dir/one", &HashMap::from([("key", "value")])).await?;
    let read: HashMap<String, String> = kv1::get(root, "rs-moved", "dir/one").await?;
    assert_eq!(read["key"], "value");
    assert_eq!(kv1::list(root, "rs-moved", "dir").await?.data.keys, ["one"]);
    kv1::delete(root, "rs-moved", "dir/none").await?;
    assert_eq!(refused(kv1::get::<Secret>(root, "rs-moved", "dir/none").await).0, 404);

    for (at, password) in ["one", "two", "three"].into_iter().enumerate() {
        let options = SetSecretRequestOptions { cas: at as u32 };
        let written = kv2::set_with_options(root, "rs-kv", "app/db", &secret(password), options).await?;
        assert_eq!(written.version, at as u64 + 1);
    }
    let late = SetSecretRequestOptions { cas: 1 };
    let (status, errors) = refused(kv2::set_with_options(root, "rs-kv", "app/db", &secret("late"), late).await);
    assert_eq!(status, 400);
    assert!(errors[0].contains("check-and-set"), "{errors:?}");
    assert_eq!(kv2::read::<Secret>(root, "rs-kv", "app/db").await?, secret("three"));
    assert_eq!(kv2::read_version::<Secret>(root, "rs-kv", "app/db", 2).await?, secret("two"));
    kv2::delete_latest(root, "rs-kv", "app/db").await?;
    // Not an error in Vault's form: a 404 that has the deleted version's metadata.
    let deleted = kv2::read::<Secret>(root, "rs-kv", "app/db").await;
    assert!(matches!(deleted, Err(ClientError::RestClientError { .. })), "{deleted:?}");
    kv2::undelete_versions(root, "rs-kv", "app/db", vec![3]).await?;
    kv2::destroy_versions(root, "rs-kv", "app/db", vec![1]).await?;
    let mut custom = SetSecretMetadataRequest::builder();
    custom.custom_metadata(HashMap::from([("owner".to_owned(), "rs".to_owned())])).max_versions(5u64);
    kv2::set_metadata(root, "rs-kv", "app/db", Some(&mut custom)).await?;
    let metadata = kv2::read_metadata(root, "rs-kv", "app/db").await?;
    assert_eq!((metadata.current_version, metadata.max_versions), (3, 5));
    assert!(metadata.versions["1"].destroyed && !metadata.versions["3"].destroyed);
    assert_eq!(kv2::list(root, "rs-kv", "app").await?, ["db"]);
    kv2::config::set(root, "rs-kv", None).await?;
    assert_eq!(kv2::config::read(root, "rs-kv").await?.cas_required, false);

    policy::set(root, "rs-app", POLICY).await?;
    assert_eq!(policy::read(root, "rs-app").await?.rules, POLICY);
    assert!(policy::list(root).await?.policies.contains(&"rs-app".to_owned()));
    let mut role = SetTokenRoleRequest::builder();
    role.allowed_policies(vec!["rs-app".to_owned()]).orphan(true);
    token::role::set(root, "rs-role", Some(&mut role)).await?;
    assert_eq!(token::role::read(root, "rs-role").await?.allowed_policies, ["rs-app"]);
    assert!(token::role::list(root).await?.keys.contains(&"rs-role".to_owned()));
    assert!(token::new_role(root, "rs-role", None).await?.orphan);

    let mut wanted = CreateTokenRequest::builder();
    wanted.policies(vec!["rs-app".to_owned()]).ttl("2h");
    let made = token::new(root, Some(&mut wanted)).await?;
    let app = client(address, ca, &made.client_token);
    assert_eq!(kv2::read::<Secret>(&app, "rs-kv", "app/db").await?, secret("three"));
    assert_eq!(
        refused(kv1::get::<Secret>(&app, "rs-moved", "dir/one").await),
        (403, vec!["1 error occurred:\n\t* permission denied\n\n".to_owned()])
    );
    assert_eq!(token::lookup_self(&app).await?.policies, ["default", "rs-app"]);
    assert_eq!(token::lookup(root, &made.client_token).await?.accessor, made.accessor);
    assert_eq!(token::lookup_accessor(root, &made.accessor).await?.creation_ttl, 7200);
    assert!(token::renew(root, &made.client_token, Some("1h")).await?.renewable);
    token::renew_self(&app, None).await?;
    token::renew_accessor(root, &made.accessor, None).await?;
    let orphan = token::new_orphan(root, None).await?;
    token::revoke_orphan(root, &orphan.client_token).await?;
    assert_eq!(refused(token::lookup(root, &orphan.client_token).await).0, 403);
    token::tidy(root).await?;

    cubbyhole::set(&app, "cubbyhole", "mine", &HashMap::from([("key", "value")])).await?;
    let kept: HashMap<String, String> = cubbyhole::get(&app, "cubbyhole", "mine").await?;
    assert_eq!(kept["key"], "value");

    let request = ReadSecretRequest::builder().mount("rs-kv").path("app/db").build();
    let wrapped = request.expect("a request").wrap(root).await?;
    assert_eq!(wrapping::lookup(root, &wrapped.info.token).await?.creation_path, "rs-kv/data/app/db");
    let inside: serde_json::Value = wrapping::unwrap(root, Some(&wrapped.info.token)).await?;
    assert_eq!(inside["data"]["password"], "three", "{inside}");
    std::fs::write(notes, &made.client_token).expect("the notes can be written");
    Ok(())
}

async fn after(root: &VaultClient, address: &str, ca: &str, notes: &str) -> Result<(), ClientError> {
    let app = client(address, ca, &std::fs::read_to_string(notes).expect("notes of the first part"));
    assert_eq!(kv2::read::<Secret>(&app, "rs-kv", "app/db").await?, secret("three"));
    assert_eq!(kv2::read_version::<Secret>(&app, "rs-kv", "app/db", 2).await?, secret("two"));
    assert_eq!(kv2::set(&app, "rs-kv", "app/db", &secret("elsewhere")).await?.version, 4);
    let kept: HashMap<String, String> = cubbyhole::get(&app, "cubbyhole", "mine").await?;
    assert_eq!(kept["key"], "value");
    let metadata = kv2::read_metadata(root, "rs-kv", "app/db").await?;
    assert_eq!((metadata.current_version, metadata.max_versions), (4, 5));
    let read: HashMap<String, String> = kv1::get(root, "rs-moved", "dir/one").await?;
    assert_eq!(read["key"], "value");
    token::revoke_self(&app).await?;
    assert_eq!(refused(token::lookup_self(&app).await), (403, vec!["permission denied".to_owned()]));
    kv2::delete_metadata(root, "rs-kv", "app/db").await?;
    policy::delete(root, "rs-app").await?;
    mount::disable(root, "rs-moved").await?;
    assert!(!mount::list(root).await?.contains_key("rs-moved/"));
    Ok(())
}

#[tokio::main]
async fn main() {
    rustls::crypto::ring::default_provider().install_default().expect("the first one");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [step, address, ca, token, notes] = arguments.as_slice() else {
        // Being asked nothing says that it is there.
        return println!("vaultrs-story before|after ADDRESS CA TOKEN NOTES");
    };
    let root = client(address, ca, token);
    match step.as_str() {
        "before" => before(&root, address, ca, notes).await,
        "after" => after(&root, address, ca, notes).await,
        other => panic!("no part `{other}`"),
    }
    .unwrap_or_else(|error| panic!("{error:?}"));
    println!("vaultrs {step}: done");
}
