//! `titan login` and `titan logout`.

use std::path::Path;

use serde_json::json;

use crate::{
    args::Login,
    call,
    failure::Refused,
    output, password,
    session::{self, Session, Store},
};

/// Signs in and keeps the session.
pub(crate) async fn login(data: &Path, options: Login) -> anyhow::Result<()> {
    let Login { email, password_stdin, address } = options;
    let edge = call::address(data, address.as_deref())?;
    let store = Store::of_user()?;
    let password = if password_stdin { password::read()? } else { password::ask(&email).await? };

    let channel = call::channel(&edge)?;
    let request = json!({"email": email, "password": password});
    let method = "titan.identity.v1.SessionsService/CreateSession";
    let answer = call::unary(&channel, method, request, &[]).await?;
    store.save(&Session::new(&edge, &email, &answer)?)?;
    output::print(format_args!("signed in to {edge} as {email}"));
    Ok(())
}

/// Ends the session at the edge and forgets it. It is forgotten even when the
/// edge cannot be told.
pub(crate) async fn logout() -> anyhow::Result<()> {
    let store = Store::of_user()?;
    let Some(session) = store.load()? else {
        output::print("not signed in");
        return Ok(());
    };
    let ended = end(&store, session.clone()).await;
    store.remove()?;
    output::print(format_args!("signed out of {} as {}", session.edge, session.email));
    if let Err(error) = ended {
        let why = match error.downcast_ref() {
            Some(Refused(status)) => status.message().to_owned(),
            None => format!("{error:#}"),
        };
        output::complain(format_args!("titan: the edge could not be told: {why}"));
    }
    Ok(())
}

async fn end(store: &Store, session: Session) -> anyhow::Result<()> {
    let session = store.fresh(session).await?;
    let channel = call::channel(&session.edge)?;
    let method = "titan.identity.v1.SessionsService/DeleteSession";
    let headers = [session::authorization(&session.access_token)];
    call::unary(&channel, method, json!({"name": session.name}), &headers).await?;
    Ok(())
}
