//! Every decoder against bytes that nobody meant: none panics, none takes more memory than the bytes are worth, what is
//! decoded is what was encoded, and what was cut off is missed.

mod memory;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Union;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use twinkeep::decoding::{Decoder, Kind};
use twinkeep::server::decoders;

/// What a decoder may hold: for each byte that it was given, and whatever the input.
const MEMORY_PER_BYTE: usize = 160;
const MEMORY_BYTES: usize = 8 << 20;
/// Inputs for each decoder.
const CASES: u32 = 100;
/// Lengths that lie, as postcard writes them.
const LIES: [&[u8]; 4] = [
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
    &[0xff, 0xff, 0xff, 0x07],
];

/// Bytes that often happen to be an encoding: small numbers, hence known variants and short lengths.
fn likely_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![12 => 0u8..4, 4 => 0u8..18, 1 => any::<u8>()];
    // Zeros decode as the first variant, empty and none, whatever the type: from there a few changes lead far.
    let changes = vec((0usize..400, byte.clone()), 0..25);
    let nearly_zeros = (200usize..600, 0u8..2, changes).prop_map(|(length, first, changes)| {
        let mut bytes = vec![0; length];
        bytes[0] = first;
        changes.into_iter().for_each(|(at, byte)| bytes[at % length] = byte);
        bytes
    });
    prop_oneof![vec(byte.clone(), 0..80), vec(byte, 0..800), vec(any::<u8>(), 0..300), nearly_zeros]
}

/// Texts out of the words that the formats know.
fn likely_text() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "\"",
        "=",
        ":",
        ",",
        "\n",
        " ",
        "#",
        "//",
        "/*",
        "*/",
        "<<EOT\n",
        "EOT\n",
        "${",
        "%{",
        "\\u{",
        "\\u",
        "null",
        "true",
        "1",
        "-1e999",
        "127.0.0.1:8200",
        "0.0.0.0:0",
        "/v1/",
        "/",
        "..",
        "%2f",
        "%",
        "s.",
        "cluster_name",
        "api_addr",
        "listener",
        "\"tcp\"",
        "storage",
        "\"raft\"",
        "address",
        "path",
        "node_id",
        "engine",
        "retry_join",
        "leader_api_addr",
        "seal",
        "\"file\"",
        "replication",
        "\"default\"",
        "enabled",
        "replication_path",
        "token",
        "max_parallel",
        "tls_disable",
        "id",
        "server_id",
        "answer",
        "challenge",
        "nonce",
        "raft_key",
        "seal",
        "type",
        "shares",
        "threshold",
        "root_key",
        "shamir",
        "é",
        "\u{0}",
        "AAAA",
    ];
    let word = Union::new(words.map(|word| Just(word.as_bytes().to_vec()).boxed()));
    prop_oneof![
        vec(word, 0..60).prop_map(|words| words.concat()),
        ".{0,200}".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..200)
    ]
}

/// What holds for any bytes. Whether they decoded.
fn hold(decoder: &Decoder, bytes: &[u8]) -> Result<bool, TestCaseError> {
    let Ok(canonical) = (decoder.again)(bytes) else { return Ok(false) };
    let again = (decoder.again)(&canonical);
    let again = again.map_err(|error| TestCaseError::fail(format!("what was encoded does not decode: {error}")))?;
    prop_assert_eq!(&again, &canonical, "what is decoded is not what was encoded");
    if decoder.kind == Kind::Whole {
        let step = (canonical.len() / 60).max(1);
        for cut in (0..canonical.len()).step_by(step) {
            prop_assert!((decoder.again)(&canonical[..cut]).is_err(), "cut at {} of {}", cut, canonical.len());
        }
    }
    for lie in LIES {
        let step = (canonical.len() / 8).max(1);
        for at in (0..canonical.len()).step_by(step) {
            let lying = [&canonical[..at], lie, &canonical[at..]].concat();
            bounded(decoder, &lying)?;
        }
    }
    Ok(true)
}

fn bounded(decoder: &Decoder, bytes: &[u8]) -> Result<(), TestCaseError> {
    // Whether it decodes does not matter here.
    let peak = memory::peak(|| drop((decoder.again)(bytes)));
    let most = MEMORY_BYTES + MEMORY_PER_BYTE * bytes.len();
    prop_assert!(peak <= most, "{} bytes made it hold {} of at most {}", bytes.len(), peak, most);
    Ok(())
}

