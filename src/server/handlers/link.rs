//! The link between two regions. What comes is authenticated by replication itself.

use crate::error::{Error, Result};
use crate::server::answer::Answer;
use crate::server::call::Call;

pub async fn link(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    if !call.node.config.replication.enabled {
        let name = &call.node.config.replication.path;
        return Err(Error::invalid(format!("replication \"{name}\" is disabled in this node's configuration")));
    }
    let answer = call.node.replication.handle_link(call.param("kind"), call.body.clone()).await?;
    Ok(Answer::bytes(answer))
}
