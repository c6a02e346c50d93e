//! The id of the request that is being answered: the same in its answer's `request_id` and in the audit log.

use crate::clock;
use std::future::Future;

tokio::task_local! {
    static ID: String;
}

/// Gives what is answered in `answering` an id.
pub async fn with<T>(answering: impl Future<Output = T>) -> T {
    ID.scope(clock::random_uuid(), answering).await
}

/// Of the request that this task answers; a new one where it answers none.
pub fn current() -> String {
    ID.try_with(Clone::clone).unwrap_or_else(|_| clock::random_uuid())
}
