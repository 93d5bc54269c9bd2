//! What follows from an event of the domain, in the transaction that raised it.
//! The handlers of this service run first; then the event is told to others, as
//! an integration event in the log, which they read when all of it is committed.

use durable::{Expected, NewEvent, Tx};
use titan::applicants::v1 as proto;

use crate::{
    domain::{Applicant, Event, Micros, SubmissionId, UserId},
    store,
};

/// Runs what follows. The match is the list of who listens to what.
pub(crate) async fn dispatch(
    tx: &mut Tx,
    submission: &SubmissionId,
    event: Event,
) -> Result<(), durable::Error> {
    match &event {
        Event::Started { applicant, at } => create_or_verify(tx, applicant, *at).await?,
        Event::Approved { .. } | Event::Cancelled | Event::Retitled { .. } => {}
    }
    let expected = match &event {
        Event::Started { .. } => Expected::NoStream,
        _ => Expected::Exists,
    };
    let stream = submission.to_string();
    tx.append(&stream, expected, vec![integration(&stream, submission, event)]).await?;
    Ok(())
}

/// Whoever starts a submission is an applicant from then on.
async fn create_or_verify(tx: &mut Tx, user: &UserId, at: Micros) -> Result<(), durable::Error> {
    let applicant = match store::lock_applicant(tx, user).await? {
        None => Applicant::create(user.clone(), at),
        Some(mut known) => {
            known.verify(at);
            known
        }
    };
    store::save_applicant(tx, &applicant).await
}

/// What others are told.
fn integration(name: &str, id: &SubmissionId, event: Event) -> NewEvent {
    let submission = name.to_owned();
    match event {
        Event::Started { applicant, .. } => NewEvent::of(&proto::SubmissionStarted {
            submission,
            applicant: applicant.applicant(),
            project: id.project().to_string(),
        }),
        Event::Approved { by } => {
            NewEvent::of(&proto::SubmissionApproved { submission, approver: by.user() })
        }
        Event::Cancelled => NewEvent::of(&proto::SubmissionCancelled { submission }),
        Event::Retitled { text, source } => NewEvent::of(&proto::SubmissionRetitled {
            submission,
            project_title: text,
            source_position: source,
        }),
    }
}