fn try_all(kind: impl Fn(Kind) -> bool, strategy: impl Strategy<Value = Vec<u8>>) {
    for decoder in decoders().into_iter().filter(|decoder| kind(decoder.kind)) {
        let decoded = Cell::new(0);
        let config = Config { failure_persistence: None, ..Config::with_cases(CASES) };
        // The same inputs each time: of some decoders only a few in a hundred decode. The fuzz targets try new ones.
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let outcome = runner.run(&strategy, |bytes| {
            bounded(&decoder, &bytes)?;
            decoded.set(decoded.get() + u32::from(hold(&decoder, &bytes)?));
            Ok(())
        });
        if let Err(error) = outcome {
            panic!("{}: {error}", decoder.name);
        }
        println!("{}: {} of {CASES} inputs decoded", decoder.name, decoded.get());
        assert!(
            decoder.kind == Kind::Text || decoded.get() > 0,
            "{}: nothing was decoded, so nothing was tried",
            decoder.name
        );
    }
}

#[test]
fn no_bytes_do_harm_and_what_decodes_is_what_was_encoded() {
    try_all(|kind| kind != Kind::Text, likely_bytes());
}

#[test]
fn no_text_does_harm_and_what_decodes_is_what_was_encoded() {
    try_all(|kind| kind == Kind::Text, likely_text());
}

/// Long bodies of one thing: lengths within lengths, variants that repeat, numbers without an end, nesting.
#[test]
fn long_monotony_is_borne() {
    const BYTES: usize = 100_000;
    let texts = [
        "[", "{", "(", "\"", " ", "/", "-", "!", "{a=", "a {", "${", "%{if a}", "[{\"a\":", "<<A\n", "a=[", "a=!", ".",
    ];
    for decoder in decoders() {
        let bombs: Vec<Vec<u8>> = match decoder.kind {
            Kind::Text => {
                ["", "a = ", "{\"a\":"].iter().flat_map(|start| texts.map(|it| bomb(start, it, BYTES))).collect()
            }
            Kind::Whole | Kind::Open => [0, 1, 2, 3, 0x7f, 0x80, 0xff].map(|byte| vec![byte; BYTES]).to_vec(),
        };
        for bytes in bombs {
            if let Err(error) = bounded(&decoder, &bytes) {
                panic!("{}: {error}: {:?}…", decoder.name, &bytes[..20]);
            }
        }
    }
}

fn bomb(start: &str, again: &str, bytes: usize) -> Vec<u8> {
    format!("{start}{}", again.repeat(bytes / again.len())).into_bytes()
}

#[test]
fn each_decoder_has_a_name_of_its_own_and_a_fuzz_target() {
    let names: Vec<&str> = decoders().iter().map(|decoder| decoder.name).collect();
    let distinct: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(distinct.len(), names.len());
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/Cargo.toml");
    let text = fs::read_to_string(&manifest).expect("the fuzz crate");
    let head = text.split("\n[[bin]]").next().unwrap_or_default();
    let targets = ["any"].iter().chain(&distinct).map(|name| {
        format!("\n[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/decoder.rs\"\ntest = false\ndoc = false\nbench = false\n")
    });
    let expected = format!("{head}{}", targets.collect::<String>());
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        return fs::write(&manifest, expected).expect("the fuzz crate");
    }
    assert_eq!(
        text, expected,
        "one target for each decoder: UPDATE_GOLDENFILES=1 cargo test --test decoders each_decoder"
    );
}

/// Files that decode postcard list a decoder, or decode what another file's decoder stands for.
#[test]
fn nothing_is_decoded_that_is_not_tried() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    // What they decode is in the table under another file's name.
    let elsewhere = [
        ("decoding.rs", "the table's own"),
        ("storage/format.rs", "a string"),
        ("state/apply.rs", "path-record"),
        ("state/wal.rs", "wal-entry"),
        ("state/identity.rs", "region-identity"),
        ("state/diff.rs", "path-record"),
        ("state/keep.rs", "ledger-entry"),
        ("state/ledger.rs", "ledger-head, ledger-entry"),
        ("server/peers.rs", "node-report"),
        ("secrets/core.rs", "kv-metadata, mount-table, audit-table, client-token, batch-token, token-role"),
        ("secrets/keyring.rs", "keyring"),
        ("secrets/snapshot/save.rs", "path-record, region-identity"),
        ("secrets/snapshot/restore.rs", "unfinished-restore"),
        ("replication/reads.rs", "path-record"),
        ("replication/promotion.rs", "promotion-record"),
        ("replication/jobs.rs", "link-answer"),
        ("replication/news.rs", "link-news, link-news-reply"),
        ("replication/inbound.rs", "link-request"),
        ("replication/link_record.rs", "link-record"),
        ("replication/token_records.rs", "token-record"),
    ];
    let mut unknown = Vec::new();
    for file in files(&root) {
        let text = fs::read_to_string(&file).expect("a source file");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let name = file.strip_prefix(&root).expect("below src").display().to_string();
        let decodes = code.contains("postcard::from_bytes") || code.contains("postcard::take_from_bytes");
        if decodes && !code.contains("DECODER") && !name.contains("/tests/") && !elsewhere.iter().any(|it| it.0 == name)
        {
            unknown.push(name);
        }
    }
    assert!(unknown.is_empty(), "list what these decode among the decoders, and name them here: {unknown:?}");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of sources").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
