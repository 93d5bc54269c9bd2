//! Which fields a request has given so far, so that none is given twice and no
//! two of one oneof are.

use super::Step;
use crate::program::{Label, Programs};

/// Singular fields that are given, by their paths of numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    fields: Vec<Vec<u32>>,
    oneofs: Vec<Choice>,
}

/// A member of a oneof that is given.
#[derive(Clone, Debug)]
struct Choice {
    /// The message it is a field of.
    within: Vec<u32>,
    oneof: u16,
    chosen: Step,
}

/// What keeps a field from being given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is given already.
    Itself,
    /// This other field of its oneof is.
    By(Step),
}

impl Given {
    /// Notes a field.
    pub(super) fn add(&mut self, programs: &Programs, steps: &[Step]) -> Result<(), Taken> {
        let numbers: Vec<u32> = steps.iter().map(|step| step.of(programs).number).collect();
        for (at, step) in steps.iter().enumerate() {
            self.choose(programs, &numbers[..at], *step)?;
        }
        // A list may be given again.
        let is_list =
            steps.last().is_some_and(|step| matches!(step.of(programs).label, Label::List { .. }));
        if is_list {
            return Ok(());
        }
        if self.has(&numbers) {
            return Err(Taken::Itself);
        }
        self.fields.push(numbers);
        Ok(())
    }

    /// Whether a field is given, by its path of numbers.
    pub(super) fn has(&self, numbers: &[u32]) -> bool {
        self.fields.iter().any(|field| field == numbers)
    }

    fn choose(&mut self, programs: &Programs, within: &[u32], step: Step) -> Result<(), Taken> {
        let Some(oneof) = step.of(programs).oneof else { return Ok(()) };
        let same = |choice: &&Choice| choice.oneof == oneof && choice.within == within;
        match self.oneofs.iter().find(same) {
            Some(choice) if choice.chosen != step => Err(Taken::By(choice.chosen)),
            Some(_) => Ok(()),
            None => {
                self.oneofs.push(Choice { within: within.to_vec(), oneof, chosen: step });
                Ok(())
            }
        }
    }
}
