//! Faults drawn from a seed: what a network does in its worst hour.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};

use super::{link::Link, memory::Book};

/// Longest quiet between two faults, in milliseconds: several faults overlap a
/// call of a second.
const QUIET: u64 = 400;
/// Longest duration of a fault, in milliseconds: longer than a connection is
/// waited for.
const LASTS: u64 = 3_000;

/// Draws faults upon the ways to these addresses until the time is over, then
/// heals them all.
pub(super) async fn blow(book: &Arc<Book>, addresses: &[SocketAddr], lasts: Duration) {
    let end = Instant::now() + lasts;
    let mut heals: Vec<(Instant, Link)> = Vec::new();
    while Instant::now() < end {
        let now = Instant::now();
        for (_, link) in heals.extract_if(.., |(at, _)| *at <= now) {
            link.heal();
        }
        let mut random = book.pages().random.fork();
        let Some(to) = random.choice(addresses) else { return };
        let link = Link::new(book.clone(), None, *to);
        strike(&link, &mut random);
        heals.push((now + Duration::from_millis(random.u64(1..LASTS)), link));
        sleep(Duration::from_millis(random.u64(1..QUIET))).await;
    }
    sleep_until(end).await;
    for to in addresses {
        Link::new(book.clone(), None, *to).heal();
    }
}

fn strike(link: &Link, random: &mut fastrand::Rng) {
    match random.u8(..6) {
        0 => link.cut(),
        1 => link.refuse().cut(),
        2 => link.black_hole(),
        3 => link.latency(Duration::from_millis(random.u64(1..200))),
        4 => link.jitter(Duration::from_millis(random.u64(1..200))),
        _ => link.bandwidth(random.u32(1_000..100_000)),
    };
}
