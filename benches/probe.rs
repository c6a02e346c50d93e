//! A stopwatch on a primary and its standby, for `benches/road.py`: the lag at a rate of writes, and the time from a
//! promotion to the first write, of Twinkeep and of PostgreSQL in the same way. Standard library only, so that `rustc -O`
//! makes it in a second and it takes little of the machine that it measures.
//!
//!     probe lag     twinkeep|postgres PRIMARY_PORT STANDBY_PORT TOKEN RATE SECONDS
//!     probe promote twinkeep|postgres STANDBY_PORT TOKEN
//!
//! A lag is the time from a write's acknowledgement until the standby says that it has applied it. The standby is asked
//! again and again, with so short a pause that the asking takes little of the machine; the wait for the next answer is part
//! of the figure.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Connections that write, each one request at a time.
const LANES: u64 = 16;
const VALUE_BYTES: usize = 300;
/// Names that are written, over and over.
const NAMES: u64 = 500;
/// Between two looks at the standby.
const LOOK_EVERY: Duration = Duration::from_micros(500);
/// How long the last write may take to arrive.
const ARRIVAL_MAX: Duration = Duration::from_secs(30);
/// How long a promotion may take.
const PROMOTION_MAX: Duration = Duration::from_secs(60);

fn main() {
    // `cargo bench` and `cargo test --benches` pass flags of their own: without words there is nothing to measure.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["lag", kind, primary, standby, token, rate, seconds] => {
            lag(kind, number(primary) as u16, number(standby) as u16, token, number(rate), number(seconds))
        }
        ["promote", kind, standby, token] => promote(kind, number(standby) as u16, token),
        _ => return println!("usage: probe lag|promote twinkeep|postgres …: see the file's head"),
    };
    if let Err(error) = done {
        eprintln!("probe: {error}");
        std::process::exit(1);
    }
}

fn number(word: &str) -> u64 {
    word.parse().unwrap_or_else(|_| panic!("`{word}` is no number"))
}

/// A server that takes writes and tells how far it is.
enum Server {
    Twinkeep(Http),
    Postgres(Postgres),
}

impl Server {
    fn connect(kind: &str, port: u16, token: &str) -> io::Result<Server> {
        Ok(match kind {
            "postgres" => Server::Postgres(Postgres::connect(port)?),
            _ => Server::Twinkeep(Http::connect(port, token)?),
        })
    }

    /// Writes, and says up to where the log then reaches at least.
    fn write(&mut self, name: u64) -> io::Result<u64> {
        let value = "x".repeat(VALUE_BYTES);
        match self {
            Server::Twinkeep(http) => {
                let body = format!("{{\"data\":{{\"v\":\"{value}\"}}}}");
                let answer = http.ask("POST", &format!("secret/data/lag/{name}"), &body)?;
                if answer.status != 200 {
                    return Err(io::Error::other(format!(
                        "a write was answered with {}: {}",
                        answer.status, answer.body
                    )));
                }
                let index = answer.index.and_then(|position| position.split(':').nth(1)?.parse().ok());
                index.ok_or_else(|| io::Error::other("a write without a position"))
            }
            Server::Postgres(postgres) => {
                let lsn = postgres.ask(&format!(
                    "BEGIN; INSERT INTO lag VALUES ({name}, '{value}') ON CONFLICT (k) DO UPDATE SET v = excluded.v; \
                     COMMIT; SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"
                ))?;
                number_in(&lsn)
            }
        }
    }

    /// Up to where a standby has applied the log.
    fn applied(&mut self) -> io::Result<u64> {
        match self {
            Server::Twinkeep(http) => {
                let answer = http.ask("GET", "sys/health", "")?;
                number_in(answer.body.split_once("\"last_wal\":").map(|(_, rest)| rest).unwrap_or_default())
            }
            Server::Postgres(postgres) => {
                number_in(&postgres.ask("SELECT pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')")?)
            }
        }
    }
}

fn number_in(text: &str) -> io::Result<u64> {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().map_err(|_| io::Error::other(format!("a number was expected: {:.40}", text)))
}

