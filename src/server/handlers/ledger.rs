//! `sys/replication/path/:path/ledger`, `rejoin` and `demote`: what a region holds that the new primary never got.

use crate::api::ledger::{AcceptRequest, DemoteRequest, DiscardRequest, RejoinRequest, ReplayRequest};
use crate::error::{Error, Result};
use crate::server::answer::Answer;
use crate::server::call::Call;
use crate::state::LedgerId;

pub async fn list(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    let limit = call.query.number("limit")?;
    Ok(Answer::data(&call.node.replication.ledger(after(&call)?, limit).await?))
}

pub async fn export(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    Ok(Answer::data(&call.node.replication.export_ledger(after(&call)?).await?))
}

/// The entry behind which the page begins.
fn after(call: &Call) -> Result<Option<LedgerId>> {
    call.query.get("after").filter(|text| !text.is_empty()).map(|text| text.parse().map_err(Error::Invalid)).transpose()
}

pub async fn replay(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    let request: ReplayRequest = call.json()?;
    let token = call.token().ok_or(Error::PermissionDenied)?;
    Ok(Answer::data(&call.node.replication.replay(request, token).await?))
}

pub async fn discard(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    let request: DiscardRequest = call.json()?;
    Ok(Answer::data(&call.node.replication.discard(request).await?))
}

pub async fn accept(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    let request: AcceptRequest = call.json()?;
    Ok(Answer::data(&call.node.replication.accept(request).await?))
}

pub async fn rejoin(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    let request: RejoinRequest = call.json()?;
    call.node.replication.rejoin(request).await?;
    Ok(Answer::empty())
}

pub async fn demote(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    let request: DemoteRequest = call.json()?;
    call.node.replication.demote(&request.reason).await?;
    Ok(Answer::empty())
}
