//! `titan sagas`: how the sagas of every service stand, and what a human decides
//! about those that ask.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use mesh::proto::{
    CancelSagaRequest, GetSagaRequest, GetSagaResponse, ListSagasRequest, RetrySagaRequest, Saga,
    SagaDirection, SagaStatus, SkipStepRequest, sagas_service_client::SagasServiceClient,
};
use prost_types::Timestamp;

use crate::{
    args::{Sagas, SagasCommand},
    failure::Refused,
    json::json,
    operator::{self, Served, table},
    output::{self, brief},
};

const SERVICE: &str = "titan.mesh.v1.SagasService";
const HEAD: [&str; 8] = ["APP", "ID", "DEFINITION", "STATUS", "STEP", "FAILED", "AGE", "ERROR"];
/// What a table shows of an error; `titan sagas show` has all of it.
const ERROR_CHARACTERS: usize = 60;

/// Those that are not over.
const UNFINISHED: [SagaStatus; 3] =
    [SagaStatus::NeedsAttention, SagaStatus::Compensating, SagaStatus::Running];

/// Does what was asked for.
pub(crate) async fn run(data: &Path, options: Sagas) -> anyhow::Result<()> {
    let services = operator::serving(data, SERVICE, options.app.as_deref()).await?;
    match options.command {
        SagasCommand::List { status, definition, limit, json } => {
            let statuses = status.map_or(UNFINISHED.to_vec(), |status| vec![status.into()]);
            let sagas = list(&services, &statuses, &definition, limit.get()).await?;
            print_list(&sagas, json)
        }
        SagasCommand::Show { id, json } => {
            let (served, found) = find(services, &id).await?;
            print_one(&served, &found, json)
        }
        SagasCommand::Retry { id, reason } => {
            let mut client = client(&find(services, &id).await?.0);
            client.retry_saga(RetrySagaRequest { id, reason }).await.map_err(Refused)?;
            said("is tried again")
        }
        SagasCommand::Skip { id, reason } => {
            let mut client = client(&find(services, &id).await?.0);
            client.skip_step(SkipStepRequest { id, reason }).await.map_err(Refused)?;
            said("goes on without the step")
        }
        SagasCommand::Cancel { id, reason } => {
            let mut client = client(&find(services, &id).await?.0);
            client.cancel_saga(CancelSagaRequest { id, reason }).await.map_err(Refused)?;
            said("turns back")
        }
    }
}

fn said(what: &str) -> anyhow::Result<()> {
    output::print(format_args!("the saga {what}; `titan sagas show` tells how it goes"));
    Ok(())
}

fn client(served: &Served) -> SagasServiceClient<mesh::Channel> {
    SagasServiceClient::new(served.channel.clone())
}

async fn find(services: Vec<Served>, id: &str) -> anyhow::Result<(Served, GetSagaResponse)> {
    let mut answers = Vec::new();
    for served in services {
        let request = GetSagaRequest { id: id.to_owned() };
        let answer = client(&served).get_saga(request).await;
        answers.push((served, answer.map(tonic::Response::into_inner)));
    }
    operator::only_one(answers)
}

async fn list(
    services: &[Served],
    statuses: &[SagaStatus],
    definition: &str,
    limit: u32,
) -> anyhow::Result<Vec<(String, Saga)>> {
    let mut all = Vec::new();
    for served in services {
        for &status in statuses {
            let sagas = pages(served, status, definition, limit).await?;
            all.extend(sagas.into_iter().map(|saga| (served.app.clone(), saga)));
        }
    }
    Ok(all)
}

/// Page by page, until there are enough.
async fn pages(
    served: &Served,
    status: SagaStatus,
    definition: &str,
    limit: u32,
) -> anyhow::Result<Vec<Saga>> {
    let limit = usize::try_from(limit)?;
    let (mut sagas, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListSagasRequest {
            page_size: i32::try_from((limit - sagas.len()).min(1000))?,
            page_token,
            status: status.into(),
            definition: definition.to_owned(),
        };
        let page = client(served).list_sagas(request).await.map_err(Refused)?.into_inner();
        sagas.extend(page.sagas);
        page_token = page.next_page_token;
        if page_token.is_empty() || sagas.len() >= limit {
            return Ok(sagas);
        }
    }
}

fn print_list(sagas: &[(String, Saga)], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        for (app, saga) in sagas {
            let mut line = json(saga)?;
            line["app"] = app.as_str().into();
            output::print(line);
        }
        return Ok(());
    }
    let now = SystemTime::now();
    let rows = sagas.iter().map(|(app, saga)| row(app, saga, now));
    for line in table(HEAD, rows) {
        output::print(line);
    }
    Ok(())
}

