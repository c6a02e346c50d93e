//! KV version 2, and the preflight by which a path is split into mount and rest.

use super::error::ClientError;
use super::request::list;
use super::{Client, Result};
use crate::api::kv::{
    Config, ConfigRequest, Fields, Keys, Metadata, MetadataRequest, ReadAnswer, VersionMetadata, WriteOptions,
    WriteRequest,
};
use crate::api::mounts::MountPreflight;
use reqwest::Method;

impl Client {
    /// `GET sys/internal/ui/mounts/:path`
    pub async fn mount_of(&self, path: &str) -> Result<MountPreflight> {
        self.get(&["sys/internal/ui/mounts", checked(path)?]).data().await
    }

    /// `PUT :mount/data/:path`. With `cas`, only if the current version is that one; 0: only if there is none.
    pub async fn kv_put(&self, mount: &str, path: &str, fields: Fields, cas: Option<u64>) -> Result<VersionMetadata> {
        let options = cas.map(|cas| WriteOptions { cas: Some(cas.into()) });
        let request = WriteRequest { data: Some(fields), options };
        self.kv(Method::PUT, mount, "data", path)?.json(&request).data().await
    }

    /// `GET :mount/data/:path`. `None`: no such secret. A version that was deleted or destroyed is there, without data.
    pub async fn kv_get(&self, mount: &str, path: &str, version: Option<u64>) -> Result<Option<ReadAnswer>> {
        let mut request = self.kv(Method::GET, mount, "data", path)?;
        if let Some(version) = version {
            request = request.query("version", version);
        }
        let answer = request.answer().await?;
        if answer.is_nothing() {
            return Ok(None);
        }
        if answer.status == 404 {
            return match answer.data() {
                Ok(deleted) => Ok(Some(deleted)),
                Err(_) => Err(answer.into_error()),
            };
        }
        answer.ok()?.data().map(Some)
    }

    /// `LIST :mount/metadata/:path`. `None`: nothing below it.
    pub async fn kv_list(&self, mount: &str, path: &str) -> Result<Option<Keys>> {
        self.kv(list(), mount, "metadata", path)?.data_if_any().await
    }

    /// `DELETE :mount/data/:path`: the newest version, which `undelete` brings back.
    pub async fn kv_delete(&self, mount: &str, path: &str) -> Result<()> {
        self.kv(Method::DELETE, mount, "data", path)?.done().await
    }

    /// `PUT :mount/delete/:path`: these versions.
    pub async fn kv_delete_versions(&self, mount: &str, path: &str, versions: &[u64]) -> Result<()> {
        let body = serde_json::json!({ "versions": versions });
        self.kv(Method::PUT, mount, "delete", path)?.json(&body).done().await
    }

    /// `DELETE :mount/metadata/:path`: the secret with all its versions, for good
    pub async fn kv_delete_metadata(&self, mount: &str, path: &str) -> Result<()> {
        self.kv(Method::DELETE, mount, "metadata", path)?.done().await
    }

    /// `GET :mount/metadata/:path`
    pub async fn kv_metadata(&self, mount: &str, path: &str) -> Result<Option<Metadata>> {
        self.kv(Method::GET, mount, "metadata", path)?.data_if_any().await
    }

    /// `PUT :mount/metadata/:path`: what is not named stays as it is.
    pub async fn kv_put_metadata(&self, mount: &str, path: &str, request: &MetadataRequest) -> Result<()> {
        self.kv(Method::PUT, mount, "metadata", path)?.json(request).done().await
    }

    /// `PUT :mount/undelete/:path`
    pub async fn kv_undelete(&self, mount: &str, path: &str, versions: &[u64]) -> Result<()> {
        let body = serde_json::json!({ "versions": versions });
        self.kv(Method::PUT, mount, "undelete", path)?.json(&body).done().await
    }

    /// `PUT :mount/destroy/:path`
    pub async fn kv_destroy(&self, mount: &str, path: &str, versions: &[u64]) -> Result<()> {
        let body = serde_json::json!({ "versions": versions });
        self.kv(Method::PUT, mount, "destroy", path)?.json(&body).done().await
    }

    /// `GET :mount/config`
    pub async fn kv_config(&self, mount: &str) -> Result<Config> {
        self.kv(Method::GET, mount, "config", "")?.data().await
    }

    /// `PUT :mount/config`
    pub async fn kv_configure(&self, mount: &str, request: &ConfigRequest) -> Result<()> {
        self.kv(Method::PUT, mount, "config", "")?.json(request).done().await
    }

    pub(super) fn kv<'a>(
        &'a self,
        method: Method,
        mount: &str,
        what: &str,
        path: &str,
    ) -> Result<super::request::Request<'a>> {
        let (mount, path) = (checked(mount.trim_matches('/'))?, checked(path)?);
        let path = path.trim_start_matches('/');
        let parts: &[&str] = if path.is_empty() { &[mount, what] } else { &[mount, what, path] };
        Ok(self.request(method, parts))
    }
}

/// Dots alone would be taken for a way up when the address is put together, and name another secret.
pub(super) fn checked(path: &str) -> Result<&str> {
    match path.split('/').find(|segment| matches!(*segment, "." | "..")) {
        None => Ok(path),
        Some(dots) => Err(ClientError::Options(format!("`{path}`: `{dots}` can't be a part of a path"))),
    }
}
