//! The body of every target: the decoder that has the target's name must hold what tests/decoders holds of it. The target
//! `any` takes the name from `TWINKEEP_DECODER`, so that one build tries them all.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use twinkeep::decoding::{Decoder, Kind};

static DECODER: LazyLock<Decoder> = LazyLock::new(|| {
    let target = env!("CARGO_BIN_NAME");
    let said = std::env::var("TWINKEEP_DECODER");
    let name = if target == "any" { said.expect("TWINKEEP_DECODER names a decoder") } else { target.to_owned() };
    twinkeep::server::decoders().into_iter().find(|decoder| decoder.name == name).expect("a decoder of this name")
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(canonical) = (DECODER.again)(bytes) else { return };
    assert_eq!((DECODER.again)(&canonical).as_ref().ok(), Some(&canonical), "what is decoded is not what was encoded");
    if DECODER.kind == Kind::Whole
        && let Some((_, cut)) = canonical.split_last()
    {
        assert!((DECODER.again)(cut).is_err(), "a byte is missing, and nobody noticed");
    }
});
