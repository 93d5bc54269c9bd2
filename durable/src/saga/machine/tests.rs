//! Random histories against a model of participants and of a network that
//! loses, delays and reorders.

use proptest::prelude::*;

use super::*;

/// A participant as it must be: keys are idempotent, an undo leaves a
/// tombstone, and what arrives after it is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Participant {
    applied: bool,
    tombstone: bool,
}

impl Participant {
    fn act(&mut self, willing: bool) -> Outcome {
        if self.tombstone || !(self.applied || willing) {
            return Outcome::Refused;
        }
        self.applied = true;
        Outcome::Done
    }

    fn undo(&mut self) {
        *self = Self { applied: false, tombstone: true };
    }
}

/// What befalls one attempt.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Answered,
    Refused,
    /// The request is lost.
    Lost,
    /// It happens and the answer is lost.
    AnswerLost,
    /// It arrives some time later, and is not answered.
    Delayed,
    CrashBefore,
    CrashAfter,
}

/// What else happens.
#[derive(Clone, Copy, Debug)]
enum Move {
    Attempt(Fate),
    /// A delayed request arrives.
    Arrival(prop::sample::Index),
    Cancel,
    Retry,
    Skip,
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Answered),
        1 => Just(Fate::Refused),
        1 => Just(Fate::Lost),
        1 => Just(Fate::AnswerLost),
        1 => Just(Fate::Delayed),
        1 => Just(Fate::CrashBefore),
        1 => Just(Fate::CrashAfter),
    ]
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        12 => fates().prop_map(Move::Attempt),
        2 => any::<prop::sample::Index>().prop_map(Move::Arrival),
        1 => Just(Move::Cancel),
        1 => Just(Move::Retry),
        1 => Just(Move::Skip),
    ];
    prop::collection::vec(one, 0..80)
}

fn plans() -> impl Strategy<Value = Plan> {
    let rule = (prop::bool::weighted(0.8), 1_u32..4, 1_u32..4);
    let rule = rule.prop_map(|(undoable, attempts, undo_attempts)| Rule {
        undoable,
        attempts,
        undo_attempts,
    });
    prop::collection::vec(rule, 1..6).prop_flat_map(|rules| {
        let steps = rules.len();
        (Just(rules), 0..=steps).prop_map(|(rules, pivot)| Plan { rules, pivot })
    })
}

/// What a retry by hand makes of the row, and the engine of that.
fn retried(state: State) -> Option<State> {
    let Place::Attention { step, direction } = state.place else { return None };
    let place = match direction {
        Direction::Do => Place::doing(step),
        Direction::Undo => Place::undoing(step),
    };
    Some(state.at(place).resumed())
}

/// A saga among its participants.
struct World {
    plan: Plan,
    state: State,
    participants: Vec<Participant>,
    /// Requests that arrive later.
    delayed: Vec<usize>,
    /// Steps whose action may have happened.
    may: Vec<bool>,
    /// What is known beyond the machine: a fresh intent was never sent.
    sent: bool,
    undone: Vec<usize>,
    waived: Vec<usize>,
    skipped_undos: Vec<usize>,
    skipped: bool,
    commits: usize,
}

impl World {
    fn new(plan: Plan) -> Self {
        let steps = plan.rules.len();
        Self {
            plan,
            state: State::first(),
            participants: vec![Participant::default(); steps],
            delayed: Vec::new(),
            may: vec![false; steps],
            sent: false,
            undone: Vec::new(),
            waived: Vec::new(),
            skipped_undos: Vec::new(),
            skipped: false,
            commits: 1,
        }
    }

    fn make(&mut self, action: Move) {
        match action {
            Move::Attempt(fate) => self.attempt(fate),
            Move::Arrival(index) if !self.delayed.is_empty() => {
                let step = self.delayed.swap_remove(index.index(self.delayed.len()));
                self.participants[step].act(true);
            }
            Move::Arrival(_) => {}
            Move::Cancel => {
                if let Some(next) = self.plan.cancelled(self.state) {
                    self.go(&next);
                }
            }
            Move::Retry => {
                if let Some(state) = retried(self.state) {
                    self.go(&state.into());
                }
            }
            Move::Skip => self.skip(),
        }
    }

