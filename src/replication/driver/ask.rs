//! What others want of the loop, and how it answers.

use super::Driver;
use crate::api::replication::{Plan, PromoteMode, Step};
use crate::clock::UnixMs;
use crate::ids::{DatasetId, Epoch, PromotionId, RegionId};
use crate::replication::protocol::{
    Answer, Input, LinkReport, OpenedBy, Outside, PromoteOrder, PromotionProgress, Request, RequestId, SwitchoverOrder,
    Verified,
};
use tokio::sync::oneshot;

/// What the face and the link want of the loop. A node that does not lead drops it, and with it the reply.
pub(in crate::replication) enum Ask {
    Request {
        from: RegionId,
        request: Box<Request>,
        reply: oneshot::Sender<Answer>,
    },
    /// Link records or used tokens changed. A link that is given begins anew, whatever came of it before.
    LinksChanged {
        anew: Option<RegionId>,
    },
    /// The configuration's links changed.
    Configured,
    /// Of a closed primary: whose confirmation is missing, by name; `None` if it is open.
    WaitsFor {
        reply: oneshot::Sender<Option<Vec<String>>>,
    },
    /// The primary may take writes in this epoch.
    Open {
        dataset: DatasetId,
        epoch: Epoch,
        by: OpenedBy,
        reply: Option<oneshot::Sender<()>>,
    },
    Reports {
        reply: oneshot::Sender<Vec<LinkReport>>,
    },
    Plan {
        outside: Outside,
        mode: PromoteMode,
        reply: oneshot::Sender<Plan>,
    },
    Promote {
        order: Box<PromoteOrder>,
        reply: oneshot::Sender<PromotionProgress>,
    },
    Switchover {
        order: Box<SwitchoverOrder>,
        reply: oneshot::Sender<PromotionProgress>,
    },
    /// Answered with what becomes of the switchover, which may be done before.
    CancelSwitchover {
        id: PromotionId,
        reply: oneshot::Sender<PromotionProgress>,
    },
    /// Verify the standbys, unless that is under way; how it goes. `None`: this region has none, as it is no primary.
    Verify {
        id: u64,
        reply: oneshot::Sender<Option<Verified>>,
    },
    /// How the newest verification of this leader goes, or went.
    Verification {
        reply: oneshot::Sender<Option<Verified>>,
    },
    /// How a promotion of this leader goes.
    Promotion {
        id: PromotionId,
        reply: oneshot::Sender<Option<Promoted>>,
    },
    /// The newest promotion of this leader that has no outcome yet.
    Unsettled {
        reply: oneshot::Sender<Option<(PromotionId, Promoted)>>,
    },
}

/// A promotion under way: since when, what was heard last, and what was done.
pub(in crate::replication) struct Promoted {
    pub since: UnixMs,
    pub mode: PromoteMode,
    pub progress: PromotionProgress,
    pub steps: Vec<Step>,
}

impl Driver {
    pub(super) fn ask(&mut self, ask: Ask) {
        let now = self.now();
        let Some(leading) = &mut self.leading else { return };
        match ask {
            Ask::Request { from, request, reply } => {
                let id = RequestId(leading.next_request);
                leading.next_request += 1;
                leading.replies.insert(id, reply);
                self.step(Input::Request { id, from, request: *request });
            }
            Ask::LinksChanged { anew } => {
                leading.anew.extend(anew);
                self.load_links();
            }
            Ask::Configured => self.connect_configured(),
            Ask::WaitsFor { reply } => {
                let names = leading.core.waits_for().iter().map(|peer| peer.name.clone()).collect();
                drop(reply.send((!leading.core.is_open()).then_some(names)));
            }
            Ask::Open { dataset, epoch, by, reply } => {
                self.step(Input::Open { dataset, epoch, by });
                // Who asked may have gone; the region is open all the same.
                reply.map(|reply| reply.send(()));
            }
            // Who asked may have gone; nothing depends on it.
            Ask::Reports { reply } => drop(reply.send(leading.core.links(now))),
            Ask::Plan { outside, mode, reply } => drop(reply.send(leading.core.plan(now, &outside, mode))),
            Ask::Verify { id, reply } => {
                self.step(Input::Verify { id });
                let verified = self.leading.as_ref().and_then(|leading| leading.core.verified().cloned());
                drop(reply.send(verified));
            }
            Ask::Verification { reply } => drop(reply.send(leading.core.verified().cloned())),
            Ask::Promotion { id, reply } => {
                let promoting = leading.promotions.get(&id);
                drop(reply.send(promoting.map(|promoting| promoting.told(leading.core.steps(id)))));
            }
            Ask::Unsettled { reply } => {
                let newest = leading.promotions.iter().max_by_key(|(_, promoting)| promoting.since);
                let told = newest.map(|(id, promoting)| (*id, promoting.told(leading.core.steps(*id))));
                drop(reply.send(told));
            }
            Ask::Promote { order, reply } => {
                leading.promoting(order.id, PromoteMode::Forced, now.wall).waiting.push(reply);
                self.step(Input::Promote(*order));
            }
            Ask::Switchover { order, reply } => {
                leading.promoting(order.id, PromoteMode::Planned, now.wall).waiting.push(reply);
                self.step(Input::Switchover(*order));
            }
            Ask::CancelSwitchover { id, reply } => {
                // Without an entry it came to its end just now, and its record says how.
                if let Some(promoting) = leading.promotions.get_mut(&id) {
                    promoting.waiting.push(reply);
                }
                self.step(Input::CancelSwitchover { id, reason: "its operator cancelled it".into() });
            }
        }
    }
}
