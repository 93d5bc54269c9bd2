//! One attempt of a call: an instance, a stream to it, and the response's headers.

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::Response;
use tokio::time::Instant;
use tonic::Code;

use super::{
    Shared,
    attempts::Attempts,
    failure::{Failure, Sent},
    payload::Payload,
    permit::Permit,
    pool::Unpicked,
    response::Upload,
    told::Attempt,
};
use crate::status;

/// A response whose body has not been read.
pub(super) struct Answer {
    pub(super) response: Response<h2::RecvStream>,
    pub(super) permit: Permit,
    pub(super) upload: Option<Upload>,
    pub(super) told: Attempt,
}

/// An attempt whose response has not begun. Dropping it resets its stream, and
/// tells its instance's standing nothing but how long it took at least.
pub(super) struct Opened {
    pub(super) response: ResponseFuture,
    permit: Permit,
    upload: Option<Upload>,
    told: Attempt,
}

impl Opened {
    /// Its response, or the lack of one.
    pub(super) fn ended(
        self,
        response: Result<Response<h2::RecvStream>, h2::Error>,
    ) -> Result<Answer, Failure> {
        let Self { mut permit, upload, mut told, .. } = self;
        match response {
            Ok(response) => {
                permit.answered(&response);
                Ok(Answer { response, permit, upload, told })
            }
            Err(error) => {
                permit.broke(&error, Instant::now());
                Err(told.failed(Failure::of_stream(&error)))
            }
        }
    }
}

impl Attempts {
    /// Sends the request once and waits for the response's headers.
    pub(super) async fn attempt(
        &mut self,
        payload: &mut Payload,
        previous: u32,
    ) -> Result<Answer, Failure> {
        let mut opened = self.open(payload, previous).await?;
        let response = (&mut opened.response).await;
        opened.ended(response)
    }

    /// Sends the request once.
    pub(super) async fn open(
        &mut self,
        payload: &mut Payload,
        previous: u32,
    ) -> Result<Opened, Failure> {
        let mut told = self.tell(previous);
        let Shared { pool, bulkhead, .. } = self.shared();
        let picked = pool.pick(&self.ask, bulkhead, told.began()).await;
        let permit = picked.map_err(|why| told.failed(self.unpicked(why)))?;
        self.ask.avoid.add(permit.instance());
        let mut sender = permit.connection.sender();
        if let Err(error) = std::future::poll_fn(|cx| sender.poll_ready(cx)).await {
            permit.connection.retire();
            return Err(told.failed(Failure::unsent(&error)));
        }
        self.send(permit, sender, payload, previous, told)
    }

    /// What tells of an attempt that begins, after so many others.
    pub(super) fn tell(&mut self, previous: u32) -> Attempt {
        self.told.attempt(self.head.path(), previous, self.ask.deadline)
    }

    /// Sends the request on a connection that is ready for it.
    pub(super) fn send(
        &mut self,
        permit: Permit,
        mut sender: SendRequest<Bytes>,
        payload: &mut Payload,
        previous: u32,
        mut told: Attempt,
    ) -> Result<Opened, Failure> {
        told.at(permit.address());
        // As late as possible: what was spent waiting is not left to the server.
        let left = self.ask.deadline.map(|at| at.saturating_duration_since(permit.began()));
        let first = permit.connection.introduce();
        let request = self.head.request(previous, left, first, told.place());
        let sending = payload.take().expect("an attempt is made only with something to send");
        told.sends(&sending);
        let (response, stream) = match sender.send_request(request, false) {
            Ok(opened) => opened,
            Err(error) => {
                permit.connection.retire();
                payload.restore(sending);
                return Err(told.failed(Failure::unsent(&error)));
            }
        };
        Ok(Opened { response, permit, upload: send(sending, stream), told })
    }

    fn unpicked(&self, why: Unpicked) -> Failure {
        if why == Unpicked::Crowded {
            return Failure::new(self.shared().full(), Sent::Nowhere);
        }
        let message = format!("no instance of {} can be reached", self.shared().app);
        let status = status::refuse(Code::Unavailable, "NO_INSTANCE", message);
        Failure::new(status, Sent::Nowhere)
    }
}

fn send(payload: Payload, mut stream: h2::SendStream<Bytes>) -> Option<Upload> {
    match payload {
        Payload::Whole(message) => {
            // An error means that the stream is gone, which the response tells.
            let _ = stream.send_data(message, true);
            None
        }
        Payload::Stream(streamed) => {
            let task = tokio::spawn(streamed.send(stream));
            Some(Upload(task.abort_handle()))
        }
        Payload::Spent => None,
    }
}
