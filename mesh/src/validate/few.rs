//! A list that lives on the stack while it is short, so that the usual message
//! is checked without an allocation.

/// Sixteen slots hold the fields of nearly every message of a contract in less
/// than half a kilobyte of stack per level.
const INLINE: usize = 16;

pub(super) struct Few<T> {
    inline: [T; INLINE],
    len: usize,
    /// Holds everything once the inline part has overflowed.
    spill: Vec<T>,
}

impl<T: Copy> Few<T> {
    /// An empty list; `blank` fills unused slots.
    pub(super) fn new(blank: T) -> Self {
        Self { inline: [blank; INLINE], len: 0, spill: Vec::new() }
    }

    /// A list of `len` times `value`.
    pub(super) fn filled(value: T, len: usize) -> Self {
        let spill = if len > INLINE { vec![value; len] } else { Vec::new() };
        Self { inline: [value; INLINE], len, spill }
    }

    pub(super) fn push(&mut self, value: T) {
        match self.inline.get_mut(self.len) {
            Some(slot) => *slot = value,
            None => {
                if self.spill.is_empty() {
                    self.spill.extend_from_slice(&self.inline);
                }
                self.spill.push(value);
            }
        }
        self.len += 1;
    }

    pub(super) fn as_slice(&self) -> &[T] {
        if self.len > INLINE { &self.spill } else { &self.inline[..self.len] }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        if self.len > INLINE { &mut self.spill } else { &mut self.inline[..self.len] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_its_order_when_it_outgrows_the_stack() {
        let mut list = Few::new(0);
        for value in 0..40 {
            list.push(value);
            assert_eq!(list.as_slice().len(), value + 1);
        }
        assert!(list.as_slice().iter().copied().eq(0..40));
    }

    #[test]
    fn a_filled_list_has_the_length_asked_for() {
        for len in [0, 1, INLINE, INLINE + 1, 3 * INLINE] {
            assert_eq!(Few::filled(7, len).as_mut_slice(), vec![7; len]);
        }
    }
}
