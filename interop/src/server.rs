//! `grpc.testing.TestService`: answers with what a request asks for.

mod envelope;

use std::{collections::VecDeque, pin::Pin, time::Duration};

use futures_util::stream;
use mesh::{App, Routes, Server, compression::Pack, contract::Access};
use tokio_stream::Stream;
use tonic::{Code, Extensions, Request, Response, Status, Streaming};

use self::envelope::Envelope;
use crate::{
    DESCRIPTORS,
    packing::Flags,
    proto::{
        BoolValue, EchoStatus, Empty, Payload, ResponseParameters, SimpleRequest, SimpleResponse,
        StreamingInputCallRequest, StreamingInputCallResponse, StreamingOutputCallRequest,
        StreamingOutputCallResponse,
        test_service_server::{TestService, TestServiceServer},
    },
};

/// Largest payload that may be asked for: what a client of gRPC takes by default.
const MAX_PAYLOAD: i32 = 4 << 20;
/// Most answers that a half-duplex call may ask for before the first is sent.
const MAX_HELD_BACK: usize = 1_000;

/// A server of the interop tests. It is open to everyone, since the tests' clients
/// prove nothing.
pub fn server(app: &App) -> Server {
    let everyone = Access { public: true, ..Access::default() };
    app.serve()
        .contracts(DESCRIPTORS)
        .foreign("grpc.testing.TestService", everyone.clone())
        // Known but not served, so that its absence is what a client learns.
        .foreign("grpc.testing.UnimplementedService", everyone)
        .routes(routes())
}

fn routes() -> Routes {
    Routes::new().add(Envelope::around(TestServiceServer::new(Test)))
}

struct Test;

type Answers = Pin<Box<dyn Stream<Item = Result<StreamingOutputCallResponse, Status>> + Send>>;

#[tonic::async_trait]
impl TestService for Test {
    type StreamingOutputCallStream = Answers;
    type FullDuplexCallStream = Answers;
    type HalfDuplexCallStream = Answers;

    async fn empty_call(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        Ok(Response::new(Empty {}))
    }

    async fn unary_call(
        &self,
        request: Request<SimpleRequest>,
    ) -> Result<Response<SimpleResponse>, Status> {
        let flags = flags(request.extensions());
        let request = request.into_inner();
        expect(&flags, request.expect_compressed)?;
        echo(request.response_status)?;
        let payload = payload(request.response_type, request.response_size)?;
        let mut response =
            Response::new(SimpleResponse { payload: Some(payload), ..SimpleResponse::default() });
        if request.response_compressed.is_some_and(|asked| asked.value) {
            response.extensions_mut().insert(Pack::all());
        }
        Ok(response)
    }

    /// Caching is a matter of proxies, which the mesh has none of.
    async fn cacheable_unary_call(
        &self,
        _: Request<SimpleRequest>,
    ) -> Result<Response<SimpleResponse>, Status> {
        Err(Status::unimplemented("nothing is cached here"))
    }

    async fn streaming_output_call(
        &self,
        request: Request<StreamingOutputCallRequest>,
    ) -> Result<Response<Answers>, Status> {
        let request = request.into_inner();
        echo(request.response_status)?;
        let packed: Vec<bool> = request
            .response_parameters
            .iter()
            .map(|asked| asked.compressed.is_some_and(|asked| asked.value))
            .collect();
        let asked = request.response_parameters.into_iter();
        let asked = asked.map(|parameters| (request.response_type, parameters)).collect();
        let mut response = Response::new(answers(asked, None));
        if packed.contains(&true) {
            let pack = Pack::all().only(move |number| packed.get(number) == Some(&true));
            response.extensions_mut().insert(pack);
        }
        Ok(response)
    }

    async fn streaming_input_call(
        &self,
        request: Request<Streaming<StreamingInputCallRequest>>,
    ) -> Result<Response<StreamingInputCallResponse>, Status> {
        let flags = flags(request.extensions());
        let mut messages = request.into_inner();
        let mut sum = 0_i32;
        while let Some(message) = messages.message().await? {
            expect(&flags, message.expect_compressed)?;
            let size = message.payload.map_or(0, |payload| payload.body.len());
            let size = i32::try_from(size).map_err(|_| too_much())?;
            sum = sum.checked_add(size).ok_or_else(too_much)?;
        }
        Ok(Response::new(StreamingInputCallResponse { aggregated_payload_size: sum }))
    }