    fn attempt(&mut self, fate: Fate) {
        let outcome = match self.state.place {
            Place::Doing { step, .. } => {
                self.sent = true;
                self.act(step, fate)
            }
            Place::Undoing { step, .. } => self.undo(step, fate),
            _ => return,
        };
        match outcome {
            Some(outcome) => {
                let next = self.plan.after(self.state, outcome);
                if let (Place::Undoing { step, .. }, Outcome::Done) = (self.state.place, outcome) {
                    self.undone.push(step);
                }
                self.go(&next);
            }
            None => self.state = self.state.resumed(),
        }
    }

    /// What the engine gets to know; `None` when it died.
    fn act(&mut self, step: usize, fate: Fate) -> Option<Outcome> {
        let participant = &mut self.participants[step];
        let outcome = match fate {
            Fate::Answered => Some(participant.act(true)),
            Fate::Refused => Some(participant.act(false)),
            Fate::Lost => Some(Outcome::Unknown),
            Fate::AnswerLost => {
                participant.act(true);
                Some(Outcome::Unknown)
            }
            Fate::Delayed => {
                self.delayed.push(step);
                Some(Outcome::Unknown)
            }
            Fate::CrashBefore => None,
            Fate::CrashAfter => {
                participant.act(true);
                None
            }
        };
        self.may[step] |= outcome != Some(Outcome::Refused);
        outcome
    }

    fn undo(&mut self, step: usize, fate: Fate) -> Option<Outcome> {
        let participant = &mut self.participants[step];
        match fate {
            Fate::Answered => {
                participant.undo();
                Some(Outcome::Done)
            }
            Fate::Refused => Some(Outcome::Refused),
            Fate::Lost | Fate::Delayed => Some(Outcome::Unknown),
            Fate::AnswerLost => {
                participant.undo();
                Some(Outcome::Unknown)
            }
            Fate::CrashBefore => None,
            Fate::CrashAfter => {
                participant.undo();
                None
            }
        }
    }

    fn skip(&mut self) {
        let Some(next) = self.plan.skipped(self.state) else { return };
        self.skipped = true;
        if let Place::Attention { step, direction: Direction::Undo } = self.state.place {
            self.skipped_undos.push(step);
        }
        self.go(&next);
    }

    fn go(&mut self, next: &Next) {
        self.commits += 1;
        let past = |state: State| match state.place {
            Place::Doing { step, .. } => step >= self.plan.pivot,
            Place::Attention { step, direction: Direction::Do } => step >= self.plan.pivot,
            Place::Forward => true,
            _ => false,
        };
        if past(self.state) {
            assert!(past(next.state), "nothing compensates after the pivot");
        }
        self.waived.extend(&next.waived);
        self.state = next.state;
    }

    fn ended(&self) -> bool {
        matches!(self.state.place, Place::Forward | Place::Back)
    }

