//! What this service does when it hears of a project: it keeps the copied titles
//! true, and cancels what waits for a project that is gone. Each effect commits
//! with the note that the event was heard, so it happens once.

use durable::{Consumer, Error, Event as Heard, Store, Tx, time};
use mesh::Channel;
use prost::Name;
use titan::projects::v1::{ProjectArchived, ProjectDeleted, ProjectTitleChanged};

use super::events::dispatch;
use crate::{
    domain::{Event, Micros, Project, ProjectId, Standing, Submission, Title},
    store,
};

/// Listens to the feed that `projects` leads to, until it is dropped.
pub(crate) async fn follow(store: Store, projects: Channel, clock: fn() -> Micros) {
    Consumer::new("projects", projects, store)
        .types([
            ProjectTitleChanged::full_name(),
            ProjectArchived::full_name(),
            ProjectDeleted::full_name(),
        ])
        .run(|tx, heard| Box::pin(async move { Ok(hear(tx, heard, clock()).await?) }))
        .await;
}

/// Takes in one event.
async fn hear(tx: &mut Tx, heard: &Heard, now: Micros) -> Result<(), Error> {
    if let Some(event) = heard.decode::<ProjectTitleChanged>()? {
        let told = event.update_time.as_ref().and_then(time::from_proto);
        let title = Title { text: event.title, as_of: told.unwrap_or(heard.time) };
        let id = ProjectId::named(&event.project);
        learn(tx, &id, |project| project.hear_title(title.clone())).await?;
        // The title of this event and not the newest that is known: a submission
        // lives through the titles one by one, and each takes effect once.
        return each(tx, &id, |submission| submission.retitle(&title, heard.position, now)).await;
    }
    if let Some(event) = heard.decode::<ProjectArchived>()? {
        let id = ProjectId::named(&event.project);
        return learn(tx, &id, |project| project.hear_standing(Standing::Archived)).await;
    }
    if let Some(event) = heard.decode::<ProjectDeleted>()? {
        let id = ProjectId::named(&event.project);
        learn(tx, &id, |project| project.hear_standing(Standing::Deleted)).await?;
        return each(tx, &id, |submission| submission.void(now)).await;
    }
    Ok(())
}

/// Keeps what was heard of a project, also of one that nobody has applied for: a
/// submission may be on its way with an answer from before.
async fn learn(tx: &mut Tx, id: &ProjectId, hear: impl FnOnce(&mut Project)) -> Result<(), Error> {
    let mut project = store::lock_project(tx, id).await?;
    hear(&mut project);
    store::save_project(tx, &project).await
}

/// Changes the submissions of a project whose row is locked, so none is added.
async fn each(
    tx: &mut Tx,
    project: &ProjectId,
    decide: impl Fn(&mut Submission) -> Option<Event>,
) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let batch = store::lock_submissions(tx, project, &after).await?;
        let Some(last) = batch.last() else { return Ok(()) };
        after = last.id.as_str().to_owned();
        for mut submission in batch {
            if let Some(event) = decide(&mut submission) {
                store::save_submission(tx, &submission).await?;
                dispatch(tx, &submission.id, event).await?;
            }
        }
    }
}
