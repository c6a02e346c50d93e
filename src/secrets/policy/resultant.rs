//! What all policies of a caller grant together, path by path: `sys/internal/ui/resultant-acl`.

use super::acl::Acl;
use super::parse::capability::{DENY, NAMES};
use super::parse::{Grants, Pattern};
use serde_json::{Map, Value, json};

type Paths = Map<String, Value>;

impl Acl {
    /// By exact paths, and by the beginnings of paths; rules with `+` are in neither, as in Vault.
    pub fn resultant(&self) -> (Paths, Paths) {
        let (mut exact, mut glob) = (Paths::new(), Paths::new());
        for rule in self.rules() {
            let paths = match rule.pattern {
                Pattern::Exact => &mut exact,
                Pattern::Prefix => &mut glob,
                Pattern::Segments { .. } => continue,
            };
            if !paths.contains_key(&rule.path)
                && let Some(grants) = self.join(|other| other.pattern == rule.pattern && other.path == rule.path)
            {
                paths.insert(rule.path.clone(), shown(&grants));
            }
        }
        (exact, glob)
    }
}

fn shown(grants: &Grants) -> Value {
    let granted = if grants.capabilities & DENY > 0 { DENY } else { grants.capabilities };
    let names: Vec<&str> = NAMES.iter().filter(|(bit, _)| granted & bit > 0).map(|(_, name)| *name).collect();
    let mut shown = json!({ "capabilities": names });
    for (name, parameters) in
        [("allowed_parameters", &grants.allowed_parameters), ("denied_parameters", &grants.denied_parameters)]
    {
        if !parameters.is_empty() {
            shown[name] = json!(parameters);
        }
    }
    if !grants.required_parameters.is_empty() {
        shown["required_parameters"] = json!(grants.required_parameters);
    }
    for (name, ttl) in [("min_wrapping_ttl", grants.min_wrapping_ttl), ("max_wrapping_ttl", grants.max_wrapping_ttl)] {
        if let Some(ttl) = ttl {
            shown[name] = json!(ttl.as_secs());
        }
    }
    shown
}
