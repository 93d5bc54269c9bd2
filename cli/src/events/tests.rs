//! The verbs against a store that is served as in production, proofs of name
//! included.

use durable::{Expected, NewEvent, Store, testing, time, upkeep};
use mesh::{
    Routes,
    proto::ReportProgressRequest,
    testing::{Mesh, Running},
};
use tonic::Code;

use super::*;

/// An application `orders` with a log of three events.
struct Served {
    asked: Asked,
    store: Store,
    _running: Running,
    _mesh: Mesh,
}

async fn served(backend: &testing::Backend) -> Served {
    let store = backend.open(&[]).await;
    for number in 1..=3 {
        let event = NewEvent::of(&ReportProgressRequest { position: number, ..Default::default() });
        store.append("parcels/1", Expected::Any, vec![event]).await.unwrap();
    }
    let mesh = Mesh::new().await;
    let routes = Routes::new().merge(durable::feed::Feed::new(store.clone()).into_routes());
    let running = mesh.serve("orders", mesh::DESCRIPTORS, routes).await;
    let channel = mesh.app("titan").channel("orders");
    Served { asked: Asked { channel, json: true }, store, _running: running, _mesh: mesh }
}

fn forget(consumer: &str, force: bool) -> Verb {
    let decision = Decided { reason: "it was renamed".to_owned(), operator: "me".to_owned() };
    Verb::Forget { consumer: consumer.to_owned(), force, decision }
}

fn code(error: &anyhow::Error) -> Code {
    error.downcast_ref::<Refused>().map_or(Code::Ok, |refused| refused.0.code())
}

#[tokio::test]
async fn who_follows_is_listed_and_forgotten_when_it_is_gone() {
    for backend in testing::backends().await {
        let served = served(&backend).await;
        let mut feed = FeedServiceClient::new(served.asked.channel.clone());
        let progress = ReportProgressRequest { consumer: "parcels".to_owned(), position: 2 };
        feed.report_progress(progress).await.unwrap();
        served.asked.subscribers().await.unwrap();

        let alive = served.asked.decide(forget("titan/parcels", false)).await.unwrap_err();
        assert_eq!(code(&alive), Code::FailedPrecondition, "{alive}");
        let unknown = served.asked.decide(forget("parcels", false)).await.unwrap_err();
        assert_eq!(code(&unknown), Code::NotFound, "{unknown}");
        served.asked.decide(forget("titan/parcels", true)).await.unwrap();
        let left = durable::consumer::operate::subscribers(&served.store).await.unwrap();
        assert!(left.is_empty(), "{} {left:?}", backend.name);
    }
}

#[tokio::test]
async fn a_decision_without_a_reason_is_refused() {
    let backend = testing::sqlite();
    let served = served(&backend).await;
    let decision = Decided { reason: String::new(), operator: "me".to_owned() };
    let verb = Verb::Forget { consumer: "x".to_owned(), force: false, decision };
    let refused = served.asked.decide(verb).await.unwrap_err();
    assert_eq!(code(&refused), Code::InvalidArgument, "{refused}");
}

#[tokio::test]
async fn what_was_archived_is_listed_and_a_folder_that_is_not_there_is_an_error() {
    let backend = testing::sqlite();
    let served = served(&backend).await;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("orders");
    let kept = upkeep::Kept { archive: Some(folder.clone()), ..upkeep::Kept::default() };
    let upkeep = upkeep::Upkeep::new(served.store.clone(), kept).shorten(["parcels/"]);
    let upkeep = upkeep.with_clock(|| time::now() + 100 * 86_400_000_000);
    assert_eq!(upkeep.round().await.unwrap().events, 2);

    let matching = || Matching { after: 0, types: Vec::new(), streams: Vec::new() };
    served.asked.archived(&folder, matching()).await.unwrap();
    let missing = served.asked.archived(&folder.join("no"), matching()).await.unwrap_err();
    assert!(missing.downcast_ref::<archive::Problem>().is_some(), "{missing}");
    let removed = served.asked.list(matching()).await.unwrap_err();
    assert_eq!(code(&removed), Code::OutOfRange, "{removed}");
}
