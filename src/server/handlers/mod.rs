//! What the routes do. A handler reads its call, asks the part of the node that knows, and shapes the answer as Vault's
//! clients expect it; it decides nothing itself.

pub mod audit;
pub mod fields;
pub mod health;
pub mod kv;
pub mod ledger;
pub mod link;
pub mod membership;
pub mod mounts;
pub mod path;
pub mod plain;
pub mod policy;
pub mod replication_status;
pub mod rotation;
pub mod seal;
pub mod token;
pub mod token_roles;
pub mod wrapping;

use super::answer::Answer;
use super::call::Call;
use super::index::INDEX_HEADER;
use crate::error::{Error, Result};
use crate::ids::Position;

/// Whoever may see that there is nothing learns it.
pub async fn no_route(call: Call) -> Result<Answer> {
    Err(Error::NotFound(format!("no handler for route \"{}\". route entry not found.", call.path)))
}

/// The answer to a write, with the position that holds it.
fn written(answer: Answer, position: Position) -> Answer {
    answer.with_header(INDEX_HEADER, &position.to_string())
}
