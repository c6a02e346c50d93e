//! Any path by any verb, as Vault's `read`, `write`, `list` and `delete` do it: what the server answers is handed through.

use super::request::list;
use super::{Client, Result};
use reqwest::Method;
use serde_json::Value;

/// What to do at a path.
#[derive(Clone, PartialEq, Debug)]
pub enum Logical {
    Read,
    List,
    /// With a JSON object as its body.
    Write(Value),
    /// A JSON merge patch.
    Patch(Value),
    Delete,
}

impl Client {
    /// The whole answer; `Value::Null` for one without a body, `None` where there is nothing at the path. `query` is
    /// added to the path, `wrap_ttl` has the answer wrapped.
    pub async fn logical(
        &self,
        path: &str,
        query: &[(&str, &str)],
        what: Logical,
        wrap_ttl: Option<&str>,
    ) -> Result<Option<Value>> {
        let (method, body) = match what {
            Logical::Read => (Method::GET, None),
            Logical::List => (list(), None),
            Logical::Write(body) => (Method::PUT, Some(body)),
            Logical::Patch(body) => (Method::PATCH, Some(body)),
            Logical::Delete => (Method::DELETE, None),
        };
        let merges = method == Method::PATCH;
        let mut request = self.request(method, &[super::kv::checked(path.trim_matches('/'))?]);
        for (name, value) in query {
            request = request.query(name, value);
        }
        if let Some(body) = &body {
            request = request.json(body);
        }
        if merges {
            request = request.header("content-type", "application/merge-patch+json");
        }
        if let Some(ttl) = wrap_ttl {
            request = request.header("x-vault-wrap-ttl", ttl);
        }
        let answer = request.answer().await?;
        if answer.is_nothing() {
            return Ok(None);
        }
        let answer = answer.ok()?;
        if answer.is_empty() { Ok(Some(Value::Null)) } else { answer.decode().map(Some) }
    }
}
