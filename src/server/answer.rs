//! What goes back to a client: Vault's envelope, its error bodies, its status codes.

use super::request_id;
use crate::api::envelope::{Doubled, Envelope};
use crate::error::{Error, Result};
use crate::ids::Position;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;

/// Of a region that takes no client requests in its present role, as Vault's health has it for a DR secondary.
pub const STATUS_WRONG_ROLE: u16 = 472;
/// How long a client should wait before it asks again when there is no leader, in seconds.
const RETRY_AFTER_SECONDS: &str = "1";

const TLS_FOR_A_YEAR: &str = "max-age=31536000; includeSubDomains";

/// No longer answer is wrapped.
const WRAPPED_BYTES_MAX: usize = 4 << 20;

/// A handler's answer.
pub struct Answer {
    status: u16,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Of the write that this answers.
    position: Option<Position>,
    body: Body,
}

impl Answer {
    /// 204, nothing in it.
    pub fn empty() -> Answer {
        Answer { status: 204, headers: Vec::new(), position: None, body: Body::empty() }
    }

    /// The value as it is: what Vault answers without an envelope.
    pub fn plain(value: &impl Serialize) -> Answer {
        Answer::json(value)
    }

    /// Under `data` in Vault's envelope.
    pub fn data<T: Serialize>(payload: &T) -> Answer {
        Answer::json(&Envelope::new(request_id::current(), payload))
    }

    /// Under `data` and at the top level as well, as Vault answers `sys/mounts` and its like.
    pub fn data_and_top<T: Serialize>(payload: &T) -> Answer {
        Answer::json(&Doubled::new(request_id::current(), payload))
    }

    /// As `data`, to be looked at again after `lease`.
    pub fn leased<T: Serialize>(payload: &T, lease: Duration) -> Answer {
        Answer::json(&Envelope { lease_duration: lease.as_secs(), ..Envelope::new(request_id::current(), payload) })
    }

    /// Under `wrap_info` in the envelope. It has no id, as in Vault: the answer inside has its own.
    pub fn wrapped(payload: Value) -> Answer {
        Answer::json(&Envelope::<()> { data: None, wrap_info: Some(payload), ..Envelope::new("", ()) })
    }

    /// An answer that was kept as text.
    pub fn json_text(text: &str) -> Answer {
        Answer { status: 200, headers: Vec::new(), position: None, body: Body::from(text.to_owned()) }
            .typed("application/json")
    }

    /// With one more warning in its envelope, if it is good and has one.
    pub async fn with_warning(self, text: &str) -> Result<Answer> {
        let (answer, body) = self.read().await?;
        let Some(Value::Object(mut envelope)) = body.filter(|_| answer.is_good()) else { return Ok(answer) };
        match envelope.get_mut("warnings") {
            Some(Value::Array(warnings)) => warnings.push(text.into()),
            Some(warnings) => *warnings = json!([text]),
            None => return Ok(answer),
        }
        let bytes = serde_json::to_vec(&envelope).expect("answers are maps with string keys");
        Ok(Answer { body: Body::from(bytes), ..answer })
    }

    pub fn status(&self) -> u16 {
        self.status
    }

    /// The answer again, and what it says, if that is JSON.
    pub async fn read(self) -> Result<(Answer, Option<Value>)> {
        let json = HeaderValue::from_static("application/json");
        if !self.headers.contains(&(header::CONTENT_TYPE, json)) {
            return Ok((self, None));
        }
        let wrong = |_| Error::internal("an answer could not be read again");
        let bytes = axum::body::to_bytes(self.body, usize::MAX).await.map_err(wrong)?;
        let value = serde_json::from_slice(&bytes).ok();
        Ok((Answer { body: Body::from(bytes), ..self }, value))
    }

    /// Whether there is something in it for the client, and it is no error.
    pub fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The text of an answer in JSON; `None` of any other.
    pub async fn text_to_wrap(self) -> Result<Option<String>> {
        let json = HeaderValue::from_static("application/json");
        if !self.headers.contains(&(header::CONTENT_TYPE, json)) {
            return Ok(None);
        }
        let wrong = || Error::internal("an answer could not be wrapped");
        let bytes = axum::body::to_bytes(self.body, WRAPPED_BYTES_MAX).await.map_err(|_| wrong())?;
        String::from_utf8(bytes.into()).map(Some).map_err(|_| wrong())
    }

    /// Under `auth` in the envelope.
    pub fn auth(payload: Value, warnings: Vec<String>) -> Answer {
        let warnings = Some(warnings).filter(|warnings| !warnings.is_empty());
        let envelope =
            Envelope::<()> { data: None, auth: Some(payload), warnings, ..Envelope::new(request_id::current(), ()) };
        Answer::json(&envelope)
    }

    /// An envelope with nothing but a warning in it.
    pub fn warning(text: &str) -> Answer {
        Answer::warnings(&[text.to_owned()])
    }

