//! Finds who serves a contract of the mesh in the system that runs, by asking
//! its registry, and prints what they answer.

use std::path::Path;

use anyhow::{Context as _, bail};
use mesh::{
    Channel,
    proto::{WatchRequest, registry_service_client::RegistryServiceClient},
};
use tonic::{Code, Request, Status};

use crate::{client::Running, failure::Refused};

/// An application that serves what was looked for.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    /// Its name.
    pub app: String,
    /// To one of its processes.
    pub channel: Channel,
}

/// The applications that serve a contract, by name; only one when asked for.
pub(crate) async fn serving(
    data: &Path,
    service: &str,
    only: Option<&str>,
) -> anyhow::Result<Vec<Served>> {
    let mut running = Running::need(data)?;
    let registry = running.status().await?.registry;
    let mut client = RegistryServiceClient::new(running.app.endpoint(&registry));
    let mut views = client.watch(Request::new(WatchRequest::default())).await?.into_inner();
    let view = views.message().await?.context("the registry tells nothing")?;
    let mut found: Vec<Served> = Vec::new();
    for instance in view.instances {
        let wanted = only.is_none_or(|only| only == instance.app);
        let new = found.last().is_none_or(|last| last.app != instance.app);
        if wanted && new && instance.services.iter().any(|name| name == service) {
            let channel = running.app.endpoint(&instance.address);
            found.push(Served { app: instance.app, channel });
        }
    }
    if found.is_empty() {
        match only {
            Some(app) => bail!("{app} does not run, or does not serve {service}"),
            None => bail!("nobody serves {service}"),
        }
    }
    Ok(found)
}

/// Of all that were asked for one thing, the one that has it.
///
/// # Errors
/// The refusal, when nobody has it or somebody refuses for another reason; when
/// several have it, since only the user can tell which is meant.
pub(crate) fn only_one<T>(
    answers: Vec<(Served, Result<T, Status>)>,
) -> anyhow::Result<(Served, T)> {
    let (mut found, mut missing) = (Vec::new(), None);
    for (served, answer) in answers {
        match answer {
            Ok(answer) => found.push((served, answer)),
            Err(status) if status.code() == Code::NotFound => missing = Some(status),
            Err(status) => return Err(Refused(status).into()),
        }
    }
    if found.len() > 1 {
        let apps: Vec<_> = found.iter().map(|(served, _)| served.app.as_str()).collect();
        bail!("{} have one of that name; say which by --app", apps.join(" and "));
    }
    match (found.pop(), missing) {
        (Some(found), _) => Ok(found),
        (None, Some(missing)) => Err(Refused(missing).into()),
        (None, None) => bail!("nobody was asked"),
    }
}

/// Rows below a head, every column as wide as its widest cell.
pub(crate) fn table<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Vec<String> {
    let all: Vec<_> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let widths: [usize; N] = std::array::from_fn(|column| {
        all.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    });
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(app: &str) -> Served {
        let settings = mesh::Settings::from_pairs("titan", &[("log", "off")]);
        let channel = mesh::App::new(settings).unwrap().endpoint("127.0.0.1:1");
        Served { app: app.to_owned(), channel }
    }

    #[tokio::test]
    async fn the_one_that_has_it_is_taken_and_a_doubt_is_the_users() {
        let missing = || (served("a"), Err(Status::not_found("no")));
        let (found, number) = only_one(vec![missing(), (served("b"), Ok(7))]).unwrap();
        assert_eq!((found.app.as_str(), number), ("b", 7));
        let refused = only_one::<i32>(vec![missing()]).unwrap_err();
        assert_eq!(refused.downcast_ref::<Refused>().unwrap().0.code(), Code::NotFound);
        let refused = vec![(served("b"), Ok(())), (served("a"), Err(Status::internal("x")))];
        let refused = only_one(refused).unwrap_err();
        assert_eq!(refused.downcast_ref::<Refused>().unwrap().0.code(), Code::Internal);
        let two = only_one(vec![(served("a"), Ok(1)), (served("b"), Ok(2))]).unwrap_err();
        assert!(two.to_string().contains("a and b"), "{two}");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |one: &str, two: &str| [one.to_owned(), two.to_owned()];
        let lines = table(["ID", "STATE"], [row("long", "x"), row("s", "y")].into_iter());
        assert_eq!(lines, ["ID    STATE", "long  x", "s     y"]);
    }
}
