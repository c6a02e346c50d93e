//! A region as its operator sees it while its nodes come and go: through whichever node answers.

use crate::support::{PATH, Region, wait_for};
use std::cell::Cell;
use twinkeep::api::replication::{OpenRequest, PathStatus, PromoteMode, PromoteRequest, Promotion, PromotionOutcome};
use twinkeep::client::Client;
use twinkeep::clock;
use twinkeep::ids::PromotionId;

#[derive(Clone)]
pub struct View {
    pub name: String,
    pub clients: Vec<Client>,
}

impl View {
    /// With the token of the data set that the region holds.
    pub fn of(region: &Region, token: &str) -> View {
        View { name: region.name.clone(), clients: region.nodes.iter().map(|node| node.client(token)).collect() }
    }

    pub async fn status(&self) -> Option<PathStatus> {
        for client in &self.clients {
            if let Ok(status) = client.path_status(PATH).await
                && status.nodes.iter().any(|node| node.leader)
            {
                return Some(status);
            }
        }
        None
    }

    /// A client of the leader.
    pub async fn client(&self) -> Client {
        wait_for(&format!("a leader of {}", self.name), || async {
            for client in &self.clients {
                if client.leader().await.is_ok_and(|leader| leader.is_self) {
                    return Some(client.clone());
                }
            }
            None
        })
        .await
    }

    /// Waits until this primary takes writes.
    pub async fn until_writable(&self) {
        wait_for(&format!("{} to take writes", self.name), || async { self.status().await?.writable.then_some(()) })
            .await;
    }

    /// Waits until this primary takes writes; if it is closed since it restarted, its operator opens it.
    pub async fn until_open(&self, reason: &str) {
        wait_for(&format!("{} to take writes", self.name), || async {
            if self.status().await?.writable {
                return Some(());
            }
            // Refused where it opens by itself in a moment.
            let _ = self.client().await.open(PATH, &OpenRequest { reason: reason.into() }).await;
            None
        })
        .await;
    }

    /// Promotes this standby, with one id for as long as its outcome is not known and another after each refusal.
    pub async fn promote(&self, mode: PromoteMode) -> Promotion {
        let id = Cell::new(PromotionId(clock::random_bytes()));
        wait_for(&format!("the promotion of {}", self.name), || {
            let (asked, again) = (id.get(), &id);
            async move {
                let mut refused = false;
                for client in &self.clients {
                    if let Ok(Some(promotion)) = client.promotion(PATH, asked).await {
                        match promotion.outcome {
                            PromotionOutcome::Done => return Some(promotion),
                            PromotionOutcome::Failed => refused = true,
                            PromotionOutcome::Running | PromotionOutcome::Unknown => return None,
                        }
                    }
                }
                if refused {
                    again.set(PromotionId(clock::random_bytes()));
                    return None;
                }
                for client in &self.clients {
                    let Ok(plan) = client.plan(PATH, mode).await else { continue };
                    let request =
                        PromoteRequest { mode, plan: plan.hash, accept_loss: true, id: asked, deadline: None };
                    match client.promote(PATH, &request).await {
                        Ok(promotion) if promotion.outcome == PromotionOutcome::Done => return Some(promotion),
                        Ok(promotion) if promotion.outcome == PromotionOutcome::Failed => {
                            eprintln!("  refused: {}", promotion.error.unwrap_or_default());
                            again.set(PromotionId(clock::random_bytes()));
                            return None;
                        }
                        _ => {}
                    }
                }
                None
            }
        })
        .await
    }
}
