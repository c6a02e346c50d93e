//! What a link carries over a wide-area network, by requests in flight: a full sync and the log, over a proxy on
//! loopback with a round trip of 100 ms. Once with connections that carry 4 MiB/s each, as TCP with a window of 400 KiB
//! does on such a way, and once with as much as this machine passes on. Regions are of one node, in memory, so that
//! the link is what is measured.
//!
//!     cargo bench --bench link

#[path = "../tests/link/region.rs"]
#[allow(dead_code)]
mod region;

use region::{Region, until_in_step};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use twinkeep::api::replication::LinkRequest;
use twinkeep::clock;
use twinkeep::demo::wan::{Quality, Wan};

const ROUND_TRIP: Duration = Duration::from_millis(100);
const VALUE_BYTES: usize = 4 << 10;
/// One request in flight carries less, so that it ends in time.
const SECONDS_AIMED: f64 = 8.0;

/// A primary and a standby with such a link.
struct Pair {
    primary: Region,
    standby: Region,
    wan: Wan,
}

async fn pair(bytes_per_s: u64) -> Pair {
    let (primary, standby) = (Region::new(1, "us-east-1").await, Region::new(2, "eu-west-1").await);
    let target: SocketAddr = standby.address.trim_start_matches("http://").parse().expect("host and port");
    let wan = Wan::start(vec![target], Quality { round_trip: ROUND_TRIP, bytes_per_s }).await.expect("a free port");
    Pair { primary, standby, wan }
}

async fn fill(region: &Region, bytes: u64) {
    for number in 0..bytes / VALUE_BYTES as u64 {
        let value = format!("{number:08}").repeat(VALUE_BYTES / 8);
        region.write(&format!("key/{}/{number:08}", clock::now().0), &value).await.expect("written");
    }
}

/// Bytes a second of a full sync, and of the log that a standby which was paused catches up with.
async fn measure(bytes_per_s: u64, max_parallel: u32, bytes: u64) -> (f64, f64) {
    let Pair { primary, standby, wan } = pair(bytes_per_s).await;
    fill(&primary, bytes).await;
    let request = LinkRequest {
        address: Some(format!("http://{}", wan.address())),
        token: standby.token().await,
        max_parallel: Some(max_parallel),
    };
    primary.face().connect(request).await.expect("connected");
    let began = standby.until_path(|path| path.sync.is_some() || path.applied.index > 0).await;
    let start = Instant::now();
    let done = began.sync.map_or(0, |sync| sync.bytes_done);
    until_in_step_slowly(&primary, &standby).await;
    let sync = (primary.state.path().bytes - done) as f64 / start.elapsed().as_secs_f64();

    primary.face().pause(None).await.expect("paused");
    let before = primary.state.path().totals.bytes;
    fill(&primary, bytes).await;
    primary.face().resume(None).await.expect("resumed");
    let start = Instant::now();
    until_in_step_slowly(&primary, &standby).await;
    let log = (primary.state.path().totals.bytes - before) as f64 / start.elapsed().as_secs_f64();
    primary.stop().await;
    standby.stop().await;
    (sync, log)
}

/// As `until_in_step`, for transfers that take longer than any test waits.
async fn until_in_step_slowly(primary: &Region, standby: &Region) {
    let head = primary.state.path().applied;
    let mut path = standby.state.watch_path();
    path.wait_for(|path| path.is_whole() && path.applied >= head).await.expect("the state lives");
    until_in_step(primary, standby).await;
}

fn mib(bytes_per_s: f64) -> f64 {
    bytes_per_s / f64::from(1 << 20)
}

#[tokio::main]
async fn main() {
    println!("round trip {} ms, values of {VALUE_BYTES} B", ROUND_TRIP.as_millis());
    for (name, bytes_per_s) in [("4 MiB/s a connection", 4 << 20), ("unlimited", 4 << 30)] {
        let mut alone = (0.0, 0.0);
        for max_parallel in [1, 4, 16] {
            // What one connection is thought to carry, and less where nothing limits it.
            let expected = if bytes_per_s > 1 << 30 { 12 << 20 } else { 2 << 20 } as f64 * f64::from(max_parallel);
            let bytes = (expected * SECONDS_AIMED).min(f64::from(192 << 20)) as u64;
            let (sync, log) = measure(bytes_per_s, max_parallel, bytes).await;
            if max_parallel == 1 {
                alone = (sync, log);
            }
            println!(
                "{name:22} max_parallel {max_parallel:2}: full sync {:7.1} MiB/s ({:4.1} ×), log {:7.1} MiB/s ({:4.1} ×)",
                mib(sync),
                sync / alone.0,
                mib(log),
                log / alone.1,
            );
        }
    }
}
