//! The command that has a further effect when it is repeated, and its way to the
//! database: who names it by a key may repeat it.

use durable::{
    Store, Tx,
    command::{self, Command, Handler, handler},
};
use titan::projects::v1 as proto;
use tower::{ServiceBuilder, ServiceExt as _, util::BoxCloneSyncService};

use crate::{
    domain::{Event, Project},
    store::{self, Error},
};

/// Publishes a project.
#[derive(Clone, Debug)]
pub(crate) struct PublishProject {
    pub(crate) project: Project,
    /// What others are told.
    pub(crate) event: Event,
}

/// The way of the command. It answers with a message of the contract, since that
/// is what is kept and given again when a call is repeated.
#[derive(Clone)]
pub(crate) struct Commands(BoxCloneSyncService<Command<PublishProject>, proto::Project, Error>);

impl Commands {
    pub(crate) fn new(store: &Store) -> Self {
        // Outermost first.
        let way = ServiceBuilder::new()
            .layer(command::trace())
            .layer(command::transaction(store.clone()))
            // Within the transaction: an answer is kept when its effect is.
            .layer(command::idempotent())
            .service(handler(Publish));
        Self(BoxCloneSyncService::new(way))
    }

    pub(crate) async fn publish(
        &self,
        it: Command<PublishProject>,
    ) -> Result<proto::Project, Error> {
        self.0.clone().oneshot(it).await
    }
}

#[derive(Clone, Debug)]
struct Publish;

impl Handler<PublishProject> for Publish {
    type Answer = proto::Project;
    type Error = Error;

    async fn handle(&self, tx: &mut Tx, it: PublishProject) -> Result<proto::Project, Error> {
        store::publish(tx, &it.project, it.event).await?;
        Ok((&it.project).into())
    }
}
