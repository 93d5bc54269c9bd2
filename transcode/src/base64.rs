//! Bytes as base64 (RFC 4648): read in either alphabet, with or without padding,
//! written in the standard one with padding, as ProtoJSON has it.

use crate::error::Problem;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What a byte of text stands for; [`NONE`] where it is in neither alphabet.
const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut value = 0;
    while value < 64 {
        values[ALPHABET[value as usize] as usize] = value;
        value += 1;
    }
    values[b'-' as usize] = 62;
    values[b'_' as usize] = 63;
    values
};
const NONE: u8 = 0x80;

/// Appends the bytes that a text stands for. Bits behind the last byte are
/// ignored, as protobuf's own parsers do.
pub(crate) fn decode(text: &[u8], out: &mut Vec<u8>) -> Result<(), Problem> {
    let text = unpadded(text)?;
    out.reserve(text.len() / 4 * 3 + 2);
    let (quads, rest) = text.as_chunks::<4>();
    for &[a, b, c, d] in quads {
        let [a, b, c, d] = [a, b, c, d].map(|byte| VALUES[usize::from(byte)]);
        if (a | b | c | d) & NONE != 0 {
            return Err(Problem::Base64);
        }
        out.extend_from_slice(&[a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]);
    }
    let mut last = [0; 4];
    for (byte, value) in rest.iter().zip(&mut last) {
        *value = VALUES[usize::from(*byte)];
        if *value & NONE != 0 {
            return Err(Problem::Base64);
        }
    }
    let [a, b, c, _] = last;
    match rest.len() {
        0 => {}
        2 => out.push(a << 2 | b >> 4),
        3 => out.extend_from_slice(&[a << 2 | b >> 4, b << 4 | c >> 2]),
        _ => return Err(Problem::Base64),
    }
    Ok(())
}

/// Padding is whole or absent.
fn unpadded(text: &[u8]) -> Result<&[u8], Problem> {
    let bare = match text {
        [bare @ .., b'=', b'='] | [bare @ .., b'='] => bare,
        bare => return Ok(bare),
    };
    if text.len().is_multiple_of(4) && bare.len() % 4 > 1 { Ok(bare) } else { Err(Problem::Base64) }
}

/// Appends the text for bytes.
pub(crate) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len().div_ceil(3) * 4);
    let digit = |value: u8| ALPHABET[usize::from(value & 0x3f)];
    let (triples, rest) = bytes.as_chunks::<3>();
    for &[a, b, c] in triples {
        let quad = [digit(a >> 2), digit(a << 4 | b >> 4), digit(b << 2 | c >> 6), digit(c)];
        out.extend_from_slice(&quad);
    }
    match *rest {
        [a] => out.extend_from_slice(&[digit(a >> 2), digit(a << 4), b'=', b'=']),
        [a, b] => {
            let quad = [digit(a >> 2), digit(a << 4 | b >> 4), digit(b << 2), b'='];
            out.extend_from_slice(&quad);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Result<Vec<u8>, Problem> {
        let mut out = Vec::new();
        decode(text.as_bytes(), &mut out).map(|()| out)
    }

    #[test]
    fn bytes_survive() {
        for len in 0..70_u8 {
            let bytes: Vec<u8> = (0..len).map(|at| at.wrapping_mul(151)).collect();
            let mut text = Vec::new();
            encode(&bytes, &mut text);
            let text = String::from_utf8(text).unwrap();
            assert_eq!(decoded(&text), Ok(bytes.clone()));
            assert_eq!(decoded(text.trim_end_matches('=')), Ok(bytes.clone()));
            assert_eq!(decoded(&text.replace('+', "-").replace('/', "_")), Ok(bytes));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(decoded("-_8="), Ok(vec![0xfb, 0xff]));
        assert_eq!(decoded("+/8"), Ok(vec![0xfb, 0xff]));
        for text in ["a", "=", "a===", "aa=", "aaa==", "aa==aa==", "aaaa=", "?aaa", "aa a", "aa\n"]
        {
            assert_eq!(decoded(text), Err(Problem::Base64), "{text:?}");
        }
    }
}
