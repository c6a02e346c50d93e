//! Tokens: creation, lookup, use, expiry, renewal, revocation, roles.

use super::*;
use crate::error::Error;
use crate::secrets::Cidr;
use crate::secrets::kv::Plain;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAYS_32: Duration = Duration::from_secs(768 * 3600);

async fn make(f: &Fixture, of: &SensitiveString, request: TokenRequest) -> Result<TokenMade, Error> {
    let caller = f.vault.authenticate(of, None, Use::ToCount).await?;
    Ok(f.vault.token_create(&caller, request).await?.value)
}

async fn child(f: &Fixture, of: &SensitiveString, request: TokenRequest) -> (SensitiveString, TokenInfo) {
    let made = make(f, of, request).await.unwrap();
    (made.token, made.info)
}

/// The words of a refusal.
async fn refused(f: &Fixture, of: &SensitiveString, request: TokenRequest) -> String {
    make(f, of, request).await.unwrap_err().to_string()
}

async fn is_good(f: &Fixture, token: &SensitiveString) -> bool {
    match f.vault.authenticate(token, None, Use::ToCount).await {
        Ok(_) => true,
        Err(Error::PermissionDenied) => false,
        Err(error) => panic!("{error}"),
    }
}

fn with_policies(policies: &[&str]) -> TokenRequest {
    let named = policies.iter().map(|&policy| policy.to_owned()).collect();
    TokenRequest { policies: (!policies.is_empty()).then_some(named), ..TokenRequest::default() }
}

fn lasting(ttl: Duration) -> TokenRequest {
    TokenRequest { ttl, ..with_policies(&["default"]) }
}

#[tokio::test]
async fn the_root_token_is_known_and_others_are_not() {
    let f = Fixture::open().await;
    assert!(f.root.expose().starts_with("s.") && f.root.expose().len() >= 26);
    let caller = f.caller().await;
    let info = f.vault.token_lookup_self(&caller).await.unwrap();
    assert_eq!((info.policies.as_slice(), info.display_name.as_str()), (["root".to_owned()].as_slice(), "root"));
    assert_eq!((info.expires_at, info.orphan, info.path.as_str()), (None, true, "auth/token/root"));
    assert_eq!(f.vault.token_lookup(&f.root).await.unwrap(), info);
    assert_eq!(f.vault.token_lookup_accessor(&caller.accessor).await.unwrap(), info);
    for wrong in ["", "s.", "s.0000000000000000000000000000", "root", "b.AAAA", "b.", &"x".repeat(100_000)] {
        assert!(!is_good(&f, &SensitiveString::new(wrong)).await);
    }
    let unknown = f.vault.token_lookup(&SensitiveString::new("s.nope")).await.unwrap_err();
    assert_eq!(unknown.to_string(), "bad token");
    assert_eq!(f.vault.token_lookup_accessor("nope").await.unwrap_err().to_string(), "invalid accessor");
}

#[tokio::test]
async fn a_token_ends_with_its_time_and_takes_its_family() {
    let f = Fixture::open().await;
    let (token, info) = child(&f, &f.root, lasting(MINUTE)).await;
    assert_eq!((info.creation_ttl, info.ttl, info.orphan, info.renewable), (MINUTE, MINUTE, false, true));
    f.vault
        .policy_put("maker", "path \"auth/token/*\" { capabilities = [\"create\", \"update\", \"sudo\"] }")
        .await
        .unwrap();
    let (grandchild, info) = child(&f, &token, lasting(10 * MINUTE)).await;
    assert_eq!(info.ttl, 10 * MINUTE);
    let (orphan, _) = child(&f, &token, TokenRequest { parent: Parent::None, ..lasting(10 * MINUTE) }).await;
    let (batch, _) = child(&f, &token, TokenRequest { kind: Some(TokenKind::Batch), ..lasting(10 * MINUTE) }).await;
    f.pass(Duration::from_secs(45));
    assert_eq!(f.vault.token_lookup(&token).await.unwrap().ttl, Duration::from_secs(15));
    assert!(is_good(&f, &batch).await);
    f.pass(Duration::from_secs(15));
    // Refused at once, with all that descend from it, though nothing was removed yet.
    let good = [is_good(&f, &token).await, is_good(&f, &grandchild).await, is_good(&f, &batch).await];
    assert_eq!((good, is_good(&f, &orphan).await), ([false; 3], true));
    assert_eq!(f.vault.token_accessors().await.unwrap().len(), 4);
    while f.vault.sweep_tokens().await.unwrap() {}
    assert_eq!(f.vault.token_accessors().await.unwrap().len(), 2);
    assert!(is_good(&f, &f.root).await);
}

