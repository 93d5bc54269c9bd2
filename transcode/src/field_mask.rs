//! `google.protobuf.FieldMask` as text: paths in lowerCamelCase, separated by
//! commas. Only names that survive the way there and back are taken.

/// Appends a path in snake_case for one in lowerCamelCase; false when it is none.
pub(crate) fn put_snake(path: &[u8], out: &mut Vec<u8>) -> bool {
    for &byte in path {
        match byte {
            b'_' => return false,
            b'A'..=b'Z' => out.extend_from_slice(&[b'_', byte.to_ascii_lowercase()]),
            _ => out.push(byte),
        }
    }
    has_no_gap(path)
}

/// Appends a path in lowerCamelCase for one in snake_case; false when the way
/// back would not lead to it.
pub(crate) fn put_camel(path: &[u8], out: &mut Vec<u8>) -> bool {
    let mut after_underscore = false;
    for &byte in path {
        match byte {
            b'A'..=b'Z' | b',' => return false,
            b'a'..=b'z' if after_underscore => out.push(byte.to_ascii_uppercase()),
            _ if after_underscore => return false,
            b'_' => {}
            _ => out.push(byte),
        }
        after_underscore = byte == b'_';
    }
    !after_underscore && has_no_gap(path)
}

/// An empty path, or one with an empty part, names nothing.
fn has_no_gap(path: &[u8]) -> bool {
    !path.split(|byte| *byte == b'.').any(<[u8]>::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_or_are_refused() {
        let snake = |text: &str| {
            let mut out = Vec::new();
            put_snake(text.as_bytes(), &mut out).then(|| String::from_utf8(out).unwrap())
        };
        let camel = |text: &str| {
            let mut out = Vec::new();
            put_camel(text.as_bytes(), &mut out).then(|| String::from_utf8(out).unwrap())
        };
        assert_eq!(snake("owner.displayName1").as_deref(), Some("owner.display_name1"));
        assert_eq!(camel("owner.display_name1").as_deref(), Some("owner.displayName1"));
        for refused in ["foo_bar", "", "a..b", ".a", "a."] {
            assert_eq!(snake(refused), None, "{refused}");
        }
        for refused in ["fooBar", "foo_3_bar", "foo__bar", "foo_", "foo_.bar", "", "a..b", "a,b"] {
            assert_eq!(camel(refused), None, "{refused}");
        }
    }
}
