//! Words in, output and exit code out, against a server that says what a test tells it to.

mod vault;

use super::failure::{EXIT_SERVER, EXIT_UNKNOWN};
use super::*;
use crate::client::testing::{reply, server};
use axum::extract::Request;
use axum::response::Response;
use clap::CommandFactory;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// Who types what at the terminal, and what was said there.
#[derive(Default)]
struct Script {
    present: bool,
    answers: Vec<String>,
    standard_input: String,
    told: String,
}

impl Person for Script {
    fn is_present(&self) -> bool {
        self.present
    }

    fn tell(&mut self, text: &str) {
        self.told.push_str(text);
    }

    fn ask(&mut self, question: &str) -> std::io::Result<String> {
        self.tell(question);
        Ok(self.answers.pop().unwrap_or_default())
    }

    fn ask_secret(&mut self, question: &str) -> std::io::Result<String> {
        self.ask(question)
    }

    fn standard_input(&mut self) -> std::io::Result<String> {
        Ok(self.standard_input.clone())
    }
}

/// A server with answers by `METHOD path`, and what it was asked.
struct Fake {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Fake {
    async fn with(answers: &[(&str, u16, Value)]) -> Fake {
        let answers: BTreeMap<String, (u16, Value)> =
            answers.iter().map(|(call, status, body)| ((*call).to_owned(), (*status, body.clone()))).collect();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = heard.clone();
        let address = server(move |request: Request| {
            let (answers, log) = (answers.clone(), log.clone());
            async move { answer(request, &answers, &log).await }
        })
        .await;
        Fake { address, heard }
    }

    fn heard(&self, call: &str) -> Option<Value> {
        let heard = self.heard.lock().expect("no panic while it was held");
        heard.iter().rev().find(|(asked, _)| asked == call).map(|(_, body)| body.clone())
    }

    async fn run(&self, words: &str) -> Result<Output, Failure> {
        self.run_as(words, &mut Script::default()).await
    }

    async fn run_as(&self, words: &str, person: &mut Script) -> Result<Output, Failure> {
        let address = format!("http://{}", self.address);
        let environment =
            Environment::new([("VAULT_ADDR".to_owned(), address), ("VAULT_TOKEN".to_owned(), "hvs.test".to_owned())]);
        run(parse(words), &mut Context { environment: &environment, person }).await
    }
}

async fn answer(
    request: Request,
    answers: &BTreeMap<String, (u16, Value)>,
    log: &Mutex<Vec<(String, Value)>>,
) -> Response {
    let path = request.uri().path().trim_start_matches("/v1/").to_owned();
    let call = format!("{} {path}", request.method());
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.expect("a body");
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    log.lock().expect("no panic while it was held").push((call.clone(), body));
    // An answer may be for all paths below one, such as a promotion's id.
    let found = answers.iter().rev().find(|(known, _)| call == **known || call.starts_with(&format!("{known}/")));
    match found {
        Some((_, (status, body))) => reply(*status, body.to_string()),
        None => reply(404, json!({"errors": [format!("the test has no answer to {call}")]}).to_string()),
    }
}

fn parse(words: &str) -> Command {
    let words = flags::normalise(words.split(' ').map(OsString::from));
    Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).command
}

fn refused(words: &str) -> String {
    let words = flags::normalise(words.split(' ').map(OsString::from));
    Cli::try_parse_from(words).expect_err("refused").to_string()
}

fn kv_mount() -> (&'static str, u16, Value) {
    ("GET sys/internal/ui/mounts", 200, json!({"data": {"path": "secret/", "type": "kv", "options": {"version": "2"}}}))
}

#[test]
fn every_command_says_what_it_does() {
    Cli::command().debug_assert();
    let mut root = Cli::command();
    root.build();
    for leaf in docs::leaves(&root, "") {
        assert!(!leaf.about.is_empty(), "{} has no help", leaf.usage);
    }
}

#[test]
fn every_flag_says_what_it_does() {
    fn check(command: &clap::Command) {
        for argument in command.get_arguments().filter(|argument| !argument.is_positional()) {
            assert!(argument.get_help().is_some(), "{} --{}", command.get_name(), argument.get_id());
        }
        command.get_subcommands().for_each(check);
    }
    check(&Cli::command());
}

