//! What one transaction of a saga changes: decided from where it is, from what
//! came of an attempt, and from what a human asked for meanwhile.

use std::time::Duration;

use super::{
    Direction, Failure, Happening, Record, Refusal, Status,
    machine::{Next, Outcome, Place, State},
    record::{Note, Wish},
    script::{Moment, Script},
};
use crate::time;

/// What came of an attempt.
#[derive(Clone, Debug)]
pub(super) struct Attempted {
    pub(super) outcome: Outcome,
    /// The data after it; only of a success.
    pub(super) data: Option<Vec<u8>>,
    pub(super) refusal: Option<Refusal>,
    pub(super) detail: String,
}

impl Attempted {
    pub(super) fn of(answer: Result<Vec<u8>, Failure>) -> Self {
        match answer {
            Ok(data) => Self {
                outcome: Outcome::Done,
                data: Some(data),
                refusal: None,
                detail: String::new(),
            },
            Err(failure) => {
                let (outcome, detail) = (failure.outcome(), failure.to_string());
                let refusal = match failure {
                    Failure::Refused(refusal) => Some(refusal),
                    Failure::Unknown(_) => None,
                };
                Self { outcome, data: None, refusal, detail }
            }
        }
    }

    /// It happened, but its result cannot be stored: as good as not knowing.
    pub(super) fn unknown(why: String) -> Self {
        Self::of(Err(Failure::Unknown(why)))
    }
}

/// All that one transaction writes.
#[derive(Debug)]
pub(super) struct Change {
    /// The row as it is after it.
    pub(super) saga: Record,
    pub(super) state: State,
    pub(super) notes: Vec<Note>,
    pub(super) moments: Vec<Moment>,
    pub(super) then: Then,
}

/// How the engine goes on after the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// With the next step.
    On,
    /// With the same step, later.
    Later(Duration),
    /// Not at all.
    Over,
}

/// Decides what follows. `attempted` is `None` where no attempt is made: a human
/// was asked.
pub(super) fn decide(
    script: &dyn Script,
    saga: &Record,
    state: State,
    attempted: Option<&Attempted>,
) -> Change {
    let mut change = Change {
        saga: saga.clone(),
        state,
        notes: Vec::new(),
        moments: Vec::new(),
        then: Then::On,
    };
    if let Some(attempted) = attempted {
        change.attempted(script, attempted);
    }
    change.wished(script);
    change.arrive(script);
    change.turned(saga, attempted);
    change.saga.updated = time::now();
    change.saga.revision += i64::try_from(change.notes.len()).unwrap_or(1);
    change
}

/// Stops a saga that its definition cannot go on with.
pub(super) fn park(saga: &Record, why: &str) -> Change {
    let state = State::first();
    let mut saga = Record { updated: time::now(), ..saga.clone() };
    why.clone_into(&mut saga.error);
    saga.status = Status::NeedsAttention;
    let note = |happening, detail: &str| Note {
        step: saga.step.clone(),
        direction: saga.direction,
        happening,
        detail: detail.to_owned(),
    };
    let mut notes = Vec::new();
    if saga.wish.is_some() {
        notes.push(note(Happening::TooLate, ""));
    }
    notes.push(note(Happening::NeedsAttention, why));
    saga.wish = None;
    saga.revision += i64::try_from(notes.len()).unwrap_or(1);
    Change { saga, state, notes, moments: Vec::new(), then: Then::Over }
}

impl Change {
    fn note(&mut self, step: &str, direction: Direction, happening: Happening, detail: &str) {
        let (step, detail) = (step.to_owned(), detail.to_owned());
        self.notes.push(Note { step, direction, happening, detail });
    }

