//! How the console feels, measured on the built binary in a pty, attached to servers that this program plays: the first
//! screen when they answer, a key while they hang, the processor and the memory that it takes to watch, two regions and fifty.
//!
//!     cargo bench --bench console
//!
//! | figure | aim |
//! |---|---|
//! | first screen | < 150 ms from the start of the process |
//! | key to screen, servers that hang | < 50 ms |
//! | processor, two regions, nobody at the keys | < 0.5 % of a core |
//! | resident | < 40 MB |
//! | fifty regions: key to screen, processor | smooth: < 50 ms, < 5 % |
//! | frames a write | 1 |
//!
//! It ends with 1 if an aim is missed, so that a script notices; run it on a quiet machine.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use twinkeep::api::replication::{
    Lag, LinkState, LinkStatus, NodeStatus, PathStatus, PrimaryInfo, RegionInfo, Role, TokenSummary, WalStatus,
};
use twinkeep::clock::{self, UnixMs};
use twinkeep::ids::{DatasetId, Epoch, Position, RegionId};

const PATIENCE: Duration = Duration::from_secs(30);
const STARTS: usize = 9;
const KEYS: usize = 41;
const WATCHED_FOR: Duration = Duration::from_secs(20);
/// `sysconf(_SC_CLK_TCK)` on every Linux there is.
const TICKS_PER_S: f64 = 100.0;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let two = runtime.block_on(pairs(1));
    let fifty = runtime.block_on(pairs(25));
    let hanging = runtime.block_on(hang());
    let mut missed = 0;
    let mut say = |what: &str, value: f64, unit: &str, aim: f64| {
        let verdict = if value < aim { "ok" } else { "MISSED" };
        missed += usize::from(value >= aim);
        println!("{what:<52} {value:>8.2} {unit:<3} aim < {aim} {unit} {verdict}");
    };

    say("first screen, two regions that answer", first_screen(&two[0]), "ms", 150.0);
    say("key to screen, servers that hang", keys(&mut Console::start(&hanging, None)), "ms", 50.0);

    let console = Console::start(&two[0], None);
    console.wait("the regions", |screen| screen.contains("streaming"));
    say("processor, two regions, nobody at the keys", console.processor(), "%", 0.5);
    say("resident, two regions", console.resident_mb(), "MB", 40.0);
    say("writes a frame", console.writes_a_frame(), "", 1.5);
    drop(console);

    let all: Vec<String> = fifty.iter().flatten().cloned().collect();
    let mut console = Console::start(&all, None);
    console.wait("the regions", |screen| screen.contains("streaming"));
    say("fifty regions in one context: key to screen", keys(&mut console), "ms", 50.0);
    say("fifty regions in one context: processor", console.processor(), "%", 5.0);
    say("fifty regions in one context: resident", console.resident_mb(), "MB", 40.0);
    drop(console);

    let mut console = Console::start(&[], Some(&fifty));
    console.wait("the index", |screen| screen.contains("contexts, the worst first"));
    say("25 contexts of two regions: key to screen", keys(&mut console), "ms", 50.0);
    say("25 contexts of two regions: processor", console.processor(), "%", 5.0);
    drop(console);
    std::process::exit(i32::from(missed > 0));
}

/// Servers that speak for pairs of regions, a node each.
async fn pairs(count: u8) -> Vec<Vec<String>> {
    let mut pairs = Vec::new();
    for number in 0..count {
        let [us, eu] = [listen().await, listen().await];
        let addresses = [address(&us), address(&eu)];
        for (at, listener) in [us, eu].into_iter().enumerate() {
            let place = Place { number, at, addresses: addresses.clone() };
            let app = Router::new().fallback(answer).with_state(Arc::new(place));
            tokio::spawn(async move { axum::serve(listener, app).await });
        }
        pairs.push(addresses.to_vec());
    }
    pairs
}

/// Servers that take connections and never say a word.
async fn hang() -> Vec<String> {
    let mut addresses = Vec::new();
    for _ in 0..2 {
        let listener = listen().await;
        addresses.push(address(&listener));
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((socket, _)) = listener.accept().await {
                held.push(socket);
            }
        });
    }
    addresses
}

async fn listen() -> tokio::net::TcpListener {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port")
}

fn address(listener: &tokio::net::TcpListener) -> String {
    format!("http://{}", listener.local_addr().expect("bound"))
}

