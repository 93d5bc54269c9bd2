//! Learns where the processes serve and whether they do: from the registry,
//! which knows them by their process ids, and by asking each for its health.

use std::time::Duration;

use mesh::proto::{
    Instance, WatchRequest, WatchResponse, registry_service_client::RegistryServiceClient,
};
use tokio::{sync::watch, task::JoinSet, time};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::process::{Process, State};

/// How often a process that starts is asked for its health. What a person waits
/// for is not delayed noticeably, and the question costs microseconds.
const ASK_EVERY: Duration = Duration::from_millis(25);

/// How long an answer may take; a process that is stuck is asked anew.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// How long to wait before the registry is asked again after it broke off; its
/// end is noticed meanwhile.
const WATCH_AGAIN: Duration = Duration::from_millis(200);

/// Looks after the health of processes, by tasks of `tasks`.
pub(super) fn attend(processes: &[Process], app: &mesh::App, tasks: &mut JoinSet<()>) {
    let views = watch::Sender::new(WatchResponse::default());
    for process in processes {
        tasks.spawn(tend(process.clone(), app.clone(), views.subscribe()));
    }
    let registry = processes.iter().find(|process| process.app == super::topology::REGISTRY);
    if let Some(registry) = registry {
        tasks.spawn(follow(registry.clone(), app.clone(), views));
    }
}

/// Follows the registry's views, through its restarts.
async fn follow(registry: Process, app: mesh::App, views: watch::Sender<WatchResponse>) {
    loop {
        let address = registry.wait(|status| status.state == State::Up).await.address;
        let mut client = RegistryServiceClient::new(app.endpoint(&address));
        if let Ok(answer) = client.watch(WatchRequest::default()).await {
            let mut answers = answer.into_inner();
            while let Ok(Some(view)) = answers.message().await {
                views.send_replace(view);
            }
        }
        time::sleep(WATCH_AGAIN).await;
    }
}

/// Moves one process between starting and up, start after start.
async fn tend(process: Process, app: mesh::App, mut views: watch::Receiver<WatchResponse>) {
    loop {
        let starting = |pid: u32, state| pid != 0 && state == State::Starting;
        let pid = process.wait(|status| starting(status.pid, status.state)).await.pid;
        let life = async {
            let (address, admin) = addresses(&process, pid, &mut views).await;
            serving(&app, &address).await;
            process.serves(pid, address, admin).await;
            absence(&process, pid, &mut views).await;
            process.silent(pid).await;
        };
        tokio::select! {
            () = life => {}
            _ = process.wait(|status| status.pid != pid) => {}
        }
    }
}

/// Where a process serves, once that is known.
async fn addresses(
    process: &Process,
    pid: u32,
    views: &mut watch::Receiver<WatchResponse>,
) -> (String, String) {
    if let Some((address, admin)) = process.addresses {
        return (address.to_string(), admin.to_string());
    }
    loop {
        let found = find(&views.borrow_and_update(), process, pid)
            .map(|instance| (instance.address.clone(), instance.admin_address.clone()));
        match found {
            Some(found) => return found,
            None => next(views).await,
        }
    }
}

/// Waits until the registry, which knows everyone, does not know the process.
async fn absence(process: &Process, pid: u32, views: &mut watch::Receiver<WatchResponse>) {
    if process.addresses.is_some() {
        return std::future::pending().await;
    }
    loop {
        if missing(&views.borrow_and_update(), process, pid) {
            return;
        }
        next(views).await;
    }
}

fn missing(view: &WatchResponse, process: &Process, pid: u32) -> bool {
    view.settled && find(view, process, pid).is_none()
}

fn find<'a>(view: &'a WatchResponse, process: &Process, pid: u32) -> Option<&'a Instance> {
    view.instances.iter().find(|instance| instance.pid == pid && instance.app == process.app)
}

async fn next(views: &mut watch::Receiver<WatchResponse>) {
    if views.changed().await.is_err() {
        // No registry is run: nothing will ever be known.
        std::future::pending().await
    }
}

/// Waits until a server says that it serves.
async fn serving(app: &mesh::App, address: &str) {
    let mut health = HealthClient::new(app.endpoint(address));
    loop {
        let answer = health.check(HealthCheckRequest::default());
        if let Ok(Ok(answer)) = time::timeout(ANSWER_WITHIN, answer).await
            && answer.get_ref().status() == ServingStatus::Serving
        {
            return;
        }
        time::sleep(ASK_EVERY).await;
    }
}
