//! Every decoder of the program, layer by layer.

use super::peers::NodeReport;
use super::{join, request};
use crate::consensus::raft;
use crate::decoding::Decoder;
use crate::{config, replication, secrets, state};

/// All of them, no name twice.
pub fn decoders() -> Vec<Decoder> {
    let own: &[Decoder] = &[config::DECODER, Decoder::postcard::<NodeReport>("node-report")];
    let lists = [own, state::DECODERS, secrets::DECODERS, join::DECODERS, request::DECODERS];
    lists.into_iter().chain(raft::DECODERS).chain(replication::DECODERS).flatten().copied().collect()
}
