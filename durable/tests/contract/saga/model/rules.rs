//! What must come of a saga, told as a program that a reader can follow: its calls,
//! its history, and what its participants are left with.

use std::collections::{BTreeSet, VecDeque};

use durable::saga::{Direction, Direction::Do, Direction::Undo, Status};

pub(crate) const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// A definition.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) steps: Vec<StepShape>,
    pub(crate) pivot: Option<usize>,
}

#[derive(Clone, Debug)]
pub(crate) struct StepShape {
    pub(crate) undoable: bool,
    pub(crate) attempts: u32,
    pub(crate) undo_attempts: u32,
    /// An attempt has so little time that only who answers at once answers in time.
    pub(crate) hasty: bool,
}

impl Shape {
    pub(crate) fn pivot(&self) -> usize {
        self.pivot.unwrap_or(self.steps.len())
    }

    /// Nobody stands still or asks for anything in a step that is given up in a
    /// moment, and nobody waits an hour for the others.
    pub(crate) fn turn(&self, step: usize, (fate, verb): Turn) -> Turn {
        match (self.steps[step].hasty, fate) {
            (true, Fate::Die { .. } | Fate::Stall { .. }) => (Fate::Hang, None),
            (true, _) => (fate, None),
            (false, Fate::Hang) => (Fate::AnswerLost, verb),
            (false, _) => (fate, verb),
        }
    }
}

/// What befalls a call, and what a human asks for while it is under way.
pub(crate) type Turn = (Fate, Option<Verb>);

/// What befalls one call of an action or a compensation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered,
    Refused,
    /// The request is lost.
    Lost,
    /// It takes effect, and the answer is lost.
    AnswerLost,
    Panic,
    /// It takes effect, and is never answered.
    Hang,
    /// It arrives so many calls later, unheard.
    Late(usize),
    /// The process dies, after it took effect or before.
    Die {
        after: bool,
    },
    /// The process stands still until the saga is another's, and goes on so many
    /// calls later as if nothing had happened.
    Stall {
        after: bool,
        calls: usize,
    },
    /// It is answered, and the process was asked to end meanwhile.
    Stop,
}

/// What a human asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Cancel,
    Retry,
    Skip,
}

/// What an engine is told, if it is there to hear it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Refused,
    Unknown,
    Cut,
}

/// A participant as it must be: one effect for each key, and none after its undoing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Participant {
    pub(crate) done: BTreeSet<String>,
    pub(crate) undone: BTreeSet<String>,
}

impl Participant {
    pub(crate) fn call(&mut self, direction: Direction, key: &str, willing: bool) -> Answer {
        let known = self.done.contains(key);
        match direction {
            Do if !self.undone.is_empty() || !(known || willing) => Answer::Refused,
            Undo if !willing => Answer::Refused,
            Do => {
                self.done.insert(key.to_owned());
                Answer::Done
            }
            Undo => {
                self.undone.insert(key.to_owned());
                Answer::Done
            }
        }
    }

    pub(crate) fn is_in_effect(&self) -> bool {
        !self.done.is_empty() && self.undone.is_empty()
    }
}

/// A request that has not arrived.
#[derive(Clone, Debug)]
pub(crate) struct Late {
    pub(crate) calls: usize,
    pub(crate) step: usize,
    pub(crate) direction: Direction,
    pub(crate) key: String,
}

pub(crate) fn key(saga: &str, step: usize, direction: Direction) -> String {
    let direction = if direction == Do { "do" } else { "undo" };
    format!("model/{saga}/{}/{direction}", NAMES[step])
}

/// Participants, and requests on their way to them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    pub(crate) participants: Vec<Participant>,
    late: Vec<Late>,
}

impl Network {
    pub(crate) fn new(shape: &Shape) -> Self {
        Self { participants: vec![Participant::default(); shape.steps.len()], late: Vec::new() }
    }

    /// One call later.
    pub(crate) fn tick(&mut self) {
        self.late.iter_mut().for_each(|late| late.calls -= 1);
        let due: Vec<_> = self.late.extract_if(.., |late| late.calls == 0).collect();
        self.arrive(due);
    }