#[tokio::test]
async fn what_has_ended_stays_ended_when_a_clock_goes_back() {
    let f = Fixture::open().await;
    let (token, _) = child(&f, &f.root, lasting(MINUTE)).await;
    f.pass(2 * MINUTE);
    assert!(!is_good(&f, &token).await);
    f.put("a", "{}").await;
    f.now.fetch_sub((10 * MINUTE).as_nanos() as u64, Ordering::Relaxed);
    assert!(!is_good(&f, &token).await, "a later time was agreed on already");
    assert!(!f.vault.sweep_tokens().await.unwrap());
    assert_eq!(f.vault.token_accessors().await.unwrap().len(), 1);
}

#[tokio::test]
async fn policies_are_the_callers_or_some_of_them() {
    let f = Fixture::open().await;
    let policies = |made: TokenMade| made.info.policies.join(",");
    let made = |of: &SensitiveString, request| {
        let (f, of) = (&f, of.clone());
        async move { make(f, &of, request).await }
    };
    assert_eq!(policies(made(&f.root, TokenRequest::default()).await.unwrap()), "root");
    let one = made(&f.root, with_policies(&["B", " a "])).await.unwrap();
    assert_eq!(one.info.policies.join(","), "a,b,default");
    assert_eq!(one.warnings, ["Policy \"a\" does not exist", "Policy \"b\" does not exist"]);
    let bare = TokenRequest { no_default_policy: true, ..with_policies(&["a"]) };
    let without = made(&f.root, bare).await.unwrap();
    assert_eq!(without.info.policies.join(","), "a");
    // Whoever is not privileged passes on what it has, and the default policy only if it has it.
    assert_eq!(policies(made(&one.token, TokenRequest::default()).await.unwrap()), "a,b,default");
    assert_eq!(policies(made(&one.token, with_policies(&["a"])).await.unwrap()), "a,default");
    assert_eq!(policies(made(&without.token, with_policies(&["a"])).await.unwrap()), "a");
    assert_eq!(refused(&f, &one.token, with_policies(&["c"])).await, "child policies must be subset of parent");
    assert_eq!(refused(&f, &one.token, with_policies(&["root"])).await, "child policies must be subset of parent");
    let privileged = TokenRequest { sudo: true, ..with_policies(&["root"]) };
    let words = refused(&f, &one.token, privileged).await;
    assert_eq!(words, "root tokens may not be created without parent token being root");
    let privileged = TokenRequest { sudo: true, ..with_policies(&["c"]) };
    assert_eq!(policies(made(&one.token, privileged).await.unwrap()), "c,default");
    assert_eq!(
        refused(&f, &f.root, with_policies(&["response-wrapping"])).await,
        "cannot assign policy \"response-wrapping\""
    );
}

#[tokio::test]
async fn privileges_are_asked_for() {
    let f = Fixture::open().await;
    let (plain, _) = child(&f, &f.root, lasting(HOUR)).await;
    let orphan = TokenRequest { parent: Parent::NoneIfAllowed, ..Default::default() };
    let periodic = TokenRequest { period: HOUR, ..Default::default() };
    let named = TokenRequest { id: Some(SensitiveString::new("mine")), ..Default::default() };
    for (request, what) in
        [(orphan, "create orphan token"), (periodic, "create periodic token"), (named.clone(), "specify token id")]
    {
        assert_eq!(refused(&f, &plain, request.clone()).await, format!("root or sudo privileges required to {what}"));
        make(&f, &plain, TokenRequest { sudo: true, ..request }).await.unwrap();
    }
    assert_eq!(refused(&f, &f.root, named).await, "cannot create a token with a duplicate ID");
    assert!(is_good(&f, &SensitiveString::new("mine")).await);
}