    /// A network that has healed and a human who tries again bring it to its end.
    fn finish(&mut self) {
        for _ in 0..1_000 {
            if self.ended() {
                break;
            }
            self.make(Move::Retry);
            self.make(Move::Attempt(Fate::Answered));
        }
        for step in std::mem::take(&mut self.delayed) {
            self.participants[step].act(true);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn every_history_ends_and_its_end_is_true(plan in plans(), moves in moves()) {
        let mut world = World::new(plan);
        moves.into_iter().for_each(|action| world.make(action));
        world.finish();
        prop_assert!(world.ended());
        prop_assert_eq!(world.state.skipped, world.skipped);
        if world.skipped {
            return Ok(());
        }
        for (step, participant) in world.participants.iter().enumerate() {
            match world.state.place {
                Place::Forward => prop_assert!(participant.applied, "step {} is missing", step),
                _ if world.plan.rules[step].undoable => {
                    prop_assert!(!participant.applied, "step {} is left over", step);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn exactly_what_may_have_happened_is_undone_last_first(plan in plans(), moves in moves()) {
        let mut world = World::new(plan);
        moves.into_iter().for_each(|action| world.make(action));
        world.finish();
        let mut gone: Vec<usize> = world.undone.clone();
        gone.extend(&world.waived);
        gone.extend(&world.skipped_undos);
        gone.sort_unstable();
        prop_assert!(world.undone.is_sorted_by(|one, next| one > next), "{:?}", world.undone);
        if world.state.place == Place::Back && !world.skipped {
            let may: Vec<usize> = (0..world.may.len()).filter(|step| world.may[*step]).collect();
            prop_assert_eq!(gone, may);
        }
        if world.state.place == Place::Forward {
            prop_assert!(world.undone.is_empty());
        }
    }

    #[test]
    fn what_was_waived_is_never_undone(plan in plans(), moves in moves()) {
        let mut world = World::new(plan);
        moves.into_iter().for_each(|action| world.make(action));
        world.finish();
        prop_assert!(world.undone.iter().all(|step| world.plan.rules[*step].undoable));
        prop_assert!(world.waived.iter().all(|step| !world.plan.rules[*step].undoable));
    }

    #[test]
    fn steps_that_all_succeed_take_one_commit_more_than_there_are(plan in plans()) {
        let steps = plan.rules.len();
        let mut world = World::new(plan);
        world.finish();
        prop_assert_eq!(world.state, State { place: Place::Forward, skipped: false });
        prop_assert_eq!(world.commits, steps + 1);
    }
}

const RULE: Rule = Rule { undoable: true, attempts: 2, undo_attempts: 2 };

fn plan() -> Plan {
    Plan { rules: vec![RULE, RULE, Rule { undoable: false, ..RULE }], pivot: 2 }
}

fn at(place: Place) -> State {
    State { place, skipped: false }
}

#[test]
fn a_first_refusal_leaves_its_own_step_out() {
    let next = plan().after(at(Place::doing(1)), Outcome::Refused);
    assert_eq!(next.state.place, Place::undoing(0));
}

#[test]
fn a_refusal_after_silence_undoes_its_own_step_too() {
    let doubtful = plan().after(at(Place::doing(1)), Outcome::Unknown).state;
    let next = plan().after(doubtful, Outcome::Refused);
    assert_eq!(next.state.place, Place::undoing(1));
}

#[test]
fn silence_to_the_limit_undoes_its_own_step_too() {
    let once = plan().after(at(Place::doing(0)), Outcome::Unknown).state;
    assert_eq!(once.place, Place::Doing { step: 0, attempts: 1, doubtful: true });
    let twice = plan().after(once, Outcome::Unknown).state;
    assert_eq!(twice.place, Place::undoing(0));
}

#[test]
fn past_the_pivot_a_human_is_asked() {
    let once = plan().after(at(Place::doing(2)), Outcome::Refused).state;
    let twice = plan().after(once, Outcome::Unknown).state;
    assert_eq!(twice.place, Place::Attention { step: 2, direction: Direction::Do });
    assert_eq!(plan().cancelled(twice), None);
}

#[test]
fn an_undo_that_was_skipped_is_not_called_undone() {
    let asked = at(Place::Attention { step: 0, direction: Direction::Undo });
    let next = plan().skipped(asked).expect("somebody was asked");
    assert_eq!(next.state, State { place: Place::Back, skipped: true });
}

#[test]
fn the_outcome_that_comes_when_nobody_waits_changes_nothing() {
    for place in [Place::Forward, Place::Back] {
        for outcome in [Outcome::Done, Outcome::Refused, Outcome::Unknown] {
            assert_eq!(plan().after(at(place), outcome).state, at(place));
        }
    }
}
