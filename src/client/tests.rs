//! The client against servers that lie, delay and drop. (`expect` and `panic` are what tests do.)

use super::testing::{reply, server};
use super::*;
use crate::api::replication::TokenRequest;
use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use serde_json::json;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn client(address: SocketAddr) -> Client {
    patient(address, Duration::from_secs(60))
}

fn patient(address: SocketAddr, call_timeout: Duration) -> Client {
    let options = ClientOptions::new(address.to_string()).token(SensitiveString::new("hvs.canary"));
    Client::new(ClientOptions { call_timeout, ..options }).expect("a client")
}

/// What the server heard, as `METHOD path?query token`.
async fn echoing() -> SocketAddr {
    server(|request: Request| async move {
        let token = request.headers().get("x-vault-token").and_then(|token| token.to_str().ok()).unwrap_or("-");
        let heard = format!("{} {} {token}", request.method(), request.uri());
        reply(400, json!({ "errors": [heard] }).to_string())
    })
    .await
}

fn errors(failure: ClientError) -> Vec<String> {
    match failure {
        ClientError::Status { errors, .. } => errors,
        other => panic!("not a status: {other:?}"),
    }
}

#[tokio::test]
async fn a_call_names_its_method_its_path_and_its_token() {
    let client = client(echoing().await);
    let heard = errors(client.kv_get("secret/", "ä b/100%?", Some(3)).await.expect_err("an echo"));
    assert_eq!(heard, ["GET /v1/secret/data/%C3%A4%20b/100%25%3F?version=3 hvs.canary"]);
    let heard = errors(client.tokens("default").await.expect_err("an echo"));
    assert_eq!(heard, ["LIST /v1/sys/replication/path/default/tokens hvs.canary"]);
    let heard = errors(client.kv_list("secret", "").await.expect_err("an echo"));
    assert_eq!(heard, ["LIST /v1/secret/metadata hvs.canary"]);
}

#[tokio::test]
async fn dots_do_not_climb_out_of_the_mount() {
    let client = client(echoing().await);
    let failure = client.kv_get("secret", "../sys/seal", None).await.expect_err("refused");
    assert!(matches!(failure, ClientError::Options(_)), "{failure:?}");
}

#[tokio::test]
async fn nobody_listens() {
    // Bound and not listened on: whoever dials it is refused, and nobody else gets it meanwhile.
    let silent = tokio::net::TcpSocket::new_v4().expect("a socket");
    silent.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let address = silent.local_addr().expect("an address");
    let failure = client(address).health().await.expect_err("nobody there");
    assert!(matches!(failure, ClientError::Unreachable { phase: Phase::Connect, .. }), "{failure:?}");
    assert!(!failure.outcome_unknown());
}

#[tokio::test]
async fn a_server_that_never_answers_leaves_the_outcome_unknown() {
    let address = server(|_| std::future::pending::<Response>()).await;
    let failure = patient(address, Duration::from_millis(300)).seal().await.expect_err("no answer");
    assert!(matches!(failure, ClientError::Unreachable { phase: Phase::Answer, .. }), "{failure:?}");
    assert!(failure.outcome_unknown());
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            // Read first: a socket that is closed with something unread in it resets the connection.
            let _ = socket.read(&mut [0; 4096]).await;
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"sealed\"").await;
        }
    });
    let failure = client(address).seal_status().await.expect_err("half a body");
    assert!(matches!(failure, ClientError::Unreachable { phase: Phase::Body, .. }), "{failure:?}");
}