#[tokio::test]
async fn renewals_move_the_end_within_the_bounds() {
    let f = Fixture::open().await;
    let end = |token: &SensitiveString| {
        let (f, token) = (&f, token.clone());
        async move { f.vault.token_lookup(&token).await.unwrap().ttl }
    };
    let (token, _) = child(&f, &f.root, lasting(HOUR)).await;
    f.pass(50 * MINUTE);
    let (info, warning) = f.vault.token_renew(&token, Duration::ZERO).await.unwrap().value;
    assert_eq!((info.ttl, warning), (HOUR, None));
    assert_eq!(f.vault.token_renew(&token, 5 * MINUTE).await.unwrap().value.0.ttl, 5 * MINUTE);
    let (info, warning) = f.vault.token_renew(&token, 2 * DAYS_32).await.unwrap().value;
    assert!(warning.is_some() && info.ttl == DAYS_32 - 50 * MINUTE, "{info:?}");
    f.pass(2 * HOUR);
    assert!(is_good(&f, &token).await);
    assert_eq!(f.vault.sweep_tokens().await.ok(), Some(false), "its old ends are forgotten");

    let (bounded, _) = child(&f, &f.root, TokenRequest { explicit_max_ttl: HOUR, ..lasting(40 * MINUTE) }).await;
    f.pass(30 * MINUTE);
    f.vault.token_renew(&bounded, Duration::ZERO).await.unwrap();
    assert_eq!(end(&bounded).await, 30 * MINUTE);
    let (periodic, info) = child(&f, &f.root, TokenRequest { period: HOUR, ..with_policies(&["default"]) }).await;
    assert_eq!(info.ttl, HOUR);
    for _ in 0..1000 {
        f.pass(59 * MINUTE);
        f.vault.token_renew(&periodic, 5 * HOUR).await.unwrap();
    }
    assert_eq!(end(&periodic).await, HOUR);

    let fixed = TokenRequest { renewable: Some(false), ..lasting(HOUR) };
    let (fixed, _) = child(&f, &f.root, fixed).await;
    for token in [&fixed, &f.root] {
        let error = f.vault.token_renew(token, HOUR).await.unwrap_err();
        assert_eq!(error.to_string(), "lease is not renewable");
    }
}

#[tokio::test]
async fn a_token_is_good_for_so_many_requests() {
    let f = Fixture::open().await;
    let (token, info) = child(&f, &f.root, TokenRequest { uses: 3, ..lasting(HOUR) }).await;
    assert_eq!(info.uses, 3);
    let first = f.vault.authenticate(&token, None, Use::ToCount).await.unwrap();
    f.vault.finish(&first).await.unwrap();
    assert_eq!(f.vault.token_lookup(&token).await.unwrap().uses, 2);
    let second = f.vault.authenticate(&token, None, Use::ToCount).await.unwrap();
    let words = f.vault.token_create(&second, TokenRequest::default()).await.unwrap_err().to_string();
    assert_eq!(words, "restricted use token cannot generate child tokens");
    let last = f.vault.authenticate(&token, None, Use::ToCount).await.unwrap();
    assert!(!is_good(&f, &token).await, "the last use was taken");
    // The same request, sent to another leader, is the same use, and still the last one.
    let again = f.vault.authenticate(&token, None, Use::Counted).await.unwrap();
    assert_eq!(again.uses, Some(0));
    assert!(f.vault.recognise(&token, None, Use::ToCount).unwrap().is_none(), "to look counts nothing");
    // The request itself may still look at its token.
    assert_eq!(f.vault.token_lookup_self(&last).await.unwrap().uses, 0);
    f.vault.finish(&last).await.unwrap();
    assert_eq!(f.vault.token_accessors().await.unwrap().len(), 1);
}

#[tokio::test]
async fn uses_are_counted_one_by_one() {
    let f = Arc::new(Fixture::open().await);
    let (token, _) = child(&f, &f.root, TokenRequest { uses: 20, ..lasting(HOUR) }).await;
    let tries = (0..50).map(|_| {
        let (f, token) = (f.clone(), token.clone());
        tokio::spawn(async move { is_good(&f, &token).await })
    });
    let good = futures::future::join_all(tries).await.into_iter().filter(|good| *good.as_ref().unwrap()).count();
    assert_eq!(good, 20);
}

