//! Every crash point, at every step, in every direction, on every database: the
//! end is that of the run to which nothing happened.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::process::ExitStatusExt as _,
};

use futures_util::{StreamExt as _, stream};

use crate::{
    process::{Case, Found, cases},
    program::SCENARIOS,
};

/// Processes at the same time: most of the time they wait for the leases of
/// those that crashed to run out.
const AT_ONCE: usize = 12;
const SIGABRT: i32 = 6;

/// Those that a saga passes at each step; the others depend on timing, too.
const OF_STEPS: [&str; 6] = [
    "saga.action.before",
    "saga.action.after",
    "saga.result.before_commit",
    "saga.result.after_commit",
    "participant.before_commit",
    "participant.after_commit",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_point_of_any_step_changes_nothing() {
    let mut crashes: BTreeMap<String, u32> = BTreeMap::new();
    for scenario in SCENARIOS {
        for case in cases(scenario).await {
            let (baseline, passed) = undisturbed(&case).await;
            let (name, backend) = (case.name(), case.name());
            let places: Vec<(String, u32)> = passed
                .iter()
                .flat_map(|(point, times)| (1..=*times).map(|number| (point.clone(), number)))
                .collect();
            let runs = places.iter().map(|(point, number)| {
                let baseline = &baseline;
                async move {
                    (point, *number, crashed(scenario, backend, point, *number, baseline).await)
                }
            });
            let ended: Vec<_> = stream::iter(runs).buffer_unordered(AT_ONCE).collect().await;
            for (point, number, crashed) in ended {
                let of_step = OF_STEPS.contains(&&**point);
                assert!(crashed || !of_step, "{name} {scenario}: {point}:{number} was not passed");
                *crashes.entry(point.clone()).or_default() += u32::from(crashed);
            }
        }
    }
    println!("crashes by point: {crashes:#?}");
    println!("crashes: {}", crashes.values().sum::<u32>());
    let never: BTreeSet<_> = crashes.iter().filter(|(_, times)| **times == 0).collect();
    assert!(never.is_empty() && !crashes.is_empty(), "no crash at {never:?}");
}

/// A run without a crash: what it leaves, and how often it passes each point.
async fn undisturbed(case: &Case) -> (Found, BTreeMap<String, u32>) {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("points");
    let (status, words) = case.run(&[], &[("TITAN_CRASH_LIST", list.to_str().unwrap())]).await;
    assert!(status.success() && words == ["planned", "over"], "{status} {words:?}");
    let mut passed = BTreeMap::new();
    for point in std::fs::read_to_string(list).unwrap().lines() {
        *passed.entry(point.to_owned()).or_default() += 1;
    }
    for point in OF_STEPS {
        assert!(passed.contains_key(point), "{point} is not passed: {passed:?}");
    }
    (case.found().await, passed)
}

/// Whether the program crashed there; what it then leaves is compared.
async fn crashed(
    scenario: &'static str,
    backend: &str,
    point: &str,
    number: u32,
    baseline: &Found,
) -> bool {
    let case = cases(scenario).await.into_iter().find(|case| case.name() == backend).unwrap();
    let (status, _) = case.run(&[], &[("TITAN_CRASH_AT", &format!("{point}:{number}"))]).await;
    let crashed = status.signal() == Some(SIGABRT);
    assert!(crashed || status.success(), "{backend} {scenario} {point}:{number}: {status}");
    if crashed {
        let (status, words) = case.run(&[], &[]).await;
        assert!(status.success(), "{backend} {scenario} {point}:{number}: {status}");
        assert_eq!(words, ["planned", "over"], "{backend} {scenario} {point}:{number}");
    }
    assert_eq!(case.found().await, *baseline, "{backend} {scenario} {point}:{number}");
    crashed
}