    fn attempted(&mut self, script: &dyn Script, attempted: &Attempted) {
        let (step, direction) = (self.saga.step.clone(), self.saga.direction);
        let happening = match attempted.outcome {
            Outcome::Done => Happening::Done,
            Outcome::Refused => Happening::Refused,
            Outcome::Unknown => Happening::Unknown,
        };
        self.note(&step, direction, happening, &attempted.detail);
        if let Some(data) = &attempted.data {
            self.saga.data.clone_from(data);
        }
        super::record::shortened(&attempted.detail).clone_into(&mut self.saga.error);
        // Stays where no other step follows; the last attempt before a question
        // counts, too.
        self.saga.attempts += u32::from(attempted.outcome != Outcome::Done);
        if let (Place::Doing { step, .. }, Outcome::Done) = (self.state.place, attempted.outcome) {
            self.moments.push(Moment::Step(step));
        }
        let next = script.plan().after(self.state, attempted.outcome);
        self.go(script, next);
    }

    /// Does what a human asked for, as far as that still makes sense.
    fn wished(&mut self, script: &dyn Script) {
        let Some(wish) = self.saga.wish.take() else { return };
        let (next, happening) = match wish {
            Wish::Cancel => (script.plan().cancelled(self.state), Happening::Cancelled),
            Wish::Skip => (script.plan().skipped(self.state), Happening::Skipped),
        };
        let (step, direction) = match self.state.place {
            Place::Doing { step, .. } => (script.step_name(step), Direction::Do),
            Place::Undoing { step, .. } => (script.step_name(step), Direction::Undo),
            Place::Attention { step, direction } => (script.step_name(step), direction),
            Place::Forward | Place::Back => ("", self.saga.direction),
        };
        let Some(next) = next else { return self.note(step, direction, Happening::TooLate, "") };
        self.note(step, direction, happening, "");
        self.go(script, next);
    }

    fn go(&mut self, script: &dyn Script, next: Next) {
        for step in next.waived {
            let (name, why) = (script.step_name(step), script.waiver(step));
            self.note(name, Direction::Undo, Happening::Waived, why);
        }
        self.state = next.state;
    }

    /// Writes the place into the row.
    fn arrive(&mut self, script: &dyn Script) {
        let State { place, skipped } = self.state;
        let end = |status| if skipped { Status::Resolved } else { status };
        let saga = &mut self.saga;
        saga.skipped = skipped;
        (saga.status, saga.direction) = match place {
            Place::Doing { .. } => (Status::Running, Direction::Do),
            Place::Undoing { .. } => (Status::Compensating, Direction::Undo),
            Place::Attention { direction, .. } => (Status::NeedsAttention, direction),
            Place::Forward => (end(Status::Completed), Direction::Do),
            Place::Back => (end(Status::Compensated), Direction::Undo),
        };
        if let Place::Doing { step, attempts, .. } | Place::Undoing { step, attempts } = place {
            script.step_name(step).clone_into(&mut saga.step);
            saga.attempts = attempts;
            saga.pivoted = saga.direction == Direction::Do && step >= script.plan().pivot;
            if attempts > 0 {
                self.then = Then::Later(script.wait(step, saga.direction, attempts));
            }
            return;
        }
        self.then = Then::Over;
        let (step, direction, why) = (saga.step.clone(), saga.direction, saga.error.clone());
        match place {
            Place::Attention { .. } => {
                self.note(&step, direction, Happening::NeedsAttention, &why);
            }
            Place::Forward => {
                self.moments.push(Moment::Completed);
                self.note("", direction, Happening::Ended, Status::word(self.saga.status));
            }
            _ => {
                self.moments.push(Moment::Compensated);
                self.note("", direction, Happening::Ended, Status::word(self.saga.status));
            }
        }
    }

    /// Keeps why it turned back, when it just did.
    fn turned(&mut self, before: &Record, attempted: Option<&Attempted>) {
        if before.direction == self.saga.direction || self.saga.direction == Direction::Do {
            return;
        }
        let asked = self.notes.iter().any(|note| note.happening == Happening::Cancelled);
        let of = |reason: &str, message: &str| Refusal {
            reason: reason.to_owned(),
            message: message.to_owned(),
        };
        let refusal = match attempted {
            _ if asked => of(Refusal::CANCELLED, "somebody asked for it"),
            Some(Attempted { refusal: Some(refusal), .. }) => refusal.clone(),
            _ => of(Refusal::OUTCOME_UNKNOWN, &self.saga.error),
        };
        self.saga.refusal = Some(refusal);
    }
}