#[tokio::test]
async fn batch_tokens_are_kept_nowhere() {
    let f = Fixture::open().await;
    let batch = |request| TokenRequest { kind: Some(TokenKind::Batch), ..request };
    let before = f.consensus.state().path().applied;
    let (token, info) = child(&f, &f.root, batch(lasting(HOUR))).await;
    assert_eq!(f.consensus.state().path().applied, before);
    assert!(token.expose().starts_with("b.") && info.accessor.is_empty() && !info.renewable, "{info:?}");
    assert_eq!(f.vault.token_lookup(&token).await.unwrap(), info);
    let caller = f.vault.authenticate(&token, None, Use::ToCount).await.unwrap();
    assert_eq!(caller.policies, ["default"]);
    assert!(f.vault.token_create(&caller, TokenRequest::default()).await.is_err());
    assert!(f.vault.token_renew_self(&caller, HOUR).await.is_err());
    assert_eq!(refused(&f, &f.root, batch(TokenRequest::default())).await, "batch tokens cannot be root tokens");
    let counted = batch(TokenRequest { uses: 1, ..lasting(HOUR) });
    assert_eq!(refused(&f, &f.root, counted).await, "batch tokens cannot have \"num_uses\" set");
    let mut forged = token.expose().to_owned();
    forged.replace_range(20..21, if &forged[20..21] == "A" { "B" } else { "A" });
    assert!(!is_good(&f, &SensitiveString::new(forged)).await);
    f.pass(HOUR);
    assert!(!is_good(&f, &token).await);
}

#[tokio::test]
async fn roles_say_what_their_tokens_are() {
    let f = Fixture::open().await;
    let change = |role: &mut TokenRole| {
        role.allowed_policies = vec!["a".into(), "b".into()];
        role.allowed_policies_glob = vec!["dev-*".into()];
        role.period = HOUR;
        role.orphan = true;
        role.path_suffix = "v1".into();
        Ok(())
    };
    f.vault.token_role_put("web", change).await.unwrap();
    assert_eq!(f.vault.token_roles().await.unwrap(), ["web"]);
    let of_role = |policies: &[&str]| TokenRequest { role: Some("web".into()), ..with_policies(policies) };
    let (plain, _) = child(&f, &f.root, lasting(HOUR)).await;
    let (_, info) = child(&f, &plain, of_role(&[])).await;
    assert_eq!((info.policies.join(","), info.ttl, info.orphan), ("a,b,default".into(), HOUR, true));
    assert_eq!((info.path.as_str(), info.role.as_deref()), ("auth/token/create/web/v1", Some("web")));
    assert_eq!(child(&f, &plain, of_role(&["dev-x"])).await.1.policies.join(","), "default,dev-x");
    assert!(refused(&f, &f.root, of_role(&["c"])).await.contains("must be subset of the role's allowed policies"));
    let unknown = TokenRequest { role: Some("none".into()), ..TokenRequest::default() };
    assert_eq!(refused(&f, &f.root, unknown).await, "unknown role none");
    let closed = |role: &mut TokenRole| {
        role.disallowed_policies = vec!["secret".into()];
        role.kind = RoleKind::Batch;
        Ok(())
    };
    f.vault.token_role_put("closed", closed).await.unwrap();
    let of_closed = |policies: &[&str]| TokenRequest { role: Some("closed".into()), ..with_policies(policies) };
    let words = refused(&f, &f.root, of_closed(&["secret"])).await;
    assert_eq!(words, "token policy \"secret\" is disallowed by this role");
    assert_eq!(child(&f, &f.root, of_closed(&["x"])).await.1.kind, TokenKind::Batch);
    f.vault.token_role_delete("web").await.unwrap();
    assert_eq!(f.vault.token_role("web").await.unwrap(), None);
}

