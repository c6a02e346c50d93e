//! A pair of Vault Enterprise. There is none to test with: these servers answer as Vault's API documents say, and so the
//! README says that this was tested against the documents.

use crate::support::wait_for;
use crate::{alarms, look, wait_until_shown};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// The two clusters as the documents describe them, and what of it the tests change.
struct Pair {
    state: &'static str,
    connection: &'static str,
    connection_state: &'static str,
    taken: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Primary,
    Secondary,
}

type Shared = Arc<Mutex<Pair>>;

async fn start(side: Side, pair: &Shared) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(answer).with_state((side, address.clone(), Arc::clone(pair)));
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn answer(State((side, address, pair)): State<(Side, String, Shared)>, request: Request) -> Response {
    let pair = pair.lock().unwrap();
    let reply = |status: u16, body: Value| (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response();
    let name = if side == Side::Primary { "vault-us" } else { "vault-eu" };
    let (id, mode) = match side {
        Side::Primary => ("11111111-0000-0000-0000-000000000001", "primary"),
        Side::Secondary => ("22222222-0000-0000-0000-000000000002", "secondary"),
    };
    let health = json!({
        "initialized": true, "sealed": false, "standby": false, "performance_standby": false,
        "replication_performance_mode": "disabled", "replication_dr_mode": mode, "server_time_utc": 1_795_419_368u64,
        "version": "1.16.3+ent", "enterprise": true, "cluster_name": name, "cluster_id": id,
        "last_wal": 4_100, "license": {"state": "stored"},
    });
    let dr = match side {
        Side::Primary => json!({
            "mode": "primary", "cluster_id": "d4095d41", "known_secondaries": ["eu"], "last_dr_wal": 4_100, "last_wal": 4_100,
            "merkle_root": "0ff2", "primary_cluster_addr": "", "state": "running", "corrupted_merkle_tree": false,
            "last_corruption_check_epoch": "-62135596800", "last_reindex_epoch": "0", "ssct_generation_counter": 0,
            "secondaries": [{
                "node_id": "eu", "api_address": "https://10.2.2.1:8200", "cluster_address": "https://10.2.2.1:8201",
                "connection_status": pair.connection, "last_heartbeat": "2026-11-23T07:36:06Z",
                "last_heartbeat_duration_ms": "0", "clock_skew_ms": "0", "replication_primary_canary_age_ms": "120",
            }],
        }),
        Side::Secondary => json!({
            "mode": "secondary", "cluster_id": "d4095d41", "known_primary_cluster_addrs": ["https://10.1.1.1:8201"],
            "connection_state": pair.connection_state, "last_remote_wal": pair.taken, "last_start": "2026-11-20T07:00:00Z",
            "merkle_root": "0ff2", "primary_cluster_addr": "https://10.1.1.1:8201", "secondary_id": "eu", "state": pair.state,
            "corrupted_merkle_tree": false, "last_corruption_check_epoch": "-62135596800", "last_reindex_epoch": "0",
            "ssct_generation_counter": 0,
            "primaries": [{
                "api_address": "https://10.1.1.1:8200", "cluster_address": "https://10.1.1.1:8201",
                "connection_status": pair.connection, "last_heartbeat": "2026-11-23T07:36:06Z",
                "last_heartbeat_duration_ms": "14", "clock_skew_ms": "0", "replication_primary_canary_age_ms": "120",
            }],
        }),
    };
    let disabled = json!({ "mode": "disabled" });
    let envelope = |data: Value| json!({ "request_id": "1", "lease_id": "", "renewable": false, "lease_duration": 0, "data": data });
    match (request.uri().path(), side) {
        ("/v1/sys/health", Side::Primary) => reply(200, health),
        ("/v1/sys/health", Side::Secondary) => reply(472, health),
        ("/v1/sys/seal-status", _) => {
            reply(200, json!({ "type": "shamir", "initialized": true, "sealed": false, "t": 3, "n": 5 }))
        }
        ("/v1/sys/leader", Side::Primary) => reply(
            200,
            json!({ "ha_enabled": true, "is_self": true, "leader_address": address, "raft_applied_index": 9_000 }),
        ),
        ("/v1/sys/replication/status", Side::Primary) => {
            reply(200, envelope(json!({ "dr": dr, "performance": disabled })))
        }
        ("/v1/sys/replication/dr/status", _) => reply(200, envelope(dr)),
        ("/v1/sys/replication/performance/status", _) => reply(200, envelope(disabled)),
        (_, Side::Primary) => reply(403, json!({ "errors": ["permission denied"] })),
        (_, Side::Secondary) => reply(400, json!({ "errors": ["path disabled in replication DR secondary mode"] })),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_of_vault_is_read_by_its_documented_endpoints() {
    let pair = Pair { state: "stream-wals", connection: "connected", connection_state: "ready", taken: 4_092 };
    let pair: Shared = Arc::new(Mutex::new(pair));
    let addresses = [start(Side::Primary, &pair).await, start(Side::Secondary, &pair).await];
    let (primary, secondary) = (&addresses[0], &addresses[1]);
    let both = vec![primary.clone(), secondary.clone()];
    // A look shows what was heard within a few seconds, which on a busy machine may be nothing yet.
    let until = async |standing: &str, exit: i32| {
        wait_for(standing, || async {
            let (seen, exited) = look(&both, None);
            (seen["standing"] == standing && exited == exit).then_some(seen)
        })
        .await
    };
    let seen = until("well", 0).await;
    assert_eq!(seen["words"], "vault-eu is 8 entries behind vault-us");
    let signs = ["PRIMARY", "standby", "Vault DR", "8 entries behind", "bytes, time: not told", "Vault 1.16.3+ent"];
    wait_until_shown(&both, None, &signs).await;

    {
        let mut pair = pair.lock().unwrap();
        (pair.state, pair.taken) = ("merkle-sync", 10);
    }
    until("syncing", 2).await;

    pair.lock().unwrap().state = "idle";
    wait_for("an idle standby", || async {
        let (seen, exited) = look(&both, None);
        let told = alarms(&seen).contains("vault-eu: DR replication is idle");
        (told && seen["standing"] == "alarm" && exited == 2).then_some(())
    })
    .await;

    {
        let mut pair = pair.lock().unwrap();
        (pair.state, pair.connection, pair.connection_state) = ("stream-wals", "disconnected", "transient_failure");
    }
    wait_for("both alarms", || async {
        let alarms = alarms(&look(&both, None).0);
        let both =
            ["secondary https://10.2.2.1:8200 is disconnected", "the DR replication of vault-us to vault-eu is down"];
        both.iter().all(|alarm| alarms.contains(alarm)).then_some(())
    })
    .await;
}