struct Place {
    number: u8,
    at: usize,
    addresses: [String; 2],
}

async fn answer(State(place): State<Arc<Place>>, request: Request) -> Response {
    if !request.uri().path().ends_with("/status") {
        return (axum::http::StatusCode::NOT_FOUND, r#"{"errors":[]}"#).into_response();
    }
    let data = serde_json::json!({ "data": status(&place, clock::now()) });
    axum::Json(data).into_response()
}

/// A region in the best of health that moves: its head is the time.
fn status(place: &Place, now: UnixMs) -> PathStatus {
    let role = if place.at == 0 { Role::Primary } else { Role::Standby };
    let id = |at: usize| RegionId([place.number * 2 + at as u8 + 1; 16]);
    let name = |at: usize| format!("{}-{:02}", ["us", "eu"][at], place.number);
    let head = Position::new(Epoch(3), now.0 / 100 % 1_000_000);
    let lag = Lag { entries: 3, bytes: 800, ms: 40, observed_at: now };
    let other = 1 - place.at;
    let link = LinkStatus {
        region: id(other),
        name: name(other),
        addresses: vec![place.addresses[other].clone()],
        outgoing: place.at == 0,
        state: LinkState::Streaming,
        since: UnixMs(now.0 - 600_000),
        last_heard_at: Some(now),
        error: None,
        retry_at: None,
        received: head,
        applied: head,
        lag: (place.at == 0).then_some(lag),
        sync: None,
        in_flight: 1,
        max_parallel: 8,
        entries_per_s: 20.0,
        bytes_per_s: 5_000.0,
        round_trip_ms: Some(80.0),
        clock_skew_ms: Some(1),
        tls: true,
        forecast: None,
    };
    let node = NodeStatus {
        name: format!("{}a", name(place.at)),
        api_addr: place.addresses[place.at].clone(),
        leader: true,
        voter: true,
        sealed: Some(false),
        last_log_index: Some(head.index),
        applied_index: Some(head.index),
        term: Some(2),
        last_contact_at: Some(now),
        saw_open: Some(true),
    };
    PathStatus {
        observed_at: now,
        path: "default".into(),
        region: RegionInfo {
            id: id(place.at),
            name: name(place.at),
            node: node.name.clone(),
            api_addr: node.api_addr.clone(),
            version: "0.1.0".into(),
            protocol: 1,
            tls: Some(true),
        },
        role,
        epoch: Epoch(3),
        dataset: DatasetId([place.number + 1; 16]),
        whole: true,
        writable: role == Role::Primary,
        closed: None,
        sealed: false,
        head: Some(head),
        head_at: Some(now),
        received: head,
        applied: head,
        applied_at: now,
        lag: (role == Role::Standby).then_some(lag),
        merkle_root: "5f3a9c1e77d20b64".repeat(4),
        entries: 31_405,
        bytes: 14_212_004,
        wal: WalStatus { first_index: 1, next_index: head.index + 1, bytes: 9_800_000 },
        sync: None,
        primary: (role == Role::Standby).then(|| PrimaryInfo {
            region: id(0),
            name: name(0),
            addresses: vec![place.addresses[0].clone()],
        }),
        fence: None,
        ledger: None,
        handover: None,
        verification: None,
        promotion: None,
        links: vec![link],
        tokens: TokenSummary { used: 1, ..TokenSummary::default() },
        nodes: vec![node],
        writes_per_s: 20.0,
    }
}

/// The built binary in a pty of 120×40.
struct Console {
    child: Box<dyn Child + Send + Sync>,
    _master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    screen: Arc<(Mutex<Seen>, Condvar)>,
    started: Instant,
    _home: tempfile::TempDir,
}

struct Seen {
    parser: vt100::Parser,
    frames: usize,
    reads: usize,
}

impl Console {
    fn start(addresses: &[String], contexts: Option<&[Vec<String>]>) -> Console {
        let home = tempfile::tempdir().expect("a folder");
        let size = PtySize { rows: 40, cols: 120, pixel_width: 0, pixel_height: 0 };
        let pty = native_pty_system().openpty(size).expect("a pty");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_twinkeep"));
        command.arg("attach");
        command.args(addresses);
        if let Some(contexts) = contexts {
            let file = home.path().join("contexts.toml");
            let text: String = contexts
                .iter()
                .enumerate()
                .map(|(at, pair)| format!("[pair-{at:02}]\naddresses = {pair:?}\n"))
                .collect();
            std::fs::write(&file, text).expect("a file");
            command.args(["-contexts-file", &file.display().to_string()]);
        }
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        command.env("HOME", home.path());
        command.env_remove("VAULT_TOKEN");
        command.env_remove("NO_COLOR");
        let mut output = pty.master.try_clone_reader().expect("a reader");
        let keys = pty.master.take_writer().expect("a writer");
        let seen = Seen { parser: vt100::Parser::new(40, 120, 0), frames: 0, reads: 0 };
        let screen = Arc::new((Mutex::new(seen), Condvar::new()));
        let shared = Arc::clone(&screen);
        let started = Instant::now();
        let child = pty.slave.spawn_command(command).expect("the built binary");
        drop(pty.slave);
        std::thread::spawn(move || {
            let mut bytes = [0; 65_536];
            while let Ok(count) = output.read(&mut bytes) {
                if count == 0 {
                    return;
                }
                let mut seen = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
                seen.parser.process(&bytes[..count]);
                seen.reads += 1;
                // Each frame is bracketed by a synchronized update.
                seen.frames += bytes[..count].windows(8).filter(|window| *window == b"\x1b[?2026l").count();
                shared.1.notify_all();
            }
        });
        Console { child, _master: pty.master, keys, screen, started, _home: home }
    }

    /// How long until the screen is so.
    fn wait(&self, what: &str, wanted: impl Fn(&str) -> bool) -> Duration {
        let began = Instant::now();
        let mut seen = self.screen.0.lock().expect("no panic");
        loop {
            let contents = seen.parser.screen().contents();
            if wanted(&contents) {
                return began.elapsed();
            }
            assert!(began.elapsed() < PATIENCE, "never saw {what}:\n{contents}");
            seen = self.screen.1.wait_timeout(seen, Duration::from_millis(100)).expect("no panic").0;
        }
    }

    fn proc(&self, file: &str) -> String {
        let id = self.child.process_id().expect("it runs");
        std::fs::read_to_string(format!("/proc/{id}/{file}")).expect("Linux")
    }

    /// Seconds of processor time so far.
    fn used(&self) -> f64 {
        let stat = self.proc("stat");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
        (ticks(11) + ticks(12)) / TICKS_PER_S
    }

    /// In percent of a core, while nobody does anything.
    fn processor(&self) -> f64 {
        std::thread::sleep(Duration::from_secs(5));
        let (began, used) = (Instant::now(), self.used());
        std::thread::sleep(WATCHED_FOR);
        (self.used() - used) / began.elapsed().as_secs_f64() * 100.0
    }

    fn resident_mb(&self) -> f64 {
        let status = self.proc("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("VmRSS");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).expect("a number") / 1_024.0
    }

    /// Pieces in which frames arrive; a pty may cut a large one.
    fn writes_a_frame(&self) -> f64 {
        let counts = || {
            let seen = self.screen.0.lock().expect("no panic");
            (seen.reads as f64, seen.frames as f64)
        };
        let before = counts();
        std::thread::sleep(Duration::from_secs(5));
        let after = counts();
        (after.0 - before.0) / (after.1 - before.1).max(1.0)
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The median in milliseconds from the start of the process to a screen that shows both regions' values.
fn first_screen(addresses: &[String]) -> f64 {
    let mut times: Vec<f64> = (0..STARTS)
        .map(|_| {
            let console = Console::start(addresses, None);
            console.wait("the first screen", |screen| screen.contains("streaming") && screen.contains("epoch"));
            console.started.elapsed().as_secs_f64() * 1_000.0
        })
        .collect();
    median(&mut times)
}

/// The median in milliseconds from a key to what it shows.
fn keys(console: &mut Console) -> f64 {
    console.wait("a screen", |screen| screen.contains("help"));
    let mut times = Vec::new();
    for number in 0..KEYS {
        let (key, sign) = if number % 2 == 0 { ("?", "Promote the standby") } else { ("3", "╭ positions") };
        let began = Instant::now();
        console.keys.write_all(key.as_bytes()).expect("the pty");
        console.keys.flush().expect("the pty");
        console.wait(sign, |screen| screen.contains(sign));
        times.push(began.elapsed().as_secs_f64() * 1_000.0);
        // Not in step with the console's own frames.
        std::thread::sleep(Duration::from_millis(50 + number as u64 % 17));
    }
    median(&mut times)
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
