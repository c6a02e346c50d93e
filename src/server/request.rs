//! What a client sent, read the way Vault's clients mean it: the path cleaned, the body by content, the query.

use crate::decoding::{Decoder, Kind};
use crate::error::{Error, Result};
use axum::http::{HeaderMap, Method, Uri};
use bytes::Bytes;
use serde_json::{Map, Value};

/// The prefix of every path.
pub const API_PREFIX: &str = "/v1/";

/// Of a path as it is sent, escapes and all.
const PATH_BYTES_MAX: usize = 16 << 10;
/// … and how deep it may go: secrets have bounds of their own, which are lower.
const SEGMENTS_MAX: usize = 512;

/// What a request wants to do. PUT and POST are one, and a GET that asks for a list is a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    /// GET and HEAD.
    Read,
    /// PUT and POST.
    Write,
    Patch,
    Delete,
    /// LIST, and GET with `?list=true`.
    List,
    /// SCAN, and GET with `?scan=true`: a list of all that is below, however deep.
    Scan,
}

impl Verb {
    pub fn of(method: &Method, query: &Query) -> Option<Verb> {
        match method.as_str() {
            "GET" if query.flag("list") => Some(Verb::List),
            "GET" if query.flag("scan") => Some(Verb::Scan),
            "GET" | "HEAD" => Some(Verb::Read),
            "PUT" | "POST" => Some(Verb::Write),
            "PATCH" => Some(Verb::Patch),
            "DELETE" => Some(Verb::Delete),
            "LIST" => Some(Verb::List),
            "SCAN" => Some(Verb::Scan),
            _ => None,
        }
    }

    /// Vault's word for it in an audit log.
    pub fn operation(self) -> &'static str {
        match self {
            Verb::Read => "read",
            Verb::Write => "update",
            Verb::Patch => "patch",
            Verb::Delete => "delete",
            Verb::List => "list",
            Verb::Scan => "scan",
        }
    }

    /// Whether it changes nothing.
    pub fn reads(self) -> bool {
        matches!(self, Verb::Read | Verb::List | Verb::Scan)
    }

    /// The methods that mean it, as `Allow` and the documentation write them.
    pub fn methods(self) -> &'static str {
        match self {
            Verb::Read => "GET",
            Verb::Write => "POST",
            Verb::Patch => "PATCH",
            Verb::Delete => "DELETE",
            Verb::List => "LIST",
            Verb::Scan => "SCAN",
        }
    }
}

/// The decoded query. Of a name given twice the first one counts.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn of(uri: &Uri) -> Query {
        let text = uri.query().unwrap_or_default();
        Query(url::form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether a flag is set: `?list=true`, `?list=True`, `?list=1`, and `?list` by itself.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| matches!(value, "" | "1" | "t" | "T" | "true" | "True" | "TRUE"))
    }

    /// A number; an error that names the parameter if it is none. An empty one is not there, and to ask for less than
    /// nothing is to ask for nothing, as in Vault.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>> {
        let Some(text) = self.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        if text.parse::<i64>().is_ok_and(|number| number < 0) {
            return Ok(None);
        }
        let wrong = || Error::invalid(format!("query parameter `{name}`: `{text}` is not a whole number"));
        text.parse().map(Some).map_err(|_| wrong())
    }
}

/// A request's path, cleaned, or where it should have gone.
#[derive(PartialEq, Eq, Debug)]
pub enum CleanPath {
    /// Below `/v1/`, decoded, without slashes at its ends.
    Path(String),
    /// It had empty segments: the client is sent to this path.
    Redirect(String),
    /// Not below `/v1/`.
    Elsewhere,
}

