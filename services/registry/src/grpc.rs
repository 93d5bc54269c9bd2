//! `titan.mesh.v1.RegistryService`: parse, decide, answer.

use std::{collections::HashSet, pin::Pin, sync::Arc};

use mesh::{
    proto::{
        DeregisterRequest, DeregisterResponse, Instance, RegisterRequest, RegisterResponse,
        WatchRequest, WatchResponse, registry_service_server::RegistryService,
    },
    status,
};
use tokio_stream::{Stream, StreamExt as _, wrappers::WatchStream};
use tonic::{Code, Request, Response, Status};

use crate::{
    app::{Registry, View},
    domain::{Error, Key},
};

#[tonic::async_trait]
impl RegistryService for Registry {
    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let instance = request.into_inner().instance.unwrap_or_default();
        if instance.app != caller()? {
            return Err(status::refuse(
                Code::PermissionDenied,
                "FOREIGN_APPLICATION",
                "an application registers only its own instances",
            ));
        }
        let lease = Registry::register(self, instance).map_err(refusal)?;
        let lease = lease.try_into().expect("a lease is at most minutes");
        Ok(Response::new(RegisterResponse { lease: Some(lease) }))
    }

    async fn deregister(
        &self,
        request: Request<DeregisterRequest>,
    ) -> Result<Response<DeregisterResponse>, Status> {
        // The caller's own name is half of the key: another application's
        // instance of that id is unknown to it.
        let key = Key { app: caller()?, id: request.into_inner().id };
        Registry::deregister(self, &key);
        Ok(Response::new(DeregisterResponse {}))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let mut watcher = Watcher::new(request.into_inner().apps);
        let views = WatchStream::new(Registry::watch(self));
        let answers = views.filter_map(move |view| watcher.answer(&view).map(Ok));
        Ok(Response::new(Box::pin(answers)))
    }
}

/// What one watcher asked for and was last told.
struct Watcher {
    apps: HashSet<String>,
    told: Option<(Vec<Arc<Instance>>, bool)>,
}

impl Watcher {
    fn new(apps: Vec<String>) -> Self {
        Self { apps: apps.into_iter().collect(), told: None }
    }

    /// The part of a view that was asked for, unless it was told already: a
    /// change among other applications is none of this watcher's business.
    fn answer(&mut self, view: &View) -> Option<WatchResponse> {
        let asked =
            |instance: &&Arc<Instance>| self.apps.is_empty() || self.apps.contains(&instance.app);
        let instances: Vec<_> = view.instances.iter().filter(asked).cloned().collect();
        let news = (instances, view.settled);
        if self.told.as_ref() == Some(&news) {
            return None;
        }
        let (instances, settled) = self.told.insert(news);
        let instances = instances.iter().map(|instance| (**instance).clone()).collect();
        Some(WatchResponse { instances, settled: *settled })
    }
}

/// The application that proved its name, which the access rule of the contract
/// made sure of.
fn caller() -> Result<String, Status> {
    let service = mesh::call::caller().service;
    service.map(|name| name.to_string()).ok_or_else(|| {
        status::refuse(
            Code::Unauthenticated,
            "SERVICE_UNKNOWN",
            "only an application that proves its name may call",
        )
    })
}

fn refusal(error: Error) -> Status {
    match error {
        Error::Full => status::refuse(Code::ResourceExhausted, "REGISTRY_FULL", error.to_string()),
    }
}