#[test]
fn the_consoles_man_pages_have_its_keys_and_no_other_page_does() {
    let page = |command: &str| {
        let man = super::args::Man { command: vec![command.to_owned()], markdown: false };
        docs::man(man).expect("there is such a command").text
    };
    for command in ["attach", "demo"] {
        let page = page(command);
        for row in crate::console::key_rows() {
            let title = row.title.replace('-', "\\-").replace('\'', "\\(aq");
            assert!(page.contains(&title), "{command}: {}", row.title);
        }
        assert!(page.contains(".TP\n\\fBp\\fR\n"), "{page}");
    }
    assert!(!page("status").contains("KEYS OF THE CONSOLE"));
}

#[test]
fn the_readmes_table_of_commands_is_this_one() {
    let readme = include_str!("../../README.md");
    let between = readme.split_once("<!-- commands -->\n").and_then(|(_, rest)| rest.split_once("<!-- /commands -->"));
    let shown = between.map(|(shown, _)| shown).expect("the README has its markers");
    assert_eq!(shown, commands_markdown(), "put what `twinkeep man -markdown` prints between the README's markers");
}

#[test]
fn the_seeds_commands_are_taken_as_typed_there() {
    let Command::Replication(args::Replication::GenerateToken(generate)) =
        parse("twinkeep replication generate-token -replication-path=emea")
    else {
        panic!("another command")
    };
    assert_eq!(generate.path.replication_path, "emea");
    assert!(matches!(
        parse("twinkeep replication status -replication-path=default"),
        Command::Replication(args::Replication::Status(_))
    ));
    assert!(matches!(
        parse("twinkeep operator replicate-resume -replication-path=default"),
        Command::Operator(args::Operator::ReplicateResume(_))
    ));
}

#[test]
fn vaults_flags_are_taken_as_vault_takes_them() {
    let Command::Operator(args::Operator::Init(init)) =
        parse("twinkeep operator init -key-shares=1 -key-threshold=1 -format=json -address=http://h:1 -ca-cert=ca.pem")
    else {
        panic!("another command")
    };
    assert_eq!((init.key_shares, init.key_threshold), (1, 1));
    assert_eq!(init.connection.format, Some(args::Format::Json));
    assert_eq!(init.connection.address.as_deref(), Some("http://h:1"));
    let Command::Kv(args::Kv::Get(get)) = parse("twinkeep kv get -mount=secret -field=a -version=3 app") else {
        panic!("another command")
    };
    assert_eq!((get.version, get.field.as_deref(), get.path.path.as_str()), (Some(3), Some("a"), "app"));
}

#[test]
fn slips_of_the_pen_are_named() {
    assert!(refused("twinkeep replicaton status").contains("replication"));
    assert!(refused("twinkeep kv get -feild=a secret/a").contains("--field"));
    assert!(refused("twinkeep attach --plain --record f").contains("cannot be used with"));
}

#[tokio::test]
async fn init_prints_vaults_field_names() {
    let keys = json!({"keys": ["00"], "keys_base64": ["AA=="], "root_token": "hvs.root"});
    let fake = Fake::with(&[("PUT sys/init", 200, keys)]).await;
    let output = fake.run("twinkeep operator init -key-shares=1 -key-threshold=1 -format=json").await.expect("done");
    let printed: Value = serde_json::from_str(&output.text).expect("JSON");
    assert_eq!(printed["unseal_keys_b64"], json!(["AA=="]));
    assert_eq!(printed["unseal_keys_hex"], json!(["00"]));
    assert_eq!((&printed["unseal_shares"], &printed["unseal_threshold"]), (&json!(1), &json!(1)));
    assert_eq!(printed["root_token"], "hvs.root");
    let table = fake.run("twinkeep operator init").await.expect("done").text;
    assert!(table.starts_with("Unseal Key 1: AA==\n\nInitial Root Token: hvs.root\n"), "{table}");
}

