//! Validators of answers (RFC 9110 §8.8, §13): a strong entity tag on what GET
//! returns, 304 for a client that has it already, and who may keep it for how
//! long.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

use crate::schema::policy::Cache;

/// Without a word of the contract: kept only by who asked, and asked again each
/// time, at the price of a 304.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("private, no-cache");
/// Bytes of a digest in a tag; 96 bits do not meet by chance.
const DIGEST_BYTES: usize = 12;

/// The tag of a representation: the resource's own `etag` (AIP-154), so that it
/// can be sent back in `If-Match`, or else a digest of the bytes, which are the
/// same for the same message.
pub(super) fn tag(resource: Option<&str>, body: &[u8]) -> HeaderValue {
    let own = resource.filter(|tag| !tag.is_empty() && tag.bytes().all(is_etagc));
    let tag = match own {
        Some(tag) => {
            let text = Bytes::from([b"\"", tag.as_bytes(), b"\""].concat());
            HeaderValue::from_maybe_shared(text)
        }
        None => HeaderValue::from_bytes(&digest(body)),
    };
    tag.expect("a tag is made of visible characters")
}

/// A digest in quotes.
fn digest(body: &[u8]) -> [u8; 2 * DIGEST_BYTES + 2] {
    let digest = ring::digest::digest(&ring::digest::SHA256, body);
    let mut text = [b'"'; 2 * DIGEST_BYTES + 2];
    let (pairs, _) = text[1..=2 * DIGEST_BYTES].as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(digest.as_ref()) {
        let digit = |half: u8| b"0123456789abcdef"[usize::from(half)];
        *pair = [digit(byte >> 4), digit(byte & 0xf)];
    }
    text
}

/// `etagc` of the grammar, without `obs-text`: other characters would have to be
/// written in a way that the client does not send back.
fn is_etagc(byte: u8) -> bool {
    byte == b'!' || (b'#'..=b'~').contains(&byte)
}

/// Adds tag and cache rule to the headers of an answer to GET or HEAD; tells
/// whether the client has it already. A service's own tag and rule come before
/// those of the edge: it may know better. `packed` says that the edge has changed
/// the bytes, and not the resource.
pub(super) fn validate(
    request: &HeaderMap,
    headers: &mut HeaderMap,
    tag: Option<HeaderValue>,
    cache: Option<&Cache>,
    packed: bool,
) -> bool {
    add_cache_rule(request, headers, cache);
    let own = headers.remove(header::ETAG).filter(is_tag);
    let Some(tag) = own.or(tag) else { return false };
    let has = has(request, &tag);
    headers.insert(header::ETAG, if packed { weak(&tag) } else { tag });
    has
}

/// What many may keep depends on whether a token was sent: an answer to who sent
/// one is theirs.
fn add_cache_rule(request: &HeaderMap, headers: &mut HeaderMap, cache: Option<&Cache>) {
    let shared = cache.is_some_and(|cache| cache.shared);
    if shared {
        headers.append(header::VARY, HeaderValue::from_static("authorization"));
    }
    let theirs = shared && request.contains_key(header::AUTHORIZATION);
    let rule = cache.filter(|_| !theirs).map_or(ASK_AGAIN, |cache| cache.rule.clone());
    headers.entry(header::CACHE_CONTROL).or_insert(rule);
}

/// One tag, and nothing else.
fn is_tag(value: &HeaderValue) -> bool {
    let text = value.to_str().unwrap_or_default();
    let mut tags = tags(text);
    let first = tags.next().map(|(weak, tag)| tag.len() + if weak { 2 } else { 0 });
    first == Some(text.len())
}

fn weak(tag: &HeaderValue) -> HeaderValue {
    if tag.as_bytes().starts_with(b"W/") {
        return tag.clone();
    }
    let text = [b"W/", tag.as_bytes()].concat();
    HeaderValue::from_bytes(&text).expect("a tag is a header value")
}

/// Whether `If-None-Match` names the tag, by the weak comparison (§13.1.2).
fn has(request: &HeaderMap, tag: &HeaderValue) -> bool {
    let tag = tag.as_bytes();
    let tag = tag.strip_prefix(b"W/").unwrap_or(tag);
    let mut names = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok());
    names.any(|list| list.trim() == "*" || tags(list).any(|(_, known)| known.as_bytes() == tag))
}

/// The tags of a list, with whether each is weak. It ends at what is no tag.
fn tags(list: &str) -> impl Iterator<Item = (bool, &str)> {
    let mut rest = list;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let strong = rest.strip_prefix("W/");
        let (weak, text) = (strong.is_some(), strong.unwrap_or(rest));
        let inner = text.strip_prefix('"')?;
        let end = inner.find('"')?;
        rest = &inner[end + 1..];
        Some((weak, &text[..end + 2]))
    })
}

