//! Clusters that are no Twinkeep: what can't be done there says why.

use super::*;

#[test]
fn where_there_is_no_replication_g_and_p_say_so() {
    let mut model = model(fixtures::openbao());
    for (key, id) in [("g", "token-generate"), ("p", "promote"), ("l", "link")] {
        assert_eq!(words(&keys(&mut model, key)), [""; 0]);
        let said = model.toast_in_view().unwrap().text.clone();
        assert_eq!(said, format!("{id}: OpenBao has no replication between clusters"));
    }
}

#[test]
fn a_sealed_node_and_a_lost_majority_are_told() {
    let mut world = fixtures::openbao();
    let mut node = world.nodes()[1].clone();
    node.foreign.as_mut().unwrap().amend(|said| {
        (said.sealed, said.unseal, said.cluster, said.raft) = (true, Some((1, 3)), None, None);
    });
    world.take_all([node]);
    let model = model(world);
    let wrong: Vec<String> = model.alarms().into_iter().map(|alarm| alarm.text).collect();
    assert!(wrong.contains(&"bao-2 of bao-lab is sealed, 1 of 3 shares".to_owned()), "{wrong:?}");
    assert_eq!(model.here.world.regions().len(), 1, "a sealed node still belongs to its cluster");
}
