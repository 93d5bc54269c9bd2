//! Signs in what is stored: clocks that went back, and tasks that nobody does.

use std::time::{Duration, Instant};

use super::{Finding, connection::Connection};
use crate::{Error, task, time};

/// Events that are looked at for their times.
const EVENTS: u32 = 1_000;
/// Transactions commit in another order than they began, and clocks of several
/// machines differ a little; a step is more than that.
const STEP_MICROS: i64 = 1_000_000;
/// A future that no clock service leaves alone.
const FUTURE_MICROS: i64 = 60_000_000;
/// Tasks that wait for longer than this after they were due wait for somebody.
const LATE_MICROS: i64 = 60_000_000;

pub(super) async fn examine(connection: &mut Connection) -> Result<Vec<Finding>, Error> {
    let mut findings = vec![leases(connection).await?];
    if connection.has("durable_event").await? {
        let sql = format!(
            "SELECT time FROM durable_event WHERE position IS NOT NULL
             ORDER BY position DESC LIMIT {EVENTS}"
        );
        let times = connection.numbers(&sql).await?;
        findings.push(future(&times, time::now()));
        findings.push(steps(&times));
    }
    if connection.has("durable_task").await? {
        let free = "FROM durable_task WHERE owner IS NULL AND died IS NULL";
        let oldest = format!(
            "SELECT coalesce(min(CASE WHEN due > created THEN due ELSE created END), 0) {free}"
        );
        let oldest = connection.number(&oldest).await?;
        let waiting = connection.number(&format!("SELECT count(*) {free}")).await?;
        findings.push(backlog(waiting, time::now() - oldest));
        let dead = "SELECT count(*) FROM durable_task WHERE died IS NOT NULL";
        findings.push(dead_tasks(connection.number(dead).await?));
    }
    Ok(findings)
}

/// A beat is a commit, so a database that answers slowly makes the living look
/// dead.
async fn leases(connection: &mut Connection) -> Result<Finding, Error> {
    let asked = Instant::now();
    connection.number("SELECT CAST(1 AS bigint)").await?;
    Ok(judge_leases(asked.elapsed()))
}

fn judge_leases(answer: Duration) -> Finding {
    let (beat, lease) = (task::BEAT, task::lease());
    let found = format!(
        "a worker beats every {} ms and is dead after {} ms; the database answers in {:.1} ms",
        beat.as_millis(),
        lease.as_millis(),
        answer.as_secs_f64() * 1_000.0
    );
    let advice = "bring the database nearer or give it more: living workers lose their tasks to \
                  each other, and work is done twice";
    match answer * 4 <= beat {
        true => Finding::good("lease", found),
        false => Finding::doubtful("lease", found, advice),
    }
}

/// The newest first.
fn future(times: &[i64], now: i64) -> Finding {
    let ahead = times.iter().max().map_or(0, |newest| newest - now);
    let found = format!("an event is {} s ahead of this clock", ahead / 1_000_000);
    let advice = "set this clock right: it has gone back, so timers and keys last longer than said";
    match ahead {
        FUTURE_MICROS.. => Finding::dangerous("clock", found, advice),
        STEP_MICROS.. => Finding::doubtful("clock", found, advice),
        _ => Finding::good("clock", "no event is ahead of it"),
    }
}

/// The newest first, so each should be no less than the next.
fn steps(times: &[i64]) -> Finding {
    let back = times.windows(2).filter(|pair| pair[1] - pair[0] > STEP_MICROS).count();
    let looked_at = times.len();
    let found = format!("went back {back} times within the last {looked_at} events");
    let advice = "let NTP slew the clocks instead of setting them";
    match back {
        0 => Finding::good("clock_steps", format!("none within the last {looked_at} events")),
        _ => Finding::doubtful("clock_steps", found, advice),
    }
}

fn backlog(waiting: i64, late: i64) -> Finding {
    let advice = "see that a process runs that knows their kind and has room for more of it";
    if waiting == 0 || late < LATE_MICROS {
        return Finding::good("tasks", format!("{waiting} wait"));
    }
    let found = format!("{waiting} wait, the oldest for {} s", late / 1_000_000);
    Finding::doubtful("tasks", found, advice)
}

fn dead_tasks(dead: i64) -> Finding {
    let advice = "`titan tasks list` tells why; `titan tasks requeue` tries again";
    match dead {
        0 => Finding::good("dead_tasks", "none"),
        _ => Finding::doubtful("dead_tasks", format!("{dead} were given up"), advice),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn events_ahead_of_the_clock_tell_that_it_went_back() {
        let now = 1_000 * FUTURE_MICROS;
        assert_eq!(future(&[], now).verdict, Verdict::Good);
        assert_eq!(future(&[now - 1, now - 2], now).verdict, Verdict::Good);
        assert_eq!(future(&[now - 1, now + STEP_MICROS], now).verdict, Verdict::Doubtful);
        assert_eq!(future(&[now + FUTURE_MICROS], now).verdict, Verdict::Unsafe);
    }

    #[test]
    fn a_step_is_more_than_the_difference_of_two_commits() {
        assert_eq!(steps(&[5_000_000, 5_900_000, 4_000_000]).verdict, Verdict::Good);
        let stepped = steps(&[5_000_000, 9_000_000, 8_000_000]);
        assert_eq!(stepped.verdict, Verdict::Doubtful);
        assert!(stepped.found.contains("1 times"), "{stepped:?}");
    }

    #[test]
    fn work_that_nobody_does_is_worth_knowing() {
        assert_eq!(backlog(0, i64::MAX).verdict, Verdict::Good);
        assert_eq!(backlog(9, LATE_MICROS - 1).verdict, Verdict::Good);
        assert_eq!(backlog(9, LATE_MICROS).verdict, Verdict::Doubtful);
        assert_eq!(dead_tasks(1).verdict, Verdict::Doubtful);
        assert_eq!(judge_leases(Duration::from_millis(99)).verdict, Verdict::Good);
        assert_eq!(judge_leases(Duration::from_millis(101)).verdict, Verdict::Doubtful);
    }
}