    async fn full_duplex_call(
        &self,
        request: Request<Streaming<StreamingOutputCallRequest>>,
    ) -> Result<Response<Answers>, Status> {
        Ok(Response::new(answers(VecDeque::new(), Some(request.into_inner()))))
    }

    async fn half_duplex_call(
        &self,
        request: Request<Streaming<StreamingOutputCallRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let mut requests = request.into_inner();
        let mut held_back = VecDeque::new();
        while let Some(request) = requests.message().await? {
            take(&mut held_back, request)?;
            if held_back.len() > MAX_HELD_BACK {
                return Err(too_much());
            }
        }
        Ok(Response::new(answers(held_back, None)))
    }

    async fn unimplemented_call(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        Err(Status::unimplemented("the contract asks for this method to be missing"))
    }
}

/// Answers that were asked for, by payload type and parameters.
type Asked = VecDeque<(i32, ResponseParameters)>;

/// What was asked for and then what each further request asks for.
fn answers(asked: Asked, requests: Option<Streaming<StreamingOutputCallRequest>>) -> Answers {
    Box::pin(stream::try_unfold((asked, requests), |(mut asked, mut requests)| async move {
        loop {
            if let Some((kind, parameters)) = asked.pop_front() {
                let answer = answer(kind, &parameters).await?;
                return Ok(Some((answer, (asked, requests))));
            }
            let Some(further) = &mut requests else { return Ok(None) };
            match further.message().await? {
                Some(request) => take(&mut asked, request)?,
                None => return Ok(None),
            }
        }
    }))
}

fn take(asked: &mut Asked, request: StreamingOutputCallRequest) -> Result<(), Status> {
    echo(request.response_status)?;
    let parameters = request.response_parameters.into_iter();
    asked.extend(parameters.map(|parameters| (request.response_type, parameters)));
    Ok(())
}

async fn answer(
    kind: i32,
    asked: &ResponseParameters,
) -> Result<StreamingOutputCallResponse, Status> {
    let micros = u64::try_from(asked.interval_us)
        .map_err(|_| Status::invalid_argument("interval_us is negative"))?;
    if micros > 0 {
        tokio::time::sleep(Duration::from_micros(micros)).await;
    }
    Ok(StreamingOutputCallResponse { payload: Some(payload(kind, asked.size)?) })
}

fn payload(kind: i32, size: i32) -> Result<Payload, Status> {
    if kind != 0 {
        return Err(Status::invalid_argument("payloads are COMPRESSABLE here"));
    }
    if !(0..=MAX_PAYLOAD).contains(&size) {
        return Err(Status::invalid_argument(format!("a payload has 0 to {MAX_PAYLOAD} bytes")));
    }
    Ok(Payload { r#type: kind, body: vec![0; usize::try_from(size).unwrap_or_default()] })
}

/// Refuses as the request asks to be refused.
fn echo(status: Option<EchoStatus>) -> Result<(), Status> {
    match status {
        Some(status) if status.code != 0 => {
            Err(Status::new(Code::from_i32(status.code), status.message))
        }
        _ => Ok(()),
    }
}

fn flags(extensions: &Extensions) -> Flags {
    extensions.get::<Flags>().cloned().unwrap_or_default()
}

/// Refuses a message that did not come as it says.
fn expect(flags: &Flags, expected: Option<BoolValue>) -> Result<(), Status> {
    let packed = flags.next().unwrap_or_default();
    match expected {
        Some(expected) if expected.value != packed => Err(Status::invalid_argument(format!(
            "compressed should be {}, but is {packed}",
            expected.value
        ))),
        _ => Ok(()),
    }
}

fn too_much() -> Status {
    Status::resource_exhausted("more was asked for than is kept")
}