#[tokio::test]
async fn an_unseal_key_is_asked_for_or_read_and_never_needs_to_be_an_argument() {
    let status = json!({"type": "shamir", "initialized": true, "sealed": true, "t": 3, "n": 5, "progress": 1});
    let fake = Fake::with(&[("PUT sys/unseal", 200, status)]).await;
    let mut person = Script { present: true, answers: vec!["typed".into()], ..Script::default() };
    let output = fake.run_as("twinkeep operator unseal", &mut person).await.expect("done");
    assert_eq!(fake.heard("PUT sys/unseal").expect("asked")["key"], "typed");
    assert!(output.text.contains("Unseal Progress    1/3"), "{}", output.text);
    let mut pipe = Script { standard_input: "piped\n".into(), ..Script::default() };
    fake.run_as("twinkeep operator unseal", &mut pipe).await.expect("done");
    assert_eq!(fake.heard("PUT sys/unseal").expect("asked")["key"], "piped");
}

#[tokio::test]
async fn status_exits_2_when_the_node_is_ailing() {
    let sealed = json!({"type": "shamir", "initialized": true, "sealed": true, "t": 3, "n": 5});
    let fake =
        Fake::with(&[("GET sys/seal-status", 200, sealed), ("GET sys/leader", 503, json!({"errors": ["sealed"]}))])
            .await;
    let output = fake.run("twinkeep status").await.expect("a status");
    assert_eq!(output.exit, 2);
    assert!(output.text.contains("Sealed             true"), "{}", output.text);
}

#[tokio::test]
async fn kv_put_sends_strings_from_arguments_files_and_standard_input() {
    let metadata = json!({"data": {"version": 1, "created_time": "2026-01-01T00:00:00Z", "destroyed": false}});
    let fake = Fake::with(&[kv_mount(), ("PUT secret/data/app", 200, metadata)]).await;
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "from the file").expect("written");
    let mut person = Script { standard_input: "from the pipe".into(), ..Script::default() };
    let words = format!("twinkeep kv put -cas=0 secret/app a=b=c f=@{} p=- at=\\@x", file.path().display());
    let output = fake.run_as(&words, &mut person).await.expect("written");
    let sent = fake.heard("PUT secret/data/app").expect("asked");
    let fields = json!({"a": "b=c", "f": "from the file", "p": "from the pipe", "at": "@x"});
    assert_eq!(sent, json!({"data": fields, "options": {"cas": 0}}));
    assert!(output.text.starts_with("== Secret Path ==\nsecret/data/app\n"), "{}", output.text);
}

#[tokio::test]
async fn kv_put_refuses_what_is_no_field_without_repeating_it() {
    let fake = Fake::with(&[kv_mount()]).await;
    for words in [
        "twinkeep kv put secret/app canary",
        "twinkeep kv put secret/app a=- b=-",
        "twinkeep kv put secret/app @/nowhere",
    ] {
        let failure = fake.run(words).await.expect_err("refused");
        assert_eq!(failure.exit, 1, "{words}");
        assert!(!failure.text.contains("canary"), "{}", failure.text);
    }
}

#[tokio::test]
async fn kv_get_prints_a_field_a_table_or_vaults_json() {
    let secret = json!({"data": {"data": {"user": "ann", "port": 5432}, "metadata": {"version": 2}}});
    let fake = Fake::with(&[kv_mount(), ("GET secret/data/app", 200, secret)]).await;
    assert_eq!(fake.run("twinkeep kv get -field=user secret/app").await.expect("a field").text, "ann");
    let printed = fake.run("twinkeep kv get -format=json -mount=secret app").await.expect("JSON").text;
    let printed: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(printed["data"]["data"]["port"], 5432);
    let table = fake.run("twinkeep kv get secret/app").await.expect("a table").text;
    assert!(table.ends_with("Key     Value\n---     -----\nport    5432\nuser    ann"), "{table}");
    assert_eq!(fake.run("twinkeep kv get -field=none secret/app").await.expect_err("no such field").exit, 1);
}

