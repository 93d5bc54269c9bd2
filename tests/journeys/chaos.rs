//! Orders and transfers while processes of the shop and the bank are killed at
//! random: in the end every one of them is done or undone, and the books agree.
//!
//! `TITAN_JOURNEY_ORDERS` (that many orders and as many transfers),
//! `TITAN_JOURNEY_KILLS` and `TITAN_JOURNEY_SEED` make it longer or another one.

mod attention;
mod bank;
mod load;
mod projections;
mod reaper;
mod verdict;

use std::{str::FromStr, sync::Mutex, thread, time::Instant};

use self::{bank::Bank, reaper::Reaper};
use crate::{databases::Postgres, shop::Shop, system::System};

/// Every application that has a part in it, twice, so that replicas race.
const APPS: [&str; 5] = ["accounts", "inventory", "orders", "payments", "shipping"];

/// Everyone who has a database.
const DATABASES: [&str; 8] = [
    "accounts",
    "applicants",
    "identity",
    "inventory",
    "orders",
    "payments",
    "projects",
    "shipping",
];

/// How much, and which.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// Orders, and as many transfers.
    orders: usize,
    kills: usize,
    seed: u64,
}

impl Plan {
    fn from_env() -> Self {
        Self {
            orders: set("TITAN_JOURNEY_ORDERS", 24),
            kills: set("TITAN_JOURNEY_KILLS", 6),
            seed: set("TITAN_JOURNEY_SEED", 1),
        }
    }
}

fn set<T: FromStr>(name: &str, default: T) -> T {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

#[test]
fn on_sqlite_every_order_and_transfer_ends_while_processes_are_killed() {
    survive(None);
}

#[test]
fn on_postgresql_every_order_and_transfer_ends_while_processes_are_killed() {
    if let Some(postgres) = Postgres::start(&DATABASES) {
        survive(Some(&postgres.url()));
    }
}

/// On databases of this URL, or those that a system makes by itself.
fn survive(database: Option<&str>) {
    // Two systems of twenty processes at once would only wait for each other.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let plan = Plan::from_env();
    let replicas = APPS.map(|app| format!("{app}=2"));
    let replicas = replicas.iter().flat_map(|replicas| ["--replicas", replicas]);
    let database = database.into_iter().flat_map(|url| ["--database", url]);
    let arguments: Vec<_> = replicas.chain(database.clone()).collect();
    let mut system = System::start_with(&arguments);
    let shop = Shop::open(&system);
    let shelf = load::fill(&shop, plan);
    let bank = Bank::open(&system);

    let started = Instant::now();
    let reaper = Reaper::new(plan);
    let (orders, transfers) = thread::scope(|scope| {
        let killed = scope.spawn(|| reaper.kill(&system));
        let transfers = scope.spawn(|| load::transfer(&system, &bank, plan));
        let orders = load::order(&system, &shelf, plan, || reaper.note_order());
        let transfers = transfers.join().unwrap();
        killed.join().unwrap();
        (orders, transfers)
    });
    let kills = reaper.count();
    assert_eq!(kills.all, plan.kills, "a journey without its crashes proves nothing");
    assert!(kills.under_load > 0, "no kill has interrupted anything: {kills:?}");

    // Nobody ends these but a human.
    let (stuck, mut orders): (Vec<_>, Vec<_>) = orders.into_iter().partition(|it| it.no_refund);
    let resolved = attention::resolve(&system, &stuck);
    orders.extend(stuck);
    let orders = orders.into_iter().map(|it| (it.name, it.total)).collect::<Vec<_>>();
    let orders = verdict::until_ended(&system, "orders", &orders);
    let transfers = verdict::until_ended(&system, "transfers", &transfers);
    let lasted = started.elapsed();
    verdict::of_orders(&system, &shop, &shelf, &orders, &resolved);
    verdict::of_transfers(&system, &bank, &transfers);
    let (bought, moved) = (verdict::done(&orders), verdict::done(&transfers));
    let pauses = attention::longest_pauses(&system, &orders);
    system.down();
    let rows = projections::agree(&system, database.last());
    eprintln!(
        "{plan:?}: {kills:?}; {bought} of {} orders and {moved} of {} transfers completed, {} \
         resolved by hand, the others undone, after {lasted:.1?}; the longest pauses of a saga \
         were {} at a step and {} after a failed attempt; {rows} rows of read models made anew",
        orders.len(),
        transfers.len(),
        resolved.len(),
        pauses.working,
        pauses.waiting,
    );
    assert!(bought > 0 && bought < orders.len(), "both ends are to be seen: {bought}");
    assert!(moved > 0 && moved < transfers.len(), "both ends are to be seen: {moved}");
    assert!(!resolved.is_empty(), "nobody was asked");
}
