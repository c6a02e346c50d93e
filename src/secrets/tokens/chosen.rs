//! Which policies a new token gets: Vault's rules, without storage.

use super::roles::TokenRole;
use crate::error::{Error, Result};
use crate::secrets::policy::{DEFAULT, RESPONSE_WRAPPING, ROOT};

/// What the choice depends on.
pub struct Choice<'a> {
    /// `None`: nobody asked for any. To ask for what comes to nothing is to ask.
    pub asked: Option<&'a [String]>,
    pub no_default: bool,
    /// The caller's own.
    pub own: &'a [String],
    pub role: Option<&'a TokenRole>,
    /// The caller may do anything here.
    pub is_privileged: bool,
}

impl Choice<'_> {
    /// The caller's policies, or some of them; whoever may do anything names any but `root`, which only root passes on.
    pub fn policies(&self) -> Result<Vec<String>> {
        let mut chosen = match self.role.filter(|role| role.names_policies() || role.names_others()) {
            Some(role) => self.of_role(role)?,
            None => self.of_caller()?,
        };
        if is_root(&chosen) && !is_root(self.own) {
            return Err(Error::invalid("root tokens may not be created without parent token being root"));
        }
        if chosen.iter().any(|policy| policy == RESPONSE_WRAPPING) {
            return Err(Error::invalid(format!("cannot assign policy \"{RESPONSE_WRAPPING}\"")));
        }
        if chosen.is_empty() {
            return Err(Error::invalid("token must have at least one policy"));
        }
        // Also where it was named, and even if nothing is left.
        if self.leaves_default_out() {
            chosen.retain(|policy| policy != DEFAULT);
        }
        Ok(chosen)
    }

    fn with_default(&self) -> bool {
        !self.leaves_default_out()
    }

    fn leaves_default_out(&self) -> bool {
        self.no_default || self.role.is_some_and(|role| role.no_default_policy)
    }

    /// What a role forbids it forbids, whatever else it allows.
    fn of_role(&self, role: &TokenRole) -> Result<Vec<String>> {
        // What would come by itself is left out where the role forbids it.
        let with_default = self.with_default() && !role.disallows(DEFAULT);
        let mut chosen = self.asked.map(|asked| normal(asked, with_default)).unwrap_or_default();
        if role.names_policies() {
            let allowed = normal(&role.allowed_policies, with_default);
            if chosen.is_empty() {
                chosen = allowed;
            } else if chosen.iter().any(|policy| !allowed.contains(policy) && !role.allows(policy)) {
                return Err(Error::invalid(format!(
                    "token policies ({chosen:?}) must be subset of the role's allowed policies ({allowed:?}) or glob \
                     policies ({:?})",
                    role.allowed_policies_glob
                )));
            }
        } else if chosen.is_empty() {
            chosen = normal(self.own, with_default);
        }
        match chosen.iter().find(|policy| role.disallows(policy)) {
            Some(policy) => Err(Error::invalid(format!("token policy \"{policy}\" is disallowed by this role"))),
            None => Ok(chosen),
        }
    }

    fn of_caller(&self) -> Result<Vec<String>> {
        // The default policy is among the caller's own if it has it.
        let Some(asked) = self.asked else { return Ok(normal(self.own, false)) };
        if self.is_privileged {
            return Ok(normal(asked, self.with_default()));
        }
        let (own, asked) = (normal(self.own, false), normal(asked, false));
        if asked.iter().any(|policy| !own.contains(policy)) {
            return Err(Error::invalid("child policies must be subset of parent"));
        }
        Ok(normal(&asked, self.with_default() && own.iter().any(|policy| policy == DEFAULT)))
    }
}

fn is_root(policies: &[String]) -> bool {
    policies.iter().any(|policy| policy == ROOT)
}

/// Policies as they are stored: trimmed, in lower case, in order, each once. `root` stands alone.
fn normal(policies: &[String], with_default: bool) -> Vec<String> {
    let trimmed = policies.iter().map(|policy| policy.trim().to_lowercase());
    let mut policies: Vec<String> = trimmed.filter(|policy| !policy.is_empty()).collect();
    if is_root(&policies) {
        return vec![ROOT.to_owned()];
    }
    if with_default {
        policies.push(DEFAULT.to_owned());
    }
    policies.sort_unstable();
    policies.dedup();
    policies
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &str) -> Vec<String> {
        names.split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    /// A role of these allowed policies and globs, and of these disallowed ones.
    fn role(allowed: [&str; 2], disallowed: [&str; 2]) -> TokenRole {
        TokenRole {
            allowed_policies: list(allowed[0]),
            allowed_policies_glob: list(allowed[1]),
            disallowed_policies: list(disallowed[0]),
            disallowed_policies_glob: list(disallowed[1]),
            ..TokenRole::new("r")
        }
    }

    fn chosen(asked: Option<&[&str]>, own: &str, role: Option<&TokenRole>, is_privileged: bool) -> String {
        let asked = asked.map(|asked| asked.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        let choice = Choice { asked: asked.as_deref(), no_default: false, own: &list(own), role, is_privileged };
        choice.policies().map_or_else(|error| error.to_string(), |policies| policies.join(" "))
    }

    #[test]
    fn a_role_forbids_what_it_forbids_whatever_else_it_allows() {
        let disallowed = |policy: &str| format!("token policy \"{policy}\" is disallowed by this role");
        let cases: &[([&str; 2], [&str; 2], &str, String)] = &[
            (["", "*"], ["admin", ""], "admin", disallowed("admin")),
            (["", "*"], ["", "adm*"], "admin", disallowed("admin")),
            (["p1 px", ""], ["px", ""], "px", disallowed("px")),
            (["p1 px", ""], ["px", ""], "p1", "default p1".into()),
            (["p1", "dev-*"], ["", "dev-x*"], "dev-xy", disallowed("dev-xy")),
            (["p1", "dev-*"], ["default", ""], "dev-a", "dev-a".into()),
            (["p1", ""], ["default", ""], "default", "token policies".into()),
            (["default", ""], ["default", ""], "default", disallowed("default")),
            (["", ""], ["admin", ""], "admin", disallowed("admin")),
            (["", ""], ["admin", ""], "b", "b default".into()),
        ];
        for (allowed, disallows, asked, expected) in cases {
            let said = chosen(Some(&[asked]), "root", Some(&role(*allowed, *disallows)), true);
            assert!(said.starts_with(expected.as_str()), "{allowed:?} {disallows:?} {asked}: {said}");
        }
    }

    #[test]
    fn to_ask_for_nothing_with_a_name_is_not_to_inherit() {
        for nothing in [&[""][..], &[" "], &["", " "]] {
            assert_eq!(chosen(Some(nothing), "root", None, true), "default");
            assert_eq!(chosen(Some(nothing), "a default", None, false), "default");
            assert_eq!(chosen(Some(nothing), "a", None, false), "token must have at least one policy");
        }
        assert_eq!(chosen(None, "root", None, true), "root");
        assert_eq!(chosen(None, "a", None, false), "a");
    }
}
