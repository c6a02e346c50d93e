//! Policies: who may do what at which path, by Vault's rules.
//!
//! `hcl` reads the language that policies are written in, `parse` makes rules of it, `acl` decides a request by the rules
//! of all of a caller's policies, `store` keeps policies.

mod acl;
mod hcl;
mod parse;
mod resultant;
mod store;

#[cfg(test)]
mod tests;

pub use acl::{Acl, Asked, Decision, Operation, matches_glob};
pub use parse::Policy;
pub use store::PolicyText;

pub(super) use store::{acl, missing};

/// May do everything, and is no text.
pub const ROOT: &str = "root";
/// Comes with every token that does not decline it.
pub const DEFAULT: &str = "default";
/// Of tokens that hold a wrapped answer; no token is given it on demand.
pub const RESPONSE_WRAPPING: &str = "response-wrapping";

const DEFAULT_TEXT: &str = r#"
# Allow tokens to look up their own properties
path "auth/token/lookup-self" {
    capabilities = ["read"]
}

# Allow tokens to renew themselves
path "auth/token/renew-self" {
    capabilities = ["update"]
}

# Allow tokens to revoke themselves
path "auth/token/revoke-self" {
    capabilities = ["update"]
}

# Allow a token to look up its own capabilities on a path
path "sys/capabilities-self" {
    capabilities = ["update"]
}

# Allow a token to look up what all its policies grant together: web pages ask
path "sys/internal/ui/resultant-acl" {
    capabilities = ["read"]
}

# Allow a token to renew and look up a lease by its id, by the old name too
path "sys/renew" {
    capabilities = ["update"]
}
path "sys/leases/renew" {
    capabilities = ["update"]
}
path "sys/leases/lookup" {
    capabilities = ["update"]
}

# Allow a token to manage its own cubbyhole
path "cubbyhole/*" {
    capabilities = ["create", "read", "update", "delete", "list"]
}

# Allow a token to wrap arbitrary values, and to look up and unwrap what was wrapped
path "sys/wrapping/wrap" {
    capabilities = ["update"]
}
path "sys/wrapping/lookup" {
    capabilities = ["update"]
}
path "sys/wrapping/unwrap" {
    capabilities = ["update"]
}

# Allow general purpose tools
path "sys/tools/hash" {
    capabilities = ["update"]
}
path "sys/tools/hash/*" {
    capabilities = ["update"]
}
"#;

const RESPONSE_WRAPPING_TEXT: &str = r#"
path "cubbyhole/response" {
    capabilities = ["create", "read"]
}

path "sys/wrapping/unwrap" {
    capabilities = ["update"]
}
"#;
