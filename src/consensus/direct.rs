//! A region of one node without a log: a proposal is applied at once. For the tests of the layers above, and
//! nowhere else: nothing it does is durable.

use super::gate::WriteGate;
use super::{Consensus, Member, Standing, refused_write};
use crate::error::{Error, Result};
use crate::ids::{NodeId, Position};
use crate::state::{Batch, Command, Outcome, State};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

pub struct Direct {
    state: Arc<State>,
    standing: watch::Sender<Standing>,
    gate: WriteGate,
}

impl Direct {
    pub fn new(state: Arc<State>) -> Direct {
        let me = NodeId::of("direct");
        let member = Member {
            name: "direct".into(),
            api_addr: "http://127.0.0.1:8200".into(),
            voter: true,
            matched_index: None,
        };
        let members = BTreeMap::from([(me, member)]);
        let standing = Standing {
            me,
            is_leader: true,
            leader: Some(me),
            term: 1,
            lead_term: Some(1),
            members,
            ..Standing::default()
        };
        Direct { state, standing: watch::Sender::new(standing), gate: WriteGate::default() }
    }

    /// A change of leader, to this node again in a new term.
    pub fn next_term(&self) {
        self.standing.send_modify(|standing| {
            standing.term += 1;
            standing.lead_term = Some(standing.term);
        });
    }
}

#[async_trait]
impl Consensus for Direct {
    async fn propose(&self, command: Command) -> Result<Outcome> {
        let term = self.standing.borrow().term;
        self.state.apply(term, &command, &[])
    }

    async fn write(&self, term: u64, batch: Batch) -> Result<Position> {
        // The epoch it was evaluated in: another may begin while it waits.
        let epoch = self.state.path().epoch;
        super::pass(&self.gate, term, &self.state).await?;
        match self.propose(Command::Write { term, epoch, batches: vec![batch] }).await? {
            Outcome::Written { last, .. } => Ok(last),
            Outcome::Refused(refusal) => Err(refused_write(&refusal, &self.state)),
            other => Err(Error::internal(format!("a write came out as {other:?}"))),
        }
    }

    async fn read_barrier(&self) -> Result<()> {
        Ok(())
    }

    fn lead_term(&self) -> Result<u64> {
        Ok(self.standing.borrow().term)
    }

    fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    fn state(&self) -> &Arc<State> {
        &self.state
    }

    fn gate(&self) -> &WriteGate {
        &self.gate
    }
}
