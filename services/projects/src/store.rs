//! Projects in a table, and what happened to them in the log, both written in
//! one transaction.

use durable::{
    Expected, Migration, NewEvent, Row, Store, Tx,
    list::{Field, Listing, Query},
    params, time,
};
use titan::projects::v1 as proto;

use crate::domain::{Event, Project, ProjectId, Refusal, State, Title, UserId};

/// The tables of this service.
pub const MIGRATIONS: &[Migration] =
    &[Migration::new(1, "projects", include_str!("../migrations/1_projects.sql"))];

const ACTIVE: &str = "STATE_ACTIVE";
const ARCHIVED: &str = "STATE_ARCHIVED";

/// What a caller may filter and order by.
pub(crate) const LISTING: Listing = Listing {
    fields: &[
        Field::text("title", "title"),
        Field::text("owner", "owner"),
        Field::choice("state", "state", &[(ACTIVE, ACTIVE), (ARCHIVED, ARCHIVED)]),
        Field::time("create_time", "created"),
        Field::time("update_time", "updated"),
    ],
    key: "name",
    order: "create_time desc",
};

/// What a transaction of this service may end with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such project.
    #[error("there is no {0}")]
    NotFound(ProjectId),
    /// The domain said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] durable::Error),
}

/// The projects of this service's database.
#[derive(Clone, Debug)]
pub(crate) struct Projects {
    store: Store,
}

impl Projects {
    pub(crate) fn new(store: Store) -> Self {
        Projects { store }
    }

    pub(crate) async fn get(&self, id: &ProjectId) -> Result<Project, Error> {
        let sql = "SELECT * FROM projects WHERE name = $1";
        let row = self.store.query_one(sql, params![id.as_str()]).await?;
        read(&row.ok_or(Error::NotFound(id.clone()))?)
    }

    /// A page of projects, and the token of the next page.
    pub(crate) async fn list(&self, query: Query) -> Result<(Vec<Project>, String), Error> {
        let page = query.fetch(&self.store, "SELECT * FROM projects").await?;
        let projects = page.rows.iter().map(read).collect::<Result<_, _>>()?;
        Ok((projects, page.next_page_token))
    }

    /// Changes a project as `decide` says; a refusal leaves it as it was.
    pub(crate) async fn change(
        &self,
        id: &ProjectId,
        decide: impl FnOnce(&mut Project) -> Result<Option<Event>, Refusal>,
    ) -> Result<Project, Error> {
        let mut tx = self.store.begin().await?;
        let mut project = lock(&mut tx, id).await?;
        let before = project.version;
        let event = decide(&mut project)?;
        if project.version != before {
            save(&mut tx, &project).await?;
        }
        if let Some(event) = event {
            tell(&mut tx, id, event).await?;
        }
        tx.commit().await?;
        Ok(project)
    }

    /// What [`Projects::change`] would answer; changes nothing.
    pub(crate) async fn rehearse(
        &self,
        id: &ProjectId,
        decide: impl FnOnce(&mut Project) -> Result<Option<Event>, Refusal>,
    ) -> Result<Project, Error> {
        let mut project = self.get(id).await?;
        decide(&mut project)?;
        Ok(project)
    }

    /// Removes a project if `decide` lets it go.
    pub(crate) async fn delete(
        &self,
        id: &ProjectId,
        decide: impl FnOnce(Project) -> Result<Event, Refusal>,
    ) -> Result<(), Error> {
        let mut tx = self.store.begin().await?;
        let event = decide(lock(&mut tx, id).await?)?;
        tx.execute("DELETE FROM projects WHERE name = $1", params![id.as_str()]).await?;
        tell(&mut tx, id, event).await?;
        Ok(tx.commit().await?)
    }
}

/// Stores a new project.
pub(crate) async fn publish(tx: &mut Tx, project: &Project, event: Event) -> Result<(), Error> {
    save(tx, project).await?;
    tell(tx, &project.id, event).await
}

/// Reads a project and keeps others from changing it until the transaction ends.
/// Writing the row to itself is the one row lock that both databases know: the
/// later of two racing changes waits, and then decides on what the first left.
async fn lock(tx: &mut Tx, id: &ProjectId) -> Result<Project, Error> {
    let sql = "UPDATE projects SET version = version WHERE name = $1 RETURNING *";
    let row = tx.query_one(sql, params![id.as_str()]).await?;
    read(&row.ok_or(Error::NotFound(id.clone()))?)
}

/// Appends what happened to the log.
async fn tell(tx: &mut Tx, id: &ProjectId, event: Event) -> Result<(), Error> {
    let project = id.to_string();
    let (expected, event) = match event {
        Event::Created { title, owner } => {
            let (title, owner) = (title.as_str().to_owned(), owner.to_string());
            (Expected::NoStream, NewEvent::of(&proto::ProjectCreated { project, title, owner }))
        }
        Event::TitleChanged { title, updated } => {
            let (title, update_time) = (title.as_str().to_owned(), Some(time::to_proto(updated)));
            let event = proto::ProjectTitleChanged { project, title, update_time };
            (Expected::Exists, NewEvent::of(&event))
        }
        Event::Archived => (Expected::Exists, NewEvent::of(&proto::ProjectArchived { project })),
        Event::Deleted => (Expected::Exists, NewEvent::of(&proto::ProjectDeleted { project })),
    };
    tx.append(id.as_str(), expected, vec![event]).await?;
    Ok(())
}

/// Writes what a project is now.
async fn save(tx: &mut Tx, project: &Project) -> Result<(), Error> {
    let (state, archived) = match project.state {
        State::Active => (ACTIVE, None),
        State::Archived { at } => (ARCHIVED, Some(at)),
    };
    let Project { id, title, description, owner, created, updated, version, .. } = project;
    tx.execute(
        "INSERT INTO projects
         (name, title, description, owner, state, created, updated, archived, version)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (name) DO UPDATE
         SET title = $2, description = $3, state = $5, updated = $7, archived = $8, version = $9",
        params![
            id.as_str(),
            title.as_str(),
            description,
            owner.as_str(),
            state,
            *created,
            *updated,
            archived,
            *version
        ],
    )
    .await?;
    Ok(())
}

fn read(row: &Row) -> Result<Project, Error> {
    Ok(Project {
        id: ProjectId::stored(row.get("name")?),
        title: Title::stored(row.get("title")?),
        description: row.get("description")?,
        owner: UserId::stored(row.get("owner")?),
        state: match row.get("archived")? {
            Some(at) => State::Archived { at },
            None => State::Active,
        },
        created: row.get("created")?,
        updated: row.get("updated")?,
        version: row.get("version")?,
    })
}
