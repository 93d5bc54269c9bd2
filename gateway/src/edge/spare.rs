//! Header maps that are used again. A map for the headers of an answer is larger
//! than what an allocator gives at once, and hyper keeps that of the last answer
//! for the next request: so there is one too many with each request, and one too
//! few.

use std::cell::RefCell;

use http::HeaderMap;

/// Headers that an answer mostly has in the end, those among them that the edge
/// adds: a map that grows is made twice.
const USUAL: usize = 12;
/// Largest map that is kept, by the headers that it has room for; two kilobytes.
const LARGEST: usize = 24;
/// Maps that a thread keeps. More than one is kept only after answers that needed
/// none of their own.
const MOST: usize = 8;

thread_local! {
    static SPARE: RefCell<Vec<HeaderMap>> = const { RefCell::new(Vec::new()) };
}

/// An empty map, with room for what an answer mostly has.
pub(super) fn take() -> HeaderMap {
    let spare = SPARE.with_borrow_mut(Vec::pop);
    spare.unwrap_or_else(|| HeaderMap::with_capacity(USUAL))
}

/// Keeps a map that is not needed any more; its headers are gone.
pub(super) fn give(mut map: HeaderMap) {
    if (USUAL..=LARGEST).contains(&map.capacity()) {
        map.clear();
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < MOST {
                spare.push(map);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    #[test]
    fn a_map_comes_back_empty_and_a_small_or_large_one_does_not() {
        let mut map = take();
        assert!(map.capacity() >= USUAL);
        map.insert(header::HOST, "a".parse().unwrap());
        give(map);
        give(HeaderMap::new());
        give(HeaderMap::with_capacity(LARGEST + 1));
        assert_eq!(SPARE.with_borrow(Vec::len), 1);
        assert!(take().is_empty());
        for _ in 0..2 * MOST {
            give(HeaderMap::with_capacity(USUAL));
        }
        assert_eq!(SPARE.with_borrow(Vec::len), MOST);
    }
}
