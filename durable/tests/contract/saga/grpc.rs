//! What operators are told of sagas, and what they can do.

use durable::saga;
use mesh::proto::{
    CancelSagaRequest, GetSagaRequest, ListSagasRequest, RetrySagaRequest, SagaDirection,
    SagaStatus, SkipStepRequest, sagas_service_client::SagasServiceClient,
};
use tonic::Code;

use super::{Fate, Status, cases};

#[tokio::test]
async fn operators_find_what_needs_them_and_settle_it() {
    for case in cases().await {
        let mut client = SagasServiceClient::new(saga::server(case.store.clone()));
        let running = case.run();
        case.world.next("hotel/do", &[Fate::Refuse, Fate::Refuse]);
        case.world.always("flight/undo", Fate::Silence);
        for id in ["t1", "t2"] {
            case.start(&running, id).await;
            assert_eq!(case.rests(id).await.status, Status::NeedsAttention, "{}", case.name);
        }
        case.world.heal();
        case.start(&running, "t3").await;
        assert_eq!(case.rests("t3").await.status, Status::Completed, "{}", case.name);

        let asking = SagaStatus::NeedsAttention.into();
        let request = ListSagasRequest { status: asking, ..ListSagasRequest::default() };
        let listed = client.list_sagas(request).await.unwrap().into_inner();
        let ids: Vec<_> = listed.sagas.iter().map(|saga| saga.id.as_str()).collect();
        assert_eq!((ids, listed.next_page_token.as_str()), (vec!["t1", "t2"], ""));

        let get = |id: &str| GetSagaRequest { id: id.into() };
        let found = client.get_saga(get("t1")).await.unwrap().into_inner();
        let told = found.saga.unwrap();
        assert_eq!((told.step.as_str(), told.direction()), ("flight", SagaDirection::Undo));
        assert_eq!(found.history.last().unwrap().happening, "needs_attention", "{}", case.name);

        let retry = RetrySagaRequest { id: "t1".into(), reason: "it is back".into() };
        client.retry_saga(retry.clone()).await.unwrap();
        assert_eq!(case.rests("t1").await.status, Status::Compensated, "{}", case.name);
        let again = client.retry_saga(retry).await.unwrap_err();
        assert_eq!(again.code(), Code::FailedPrecondition);
        let reason = mesh::status::reason(&again);
        assert_eq!(reason.as_deref(), Some("SAGA_NEEDS_NO_ATTENTION"));

        let skip = SkipStepRequest { id: "t2".into(), reason: "by phone".into() };
        client.skip_step(skip).await.unwrap();
        case.happens("t2", saga::Happening::Ended).await;
        let found = client.get_saga(get("t2")).await.unwrap().into_inner();
        assert_eq!(found.saga.unwrap().status(), SagaStatus::Resolved, "{}", case.name);
        let cancel = CancelSagaRequest { id: "t3".into(), reason: String::new() };
        let over = client.cancel_saga(cancel).await.unwrap_err();
        assert_eq!(mesh::status::reason(&over).as_deref(), Some("SAGA_ENDED"));
        let missing = client.get_saga(get("t4")).await.unwrap_err();
        assert_eq!(missing.code(), Code::NotFound);
    }
}

#[tokio::test]
async fn pages_tell_of_each_saga_once_whatever_is_filtered() {
    for case in cases().await {
        let mut client = SagasServiceClient::new(saga::server(case.store.clone()));
        let running = case.run();
        for number in 0..5 {
            case.start(&running, &format!("t{number}")).await;
        }
        for (definition, all) in [("", 5), ("trip", 5), ("other", 0)] {
            let (mut ids, mut page_token) = (Vec::new(), String::new());
            loop {
                let request = ListSagasRequest {
                    page_size: 2,
                    page_token,
                    definition: definition.into(),
                    ..ListSagasRequest::default()
                };
                let page = client.list_sagas(request).await.unwrap().into_inner();
                assert!(page.sagas.len() <= 2);
                ids.extend(page.sagas.into_iter().map(|saga| saga.id));
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            let expected: Vec<_> = (0..all).map(|number| format!("t{number}")).collect();
            assert_eq!(ids, expected, "{} {definition}", case.name);
        }
        let request = ListSagasRequest { page_token: "?".into(), ..ListSagasRequest::default() };
        let refused = client.list_sagas(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
}
