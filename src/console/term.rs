//! The terminal, entered and left whole: raw mode, the alternate screen, bracketed paste, the cursor, the title.
//!
//! Everything that is painted is gathered and written at once, between the marks of a synchronized update, so that a
//! terminal never shows half a frame. Whatever ends the console (a drop, a panic) leaves the terminal as it was.

use super::ui::ColourDepth;
use crate::sensitive::panic_text;
use base64::Engine;
use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, SetTitle,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{Command, style};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread::ThreadId;

/// Pushes and pops the title on the terminal's own stack.
const PUSH_TITLE: &str = "\x1b[22;0t";
const POP_TITLE: &str = "\x1b[23;0t";

/// Whether the terminal is ours now: what has to be undone.
static ENTERED: AtomicBool = AtomicBool::new(false);
/// Panics of other threads, told once the screen is back: printed into it they would only spoil it.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static HOOK: Once = Once::new();

/// Bytes of a frame, until they are written in one go.
#[derive(Clone, Default)]
struct Gathered(Arc<Mutex<Vec<u8>>>);

impl Gathered {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Gathered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// `Screen::paint` does it, once a frame.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The terminal while the console has it. Dropping it gives it back.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Gathered>>,
    gathered: Gathered,
    title: String,
    mouse_taken: bool,
    /// What stands on the screen.
    shown: Option<Buffer>,
}

impl Screen {
    pub fn enter(title: &str) -> io::Result<Screen> {
        install_hook();
        // With NO_COLOR set crossterm writes bare resets, which undo bold and reversed as well; the themes leave colours out.
        style::force_color_output(true);
        take_terminal(title)?;
        let gathered = Gathered::default();
        let terminal = match Terminal::new(CrosstermBackend::new(gathered.clone())) {
            Ok(terminal) => terminal,
            Err(error) => {
                give_back();
                return Err(error);
            }
        };
        Ok(Screen { terminal, gathered, title: title.into(), mouse_taken: false, shown: None })
    }

    pub fn size(&self) -> io::Result<(u16, u16)> {
        crossterm::terminal::size()
    }

    /// Shows the frame, if it differs from what is shown. An error means that the terminal is gone.
    pub fn paint(&mut self, frame: Buffer) -> io::Result<()> {
        if self.shown.as_ref() == Some(&frame) {
            return Ok(());
        }
        self.terminal.draw(|target| {
            if target.area() == frame.area {
                target.buffer_mut().clone_from(&frame);
            }
        })?;
        self.shown = Some(frame);
        let painted = self.gathered.take();
        let mut out = Vec::with_capacity(painted.len() + 32);
        put(&mut out, BeginSynchronizedUpdate);
        out.extend_from_slice(&painted);
        put(&mut out, EndSynchronizedUpdate);
        write_out(&out)
    }

    /// Paints every cell again next time. `Terminal::clear` would ask the terminal where its cursor is, and wait.
    pub fn forget(&mut self) -> io::Result<()> {
        self.shown = None;
        let (width, height) = self.size()?;
        self.terminal.resize(Rect::new(0, 0, width, height))
    }

    pub fn bell(&mut self) -> io::Result<()> {
        write_out(b"\x07")
    }

    /// Takes the mouse, or leaves it to the terminal.
    pub fn mouse(&mut self, taken: bool) -> io::Result<()> {
        let mut out = Vec::new();
        if taken {
            put(&mut out, EnableMouseCapture)
        } else {
            put(&mut out, DisableMouseCapture)
        }
        self.mouse_taken = taken;
        write_out(&out)
    }

    /// Hands text to the terminal's clipboard. Whether it takes it, nobody says.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        let encoded = base64::engine::general_purpose::STANDARD.encode(text);
        write_out(format!("\x1b]52;c;{encoded}\x07").as_bytes())
    }

    /// Gives the terminal to the shell and stops; goes on when the shell says so.
    pub fn suspend(&mut self) -> io::Result<()> {
        give_back();
        // The whole job, as the terminal itself does it: a wrapper such as `cargo run` stops as well.
        rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)?;
        take_terminal(&self.title)?;
        self.mouse(self.mouse_taken)?;
        self.forget()
    }

    /// After somebody else stopped and continued us: the shell left the terminal in its own modes.
    pub fn retake(&mut self) -> io::Result<()> {
        // Raw mode counts as entered, and would not be entered again.
        disable_raw_mode()?;
        take_terminal(&self.title)?;
        self.mouse(self.mouse_taken)?;
        self.forget()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Whether there is somebody to see it.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal() && io::stdin().is_terminal()
}

/// Whether the terminal can do no more than show line after line.
pub fn is_dumb() -> bool {
    std::env::var("TERM").is_ok_and(|term| term == "dumb")
}

/// Whether the locale says that the terminal shows more than ASCII.
pub fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set =
        ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| variable(name).filter(|value| !value.is_empty()));
    let linux_console = variable("TERM").is_some_and(|term| term == "linux");
    match set {
        Some(locale) => {
            let locale = locale.to_lowercase();
            (locale.contains("utf-8") || locale.contains("utf8")) && !linux_console
        }
        // Containers set none, and are mostly looked at from terminals that can.
        None => !linux_console,
    }
}

