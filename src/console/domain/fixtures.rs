//! Worlds for tests: two regions of three nodes, as servers would describe them.

use super::foreign::{Foreign, Leads, Product, RaftPeer, RaftView};
use super::node::{Access, Contact, NodeReport};
use super::observed::Observed;
use super::world::World;
use crate::api::ledger::{ConflictInfo, LedgerEntryInfo, LedgerPage, LedgerSummary, ReviewInfo};
use crate::api::replication::Role;
use crate::api::replication::*;
use crate::clock::UnixMs;
use crate::ids::{DatasetId, Epoch, Position, RegionId};
use std::time::Duration;

/// 2026-07-14T02:58:41Z
pub const NOW: UnixMs = UnixMs(1_783_997_921_000);
pub const US: RegionId = RegionId([1; 16]);
pub const EU: RegionId = RegionId([2; 16]);

/// `us-east-1` in 10.1.1.x, `eu-west-1` in 10.2.2.x.
pub fn address(region: RegionId, node: usize) -> String {
    let net = if region == US { "10.1.1" } else { "10.2.2" };
    format!("http://{net}.{}:8200", node + 1)
}

pub fn name(region: RegionId) -> &'static str {
    if region == US { "us-east-1" } else { "eu-west-1" }
}

fn nodes(region: RegionId, at: UnixMs) -> Vec<NodeStatus> {
    (0..3)
        .map(|node| NodeStatus {
            name: format!("{}{}", name(region), ["a", "b", "c"][node]),
            api_addr: address(region, node),
            leader: node == 0,
            voter: true,
            sealed: Some(false),
            last_log_index: Some(61_204),
            applied_index: Some(61_204 - node as u64),
            term: Some(4),
            last_contact_at: Some(at),
            saw_open: Some(true),
        })
        .collect()
}

/// What the region's leader says `ago` before now, as a primary or a whole standby in epoch 3.
pub fn status(region: RegionId, role: Role, ago: Duration) -> PathStatus {
    let at = UnixMs(NOW.0 - ago.as_millis() as u64);
    let head = Position::new(Epoch(3), 48_219);
    let applied = if role == Role::Primary { head } else { Position::new(Epoch(3), 48_211) };
    let lag = Lag { entries: 8, bytes: 2_148, ms: 160, observed_at: at };
    PathStatus {
        observed_at: at,
        path: "default".into(),
        region: RegionInfo {
            id: region,
            name: name(region).into(),
            node: format!("{}a", name(region)),
            api_addr: address(region, 0),
            version: "0.1.0".into(),
            protocol: 1,
            tls: Some(true),
        },
        role,
        epoch: Epoch(3),
        dataset: DatasetId([9; 16]),
        whole: true,
        writable: role == Role::Primary,
        closed: None,
        sealed: false,
        head: Some(head),
        head_at: Some(at),
        received: applied,
        applied,
        applied_at: at,
        lag: (role != Role::Primary).then_some(lag),
        merkle_root: "5f3a9c1e77d20b64".repeat(4),
        entries: 31_405,
        bytes: 14_212_004,
        wal: WalStatus { first_index: 12_000, next_index: 48_220, bytes: 9_800_000 },
        sync: None,
        primary: (role != Role::Primary).then(|| PrimaryInfo {
            region: US,
            name: name(US).into(),
            addresses: vec![address(US, 0)],
        }),
        fence: None,
        ledger: None,
        handover: None,
        promotion: None,
        links: vec![link(role == Role::Primary, at)],
        tokens: TokenSummary { used: 1, ..TokenSummary::default() },
        nodes: nodes(region, at),
        writes_per_s: if role == Role::Primary { 51.2 } else { 0.0 },
    }
}

pub fn link(outgoing: bool, at: UnixMs) -> LinkStatus {
    let other = if outgoing { EU } else { US };
    LinkStatus {
        region: other,
        name: name(other).into(),
        addresses: vec![address(other, 0)],
        outgoing,
        state: LinkState::Streaming,
        since: UnixMs(at.0 - 754_000),
        last_heard_at: Some(at),
        error: None,
        retry_at: None,
        received: Position::new(Epoch(3), 48_212),
        applied: Position::new(Epoch(3), 48_210),
        lag: outgoing.then_some(Lag { entries: 9, bytes: 2_402, ms: 180, observed_at: at }),
        sync: None,
        in_flight: 2,
        max_parallel: 8,
        entries_per_s: 51.2,
        bytes_per_s: 14_200.0,
        round_trip_ms: Some(80.4),
        clock_skew_ms: Some(-12),
        tls: true,
        forecast: None,
    }
}

