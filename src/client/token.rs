//! `auth/token/`: who the client is.

use super::{Client, Result};
use crate::api::token::TokenLookup;

impl Client {
    /// `GET auth/token/lookup-self`
    pub async fn lookup_self(&self) -> Result<TokenLookup> {
        self.get(&["auth/token/lookup-self"]).data().await
    }
}