    pub fn warnings(texts: &[String]) -> Answer {
        let warnings = Some(texts.to_vec());
        Answer::json(&Envelope::<()> { data: None, warnings, ..Envelope::new(request_id::current(), ()) })
    }

    /// `{keys}` of a list. Vault says 404 to a list of nothing.
    pub fn keys(keys: &[String]) -> Answer {
        if keys.is_empty() {
            return Answer::missing();
        }
        Answer::data(&json!({ "keys": keys }))
    }

    pub fn bytes(bytes: Bytes) -> Answer {
        Answer { status: 200, headers: Vec::new(), position: None, body: Body::from(bytes) }
            .typed("application/octet-stream")
    }

    /// Server-sent events, or any body that comes bit by bit.
    pub fn stream(content_type: &'static str, body: Body) -> Answer {
        Answer { status: 200, headers: Vec::new(), position: None, body }.typed(content_type)
    }

    pub fn error(status: u16, message: &str) -> Answer {
        Answer::json(&json!({ "errors": [message] })).with_status(status)
    }

    /// 429: whoever asks so often has to wait.
    pub fn too_often(message: &str) -> Answer {
        Answer::error(429, &format!("{message}: wait a little")).with_header("retry-after", RETRY_AFTER_SECONDS)
    }

    /// 404 with nothing to say: a secret that is not there.
    pub fn missing() -> Answer {
        Answer::json(&json!({ "errors": [] })).with_status(404)
    }

    pub fn with_status(mut self, status: u16) -> Answer {
        self.status = status;
        self
    }

    pub fn with_header(mut self, name: &'static str, value: &str) -> Answer {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }

    /// The write that this answers is held by this position.
    pub fn at(self, position: Position) -> Answer {
        Answer { position: Some(position), ..self }
    }

    pub fn position(&self) -> Option<Position> {
        self.position
    }

    pub fn into_response(self) -> Response<Body> {
        let mut response = Response::new(self.body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // As Vault says it on every answer; whoever came without TLS takes no notice.
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(TLS_FOR_A_YEAR));
        response.headers_mut().extend(self.headers);
        response
    }

    fn json(value: &impl Serialize) -> Answer {
        let bytes = serde_json::to_vec(value).expect("answers are maps with string keys");
        Answer { status: 200, headers: Vec::new(), position: None, body: Body::from(bytes) }.typed("application/json")
    }

    fn typed(mut self, content_type: &'static str) -> Answer {
        self.headers.push((header::CONTENT_TYPE, HeaderValue::from_static(content_type)));
        self
    }
}

impl From<Error> for Answer {
    fn from(error: Error) -> Answer {
        let answer = match &error {
            // Vault says nothing more about what is not there.
            Error::NotFound(text) if text.is_empty() => Answer::missing(),
            other => Answer::error(status_of(other), &other.to_string()),
        };
        match error {
            Error::Unavailable(_) | Error::NotLeader(_) | Error::Unknown(_) => {
                answer.with_header("retry-after", RETRY_AFTER_SECONDS)
            }
            _ => answer,
        }
    }
}

/// The status code that Vault's clients expect for an error.
fn status_of(error: &Error) -> u16 {
    match error {
        Error::Invalid(_) | Error::Conflict(_) => 400,
        Error::PermissionDenied => 403,
        Error::NotFound(_) => 404,
        Error::TooLarge { .. } | Error::ValueTooLarge { .. } => 413,
        Error::WrongRole(_) => STATUS_WRONG_ROLE,
        Error::Sealed | Error::Uninitialised | Error::Unavailable(_) | Error::NotLeader(_) => 503,
        Error::Unknown(_) | Error::Corrupt(_) | Error::Storage(_) | Error::Internal(_) => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body_of(answer: Answer) -> (u16, Value) {
        let response = answer.into_response();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body in memory");
        (status, serde_json::from_slice(&bytes).expect("JSON"))
    }

    #[tokio::test]
    async fn errors_have_vaults_status_and_form() {
        let (status, body) = body_of(Error::Sealed.into()).await;
        assert_eq!(status, 503);
        assert!(body["errors"][0].as_str().is_some_and(|text| text.contains("sealed")));
        let (status, body) = body_of(Error::NotFound(String::new()).into()).await;
        assert_eq!((status, body), (404, json!({"errors": []})));
        let (status, body) = body_of(Error::PermissionDenied.into()).await;
        assert_eq!((status, body), (403, json!({"errors": ["permission denied"]})));
    }

    #[tokio::test]
    async fn a_payload_at_the_top_is_in_the_envelope_too() {
        let (_, body) = body_of(Answer::data_and_top(&json!({"secret/": {"type": "kv"}}))).await;
        assert_eq!(body["secret/"]["type"], "kv");
        assert_eq!(body["data"]["secret/"]["type"], "kv");
        assert_eq!(body["lease_duration"], 0);
    }
}