#[tokio::test]
async fn revoking_a_token_takes_its_family() {
    let f = Fixture::open().await;
    let (parent, info) = child(&f, &f.root, TokenRequest::default()).await;
    let (one, _) = child(&f, &parent, TokenRequest::default()).await;
    let (two, _) = child(&f, &one, TokenRequest::default()).await;
    let (orphan, _) = child(&f, &one, TokenRequest { parent: Parent::None, ..Default::default() }).await;
    f.vault.token_revoke_accessor(&info.accessor).await.unwrap();
    for gone in [&parent, &one, &two] {
        assert!(!is_good(&f, gone).await);
    }
    assert!(is_good(&f, &orphan).await && is_good(&f, &f.root).await);
    assert_eq!(f.vault.token_accessors().await.unwrap().len(), 2);
    let unknown = f.vault.token_revoke_accessor(&info.accessor).await.unwrap_err();
    assert_eq!(unknown.to_string(), "invalid accessor");
    f.vault.token_revoke(&parent).await.unwrap();

    let caller = f.vault.authenticate(&orphan, None, Use::ToCount).await.unwrap();
    f.vault.token_revoke_self(&caller).await.unwrap();
    assert!(!is_good(&f, &orphan).await);
    let late = f.vault.token_create(&caller, TokenRequest::default()).await.unwrap_err();
    assert!(matches!(late, Error::PermissionDenied), "the parent went after it was authenticated");
}

#[tokio::test]
async fn children_outlive_a_token_that_is_revoked_alone() {
    let f = Fixture::open().await;
    let (parent, _) = child(&f, &f.root, TokenRequest::default()).await;
    let (first, _) = child(&f, &parent, TokenRequest::default()).await;
    let (below, _) = child(&f, &first, TokenRequest::default()).await;
    for _ in 0..600 {
        child(&f, &parent, TokenRequest::default()).await;
    }
    f.vault.token_revoke_orphan(&parent).await.unwrap();
    assert!(!is_good(&f, &parent).await && is_good(&f, &first).await && is_good(&f, &below).await);
    assert!(f.vault.token_lookup(&first).await.unwrap().orphan);
    let gone = f.vault.token_revoke_orphan(&parent).await.unwrap_err();
    assert_eq!(gone.to_string(), "token to revoke not found");
}

#[tokio::test]
async fn a_family_larger_than_a_batch_goes_whole() {
    let f = Fixture::open().await;
    let before = f.consensus.state().path().entries;
    let (parent, _) = child(&f, &f.root, lasting(HOUR)).await;
    let mut last = parent.clone();
    for at in 0..700 {
        let of = if at % 2 == 0 { &parent } else { &last };
        let (token, _) = child(&f, of, lasting(2 * HOUR)).await;
        last = token;
    }
    f.pass(HOUR);
    assert!(f.vault.sweep_tokens().await.unwrap(), "one step is not enough");
    while f.vault.sweep_tokens().await.unwrap() {}
    assert_eq!(f.consensus.state().path().entries, before, "nothing of them is left");
}

#[tokio::test]
async fn a_revoked_root_token_stays_revoked() {
    let f = Fixture::open().await;
    f.vault.token_revoke(&f.root).await.unwrap();
    f.vault.seal();
    f.unseal();
    assert!(!is_good(&f, &f.root).await);
}

/// The rest of a family is refused as soon as the first batch of its revocation is agreed on, and goes by itself.
#[tokio::test]
async fn a_large_family_ends_at_once_though_it_is_removed_in_batches() {
    // More than one batch takes.
    const CHILDREN: usize = 501;
    let f = Fixture::open().await;
    let (parent, _) = child(&f, &f.root, lasting(HOUR)).await;
    let caller = f.vault.authenticate(&parent, None, Use::ToCount).await.unwrap();
    let mut last = parent.clone();
    for _ in 0..CHILDREN {
        last = f.vault.token_create(&caller, TokenRequest::default()).await.unwrap().value.token;
    }
    let ends = |_: u32| {
        let (good, vault) = (is_good(&f, &last), &f.vault);
        async move { (good.await, vault.token_accessors().await.unwrap().len()) }
    };
    assert_eq!(ends(0).await, (true, CHILDREN + 2));
    // Whoever asked goes away after the first batch.
    let mut revoking = Box::pin(f.vault.token_revoke(&parent));
    while ends(1).await.1 > 3 {
        if futures::poll!(&mut revoking).is_ready() {
            break;
        }
        tokio::task::yield_now().await;
    }
    drop(revoking);
    assert!(!is_good(&f, &parent).await && !is_good(&f, &last).await);
    while f.vault.sweep_tokens().await.unwrap() {}
    assert_eq!(ends(2).await, (false, 1), "the root is left");
}