#[tokio::test]
async fn kv_list_is_a_list() {
    let fake = Fake::with(&[kv_mount(), ("LIST secret/metadata", 200, json!({"data": {"keys": ["a", "b/"]}}))]).await;
    assert_eq!(fake.run("twinkeep kv list secret").await.expect("names").text, "Keys\n----\na\nb/");
    let names = fake.run("twinkeep kv list -format=json secret/").await.expect("names").text;
    assert_eq!(serde_json::from_str::<Value>(&names).expect("JSON"), json!(["a", "b/"]));
}

#[tokio::test]
async fn errors_of_the_server_are_printed_as_vaults_cli_does() {
    let fake = Fake::with(&[("GET sys/internal/ui/mounts", 403, json!({"errors": ["permission denied"]}))]).await;
    let failure = fake.run("twinkeep kv get secret/app").await.expect_err("refused");
    assert_eq!(failure.exit, 2);
    let url = format!("URL: GET http://{}/v1/sys/internal/ui/mounts/secret/app", fake.address);
    let expected =
        format!("Error making API request.\n\n{url}\nCode: 403. Errors:\n\n* permission denied\n\nCheck the token: ");
    assert!(failure.text.starts_with(&expected), "{}", failure.text);
}

#[tokio::test]
async fn login_keeps_a_good_token_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let fake =
        Fake::with(&[("GET auth/token/lookup-self", 200, json!({"data": {"accessor": "a1", "policies": ["root"]}}))])
            .await;
    let home = tempfile::tempdir().expect("a home");
    let environment = Environment::new([
        ("VAULT_ADDR".to_owned(), format!("http://{}", fake.address)),
        ("HOME".to_owned(), home.path().display().to_string()),
    ]);
    let mut person = Script { standard_input: "hvs.canary\n".into(), ..Script::default() };
    let output = run(parse("twinkeep login"), &mut Context { environment: &environment, person: &mut person }).await;
    let output = output.expect("a good token");
    assert!(output.text.contains("a1") && !output.text.contains("canary"), "{}", output.text);
    let file = home.path().join(".vault-token");
    assert_eq!(std::fs::read_to_string(&file).expect("kept"), "hvs.canary");
    assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    assert_eq!(environment.token().expect("readable").expect("there").expose(), "hvs.canary");
}

#[tokio::test]
async fn an_unknown_format_in_the_environment_is_named() {
    let environment = Environment::new([("VAULT_FORMAT".to_owned(), "yaml".to_owned())]);
    let mut person = Script::default();
    let failure = run(parse("twinkeep status"), &mut Context { environment: &environment, person: &mut person }).await;
    assert_eq!(failure.expect_err("refused").text, "VAULT_FORMAT: there is no format `yaml`: expected table or json");
}

/// A path's status with only what it must have.
fn path_status() -> Value {
    json!({"data": {
        "observed_at": 2000, "path": "default",
        "region": {"id": "00".repeat(16), "name": "eu-west-1", "node": "n1", "api_addr": "http://h:1", "version": "0", "protocol": 1},
        "role": "standby", "epoch": 1, "dataset": "00".repeat(16), "whole": true, "writable": false, "sealed": false,
        "head": null, "head_at": null, "received": {"epoch": 1, "index": 7}, "applied": {"epoch": 1, "index": 7},
        "applied_at": 1000, "lag": null, "merkle_root": "ab", "entries": 3, "bytes": 300,
        "wal": {"first_index": 1, "next_index": 8, "bytes": 700}, "sync": null, "primary": null, "fence": null,
        "links": [], "tokens": {"issued": 1, "used": 0, "expired": 0, "revoked": 0, "next_expiry_at": null},
        "nodes": [], "writes_per_s": 0.0
    }})
}

fn plan(entries: u64, known: bool, verdict: &str) -> Value {
    json!({"data": {
        "mode": "forced", "hash": "h1", "made_at": 5, "epoch_now": 1, "epoch_next": 2,
        "checks": [{"name": "whole", "verdict": verdict, "fact": "it is", "source": "n1", "at": 5, "advice": ""}],
        "loss": {"entries": entries, "bytes": 0, "ms": 0, "known": known, "last_heard_at": null,
                 "likely_entries": 310, "by_class": [], "words": ""}
    }})
}

