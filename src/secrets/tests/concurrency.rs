//! Writers at the same time.

use super::*;
use crate::error::Error;
use crate::secrets::core::View;
use crate::secrets::lock::Lock;
use tokio::task::JoinSet;

const WRITERS: u64 = 32;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn exactly_one_of_many_check_and_sets_wins() {
    let f = Arc::new(Fixture::open().await);
    for round in 0..20 {
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let f = f.clone();
            writers.spawn(async move {
                let data = SensitiveString::new(format!("{{\"writer\":{writer}}}"));
                f.vault.kv_put(f.kv, "a", data, Some(round)).await
            });
        }
        let outcomes = writers.join_all().await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(Error::Invalid(_)))));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_version_is_given_twice() {
    let f = Arc::new(Fixture::open().await);
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let f = f.clone();
        writers.spawn(async move { f.put("a", &format!("{{\"writer\":{writer}}}")).await });
    }
    let mut versions = writers.join_all().await;
    versions.sort_unstable();
    assert_eq!(versions, (1..=WRITERS).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_caller_that_goes_away_does_not_let_go_of_the_lock() {
    let f = Arc::new(Fixture::open().await);
    for at in 0..50u64 {
        let before = f.consensus.state().path().applied.index;
        let going = {
            let f = f.clone();
            tokio::spawn(async move { f.put("a", "{}").await })
        };
        tokio::task::yield_now().await;
        going.abort();
        let cut_off = going.await.is_err();
        let version = f.put("a", "{}").await;
        let metadata = f.vault.kv_metadata(f.kv, "a").await.unwrap().unwrap();
        assert_eq!(metadata.current_version, version, "round {at}");
        let written = f.consensus.state().path().applied.index - before;
        assert!(written == 2 || cut_off && written == 1, "{written} batches in round {at}");
    }
}

#[tokio::test]
async fn a_write_that_was_evaluated_in_an_older_term_is_refused() {
    use crate::state::{Class, Op};
    let f = Fixture::open().await;
    let consensus = f.consensus.clone();
    let change = move |_: &View| {
        consensus.next_term();
        Ok(((), vec![Op::Put { key: "key".into(), value: "value".into() }]))
    };
    let error = f.vault.core.write(Class::System, Lock::Record(b"lock".to_vec()), change).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(f.consensus.state().data(b"key").unwrap().is_none());
    assert_eq!(f.put("a", "{}").await, 1, "the next is evaluated in the new term");
}
