//! Regular expressions. Contracts are written in RE2's syntax; the `regex` crate
//! speaks nearly the same, so the differences are rewritten.
//! See <https://github.com/google/re2/wiki/Syntax>.

use std::{iter::Peekable, str::Chars};

use regex::Regex;

use super::rules::Problem;

/// Compiles an RE2 pattern, which matches anywhere in a text.
pub(super) fn compile(pattern: &str) -> Result<Regex, Problem> {
    Regex::new(&translate(pattern))
        .map_err(|error| format!("`{pattern}` is not a regular expression: {error}"))
}

/// In RE2 `\d \s \w \b` know ASCII only, `\Q..\E` quotes, and a class is a plain
/// list of characters, while in `regex` classes nest and are intersected.
fn translate(pattern: &str) -> String {
    let mut output = String::with_capacity(pattern.len());
    let mut input = pattern.chars().peekable();
    while let Some(next) = input.next() {
        match next {
            '\\' => escape(&mut input, &mut output, false),
            '[' => class(&mut input, &mut output),
            other => output.push(other),
        }
    }
    output
}

fn class(input: &mut Peekable<Chars<'_>>, output: &mut String) {
    output.push('[');
    if input.next_if_eq(&'^').is_some() {
        output.push('^');
    }
    // A bracket that comes first is a member.
    if input.next_if_eq(&']').is_some() {
        output.push_str(r"\]");
    }
    while let Some(next) = input.next() {
        match next {
            ']' => {
                output.push(']');
                return;
            }
            '\\' => escape(input, output, true),
            '[' if input.peek() == Some(&':') => named_class(input, output),
            '[' | '&' | '~' => output.extend(['\\', next]),
            // Twice in a row it would be a set difference.
            '-' if output.ends_with('-') => output.push_str(r"\-"),
            other => output.push(other),
        }
    }
}

/// `[:alpha:]`, whose closing bracket does not close the class around it.
fn named_class(input: &mut Peekable<Chars<'_>>, output: &mut String) {
    output.push('[');
    for next in input.by_ref() {
        output.push(next);
        if next == ']' {
            return;
        }
    }
}

fn escape(input: &mut Peekable<Chars<'_>>, output: &mut String, in_class: bool) {
    let Some(next) = input.next() else {
        output.push('\\');
        return;
    };
    match next {
        'd' => output.push_str("[0-9]"),
        'D' => output.push_str("[^0-9]"),
        's' => output.push_str(r"[\t\n\f\r ]"),
        'S' => output.push_str(r"[^\t\n\f\r ]"),
        'w' => output.push_str("[0-9A-Za-z_]"),
        'W' => output.push_str("[^0-9A-Za-z_]"),
        'b' if !in_class => output.push_str(r"(?-u:\b)"),
        'B' if !in_class => output.push_str(r"(?-u:\B)"),
        'Q' if !in_class => quoted(input, output),
        other => output.extend(['\\', other]),
    }
}

fn quoted(input: &mut Peekable<Chars<'_>>, output: &mut String) {
    let mut literal: String = input.by_ref().collect();
    let rest = match literal.split_once(r"\E") {
        Some((quoted, rest)) => {
            let rest = translate(rest);
            literal = quoted.to_owned();
            rest
        }
        None => String::new(),
    };
    output.push_str(&regex::escape(&literal));
    output.push_str(&rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_re2_says() {
        let cases = [
            ("^users/[a-z0-9-]{1,63}$", "users/ann-1", true),
            ("^users/[a-z0-9-]{1,63}$", "users/Ann", false),
            ("b+", "abba", true),
            ("^a$", "a\n", false),
            (r"^\d+$", "42", true),
            (r"^\d+$", "\u{664}\u{662}", false),
            (r"^\D$", "\u{664}", true),
            (r"^[\d.]+$", "1.5", true),
            (r"^[^\d]$", "1", false),
            (r"^[\D]$", "x", true),
            (r"^\w+$", "na_1", true),
            (r"^\w+$", "ñ", false),
            (r"^\s$", "\u{2003}", false),
            (r"^\S$", "\u{2003}", true),
            (r"\bcat\b", "a cat!", true),
            (r"\bcat\b", "concat", false),
            (r"^\Q[a]+\E$", "[a]+", true),
            (r"^\Qa.b", "a.bc", true),
            ("^[]a]+$", "]a", true),
            ("^[^]a]+$", "]", false),
            ("^[[a]+$", "[a", true),
            ("^[a&&b]+$", "&", true),
            ("^[+--]+$", ",", true),
            ("^[~~]+$", "~", true),
            ("^[[:alpha:]_]+$", "a_b", true),
            ("^[[:^digit:]]+$", "1", false),
            (r"^\p{Greek}$", "λ", true),
            (r"^\.$", "x", false),
            ("(?i)^abc$", "ABC", true),
        ];
        for (pattern, text, matches) in cases {
            let compiled = compile(pattern).unwrap();
            assert_eq!(compiled.is_match(text), matches, "{pattern} on {text:?}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in ["(", "[a", "a{2,1}", "\\", r"(\w)\1", "*"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
