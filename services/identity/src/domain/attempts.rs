//! Patience with wrong passwords: a limit for each address, so that a password
//! cannot be guessed, and one for all together, so that one password cannot be
//! tried on every address. Only failures count; whoever knows the password is
//! not slowed down by it, and signing in forgives what was before.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use super::{Micros, micros, user::Email};

/// How many failures are borne in a window of time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For one address.
    pub per_address: usize,
    /// For all addresses together.
    pub in_total: usize,
    /// The window.
    pub window: Duration,
}

/// The failures of the last window. The limit of all failures also bounds the
/// memory: no more addresses than that can be remembered.
#[derive(Debug)]
pub struct Attempts {
    limits: Limits,
    /// Oldest first.
    failures: VecDeque<(Micros, Email)>,
    by_address: HashMap<Email, VecDeque<Micros>>,
}

impl Attempts {
    /// Nothing has failed yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, failures: VecDeque::new(), by_address: HashMap::new() }
    }

    /// Whether another attempt for this address is borne.
    ///
    /// # Errors
    /// After which time one will be.
    pub fn admit(&mut self, email: &Email, at: Micros) -> Result<(), Duration> {
        self.forget(at);
        let of_address = self.by_address.get(email);
        let oldest_of = |failures: &VecDeque<Micros>| failures.front().copied();
        let full = if of_address.is_some_and(|own| own.len() >= self.limits.per_address) {
            of_address.and_then(oldest_of)
        } else if self.failures.len() >= self.limits.in_total {
            self.failures.front().map(|(time, _)| *time)
        } else {
            return Ok(());
        };
        let until = full.unwrap_or(at) + micros(self.limits.window);
        Err(Duration::from_micros(u64::try_from(until - at).unwrap_or(0)))
    }

    /// A wrong password.
    pub fn failed(&mut self, email: Email, at: Micros) {
        self.forget(at);
        if self.failures.len() < self.limits.in_total {
            self.by_address.entry(email.clone()).or_default().push_back(at);
            self.failures.push_back((at, email));
        }
    }

    /// A right password.
    pub fn succeeded(&mut self, email: &Email) {
        if self.by_address.remove(email).is_some() {
            self.failures.retain(|(_, other)| other != email);
        }
    }

    /// Drops what the window has left behind. A clock that is set back only
    /// makes failures last longer.
    fn forget(&mut self, at: Micros) {
        let begin = at - micros(self.limits.window);
        while let Some((_, email)) = self.failures.pop_front_if(|(time, _)| *time <= begin) {
            if let Some(own) = self.by_address.get_mut(&email) {
                own.pop_front();
                if own.is_empty() {
                    self.by_address.remove(&email);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Micros = 1_000_000;

    fn attempts() -> Attempts {
        let window = Duration::from_secs(60);
        Attempts::new(Limits { per_address: 3, in_total: 5, window })
    }

    fn email(name: &str) -> Email {
        Email::new(&format!("{name}@example.org"))
    }

    #[test]
    fn an_address_is_closed_until_its_oldest_failure_leaves_the_window() {
        let mut attempts = attempts();
        for second in [0, 10, 20] {
            assert_eq!(attempts.admit(&email("ada"), second * SECOND), Ok(()));
            attempts.failed(email("ada"), second * SECOND);
        }
        let wait = Duration::from_secs(60 - 25);
        assert_eq!(attempts.admit(&email("ada"), 25 * SECOND), Err(wait));
        assert_eq!(attempts.admit(&email("bob"), 25 * SECOND), Ok(()));
        assert_eq!(attempts.admit(&email("ada"), 60 * SECOND), Ok(()));
        attempts.failed(email("ada"), 60 * SECOND);
        assert!(attempts.admit(&email("ada"), 60 * SECOND).is_err());
    }

    #[test]
    fn one_password_cannot_be_tried_on_every_address() {
        let mut attempts = attempts();
        for n in 0..5 {
            attempts.failed(email(&n.to_string()), n * SECOND);
        }
        let wait = Duration::from_secs(50);
        assert_eq!(attempts.admit(&email("new"), 10 * SECOND), Err(wait));
        assert_eq!(attempts.admit(&email("new"), 60 * SECOND), Ok(()));
    }

    #[test]
    fn signing_in_forgives() {
        let mut attempts = attempts();
        for _ in 0..3 {
            attempts.failed(email("ada"), 0);
        }
        attempts.succeeded(&email("ada"));
        assert_eq!(attempts.admit(&email("ada"), 1), Ok(()));
        assert!(attempts.failures.is_empty());
    }

    #[test]
    fn memory_is_bounded_and_given_back() {
        let mut attempts = attempts();
        for n in 0..100 {
            attempts.failed(email(&n.to_string()), n);
        }
        assert_eq!((attempts.failures.len(), attempts.by_address.len()), (5, 5));
        attempts.admit(&email("ada"), 61 * SECOND).unwrap();
        assert_eq!((attempts.failures.len(), attempts.by_address.len()), (0, 0));
    }
}
