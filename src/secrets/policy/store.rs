//! Policies as they are stored, and who has which.

use super::acl::Acl;
use super::parse::Policy;
use super::{DEFAULT, DEFAULT_TEXT, RESPONSE_WRAPPING, RESPONSE_WRAPPING_TEXT, ROOT};
use crate::error::{Error, Result};
use crate::secrets::core::{View, Written, decode};
use crate::secrets::layout::{self, Record};
use crate::secrets::lock::Lock;
use crate::secrets::vault::Vault;
use crate::state::{Class, Op, Stored};
use crate::storage::{KeyRange, ScanLimit};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, LazyLock};

/// A policy's name may be as long.
const NAME_BYTES_MAX: usize = 512;

#[derive(Serialize, Deserialize)]
struct PolicyRecord {
    name: String,
    text: String,
}

/// A policy as `sys/policies/acl/NAME` shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyText {
    pub name: String,
    pub text: String,
}

static BUILT_IN_DEFAULT: LazyLock<Arc<Policy>> = LazyLock::new(|| built_in(DEFAULT_TEXT));
static BUILT_IN_WRAPPING: LazyLock<Arc<Policy>> = LazyLock::new(|| built_in(RESPONSE_WRAPPING_TEXT));

fn built_in(text: &str) -> Arc<Policy> {
    Arc::new(Policy::parse(text).expect("the texts of this module are policies: its tests parse them"))
}

/// What the policies of these names allow. Names without a policy allow nothing.
pub fn acl(view: &View, names: &[String]) -> Result<Acl> {
    if names.iter().any(|name| name == ROOT) {
        return Ok(Acl::root());
    }
    let policies = names.iter().filter_map(|name| find(view, name).transpose()).collect::<Result<Vec<_>>>()?;
    Ok(Acl::new(policies))
}

/// A warning for each of these names that no policy has.
pub fn missing(view: &View, names: &[String]) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for name in names.iter().filter(|name| *name != ROOT) {
        if find(view, name)?.is_none() {
            warnings.push(format!("Policy \"{name}\" does not exist"));
        }
    }
    Ok(warnings)
}

fn find(view: &View, name: &str) -> Result<Option<Arc<Policy>>> {
    if name == RESPONSE_WRAPPING {
        return Ok(Some(BUILT_IN_WRAPPING.clone()));
    }
    let parse = |plain: &_| {
        let record: PolicyRecord = decode(plain)?;
        Policy::parse(&record.text)
    };
    let stored = view.known.policies.get(view, &Record::Policy(name).key(&view.barrier)?, parse)?;
    Ok(stored.or_else(|| (name == DEFAULT).then(|| BUILT_IN_DEFAULT.clone())))
}

impl Vault {
    /// `None` if there is none of this name.
    pub async fn policy(&self, name: &str) -> Result<Option<PolicyText>> {
        let name = name.to_lowercase();
        let read = move |view: &View| {
            let stored: Option<PolicyRecord> = view.get(&Record::Policy(&name).key(&view.barrier)?)?;
            let text = stored.map(|record| record.text).or_else(|| match name.as_str() {
                ROOT => Some(String::new()),
                DEFAULT => Some(DEFAULT_TEXT.to_owned()),
                RESPONSE_WRAPPING => Some(RESPONSE_WRAPPING_TEXT.to_owned()),
                _ => None,
            });
            Ok(text.map(|text| PolicyText { name, text }))
        };
        self.core.read(read).await
    }

    /// The names of all policies, in order, `root` last.
    pub async fn policies(&self) -> Result<Vec<String>> {
        let read = |view: &View| {
            let stored = view.state.scan_data(&KeyRange::prefix(layout::POLICIES), ScanLimit::NONE)?;
            let open = |(key, stored): &(Bytes, Stored)| {
                let record: PolicyRecord = decode(&view.barrier.decrypt(key, &stored.value)?)?;
                Ok(record.name)
            };
            let mut names = stored.iter().map(open).collect::<Result<Vec<String>>>()?;
            names.push(DEFAULT.to_owned());
            names.sort_unstable();
            names.dedup();
            // As in Vault, behind those that are texts.
            names.push(ROOT.to_owned());
            Ok(names)
        };
        self.core.scan(read).await
    }

    pub async fn policy_put(&self, name: &str, text: &str) -> Result<Written<()>> {
        let name = changeable(name, "update")?;
        Policy::parse(text)?.expect_balanced()?;
        let record = PolicyRecord { name: name.clone(), text: text.to_owned() };
        let put =
            move |view: &View| Ok(((), vec![view.put(Record::Policy(&record.name).key(&view.barrier)?, &record)?]));
        self.core.write(Class::Policy, lock(&name), put).await
    }

    pub async fn policy_delete(&self, name: &str) -> Result<Written<()>> {
        let name = changeable(name, "delete")?;
        if name == DEFAULT {
            return Err(Error::invalid("cannot delete default policy"));
        }
        let lock = lock(&name);
        let delete = move |view: &View| {
            let key = Record::Policy(&name).key(&view.barrier)?;
            let there = view.has(&key)?;
            Ok(((), if there { vec![Op::Delete { key }] } else { Vec::new() }))
        };
        self.core.write(Class::Policy, lock, delete).await
    }
}

fn changeable(name: &str, what: &str) -> Result<String> {
    let name = name.to_lowercase();
    if name.is_empty() {
        return Err(Error::invalid("the policy's name is missing"));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(Error::invalid(format!("a policy's name has at most {NAME_BYTES_MAX} bytes")));
    }
    if name == ROOT || name == RESPONSE_WRAPPING {
        return Err(Error::invalid(format!("cannot {what} \"{name}\" policy")));
    }
    Ok(name)
}

fn lock(name: &str) -> Lock {
    Lock::Record([b"policy:", name.as_bytes()].concat())
}