/// Decodes and checks a path. Refuses what could mean two things: broken escapes, control characters, `.` and `..`.
pub fn clean_path(raw: &str) -> Result<CleanPath> {
    if raw.len() > PATH_BYTES_MAX {
        let got = raw.len();
        return Err(Error::invalid(format!("the path is {got} bytes long, at most {PATH_BYTES_MAX} are taken")));
    }
    let decoded = percent_decode(raw)?;
    if decoded.chars().any(char::is_control) {
        return Err(Error::invalid("the path holds a control character"));
    }
    if decoded.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(Error::invalid("the path holds a `.` or `..` segment"));
    }
    let segments = decoded.split('/').count();
    if segments > SEGMENTS_MAX {
        return Err(Error::invalid(format!("the path has {segments} segments, at most {SEGMENTS_MAX} are taken")));
    }
    if decoded.contains("//") {
        let segments: Vec<&str> = decoded.split('/').filter(|segment| !segment.is_empty()).collect();
        let end = if decoded.ends_with('/') { "/" } else { "" };
        return Ok(CleanPath::Redirect(format!("/{}{end}", percent_encode(&segments.join("/")))));
    }
    match decoded.strip_prefix(API_PREFIX) {
        Some(path) => Ok(CleanPath::Path(path.trim_matches('/').to_owned())),
        None => Ok(CleanPath::Elsewhere),
    }
}

fn percent_decode(raw: &str) -> Result<String> {
    let broken = || Error::invalid("the path holds a broken %-escape");
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next().ok_or_else(broken)?, rest.next().ok_or_else(broken)?];
        let mut decoded = [0];
        hex::decode_to_slice(digits, &mut decoded).map_err(|_| broken())?;
        bytes.push(decoded[0]);
    }
    String::from_utf8(bytes).map_err(|_| Error::invalid("the path is not UTF-8"))
}