/// One batch is one message between nodes, and between regions.
#[tokio::test]
async fn tokens_with_full_cubbyholes_are_removed_in_batches_of_bounded_size() {
    let f = Fixture::open().await;
    let (parent, _) = child(&f, &f.root, lasting(HOUR)).await;
    let long = ["x"; 300].join("/");
    for _ in 0..3 {
        let (token, _) = child(&f, &parent, TokenRequest::default()).await;
        let own = Plain::cubbyhole(&f.vault.authenticate(&token, None, Use::ToCount).await.unwrap()).unwrap();
        for at in 0..256 {
            f.vault.plain_put(own, &format!("{long}/{at}"), SensitiveString::new("{}")).await.unwrap();
        }
    }
    let before = f.consensus.state().path().applied.index;
    f.vault.token_revoke(&parent).await.unwrap();
    let written = f.consensus.state().wal(before + 1, crate::storage::ScanLimit::NONE).unwrap();
    let bytes = |entry: &crate::state::WalEntry| entry.batch.ops.iter().map(|op| op.key().len()).sum::<usize>();
    let sizes: Vec<usize> = written.iter().map(bytes).collect();
    assert!(sizes.len() > 1 && sizes.iter().all(|size| *size < 4 << 20), "{sizes:?}");
    assert_eq!(f.vault.token_accessors().await.unwrap().len(), 1, "the root is left");
}

#[tokio::test]
async fn a_token_has_a_bounded_number_of_ancestors() {
    let f = Fixture::open().await;
    let mut token = f.root.clone();
    for _ in 1..128 {
        token = child(&f, &token, TokenRequest::default()).await.0;
    }
    assert!(refused(&f, &token, TokenRequest::default()).await.contains("128 ancestors"));
    child(&f, &token, TokenRequest { parent: Parent::None, ..TokenRequest::default() }).await;
}

#[tokio::test]
async fn a_child_comes_from_where_its_parent_may_come_from() {
    let f = Fixture::open().await;
    let bind = |role: &mut TokenRole| {
        role.bound_cidrs = Cidr::parse_all(&["10.0.0.0/8".to_owned()])?;
        Ok(())
    };
    f.vault.token_role_put("inside", bind).await.unwrap();
    let (inside, outside) = ("10.1.2.3".parse().ok(), "192.0.2.1".parse().ok());
    let request = TokenRequest { role: Some("inside".into()), ..with_policies(&["default"]) };
    let (bound, _) = child(&f, &f.root, request).await;
    let caller = f.vault.authenticate(&bound, inside, Use::ToCount).await.unwrap();
    let made = f.vault.token_create(&caller, TokenRequest::default()).await.unwrap().value.token;
    assert!(f.vault.authenticate(&made, inside, Use::ToCount).await.is_ok());
    assert!(matches!(f.vault.authenticate(&made, outside, Use::ToCount).await, Err(Error::PermissionDenied)));
}

#[tokio::test]
async fn a_renewal_keeps_to_the_roles_bounds_and_to_the_tokens_own() {
    let f = Fixture::open().await;
    f.vault.token_role_put("web", |_| Ok(())).await.unwrap();
    let of_role = |request| TokenRequest { role: Some("web".into()), ..request };
    let (token, _) = child(&f, &f.root, of_role(TokenRequest { explicit_max_ttl: HOUR, ..lasting(MINUTE) })).await;
    f.pass(MINUTE / 2);
    let (info, warning) = f.vault.token_renew(&token, DAYS_32).await.unwrap().value;
    assert!(info.ttl < HOUR && warning.is_some(), "{info:?}");
    assert_eq!(info.explicit_max_ttl, HOUR);
    f.vault.token_role_delete("web").await.unwrap();
    let refused = f.vault.token_renew(&token, HOUR).await.unwrap_err().to_string();
    assert_eq!(refused, "original token role \"web\" could not be found, not renewing");
}
