//! When a process that died is started again: after a wait that doubles from
//! death to death, until one start has proved good.

use std::time::Duration;

/// The wait after a first death. A process that is back within half a second is
/// hardly missed; its callers repeat for about as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// The longest wait: a process that cannot start costs little, and comes back
/// soon after its cause is gone.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A process that served for this long was well started; its death is a new
/// matter.
const PROVEN: Duration = Duration::from_secs(10);

/// Deaths in a row after which somebody should look at it.
const ALARM: u32 = 5;

/// Counts a process's deaths.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    /// Deaths since the last start that proved good.
    quick_deaths: u32,
}

/// What to do about a death.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// How long to wait before the next start.
    pub wait: Duration,
    /// The number of deaths in a row, when it is time to raise the alarm; once
    /// per row.
    pub alarm: Option<u32>,
}

impl Restarts {
    /// A process died that had served for `healthy` (zero when it never did).
    /// `random` from 0 to 1 spreads the waits of processes that died together.
    pub(crate) fn died(&mut self, healthy: Duration, random: f64) -> Verdict {
        if healthy >= PROVEN {
            self.quick_deaths = 0;
        }
        self.quick_deaths = self.quick_deaths.saturating_add(1);
        // Six doublings pass the longest wait; the bound keeps the power small.
        let doublings = (self.quick_deaths - 1).min(6);
        let bound = LONGEST_WAIT.min(FIRST_WAIT * 2_u32.pow(doublings));
        let wait = bound.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0);
        let alarm = (self.quick_deaths == ALARM).then_some(ALARM);
        Verdict { wait, alarm }
    }

    /// Somebody asked for a start: what went wrong before is forgiven.
    pub(crate) fn forgive(&mut self) {
        self.quick_deaths = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The waits in milliseconds after deaths without a healthy moment.
    fn waits(restarts: &mut Restarts, deaths: usize, random: f64) -> Vec<u128> {
        (0..deaths).map(|_| restarts.died(Duration::ZERO, random).wait.as_millis()).collect()
    }

    #[test]
    fn waits_double_up_to_ten_seconds() {
        let expected = [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000];
        assert_eq!(waits(&mut Restarts::default(), 8, 1.0), expected);
    }

    #[test]
    fn chance_takes_up_to_half_of_a_wait_away() {
        assert_eq!(waits(&mut Restarts::default(), 3, 0.0), [100, 200, 400]);
        assert_eq!(waits(&mut Restarts::default(), 3, 0.5), [150, 300, 600]);
    }

    #[test]
    fn ten_healthy_seconds_make_a_death_the_first_again() {
        let mut restarts = Restarts::default();
        waits(&mut restarts, 4, 1.0);
        let almost = restarts.died(PROVEN - Duration::from_millis(1), 1.0);
        assert_eq!(almost.wait, Duration::from_millis(3_200));
        assert_eq!(restarts.died(PROVEN, 1.0).wait, FIRST_WAIT);
    }

    #[test]
    fn the_fifth_quick_death_in_a_row_raises_the_alarm_once() {
        let mut restarts = Restarts::default();
        let alarms = |restarts: &mut Restarts, deaths: usize| -> Vec<bool> {
            (0..deaths).map(|_| restarts.died(Duration::ZERO, 0.0).alarm.is_some()).collect()
        };
        let expected = [false, false, false, false, true, false, false];
        assert_eq!(alarms(&mut restarts, 7), expected);
        restarts.forgive();
        assert_eq!(alarms(&mut restarts, 7), expected);
    }

    #[test]
    fn no_number_of_deaths_overflows() {
        let mut restarts = Restarts { quick_deaths: u32::MAX };
        assert_eq!(restarts.died(Duration::ZERO, 1.0).wait, LONGEST_WAIT);
    }
}
