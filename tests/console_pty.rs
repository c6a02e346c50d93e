//! The console in a real terminal: the built binary in a pty, attached to addresses where nobody answers.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Long enough for a busy machine; what is waited for comes much sooner.
const PATIENCE: Duration = Duration::from_secs(150);

struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    screen: Arc<(Mutex<Seen>, Condvar)>,
}

struct Seen {
    parser: vt100::Parser,
    raw: Vec<u8>,
    ended: bool,
}

impl Terminal {
    /// `twinkeep` with these arguments in a terminal of this size.
    fn start(arguments: &[&str], rows: u16, cols: u16, variables: &[(&str, &str)]) -> Terminal {
        Terminal::run(CommandBuilder::new(env!("CARGO_BIN_EXE_twinkeep")), arguments, rows, cols, variables)
    }

    fn run(
        mut command: CommandBuilder,
        arguments: &[&str],
        rows: u16,
        cols: u16,
        variables: &[(&str, &str)],
    ) -> Terminal {
        let pty = native_pty_system().openpty(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
        command.args(arguments);
        command.cwd(env!("CARGO_MANIFEST_DIR"));
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        command.env_remove("LC_ALL");
        command.env_remove("NO_COLOR");
        command.env_remove("VAULT_TOKEN");
        command.env("HOME", "/nonexistent");
        for (name, value) in variables {
            command.env(name, value);
        }
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let mut output = pty.master.try_clone_reader().unwrap();
        let keys = pty.master.take_writer().unwrap();
        let seen = Seen { parser: vt100::Parser::new(rows, cols, 0), raw: Vec::new(), ended: false };
        let screen = Arc::new((Mutex::new(seen), Condvar::new()));
        let shared = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 8192];
            loop {
                let count = output.read(&mut bytes).unwrap_or(0);
                let mut seen = shared.0.lock().unwrap();
                seen.parser.process(&bytes[..count]);
                seen.raw.extend_from_slice(&bytes[..count]);
                seen.ended = count == 0;
                shared.1.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        Terminal { child, master: pty.master, keys, screen }
    }

    /// Waits until the screen is as wanted.
    fn wait(&self, what: &str, wanted: impl Fn(&Seen) -> bool) {
        let began = Instant::now();
        let mut seen = self.screen.0.lock().unwrap();
        while !wanted(&seen) {
            let left = PATIENCE.saturating_sub(began.elapsed());
            assert!(!left.is_zero(), "never saw {what}:\n{}", seen.parser.screen().contents());
            seen = self.screen.1.wait_timeout(seen, left).unwrap().0;
        }
    }

    fn wait_for(&self, text: &str) {
        self.wait(text, |seen| seen.parser.screen().contents().contains(text));
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits for the end: its exit code, and whether the terminal is as it was before.
    fn end(mut self) -> u32 {
        // In this order: who never ends is a failure, and no wait for ever.
        self.wait("the end of the output", |seen| seen.ended);
        let code = self.child.wait().unwrap().exit_code();
        let seen = self.screen.0.lock().unwrap();
        let screen = seen.parser.screen();
        assert!(!screen.alternate_screen(), "the alternate screen was left");
        assert!(!screen.hide_cursor(), "the cursor is back");
        assert!(!screen.bracketed_paste(), "bracketed paste is off");
        let raw = String::from_utf8_lossy(&seen.raw);
        assert_eq!(raw.matches("\x1b[22;0t").count(), raw.matches("\x1b[23;0t").count(), "the title was put back");
        code
    }
}

/// Nobody answers there.
fn dead_addresses() -> [String; 2] {
    [0, 1].map(|_| format!("http://{}", twinkeep::demo::ports::free_address().unwrap()))
}

fn attached(rows: u16, cols: u16, variables: &[(&str, &str)]) -> Terminal {
    let [us, eu] = dead_addresses();
    Terminal::start(&["attach", &us, &eu], rows, cols, variables)
}

#[test]
fn dead_servers_are_shown_as_gone_with_the_next_try_and_q_leaves_the_terminal_as_it_was() {
    let mut terminal = attached(24, 80, &[]);
    terminal.wait_for("never answered");
    terminal.wait_for("retry");
    terminal.wait_for("r/o");
    terminal.press("?");
    terminal.wait_for("Promote the standby");
    terminal.press("\x1b");
    terminal.wait("the overview", |seen| !seen.parser.screen().contents().contains("Promote the standby"));
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn a_signal_ends_it_cleanly() {
    let terminal = attached(24, 80, &[]);
    terminal.wait_for("never answered");
    let id = rustix::process::Pid::from_raw(terminal.child.process_id().unwrap() as i32).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert_eq!(terminal.end(), 0);
}

/// As when the link to the machine breaks, or the window is closed.
#[test]
fn a_hang_up_ends_it_cleanly() {
    let terminal = attached(24, 80, &[]);
    terminal.wait_for("never answered");
    let id = rustix::process::Pid::from_raw(terminal.child.process_id().unwrap() as i32).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::HUP).unwrap();
    assert_eq!(terminal.end(), 0);
}

#[test]
fn it_follows_the_terminals_size_down_to_a_line_a_region() {
    let mut terminal = attached(24, 80, &[]);
    terminal.wait_for("latest events");
    for (rows, cols, sign) in [(12_u16, 40_u16, "1 Overview"), (3, 30, "role unknown"), (40, 120, "latest events")] {
        terminal.screen.0.lock().unwrap().parser.screen_mut().set_size(rows, cols);
        terminal.master.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
        terminal.wait_for(sign);
    }
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn without_colours_none_are_sent_and_what_is_selected_is_still_reversed() {
    let mut terminal = attached(24, 80, &[("NO_COLOR", "1")]);
    terminal.wait_for("never answered");
    {
        let seen = terminal.screen.0.lock().unwrap();
        let screen = seen.parser.screen();
        let cells = (0..24).flat_map(|row| (0..80).filter_map(move |col| screen.cell(row, col)));
        let cells: Vec<_> = cells.collect();
        assert!(
            cells.iter().all(|cell| cell.fgcolor() == vt100::Color::Default && cell.bgcolor() == vt100::Color::Default)
        );
        assert!(cells.iter().any(|cell| cell.inverse()), "the screen's name in the top line");
    }
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn what_is_recorded_is_replayed_in_the_same_screens() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("flight.jsonl");
    let [us, eu] = dead_addresses();
    let mut terminal = Terminal::start(&["attach", &us, &eu, "--record", file.to_str().unwrap()], 24, 100, &[]);
    terminal.wait_for("never answered");
    terminal.press_until("[", "HELD at");
    terminal.press_until("\x1b", "read-only");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    let state = [("XDG_STATE_HOME", home.path().to_str().unwrap())];
    let mut terminal = Terminal::start(&["attach", "--replay", file.to_str().unwrap()], 24, 100, &state);
    terminal.wait_for("PAST");
    terminal.press_until("]", "never answered");
    terminal.press_until("g", "this is the past");
    // What leaves the console leaves a replay as well.
    terminal.press_until(":", "find an action");
    terminal.press("export text\r");
    terminal.wait_for("written:");
    terminal.press_until(":", "find an action");
    terminal.press("bundle\r");
    terminal.wait_for("incident-");
    terminal.press_until("m", "the mouse works here");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

/// Under a shell with job control, since nobody stops the leader of a session.
#[test]
fn ctrl_z_gives_the_terminal_back_and_it_carries_on_afterwards() {
    let [us, eu] = dead_addresses();
    let mut shell = CommandBuilder::new("sh");
    shell.args(["-c", "set -m; \"$0\" \"$@\"; echo the job stopped; read line; fg", env!("CARGO_BIN_EXE_twinkeep")]);
    let mut terminal = Terminal::run(shell, &["attach", &us, &eu], 24, 80, &[]);
    terminal.wait_for("never answered");
    terminal.press("\x1a");
    terminal.wait_for("the job stopped");
    terminal.wait("the shell's screen", |seen| {
        let screen = seen.parser.screen();
        !screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste()
    });
    terminal.press("\n");
    terminal.wait("the console again", |seen| seen.parser.screen().alternate_screen());
    terminal.wait_for("never answered");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn a_dumb_terminal_gets_lines_and_ctrl_c_ends_them() {
    let mut terminal = attached(24, 100, &[("TERM", "dumb")]);
    terminal.wait_for("ALARM 127.0.0.1");
    terminal.press("\x03");
    terminal.wait("the end", |seen| seen.ended);
    let seen = terminal.screen.0.lock().unwrap();
    assert!(!seen.raw.contains(&0x1b), "no escape sequences");
}

#[test]
fn a_linux_console_and_a_locale_without_utf_8_get_plain_signs() {
    for variables in [[("TERM", "linux"), ("LANG", "C.UTF-8")], [("TERM", "xterm"), ("LANG", "C")]] {
        let mut terminal = attached(24, 80, &variables);
        terminal.wait_for("never answered");
        assert!(terminal.screen.0.lock().unwrap().parser.screen().contents().is_ascii());
        terminal.press("q");
        assert_eq!(terminal.end(), 0);
    }
}

#[test]
fn a_selected_line_is_sent_to_the_terminals_clipboard_and_called_sent() {
    use base64::Engine;
    let [us, eu] = dead_addresses();
    let mut terminal = Terminal::start(&["attach", &us, &eu], 24, 80, &[]);
    terminal.wait_for("never answered");
    terminal.press("2");
    terminal.wait_for("left and right change the region");
    terminal.press("y");
    // The second one is selected while nobody chose.
    let sent = format!("\x1b]52;c;{}\x07", base64::engine::general_purpose::STANDARD.encode(&eu));
    terminal.wait("the address in OSC 52", |seen| String::from_utf8_lossy(&seen.raw).contains(&sent));
    terminal.wait_for("sent to the terminal");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn a_watch_for_programs_is_a_json_object_a_line_until_the_reader_goes() {
    use std::io::BufRead;
    let [us, eu] = dead_addresses();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_twinkeep"))
        .args(["attach", "--json", "--watch", &us, &eu])
        .env("HOME", "/nonexistent")
        .env_remove("VAULT_TOKEN")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let mut observed = Vec::new();
    for _ in 0..2 {
        let line = lines.next().unwrap().unwrap();
        let said: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(["alarm", "unknown"].contains(&said["standing"].as_str().unwrap_or("none")), "nobody answers: {line}");
        observed.push(said["observed_at"].as_u64().unwrap_or_else(|| panic!("no time in {line}")));
    }
    assert!(observed[0] < observed[1], "each line is a look of its own: {observed:?}");
    // Whoever reads no more ends it.
    drop(lines);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_contexts_file_begins_with_the_index_and_the_users_keys_work() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("twinkeep");
    std::fs::create_dir(&folder).unwrap();
    let [us, eu] = dead_addresses();
    let contexts = format!(
        "[prod]\naddresses = [\"{us}\"]\nread_only = true\nbanner = \"PRODUCTION\"\n[lab]\naddresses = [\"{eu}\"]\n"
    );
    std::fs::write(folder.join("contexts.toml"), contexts).unwrap();
    std::fs::write(folder.join("keys.toml"), "help = [\"H\"]\nfly = [\"f\"]\n").unwrap();
    let mut terminal = Terminal::start(&["attach"], 24, 100, &[("XDG_CONFIG_HOME", home.path().to_str().unwrap())]);
    terminal.wait_for("contexts, the worst first");
    terminal.wait_for("there is no action `fly`");
    terminal.press_until("H", "enter runs the selected line");
    terminal.press_until(":ctx prod\r", "PRODUCTION");
    terminal.press_until(":arm\r", "the contexts file says");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    let status = |name: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_twinkeep"));
        command.args(["status", "-context", name]).env("XDG_CONFIG_HOME", home.path()).env("HOME", "/nonexistent");
        command.env_remove("VAULT_TOKEN").output().unwrap()
    };
    let dead = status("lab");
    assert_eq!(dead.status.code(), Some(2), "{}", String::from_utf8_lossy(&dead.stdout));
    assert!(String::from_utf8_lossy(&dead.stdout).starts_with("lab: ALARM "));
    assert_eq!(status("none").status.code(), Some(1));
}

#[test]
fn once_prints_a_screen_and_says_that_something_is_wrong() {
    let [us, eu] = dead_addresses();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_twinkeep"));
        command.args(["attach", &us, &eu]).args(arguments).env("HOME", "/nonexistent").env("LANG", "C.UTF-8");
        command.env_remove("VAULT_TOKEN").env("COLUMNS", "100").env("LINES", "20");
        command.output().unwrap()
    };
    let text = run(&["--once"]);
    let shown = String::from_utf8(text.stdout).unwrap();
    assert_eq!((text.status.code(), shown.lines().count()), (Some(2), 20), "{shown}");
    assert!(shown.contains("never answered") && !shown.contains('\x1b'));
    let json = run(&["--json"]);
    let object: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json.status.code(), Some(2));
    assert_eq!(object["regions"][0]["nodes"][0]["answers"], false);
    assert_eq!(object["regions"][0]["health"], "unknown");
}

impl Terminal {
    /// Presses a key until it shows what it does: a dialog drops what is typed in its first moment, and an action waits
    /// until its region said that it takes the token.
    fn press_until(&mut self, key: &str, text: &str) {
        const AGAIN_AFTER: Duration = Duration::from_secs(10);
        let began = Instant::now();
        loop {
            self.press(key);
            let pressed = Instant::now();
            let mut seen = self.screen.0.lock().unwrap();
            while pressed.elapsed() < AGAIN_AFTER {
                if seen.parser.screen().contents().contains(text) {
                    return;
                }
                let left = AGAIN_AFTER.saturating_sub(pressed.elapsed());
                seen = self.screen.1.wait_timeout(seen, left).unwrap().0;
            }
            let contents = seen.parser.screen().contents();
            assert!(began.elapsed() < PATIENCE, "`{key}` never brought {text}:\n{contents}");
        }
    }
}

#[test]
fn the_demo_goes_from_a_token_to_a_promotion_and_leaves_nothing_behind() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().to_str().unwrap();
    let mut demo = Terminal::start(
        &["demo", "--wan-latency", "10", "--write-rate", "0", "--secrets", "300"],
        40,
        120,
        &[("TMPDIR", folder)],
    );
    demo.wait_for("g makes a token");
    demo.press_until("g", "a new activation token of eu-west-1");
    demo.press_until("y", "h hand it to us-east-1");
    demo.press_until("h", "Hand the token of eu-west-1 to us-east-1");
    demo.press_until("y", "dials it");
    demo.wait_for("● streaming");
    demo.wait_for("eu-west-1 has all that us-east-1 has");
    demo.press_until("p", "To promote, type eu-west-1");
    demo.press_until("e", "type eu-west-1: e");
    demo.press("u-west-1");
    demo.wait_for("type eu-west-1: eu-west-1");
    demo.press("\r");
    demo.wait_for("DONE: eu-west-1 is primary in epoch 2");
    demo.wait_for("us-east-1 follows eu-west-1");
    demo.press("\x1b");
    // Together the two keys would be one: alt-q.
    demo.wait("the report closed", |seen| !seen.parser.screen().contents().contains("DONE: eu-west-1"));
    demo.press("q");
    assert_eq!(demo.end(), 0);
    let left: Vec<_> = std::fs::read_dir(temp.path()).unwrap().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}