    /// Everything that is on its way arrives.
    pub(crate) fn flush(&mut self) {
        let all = std::mem::take(&mut self.late);
        self.arrive(all);
    }

    fn arrive(&mut self, all: Vec<Late>) {
        for Late { step, direction, key, .. } in all {
            self.participants[step].call(direction, &key, true);
        }
    }

    /// What becomes of a call.
    pub(crate) fn call(
        &mut self,
        fate: Fate,
        step: usize,
        direction: Direction,
        key: &str,
    ) -> Answer {
        let participant = &mut self.participants[step];
        let mut effect = || participant.call(direction, key, true);
        match fate {
            Fate::Answered | Fate::Stop => return effect(),
            Fate::Refused => return participant.call(direction, key, false),
            Fate::AnswerLost
            | Fate::Hang
            | Fate::Die { after: true }
            | Fate::Stall { after: true, .. } => {
                effect();
            }
            Fate::Late(calls) | Fate::Stall { after: false, calls } => {
                self.late.push(Late { calls, step, direction, key: key.to_owned() });
            }
            Fate::Lost | Fate::Panic | Fate::Die { after: false } => {}
        }
        match fate {
            Fate::Die { .. } | Fate::Stall { .. } => Answer::Cut,
            _ => Answer::Unknown,
        }
    }
}

/// What must come of it.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) network: Network,
    pub(crate) calls: Vec<String>,
    pub(crate) story: Vec<String>,
    /// What humans were told: whether it will be done.
    pub(crate) granted: Vec<bool>,
    pub(crate) effects: BTreeSet<String>,
    pub(crate) refusal: Option<&'static str>,
    pub(crate) skipped: bool,
    shape: Shape,
    saga: String,
    turns: VecDeque<Turn>,
    decisions: VecDeque<Verb>,
    /// Somebody wants it cancelled.
    wish: bool,
}

/// How the way forward or back ended.
enum Way {
    Over(Status),
    /// It is to be undone below this step.
    Back(usize),
}

impl Expected {
    pub(crate) fn of(
        saga: &str,
        shape: &Shape,
        turns: &[Turn],
        decisions: &[Verb],
    ) -> (Self, Status) {
        let mut it = Self {
            network: Network::new(shape),
            calls: Vec::new(),
            story: vec!["> Started".into()],
            granted: Vec::new(),
            effects: BTreeSet::new(),
            refusal: None,
            skipped: false,
            shape: shape.clone(),
            saga: saga.to_owned(),
            turns: turns.iter().copied().collect(),
            decisions: decisions.iter().copied().collect(),
            wish: false,
        };
        let status = match it.forward() {
            Way::Over(status) => status,
            Way::Back(below) => it.back(below),
        };
        it.network.flush();
        let arrow = if status == Status::Completed { ">" } else { "<" };
        it.story.push(format!("{arrow} Ended"));
        let status = if it.skipped { Status::Resolved } else { status };
        (it, status)
    }

    fn note(&mut self, direction: Direction, step: usize, what: &str) {
        let arrow = if direction == Do { '>' } else { '<' };
        let name = NAMES.get(step).filter(|_| step < self.shape.steps.len());
        self.story.push(format!("{arrow}{} {what}", name.copied().unwrap_or_default()));
    }

    /// One call, and what a human asks for while it is under way.
    fn call(&mut self, step: usize, direction: Direction) -> (Answer, Fate) {
        let key = key(&self.saga, step, direction);
        self.network.tick();
        self.calls.push(key.clone());
        let turn = self.turns.pop_front().unwrap_or((Fate::Answered, None));
        let (fate, verb) = self.shape.turn(step, turn);
        if let Some(verb) = verb {
            let granted = verb == Verb::Cancel && direction == Do && step < self.shape.pivot();
            self.granted.push(granted);
            if granted {
                self.note(direction, step, "Asked");
                self.wish = true;
            }
        }
        (self.network.call(fate, step, direction, &key), fate)
    }

