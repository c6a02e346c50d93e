//! Why a command did not do what was asked, as text for people and as an exit code for scripts.

use crate::client::{ClientError, Phase};
use std::fmt::Write;

/// Refused here, before or without a server.
pub const EXIT_LOCAL: u8 = 1;
/// Refused by the server, or no server answered.
pub const EXIT_SERVER: u8 = 2;
/// It may or may not have been done.
pub const EXIT_UNKNOWN: u8 = 3;

#[derive(Debug)]
pub struct Failure {
    pub exit: u8,
    pub text: String,
}

impl Failure {
    pub fn local(text: impl Into<String>) -> Failure {
        Failure { exit: EXIT_LOCAL, text: text.into() }
    }

    pub fn server(text: impl Into<String>) -> Failure {
        Failure { exit: EXIT_SERVER, text: text.into() }
    }

    pub fn unknown(text: impl Into<String>) -> Failure {
        Failure { exit: EXIT_UNKNOWN, text: text.into() }
    }

    /// A question failed: nothing can have changed.
    pub fn asked(error: ClientError) -> Failure {
        match &error {
            ClientError::Options(text) => Failure::local(text),
            _ => Failure::server(describe(&error)),
        }
    }

    /// A change failed: if no one knows whether it was made, the exit code says so.
    pub fn changed(error: ClientError) -> Failure {
        if error.outcome_unknown() {
            let text =
                format!("{}\n\nIt may have been done all the same: look before you repeat it.", describe(&error));
            return Failure::unknown(text);
        }
        Failure::asked(error)
    }
}

/// As Vault's CLI prints it, and what to do.
fn describe(error: &ClientError) -> String {
    let mut text = String::new();
    match error {
        ClientError::Status { method, url, status, errors, raw } => {
            // Writing to a string can't fail.
            let _ = write!(text, "Error making API request.\n\nURL: {method} {url}\nCode: {status}.");
            if let Some(raw) = raw {
                let _ = write!(text, " Raw Message:\n\n{raw}");
            } else {
                text.push_str(" Errors:\n");
                for error in errors {
                    let _ = write!(text, "\n* {error}");
                }
            }
        }
        other => text.push_str(&other.to_string()),
    }
    if let Some(advice) = advice(error) {
        let _ = write!(text, "\n\n{advice}");
    }
    text
}

fn advice(error: &ClientError) -> Option<String> {
    let advice = match error {
        ClientError::Status { status: 403, .. } => {
            "Check the token: VAULT_TOKEN, else ~/.vault-token (`twinkeep login`). It must be of this region, or of the \
             primary that this region replicates from."
        }
        ClientError::Status { status: 501, .. } => "Run `twinkeep operator init` on one node of the region.",
        ClientError::Status { status: 503, errors, .. } if errors.iter().any(|error| error.contains("sealed")) => {
            "Run `twinkeep operator unseal`, once for each of the unseal keys that are needed."
        }
        ClientError::Unreachable { phase: Phase::Connect, address, .. } if address.starts_with("https:") => {
            "Is the server running, and is the address right (-address, VAULT_ADDR)? A server with `tls_disable` is at \
             http://…; for a certificate that the system does not know there are -ca-cert and -tls-fingerprint."
        }
        ClientError::Unreachable { phase: Phase::Connect, .. } => {
            "Is the server running, and is the address right (-address, VAULT_ADDR)?"
        }
        ClientError::Undecodable { .. } => "Is this a Twinkeep or a Vault of a similar version?",
        _ => return None,
    };
    Some(advice.to_owned())
}
