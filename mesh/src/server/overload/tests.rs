//! Places are neither lost nor invented, whoever leaves when.

use prost::Message as _;
use prost_types::{
    DescriptorProto, FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto,
    ServiceDescriptorProto,
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::*;
use crate::contract::Contracts;
use crate::telemetry::page::Format;

/// A method of a contract that is not the mesh's own.
pub(super) fn method() -> Arc<Method> {
    compiled("test.v1", false)
}

fn compiled(package: &str, server_streaming: bool) -> Arc<Method> {
    let kind = Some(format!(".{package}.Nothing"));
    let file = FileDescriptorProto {
        name: Some("test.proto".to_owned()),
        package: Some(package.to_owned()),
        syntax: Some("proto3".to_owned()),
        message_type: vec![DescriptorProto {
            name: Some("Nothing".to_owned()),
            ..DescriptorProto::default()
        }],
        service: vec![ServiceDescriptorProto {
            name: Some("Work".to_owned()),
            method: vec![MethodDescriptorProto {
                name: Some("Do".to_owned()),
                input_type: kind.clone(),
                output_type: kind,
                server_streaming: Some(server_streaming),
                ..MethodDescriptorProto::default()
            }],
            ..ServiceDescriptorProto::default()
        }],
        ..FileDescriptorProto::default()
    };
    let set = FileDescriptorSet { file: vec![file] }.encode_to_vec();
    let contracts = Contracts::load(&[&set]).unwrap();
    contracts.method(&format!("/{package}.Work/Do")).unwrap().clone()
}

fn overload(places: u32) -> Arc<Overload> {
    let config =
        Config { start: places, min: places, max: places, streams: 1, ..Config::default() };
    Overload::new(&config).unwrap()
}

fn is_idle(overload: &Overload) -> bool {
    overload.state.load(Relaxed) == 0 && overload.crowded().queue.is_empty()
}

fn shed(status: &Status) -> bool {
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status::reason(status).as_deref(), Some("OVERLOADED"));
    let delay = status.get_details_retry_info().unwrap().retry_delay.unwrap();
    let pushback: u128 =
        status.metadata().get(PUSHBACK).unwrap().to_str().unwrap().parse().unwrap();
    assert_eq!(pushback, delay.as_millis());
    (100..=200).contains(&pushback)
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_place_in_time_is_told_when_to_come_back() {
    let (overload, method) = (overload(1), method());
    let held = overload.enter(Some(&method), Criticality::Sheddable, Instant::now()).await.unwrap();
    let waited = Instant::now();
    let status =
        overload.enter(Some(&method), Criticality::Sheddable, Instant::now()).await.unwrap_err();
    assert!(shed(&status));
    assert_eq!(waited.elapsed().as_millis() / 10, 10, "one interval of 100 ms");
    drop(held);
    assert!(is_idle(&overload));
    let mut page = Page::new(Format::Prometheus);
    overload.page(&mut page);
    let page = page.finish();
    for line in [
        "titan_server_overload_limit 1\n",
        "titan_server_overload_in_flight 0\n",
        "titan_server_overload_queued 0\n",
        "titan_server_overload_streams 0\n",
        "titan_server_overload_shed_total{criticality=\"SHEDDABLE\"} 1\n",
        "titan_server_overload_shed_total{criticality=\"CRITICAL_PLUS\"} 0\n",
    ] {
        assert!(page.contains(line), "{line} is missing in\n{page}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_free_place_goes_to_the_highest_class() {
    let (overload, method) = (overload(1), method());
    let held = overload.enter(Some(&method), Criticality::Sheddable, Instant::now()).await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = tokio::task::JoinSet::new();
    for class in Criticality::ALL {
        let (overload, method, order) = (overload.clone(), method.clone(), order.clone());
        waiting.spawn(async move {
            let _place = overload.enter(Some(&method), class, Instant::now()).await.unwrap();
            order.lock().unwrap().push(class);
        });
    }
    while overload.crowded().queue.len() < CLASSES {
        tokio::task::yield_now().await;
    }
    drop(held);
    waiting.join_all().await;
    let highest_first: Vec<_> = Criticality::ALL.into_iter().rev().collect();
    assert_eq!(*order.lock().unwrap(), highest_first);
    assert!(is_idle(&overload));
}

#[tokio::test(start_paused = true)]
async fn an_answered_call_gives_its_place_back_and_a_stream_does_not() {
    let (overload, call, stream) = (overload(1), method(), compiled("test.v1", true));
    let place = overload.enter(Some(&call), Criticality::Critical, Instant::now()).await.unwrap();
    let _answered = place.answered(true, Instant::now());
    assert!(is_idle(&overload));

    let place = overload.enter(Some(&stream), Criticality::Critical, Instant::now()).await.unwrap();
    let place = place.answered(true, Instant::now());
    assert!(is_idle(&overload), "streams are counted apart");
    let status =
        overload.enter(Some(&stream), Criticality::Critical, Instant::now()).await.unwrap_err();
    assert!(shed(&status));
    drop(place);
    let _again =
        overload.enter(Some(&stream), Criticality::Critical, Instant::now()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_the_mesh_itself_serves_is_always_taken() {
    let overload = overload(1);
    let method = method();
    let _held = overload.enter(Some(&method), Criticality::Critical, Instant::now()).await.unwrap();
    for streaming in [false, true] {
        let method = compiled("titan.mesh.v9", streaming);
        for _ in 0..3 {
            std::mem::forget(
                overload
                    .enter(Some(&method), Criticality::Sheddable, Instant::now())
                    .await
                    .unwrap(),
            );
        }
    }
    // Health and reflection have no contract here.
    let _health = overload.enter(None, Criticality::Sheddable, Instant::now()).await.unwrap();
    assert_eq!(overload.at_work(), 1);
}

#[tokio::test(start_paused = true)]
async fn calls_that_hang_lower_the_limit_when_they_are_given_up() {
    let config = Config { start: 20, min: 2, ..Config::default() };
    let (overload, method) = (Overload::new(&config).unwrap(), method());
    for _ in 0..100 {
        method.usual.learn(Duration::from_millis(10), false);
    }
    for _ in 0..20 {
        let mut held = Vec::new();
        while overload.at_work() < overload.limit.load(Relaxed) {
            held.push(
                overload.enter(Some(&method), Criticality::Critical, Instant::now()).await.unwrap(),
            );
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(held);
    }
    assert!(overload.limit.load(Relaxed) < 10, "{overload:?}");
    assert!(is_idle(&overload));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_place_is_lost_or_invented_while_callers_come_and_go() {
    const PLACES: u32 = 3;
    let (overload, method) = (overload(PLACES), method());
    let at_once = Arc::new(AtomicU32::new(0));
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..32_u64 {
        let (overload, method, at_once) = (overload.clone(), method.clone(), at_once.clone());
        callers.spawn(async move {
            let mut random = fastrand::Rng::with_seed(caller);
            for _ in 0..300 {
                let class = *random.choice(&Criticality::ALL).unwrap();
                let patience = random.u32(0..6);
                let place = tokio::select! {
                    biased;
                    place = overload.enter(Some(&method), class, Instant::now()) => place,
                    () = yields(patience) => continue,
                };
                if let Ok(place) = place {
                    assert!(at_once.fetch_add(1, AcqRel) < PLACES, "more than there are places");
                    yields(random.u32(0..3)).await;
                    at_once.fetch_sub(1, AcqRel);
                    let _ = place.answered(random.bool(), Instant::now());
                }
            }
        });
    }
    callers.join_all().await;
    assert!(is_idle(&overload), "{overload:?}");
}

async fn yields(times: u32) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}
