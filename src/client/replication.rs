//! `sys/replication/path/:path/`: what the console and `twinkeep replication` do.

use super::request::list;
use super::{Client, EventStream, Result};
use crate::api::ledger::{
    DemoteRequest, DiscardAnswer, DiscardRequest, LedgerExport, LedgerPage, RejoinRequest, ReplayAnswer, ReplayRequest,
};
use crate::api::replication::{
    Event, LinkRequest, OpenRequest, PathStatus, PauseRequest, Plan, PromoteMode, PromoteRequest, Promotion,
    TokenCreated, TokenInfo, TokenRequest,
};
use crate::api::replication_answers::{Events, LinkList, TokenList};
use crate::api::verification::Verification;
use crate::ids::PromotionId;
use reqwest::Method;

const PATH: &str = "sys/replication/path";

impl Client {
    /// `GET …/status`
    pub async fn path_status(&self, path: &str) -> Result<PathStatus> {
        self.get(&[PATH, path, "status"]).data().await
    }

    /// `GET …/events?after=ID`: what happened since, oldest first.
    pub async fn events(&self, path: &str, after: u64) -> Result<Vec<Event>> {
        let answer: Events = self.get(&[PATH, path, "events"]).query("after", after).data().await?;
        Ok(answer.events)
    }

    /// `GET …/events` as a stream: first what happened since `after`, then what happens.
    pub async fn event_stream(&self, path: &str, after: u64) -> Result<EventStream> {
        let response = self.get(&[PATH, path, "events"]).query("after", after).stream().await?;
        Ok(EventStream::new(self.address(), response))
    }

    /// `POST …/tokens` on a standby
    pub async fn generate_token(&self, path: &str, request: &TokenRequest) -> Result<TokenCreated> {
        self.request(Method::POST, &[PATH, path, "tokens"]).json(request).data().await
    }

    /// `LIST …/tokens`
    pub async fn tokens(&self, path: &str) -> Result<TokenList> {
        let listed = self.request(list(), &[PATH, path, "tokens"]).data_if_any().await?;
        Ok(listed.unwrap_or_else(|| TokenList::new([])))
    }

    /// `GET …/tokens/:accessor`
    pub async fn token_info(&self, path: &str, accessor: &str) -> Result<TokenInfo> {
        self.get(&[PATH, path, "tokens", accessor]).data().await
    }

    /// `DELETE …/tokens/:accessor`
    pub async fn revoke_token(&self, path: &str, accessor: &str) -> Result<()> {
        self.request(Method::DELETE, &[PATH, path, "tokens", accessor]).done().await
    }

    /// `POST …/links` on a primary
    pub async fn connect(&self, path: &str, request: &LinkRequest) -> Result<()> {
        self.request(Method::POST, &[PATH, path, "links"]).json(request).done().await
    }

    /// `LIST …/links`
    pub async fn links(&self, path: &str) -> Result<LinkList> {
        let listed = self.request(list(), &[PATH, path, "links"]).data_if_any().await?;
        Ok(listed.unwrap_or_else(|| LinkList::new([])))
    }

    /// `DELETE …/links/:region`; the region by name or id.
    pub async fn disconnect(&self, path: &str, region: &str) -> Result<()> {
        self.request(Method::DELETE, &[PATH, path, "links", region]).done().await
    }

    /// `POST …/pause`: the link to this region, or all links
    pub async fn pause(&self, path: &str, region: Option<&str>) -> Result<()> {
        let request = PauseRequest { region: region.map(str::to_owned) };
        self.request(Method::POST, &[PATH, path, "pause"]).json(&request).done().await
    }

    /// `POST …/resume`: the link to this region, or all links
    pub async fn resume(&self, path: &str, region: Option<&str>) -> Result<()> {
        let request = PauseRequest { region: region.map(str::to_owned) };
        self.request(Method::POST, &[PATH, path, "resume"]).json(&request).done().await
    }

    /// `POST …/open` on a primary that is closed since it restarted
    pub async fn open(&self, path: &str, request: &OpenRequest) -> Result<()> {
        self.request(Method::POST, &[PATH, path, "open"]).json(request).done().await
    }

    /// `POST …/verify` on a primary: begins, or says how the one goes that is under way
    pub async fn verify(&self, path: &str) -> Result<Verification> {
        self.request(Method::POST, &[PATH, path, "verify"]).data().await
    }

    /// `GET …/verify/:id`
    pub async fn verification(&self, path: &str, id: &str) -> Result<Verification> {
        self.get(&[PATH, path, "verify", id]).data().await
    }

    /// `GET …/ledger`, a page
    pub async fn ledger(&self, path: &str, after: Option<&str>) -> Result<LedgerPage> {
        let request = self.get(&[PATH, path, "ledger"]);
        let request = after.into_iter().fold(request, |request, after| request.query("after", after));
        request.data().await
    }

    /// `GET …/ledger/export`, a page
    pub async fn export_ledger(&self, path: &str, after: Option<&str>) -> Result<LedgerExport> {
        let request = self.get(&[PATH, path, "ledger", "export"]);
        let request = after.into_iter().fold(request, |request, after| request.query("after", after));
        request.data().await
    }

    /// `POST …/ledger/replay` on the region that has the ledger. To repeat it is safe.
    pub async fn replay(&self, path: &str, request: &ReplayRequest) -> Result<ReplayAnswer> {
        self.request(Method::POST, &[PATH, path, "ledger", "replay"]).json(request).data().await
    }

    /// `POST …/ledger/discard`
    pub async fn discard(&self, path: &str, request: &DiscardRequest) -> Result<DiscardAnswer> {
        self.request(Method::POST, &[PATH, path, "ledger", "discard"]).json(request).data().await
    }

    /// `POST …/rejoin`
    pub async fn rejoin(&self, path: &str, request: &RejoinRequest) -> Result<()> {
        self.request(Method::POST, &[PATH, path, "rejoin"]).json(request).done().await
    }

    /// `POST …/demote` on a primary
    pub async fn demote(&self, path: &str, request: &DemoteRequest) -> Result<()> {
        self.request(Method::POST, &[PATH, path, "demote"]).json(request).done().await
    }

    /// `GET …/plan?mode=…` on a standby
    pub async fn plan(&self, path: &str, mode: PromoteMode) -> Result<Plan> {
        let mode = match mode {
            PromoteMode::Planned => "planned",
            PromoteMode::Forced => "forced",
        };
        self.get(&[PATH, path, "plan"]).query("mode", mode).data().await
    }

    /// `POST …/promote` on a standby. To repeat it with the same id is safe.
    pub async fn promote(&self, path: &str, request: &PromoteRequest) -> Result<Promotion> {
        self.request(Method::POST, &[PATH, path, "promote"]).json(request).data().await
    }

    /// `POST …/promote/:id/cancel`: of a switchover that is not done, at the standby, or before the give-up at the primary.
    pub async fn cancel_promotion(&self, path: &str, id: PromotionId) -> Result<Promotion> {
        self.request(Method::POST, &[PATH, path, "promote", &id.to_string(), "cancel"]).data().await
    }

    /// `GET …/promote/:id`: its progress and its outcome. `None`: this region knows of no such promotion.
    pub async fn promotion(&self, path: &str, id: PromotionId) -> Result<Option<Promotion>> {
        match self.get(&[PATH, path, "promote", &id.to_string()]).data().await {
            Ok(promotion) => Ok(Some(promotion)),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
