//! What the barrier lets nobody change, move or compare.

use crate::clock::UnixMs;
use crate::secrets::barrier::{Barrier, first_segment};
use crate::secrets::keyring::Keyring;
use proptest::prelude::*;

fn barrier() -> Barrier {
    Barrier::new(Keyring::generate(UnixMs(0)))
}

#[test]
fn a_value_that_was_changed_anywhere_does_not_open() {
    let barrier = barrier();
    let value = barrier.encrypt(b"key", b"plain");
    assert_eq!(barrier.decrypt(b"key", &value).unwrap().expose(), b"plain");
    for at in 0..value.len() {
        for bit in 0..8 {
            let mut changed = value.to_vec();
            changed[at] ^= 1 << bit;
            assert!(barrier.decrypt(b"key", &changed).is_err(), "bit {bit} of byte {at}");
        }
        assert!(barrier.decrypt(b"key", &value[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn a_value_opens_only_where_it_was_stored_and_by_its_own_keyring() {
    let one = barrier();
    let value = one.encrypt(b"key", b"plain");
    assert!(one.decrypt(b"other", &value).is_err());
    assert!(barrier().decrypt(b"key", &value).is_err());
    assert_ne!(one.encrypt(b"key", b"plain"), value, "the same twice looks different");
}

#[test]
fn equal_names_are_equal_in_one_folder_and_differ_in_two() {
    let barrier = barrier();
    let encode = |above: &[u8], name: &str| {
        let mut key = Vec::new();
        barrier.push_segment(&mut key, above, name).unwrap();
        key
    };
    let (here, there) = (encode(b"here", "name"), encode(b"there", "name"));
    assert_eq!(here, encode(b"here", "name"));
    assert_ne!(here, there);
    assert_eq!(barrier.open_segment(b"here", &here).unwrap(), "name");
    assert!(barrier.open_segment(b"there", &here).is_err());
    let below_here = encode(&here, "x");
    assert_ne!(below_here, encode(&there, "x"), "the difference goes on below");
}

proptest! {
    #[test]
    fn segments_and_values_come_back(name in "\\PC{1,60}", value in proptest::collection::vec(any::<u8>(), 0..200)) {
        let barrier = barrier();
        let mut key = Vec::new();
        barrier.push_segment(&mut key, b"above", &name).unwrap();
        let length = key.len();
        key.extend_from_slice(b"what follows");
        let segment = first_segment(&key).unwrap();
        prop_assert_eq!(segment.len(), length);
        prop_assert_eq!(barrier.open_segment(b"above", segment).unwrap(), name);
        let stored = barrier.encrypt(&key, &value);
        let opened = barrier.decrypt(&key, &stored).unwrap();
        prop_assert_eq!(opened.expose(), &value[..]);
    }

    #[test]
    fn any_bytes_are_refused_as_a_value_or_a_segment(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        prop_assert!(barrier().decrypt(b"key", &bytes).is_err());
        prop_assert!(barrier().open_segment(b"above", &bytes).is_err());
        let _none_or_some = first_segment(&bytes);
    }
}
