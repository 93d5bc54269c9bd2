//! Submissions. A partial unique index backs the rule of one open or approved
//! submission for a person and a project.

use durable::{
    Error, Row, Store, Tx, Value,
    list::{Field, Listing, Query},
    params,
};

use crate::domain::{ProjectId, Status, Submission, SubmissionId, Title, UserId};

pub(super) const TABLE: &str = "CREATE TABLE submissions (
    project {text} NOT NULL,
    id {text} NOT NULL,
    title {text} NOT NULL,
    titled {bigint} NOT NULL,
    owner {text} NOT NULL,
    applicant {text} NOT NULL,
    comment {text} NOT NULL,
    state {text} NOT NULL,
    approver {text},
    ended {bigint},
    created {bigint} NOT NULL,
    updated {bigint} NOT NULL,
    version {bigint} NOT NULL,
    PRIMARY KEY (project, id)
);
CREATE INDEX submissions_by_time ON submissions (project, created, id);
CREATE UNIQUE INDEX submissions_live ON submissions (project, applicant)
    WHERE state <> 'STATE_CANCELLED'";

/// Submissions held in memory at a time: some 2 KB each, at the most.
const BATCH: i64 = 256;

const IN_REVIEW: &str = "STATE_IN_REVIEW";
const APPROVED: &str = "STATE_APPROVED";
const CANCELLED: &str = "STATE_CANCELLED";

/// What a caller may filter by.
pub(crate) const LISTING: Listing = Listing {
    fields: &[
        Field::choice(
            "state",
            "state",
            &[(IN_REVIEW, IN_REVIEW), (APPROVED, APPROVED), (CANCELLED, CANCELLED)],
        ),
        Field::text("applicant", "applicant"),
        Field::time("create_time", "created"),
    ],
    key: "id",
    order: "create_time desc",
};

/// A submission, as it is.
pub(crate) async fn submission(
    store: &Store,
    id: &SubmissionId,
) -> Result<Option<Submission>, Error> {
    let sql = "SELECT * FROM submissions WHERE project = $1 AND id = $2";
    store.query_one(sql, key(id)).await?.as_ref().map(read).transpose()
}

/// A submission, to be changed.
pub(crate) async fn lock_submission(
    tx: &mut Tx,
    id: &SubmissionId,
) -> Result<Option<Submission>, Error> {
    let sql = "UPDATE submissions SET version = version WHERE project = $1 AND id = $2
               RETURNING *";
    tx.query_one(sql, key(id)).await?.as_ref().map(read).transpose()
}

/// The next submissions for a project after an id, in order of ids, to be changed.
pub(crate) async fn lock_submissions(
    tx: &mut Tx,
    project: &ProjectId,
    after: &str,
) -> Result<Vec<Submission>, Error> {
    let sql = "UPDATE submissions SET version = version WHERE project = $1 AND id IN
               (SELECT id FROM submissions WHERE project = $1 AND id > $2 ORDER BY id LIMIT $3)
               RETURNING *";
    let rows = tx.query(sql, params![project.as_str(), after, BATCH]).await?;
    let mut batch = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    batch.sort_by(|a, b| a.id.as_str().cmp(b.id.as_str()));
    Ok(batch)
}

/// Who owns a project that somebody applied for.
async fn owner(store: &Store, project: &ProjectId) -> Result<Option<UserId>, Error> {
    let sql = "SELECT owner FROM submissions WHERE project = $1 LIMIT 1";
    let row = store.query_one(sql, params![project.as_str()]).await?;
    row.map(|row| Ok(UserId::named(&row.get::<String>("owner")?))).transpose()
}

/// A page of the submissions for a project that a user may see, and the token of
/// the next page.
pub(crate) async fn list_submissions(
    store: &Store,
    project: &ProjectId,
    seen_by: &UserId,
    query: Query,
) -> Result<(Vec<Submission>, String), Error> {
    let query = query.only("project", project.as_str());
    let query = match owner(store, project).await? {
        Some(owner) if owner == *seen_by => query,
        _ => query.only("applicant", seen_by.applicant()),
    };
    let page = query.fetch(store, "SELECT * FROM submissions").await?;
    let submissions = page.rows.iter().map(read).collect::<Result<_, _>>()?;
    Ok((submissions, page.next_page_token))
}

/// The open or approved submission of a person for a project.
pub(crate) async fn live_submission(
    tx: &mut Tx,
    project: &ProjectId,
    applicant: &UserId,
) -> Result<Option<Submission>, Error> {
    let sql = "SELECT * FROM submissions WHERE project = $1 AND applicant = $2 AND state <> $3";
    let params = params![project.as_str(), applicant.applicant(), CANCELLED];
    tx.query_one(sql, params).await?.as_ref().map(read).transpose()
}

/// Stores a new submission.
pub(crate) async fn insert_submission(tx: &mut Tx, submission: &Submission) -> Result<(), Error> {
    let sql = "INSERT INTO submissions (project, id, title, titled, state, approver, ended,
               updated, version, owner, applicant, comment, created)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    let mut params = changing(submission);
    let Submission { owner, applicant, comment, created, .. } = submission;
    params.extend(params![owner.user(), applicant.applicant(), comment, *created]);
    tx.execute(sql, params).await?;
    Ok(())
}

/// Stores what a submission is now.
pub(crate) async fn save_submission(tx: &mut Tx, submission: &Submission) -> Result<(), Error> {
    let sql = "UPDATE submissions SET title = $3, titled = $4, state = $5, approver = $6,
               ended = $7, updated = $8, version = $9 WHERE project = $1 AND id = $2";
    tx.execute(sql, changing(submission)).await?;
    Ok(())
}

fn key(id: &SubmissionId) -> Vec<Value> {
    params![id.project().as_str(), id.as_str()]
}

/// The key, and the columns that change in a submission's life.
fn changing(submission: &Submission) -> Vec<Value> {
    let (state, approver, ended) = match &submission.status {
        Status::InReview => (IN_REVIEW, None, None),
        Status::Approved { by, at } => (APPROVED, Some(by.user()), Some(*at)),
        Status::Cancelled { at } => (CANCELLED, None, Some(*at)),
    };
    let Submission { title: Title { text, as_of }, updated, version, .. } = submission;
    let mut columns = key(&submission.id);
    columns.extend(params![text, *as_of, state, approver, ended, *updated, *version]);
    columns
}

fn read(row: &Row) -> Result<Submission, Error> {
    let user = |column| row.get::<String>(column).map(|name| UserId::named(&name));
    let at = row.get::<Option<i64>>("ended")?.unwrap_or_default();
    let project = ProjectId::named(&row.get::<String>("project")?);
    Ok(Submission {
        id: SubmissionId::stored(project, row.get("id")?),
        title: Title { text: row.get("title")?, as_of: row.get("titled")? },
        owner: user("owner")?,
        applicant: user("applicant")?,
        comment: row.get("comment")?,
        status: match &*row.get::<String>("state")? {
            IN_REVIEW => Status::InReview,
            APPROVED => Status::Approved { by: user("approver")?, at },
            _ => Status::Cancelled { at },
        },
        created: row.get("created")?,
        updated: row.get("updated")?,
        version: row.get("version")?,
    })
}
