//! Policies as they are kept, and what tokens may do by them.

use super::*;
use crate::error::Error;

async fn allowed(f: &Fixture, token: &SensitiveString, path: &str, operation: Operation) -> bool {
    let acl = f.vault.authenticate(token, None, Use::ToCount).await.unwrap().acl;
    let asked = Asked { path, operation, parameters: &serde_json::Map::new, wrap_ttl: None };
    matches!(acl.decide(&asked), Decision::Allowed { .. })
}

#[tokio::test]
async fn a_tokens_rights_follow_its_policies() {
    let f = Fixture::open().await;
    let request = TokenRequest { policies: Some(vec!["reader".into()]), ..TokenRequest::default() };
    let token = f.vault.token_create(&f.caller().await, request).await.unwrap().value.token;
    let path = "secret/data/a";
    assert!(!allowed(&f, &token, path, Operation::Read).await);
    assert!(allowed(&f, &token, "auth/token/lookup-self", Operation::Read).await, "by the default policy");
    f.vault.policy_put("Reader", "path \"secret/data/*\" { capabilities = [\"read\"] }").await.unwrap();
    assert!(allowed(&f, &token, path, Operation::Read).await && !allowed(&f, &token, path, Operation::Update).await);
    f.vault.policy_put("reader", "path \"secret/data/*\" { capabilities = [\"update\"] }").await.unwrap();
    assert!(!allowed(&f, &token, path, Operation::Read).await && allowed(&f, &token, path, Operation::Update).await);
    f.vault.policy_delete("reader").await.unwrap();
    assert!(!allowed(&f, &token, path, Operation::Update).await);
    assert!(allowed(&f, &f.root, path, Operation::Delete).await);
}

#[tokio::test]
async fn policies_are_kept_by_name() {
    let f = Fixture::open().await;
    let text = "path \"x\" { capabilities = [\"read\"] }";
    assert_eq!(f.vault.policies().await.unwrap(), ["default", "root"]);
    for name in ["b", "A", "a"] {
        f.vault.policy_put(name, text).await.unwrap();
    }
    assert_eq!(f.vault.policies().await.unwrap(), ["a", "b", "default", "root"]);
    assert_eq!(f.vault.policy("B").await.unwrap().unwrap().text, text);
    assert_eq!(f.vault.policy("none").await.unwrap(), None);
    assert_eq!(f.vault.policy("root").await.unwrap().unwrap().text, "");
    assert!(f.vault.policy("default").await.unwrap().unwrap().text.contains("lookup-self"));
    // The default policy may be changed, not deleted; root neither.
    f.vault.policy_put("default", text).await.unwrap();
    assert_eq!(f.vault.policy("default").await.unwrap().unwrap().text, text);
    for error in [
        f.vault.policy_delete("default").await.unwrap_err(),
        f.vault.policy_put("root", text).await.unwrap_err(),
        f.vault.policy_delete("root").await.unwrap_err(),
        f.vault.policy_put("bad", "path \"x\" { capabilities = [\"fly\"] }").await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
    f.vault.policy_delete("none").await.unwrap();
}
