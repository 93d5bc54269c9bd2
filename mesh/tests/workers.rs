//! A server on workers: what one thread promised is promised by several.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    thread::ThreadId,
    time::Duration,
};

use mesh::{
    App, Routes,
    proto::{
        ListKeysRequest, ListKeysResponse,
        key_service_client::KeyServiceClient,
        key_service_server::{KeyService, KeyServiceServer},
    },
    testing::{Mesh, Running},
    workers,
};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

/// Remembers who served, and holds calls while `places` has none.
#[derive(Clone)]
struct Keys {
    on: Arc<Mutex<Vec<(usize, ThreadId)>>>,
    places: Arc<Semaphore>,
}

impl Keys {
    fn new(places: usize) -> Self {
        Self { on: Arc::default(), places: Arc::new(Semaphore::new(places)) }
    }

    fn served(&self) -> usize {
        self.on.lock().unwrap().len()
    }

    /// The workers that have served.
    fn workers(&self) -> BTreeSet<usize> {
        self.on.lock().unwrap().iter().map(|(number, _)| *number).collect()
    }

    async fn reached(&self, calls: usize) {
        while self.served() < calls {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tonic::async_trait]
impl KeyService for Keys {
    async fn list_keys(
        &self,
        _: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        let who = (workers::current(), std::thread::current().id());
        self.on.lock().unwrap().push(who);
        self.places.acquire().await.unwrap().forget();
        Ok(Response::new(ListKeysResponse::default()))
    }
}

async fn serve(mesh: &Mesh, keys: &Keys, pairs: &[(&str, &str)]) -> Running {
    let app = mesh.app_with("keys", &[&[("workers", "2")], pairs].concat());
    let routes = Routes::new().add(KeyServiceServer::new(keys.clone()));
    mesh.serve_app(&app, mesh::DESCRIPTORS, routes).await
}

/// A caller with a connection of its own.
fn client(app: &App, running: &Running) -> KeyServiceClient<mesh::Channel> {
    KeyServiceClient::new(app.endpoint(&running.address.to_string()))
}

#[tokio::test]
async fn a_single_connection_is_served_by_one_worker_alone() {
    let (mesh, keys) = (Mesh::new().await, Keys::new(usize::MAX >> 4));
    let running = serve(&mesh, &keys, &[]).await;
    let mut client = client(&mesh.app("caller"), &running);
    for _ in 0..20 {
        client.list_keys(ListKeysRequest {}).await.unwrap();
    }
    let on = keys.on.lock().unwrap().clone();
    assert!(on.iter().all(|who| *who == on[0] && who.0 > 0), "{on:?}");
}

#[tokio::test]
async fn calls_that_wait_hold_up_none_that_come_after_them() {
    let (mesh, keys) = (Mesh::new().await, Keys::new(0));
    let running = serve(&mesh, &keys, &[]).await;
    let client = client(&mesh.app("caller"), &running);
    // More than a connection serves in one turn.
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move { client.list_keys(ListKeysRequest::default()).await })
        })
        .collect();
    keys.reached(200).await;
    keys.places.add_permits(200);
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn several_connections_are_served_by_all_workers() {
    let (mesh, keys) = (Mesh::new().await, Keys::new(usize::MAX >> 4));
    let running = serve(&mesh, &keys, &[]).await;
    let app = mesh.app("caller");
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = client(&app, &running);
        client.list_keys(ListKeysRequest {}).await.unwrap();
        clients.push(client);
    }
    assert_eq!(keys.workers().len(), 2);
}

#[tokio::test]
async fn a_drain_over_all_workers_loses_no_call() {
    let (mesh, keys) = (Mesh::new().await, Keys::new(0));
    let running = serve(&mesh, &keys, &[]).await;
    let app = mesh.app("caller");
    let calls: Vec<_> = (0..40)
        .map(|_| {
            let mut client = client(&app, &running);
            tokio::spawn(async move { client.list_keys(ListKeysRequest {}).await })
        })
        .collect();
    keys.reached(40).await;
    assert_eq!(keys.workers().len(), 2);
    let address = running.address;
    let stopping = tokio::spawn(running.stop());
    // The port is closed, so new calls are refused; those that are under way go on.
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!stopping.is_finished());
    keys.places.add_permits(40);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_drain_that_takes_too_long_cuts_calls_on_every_worker() {
    let (mesh, keys) = (Mesh::new().await, Keys::new(0));
    let running = serve(&mesh, &keys, &[("drain_timeout", "50ms")]).await;
    let app = mesh.app("caller");
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let mut client = client(&app, &running);
            tokio::spawn(async move { client.list_keys(ListKeysRequest {}).await })
        })
        .collect();
    keys.reached(4).await;
    running.stop().await;
    for call in calls {
        call.await.unwrap().unwrap_err();
    }
}

#[tokio::test]
async fn a_killed_server_leaves_neither_port_nor_handlers() {
    let (mesh, keys) = (Mesh::new().await, Keys::new(0));
    let running = serve(&mesh, &keys, &[]).await;
    let mut client = client(&mesh.app("caller"), &running);
    let call = tokio::spawn(async move { client.list_keys(ListKeysRequest {}).await });
    keys.reached(1).await;
    running.kill().await;
    call.await.unwrap().unwrap_err();
    // The handler's copy of the service is dropped with its worker.
    while Arc::strong_count(&keys.places) > 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_handler_that_blocks_its_worker_is_counted_on_the_admin_page() {
    let blocked = |app: &App| {
        let page = app.metrics();
        let line = page.lines().find(|line| line.starts_with("titan_worker_blocked_total "));
        line.unwrap().rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()
    };
    let (mesh, keys) = (Mesh::new().await, Keys::new(usize::MAX >> 4));
    let running = serve(&mesh, &keys, &[]).await;
    let app = mesh.app("caller");
    let before = blocked(&app);
    // The handler takes this lock.
    let on = keys.on.clone();
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let (locked, is_locked) = tokio::sync::oneshot::channel();
    let holder = std::thread::spawn(move || {
        let _on = on.lock().unwrap();
        locked.send(()).unwrap();
        let _ = held.recv();
    });
    is_locked.await.unwrap();
    let mut client = client(&app, &running);
    let call = tokio::spawn(async move { client.list_keys(ListKeysRequest {}).await });
    while blocked(&app) == before {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(hold);
    holder.join().unwrap();
    call.await.unwrap().unwrap();
}
