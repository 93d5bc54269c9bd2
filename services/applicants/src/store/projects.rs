//! What is known of projects. A row stays when its project is deleted: it keeps
//! a late answer of the projects service from reviving it.

use durable::{Error, Tx, params};

use crate::domain::{Project, ProjectId, Standing, Title};

pub(super) const TABLE: &str = "CREATE TABLE projects (
    name {text} PRIMARY KEY,
    title {text} NOT NULL,
    titled {bigint} NOT NULL,
    standing {text} NOT NULL,
    submissions {bigint} NOT NULL
)";

const OPEN: &str = "open";
const ARCHIVED: &str = "archived";
const DELETED: &str = "deleted";

/// What is known of a project. Locks its row, and makes it when there is none,
/// so that of a new submission and an event that race, one sees what the other
/// did. Without that, a submission could be inserted under a title that the
/// event has just replaced everywhere else.
pub(crate) async fn lock_project(tx: &mut Tx, id: &ProjectId) -> Result<Project, Error> {
    let mut project = Project::unheard(id.clone());
    let rows = tx
        .query(
            "INSERT INTO projects (name, title, titled, standing, submissions)
             VALUES ($1, $2, $3, $4, 0) ON CONFLICT (name) DO UPDATE SET name = excluded.name
             RETURNING title, titled, standing, submissions",
            params![id.as_str(), &project.title.text, project.title.as_of, OPEN],
        )
        .await?;
    for row in rows {
        project.title = Title { text: row.get("title")?, as_of: row.get("titled")? };
        project.standing = match &*row.get::<String>("standing")? {
            DELETED => Standing::Deleted,
            ARCHIVED => Standing::Archived,
            _ => Standing::Open,
        };
        project.submissions = row.get("submissions")?;
    }
    Ok(project)
}

/// Stores what is known now; the row is there since it was locked.
pub(crate) async fn save_project(tx: &mut Tx, project: &Project) -> Result<(), Error> {
    let standing = match project.standing {
        Standing::Open => OPEN,
        Standing::Archived => ARCHIVED,
        Standing::Deleted => DELETED,
    };
    let Title { text, as_of } = &project.title;
    tx.execute(
        "UPDATE projects SET title = $2, titled = $3, standing = $4, submissions = $5
         WHERE name = $1",
        params![project.id.as_str(), text, *as_of, standing, project.submissions],
    )
    .await?;
    Ok(())
}