fn lag(kind: &str, primary: u16, standby: u16, token: &str, rate: u64, seconds: u64) -> io::Result<()> {
    let stop = AtomicBool::new(false);
    let written: Mutex<Vec<(u64, Instant)>> = Mutex::default();
    let newest = AtomicU64::new(0);
    let began = Instant::now();
    let seen = thread::scope(|scope| -> io::Result<Vec<(u64, Instant)>> {
        let watcher = scope.spawn(|| -> io::Result<Vec<(u64, Instant)>> {
            let mut server = Server::connect(kind, standby, token)?;
            let mut seen = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let applied = server.applied()?;
                seen.push((applied, Instant::now()));
                newest.store(applied, Ordering::Relaxed);
                thread::sleep(LOOK_EVERY);
            }
            Ok(seen)
        });
        let lanes: Vec<_> = (0..LANES)
            .map(|lane| {
                let written = &written;
                scope.spawn(move || -> io::Result<()> {
                    let mut server = Server::connect(kind, primary, token)?;
                    for number in (lane..rate * seconds).step_by(LANES as usize) {
                        let due = began + Duration::from_secs_f64(number as f64 / rate as f64);
                        thread::sleep(due.saturating_duration_since(Instant::now()));
                        let reaches = server.write(number % NAMES)?;
                        written.lock().expect("unpoisoned").push((reaches, Instant::now()));
                    }
                    Ok(())
                })
            })
            .collect();
        let mut outcome = Ok(());
        for lane in lanes {
            outcome = outcome.and(lane.join().expect("a lane ends"));
        }
        let last = written.lock().expect("unpoisoned").iter().map(|(reaches, _)| *reaches).max().unwrap_or(0);
        let end = Instant::now() + ARRIVAL_MAX;
        while outcome.is_ok() && newest.load(Ordering::Relaxed) < last {
            if Instant::now() > end {
                outcome = Err(io::Error::other("the last write did not arrive"));
            }
            thread::sleep(Duration::from_millis(1));
        }
        stop.store(true, Ordering::Relaxed);
        let seen = watcher.join().expect("the watcher ends")?;
        outcome.map(|()| seen)
    })?;
    let mut written = written.into_inner().expect("unpoisoned");
    written.sort_unstable();
    let took = written.iter().map(|(_, at)| *at).max().unwrap_or(began).duration_since(began);
    let mut lags: Vec<f64> = Vec::with_capacity(written.len());
    let mut at = 0;
    for (reaches, acknowledged) in written {
        while seen[at].0 < reaches {
            at += 1;
        }
        lags.push(seen[at].1.saturating_duration_since(acknowledged).as_secs_f64() * 1000.0);
    }
    lags.sort_unstable_by(f64::total_cmp);
    let part = |of: f64| lags[((lags.len() as f64 * of) as usize).min(lags.len() - 1)];
    println!(
        "{{\"p50_ms\": {:.2}, \"p99_ms\": {:.2}, \"max_ms\": {:.2}, \"writes\": {}, \"writes_per_s\": {:.0}, \"looks_per_s\": {:.0}}}",
        part(0.5),
        part(0.99),
        part(1.0),
        lags.len(),
        lags.len() as f64 / took.as_secs_f64(),
        seen.len() as f64 / took.as_secs_f64()
    );
    Ok(())
}

