//! URIs and references to them: RFC 3986, with the zones of RFC 6874.

use super::format;

/// `scheme ":" hier-part [ "?" query ] [ "#" fragment ]`
pub(super) fn uri(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
            && after_scheme(rest, true)
    })
}

/// A URI, or one relative to another: `../other?q=1`.
pub(super) fn reference(text: &str) -> bool {
    uri(text) || after_scheme(text, false)
}

/// `has_scheme` tells that a colon in the first segment cannot be mistaken.
fn after_scheme(text: &str, has_scheme: bool) -> bool {
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (hierarchy, query) = text.split_once('?').unwrap_or((text, ""));
    let is_tail = |text| all(text, |byte| is_pchar(byte) || b"/?".contains(&byte));
    if !is_tail(fragment) || !is_tail(query) {
        return false;
    }
    let is_path = |text| all(text, |byte| is_pchar(byte) || byte == b'/');
    let Some(rest) = hierarchy.strip_prefix("//") else {
        let first = hierarchy.split('/').next().unwrap_or_default();
        return is_path(hierarchy) && (has_scheme || !first.contains(':'));
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    is_authority(authority) && is_path(path)
}

/// `[ userinfo "@" ] host [ ":" port ]`
fn is_authority(text: &str) -> bool {
    let (user, host) = text.split_once('@').unwrap_or(("", text));
    let user_is_valid = all(user, |byte| is_unreserved(byte) || is_sub_delim(byte) || byte == b':');
    // The colons of an address in brackets are no port's.
    let port_at = host.rfind(']').unwrap_or(0);
    let (host, port) = match host[port_at..].rfind(':') {
        Some(colon) => (&host[..port_at + colon], &host[port_at + colon + 1..]),
        None => (host, ""),
    };
    user_is_valid && port.bytes().all(|byte| byte.is_ascii_digit()) && is_host(host)
}

fn is_host(text: &str) -> bool {
    if let Some(literal) = text.strip_prefix('[') {
        return literal.strip_suffix(']').is_some_and(is_ip_literal);
    }
    all(text, |byte| is_unreserved(byte) || is_sub_delim(byte)) && decodes_to_utf8(text)
}

/// `IPv6address / IPv6addrz / IPvFuture`
fn is_ip_literal(text: &str) -> bool {
    if let Some(future) = text.strip_prefix('v') {
        return future.split_once('.').is_some_and(|(version, address)| {
            !version.is_empty()
                && version.bytes().all(|byte| byte.is_ascii_hexdigit())
                && !address.is_empty()
                && address
                    .bytes()
                    .all(|byte| is_unreserved(byte) || is_sub_delim(byte) || byte == b':')
        });
    }
    match text.split_once("%25") {
        Some((address, zone)) => {
            !address.contains('%')
                && format::ipv6(address)
                && !zone.is_empty()
                && all(zone, is_unreserved)
                && decodes_to_utf8(zone)
        }
        None => !text.contains('%') && format::ipv6(text),
    }
}

/// Whether `text` consists of such bytes and of percent-encoded ones.
fn all(text: &str, is_allowed: impl Fn(u8) -> bool) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let valid = match byte {
            b'%' => {
                let mut digit = || bytes.next().is_some_and(|byte| byte.is_ascii_hexdigit());
                digit() && digit()
            }
            byte => is_allowed(byte),
        };
        if !valid {
            return false;
        }
    }
    true
}

fn decodes_to_utf8(text: &str) -> bool {
    percent_encoding::percent_decode_str(text).decode_utf8().is_ok()
}

fn is_pchar(byte: u8) -> bool {
    is_unreserved(byte) || is_sub_delim(byte) || b":@".contains(&byte)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn is_sub_delim(byte: u8) -> bool {
    b"!$&'()*+,;=".contains(&byte)
}
