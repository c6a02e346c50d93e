//! Token roles.

use super::{fields, page, written};
use crate::error::Result;
use crate::secrets::{Cidr, RoleKind, TokenRole};
use crate::server::answer::Answer;
use crate::server::call::Call;
use serde_json::json;

pub async fn list(call: Call) -> Result<Answer> {
    Ok(Answer::keys(page(&call, &call.node.vault.token_roles().await?)?))
}

pub async fn read(call: Call) -> Result<Answer> {
    let role = call.node.vault.token_role(call.param("role")).await?;
    Ok(role.map_or_else(Answer::missing, |role| Answer::data(&shown(&role))))
}

/// What is not named stays as it is. The names without `token_` are older ones for the same.
pub async fn write(call: Call) -> Result<Answer> {
    let body = call.object()?;
    let change = move |role: &mut TokenRole| {
        let body = &body;
        let names = |name: &str, into: &mut Vec<String>| {
            fields::names(body, name).map(|names| names.into_iter().for_each(|names| *into = names))
        };
        names("allowed_policies", &mut role.allowed_policies)?;
        names("allowed_policies_glob", &mut role.allowed_policies_glob)?;
        names("disallowed_policies", &mut role.disallowed_policies)?;
        names("disallowed_policies_glob", &mut role.disallowed_policies_glob)?;
        role.orphan = fields::flag(body, "orphan")?.unwrap_or(role.orphan);
        role.renewable = fields::flag(body, "renewable")?.unwrap_or(role.renewable);
        role.no_default_policy = fields::flag(body, "token_no_default_policy")?.unwrap_or(role.no_default_policy);
        role.uses = fields::number(body, "token_num_uses")?.unwrap_or(role.uses);
        for (name, old) in [("period", true), ("token_period", false)] {
            if let Some(period) = fields::duration(body, name)? {
                (role.period, role.period_by_old_name) = (period, old);
            }
        }
        for (name, old) in [("explicit_max_ttl", true), ("token_explicit_max_ttl", false)] {
            if let Some(max) = fields::duration(body, name)? {
                (role.explicit_max_ttl, role.explicit_max_ttl_by_old_name) = (max, old);
            }
        }
        names("allowed_entity_aliases", &mut role.entity_aliases)?;
        if body.contains_key("path_suffix") {
            role.path_suffix = fields::text(body, "path_suffix")?;
        }
        if body.contains_key("token_type") {
            role.kind = RoleKind::from_name(&fields::text(body, "token_type")?)?;
        }
        for name in ["bound_cidrs", "token_bound_cidrs"] {
            if let Some(blocks) = fields::names(body, name)? {
                role.bound_cidrs = Cidr::parse_all(&blocks)?;
            }
        }
        role.check()
    };
    let done = call.node.vault.token_role_put(call.param("role"), change).await?;
    Ok(written(Answer::empty(), done.position))
}

pub async fn delete(call: Call) -> Result<Answer> {
    let done = call.node.vault.token_role_delete(call.param("role")).await?;
    Ok(written(Answer::empty(), done.position))
}

fn shown(role: &TokenRole) -> serde_json::Value {
    let mut shown = json!({
        "allowed_entity_aliases": Some(&role.entity_aliases).filter(|aliases| !aliases.is_empty()),
        "allowed_policies": role.allowed_policies,
        "allowed_policies_glob": role.allowed_policies_glob,
        "disallowed_policies": role.disallowed_policies,
        "disallowed_policies_glob": role.disallowed_policies_glob,
        // The older names stay 0 for what was set by the newer ones, as in Vault.
        "explicit_max_ttl": if role.explicit_max_ttl_by_old_name { role.explicit_max_ttl.as_secs() } else { 0 },
        "name": role.name,
        "orphan": role.orphan,
        "path_suffix": role.path_suffix,
        "period": if role.period_by_old_name { role.period.as_secs() } else { 0 },
        "renewable": role.renewable,
        "token_explicit_max_ttl": role.explicit_max_ttl.as_secs(),
        "token_no_default_policy": role.no_default_policy,
        "token_period": role.period.as_secs(),
        "token_type": role.kind.name(),
    });
    if !role.bound_cidrs.is_empty() {
        shown["token_bound_cidrs"] = role.bound_cidrs.iter().map(Cidr::to_string).collect();
    }
    if role.uses > 0 {
        shown["token_num_uses"] = json!(role.uses);
    }
    shown
}
