//! Vault's rules case by case: from its documents of policies, and from what its clients have seen it do.

use super::acl::{Acl, Asked, Decision, Operation};
use super::parse::Policy;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

fn acl(policies: &[&str]) -> Acl {
    Acl::new(policies.iter().map(|text| Arc::new(Policy::parse(text).expect("a policy"))).collect())
}

/// The capabilities at a path as one text.
fn can(policies: &[&str], path: &str) -> String {
    acl(policies).capabilities(path).join(",")
}

fn decide(policy: &str, operation: Operation, body: Value, wrap: Option<u64>) -> bool {
    let fields = || body.as_object().cloned().unwrap_or_default();
    let wrap_ttl = wrap.map(Duration::from_secs);
    let asked = Asked { path: "secret/foo", operation, parameters: &fields, wrap_ttl };
    matches!(acl(&[policy]).decide(&asked), Decision::Allowed { .. })
}

#[test]
fn the_built_in_policies_are_policies() {
    for text in [super::DEFAULT_TEXT, super::RESPONSE_WRAPPING_TEXT] {
        assert!(!Policy::parse(text).expect("a policy").rules.is_empty());
    }
}

#[test]
fn braces_of_templates_come_in_pairs() {
    for (path, is_balanced) in
        [("a", true), ("a/{{b}}/{{c}}", true), ("a/{{b", false), ("a}}", false), ("{{a}}}}", false)]
    {
        let policy = Policy::parse(&format!("path \"{path}\" {{ capabilities = [\"read\"] }}")).expect("a policy");
        assert_eq!(policy.expect_balanced().is_ok(), is_balanced, "{path}");
    }
}