/// Escapes what a path may not hold as it is; slashes stay.
pub fn percent_encode(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b':' | b'@' => {
                encoded.push(byte as char)
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

pub const DECODERS: &[Decoder] = &[
    Decoder { name: "http-path", again: path_again, kind: Kind::Text },
    Decoder { name: "http-body", again: body_again, kind: Kind::Text },
];

fn path_again(raw: &[u8]) -> Result<Vec<u8>> {
    let raw = std::str::from_utf8(raw).map_err(|_| Error::invalid("the path is not UTF-8"))?;
    match clean_path(raw)? {
        CleanPath::Path(path) => Ok(format!("{API_PREFIX}{}", percent_encode(&path)).into_bytes()),
        CleanPath::Redirect(path) => Ok(path.into_bytes()),
        CleanPath::Elsewhere => Ok(raw.as_bytes().to_vec()),
    }
}

fn body_again(body: &[u8]) -> Result<Vec<u8>> {
    let value = parse_body(&HeaderMap::new(), &Bytes::copy_from_slice(body))?;
    Ok(value.to_string().into_bytes())
}

/// A body as a JSON object, whatever its content type says: Vault's CLI sends JSON without one, `curl -d` calls JSON a
/// form, and some clients send a form's type with nothing in it. Empty means `{}`.
pub fn parse_body(headers: &HeaderMap, body: &Bytes) -> Result<Value> {
    let text = body.trim_ascii();
    if text.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let content_type = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_form = content_type.starts_with("application/x-www-form-urlencoded");
    if is_form && !text.starts_with(b"{") && !text.starts_with(b"[") {
        let pairs = url::form_urlencoded::parse(text).into_owned();
        return Ok(Value::Object(pairs.map(|(key, value)| (key, Value::String(value))).collect()));
    }
    // serde's message may quote what it stumbled over, which may be a secret: only the place is told.
    let value: Value = serde_json::from_slice(text).map_err(|error| {
        if error.to_string().starts_with("recursion limit") {
            return Error::invalid("the body is JSON nested too deeply: at most 127 levels are taken");
        }
        Error::invalid(format!("the body is no JSON: line {}, column {}", error.line(), error.column()))
    })?;
    match value {
        Value::Object(_) => Ok(value),
        Value::Null => Ok(Value::Object(Map::new())),
        _ => Err(Error::invalid("the body is JSON, but no object: `{…}` is expected")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(raw: &str) -> CleanPath {
        clean_path(raw).expect("a path that can be cleaned")
    }

    /// The fuzzer found one that was another at each reading.
    #[test]
    fn numbers_too_large_for_an_integer_stay_what_they_were_read_as() {
        let once = body_again(br#"{"n":442555551555555555881}"#).expect("JSON");
        assert_eq!(body_again(&once).expect("JSON"), once);
    }

    #[test]
    fn a_number_that_says_nothing_is_none() {
        let number = |query: &str| Query::of(&format!("/v1/a{query}").parse().expect("a URI")).number::<u64>("version");
        for nothing in ["", "?version=", "?version", "?version=-1", "?other=1"] {
            assert_eq!(number(nothing).expect("no number"), None, "{nothing}");
        }
        assert_eq!(number("?version=3").expect("a number"), Some(3));
        assert!(number("?version=x").is_err());
    }

    #[test]
    fn paths_are_decoded_once_and_slashes_at_the_ends_go() {
        assert_eq!(path("/v1/secret/data/a%20b/%C3%BC/"), CleanPath::Path("secret/data/a b/ü".into()));
        assert_eq!(path("/v1/secret/data/a%2fb"), CleanPath::Path("secret/data/a/b".into()));
        assert_eq!(path("/v1/secret/data/a%252fb"), CleanPath::Path("secret/data/a%2fb".into()));
        assert_eq!(path("/ui/"), CleanPath::Elsewhere);
    }

    #[test]
    fn empty_segments_redirect_to_the_clean_path() {
        assert_eq!(path("/v1/secret//data/x"), CleanPath::Redirect("/v1/secret/data/x".into()));
        assert_eq!(path("//v1/secret/a%20b//"), CleanPath::Redirect("/v1/secret/a%20b/".into()));
        assert_eq!(path("/v1/secret/data%2f/x"), CleanPath::Redirect("/v1/secret/data/x".into()));
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        for raw in [
            &format!("/v1/{}", "a/".repeat(600)),
            &format!("/v1/{}", "a".repeat(20_000)),
            "/v1/a/../b",
            "/v1/a/%2e%2e/b",
            "/v1/a/%2e./b",
            "/v1/./b",
            "/v1/a%00b",
            "/v1/a%0ab",
            "/v1/a%zz",
            "/v1/a%2",
        ] {
            assert!(clean_path(raw).is_err(), "{raw}");
        }
        assert!(clean_path("/v1/a%ff").is_err());
    }

    #[test]
    fn a_body_is_read_by_what_it_holds() {
        let form = HeaderMap::from_iter([(
            axum::http::header::CONTENT_TYPE,
            "application/x-www-form-urlencoded".parse().expect("a header value"),
        )]);
        let parse = |headers: &HeaderMap, body: &'static str| parse_body(headers, &Bytes::from_static(body.as_bytes()));
        let json = serde_json::json!({"a": "1"});
        assert_eq!(parse(&HeaderMap::new(), r#" {"a":"1"}"#).ok(), Some(json.clone()));
        assert_eq!(parse(&form, r#"{"a":"1"}"#).ok(), Some(json.clone()));
        assert_eq!(parse(&form, "a=1").ok(), Some(json));
        assert_eq!(parse(&form, "").ok(), Some(serde_json::json!({})));
        let error = parse(&HeaderMap::new(), r#"{"a": canary}"#).expect_err("no JSON");
        assert!(!error.to_string().contains("canary"));
        assert!(parse(&HeaderMap::new(), "[1]").is_err() && parse(&form, "[1]").is_err());
        let deep = Bytes::from(format!("{}1{}", r#"{"a":"#.repeat(128), "}".repeat(128)));
        let error = parse_body(&HeaderMap::new(), &deep).expect_err("too deep");
        assert!(error.to_string().contains("127 levels"), "{error}");
    }

    #[test]
    fn a_get_that_asks_for_a_list_is_a_list() {
        let verb = |method: &str, uri: &str| {
            let uri: Uri = uri.parse().expect("a URI");
            Verb::of(&Method::from_bytes(method.as_bytes()).expect("a method"), &Query::of(&uri))
        };
        for uri in ["/x?list=true", "/x?list=True", "/x?list=1"] {
            assert_eq!(verb("GET", uri), Some(Verb::List));
        }
        assert_eq!(verb("GET", "/x?list=false"), Some(Verb::Read));
        assert_eq!(verb("LIST", "/x"), Some(Verb::List));
        assert_eq!(verb("PUT", "/x"), verb("POST", "/x"));
        assert_eq!(verb("TRACE", "/x"), None);
    }
}
