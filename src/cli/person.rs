//! Who sits at the terminal, if anyone does: questions, answers, standard input.

use std::io::{self, IsTerminal, Read, Write};

/// No secret, key or token that is read from standard input is longer; the server takes no more either.
const STDIN_BYTES_MAX: u64 = 32 << 20;

pub trait Person {
    /// Whether questions are seen and can be answered.
    fn is_present(&self) -> bool;
    /// Says something beside the output, at once.
    fn tell(&mut self, text: &str);
    /// Asks for a line.
    fn ask(&mut self, question: &str) -> io::Result<String>;
    /// Asks for a line that nobody shall see.
    fn ask_secret(&mut self, question: &str) -> io::Result<String>;
    /// All of standard input.
    fn standard_input(&mut self) -> io::Result<String>;
}

/// The real one: questions on standard error, so that the output can be piped.
pub struct Terminal;

impl Person for Terminal {
    fn is_present(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    fn tell(&mut self, text: &str) {
        // A closed standard error has no reader to tell.
        let _ = writeln!(io::stderr(), "{text}");
    }

    fn ask(&mut self, question: &str) -> io::Result<String> {
        write!(io::stderr(), "{question}")?;
        io::stderr().flush()?;
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    fn ask_secret(&mut self, question: &str) -> io::Result<String> {
        rpassword::prompt_password(question)
    }

    fn standard_input(&mut self) -> io::Result<String> {
        let mut text = String::new();
        let read = io::stdin().take(STDIN_BYTES_MAX + 1).read_to_string(&mut text)?;
        if read as u64 > STDIN_BYTES_MAX {
            return Err(io::Error::other(format!("more than {STDIN_BYTES_MAX} bytes")));
        }
        Ok(text)
    }
}
