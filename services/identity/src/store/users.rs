//! Users as rows.

use std::collections::BTreeSet;

use durable::{
    Row, Tx,
    list::{Field, Listing, Query},
    params,
};

use super::{Store, locking};
use crate::{
    domain::{
        secret::PasswordHash,
        user::{Email, Refusal, User, UserId},
    },
    error::Error,
};

const SELECT: &str = "SELECT id, email, password_hash, display_name, preferences, roles, created, \
                      updated, version FROM users";

/// How users are listed: oldest first.
pub(crate) const LISTING: Listing =
    Listing { fields: &[Field::time("create_time", "created")], key: "id", order: "create_time" };

impl Store {
    /// Adds a user.
    pub(crate) async fn add_user(&self, user: &User, hash: &PasswordHash) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        let added = tx
            .execute(
                "INSERT INTO users (id, email, password_hash, display_name, preferences, roles,
                                    created, updated, version)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                params![
                    user.id.as_str(),
                    user.email.as_str(),
                    hash.expose(),
                    &user.display_name,
                    serde_json::to_string(&user.preferences)?,
                    roles_text(&user.roles),
                    user.created,
                    user.updated,
                    user.version,
                ],
            )
            .await;
        match added {
            Err(error) if error.is_duplicate("users", "email") => Err(Refusal::EmailTaken.into()),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(tx.commit().await?),
        }
    }

    /// The user of an id.
    pub(crate) async fn user(&self, id: &UserId) -> Result<User, Error> {
        let sql = format!("{SELECT} WHERE id = $1");
        let row = self.db.query_one(sql, params![id.as_str()]).await?;
        user(&row.ok_or_else(|| Refusal::NotFound(id.clone()))?)
    }

    /// The user of an address, with what their password is checked against.
    pub(crate) async fn credentials(
        &self,
        email: &Email,
    ) -> Result<Option<(User, PasswordHash)>, Error> {
        let sql = format!("{SELECT} WHERE email = $1");
        let Some(row) = self.db.query_one(sql, params![email.as_str()]).await? else {
            return Ok(None);
        };
        Ok(Some((user(&row)?, PasswordHash::new(row.get("password_hash")?))))
    }

    /// A page of users and the token of the next.
    pub(crate) async fn list_users(&self, query: Query) -> Result<(Vec<User>, String), Error> {
        let page = query.fetch(&self.db, SELECT).await?;
        let users = page.rows.iter().map(user).collect::<Result<_, _>>()?;
        Ok((users, page.next_page_token))
    }

    /// Changes a user; `change` says whether anything is new.
    pub(crate) async fn change_user(
        &self,
        id: &UserId,
        change: impl FnOnce(&mut User) -> Result<bool, Refusal>,
    ) -> Result<User, Error> {
        let mut tx = self.db.begin().await?;
        let mut user = locked_user(&mut tx, id).await?;
        if change(&mut user)? {
            update(&mut tx, &user).await?;
            tx.commit().await?;
        }
        Ok(user)
    }
}

/// The user of an id, whom nobody else changes until the transaction ends.
pub(super) async fn locked_user(tx: &mut Tx, id: &UserId) -> Result<User, Error> {
    let sql = locking(tx, &format!("{SELECT} WHERE id = $1"));
    let row = tx.query_one(sql, params![id.as_str()]).await?;
    user(&row.ok_or_else(|| Refusal::NotFound(id.clone()))?)
}

async fn update(tx: &mut Tx, user: &User) -> Result<(), Error> {
    tx.execute(
        "UPDATE users
         SET display_name = $1, preferences = $2, roles = $3, updated = $4, version = $5
         WHERE id = $6",
        params![
            &user.display_name,
            serde_json::to_string(&user.preferences)?,
            roles_text(&user.roles),
            user.updated,
            user.version,
            user.id.as_str(),
        ],
    )
    .await?;
    Ok(())
}

pub(super) fn user(row: &Row) -> Result<User, Error> {
    let email: String = row.get("email")?;
    let preferences: String = row.get("preferences")?;
    let roles: String = row.get("roles")?;
    Ok(User {
        id: UserId::new(row.get::<String>("id")?),
        email: Email::new(&email),
        display_name: row.get("display_name")?,
        preferences: serde_json::from_str(&preferences)?,
        roles: roles.split_ascii_whitespace().map(str::to_owned).collect(),
        created: row.get("created")?,
        updated: row.get("updated")?,
        version: row.get("version")?,
    })
}

/// Roles have no white space by the contract.
fn roles_text(roles: &BTreeSet<String>) -> String {
    roles.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}
