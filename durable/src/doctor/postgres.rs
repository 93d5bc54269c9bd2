//! PostgreSQL: when it acknowledges, whether it writes through, and whether its
//! clock is ours.

use super::{Finding, connection::Connection};
use crate::{Error, time};

/// Beyond this, what is due on one machine is early on another.
const SKEW_MICROS: i64 = 500_000;
/// Connections that a process of ours may take.
const CONNECTIONS: i64 = 15;

pub(super) async fn examine(connection: &mut Connection) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    for (setting, judge) in SETTINGS {
        findings.push(judge(connection.text(&format!("SHOW {setting}")).await?));
    }
    let standby = connection.number("SELECT pg_is_in_recovery()::int::bigint").await?;
    findings.push(role(standby == 1));
    let most = "SELECT current_setting('max_connections')::bigint";
    let most = connection.number(most).await?;
    let taken = connection.number("SELECT count(*) FROM pg_stat_activity").await?;
    findings.push(connections(taken, most));
    let before = time::now();
    let now = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
    let theirs = connection.number(now).await?;
    let took = time::now() - before;
    // As of the middle of the round trip.
    findings.push(skew(theirs - before - took / 2, took));
    Ok(findings)
}

type Judge = fn(String) -> Finding;

const SETTINGS: [(&str, Judge); 3] = [
    ("synchronous_commit", synchronous_commit),
    ("fsync", fsync),
    ("full_page_writes", full_page_writes),
];

fn synchronous_commit(found: String) -> Finding {
    let advice = "set it to on; with off a crash of the server loses what was acknowledged";
    match found.as_str() {
        "off" => Finding::dangerous("synchronous_commit", found, advice),
        _ => Finding::good("synchronous_commit", found),
    }
}

fn fsync(found: String) -> Finding {
    let advice = "set it to on; with off a crash of the machine can destroy the database";
    match found.as_str() {
        "on" => Finding::good("fsync", found),
        _ => Finding::dangerous("fsync", found, advice),
    }
}

fn full_page_writes(found: String) -> Finding {
    let advice = "set it to on, unless the file system writes whole pages or none; with off a \
                  crash of the machine can leave pages that are half old";
    match found.as_str() {
        "on" => Finding::good("full_page_writes", found),
        _ => Finding::dangerous("full_page_writes", found, advice),
    }
}

fn role(standby: bool) -> Finding {
    let advice = "name the primary in the URL: a standby takes no writes";
    match standby {
        true => Finding::dangerous("role", "standby", advice),
        false => Finding::good("role", "primary"),
    }
}

fn connections(taken: i64, most: i64) -> Finding {
    let found = format!("{taken} of {most} taken");
    let advice = "raise max_connections: each process of a service takes up to 15";
    match most - taken >= CONNECTIONS {
        true => Finding::good("connections", found),
        false => Finding::doubtful("connections", found, advice),
    }
}

/// The round trip is how far off the measurement may be.
fn skew(micros: i64, round_trip: i64) -> Finding {
    let found = format!("{} ms from this machine's", micros / 1_000);
    let advice = "let NTP keep both clocks: what is due is judged by the machine that looks";
    match micros.abs() <= SKEW_MICROS + round_trip {
        true => Finding::good("server_clock", found),
        false => Finding::doubtful("server_clock", found, advice),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn settings_that_lose_acknowledged_writes_are_unsafe() {
        let cases = [
            (synchronous_commit("off".into()), Verdict::Unsafe),
            (synchronous_commit("local".into()), Verdict::Good),
            (synchronous_commit("remote_apply".into()), Verdict::Good),
            (fsync("off".into()), Verdict::Unsafe),
            (fsync("on".into()), Verdict::Good),
            (full_page_writes("off".into()), Verdict::Unsafe),
            (role(true), Verdict::Unsafe),
            (connections(90, 100), Verdict::Doubtful),
            (connections(85, 100), Verdict::Good),
            (skew(-2_000_000, 1_000), Verdict::Doubtful),
            (skew(600_000, 200_000), Verdict::Good),
        ];
        for (finding, verdict) in cases {
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert_eq!(finding.advice.is_empty(), verdict == Verdict::Good, "{finding:?}");
        }
    }
}
