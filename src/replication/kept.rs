//! The moment that a verification looks at: one at a time, on either side, kept beside the core.

use super::context::Context;
use super::jobs::{Job, retry};
use super::protocol::{Effect, Failure, Input};
use crate::state::scrub::Frozen;
use std::future::Future;
use std::sync::Arc;

/// The moment that is kept, under the name that the core gave it.
#[derive(Default)]
pub(super) struct Kept(Option<(u64, Arc<Frozen>)>);

impl Kept {
    pub fn keep(&mut self, moment: u64, frozen: Frozen) {
        self.0 = Some((moment, Arc::new(frozen)));
    }

    pub fn forget(&mut self) {
        self.0 = None;
    }

    fn get(&self, wanted: u64) -> Result<Arc<Frozen>, Failure> {
        let kept = self.0.as_ref().filter(|(moment, _)| *moment == wanted).map(|(_, frozen)| frozen.clone());
        kept.ok_or_else(|| Failure::Retry("the moment is not kept any more".into()))
    }

    /// The job that an effect of a verification asks for; `None` for any other effect.
    pub fn job(&self, context: Arc<Context>, effect: Effect) -> Option<impl Future<Output = Job> + Send + use<>> {
        let frozen = match &effect {
            Effect::Scrub { moment, .. }
            | Effect::ReadFrozenNodes { moment, .. }
            | Effect::ReadFrozenHeld { moment, .. } => Some(self.get(*moment)),
            Effect::Freeze { .. } => None,
            _ => return None,
        };
        Some(async move {
            match (effect, frozen) {
                (Effect::Freeze { read, moment }, _) => {
                    let result = context.blocking(|context| context.state().freeze()).await;
                    Job::Frozen { read, moment, result: result.map(Box::new).map_err(retry) }
                }
                (Effect::Scrub { read, correction, .. }, Some(frozen)) => {
                    let result = match frozen {
                        Ok(frozen) => {
                            let scrub = move |context: &Context| context.state().scrub(&frozen, correction);
                            context.blocking(scrub).await.map_err(retry)
                        }
                        Err(failure) => Err(failure),
                    };
                    Job::input(Input::Scrubbed { read, result })
                }
                (Effect::ReadFrozenNodes { read, parents, .. }, Some(frozen)) => {
                    let result = match frozen {
                        Ok(frozen) => context.blocking(move |_| Ok(frozen.nodes(&parents))).await.map_err(retry),
                        Err(failure) => Err(failure),
                    };
                    Job::input(Input::FrozenNodesRead { read, result })
                }
                (Effect::ReadFrozenHeld { read, buckets, bytes_max, .. }, Some(frozen)) => {
                    let result = match frozen {
                        Ok(frozen) => context.blocking(move |_| frozen.held(&buckets, bytes_max)).await.map_err(retry),
                        Err(failure) => Err(failure),
                    };
                    Job::input(Input::FrozenHeldRead { read, result })
                }
                _ => Job::Done,
            }
        })
    }
}
