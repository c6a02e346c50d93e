//! Web pages of other origins: what `sys/config/cors` allows is told to browsers, and who it does not allow is refused.

use super::answer::Answer;
use super::node::Node;
use crate::secrets::settings::Cors;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Response, header};

const METHODS: &str = "DELETE,GET,OPTIONS,POST,PUT,PATCH,LIST,SCAN";
/// How long a browser may remember an answer, in seconds.
const MAX_AGE: &str = "300";
/// Allowed in any case, as in Vault.
const HEADERS: &[&str] = &[
    "Content-Type",
    "X-Requested-With",
    "X-Vault-AWS-IAM-Server-ID",
    "X-Vault-MFA",
    "X-Vault-No-Request-Forwarding",
    "X-Vault-Wrap-Format",
    "X-Vault-Wrap-TTL",
    "X-Vault-Policy-Override",
    "Authorization",
    "X-Vault-Token",
];

pub fn allowed_headers(cors: &Cors) -> Vec<String> {
    let more = cors.headers.iter().filter(|name| !HEADERS.iter().any(|known| known.eq_ignore_ascii_case(name)));
    HEADERS.iter().map(|name| (*name).to_owned()).chain(more.cloned()).collect()
}

/// What is to become of a request with regard to where its page comes from.
pub enum Verdict {
    /// It comes from no page, or nothing was set: it is answered as any other.
    Usual,
    /// It is answered, and its page may see the answer.
    Allowed(HeaderValue),
    /// This is the answer.
    Answered(Box<Response<Body>>),
}

pub fn judge(node: &Node, method: &Method, headers: &HeaderMap) -> Verdict {
    let Some(origin) = headers.get(header::ORIGIN) else { return Verdict::Usual };
    // A node that can't tell, since it is sealed, says no more to a page than to anybody.
    let Some(cors) = node.vault.settings().ok().and_then(|settings| settings.cors.clone()) else {
        return Verdict::Usual;
    };
    if !origin.to_str().is_ok_and(|origin| cors.allows(origin)) {
        return Verdict::Answered(Box::new(Answer::error(403, "origin not allowed").into_response()));
    }
    if *method != Method::OPTIONS {
        return Verdict::Allowed(origin.clone());
    }
    let asked = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD).and_then(|asked| asked.to_str().ok());
    if asked.is_some_and(|asked| !METHODS.split(',').any(|method| method == asked)) {
        return Verdict::Answered(Box::new(Answer::error(405, "method not allowed").into_response()));
    }
    let mut answer = Answer::empty().with_status(200).into_response();
    let told = answer.headers_mut();
    told.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    told.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
    if let Ok(names) = HeaderValue::from_str(&allowed_headers(&cors).join(",")) {
        told.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
    }
    tell(&mut answer, origin.clone());
    Verdict::Answered(Box::new(answer))
}

/// Lets the page of `origin` see an answer.
pub fn tell(answer: &mut Response<Body>, origin: HeaderValue) {
    answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    answer.headers_mut().insert(header::VARY, HeaderValue::from_static("Origin"));
}
