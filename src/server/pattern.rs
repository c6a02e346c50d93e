//! Patterns of paths, as the table of routes writes them.
//!
//! A segment is a literal, `:name` for one segment, or, as the last one, `*name` for all that is left, which may be
//! nothing. `{mount}` as the first segment stands for the path of a mount of KV v2, `{kv1}` for one of KV v1.

/// What a pattern's names stand for in one request.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Params(Vec<(&'static str, String)>);

impl Params {
    /// What `name` stands for; empty if the pattern has no such name.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value.as_str())
    }
}

/// The name that `{mount}` goes by in `Params`.
pub const MOUNT: &str = "mount";

/// The mount that a path lies in: how many bytes of the path are its own, and which of the patterns are for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Within {
    pub len: usize,
    pub kind: MountKind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MountKind {
    Kv1,
    Kv2,
    /// With patterns of its own: `sys/…`, `cubbyhole/…`.
    BuiltIn,
}

impl MountKind {
    fn name(self) -> Option<&'static str> {
        match self {
            MountKind::Kv1 => Some("{kv1}"),
            MountKind::Kv2 => Some("{mount}"),
            MountKind::BuiltIn => None,
        }
    }
}

/// Matches a clean path, which may lie in a mount.
pub fn matches(pattern: &'static str, path: &str, within: Option<Within>) -> Option<Params> {
    let mut params = Params::default();
    let mut pattern_rest = pattern;
    let mut path_rest = path;
    if pattern.starts_with('{') {
        let within = within?;
        let rest = pattern.strip_prefix(within.kind.name()?)?;
        let (mount, below) = path.split_at_checked(within.len)?;
        params.0.push((MOUNT, mount.to_owned()));
        pattern_rest = rest.trim_start_matches('/');
        path_rest = below.trim_start_matches('/');
    }
    let mut segments = path_rest.split('/').filter(|segment| !segment.is_empty());
    for expected in pattern_rest.split('/').filter(|segment| !segment.is_empty()) {
        if let Some(name) = expected.strip_prefix('*') {
            let rest: Vec<&str> = segments.collect();
            params.0.push((name, rest.join("/")));
            return Some(params);
        }
        let segment = segments.next()?;
        match expected.strip_prefix(':') {
            Some(name) => params.0.push((name, segment.to_owned())),
            None if segment == expected => {}
            None => return None,
        }
    }
    segments.next().is_none().then_some(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_paths_and_names_their_parts() {
        let one = "sys/replication/path/:path/tokens/:accessor";
        let params = matches(one, "sys/replication/path/default/tokens/a1", None).expect("a match");
        assert_eq!((params.get("path"), params.get("accessor")), ("default", "a1"));
        assert_eq!(matches(one, "sys/replication/path/default/tokens", None), None);
        assert_eq!(matches(one, "sys/replication/path/default/tokens/a1/b", None), None);
        assert_eq!(matches("sys/health", "sys/healthy", None), None);
    }

    #[test]
    fn a_star_takes_what_is_left_even_nothing() {
        let rest =
            |path| matches("sys/internal/ui/mounts/*path", path, None).map(|params| params.get("path").to_owned());
        assert_eq!(rest("sys/internal/ui/mounts/secret/a/b"), Some("secret/a/b".into()));
        assert_eq!(rest("sys/internal/ui/mounts"), Some(String::new()));
        assert_eq!(rest("sys/internal/ui"), None);
    }

    #[test]
    fn a_mount_may_be_several_segments_and_be_called_like_a_part_of_the_api() {
        let within = |kind| Some(Within { len: "team/data".len(), kind });
        let params = matches("{mount}/data/*path", "team/data/data/x", within(MountKind::Kv2)).expect("a match");
        assert_eq!((params.get(MOUNT), params.get("path")), ("team/data", "x"));
        assert_eq!(matches("{mount}/data/*path", "team/data/x", None), None);
        assert_eq!(matches("{mount}/data/*path", "team/data/data/x", within(MountKind::Kv1)), None);
        let params = matches("{kv1}/*path", "team/data/data/x", within(MountKind::Kv1)).expect("a match");
        assert_eq!((params.get(MOUNT), params.get("path")), ("team/data", "data/x"));
    }
}
