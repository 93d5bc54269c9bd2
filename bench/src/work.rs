//! A handler with a capacity that is known: it has so many hands, and a piece of
//! work keeps one of them busy for so long. It computes nothing, so that the
//! machine's own speed plays no part.

use std::time::Duration;

use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use crate::{
    args::Capacity,
    echo::{WorkRequest, WorkResponse, work_service_server::WorkService},
};

#[derive(Debug)]
pub(crate) struct Work {
    hands: Semaphore,
    takes: Duration,
    instance: String,
}

impl Work {
    pub(crate) fn new(capacity: &Capacity) -> Self {
        Self {
            hands: Semaphore::new(capacity.hands),
            takes: Duration::from_millis(capacity.takes_ms),
            instance: capacity.instance.clone(),
        }
    }
}

#[tonic::async_trait]
impl WorkService for Work {
    async fn work(&self, _: Request<WorkRequest>) -> Result<Response<WorkResponse>, Status> {
        let _hand = self.hands.acquire().await.expect("it is never closed");
        tokio::time::sleep(self.takes).await;
        Ok(Response::new(WorkResponse { instance: self.instance.clone() }))
    }
}
