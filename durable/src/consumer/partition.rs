//! Which part of a feed a stream belongs to. The events of a stream are always
//! in one partition, so that whoever owns it keeps their order.

/// Partitions of every consumer. One number for all, since a change of it would
/// have to stop every replica at once: 16 are shared evenly by 2, 4, 8 and 16
/// replicas and within one partition by any other number below, and cost a row
/// each.
pub(super) const PARTITIONS: i64 = 16;

/// The partition of a stream: FNV-1a of its name, and two rounds of MurmurHash3's
/// finalizer, since names that differ in a digit differ in few bits of the former.
/// Stored places depend on it, so it never changes.
pub(super) fn of(stream: &str) -> i64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let hash =
        stream.bytes().fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    let once = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let twice = (once ^ (once >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    let number = (twice ^ (twice >> 33)) % PARTITIONS.unsigned_abs();
    i64::try_from(number).expect("it is less than the number of partitions")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_stays_in_its_partition_for_ever() {
        let known = [("projects/1", 15), ("projects/2", 3), ("orders/abc", 8)];
        for (stream, partition) in known {
            assert_eq!(of(stream), partition, "{stream}");
        }
    }

    #[test]
    fn streams_spread_over_the_partitions() {
        let mut counts = [0; 16];
        for number in 0..1_600 {
            counts[usize::try_from(of(&format!("orders/{number:08x}"))).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (50..200).contains(count)), "{counts:?}");
    }
}
