//! The seed's files load; every kind of bad file is refused with file, line and what was expected.

use super::*;
use std::fs;

/// The least that a server needs; each test adds to it or takes from it.
const LEAST: &str = r#"
listener "tcp" {
  address = "127.0.0.1:8200"
  tls_disable = 1
}
storage "raft" {
  path = "/data"
  node_id = "n1"
}
"#;

fn load_text(text: &str) -> Result<ServerConfig> {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("node.hcl");
    fs::write(&file, text).expect("written");
    // The folder's name differs from run to run: messages are compared without it.
    let prefix = format!("{}/", folder.path().display());
    match load(&file) {
        Ok(mut config) => {
            config.warnings.iter_mut().for_each(|warning| *warning = warning.replace(&prefix, ""));
            Ok(config)
        }
        Err(error) => Err(Error::Invalid(error.to_string().replace(&prefix, ""))),
    }
}

fn refusal(text: &str) -> String {
    load_text(text).map(|config| format!("{config:?}")).expect_err("refused").to_string()
}

fn good(text: &str) -> ServerConfig {
    load_text(text).unwrap_or_else(|error| panic!("{error}"))
}

fn fixture(name: &str) -> ServerConfig {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/seed").join(name);
    load(&path).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn stanzas_on_one_line_are_taken_and_errors_name_their_lines_all_the_same() {
    let text = "listener \"tcp\" { address = \"127.0.0.1:8200\" tls_disable = 1 }\n\
                storage \"raft\" { path = \"/data\", node_id = \"n1\"\n  \
                retry_join { leader_api_addr = \"http://127.0.0.2:8200\"\n }\n}\n";
    let config = good(text);
    assert_eq!((config.listener.tls, config.storage.node_id.as_str()), (Tls::Disabled, "n1"));
    assert_eq!(config.storage.retry_join[0].leader_api_addr, "http://127.0.0.2:8200");
    assert!(
        refusal(&format!("{text}bogus = 1\n")).starts_with("node.hcl:6:"),
        "{}",
        refusal(&format!("{text}bogus = 1\n"))
    );
    assert!(refusal(&format!("{text}\nlog_level = \n")).starts_with("node.hcl:7:"));
}

#[test]
fn the_seeds_primary_loads_as_it_was_written() {
    let config = fixture("primary.hcl");
    assert_eq!(config.cluster_name, "vault-01");
    assert_eq!(config.api_addr, "http://127.0.0.1:8200");
    assert_eq!(config.listener.tls, Tls::Disabled);
    assert_eq!(config.storage.path, Path::new("/vault/data"));
    assert_eq!(config.storage.engine, Engine::Fjall);
    assert_eq!(config.storage.retry_join[0].leader_api_addr, config.api_addr, "it joins itself");
    assert_eq!(config.seal, Seal::Shamir);
    assert_eq!((config.replication.path.as_str(), config.replication.enabled), ("default", true));
    let [link] = config.replication.links.as_slice() else { panic!("one link") };
    assert_eq!(link.address, "http://127.0.0.2:8200");
    assert_eq!(link.token.expose(), "s.xxxxxxxxxxxxxxxxxxxxxxx");
    assert_eq!(link.max_parallel, MAX_PARALLEL_DEFAULT);
    assert_eq!(config.warnings, [] as [&str; 0]);
}

#[test]
fn the_seeds_standby_loads_as_it_was_written() {
    let config = fixture("standby.hcl");
    assert_eq!(config.cluster_name, "vault-standby-01");
    assert_eq!(config.replication.path, "default");
    assert!(config.replication.enabled && config.replication.links.is_empty());
}

#[test]
fn a_full_file_loads() {
    let config = good(
        r#"
cluster_name = "us-east-1"
api_addr     = "https://10.0.0.1:8200/"
log_level    = "DEBUG"
log_format   = "json"
listener "tcp" {
  address       = "0.0.0.0:8200"
  tls_cert_file = "cert.pem"
  tls_key_file  = "key.pem"
}
storage "raft" {
  path    = "data"
  node_id = "n1"
  engine  = "sled"
  retry_join { leader_address = "10.0.0.2:8200" non_voter = true }
  retry_join { leader_api_addr = "http://10.0.0.3:8200" }
}
seal "file" { path = "unseal.key" }
replication "emea" { enabled = "true" }
replication_path "emea" {
  address      = "https://10.1.0.1:8200"
  token        = "s.one"
  max_parallel = 16
  region       = "eu-west-1"
}
replication_path "emea" {
  address = "https://10.2.0.1:8200"
  token   = "s.two"
  region  = "eu-north-1"
}
"#,
    );
    assert_eq!((config.cluster_name.as_str(), config.api_addr.as_str()), ("us-east-1", "https://10.0.0.1:8200"));
    assert_eq!((config.log_level, config.log_format), (LogLevel::Debug, LogFormat::Json));
    assert!(config.storage.joins_without_vote);
    let joins: Vec<&str> = config.storage.retry_join.iter().map(|join| join.leader_api_addr.as_str()).collect();
    assert_eq!(joins, ["https://10.0.0.2:8200", "http://10.0.0.3:8200"], "the scheme follows the listener's");
    assert_eq!(config.seal, Seal::File { path: "unseal.key".into() });
    let links: Vec<(u32, Option<&str>)> =
        config.replication.links.iter().map(|link| (link.max_parallel, link.region.as_deref())).collect();
    assert_eq!(links, [(16, Some("eu-west-1")), (MAX_PARALLEL_DEFAULT, Some("eu-north-1"))]);
}

fn own(min_version: TlsVersion) -> Tls {
    Tls::SelfSigned { min_version }
}

#[test]
fn older_versions_of_tls_are_spoken_only_where_the_file_says_so() {
    let speaking = |version: &str| LEAST.replace("tls_disable = 1", &format!("tls_min_version = \"{version}\""));
    assert_eq!(good(&speaking("tls12")).listener.tls, own(TlsVersion::Tls12));
    assert_eq!(good(&speaking("tls13")).listener.tls, own(TlsVersion::Tls13));
    let error = refusal(&speaking("tls10"));
    assert!(error.contains("`tls10`: expected tls12 or tls13"), "{error}");
}

#[test]
fn memory_is_locked_unless_the_file_says_otherwise() {
    assert!(good(LEAST).lock_memory);
    assert!(!good(&format!("disable_mlock = true{LEAST}")).lock_memory);
}

#[test]
fn without_tls_keys_a_listener_makes_its_own() {
    let config = good(&LEAST.replace("tls_disable = 1", ""));
    assert_eq!((config.listener.tls, config.api_addr.as_str()), (own(TlsVersion::Tls13), "https://127.0.0.1:8200"));
}

#[test]
fn what_has_no_effect_is_a_warning_by_name() {
    let config = good(&format!("ui = true\ndisable_mlock = true\ncluster_addr = \"x\"{LEAST}"));
    assert_eq!(
        config.warnings,
        [
            "node.hcl:1: `ui` has no effect: there is no web page; the console is `twinkeep attach`",
            "node.hcl:3: `cluster_addr` has no effect: the nodes of a region talk to each other at `api_addr`",
        ]
    );
}

#[test]
fn leases_have_a_default_and_a_bound() {
    let hours = |leases: Leases| (leases.default_ttl.as_secs() / 3600, leases.max_ttl.as_secs() / 3600);
    for (text, expected) in [
        ("", (768, 768)),
        ("max_lease_ttl = \"10h\"", (10, 10)),
        ("default_lease_ttl = \"1h\"", (1, 768)),
        ("default_lease_ttl = \"1h\"\nmax_lease_ttl = \"2h\"", (1, 2)),
    ] {
        assert_eq!(hours(good(&format!("{text}{LEAST}")).leases), expected, "{text}");
    }
}

/// What is added to the least file (which begins at line 2 of what is added), and the message.
#[test]
fn bad_files_are_refused_with_line_and_advice() {
    let table = [
        ("clustername = \"x\"", "node.hcl:1: unknown key `clustername`: did you mean `cluster_name`?"),
        (
            "default_lease_ttl = \"800h\"",
            "node.hcl:1: `default_lease_ttl` must be more than 0 and at most `max_lease_ttl` (768h unless it is set)",
        ),
        ("cluster_name = 7", "node.hcl:1: `cluster_name`: expected a string, found a number"),
        (
            "cluster_name = east",
            "node.hcl:1: `cluster_name`: expected a string, found a bare word (quotes are missing)",
        ),
        ("cluster_name = \"\"", "node.hcl:1: `cluster_name`: expected a string that is not empty, found an empty one"),
        ("cluster_name { }", "node.hcl:1: `cluster_name`: expected a string, found a stanza"),
        (
            "cluster_name = \"${env}\"",
            "node.hcl:1: `cluster_name`: expected a plain string, found one with ${…}, which is not evaluated here",
        ),
        ("ui = \"maybe\"", "node.hcl:1: `ui`: expected true or false, found another string"),
        (
            "log_level = \"loud\"",
            "node.hcl:1: `log_level`: there is no level `loud`: expected trace, debug, info, warn or error",
        ),
        (
            "api_addr = \"127.0.0.1:8200\"",
            "node.hcl:1: `api_addr`: `127.0.0.1:8200` is no server address: expected e.g. http://127.0.0.1:8200",
        ),
        ("seal \"awskms\" { }", "node.hcl:1: there is no seal \"awskms\": expected seal \"file\" or seal \"shamir\""),
        ("seal \"file\" { }", "node.hcl:1: `path` is missing in seal \"file\": expected path = \"unseal.key\""),
        ("seal { }", "node.hcl:1: `seal` needs one name: expected seal \"NAME\" { … }"),
        ("seal = \"file\"", "node.hcl:1: `seal` is a stanza: expected seal \"NAME\" { … }"),
        (
            "replication \"default\" { }",
            "node.hcl:1: `enabled` is missing in replication \"default\": expected enabled = true",
        ),
        (
            "replication \"a\" { enabled = true }\nreplication \"b\" { enabled = true }",
            "node.hcl:2: a region has one path, and it is \"a\" since node.hcl:1: expected that name here",
        ),
        (
            "replication \"a\" { enabled = true }\nreplication_path \"b\" {\n  address = \"http://h:1\"\n  token = \"t\"\n}",
            "node.hcl:2: a region has one path, and it is \"a\" since node.hcl:1: expected that name here",
        ),
        (
            "replication_path \"default\" { token = \"t\" }",
            "node.hcl:1: `address` is missing in replication_path \"default\": \
             expected address = \"https://HOST:8200\", where the standby is reached",
        ),
        (
            "replication_path \"default\" {\n  address = \"http://h:1\"\n  max_parallel = 0\n}",
            "node.hcl:1: `token` is missing in replication_path \"default\": \
             expected the token that `twinkeep replication generate-token` prints on the standby\n\
             node.hcl:3: `max_parallel` in replication_path \"default\": expected a whole number from 1 to 64, found 0",
        ),
        (
            "replication_path \"default\" {\n  address = \"http://h:1\"\n  token = \"t\"\n}\n\
             replication_path \"default\" {\n  address = \"http://h:2\"\n  token = \"t\"\n}",
            "node.hcl:1: several standbys (http://h:1, http://h:2): \
             expected a `region = \"NAME\"` of its own in each replication_path",
        ),
        (
            "replication \"default\" {\n  enabled = true\n  wal_bytes_max = \"1MB\"\n  wal_time_max = \"5s\"\n}",
            "node.hcl:3: `wal_bytes_max` in replication \"default\": \
             expected bytes as a whole number or like \"256MiB\", at least 1048576, found another string\n\
             node.hcl:4: `wal_time_max`: expected at least 60 s",
        ),
        ("listener \"tcp\" { }", "node.hcl:2: a second `listener`: there is one at node.hcl:1 already"),
        ("plugin_directory = \"/x\"", "node.hcl:1: unknown key `plugin_directory`: expected one of "),
    ];
    for (added, expected) in table {
        let found = refusal(&format!("{added}{LEAST}"));
        // The end of a list of known keys is not repeated here; neither is what a doubled listener lacks.
        assert!(found.contains(expected), "{added}\n  expected: {expected}\n  found:    {found}");
        if !expected.ends_with("one of ") && !added.starts_with("listener") {
            assert_eq!(found, expected, "{added}");
        }
    }
}

/// What is replaced in the least file, and the message.
#[test]
fn bad_stanzas_are_refused_with_line_and_advice() {
    let table = [
        (
            "  address = \"127.0.0.1:8200\"\n",
            "",
            "`address` is missing in listener \"tcp\": expected address = \"127.0.0.1:8200\"",
        ),
        (
            "127.0.0.1:8200",
            "localhost",
            "`address` in listener \"tcp\": `localhost` is no IP address with a port: expected e.g. 127.0.0.1:8200",
        ),
        (
            "tls_disable = 1",
            "tls_disable = 2",
            "`tls_disable` in listener \"tcp\": expected true or false, found a number",
        ),
        (
            "tls_disable = 1",
            "tls_cert_file = \"c.pem\"",
            "`tls_key_file` is missing in listener \"tcp\": expected the key to `tls_cert_file`",
        ),
        (
            "tls_disable = 1",
            "tls_disable = 1\n  tls_key_file = \"k.pem\"",
            "a TLS file beside `tls_disable`: expected one or the other",
        ),
        (
            "tls_disable = 1",
            "tls_require_and_verify_client_cert = true",
            "unknown key `tls_require_and_verify_client_cert` in listener \"tcp\": expected one of",
        ),
        (
            "node_id = \"n1\"",
            "",
            "`node_id` is missing in storage \"raft\": expected node_id = \"NAME\", of its own for each node",
        ),
        ("node_id = \"n1\"", "nodeid = \"n1\"", "unknown key `nodeid` in storage \"raft\": did you mean `node_id`?"),
        ("node_id = \"n1\"", "node_id = \"n1\"\n  node_id = \"n2\"", "not HCL"),
        (
            "node_id = \"n1\"",
            "node_id = \"n1\"\n  engine = \"memory\"",
            "`engine` in storage \"raft\": there is no engine `memory`: expected fjall or sled",
        ),
        (
            "node_id = \"n1\"",
            "node_id = \"n1\"\n  retry_join { }",
            "`leader_api_addr` is missing in retry_join: expected leader_api_addr = \"http://HOST:8200\"",
        ),
        ("storage \"raft\"", "storage \"consul\"", "there is no storage \"consul\": expected storage \"raft\""),
        (
            "127.0.0.1:8200",
            "0.0.0.0:8200",
            "`api_addr` is missing: others can't reach this node at the listener's 0.0.0.0",
        ),
    ];
    for (from, to, expected) in table {
        let found = refusal(&LEAST.replace(from, to));
        assert!(found.starts_with("node.hcl:") && found.contains(expected), "{to}\n  found: {found}");
    }
}

#[test]
fn a_missing_stanza_or_file_is_named() {
    assert_eq!(
        refusal(""),
        "node.hcl: `listener` is missing: expected listener \"tcp\" { … }\n\
         node.hcl: `storage` is missing: expected storage \"raft\" { … }"
    );
    let missing = load(Path::new("/nowhere/node.hcl")).expect_err("refused").to_string();
    assert_eq!(missing, "/nowhere/node.hcl: No such file or directory (os error 2)");
}

#[test]
fn what_is_not_hcl_is_refused_with_its_line() {
    let found = refusal("cluster_name = \"a\"\nlistener \"tcp\" {\n  address = \n}\n");
    assert!(found.starts_with("node.hcl:3: not HCL: "), "{found}");
}

#[test]
fn a_token_in_the_wrong_place_is_not_printed() {
    let found = refusal(&format!(
        "ui = \"s.canary\"\nlog_level = 4\nreplication_path \"p\" {{ max_parallel = \"s.canary\" }}{LEAST}"
    ));
    assert!(!found.contains("canary"), "{found}");
}

#[test]
fn a_directory_is_one_configuration() {
    let folder = tempfile::tempdir().expect("a directory");
    fs::write(folder.path().join("a.hcl"), LEAST).expect("written");
    fs::write(folder.path().join("b.hcl"), "cluster_name = \"east\"").expect("written");
    fs::write(folder.path().join("notes.txt"), "not HCL {").expect("written");
    assert_eq!(load(folder.path()).expect("one configuration").cluster_name, "east");
    fs::write(folder.path().join("c.hcl"), "cluster_name = \"west\"").expect("written");
    let found = load(folder.path()).expect_err("set twice").to_string();
    assert!(found.contains("c.hcl:1: `cluster_name` is already set at ") && found.ends_with("b.hcl:1"), "{found}");
}

#[test]
fn numbers_as_strings_are_numbers() {
    let text = format!(
        "replication_path \"p\" {{\n  address = \"http://h:1\"\n  token = \"t\"\n  max_parallel = \"4\"\n}}{LEAST}"
    );
    let config = good(&text);
    assert_eq!((config.replication.path.as_str(), config.replication.links[0].max_parallel), ("p", 4));
    assert_eq!((config.replication.wal_bytes_max, config.replication.wal_time_max), (None, None));
}

#[test]
fn a_standby_answers_reads_where_its_file_says_so() {
    let config = good(&format!("replication \"p\" {{\n  enabled = true\n  serve_reads = true\n}}{LEAST}"));
    assert!(config.replication.serve_reads);
    assert!(!good(LEAST).replication.serve_reads);
}

#[test]
fn the_bounds_of_the_log_are_sizes_and_durations() {
    let config = good(&format!(
        "replication \"p\" {{\n  enabled = true\n  wal_bytes_max = \"2GiB\"\n  wal_time_max = \"36h\"\n}}{LEAST}"
    ));
    assert_eq!(config.replication.wal_bytes_max, Some(2 << 30));
    assert_eq!(config.replication.wal_time_max.map(|time| time.as_secs()), Some(36 * 3600));
}
