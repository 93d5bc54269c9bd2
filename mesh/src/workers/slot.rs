//! A worker's number and what is known of it: a place in a fixed table, found on
//! the hot path through a thread-local number, without a lock or an allocation.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicUsize,
            Ordering::{AcqRel, Relaxed, Release},
        },
    },
};

use crate::contract::Method;

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
    /// Address of the record of the method whose handler runs; zero for none.
    holder: AtomicUsize,
}

impl Slot {
    const fn new() -> Self {
        Self { taken: AtomicBool::new(false), holder: AtomicUsize::new(0) }
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

/// Names who holds a worker's thread, for the watchdog, until it is dropped.
#[derive(Debug)]
pub(crate) struct Holding(usize);

/// From here on this method's handler has the thread. Two stores to a cache line
/// that no other thread writes to; none on threads without a number, which would
/// share one.
pub(crate) fn hold(method: Option<&Arc<Method>>) -> Holding {
    let number = current();
    if number > 0 {
        SLOTS[number].holder.store(method.map_or(0, |method| address(method)), Relaxed);
    }
    Holding(number)
}

impl Drop for Holding {
    fn drop(&mut self) {
        if self.0 > 0 {
            SLOTS[self.0].holder.store(0, Relaxed);
        }
    }
}

/// The address of the method that holds a worker; zero when none does.
pub(super) fn held_by(number: usize) -> usize {
    SLOTS[number].holder.load(Relaxed)
}

/// What [`held_by`] tells of a method.
pub(crate) fn address(method: &Method) -> usize {
    std::ptr::from_ref(method).addr()
}
