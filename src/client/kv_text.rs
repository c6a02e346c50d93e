//! Secrets as the text that was written, for who copies them: no number loses a digit, and nothing is printed.

use super::kv::checked;
use super::request::list;
use super::{Client, ClientError, Result};
use crate::api::kv::{Keys, VersionMetadata};
use crate::sensitive::SensitiveString;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What a version holds.
#[derive(Clone, Debug)]
pub enum KvText {
    /// A JSON object.
    Live(SensitiveString),
    /// It was deleted or destroyed.
    Gone,
    Missing,
}

#[derive(Deserialize)]
struct Read {
    /// `null` of a version that is gone.
    data: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Write<'a> {
    data: &'a RawValue,
    options: Options,
}

#[derive(Serialize)]
struct Options {
    cas: u64,
}

impl Client {
    /// `GET :mount/data/:path?version=N`
    pub async fn kv_text(&self, mount: &str, path: &str, version: u64) -> Result<KvText> {
        let answer = self.kv(Method::GET, mount, "data", path)?.query("version", version).answer().await?;
        if answer.is_nothing() {
            return Ok(KvText::Missing);
        }
        if answer.status == 404 {
            return if answer.data::<Read>().is_ok() { Ok(KvText::Gone) } else { Err(answer.into_error()) };
        }
        let read: Read = answer.ok()?.data()?;
        Ok(read.data.map_or(KvText::Gone, |data| KvText::Live(text(data))))
    }

    /// `PUT :mount/data/:path`, if `cas` is the current version.
    pub async fn kv_put_text(
        &self,
        mount: &str,
        path: &str,
        data: &SensitiveString,
        cas: u64,
    ) -> Result<VersionMetadata> {
        let request = Write { data: raw(data)?, options: Options { cas } };
        self.kv(Method::PUT, mount, "data", path)?.json(&request).data().await
    }

    /// `GET :mount/:path` of KV version 1.
    pub async fn plain_text(&self, mount: &str, path: &str) -> Result<Option<SensitiveString>> {
        let found: Option<Box<RawValue>> = self.plain(Method::GET, mount, path)?.data_if_any().await?;
        Ok(found.map(text))
    }

    /// `PUT :mount/:path` of KV version 1.
    pub async fn plain_put_text(&self, mount: &str, path: &str, data: &SensitiveString) -> Result<()> {
        self.plain(Method::PUT, mount, path)?.json(&raw(data)?).done().await
    }

    /// `LIST :mount/:path` of KV version 1. `None`: nothing below it.
    pub async fn plain_list(&self, mount: &str, path: &str) -> Result<Option<Keys>> {
        self.plain(list(), mount, path)?.data_if_any().await
    }

    fn plain<'a>(&'a self, method: Method, mount: &str, path: &str) -> Result<super::request::Request<'a>> {
        let (mount, path) = (checked(mount.trim_matches('/'))?, checked(path)?);
        let parts: &[&str] = if path.is_empty() { &[mount] } else { &[mount, path] };
        Ok(self.request(method, parts))
    }
}

fn text(data: Box<RawValue>) -> SensitiveString {
    SensitiveString::new(Box::<str>::from(data))
}

fn raw(data: &SensitiveString) -> Result<&RawValue> {
    serde_json::from_str(data.expose()).map_err(|_| ClientError::Options("the data of a secret is no JSON".into()))
}