    fn forward(&mut self) -> Way {
        let pivot = self.shape.pivot();
        let (mut step, mut failed, mut doubtful) = (0, 0, false);
        while step < self.shape.steps.len() {
            if self.wish {
                // Whoever has taken it over does not call first.
                return self.cancelled(step, doubtful);
            }
            let (answer, fate) = self.call(step, Do);
            match answer {
                Answer::Cut => doubtful = true,
                Answer::Done => {
                    self.note(Do, step, "Done");
                    self.effects.insert(NAMES[step].into());
                    step += 1;
                    // Another process takes the next step, and cannot know that
                    // nobody has called.
                    (failed, doubtful) = (0, fate == Fate::Stop);
                    if self.wish && step < pivot && step < self.shape.steps.len() {
                        return self.cancelled(step, false);
                    }
                    self.too_late(Do, step);
                }
                Answer::Refused | Answer::Unknown => {
                    let refused = answer == Answer::Refused;
                    self.note(Do, step, if refused { "Refused" } else { "Unknown" });
                    failed += 1;
                    let spent = failed >= self.shape.steps[step].attempts;
                    doubtful |= !refused;
                    match step < pivot {
                        true if refused || spent => {
                            self.refusal =
                                Some(if refused { "SOLD_OUT" } else { "OUTCOME_UNKNOWN" });
                            return Way::Back(if doubtful { step + 1 } else { step });
                        }
                        true if self.wish => return self.cancelled(step, true),
                        true => {}
                        false if spent => match self.ask(Do, step) {
                            Verb::Retry => failed = 0,
                            _ => (step, failed, doubtful) = (step + 1, 0, false),
                        },
                        false => {}
                    }
                }
            }
        }
        self.effects.insert("completed".into());
        Way::Over(Status::Completed)
    }

    fn cancelled(&mut self, step: usize, doubtful: bool) -> Way {
        self.wish = false;
        self.note(Do, step, "Cancelled");
        self.refusal = Some("CANCELLED");
        Way::Back(if doubtful { step + 1 } else { step })
    }

    fn too_late(&mut self, direction: Direction, step: usize) {
        if std::mem::take(&mut self.wish) {
            self.note(direction, step, "TooLate");
        }
    }

    fn back(&mut self, below: usize) -> Status {
        let mut next = self.next_undo(below);
        match next {
            Some(step) => self.too_late(Undo, step),
            None => self.too_late(Do, usize::MAX),
        }
        while let Some(step) = next {
            let mut failed = 0;
            loop {
                match self.call(step, Undo).0 {
                    Answer::Cut => continue,
                    Answer::Done => {
                        self.note(Undo, step, "Done");
                        break;
                    }
                    Answer::Refused => self.note(Undo, step, "Refused"),
                    Answer::Unknown => self.note(Undo, step, "Unknown"),
                }
                failed += 1;
                if failed >= self.shape.steps[step].undo_attempts {
                    match self.ask(Undo, step) {
                        Verb::Retry => failed = 0,
                        _ => break,
                    }
                }
            }
            next = self.next_undo(step);
        }
        self.effects.insert("compensated".into());
        Status::Compensated
    }

    /// The next step below this that has a compensation.
    fn next_undo(&mut self, below: usize) -> Option<usize> {
        for step in (0..below).rev() {
            if self.shape.steps[step].undoable {
                return Some(step);
            }
            self.note(Undo, step, "Waived");
        }
        None
    }

    /// A human decides, and has the right to be refused before.
    fn ask(&mut self, direction: Direction, step: usize) -> Verb {
        self.note(direction, step, "NeedsAttention");
        self.network.flush();
        loop {
            let verb = self.decisions.pop_front().unwrap_or(Verb::Retry);
            self.granted.push(verb != Verb::Cancel);
            match verb {
                Verb::Cancel => continue,
                Verb::Retry => self.note(direction, step, "Retried"),
                Verb::Skip => {
                    self.note(direction, step, "Asked");
                    self.note(direction, step, "Skipped");
                    self.skipped = true;
                }
            }
            return verb;
        }
    }
}
