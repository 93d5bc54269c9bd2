//! `google.protobuf.Timestamp` and `Duration` as text: RFC 3339 in upper case,
//! and seconds with an `s`; fractions of 0, 3, 6 or 9 digits when written.

/// Seconds and nanoseconds; of a timestamp since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Time {
    pub(crate) seconds: i64,
    pub(crate) nanos: i32,
}

/// 0001-01-01T00:00:00Z.
const FIRST: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z.
const LAST: i64 = 253_402_300_799;
/// Seconds of 10,000 years, the most that a duration may have.
const LONGEST: i64 = 315_576_000_000;

const DAY: i64 = 86_400;
/// Days from 0000-03-01, where the calculation of dates begins, to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;
/// Days of 400 years.
const DAYS_OF_ERA: u32 = 146_097;

#[allow(clippy::cast_possible_truncation, reason = "below 100")]
const TWO_DIGITS: [[u8; 2]; 100] = {
    let mut digits = [[0; 2]; 100];
    let mut number = 0;
    while number < digits.len() {
        digits[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    digits
};

/// Reads a timestamp. There are no leap seconds in protobuf, so `:60` is none.
pub(crate) fn parse_timestamp(text: &[u8]) -> Option<Time> {
    let (date_time, rest) = text.split_first_chunk::<19>()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', i1, i2, b':', s1, s2] =
        *date_time
    else {
        return None;
    };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let (month, day) = (two(m1, m2)?, two(d1, d2)?);
    let (hour, minute, second) = (two(h1, h2)?, two(i1, i2)?, two(s1, s2)?);
    let is_date = (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (nanos, rest) = fraction(rest)?;
    let seconds = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset(rest)?;
    ((FIRST..=LAST).contains(&seconds)).then_some(Time { seconds, nanos })
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    let digits = tens.is_ascii_digit() && ones.is_ascii_digit();
    digits.then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

/// Nanoseconds of `.123`, if there is a point, and what follows.
fn fraction(text: &[u8]) -> Option<(i32, &[u8])> {
    let [b'.', text @ ..] = text else { return Some((0, text)) };
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&len) {
        return None;
    }
    let digits = text[..len].iter().chain(std::iter::repeat(&b'0')).take(9);
    let nanos = digits.fold(0, |nanos, digit| nanos * 10 + i32::from(digit - b'0'));
    Some((nanos, &text[len..]))
}

/// Seconds that local time is ahead of UTC.
fn offset(text: &[u8]) -> Option<i64> {
    match *text {
        [b'Z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
            let seconds = hours * 3600 + minutes * 60;
            let in_range = hours < 24 && minutes < 60;
            in_range.then_some(if sign == b'+' { seconds } else { -seconds })
        }
        _ => None,
    }
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970. Years begin in March, so that a leap day is the last one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * i64::from(DAYS_OF_ERA) + year * 365 + year / 4 - year / 100 + day_of_year - DAYS_TO_1970
}

/// The year, month and day of days since 0000-03-01.
fn date(days: u32) -> (u32, u32, u32) {
    let (era, day) = (days / DAYS_OF_ERA, days % DAYS_OF_ERA);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    (year + era * 400, month, day)
}

/// Appends a timestamp in UTC, in quotes; false when it is out of range.
pub(crate) fn put_timestamp(time: Time, out: &mut Vec<u8>) -> bool {
    if !(FIRST..=LAST).contains(&time.seconds) || !(0..=999_999_999).contains(&time.nanos) {
        return false;
    }
    // Not negative from the first timestamp on, and small: cheaper to divide.
    #[allow(clippy::cast_possible_truncation, reason = "four million days at most")]
    let days = (time.seconds.div_euclid(DAY) + DAYS_TO_1970).unsigned_abs() as u32;
    #[allow(clippy::cast_possible_truncation, reason = "less than a day")]
    let second = time.seconds.rem_euclid(DAY).unsigned_abs() as u32;
    let (year, month, day) = date(days);
    let ([y1, y2], [y3, y4]) = (two_digits(year / 100), two_digits(year % 100));
    let ([m1, m2], [d1, d2]) = (two_digits(month), two_digits(day));
    let ([h1, h2], [i1, i2]) = (two_digits(second / 3600), two_digits(second / 60 % 60));
    let [s1, s2] = two_digits(second % 60);
    out.extend_from_slice(&[
        b'"', y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', i1, i2, b':', s1, s2,
    ]);
    put_fraction(time.nanos.unsigned_abs(), out);
    out.extend_from_slice(b"Z\"");
    true
}

/// The digits of a number below 100.
#[inline]
fn two_digits(number: u32) -> [u8; 2] {
    TWO_DIGITS[number as usize]
}

#[inline]
fn put_fraction(nanos: u32, out: &mut Vec<u8>) {
    if nanos != 0 {
        put_digits(nanos, out);
    }
}

#[allow(clippy::cast_possible_truncation, reason = "one digit")]
fn put_digits(nanos: u32, out: &mut Vec<u8>) {
    let (digits, mut rest) = match nanos {
        _ if nanos.is_multiple_of(1_000_000) => (3, nanos / 1_000_000),
        _ if nanos.is_multiple_of(1000) => (6, nanos / 1000),
        _ => (9, nanos),
    };
    let mut text = *b".000000000";
    for digit in text[1..=digits].iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&text[..=digits]);
}

/// Reads a duration.
pub(crate) fn parse_duration(text: &[u8]) -> Option<Time> {
    let text = text.strip_suffix(b"s")?;
    let (sign, text) = match text {
        [b'-', text @ ..] => (-1, text),
        text => (1, text),
    };
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    // The longest has twelve digits; leading zeros are nobody's notation.
    if !(1..=12).contains(&len) {
        return None;
    }
    let seconds = text[..len].iter().fold(0, |all, digit| all * 10 + i64::from(digit - b'0'));
    let (nanos, rest) = fraction(&text[len..])?;
    let fits = rest.is_empty() && seconds <= LONGEST;
    let (seconds, nanos) = (sign * seconds, if sign < 0 { -nanos } else { nanos });
    fits.then_some(Time { seconds, nanos })
}

/// Appends a duration; false when it is out of range.
pub(crate) fn put_duration(time: Time, out: &mut Vec<u8>) -> bool {
    let Time { seconds, nanos } = time;
    let mixed = seconds > 0 && nanos < 0 || seconds < 0 && nanos > 0;
    if seconds.unsigned_abs() > LONGEST.unsigned_abs() || nanos.abs() > 999_999_999 || mixed {
        return false;
    }
    if seconds < 0 || nanos < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(itoa::Buffer::new().format(seconds.unsigned_abs()).as_bytes());
    put_fraction(nanos.unsigned_abs(), out);
    out.push(b's');
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timestamp(seconds: i64, nanos: i32) -> Option<String> {
        let mut out = Vec::new();
        let is_printed = put_timestamp(Time { seconds, nanos }, &mut out);
        is_printed.then(|| String::from_utf8(out).unwrap().trim_matches('"').to_owned())
    }

    fn duration(seconds: i64, nanos: i32) -> Option<String> {
        let mut out = Vec::new();
        put_duration(Time { seconds, nanos }, &mut out).then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn times_survive() {
        for (seconds, nanos, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (FIRST, 0, "0001-01-01T00:00:00Z"),
            (LAST, 999_999_999, "9999-12-31T23:59:59.999999999Z"),
            (951_782_400, 500_000_000, "2000-02-29T00:00:00.500Z"),
            (-1, 1000, "1969-12-31T23:59:59.000001Z"),
        ] {
            assert_eq!(timestamp(seconds, nanos).as_deref(), Some(text));
            assert_eq!(parse_timestamp(text.as_bytes()), Some(Time { seconds, nanos }));
        }
        for day in (FIRST / DAY..LAST / DAY).step_by(97) {
            let seconds = day * DAY + 45_296;
            let text = timestamp(seconds, 0).unwrap();
            assert_eq!(
                parse_timestamp(text.as_bytes()),
                Some(Time { seconds, nanos: 0 }),
                "{text}"
            );
        }
        let zoned = parse_timestamp(b"2026-01-31T12:30:00.25+05:30").unwrap();
        let utc = parse_timestamp(b"2026-01-31T07:00:00.250Z").unwrap();
        assert_eq!(zoned, utc);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-01-31",
            "2026-01-31t12:00:00Z",
            "2026-01-31T12:00:00z",
            "2026-01-31T12:00:00",
            "2026-01-31 12:00:00Z",
            "2026-02-29T12:00:00Z",
            "2026-13-01T12:00:00Z",
            "2026-00-01T12:00:00Z",
            "2026-01-00T12:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T12:60:00Z",
            "2026-01-31T12:00:60Z",
            "2026-01-31T12:00:00.Z",
            "2026-01-31T12:00:00.1234567890Z",
            "2026-01-31T12:00:00+24:00",
            "2026-01-31T12:00:00+0100",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "+2026-1-31T12:00:00Z",
        ] {
            assert_eq!(parse_timestamp(text.as_bytes()), None, "{text}");
        }
        assert_eq!(timestamp(FIRST - 1, 0), None);
        assert_eq!(timestamp(LAST + 1, 0), None);
        assert_eq!(timestamp(0, -1), None);
        assert_eq!(timestamp(0, 1_000_000_000), None);
    }

    #[test]
    fn durations_survive() {
        for (seconds, nanos, text) in [
            (0, 0, "0s"),
            (1, 500_000_000, "1.500s"),
            (-1, -1, "-1.000000001s"),
            (0, -1000, "-0.000001s"),
            (LONGEST, 999_999_999, "315576000000.999999999s"),
            (-LONGEST, 0, "-315576000000s"),
        ] {
            assert_eq!(duration(seconds, nanos).as_deref(), Some(text));
            assert_eq!(parse_duration(text.as_bytes()), Some(Time { seconds, nanos }));
        }
        for text in
            ["", "s", "1", "1.s", ".5s", "+1s", "1h", "1 s", "1.1234567890s", "315576000001s"]
        {
            assert_eq!(parse_duration(text.as_bytes()), None, "{text}");
        }
        for (seconds, nanos) in [(1, -1), (-1, 1), (LONGEST + 1, 0), (i64::MIN, 0), (0, i32::MAX)] {
            assert_eq!(duration(seconds, nanos), None);
        }
    }
}
