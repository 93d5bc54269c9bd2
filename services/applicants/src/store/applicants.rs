//! Applicants.

use durable::{Error, Row, Store, Tx, params};

use crate::domain::{Applicant, UserId};

pub(super) const TABLE: &str = "CREATE TABLE applicants (
    id {text} PRIMARY KEY,
    submissions {bigint} NOT NULL,
    created {bigint} NOT NULL,
    verified {bigint} NOT NULL
)";

/// An applicant, as it is.
pub(crate) async fn applicant(store: &Store, id: &UserId) -> Result<Option<Applicant>, Error> {
    let sql = "SELECT * FROM applicants WHERE id = $1";
    store.query_one(sql, params![id.as_str()]).await?.as_ref().map(read).transpose()
}

/// An applicant, to be changed; `None` when they are new. Makes their row then,
/// so that of two first submissions that race, the later one finds the earlier.
pub(crate) async fn lock_applicant(tx: &mut Tx, id: &UserId) -> Result<Option<Applicant>, Error> {
    let rows = tx
        .query(
            "INSERT INTO applicants (id, submissions, created, verified) VALUES ($1, 0, 0, 0)
             ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING *",
            params![id.as_str()],
        )
        .await?;
    let known = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(known.into_iter().find(|applicant| applicant.submissions > 0))
}

/// Stores what an applicant is now; the row is there since it was locked.
pub(crate) async fn save_applicant(tx: &mut Tx, applicant: &Applicant) -> Result<(), Error> {
    let Applicant { user, submissions, created, verified } = applicant;
    tx.execute(
        "UPDATE applicants SET submissions = $2, created = $3, verified = $4 WHERE id = $1",
        params![user.as_str(), *submissions, *created, *verified],
    )
    .await?;
    Ok(())
}

fn read(row: &Row) -> Result<Applicant, Error> {
    Ok(Applicant {
        user: UserId::new(row.get::<String>("id")?),
        submissions: row.get("submissions")?,
        created: row.get("created")?,
        verified: row.get("verified")?,
    })
}
