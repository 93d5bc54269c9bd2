//! Attempts that race: when the first one's headers are late, the same request goes
//! to another instance, and whoever answers first is taken (gRFC A6, "Hedging
//! Policy"). What is dropped is reset, which tells its server to stop.
//!
//! A failure that could be repeated does not win while others run, nor does a
//! stream that broke; any other answer does, a status that no repetition would
//! change included.

use std::{future::Future, pin::Pin, task::Poll, time::Duration};

use tokio::time::{Instant, Sleep};

use super::{
    attempt::{Answer, Opened},
    attempts::Attempts,
    failure::{Failure, Pushback},
    payload::Payload,
};

/// Attempts that run at the same time.
struct Race {
    running: Vec<Opened>,
    /// When the next one is made, if none has answered by then.
    next: Option<Pin<Box<Sleep>>>,
    /// No more attempts, by a server's word.
    stopped: bool,
    /// Nor before then.
    not_before: Option<Instant>,
}

impl Attempts {
    /// Sends the request, and again while its answer is late, and waits for the
    /// headers of the first answer. `attempts` counts what was sent.
    pub(super) async fn race(
        &mut self,
        payload: &mut Payload,
        attempts: &mut u32,
    ) -> Result<Answer, Failure> {
        let first = self.open(payload, *attempts - 1).await?;
        let began = Instant::now();
        let mut race = Race::of(first);
        race.wait(self.delay(*attempts));
        loop {
            match race.ended().await {
                None => {
                    let hedge = self.hedge(payload, *attempts).await;
                    *attempts += u32::from(hedge.is_some());
                    // Where nobody else can be called, or too many were, this
                    // holds for the rest of the call.
                    let delay = hedge.is_some().then(|| self.delay(*attempts)).flatten();
                    race.running.extend(hedge);
                    race.wait(delay);
                }
                Some(ended) => {
                    let failure = match ended {
                        Ok(mut answer) => match self.refusal(&mut answer.response) {
                            None => {
                                self.answered(began.elapsed());
                                return Ok(answer);
                            }
                            Some(failure) => answer.told.failed(failure),
                        },
                        Err(failure) => failure,
                    };
                    if let Some(failure) = race.lost(failure) {
                        return Err(failure);
                    }
                }
            }
        }
    }

    /// One more attempt, on an instance that was not tried. `None` where the budget
    /// or the instances do not allow it: the answer that is late may still come.
    async fn hedge(&mut self, payload: &mut Payload, previous: u32) -> Option<Opened> {
        let shared = self.shared();
        let allowed = payload.repeatable()
            && shared.pool.has_others(&self.ask)
            && shared.hedging.spend(&shared.budget.earned);
        let permit = allowed.then(|| shared.pool.pick_other(&self.ask)).flatten()?;
        self.ask.avoid.add(permit.instance());
        let mut sender = permit.connection.sender();
        // A connection that has no place for a stream is not waited for.
        let ready = std::future::poll_fn(|cx| Poll::Ready(sender.poll_ready(cx))).await;
        if !matches!(ready, Poll::Ready(Ok(()))) {
            return None;
        }
        let told = self.tell(previous);
        let opened = self.send(permit, sender, payload, previous, told).ok()?;
        if let Some(hedged) = &mut self.hedged {
            hedged.sent();
        }
        Some(opened)
    }

    fn delay(&self, attempts: u32) -> Option<Duration> {
        self.hedged.as_ref()?.delay(attempts)
    }

    fn answered(&self, took: Duration) {
        if let Some(hedged) = &self.hedged {
            hedged.answered(took);
        }
    }
}

impl Race {
    fn of(first: Opened) -> Self {
        Self { running: vec![first], next: None, stopped: false, not_before: None }
    }

    /// The next attempt is made after so long, or later where a server has asked for
    /// that; none without a delay.
    fn wait(&mut self, delay: Option<Duration>) {
        let at = delay.filter(|_| !self.stopped).map(|delay| Instant::now() + delay);
        let at = at.map(|at| self.not_before.map_or(at, |least| at.max(least)));
        self.next = at.map(|at| Box::pin(tokio::time::sleep_until(at)));
    }

    /// The next attempt that ends; `None` when the latest one is late before.
    async fn ended(&mut self) -> Option<Result<Answer, Failure>> {
        std::future::poll_fn(|cx| {
            for at in 0..self.running.len() {
                if let Poll::Ready(response) = Pin::new(&mut self.running[at].response).poll(cx) {
                    let ended = self.running.swap_remove(at).ended(response);
                    return Poll::Ready(Some(ended));
                }
            }
            let Some(next) = &mut self.next else { return Poll::Pending };
            next.as_mut().poll(cx).map(|()| None)
        })
        .await
    }

    /// An attempt has failed. When it was the last one, so has the race, with what
    /// all of them were told about further attempts.
    fn lost(&mut self, mut failure: Failure) -> Option<Failure> {
        match failure.pushback {
            Pushback::Silent => {}
            Pushback::After(wait) => {
                self.not_before = self.not_before.max(Some(Instant::now() + wait));
                self.postpone();
            }
            Pushback::Never => {
                self.stopped = true;
                self.next = None;
            }
        }
        if !self.running.is_empty() {
            return None;
        }
        if self.stopped {
            failure.pushback = Pushback::Never;
        } else if let Some(at) = self.not_before {
            failure.pushback = Pushback::After(at.saturating_duration_since(Instant::now()));
        }
        Some(failure)
    }

    fn postpone(&mut self) {
        if let (Some(next), Some(least)) = (&mut self.next, self.not_before)
            && next.deadline() < least
        {
            next.as_mut().reset(least);
        }
    }
}