pub fn full_sync() -> SyncStatus {
    SyncStatus {
        kind: "full".into(),
        stage: "copying".into(),
        entries_done: 31_000,
        entries_total: 50_000,
        bytes_done: 9_300_000,
        bytes_total: 15_000_000,
        bytes_per_s: 4_200_000.0,
        eta_ms: Some(1_360),
        began_at: UnixMs(NOW.0 - 2_200),
    }
}

pub fn token(accessor: &str, state: TokenState) -> TokenInfo {
    TokenInfo {
        accessor: accessor.into(),
        state,
        created_at: UnixMs(NOW.0 - 800_000),
        expires_at: UnixMs(NOW.0 + 1_000_000),
        used_by: (state == TokenState::Used).then(|| RegionInfoShort { id: US, name: name(US).into() }),
        used_at: (state == TokenState::Used).then_some(UnixMs(NOW.0 - 754_000)),
        revoked_at: (state == TokenState::Revoked).then_some(UnixMs(NOW.0 - 60_000)),
    }
}

/// A node that answered `ago` before now.
pub fn up(status: PathStatus, ago: Duration) -> NodeReport {
    let at = UnixMs(NOW.0 - ago.as_millis() as u64);
    NodeReport {
        contact: Contact::Up { since: UnixMs(NOW.0 - 900_000) },
        tokens: Some(Observed::new(
            vec![token("4fQ2xk81", TokenState::Used), token("9bTz07pw", TokenState::Issued)],
            at,
            status.region.node.clone(),
        )),
        access: Access::Accepted,
        clock_skew_ms: Some(3),
        round_trip: Some(Duration::from_millis(2)),
        foreign: None,
        address: status.region.api_addr.clone(),
        status: Some(Observed::new(status.clone(), at, status.region.node)),
    }
}

/// A node that last answered `ago` before now.
pub fn gone(status: PathStatus, ago: Duration) -> NodeReport {
    NodeReport {
        contact: Contact::Gone {
            since: UnixMs(NOW.0 - ago.as_millis() as u64 + 1_000),
            error: "connection refused".into(),
            attempts: 9,
            retry_at: Some(UnixMs(NOW.0 + 2_400)),
        },
        ..up(status, ago)
    }
}

/// The other nodes of a region: they answer as the first one does, under their own name.
pub fn followers(status: &PathStatus, ago: Duration) -> Vec<NodeReport> {
    (1..3)
        .map(|node| {
            let mut own = status.clone();
            own.region.node = own.nodes[node].name.clone();
            own.region.api_addr = own.nodes[node].api_addr.clone();
            up(own, ago)
        })
        .collect()
}

pub fn world(reports: impl IntoIterator<Item = NodeReport>) -> World {
    let mut world = World::default();
    world.take_all(reports);
    world
}

const AGO: Duration = Duration::from_millis(400);

/// Primary left, standby right, eight entries behind.
pub fn streaming() -> World {
    let (us, eu) = (status(US, Role::Primary, AGO), status(EU, Role::Standby, AGO));
    let others = [followers(&us, AGO), followers(&eu, AGO)].concat();
    world([up(us, AGO), up(eu, AGO)].into_iter().chain(others))
}

/// Two regions of their own, each primary of its own data: before anybody linked them.
pub fn unlinked() -> World {
    let alone = |region, dataset| {
        let mut status = status(region, Role::Primary, AGO);
        status.links.clear();
        status.dataset = DatasetId([dataset; 16]);
        status.epoch = Epoch(1);
        status.head = Some(Position::new(Epoch(1), 48_219));
        status.applied = Position::new(Epoch(1), 48_219);
        status.tokens = TokenSummary::default();
        status
    };
    let mut eu = alone(EU, 8);
    (eu.entries, eu.bytes, eu.writes_per_s) = (0, 0, 0.0);
    (eu.head, eu.applied) = (Some(Position::new(Epoch(1), 0)), Position::new(Epoch(1), 0));
    world([up(alone(US, 7), AGO), up(eu, AGO)])
}

