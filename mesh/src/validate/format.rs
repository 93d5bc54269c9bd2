//! The named formats of strings, as `buf/validate/validate.proto` defines them.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::uri;

/// Longest name and label that DNS can carry (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// Tells whether a text has a format.
pub(super) type Format = fn(&str) -> bool;

/// The format that a rule of `StringRules` names, and how people call it.
pub(super) fn by_rule(rule: &str) -> Option<(Format, &'static str)> {
    Some(match rule {
        "email" => (email, "email address"),
        "hostname" => (hostname, "hostname"),
        "ip" => (ip, "IP address"),
        "ipv4" => (ipv4, "IPv4 address"),
        "ipv6" => (ipv6, "IPv6 address"),
        "uri" => (uri::uri, "URI"),
        "uri_ref" => (uri::reference, "URI Reference"),
        "address" => (address, "hostname, or ip address"),
        "uuid" => (uuid, "UUID"),
        "tuuid" => (tuuid, "trimmed UUID"),
        "ip_with_prefixlen" => (
            |text| ipv4_network(text, false) || ipv6_network(text, false),
            "IP address with prefix length",
        ),
        "ipv4_with_prefixlen" => {
            (|text| ipv4_network(text, false), "IPv4 address with prefix length")
        }
        "ipv6_with_prefixlen" => {
            (|text| ipv6_network(text, false), "IPv6 address with prefix length")
        }
        "ip_prefix" => (|text| ipv4_network(text, true) || ipv6_network(text, true), "IP prefix"),
        "ipv4_prefix" => (|text| ipv4_network(text, true), "IPv4 prefix"),
        "ipv6_prefix" => (|text| ipv6_network(text, true), "IPv6 prefix"),
        "host_and_port" => (host_and_port, "host and port pair"),
        "ulid" => (ulid, "ULID"),
        "protobuf_fqn" => (protobuf_name, "fully-qualified Protobuf name"),
        "protobuf_dot_fqn" => (
            |text| text.strip_prefix('.').is_some_and(protobuf_name),
            "fully-qualified Protobuf name with a leading dot",
        ),
        _ => return None,
    })
}

/// The HTML standard's definition, which is stricter than RFC 5322 on purpose.
fn email(text: &str) -> bool {
    let local = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    text.split_once('@').is_some_and(|(name, domain)| {
        !name.is_empty() && name.bytes().all(local) && domain.split('.').all(label)
    })
}

fn label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn hostname(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    // A name that ends in digits only would be taken for an address.
    let numeric = name.rsplit('.').next().is_some_and(digits);
    name.len() <= MAX_NAME && name.split('.').all(label) && !numeric
}

fn digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn ip(text: &str) -> bool {
    ipv4(text) || ipv6(text)
}

fn ipv4(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok()
}

/// With a zone where there is one: `fe80::a%en1`.
pub(super) fn ipv6(text: &str) -> bool {
    match text.split_once('%') {
        Some((address, zone)) => !zone.is_empty() && address.parse::<Ipv6Addr>().is_ok(),
        None => text.parse::<Ipv6Addr>().is_ok(),
    }
}

fn address(text: &str) -> bool {
    hostname(text) || ip(text)
}

fn ipv4_network(text: &str, bare: bool) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    match (address.parse::<Ipv4Addr>(), number(bits, 32)) {
        (Ok(address), Some(bits)) => !bare || address.to_bits().checked_shl(bits).unwrap_or(0) == 0,
        _ => false,
    }
}

fn ipv6_network(text: &str, bare: bool) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    match (address.parse::<Ipv6Addr>(), number(bits, 128)) {
        (Ok(address), Some(bits)) => !bare || address.to_bits().checked_shl(bits).unwrap_or(0) == 0,
        _ => false,
    }
}

/// A decimal number without leading zeros.
fn number(text: &str, max: u32) -> Option<u32> {
    let plain = !text.is_empty() && digits(text) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|&number| plain && number <= max)
}

fn host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let host_is_valid = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(ipv6),
        None => hostname(host) || ipv4(host),
    };
    host_is_valid && number(port, u16::MAX.into()).is_some()
}

fn uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn tuuid(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Crockford's base 32; the first character has three bits only.
fn ulid(text: &str) -> bool {
    let symbol = |byte: u8| {
        byte.is_ascii_alphanumeric()
            && !matches!(byte.to_ascii_uppercase(), b'I' | b'L' | b'O' | b'U')
    };
    text.len() == 26 && matches!(text.as_bytes()[0], b'0'..=b'7') && text.bytes().all(symbol)
}

fn protobuf_name(text: &str) -> bool {
    text.split('.').all(|part| {
        !part.is_empty()
            && !part.starts_with(|first: char| first.is_ascii_digit())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

/// A token (RFC 9110), or a pseudo-header of HTTP/2. The comma comes with the
/// range `+-.` in the definition's expression.
pub(super) fn header_name(text: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+,-.^_|~`".contains(&byte);
    let name = text.strip_prefix(':').unwrap_or(text);
    !name.is_empty() && name.bytes().all(token)
}

/// Visible characters, spaces and tabs.
pub(super) fn header_value(text: &str) -> bool {
    !text.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t')
}

pub(super) fn loose_header_name(text: &str) -> bool {
    !text.is_empty() && loose_header_value(text)
}

pub(super) fn loose_header_value(text: &str) -> bool {
    !text.bytes().any(|byte| matches!(byte, 0 | b'\r' | b'\n'))
}
