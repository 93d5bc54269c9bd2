//! Signing in, staying signed in, signing out.

use std::time::Duration;

use titan::identity::v1::{
    CreateSessionRequest, DeleteSessionRequest, RefreshSessionRequest, Session,
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{BEGIN, PASSWORD, Service, on_every_database, refused, with_settings};

const DAY: Duration = Duration::from_hours(24);

async fn refresh(service: &Service, session: &Session) -> Result<Session, Status> {
    let request = RefreshSessionRequest { refresh_token: session.refresh_token.clone() };
    Ok(service.sessions().refresh_session(request).await?.into_inner())
}

async fn sign_out(service: &Service, user: &str, name: &str) -> Result<(), Status> {
    let request = DeleteSessionRequest { name: name.to_owned() };
    service.sessions_as(user).delete_session(request).await.map(|_| ())
}

#[tokio::test]
async fn a_session_says_whose_it_is_and_how_long_it_lasts() {
    on_every_database(async |service| {
        let ada = service.register("ada").await;
        let request = CreateSessionRequest {
            email: "ADA@example.org".to_owned(),
            password: PASSWORD.to_owned(),
        };
        let session = service.sessions().create_session(request).await.unwrap().into_inner();
        assert_eq!(session.user, ada.name);
        assert_eq!(session.expire_time.unwrap().seconds, BEGIN + 600);
        assert_eq!(session.refresh_expire_time.unwrap().seconds, BEGIN + 30 * 86_400);
    })
    .await;
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_are_answered_alike() {
    on_every_database(async |service| {
        service.register("ada").await;
        let wrong = service.sign_in("ada", "incorrect horse").await;
        let unknown = service.sign_in("nobody", PASSWORD).await;
        let wrong = refused(wrong, Code::Unauthenticated, "BAD_CREDENTIALS");
        let unknown = refused(unknown, Code::Unauthenticated, "BAD_CREDENTIALS");
        assert_eq!(wrong.message(), unknown.message());
        assert_eq!(wrong.details(), unknown.details());
    })
    .await;
}

#[tokio::test]
async fn guessing_is_stopped_for_a_minute_for_one_address_only() {
    with_settings(&[("failed_logins_per_address", "3")], async |service| {
        service.register("ada").await;
        service.register("bob").await;
        for name in ["ada", "nobody"] {
            for _ in 0..3 {
                let answer = service.sign_in(name, "guess").await;
                refused(answer, Code::Unauthenticated, "BAD_CREDENTIALS");
            }
            let answer = service.sign_in(name, PASSWORD).await;
            let refusal = refused(answer, Code::ResourceExhausted, "TOO_MANY_ATTEMPTS");
            let retry = refusal.get_details_retry_info().unwrap();
            assert_eq!(retry.retry_delay, Some(Duration::from_secs(60)));
        }
        service.sign_in("bob", PASSWORD).await.unwrap();
        service.clock.advance(Duration::from_secs(60));
        service.sign_in("ada", PASSWORD).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn guesses_that_arrive_together_are_counted_too() {
    with_settings(&[("failed_logins_per_address", "2")], async |service| {
        service.register("ada").await;
        let calls = (0..12).map(|_| {
            let mut sessions = service.sessions();
            let request = CreateSessionRequest {
                email: "ada@example.org".to_owned(),
                password: "guess".to_owned(),
            };
            tokio::spawn(async move { sessions.create_session(request).await })
        });
        let mut checked = 0;
        for call in calls.collect::<Vec<_>>() {
            let refusal = call.await.unwrap().err().unwrap();
            checked += usize::from(refusal.code() == Code::Unauthenticated);
        }
        let cores = std::thread::available_parallelism().unwrap().get();
        assert!((2..=1 + cores).contains(&checked), "{checked} of 12 were checked");
    })
    .await;
}

#[tokio::test]
async fn one_password_cannot_be_tried_on_every_address() {
    let settings = [("failed_logins_per_address", "2"), ("failed_logins_total", "4")];
    with_settings(&settings, async |service| {
        for name in ["a", "b", "c", "d"] {
            let answer = service.sign_in(name, "hunter2").await;
            refused(answer, Code::Unauthenticated, "BAD_CREDENTIALS");
        }
        let answer = service.sign_in("e", "hunter2").await;
        refused(answer, Code::ResourceExhausted, "TOO_MANY_ATTEMPTS");
    })
    .await;
}

#[tokio::test]
async fn a_session_goes_on_with_a_new_token_each_time() {
    on_every_database(async |service| {
        let ada = service.register("ada").await;
        let mut session = service.sign_in("ada", PASSWORD).await.unwrap();
        for _ in 0..3 {
            service.clock.advance(20 * DAY);
            let next = refresh(&service, &session).await.unwrap();
            assert_eq!((&next.name, &next.user), (&session.name, &ada.name));
            assert_ne!(next.refresh_token, session.refresh_token);
            assert_ne!(next.access_token, session.access_token);
            assert!(
                next.refresh_expire_time.unwrap().seconds
                    > session.refresh_expire_time.unwrap().seconds
            );
            session = next;
        }
        service.clock.advance(30 * DAY);
        let answer = refresh(&service, &session).await;
        refused(answer, Code::Unauthenticated, "REFRESH_TOKEN_INVALID");
    })
    .await;
}

#[tokio::test]
async fn a_spent_token_ends_the_session_for_both_who_hold_it() {
    on_every_database(async |service| {
        service.register("ada").await;
        let stolen = service.sign_in("ada", PASSWORD).await.unwrap();
        let elsewhere = service.sign_in("ada", PASSWORD).await.unwrap();
        let owners = refresh(&service, &stolen).await.unwrap();
        let answer = refresh(&service, &stolen).await;
        refused(answer, Code::Unauthenticated, "REFRESH_TOKEN_REUSED");
        for session in [&owners, &stolen] {
            let answer = refresh(&service, session).await;
            refused(answer, Code::Unauthenticated, "REFRESH_TOKEN_INVALID");
        }
        refresh(&service, &elsewhere).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn of_two_who_present_a_token_at_once_one_goes_on_and_the_session_ends() {
    on_every_database(async |service| {
        service.register("ada").await;
        let session = service.sign_in("ada", PASSWORD).await.unwrap();
        let (one, two) = tokio::join!(refresh(&service, &session), refresh(&service, &session));
        let (winner, loser) = if one.is_ok() { (one, two) } else { (two, one) };
        refused(loser, Code::Unauthenticated, "REFRESH_TOKEN_REUSED");
        let answer = refresh(&service, &winner.unwrap()).await;
        refused(answer, Code::Unauthenticated, "REFRESH_TOKEN_INVALID");
    })
    .await;
}

#[tokio::test]
async fn an_invented_token_is_refused_and_harms_nobody() {
    on_every_database(async |service| {
        service.register("ada").await;
        let session = service.sign_in("ada", PASSWORD).await.unwrap();
        for token in ["x", &session.access_token[..200], &"A".repeat(43)] {
            let invented = Session { refresh_token: token.to_owned(), ..session.clone() };
            let answer = refresh(&service, &invented).await;
            refused(answer, Code::Unauthenticated, "REFRESH_TOKEN_INVALID");
        }
        refresh(&service, &session).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn signing_out_ends_the_session_however_often() {
    on_every_database(async |service| {
        let ada = service.register("ada").await;
        let session = service.sign_in("ada", PASSWORD).await.unwrap();
        for _ in 0..2 {
            sign_out(&service, &ada.name, &session.name).await.unwrap();
        }
        let answer = refresh(&service, &session).await;
        refused(answer, Code::Unauthenticated, "REFRESH_TOKEN_INVALID");
    })
    .await;
}

#[tokio::test]
async fn only_its_user_ends_a_session() {
    on_every_database(async |service| {
        service.register("ada").await;
        let eve = service.register("eve").await;
        let session = service.sign_in("ada", PASSWORD).await.unwrap();
        let answer = sign_out(&service, &eve.name, &session.name).await;
        refused(answer, Code::PermissionDenied, "NOT_OWNER");
        let answer = sign_out(&service, &eve.name, "sessions/nothing").await;
        refused(answer, Code::NotFound, "SESSION_NOT_FOUND");
        let request = DeleteSessionRequest { name: session.name.clone() };
        let answer = service.sessions().delete_session(request).await;
        assert_eq!(answer.unwrap_err().code(), Code::Unauthenticated);
        refresh(&service, &session).await.unwrap();
    })
    .await;
}