/// The `etag` that a change asks for by `If-Match`; nothing without the header,
/// or for `*`, which any existing resource matches.
///
/// # Errors
/// Several tags, a weak one, or none: a resource has one `etag` to compare with.
pub(super) fn expected(request: &HeaderMap) -> Result<Option<String>, &'static str> {
    let mut values = request.get_all(header::IF_MATCH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let list = value.to_str().unwrap_or_default().trim();
    if values.next().is_some() {
        return Err("If-Match must be one strong entity tag");
    }
    if list == "*" {
        return Ok(None);
    }
    let mut tags = tags(list);
    match (tags.next(), tags.next()) {
        (Some((false, tag)), None) if tag.len() == list.len() => {
            Ok(Some(tag.trim_matches('"').to_owned()))
        }
        _ => Err("If-Match must be one strong entity tag"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &header::HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), value.parse().unwrap())).collect()
    }

    /// Whether a client with these tags has it, and the headers of the answer.
    fn answered(if_none_match: &[&str]) -> (bool, HeaderMap) {
        let request = with(&header::IF_NONE_MATCH, if_none_match);
        let mut headers = HeaderMap::new();
        let has = validate(&request, &mut headers, Some(tag(Some("7"), b"{}")), None, false);
        (has, headers)
    }

    #[test]
    fn a_client_that_names_the_tag_has_it() {
        for values in
            [&["\"7\""][..], &["W/\"7\""], &["\"1\", W/\"2\" ,\"7\""], &["\"1\"", "\"7\""], &["*"]]
        {
            let (has, headers) = answered(values);
            assert!(has, "{values:?}");
            assert_eq!(headers[header::ETAG], "\"7\"");
            assert_eq!(headers[header::CACHE_CONTROL], "private, no-cache");
        }
        for values in [&[][..], &["\"8\""], &["7"], &[""], &["\"77\""], &["\"7"], &["x, \"7\""]] {
            assert!(!answered(values).0, "{values:?}");
        }
    }

    #[test]
    fn a_resource_without_an_etag_is_tagged_by_its_bytes() {
        assert_eq!(tag(Some("a-1"), b"{}"), "\"a-1\"");
        for unfit in [None, Some(""), Some("a\"b"), Some("a b"), Some("é")] {
            let tagged = tag(unfit, b"{}");
            assert_eq!((tagged.len(), &tagged), (2 + 2 * DIGEST_BYTES, &tag(None, b"{}")));
        }
        assert_ne!(tag(None, b"{}"), tag(None, b"[]"));
    }

    #[test]
    fn packed_answers_have_a_weak_tag() {
        let mut headers = HeaderMap::new();
        let request = with(&header::IF_NONE_MATCH, &["W/\"7\""]);
        assert!(validate(&request, &mut headers, Some(tag(Some("7"), b"")), None, true));
        assert_eq!(headers[header::ETAG], "W/\"7\"");
    }

    #[test]
    fn a_services_own_tag_and_rule_stand_when_they_are_such() {
        for (own, shown) in
            [("\"8\"", "\"8\""), ("W/\"8\"", "W/\"8\""), ("8", "\"7\""), ("\"8\", \"9\"", "\"7\"")]
        {
            let mut headers = with(&header::ETAG, &[own]);
            headers.insert(header::CACHE_CONTROL, "public, max-age=60".parse().unwrap());
            let request = with(&header::IF_NONE_MATCH, &["\"8\""]);
            let has = validate(&request, &mut headers, Some(tag(Some("7"), b"")), None, false);
            assert_eq!(
                (has, &headers[header::ETAG]),
                (shown.contains('8'), &shown.parse().unwrap())
            );
            assert_eq!(headers[header::CACHE_CONTROL], "public, max-age=60");
        }
    }

    #[test]
    fn if_match_is_one_strong_tag() {
        let asked = |values: &[&str]| expected(&with(&header::IF_MATCH, values));
        assert_eq!(asked(&[]), Ok(None));
        assert_eq!(asked(&["*"]), Ok(None));
        assert_eq!(asked(&["\"7\""]), Ok(Some("7".to_owned())));
        for bad in
            [&["7"][..], &["W/\"7\""], &["\"7\", \"8\""], &[""], &["\"7\"", "\"8\""], &["\"7\"x"]]
        {
            assert!(asked(bad).is_err(), "{bad:?}");
        }
    }
}