fn promote(kind: &str, standby: u16, token: &str) -> io::Result<()> {
    let mut server = Server::connect(kind, standby, token)?;
    let order = match &mut server {
        Server::Twinkeep(http) => {
            // The plan is what an operator reads before; it is not part of the time.
            let plan = http.ask("GET", "sys/replication/path/default/plan?mode=forced", "")?.body;
            let hash = plan.split_once("\"hash\":\"").and_then(|(_, rest)| rest.split_once('"')).map(|(hash, _)| hash);
            let hash = hash.ok_or_else(|| io::Error::other(format!("no plan: {plan}")))?;
            let id = format!("{:032x}", std::process::id());
            format!("{{\"mode\":\"forced\",\"plan\":\"{hash}\",\"accept_loss\":true,\"id\":\"{id}\"}}")
        }
        Server::Postgres(_) => "SELECT pg_promote(true, 60)".into(),
    };
    let began = Instant::now();
    match &mut server {
        Server::Twinkeep(http) => {
            let answer = http.ask("POST", "sys/replication/path/default/promote", &order)?;
            if answer.status != 200 {
                return Err(io::Error::other(format!(
                    "the promotion was answered with {}: {}",
                    answer.status, answer.body
                )));
            }
        }
        Server::Postgres(postgres) => drop(postgres.ask(&order)?),
    }
    let asked = began.elapsed();
    while let Err(error) = server.write(1) {
        if began.elapsed() > PROMOTION_MAX {
            return Err(error);
        }
        thread::sleep(Duration::from_micros(500));
    }
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!("{{\"to_first_write_ms\": {:.2}, \"to_answer_ms\": {:.2}}}", ms(began.elapsed()), ms(asked));
    Ok(())
}

/// One connection of HTTP/1.1.
struct Http {
    stream: BufReader<TcpStream>,
    token: String,
}

struct Answer {
    status: u16,
    /// `X-Vault-Index`.
    index: Option<String>,
    body: String,
}

impl Http {
    fn connect(port: u16, token: &str) -> io::Result<Http> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Ok(Http { stream: BufReader::new(stream), token: token.to_owned() })
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> io::Result<Answer> {
        let head = format!(
            "{method} /v1/{path} HTTP/1.1\r\nHost: a\r\nX-Vault-Token: {}\r\nContent-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        );
        self.stream.get_mut().write_all(head.as_bytes())?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.get(9..12).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no answer of HTTP: {line:?}")))?;
        let (mut length, mut index, mut chunked) = (0, None, false);
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = number(value) as usize,
                "transfer-encoding" => chunked = true,
                "x-vault-index" => index = Some(value.to_owned()),
                _ => {}
            }
        }
        let body = if chunked { self.chunks()? } else { self.exactly(length)? };
        Ok(Answer { status, index, body })
    }

    fn chunks(&mut self) -> io::Result<String> {
        let mut body = String::new();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            let length = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
            body.push_str(&self.exactly(length)?);
            self.exactly(2)?;
            if length == 0 {
                return Ok(body);
            }
        }
    }

    fn exactly(&mut self, length: usize) -> io::Result<String> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        String::from_utf8(bytes).map_err(io::Error::other)
    }
}

/// One connection of PostgreSQL's protocol, version 3, with trust and simple queries.
struct Postgres {
    stream: BufReader<TcpStream>,
}

impl Postgres {
    fn connect(port: u16) -> io::Result<Postgres> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let words = b"user\0postgres\0database\0postgres\0\0";
        let mut start = ((words.len() + 8) as u32).to_be_bytes().to_vec();
        start.extend_from_slice(&196_608_u32.to_be_bytes());
        start.extend_from_slice(words);
        stream.write_all(&start)?;
        let mut postgres = Postgres { stream: BufReader::new(stream) };
        postgres.answer()?;
        Ok(postgres)
    }

    fn ask(&mut self, query: &str) -> io::Result<String> {
        let mut message = vec![b'Q'];
        message.extend_from_slice(&((query.len() + 5) as u32).to_be_bytes());
        message.extend_from_slice(query.as_bytes());
        message.push(0);
        self.stream.get_mut().write_all(&message)?;
        self.answer()
    }

    /// Reads until the server is ready for the next query: the last row's first column, or the error.
    fn answer(&mut self) -> io::Result<String> {
        let (mut value, mut error) = (String::new(), None);
        loop {
            let mut head = [0; 5];
            self.stream.read_exact(&mut head)?;
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            let mut body = vec![0; length - 4];
            self.stream.read_exact(&mut body)?;
            match head[0] {
                b'D' if body.len() > 6 => value = String::from_utf8_lossy(&body[6..]).into_owned(),
                b'E' => error = Some(String::from_utf8_lossy(&body).replace('\0', " ")),
                b'Z' => return error.map_or(Ok(value), |error| Err(io::Error::other(error))),
                _ => {}
            }
        }
    }
}
