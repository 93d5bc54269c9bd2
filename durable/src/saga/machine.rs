//! The rules of a saga as a pure state machine: where it is and what came of
//! the step make where it goes next. No clock, no database, no randomness, so
//! that millions of histories can be tried in a test.
//!
//! A step whose action was once sent without an answer stays *doubtful*: even
//! when a repetition is refused, the first one may still be on its way. It is
//! undone with the others; undoing what never happened is a success, and
//! leaves the tombstone that refuses the latecomer.

#[cfg(test)]
mod tests;

/// Which way a step is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The action itself.
    Do,
    /// Its compensation.
    Undo,
}

/// What the rules must know of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// It has a compensation; `false` when that was waived.
    pub(crate) undoable: bool,
    /// Attempts at the action before it is given up.
    pub(crate) attempts: u32,
    /// Attempts at the compensation before a human is asked.
    pub(crate) undo_attempts: u32,
}

/// The steps of a definition in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) rules: Vec<Rule>,
    /// Steps from this one on are only ever gone forward.
    pub(crate) pivot: usize,
}

/// Where a saga is. All that is needed to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) place: Place,
    /// A step or a compensation was left out by decision of a human, so the end
    /// is not what its name would say.
    pub(crate) skipped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The action of a step is to be called, or called again.
    Doing { step: usize, attempts: u32, doubtful: bool },
    /// The compensation of a step is.
    Undoing { step: usize, attempts: u32 },
    /// A human has to decide on a step.
    Attention { step: usize, direction: Direction },
    /// All steps were done.
    Forward,
    /// All steps that may have been done were undone.
    Back,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It happened.
    Done,
    /// It certainly did not, and never will.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// The next place, and the steps whose compensation was waived on the way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Next {
    pub(crate) state: State,
    pub(crate) waived: Vec<usize>,
}

impl From<State> for Next {
    fn from(state: State) -> Self {
        Self { state, waived: Vec::new() }
    }
}

impl Place {
    fn doing(step: usize) -> Self {
        Self::Doing { step, attempts: 0, doubtful: false }
    }

    fn undoing(step: usize) -> Self {
        Self::Undoing { step, attempts: 0 }
    }
}

impl State {
    /// The place of a saga that has just begun.
    pub(crate) fn first() -> Self {
        Self { place: Place::doing(0), skipped: false }
    }

    fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    /// Taken up after a crash or a wait: an action that was to be called may
    /// have been.
    pub(crate) fn resumed(self) -> Self {
        match self.place {
            Place::Doing { step, attempts, .. } => {
                self.at(Place::Doing { step, attempts, doubtful: true })
            }
            _ => self,
        }
    }
}

impl Plan {
    /// What follows from an attempt. Nothing follows in a place where none is
    /// made.
    pub(crate) fn after(&self, state: State, outcome: Outcome) -> Next {
        match state.place {
            Place::Doing { step, attempts, doubtful } => {
                self.after_do(state, step, attempts, doubtful, outcome)
            }
            Place::Undoing { step, attempts } => self.after_undo(state, step, attempts, outcome),
            Place::Attention { .. } | Place::Forward | Place::Back => state.into(),
        }
    }

    fn after_do(
        &self,
        state: State,
        step: usize,
        attempts: u32,
        doubtful: bool,
        outcome: Outcome,
    ) -> Next {
        let spent = attempts.saturating_add(1) >= self.rules[step].attempts;
        match outcome {
            Outcome::Done => self.forward(state, step).into(),
            Outcome::Refused if step < self.pivot => {
                self.back(state, if doubtful { step + 1 } else { step })
            }
            Outcome::Unknown if step < self.pivot && spent => self.back(state, step + 1),
            Outcome::Refused | Outcome::Unknown if step >= self.pivot && spent => {
                state.at(Place::Attention { step, direction: Direction::Do }).into()
            }
            Outcome::Refused | Outcome::Unknown => {
                let doubtful = doubtful || outcome == Outcome::Unknown;
                let attempts = attempts.saturating_add(1);
                state.at(Place::Doing { step, attempts, doubtful }).into()
            }
        }
    }

    fn after_undo(&self, state: State, step: usize, attempts: u32, outcome: Outcome) -> Next {
        let attempts = attempts.saturating_add(1);
        match outcome {
            Outcome::Done => self.back(state, step),
            Outcome::Refused | Outcome::Unknown if attempts >= self.rules[step].undo_attempts => {
                state.at(Place::Attention { step, direction: Direction::Undo }).into()
            }
            Outcome::Refused | Outcome::Unknown => {
                state.at(Place::Undoing { step, attempts }).into()
            }
        }
    }

    /// What follows from a human's wish to end it: compensation, while that is
    /// possible. `None` when it is not: past the pivot, or on the way back.
    pub(crate) fn cancelled(&self, state: State) -> Option<Next> {
        match state.place {
            Place::Doing { step, doubtful, .. } if step < self.pivot => {
                Some(self.back(state, if doubtful { step + 1 } else { step }))
            }
            Place::Attention { step, direction: Direction::Do } if step < self.pivot => {
                Some(self.back(state, step + 1))
            }
            _ => None,
        }
    }

    /// What follows from a human's decision that a step is to be taken for gone.
    /// `None` when nobody was asked.
    pub(crate) fn skipped(&self, state: State) -> Option<Next> {
        let Place::Attention { step, direction } = state.place else { return None };
        let state = State { skipped: true, ..state };
        Some(match direction {
            Direction::Do => self.forward(state, step).into(),
            Direction::Undo => self.back(state, step),
        })
    }

    fn forward(&self, state: State, done: usize) -> State {
        let next = done + 1;
        state.at(if next < self.rules.len() { Place::doing(next) } else { Place::Forward })
    }

    /// Undoes the steps below `end`, the last one first.
    fn back(&self, state: State, end: usize) -> Next {
        let next = (0..end).rev().find(|step| self.rules[*step].undoable);
        let waived = (next.map_or(0, |step| step + 1)..end).rev().collect();
        Next { state: state.at(next.map_or(Place::Back, Place::undoing)), waived }
    }
}