#[test]
fn what_one_policy_shows_another_hides() {
    let shows = r#"path "kv1/a/*" { capabilities = ["read"] }"#;
    let hides = r#"path "kv1/a/*" { capabilities = ["deny"] }"#;
    assert!(acl(&[shows]).sees("kv1/") && !acl(&[shows, hides]).sees("kv1/"));
    assert!(acl(&[shows, hides, r#"path "kv1/b" { capabilities = ["list"] }"#]).sees("kv1/"));
}

#[test]
fn which_rule_counts() {
    let policy = r#"
        path "secret/*" { capabilities = ["create", "read", "update", "delete", "list"] }
        path "secret/super-secret" { capabilities = ["deny"] }
        path "secret/restricted" { capabilities = ["create"] }
        path "secret/foo*" { capabilities = ["read"] }
        path "secret/foobar" { capabilities = ["update"] }
        path "secret/+/teamb" { capabilities = ["list"] }
        path "kv/+/+/webapp" { capabilities = ["read"] }
        path "kv/dev/+/webapp" { capabilities = ["update"] }
        path "kv/dev/*" { capabilities = ["delete"] }
        path "kv/+/eu/*" { capabilities = ["list"] }
        path "kv/+/e*" { capabilities = ["sudo"] }
        path "p/+/a*" { capabilities = ["read"] }
        path "p/+/+" { capabilities = ["update"] }
        path "list/exact" { capabilities = ["list"] }
        path "list/slash/" { capabilities = ["list"] }
        path "list/seg/+" { capabilities = ["list"] }
        path "/leading" { capabilities = ["read"] }
        path "+" { capabilities = ["patch"] }
    "#;
    for (path, expected) in [
        ("secret/anything", "create,delete,list,read,update"),
        ("secret/super-secret", "deny"),
        ("secret/restricted", "create"),
        // The longest prefix; what is exact before any prefix; a prefix ends in the middle of a name.
        ("secret/foo", "read"),
        ("secret/fooz/deep", "read"),
        ("secret/foobar", "update"),
        ("secret", "patch"),
        // A plus is one segment; its place decides between it and a star.
        ("secret/x/teamb", "list"),
        ("secret/x/y/teamb", "create,delete,list,read,update"),
        ("secret/foo/teamb", "read"),
        ("kv/qa/x/webapp", "read"),
        ("kv/dev/x/webapp", "update"),
        ("kv/dev/x", "delete"),
        ("kv/qa/eu/x", "list"),
        ("kv/qa/eu", "sudo"),
        ("kv/qa/us/webapp", "read"),
        ("kv/qa/us/x", "deny"),
        // The same first wildcard: no star, then fewer pluses.
        ("p/x/ab", "update"),
        ("p/x/ab/c", "read"),
        // Lists end in a slash; a rule without it counts.
        ("list/exact/", "list"),
        ("list/slash/", "list"),
        ("list/slash", "deny"),
        ("list/seg/x/", "list"),
        ("leading", "read"),
        ("nothing/here", "deny"),
    ] {
        assert_eq!(can(&[policy], path), expected, "{path}");
    }
}

#[test]
fn rules_of_several_policies_add_up_and_deny_takes_all() {
    let read = r#"path "a/*" { capabilities = ["read"] }"#;
    let write = r#"path "a/*" { capabilities = ["update", "create"] }"#;
    let deny = r#"path "a/*" { capabilities = ["deny", "read"] }"#;
    let exact = r#"path "a/b" { capabilities = ["delete"] }"#;
    assert_eq!(can(&[read, write], "a/x"), "create,read,update");
    assert_eq!(can(&[read, deny, write], "a/x"), "deny");
    assert_eq!(can(&[deny, read], "a/x"), "deny");
    // Another path is another rule: the deny of the prefix does not reach it.
    assert_eq!(can(&[read, deny, exact], "a/b"), "delete");
    assert_eq!(can(&[], "a/b"), "deny");
    let twice = r#"path "a/*" { capabilities = ["read"] } path "a/*" { capabilities = ["list"] }"#;
    assert_eq!(can(&[twice], "a/x"), "list,read");
}

#[test]
fn operations_want_their_capability() {
    let all = [
        (Operation::Create, "create"),
        (Operation::Read, "read"),
        (Operation::Update, "update"),
        (Operation::Patch, "patch"),
        (Operation::Delete, "delete"),
        (Operation::List, "list"),
    ];
    for (operation, _) in all {
        for (other, name) in all {
            let policy = format!(r#"path "secret/foo" {{ capabilities = ["{name}"] }}"#);
            assert_eq!(decide(&policy, operation, json!({}), None), operation == other, "{operation:?} with {name}");
        }
    }
    let sudo = acl(&[r#"path "secret/foo" { capabilities = ["sudo", "read"] }"#]);
    let asked = Asked { path: "secret/foo", operation: Operation::Read, parameters: &Map::new, wrap_ttl: None };
    assert_eq!(sudo.decide(&asked), Decision::Allowed { sudo: true });
}

#[test]
fn parameters_are_allowed_denied_and_required() {
    let with = |rules: &str| format!(r#"path "secret/foo" {{ capabilities = ["create", "read", "delete"] {rules} }}"#);
    let some = r#"allowed_parameters = { "bar" = ["zip/*", "zap"] "*" = [] }"#;
    for (rules, body, expected) in [
        (r#"required_parameters = ["bar", "Baz"]"#, json!({"bar": 1, "baz": 2}), true),
        (r#"required_parameters = ["bar", "baz"]"#, json!({"bar": 1}), false),
        (r#"allowed_parameters = { "bar" = [] }"#, json!({"bar": "anything"}), true),
        (r#"allowed_parameters = { "bar" = [] }"#, json!({"bar": 1, "foo": 2}), false),
        (r#"allowed_parameters = { "bar" = [] }"#, json!({}), true),
        (r#"allowed_parameters = { "bar" = ["zip", "zap"] }"#, json!({"bar": "zap"}), true),
        (r#"allowed_parameters = { "bar" = ["zip", "zap"] }"#, json!({"bar": "zop"}), false),
        (r#"allowed_parameters = { "bar" = ["foo-*"] }"#, json!({"bar": "foo-1"}), true),
        (r#"allowed_parameters = { "bar" = [3, true] }"#, json!({"bar": 3}), true),
        (r#"allowed_parameters = { "bar" = [3, true] }"#, json!({"bar": "3"}), false),
        (r#"allowed_parameters = { "*" = [] }"#, json!({"x": 1}), true),
        (some, json!({"bar": "zip/1", "foo": 1}), true),
        (some, json!({"bar": "zop", "foo": 1}), false),
        (r#"denied_parameters = { "bar" = [] }"#, json!({"bar": 1}), false),
        (r#"denied_parameters = { "bar" = [] }"#, json!({"baz": 1}), true),
        (r#"denied_parameters = { "bar" = ["zip"] }"#, json!({"bar": "zap"}), true),
        (r#"denied_parameters = { "bar" = ["zip"] }"#, json!({"BAR": "zip"}), false),
        (r#"denied_parameters = { "*" = [] }"#, json!({"x": 1}), false),
        (r#"denied_parameters = { "*" = [] }"#, json!({}), true),
        (r#"allowed_parameters = { "*" = [] } denied_parameters = { "bar" = [] }"#, json!({"bar": 1}), false),
    ] {
        let policy = with(rules);
        assert_eq!(decide(&policy, Operation::Create, body.clone(), None), expected, "{rules} with {body}");
        assert!(decide(&policy, Operation::Delete, body, None), "a delete has no parameters");
    }
}

#[test]
fn wrapping_may_be_demanded() {
    let min = r#"path "secret/foo" { capabilities = ["read"] min_wrapping_ttl = "1m" max_wrapping_ttl = 90 }"#;
    for (ttl, expected) in [(None, false), (Some(59), false), (Some(60), true), (Some(90), true), (Some(91), false)] {
        assert_eq!(decide(min, Operation::Read, json!({}), ttl), expected, "{ttl:?}");
    }
}

#[test]
fn policies_are_written_in_many_ways() {
    let same = [
        r#"path "a/*" { capabilities = ["read", "list"] }"#,
        "# a comment\npath \"a/*\" {\n  capabilities = [\n    \"read\", // why\n    \"list\",\n  ]\n}\n/* end */",
        r#"path "a/*" { policy = "read" }"#,
        r#"path "a/*" = { "capabilities" = ["list", "read"] }"#,
        r#""path" "a/*" { capabilities = ["list", "read"] comment = <<EOF
            anything } at all
EOF
        }"#,
        r#"{"path": {"a/*": {"capabilities": ["read", "list"]}}}"#,
        r#"{"path": [{"a/*": {"capabilities": ["read", "list"]}}]}"#,
        r#"name = "mine" path "a/*" { capabilities = ["read", "list"] }"#,
    ];
    for text in same {
        assert_eq!(can(&[text], "a/x"), "list,read", "{text}");
    }
    let block = r#"path "secret/foo" { capabilities = ["create"] allowed_parameters { "bar" = ["x"] } }"#;
    assert!(decide(block, Operation::Create, json!({"bar": "x"}), None));
    assert!(!decide(block, Operation::Create, json!({"bar": "y"}), None));
    assert!(Policy::parse("").is_ok_and(|policy| policy.rules.is_empty()));
}

#[test]
fn what_is_no_policy_is_refused_with_its_place() {
    for (text, said) in [
        (r#"path "x" { capabilities = ["fly"] }"#, "path \"x\": invalid capability \"fly\""),
        ("foo bar", "At 1:8: key 'foo bar' expected"),
        (r#"path "x" { capabilities = ["read"]"#, "`}` is missing"),
        (r#"path "x" { capabilities = "read" }"#, "invalid value of \"capabilities\""),
        (r#"path "x" { capabilties = ["read"] }"#, "invalid key \"capabilties\""),
        (r#"pat "x" { capabilities = ["read"] }"#, "invalid key \"pat x\""),
        (r#"path "x/+*" { capabilities = ["read"] }"#, "'+*' is forbidden"),
        (r#"path "x" { mfa_methods = ["a"] }"#, "invalid key \"mfa_methods\""),
        (
            r#"path "x" { min_wrapping_ttl = "2h" max_wrapping_ttl = "1h" }"#,
            "max_wrapping_ttl cannot be less than min_wrapping_ttl",
        ),
        (r#"path "x" { policy = "all" }"#, "invalid value of \"policy\""),
        (r#"path "x"#, "a string is not closed"),
        (r#"{"path": {"#, "not JSON"),
    ] {
        let error = Policy::parse(text).expect_err(text).to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
    let deep = format!("path \"x\" {{ comment = {}", "[".repeat(100_000));
    assert!(Policy::parse(&deep).is_err());
    assert!(Policy::parse(&"x".repeat(1 << 20)).is_err());
}

#[test]
fn a_mount_is_seen_by_whoever_may_do_anything_in_it() {
    for (rule, expected) in [
        (r#"path "secret/data/team/x" { capabilities = ["read"] }"#, true),
        (r#"path "secret/*" { capabilities = ["list"] }"#, true),
        (r#"path "*" { capabilities = ["list"] }"#, true),
        (r#"path "+/data/x" { capabilities = ["list"] }"#, true),
        (r#"path "+/*" { capabilities = ["list"] }"#, true),
        (r#"path "sec+/*" { capabilities = ["list"] }"#, false),
        (r#"path "other/+/x" { capabilities = ["list"] }"#, false),
        (r#"path "secret2/*" { capabilities = ["list"] }"#, false),
        (r#"path "secret/data/x" { capabilities = ["deny"] }"#, false),
        (r#"path "secret" { capabilities = ["read"] }"#, true),
    ] {
        assert_eq!(acl(&[rule]).sees("secret/"), expected, "{rule}");
    }
}

proptest::proptest! {
    /// Whatever a client sends as a policy, it is read or refused.
    #[test]
    fn any_text_is_read_or_refused(text in "[ -~\n]{0,200}", mixed in r#"(path|"|\{|\}|\[|\]|=|,| |a/\*|\+|<<EOF\n|#|/\*|\\u12|true|9){0,60}"#) {
        let _either = (Policy::parse(&text), Policy::parse(&mixed));
    }
}
