//! The hash that callers must agree on: which instance owns a key has to be the
//! same in every process and in every version, which the standard library's
//! hashers do not promise. FNV-1a, whose weak upper bits a finaliser mixes.

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Hashes bytes, differently for every seed.
pub(crate) fn bytes(bytes: &[u8], seed: u64) -> u64 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
    mix(bytes.iter().fold(OFFSET ^ mix(seed), fold))
}

/// Spreads what is different in any bit over all of them (`SplitMix64`).
pub(crate) fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_what_it_is() {
        // Processes of two versions call side by side, and have to agree.
        assert_eq!(bytes(b"users/1", 0), 0x93fa_91a5_ea1e_538e);
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf, "the first number of SplitMix64");
    }

    #[test]
    fn keys_that_are_alike_fall_far_apart() {
        let mut buckets = [0_u32; 16];
        for at in 0..16_000 {
            let hash = bytes(format!("users/{at}").as_bytes(), 0);
            buckets[usize::try_from(hash >> 60).unwrap()] += 1;
        }
        assert!(buckets.iter().all(|count| (850..1_150).contains(count)), "{buckets:?}");
    }
}
