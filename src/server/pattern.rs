//! Patterns of paths, as the table of routes writes them.
//!
//! A segment is a literal, `:name` for one segment, or, as the last one, `*name` for all that is left, which may be
//! nothing. `{mount}` as the first segment stands for the path of a mount of KV v2, `{kv1}` for one of KV v1.

/// What a pattern's names stand for in one request.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Params(Vec<(&'static str, String)>);

impl Params {
    fn of(mount: Option<&str>, named: Vec<(&'static str, &str)>, rest: Option<(&'static str, String)>) -> Params {
        let mount = mount.map(|mount| (MOUNT, mount.to_owned()));
        let named = named.into_iter().map(|(name, segment)| (name, segment.to_owned()));
        Params(mount.into_iter().chain(named).chain(rest).collect())
    }

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

/// Whether a path may match, by what kind of mount it lies in alone: a mount of KV has patterns of its own, and nobody
/// else has those. Most of the table is passed over so, for the requests that there are most of.
fn may_match(pattern: &str, within: Option<Within>) -> bool {
    let of_kv = within.is_some_and(|within| within.kind.name().is_some());
    pattern.starts_with([':', '*']) || pattern.starts_with('{') == of_kv
}

/// Matches a clean path, which may lie in a mount.
pub fn matches(pattern: &'static str, path: &str, within: Option<Within>) -> Option<Params> {
    if !may_match(pattern, within) {
        return None;
    }
    // What a pattern names is copied once it matches: most don't.
    let mut named = Vec::new();
    let mut in_mount = None;
    let mut pattern_rest = pattern;
    let mut path_rest = path;
    if pattern.starts_with('{') {
        let within = within?;
        let rest = pattern.strip_prefix(within.kind.name()?)?;
        let (mount, below) = path.split_at_checked(within.len)?;
        in_mount = Some(mount);
        pattern_rest = rest.trim_start_matches('/');
        path_rest = below.trim_start_matches('/');
    }
    let mut segments = path_rest.split('/').filter(|segment| !segment.is_empty());
    for expected in pattern_rest.split('/').filter(|segment| !segment.is_empty()) {
        if let Some(name) = expected.strip_prefix('*') {
            let rest: Vec<&str> = segments.collect();
            let rest = Some((name, rest.join("/")));
            return Some(Params::of(in_mount, named, rest));
        }
        let segment = segments.next()?;
        match expected.strip_prefix(':') {
            Some(name) => named.push((name, segment)),
            None if segment == expected => {}
            None => return None,
        }
    }
    segments.next().is_none().then(|| Params::of(in_mount, named, None))
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