fn row(app: &str, saga: &Saga, now: SystemTime) -> [String; 8] {
    let mut error: String = saga.error.chars().take(ERROR_CHARACTERS).collect();
    if error.len() < saga.error.len() {
        error.push('…');
    }
    [
        app.to_owned(),
        saga.id.clone(),
        format!("{} v{}", saga.definition, saga.version),
        status(saga.status()).to_owned(),
        step(&saga.step, saga.direction()),
        saga.attempts.to_string(),
        age(saga.create_time.as_ref(), now).map_or_else(|| "-".to_owned(), brief),
        error,
    ]
}

fn print_one(served: &Served, found: &GetSagaResponse, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let found = json(found)?;
        output::print(serde_json::to_string_pretty(&found)?);
        return Ok(());
    }
    for line in describe(&served.app, found) {
        output::print(line);
    }
    Ok(())
}

fn describe(app: &str, found: &GetSagaResponse) -> Vec<String> {
    let saga = found.saga.clone().unwrap_or_default();
    let mut lines = vec![
        format!("saga        {} of {app}", saga.id),
        format!("definition  {} version {}", saga.definition, saga.version),
        format!("status      {}", status(saga.status())),
        format!("step        {}", step(&saga.step, saga.direction())),
    ];
    let mut more = |name: &str, text: &str| {
        if !text.is_empty() {
            lines.push(format!("{name:<12}{text}"));
        }
    };
    more("error", &saga.error);
    more("actor", &saga.actor);
    more("trace", &saga.traceparent);
    lines.push(String::new());
    let rows = found.history.iter().map(|entry| {
        let time = entry.time.map_or_else(String::new, |time| time.to_string());
        let step = step(&entry.step, entry.direction());
        [time, step, entry.happening.replace('_', " "), entry.detail.clone()]
    });
    lines.extend(table(["TIME", "STEP", "WHAT", "DETAIL"], rows));
    lines
}

fn age(since: Option<&Timestamp>, now: SystemTime) -> Option<Duration> {
    now.duration_since(SystemTime::try_from(*since?).ok()?).ok()
}

fn step(step: &str, direction: SagaDirection) -> String {
    match direction {
        SagaDirection::Undo if !step.is_empty() => format!("undo {step}"),
        _ => step.to_owned(),
    }
}

fn status(status: SagaStatus) -> &'static str {
    match status {
        SagaStatus::Unspecified => "unknown",
        SagaStatus::Running => "running",
        SagaStatus::Compensating => "compensating",
        SagaStatus::NeedsAttention => "needs attention",
        SagaStatus::Completed => "completed",
        SagaStatus::Compensated => "compensated",
        SagaStatus::Resolved => "resolved",
    }
}

#[cfg(test)]
mod tests {
    use mesh::proto::SagaEntry;

    use super::*;

    fn found() -> GetSagaResponse {
        let saga = Saga {
            id: "orders/7".to_owned(),
            definition: "place-order".to_owned(),
            version: 2,
            status: SagaStatus::NeedsAttention.into(),
            step: "pay".to_owned(),
            direction: SagaDirection::Undo.into(),
            attempts: 10,
            error: "UNAVAILABLE: no route".to_owned(),
            create_time: Some(Timestamp { seconds: 100, nanos: 0 }),
            ..Saga::default()
        };
        let entry = SagaEntry {
            number: 1,
            step: "reserve".to_owned(),
            direction: SagaDirection::Do.into(),
            happening: "needs_attention".to_owned(),
            detail: "why".to_owned(),
            time: Some(Timestamp { seconds: 100, nanos: 0 }),
        };
        GetSagaResponse { saga: Some(saga), history: vec![entry] }
    }

    #[test]
    fn a_row_tells_where_a_saga_is_and_what_holds_it_up() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(300);
        let saga = Saga { error: "x".repeat(61), ..found().saga.unwrap() };
        let row = row("orders", &saga, now);
        let begin = ["orders", "orders/7", "place-order v2", "needs attention", "undo pay", "10"];
        assert_eq!(row[..6], begin);
        assert_eq!(row[6], "3m 20s");
        assert_eq!(row[7].chars().count(), ERROR_CHARACTERS + 1, "it is cut and says so");
    }

    #[test]
    fn a_saga_is_shown_with_its_history() {
        assert_eq!(
            describe("orders", &found()),
            [
                "saga        orders/7 of orders",
                "definition  place-order version 2",
                "status      needs attention",
                "step        undo pay",
                "error       UNAVAILABLE: no route",
                "",
                "TIME                  STEP     WHAT             DETAIL",
                "1970-01-01T00:01:40Z  reserve  needs attention  why",
            ]
        );
    }

    #[test]
    fn json_names_the_application_and_speaks_the_contract() {
        let saga = json(&found().saga.unwrap()).unwrap();
        assert_eq!(saga["status"], "SAGA_STATUS_NEEDS_ATTENTION");
        assert_eq!(saga["createTime"], "1970-01-01T00:01:40Z");
    }
}