fn promotion(outcome: &str) -> Value {
    json!({"data": {
        "id": "00".repeat(16), "mode": "forced", "outcome": outcome, "epoch": 2, "began_at": 5, "ended_at": null, "loss": null,
        "error": "because", "plan": null, "fence": {"proof": "unproven"}, "steps": [], "pause_ms": null
    }})
}

async fn standby(plan: Value, outcome: &str) -> Fake {
    Fake::with(&[
        ("GET sys/replication/path/default/status", 200, path_status()),
        ("GET sys/replication/path/default/plan", 200, plan),
        ("POST sys/replication/path/default/promote", 200, promotion("running")),
        ("GET sys/replication/path/default/promote", 200, promotion(outcome)),
    ])
    .await
}

const PROMOTE: &str = "POST sys/replication/path/default/promote";
/// Asks for the outcome once, so that a test need not wait for what never comes.
const RESUME: &str = "twinkeep operator replicate-resume -replication-path=default -timeout=0s";

#[tokio::test]
async fn status_says_that_an_unheard_primarys_lag_is_unknown() {
    let fake = standby(plan(0, true, "pass"), "done").await;
    let text = fake.run("twinkeep replication status -replication-path=default").await.expect("a status").text;
    let row =
        |key: &str| text.lines().find(|line| line.starts_with(key)).map(|line| line[key.len()..].trim().to_owned());
    assert_eq!(row("lag").as_deref(), Some("unknown"), "{text}");
    assert_eq!(row("head").as_deref(), Some("unknown"), "{text}");
    assert_eq!(row("applied").as_deref(), Some("1:7, written 1.0 s ago"), "{text}");
}

#[tokio::test]
async fn without_a_terminal_a_promotion_that_loses_nothing_goes_ahead() {
    let fake = standby(plan(0, true, "pass"), "done").await;
    let output = fake.run(RESUME).await.expect("promoted");
    assert!(output.text.starts_with("Success! eu-west-1 is primary, in epoch 2."), "{}", output.text);
    assert!(output.text.contains("may still take writes"), "an unproven fence is said: {}", output.text);
    let sent = fake.heard(PROMOTE).expect("asked");
    assert_eq!((&sent["plan"], &sent["accept_loss"]), (&json!("h1"), &json!(false)));
}

#[tokio::test]
async fn without_a_terminal_a_loss_needs_its_flag_and_the_refusal_says_how_much() {
    for (plan, estimate) in [
        (plan(8, true, "pass"), "It would lose: 8 acknowledged writes."),
        (
            plan(0, false, "unknown"),
            "It would lose: unknown: at least 0 acknowledged writes, at the last rate about 310.",
        ),
    ] {
        let fake = standby(plan, "done").await;
        let failure = fake.run(RESUME).await.expect_err("refused");
        assert_eq!(failure.exit, 1);
        assert!(failure.text.contains("-accept-loss") && failure.text.contains(estimate), "{}", failure.text);
        assert!(fake.heard(PROMOTE).is_none(), "nothing was asked for");
        fake.run(&format!("{RESUME} -accept-loss")).await.expect("promoted");
        assert_eq!(fake.heard(PROMOTE).expect("asked")["accept_loss"], true);
    }
}

#[tokio::test]
async fn in_a_terminal_the_plan_is_shown_and_the_regions_name_is_asked_for() {
    let fake = standby(plan(8, true, "pass"), "done").await;
    let mut hasty = Script { present: true, answers: vec!["yes".into()], ..Script::default() };
    let failure = fake.run_as(&format!("{RESUME} -accept-loss"), &mut hasty).await.expect_err("refused");
    assert_eq!(failure.exit, 1);
    assert!(hasty.told.contains("It would lose: 8 acknowledged writes."), "{}", hasty.told);
    assert!(fake.heard(PROMOTE).is_none(), "nothing was asked for");
    let mut sure = Script { present: true, answers: vec!["eu-west-1".into()], ..Script::default() };
    fake.run_as(RESUME, &mut sure).await.expect("promoted");
    assert_eq!(fake.heard(PROMOTE).expect("asked")["accept_loss"], true);
}