/// What the environment says about colours.
pub fn colour_depth(variable: impl Fn(&str) -> Option<String>) -> ColourDepth {
    if variable("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        return ColourDepth::None;
    }
    let term = variable("TERM").unwrap_or_default();
    let colours = variable("COLORTERM").unwrap_or_default();
    match () {
        () if term == "dumb" => ColourDepth::None,
        () if colours == "truecolor" || colours == "24bit" || term.ends_with("-direct") => ColourDepth::True,
        () if term.contains("256color") => ColourDepth::TwoHundredFiftySix,
        () => ColourDepth::Sixteen,
    }
}

fn take_terminal(title: &str) -> io::Result<()> {
    enable_raw_mode()?;
    let mut out = Vec::new();
    if !ENTERED.swap(true, Ordering::SeqCst) {
        out.extend_from_slice(PUSH_TITLE.as_bytes());
    }
    put(&mut out, SetTitle(title));
    put(&mut out, EnterAlternateScreen);
    put(&mut out, EnableBracketedPaste);
    put(&mut out, Hide);
    write_out(&out)
}

/// Undoes [`take_terminal`], once. Errors are of no use any more: the terminal may be gone.
fn give_back() {
    if !ENTERED.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = Vec::new();
    put(&mut out, EndSynchronizedUpdate);
    put(&mut out, DisableMouseCapture);
    put(&mut out, DisableBracketedPaste);
    put(&mut out, LeaveAlternateScreen);
    put(&mut out, Show);
    out.extend_from_slice(POP_TITLE.as_bytes());
    let _ = write_out(&out);
    let _ = disable_raw_mode();
    let panics = std::mem::take(&mut *PANICS.lock().unwrap_or_else(PoisonError::into_inner));
    for panic in panics {
        let _ = writeln!(io::stderr(), "{panic}");
    }
}

fn put(out: &mut Vec<u8>, command: impl Command) {
    let mut text = String::new();
    command.write_ansi(&mut text).expect("writing to a string does not fail");
    out.extend_from_slice(text.as_bytes());
}

fn write_out(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// A panic of the painting thread gives the terminal back before it is told; one of another thread waits until then.
fn install_hook() {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        let painter: ThreadId = std::thread::current().id();
        std::panic::set_hook(Box::new(move |info| {
            if !ENTERED.load(Ordering::SeqCst) {
                return before(info);
            }
            if std::thread::current().id() == painter {
                give_back();
                return before(info);
            }
            PANICS.lock().unwrap_or_else(PoisonError::into_inner).push(panic_text(info));
        }));
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn environment<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn colours_are_what_the_environment_says() {
        let depth = |pairs: &[(&str, &str)]| colour_depth(environment(pairs));
        assert_eq!(depth(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]), ColourDepth::True);
        assert_eq!(depth(&[("TERM", "xterm-256color")]), ColourDepth::TwoHundredFiftySix);
        assert_eq!(depth(&[("TERM", "linux")]), ColourDepth::Sixteen);
        assert_eq!(depth(&[("TERM", "xterm-256color"), ("NO_COLOR", "1")]), ColourDepth::None);
        assert_eq!(depth(&[("TERM", "xterm"), ("NO_COLOR", "")]), ColourDepth::Sixteen);
    }

    #[test]
    fn ascii_is_for_locales_and_consoles_that_have_no_more() {
        assert!(is_utf8(environment(&[("LANG", "de_DE.UTF-8")])));
        assert!(!is_utf8(environment(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")])));
        assert!(!is_utf8(environment(&[("LANG", "C.UTF-8"), ("TERM", "linux")])));
    }

    /// Set in the process that panics in the terminal of the one that looks.
    const PANICS_HERE: &str = "TWINKEEP_TEST_PANICS_HERE";

    #[test]
    fn a_panic_gives_the_terminal_back_before_it_is_told() {
        use portable_pty::{CommandBuilder, PtySize, native_pty_system};
        if std::env::var_os(PANICS_HERE).is_some() {
            let mut screen = Screen::enter("twinkeep").unwrap();
            screen.mouse(true).unwrap();
            panic!("the painter fell over");
        }
        let pty = native_pty_system().openpty(PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 }).unwrap();
        let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
        let name = "console::term::tests::a_panic_gives_the_terminal_back_before_it_is_told";
        command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
        command.env(PANICS_HERE, "1");
        command.env("RUST_BACKTRACE", "0");
        let mut child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let mut output = pty.master.try_clone_reader().unwrap();
        let reader = std::thread::spawn(move || {
            let mut raw = Vec::new();
            // At the end of the child a pty says so by an error.
            let _ = std::io::Read::read_to_end(&mut output, &mut raw);
            raw
        });
        assert!(!child.wait().unwrap().success(), "it panicked");
        let raw = reader.join().unwrap();
        let mut parser = vt100::Parser::new(24, 80, 0);
        parser.process(&raw);
        let screen = parser.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste());
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        assert!(screen.contents().contains("the painter fell over"), "told where it is read: {}", screen.contents());
        let raw = String::from_utf8_lossy(&raw);
        assert_eq!(raw.matches(PUSH_TITLE).count(), raw.matches(POP_TITLE).count(), "the title was put back");
    }
}
