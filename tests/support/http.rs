//! HTTP as any program would send it, without this project's client.

use super::Node;
use reqwest::Method;
use serde_json::Value;

/// One request as any program would send it, and its status and body.
pub struct Http {
    client: reqwest::Client,
    address: String,
    token: String,
}

impl Http {
    pub fn of(node: &Node, token: &str) -> Http {
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the protocol versions of ring")
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .use_preconfigured_tls(tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("a client");
        Http { client, address: node.address.clone(), token: token.to_owned() }
    }

    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let request = self.client.request(method, format!("{}/v1/{path}", self.address));
        if self.token.is_empty() { request } else { request.header("X-Vault-Token", &self.token) }
    }

    pub async fn send(&self, method: &str, path: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let response = self.request(method, path).body(body).send().await.expect("an answer");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let status = response.status().as_u16();
        let bytes = response.bytes().await.expect("a whole body");
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, "").await
    }
}
