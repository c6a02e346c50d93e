//! JSON merge patch (RFC 7396) on JSON text: what the patch does not touch stays byte for byte.

use crate::error::{Error, Result};
use crate::sensitive::SensitiveString;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Objects in objects, in a patch.
const DEPTH_MAX: usize = 128;

type Object<'a> = BTreeMap<String, &'a RawValue>;

/// `target` as `patch` changes it; both are the text of an object.
pub fn merge(target: &str, patch: &str) -> Result<SensitiveString> {
    let mut merged = String::with_capacity(target.len() + patch.len());
    write_merged(&mut merged, parse(target)?, parse(patch)?, 0)?;
    Ok(SensitiveString::new(merged))
}

fn write_merged(out: &mut String, mut target: Object, patch: Object, depth: usize) -> Result<()> {
    if depth > DEPTH_MAX {
        return Err(Error::invalid(format!("the patch nests objects deeper than {DEPTH_MAX}")));
    }
    let mut changed = BTreeMap::new();
    for (name, change) in patch {
        let old = target.remove(&name);
        if change.get() != "null" {
            changed.insert(name, (old, change));
        }
    }
    let kept = target.into_iter().map(|(name, value)| (name, (None, value, false)));
    let changed = changed.into_iter().map(|(name, (old, change))| (name, (old, change, true)));
    let members: BTreeMap<_, _> = kept.chain(changed).collect();
    out.push('{');
    for (at, (name, (old, value, is_change))) in members.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(&serde_json::Value::String(name).to_string());
        out.push(':');
        if is_change && is_object(value) {
            // A value that is no object is replaced by one without the patch's nulls.
            let old = old.filter(|old| is_object(old)).map_or(Ok(Object::new()), |old| parse(old.get()))?;
            write_merged(out, old, parse(value.get())?, depth + 1)?;
        } else {
            out.push_str(value.get());
        }
    }
    out.push('}');
    Ok(())
}

fn is_object(value: &RawValue) -> bool {
    value.get().starts_with('{')
}

/// The parser's own words could quote a secret: they are left out.
fn parse(text: &str) -> Result<Object<'_>> {
    serde_json::from_str(text).map_err(|_| Error::invalid("data must be a JSON object"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(target: &str, patch: &str) -> String {
        merge(target, patch).expect("both are objects").expose().to_owned()
    }

    #[test]
    fn examples_of_the_rfc() {
        let examples = [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, r#"{}"#),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
            (r#"{}"#, r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ];
        for (target, patch, expected) in examples {
            assert_eq!(merged(target, patch), expected, "{target} with {patch}");
        }
    }

    #[test]
    fn numbers_and_texts_that_are_not_touched_stay_as_they_were_written() {
        let target = r#"{"big":12345678901234567890123.450,"text":"\u00e9\/"}"#;
        assert_eq!(
            merged(target, r#"{"n":1e400}"#),
            r#"{"big":12345678901234567890123.450,"n":1e400,"text":"\u00e9\/"}"#
        );
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(1000), "}".repeat(1000));
        assert!(merge("{}", &deep).is_err());
    }
}