/// A full sync under way.
pub fn syncing() -> World {
    let (mut us, mut eu) = (status(US, Role::Primary, AGO), status(EU, Role::Standby, AGO));
    us.links[0].state = LinkState::FullSync;
    us.links[0].sync = Some(full_sync());
    us.links[0].lag = None;
    us.links[0].bytes_per_s = 4_200_000.0;
    us.links[0].entries_per_s = 14_090.0;
    us.links[0].in_flight = 8;
    eu.links[0].state = LinkState::FullSync;
    eu.whole = false;
    eu.sync = Some(full_sync());
    eu.lag = None;
    eu.entries = 31_000;
    world([up(us, AGO), up(eu, AGO)])
}

/// The standby fell silent 41 s ago.
pub fn dark_standby() -> World {
    let dark = Duration::from_secs(41);
    let (mut us, eu) = (status(US, Role::Primary, AGO), status(EU, Role::Standby, dark));
    us.links[0].state = LinkState::Connecting;
    us.links[0].since = UnixMs(NOW.0 - 40_000);
    us.links[0].error = Some("connection refused".into());
    us.links[0].lag = Some(Lag { entries: 2_104, bytes: 568_080, ms: 41_000, observed_at: us.observed_at });
    us.links[0].retry_at = Some(UnixMs(us.observed_at.0 + 2_000));
    world([up(us, AGO), gone(eu, dark)])
}

/// The primary fell silent 41 s ago.
pub fn dark_primary() -> World {
    let dark = Duration::from_secs(41);
    let (us, mut eu) = (status(US, Role::Primary, dark), status(EU, Role::Standby, AGO));
    eu.links[0].state = LinkState::Connecting;
    eu.links[0].last_heard_at = Some(UnixMs(NOW.0 - 41_000));
    eu.head_at = Some(UnixMs(NOW.0 - 41_000));
    eu.lag = Some(Lag { entries: 8, bytes: 2_148, ms: 160, observed_at: UnixMs(NOW.0 - 41_000) });
    world([gone(us, dark), up(eu, AGO)])
}

/// eu-west-1 was promoted; us-east-1 came back fenced, with writes that only it has.
pub fn left_behind() -> World {
    let (mut us, mut eu) = (status(US, Role::Fenced, AGO), status(EU, Role::Primary, AGO));
    eu.epoch = Epoch(4);
    eu.links.clear();
    us.links.clear();
    us.primary = Some(PrimaryInfo { region: EU, name: name(EU).into(), addresses: vec![address(EU, 0)] });
    us.fence = Some(FenceInfo {
        by_epoch: Epoch(4),
        at: us.observed_at,
        reached: Position::new(Epoch(3), 48_219),
        demoted: None,
    });
    us.ledger = ledger().ledger;
    world([up(us, AGO), up(eu, AGO)])
}

pub fn ledger() -> LedgerPage {
    let entry = |index: u64, class, path: &str, review| LedgerEntryInfo {
        entry: format!("1/3:{index}"),
        position: Position::new(Epoch(3), index),
        class,
        at: UnixMs(NOW.0 - 90_000 + index % 100 * 500),
        bytes: 268,
        paths: vec![path.into()],
        review,
    };
    let met = ConflictInfo { path: "secret/apps/billing/token-7".into(), position: None, at: None };
    LedgerPage {
        ledger: Some(LedgerSummary {
            number: 1,
            fork: Position::new(Epoch(3), 48_216),
            reached: Position::new(Epoch(3), 48_219),
            by_epoch: Epoch(4),
            kept: true,
            entries: 3,
            bytes: 804,
            by_class: vec![(Class::TokenRevoke, 1), (Class::KvWrite, 2)],
            unreviewed: 2,
            missing: 0,
            older_unreviewed: 0,
            left: false,
            may_rejoin: false,
        }),
        entries: vec![
            entry(48_217, Class::KvWrite, "secret/apps/mail/token-3", ReviewInfo::Unreviewed { conflicts: Vec::new() }),
            entry(
                48_218,
                Class::KvWrite,
                "secret/apps/billing/token-7",
                ReviewInfo::Unreviewed { conflicts: vec![met] },
            ),
            entry(
                48_219,
                Class::TokenRevoke,
                "auth/token/accessor 4fQ2xk81",
                ReviewInfo::Replayed { at: NOW, position: Position::new(Epoch(4), 12) },
            ),
        ],
        next: None,
    }
}