#[tokio::test]
async fn a_dry_run_shows_the_plan_and_changes_nothing() {
    let fake = standby(plan(8, true, "block"), "done").await;
    let output = fake.run("twinkeep replication promote -forced -dry-run").await.expect("a plan");
    assert_eq!(output.exit, 1, "it would be refused");
    assert!(output.text.contains("BLOCK"), "{}", output.text);
    assert_eq!(fake.run(&format!("{RESUME} -accept-loss")).await.expect_err("blocked").exit, 1);
    assert!(fake.heard(PROMOTE).is_none(), "nothing was asked for");
}

#[tokio::test]
async fn a_primary_that_answers_is_switched_over_from() {
    let fake = standby(plan(0, true, "pass"), "done").await;
    fake.run(RESUME).await.expect("promoted");
    assert_eq!(fake.heard(PROMOTE).expect("asked")["mode"], "planned");
    fake.run("twinkeep replication promote -forced -deadline=5s -timeout=0s").await.expect("promoted");
    let sent = fake.heard(PROMOTE).expect("asked");
    assert_eq!((&sent["mode"], &sent["deadline"]), (&json!("forced"), &json!("5s")));
}

#[tokio::test]
async fn a_primary_that_does_not_answer_is_failed_over_from() {
    let mut silent = plan(0, true, "pass");
    silent["data"]["checks"][0]["name"] = json!("primary");
    silent["data"]["checks"][0]["verdict"] = json!("block");
    let fake = standby(silent, "done").await;
    let failure = fake.run(&format!("{RESUME} -accept-loss")).await.expect_err("this server's plans all block");
    assert!(
        failure.text.starts_with("Fail over to eu-west-1") || failure.text.contains("primary: it is"),
        "{}",
        failure.text
    );
}

#[tokio::test]
async fn a_promotion_that_failed_exits_2() {
    let fake = standby(plan(0, true, "pass"), "failed").await;
    let failure = fake.run(RESUME).await.expect_err("failed");
    assert_eq!(failure.exit, 2);
    assert!(failure.text.contains("was not promoted: because"), "{}", failure.text);
}

#[tokio::test]
async fn a_promotion_whose_outcome_stays_unknown_exits_3() {
    let fake = standby(plan(0, true, "pass"), "unknown").await;
    let failure = fake.run(RESUME).await.expect_err("unknown");
    assert_eq!(failure.exit, 3);
    assert!(failure.text.contains("Keep asking"), "{}", failure.text);
}

/// A verification that came out so, of one standby.
fn verification(outcome: &str, own_disk: Value, ended: bool) -> Value {
    json!({"data": {
        "id": "1f", "began_at": 5, "ended_at": ended.then_some(9), "own_disk": own_disk,
        "standbys": [{
            "region": "02".repeat(16), "name": "eu-west-1", "outcome": outcome, "at": {"epoch": 1, "index": 7}, "damaged_buckets": 1,
            "differing_buckets": 1, "differing_entries": 1, "prefixes": ["secret/app/db/…"], "words": "because"
        }]
    }})
}

#[tokio::test]
async fn a_verification_exits_as_it_came_out_and_names_what_differed() {
    let (sound, differs) = (json!({"state": "sound"}), json!({"state": "differs", "buckets": 3}));
    for (outcome, own_disk, exit, says) in [
        ("equal", &sound, 0, "equal"),
        ("repaired", &sound, 0, "secret/app/db/…"),
        ("differs", &sound, EXIT_SERVER, "DIFFERS"),
        ("unchecked", &sound, EXIT_UNKNOWN, "not checked"),
        ("equal", &differs, EXIT_SERVER, "ALARM"),
    ] {
        let fake = Fake::with(&[
            ("POST sys/replication/path/default/verify", 200, verification("running", sound.clone(), false)),
            ("GET sys/replication/path/default/verify", 200, verification(outcome, own_disk.clone(), true)),
        ])
        .await;
        let output = fake.run("twinkeep replication verify -replication-path=default").await.expect("an outcome");
        assert_eq!(output.exit, exit, "{outcome}: {}", output.text);
        assert!(output.text.contains(says), "{outcome}: {}", output.text);
    }
}
