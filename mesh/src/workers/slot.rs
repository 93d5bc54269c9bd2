//! A worker's number and what is known of it: a place in a fixed table, found on
//! the hot path through a thread-local number, without a lock or an allocation.

use std::{
    cell::Cell,
    sync::atomic::{
        AtomicBool,
        Ordering::{AcqRel, Release},
    },
};

/// Most workers of a process that have a number. Those of a larger machine work
/// too, but count as "no worker" where numbers matter.
const MOST: usize = 64;

/// Numbers that [`current`] can tell: the workers' and zero.
pub(crate) const NUMBERS: usize = MOST + 1;

thread_local! {
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

static SLOTS: [Slot; NUMBERS] = [const { Slot::new() }; NUMBERS];

/// A place in the table. Number zero stands for every thread that has no place.
/// Aligned, so that no worker writes to another's cache line.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Slot {
    taken: AtomicBool,
}

impl Slot {
    const fn new() -> Self {
        Self { taken: AtomicBool::new(false) }
    }
}

/// A number that is a worker's own until this is dropped.
#[derive(Debug)]
pub(super) struct Number(usize);

impl Number {
    /// The lowest free one.
    pub(super) fn take() -> Self {
        let free = |slot: &Slot| !slot.taken.swap(true, AcqRel);
        Self((1..SLOTS.len()).find(|number| free(&SLOTS[*number])).unwrap_or(0))
    }

    pub(super) fn get(&self) -> usize {
        self.0
    }

    /// From here on this thread is that worker.
    pub(super) fn settle(&self) {
        CURRENT.set(self.0);
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        SLOTS[self.0].taken.store(false, Release);
    }
}

/// The number of the worker that runs this, from 1; zero on every other thread.
#[must_use]
pub fn current() -> usize {
    CURRENT.get()
}