#[tokio::test]
async fn errors_are_the_servers_words_or_the_beginning_of_its_body() {
    let address = server(|request: Request| async move {
        match request.uri().path() {
            "/v1/sys/seal" => reply(403, r#"{"errors":["permission denied"]}"#),
            _ => reply(502, "<html>bad gateway</html>\n"),
        }
    })
    .await;
    let client = client(address);
    let refused = client.seal().await.expect_err("refused");
    assert_eq!((refused.status(), refused.outcome_unknown()), (Some(403), false));
    assert_eq!(errors(refused), ["permission denied"]);
    let gateway = client.leader().await.expect_err("no leader");
    assert_eq!(gateway.to_string(), "the server answered 502: <html>bad gateway</html>");
}

#[tokio::test]
async fn a_success_with_nonsense_in_it_is_no_success() {
    let address = server(|_| async { reply(200, r#"{"data": {"token": 7}}"#) }).await;
    let failure = client(address).generate_token("default", &TokenRequest::default()).await.expect_err("nonsense");
    assert!(matches!(failure, ClientError::Undecodable { status: 200, .. }), "{failure:?}");
}

#[tokio::test]
async fn an_ailing_nodes_health_is_an_answer() {
    let body = json!({"initialized": true, "sealed": true, "standby": true, "version": "0.1.0"}).to_string();
    let address = server(move |_| {
        let body = body.clone();
        async move { reply(503, body) }
    })
    .await;
    let answer = client(address).health().await.expect("health");
    assert_eq!((answer.status, answer.health.sealed), (503, true));
}

#[tokio::test]
async fn missing_is_none_and_deleted_is_without_data() {
    let address = server(|request: Request| async move {
        match request.uri().path() {
            "/v1/secret/data/missing" => reply(404, r#"{"errors":[]}"#),
            "/v1/secret/data/deleted" => {
                reply(404, r#"{"data":{"data":null,"metadata":{"version":2,"deletion_time":"2026-01-01T00:00:00Z"}}}"#)
            }
            _ => reply(404, r#"{"errors":["no handler for route"]}"#),
        }
    })
    .await;
    let client = client(address);
    assert_eq!(client.kv_get("secret", "missing", None).await.expect("an answer"), None);
    let deleted = client.kv_get("secret", "deleted", None).await.expect("an answer").expect("a version");
    assert_eq!((deleted.data, deleted.metadata.version), (None, 2));
    assert_eq!(errors(client.kv_get("other", "x", None).await.expect_err("no mount")), ["no handler for route"]);
}

#[tokio::test]
async fn events_arrive_one_by_one_and_end_with_the_stream() {
    let event = |id: u64| {
        let event = json!({"id": id, "at": 5, "level": "info", "subject": "link", "text": "up"});
        format!("id: {id}\ndata: {event}\n\n")
    };
    let body = format!(": hello\n\n{}{}", event(3), event(4));
    let address = server(move |_| {
        let body = body.clone();
        async move { reply(200, body) }
    })
    .await;
    let mut stream = client(address).event_stream("default", 2).await.expect("a stream");
    let mut ids = Vec::new();
    while let Some(event) = stream.next().await.expect("an event") {
        ids.push(event.id);
    }
    assert_eq!(ids, [3, 4]);
}

#[test]
fn addresses_are_understood_or_refused() {
    let understood = [
        ("127.0.0.1:8200", "http://127.0.0.1:8200"),
        ("localhost:8200", "http://localhost:8200"),
        ("[::1]:8200", "http://[::1]:8200"),
        ("127.0.0.1:443", "http://127.0.0.1:443"),
        ("vault.example:8200", "https://vault.example:8200"),
        ("http://10.1.1.1:8200/", "http://10.1.1.1:8200"),
    ];
    for (given, expected) in understood {
        let client = Client::new(ClientOptions { trust: Trust::Nothing, ..ClientOptions::new(given) });
        assert_eq!(client.expect(given).address(), expected);
    }
    for refused in ["", "ftp://host", "http://", "http://user:pass@host", "http://host?x=1"] {
        assert!(Client::new(ClientOptions::new(refused)).is_err(), "{refused}");
    }
}

#[test]
fn the_token_is_not_printed() {
    let options = ClientOptions::new("127.0.0.1:1").token(SensitiveString::new("hvs.canary"));
    let client = Client::new(options.clone()).expect("a client");
    assert!(!format!("{options:?} {client:?}").contains("canary"));
}

#[tokio::test]
async fn a_pinned_certificate_is_believed_and_no_other() {
    let made = rcgen::generate_simple_self_signed(vec!["elsewhere.example".into()]).expect("a certificate");
    let fingerprint = crate::tls::Fingerprint::of(made.cert.der());
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a server's TLS");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a non-blocking socket");
    let address = listener.local_addr().expect("an address");
    let router = Router::new().fallback(any(|| async { reply(200, r#"{"sealed":true}"#) }));
    let config = axum_server::tls_rustls::RustlsConfig::from_config(config.into());
    let serving = axum_server::from_tcp_rustls(listener, config).expect("a server").serve(router.into_make_service());
    tokio::spawn(serving);

    let call = async |trust: Trust| {
        let options = ClientOptions { trust, ..ClientOptions::new(format!("https://{address}")) };
        Client::new(options).expect("a client").seal_status().await
    };
    assert!(call(Trust::Pinned(fingerprint)).await.expect("a status").sealed);
    assert!(call(Trust::Anything).await.expect("a status").sealed);
    for trust in [Trust::Pinned(crate::tls::Fingerprint([7; 32])), Trust::Nothing] {
        let failure = call(trust).await.expect_err("not believed");
        assert!(matches!(failure, ClientError::Unreachable { phase: Phase::Connect, .. }), "{failure:?}");
    }
    let pem = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(pem.path(), made.cert.pem()).expect("written");
    let by_name = call(Trust::CaFile(pem.path().to_owned())).await.expect_err("another name");
    assert!(by_name.is_unreachable(), "{by_name:?}");
}