/// Three nodes of OpenBao.
pub fn openbao() -> World {
    let peer = |number: usize| RaftPeer {
        id: format!("bao-{number}"),
        api_address: format!("http://10.5.1.{number}:8200"),
        cluster_address: format!("10.5.1.{number}:8201"),
        leader: number == 1,
        voter: true,
        healthy: Some(true),
        last_contact: Some(Duration::from_millis(40)),
        last_index: Some(9_204),
        last_term: Some(3),
        version: "2.7.2".into(),
    };
    let at = UnixMs(NOW.0 - 400);
    let raft = RaftView { healthy: Some(true), failure_tolerance: Some(1), peers: (1..4).map(peer).collect() };
    let node = |number: usize| NodeReport {
        contact: Contact::Up { since: UnixMs(NOW.0 - 900_000) },
        access: Access::Accepted,
        round_trip: Some(Duration::from_millis(2)),
        foreign: Some(Observed::new(
            Foreign {
                product: Product::OpenBao,
                version: "2.7.2".into(),
                cluster: Some((RegionId([5; 16]), "bao-lab".into())),
                initialized: true,
                sealed: false,
                unseal: None,
                follower: number != 1,
                leader: Leads::At("http://10.5.1.1:8200".into()),
                committed_index: Some(9_204),
                applied_index: Some(9_204),
                replication: None,
                raft: Some(Observed::new(raft.clone(), at, "bao-1")),
                untold: None,
            },
            at,
            format!("bao-{number}"),
        )),
        ..NodeReport::new(format!("http://10.5.1.{number}:8200"))
    };
    world((1..4).map(node))
}

/// Both claim the same data: eu-west-1 was promoted while us-east-1 could not hear of it.
pub fn split_brain() -> World {
    let (us, mut eu) = (status(US, Role::Primary, AGO), status(EU, Role::Primary, AGO));
    eu.epoch = Epoch(4);
    eu.links.clear();
    world([up(us, AGO), up(eu, AGO)])
}

pub fn plan() -> Plan {
    let check = |name: &str, verdict, fact: &str, source: &str, ago: u64, advice: &str| Check {
        name: name.into(),
        verdict,
        fact: fact.into(),
        source: source.into(),
        at: UnixMs(NOW.0 - ago),
        advice: advice.into(),
    };
    Plan {
        mode: PromoteMode::Forced,
        hash: "b1946ac92492d2347c6235b4d2611184".into(),
        made_at: NOW,
        epoch_now: Epoch(3),
        epoch_next: Epoch(4),
        checks: vec![
            check("whole", Verdict::Pass, "applied 3:48 211", "eu-west-1a", 200, ""),
            check("primary", Verdict::Unknown, "not heard for 41 s", "link", 41_000, "stop us-east-1 first"),
            check("clocks", Verdict::Warn, "1.2 s apart", "link", 42_000, "check NTP"),
        ],
        loss: LossEstimate {
            entries: 8,
            bytes: 2_148,
            ms: 41_000,
            known: false,
            last_heard_at: Some(UnixMs(NOW.0 - 41_000)),
            likely_entries: Some(2_107),
            by_class: vec![
                (crate::api::replication::Class::TokenRevoke, 2),
                (crate::api::replication::Class::KvWrite, 6),
            ],
            words: "eu-west-1 has applied 48 211 of 48 219: at least 8 writes would be lost. us-east-1 was last heard \
                    41 s ago; at the last rate about 2 107."
                .into(),
        },
    }
}

pub fn event(id: u64, ago_s: u64, level: EventLevel, subject: &str, text: &str) -> Event {
    Event { id, at: UnixMs(NOW.0 - ago_s * 1_000), level, subject: subject.into(), text: text.into() }
}
