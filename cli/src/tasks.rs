//! `titan tasks`: the tasks that services gave up, and the two ways out.

use std::path::Path;

use anyhow::bail;
use mesh::proto::{
    DeadTask, DiscardTaskRequest, ListDeadTasksRequest, RequeueTaskRequest,
    tasks_service_client::TasksServiceClient,
};

use crate::{
    args::{Tasks, TasksCommand},
    failure::Refused,
    json::json,
    operator::{self, Served, table},
    output,
};

const SERVICE: &str = "titan.mesh.v1.TasksService";
const HEAD: [&str; 6] = ["APP", "KIND", "KEY", "ATTEMPTS", "DIED", "ERROR"];
/// Of each application, the first to die first.
const LIMIT: i32 = 1_000;

/// Does what was asked for.
pub(crate) async fn run(data: &Path, options: Tasks) -> anyhow::Result<()> {
    let services = operator::serving(data, SERVICE, options.app.as_deref()).await?;
    match options.command {
        TasksCommand::List { json } => print_list(&list(&services).await?, json),
        TasksCommand::Requeue { kind, key } => {
            let mut client = client(&whose(services, &kind, &key).await?);
            client.requeue_task(RequeueTaskRequest { kind, key }).await.map_err(Refused)?;
            output::print("the task has its attempts again");
            Ok(())
        }
        TasksCommand::Discard { kind, key } => {
            let mut client = client(&whose(services, &kind, &key).await?);
            client.discard_task(DiscardTaskRequest { kind, key }).await.map_err(Refused)?;
            output::print("the task is removed");
            Ok(())
        }
    }
}

fn client(served: &Served) -> TasksServiceClient<mesh::Channel> {
    TasksServiceClient::new(served.channel.clone())
}

/// The application that has this dead task. Looked for before anything is
/// changed: the same kind and key may be in several of them.
async fn whose(mut services: Vec<Served>, kind: &str, key: &str) -> anyhow::Result<Served> {
    if services.len() > 1 {
        let dead = list(&services).await?;
        services.retain(|served| {
            dead.iter()
                .any(|(app, task)| *app == served.app && task.kind == kind && task.key == key)
        });
    }
    match services.len() {
        0 => bail!("nobody has a dead task {kind} {key}; `titan tasks list` tells who has which"),
        1 => Ok(services.remove(0)),
        _ => bail!("several have a dead task {kind} {key}; say which by --app"),
    }
}

async fn list(services: &[Served]) -> anyhow::Result<Vec<(String, DeadTask)>> {
    let mut all = Vec::new();
    for served in services {
        let request = ListDeadTasksRequest { page_size: LIMIT };
        let answer = client(served).list_dead_tasks(request).await.map_err(Refused)?.into_inner();
        all.extend(answer.tasks.into_iter().map(|task| (served.app.clone(), task)));
    }
    Ok(all)
}

fn print_list(tasks: &[(String, DeadTask)], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        for (app, task) in tasks {
            let mut line = json(task)?;
            line["app"] = app.as_str().into();
            output::print(line);
        }
        return Ok(());
    }
    let rows = tasks.iter().map(|(app, task)| row(app, task));
    for line in table(HEAD, rows) {
        output::print(line);
    }
    Ok(())
}

fn row(app: &str, task: &DeadTask) -> [String; 6] {
    [
        app.to_owned(),
        task.kind.clone(),
        task.key.clone(),
        task.attempts.to_string(),
        task.death_time.map_or_else(String::new, |time| time.to_string()),
        task.error.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    #[test]
    fn a_row_tells_what_was_given_up_and_why() {
        let task = DeadTask {
            kind: "mail".to_owned(),
            key: "users/7".to_owned(),
            attempts: 10,
            error: "no route".to_owned(),
            death_time: Some(Timestamp { seconds: 100, nanos: 0 }),
            ..DeadTask::default()
        };
        let row = row("identity", &task);
        assert_eq!(row, ["identity", "mail", "users/7", "10", "1970-01-01T00:01:40Z", "no route"]);
    }
}
