//! Whose word opens a primary region that restarted as a whole.

use super::super::*;
use super::simulator::region::Region;
use crate::ids::{Epoch, RegionId};
use crate::state::{EpochStart, Role};

/// A primary of epoch 2, which its leader did not see open, and one region that it is linked with.
fn restarted(peer: impl FnOnce(Peer) -> Peer) -> (Region, Peer) {
    let (mut primary, other) = (Region::new(0, 0), Region::new(1, 0));
    primary.lead(1_000, true, None);
    let peer = peer(Peer {
        region: other.id,
        name: other.name,
        addresses: Vec::new(),
        activated: true,
        known: true,
        paused: false,
        max_parallel: 4,
    });
    (primary, peer)
}

/// Whether the region is open after these.
fn opens(region: &mut Region, inputs: Vec<Input>) -> bool {
    for input in inputs {
        let (now, path) = (region.now(1_000), region.state.path());
        region.core.as_mut().expect("it leads").step(now, path, input);
    }
    region.core.as_ref().expect("it leads").is_open()
}

fn peers(peer: &Peer, anew: Vec<RegionId>) -> Input {
    Input::Peers { peers: vec![peer.clone()], adopts: None, anew }
}

/// What the peer answers, as a standby of this region but for what `change` makes of it.
fn answer(region: &Region, peer: &Peer, change: impl FnOnce(&mut Answer)) -> Input {
    let identity =
        Identity { region: peer.region, name: peer.name.clone(), addresses: Vec::new(), version: String::new() };
    let mut standing = Standing::of(&identity, &region.state.path(), region.now(1_000).wall);
    standing.role = Role::Standby;
    let mut answer = Answer { standing, want: Want::Log { from: 1 } };
    change(&mut answer);
    Input::Answer { call: CallId(1), from: peer.region, answer }
}

#[test]
fn a_standby_that_knows_of_no_other_primary_opens_it() {
    let (mut primary, peer) = restarted(|peer| peer);
    let answer = answer(&primary, &peer, |_| {});
    assert!(opens(&mut primary, vec![peers(&peer, Vec::new()), answer]));
}

/// Its link is set up anew, as when the configuration says another `max_parallel`: that is no reason to count it out.
#[test]
fn a_link_that_begins_anew_is_waited_for() {
    let (mut primary, peer) = restarted(|peer| peer);
    assert!(!opens(&mut primary, vec![peers(&peer, Vec::new()), peers(&peer, vec![peer.region])]));
}

/// A newer token is to replace the credential: the region may have been promoted with the older one.
#[test]
fn a_region_that_is_known_from_an_earlier_token_is_waited_for() {
    let (mut primary, peer) = restarted(|peer| Peer { activated: false, ..peer });
    assert!(!opens(&mut primary, vec![peers(&peer, Vec::new())]));
    let (mut primary, peer) = restarted(|peer| Peer { activated: false, known: false, ..peer });
    assert!(opens(&mut primary, vec![peers(&peer, Vec::new())]), "a first token: nobody could be promoted yet");
}

#[test]
fn the_word_of_one_that_follows_another_primary_of_the_epoch_does_not_count() {
    let of_another = |answer: &mut Answer| {
        answer.standing.history = vec![EpochStart { epoch: Epoch::FIRST, first_index: 1, by: RegionId([9; 16]) }];
    };
    let changes: [fn(&mut Answer); 3] = [
        |answer| answer.want = Want::Refused(Refused::SameEpoch),
        |answer| answer.want = Want::Refused(Refused::Frozen),
        of_another,
    ];
    for change in changes {
        let (mut primary, peer) = restarted(|peer| peer);
        let answer = answer(&primary, &peer, change);
        assert!(!opens(&mut primary, vec![peers(&peer, Vec::new()), answer]));
    }
}
