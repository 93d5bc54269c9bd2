//! An application's contracts by server reflection v1: the files of the services
//! that it exposes, and everything they import.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use mesh::{App, Channel, proto::Instance};
use prost::Message as _;
use prost_types::FileDescriptorProto;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, ServerReflectionResponse,
    server_reflection_client::ServerReflectionClient, server_reflection_request::MessageRequest,
    server_reflection_response::MessageResponse,
};

use crate::schema::{Source, is_exposed};

/// For a whole fetch: a dozen small answers.
const TIMEOUT: Duration = Duration::from_secs(5);
/// All of Google's public APIs are 6,000 files; one application is far from it.
const MAX_FILES: usize = 5_000;
/// Descriptors are kept in memory as they came, and once more as types.
const MAX_BYTES: usize = 32 << 20;

/// Why contracts could not be fetched.
#[derive(Debug, Error)]
pub(crate) enum FetchError {
    #[error("the instance refuses: {0}")]
    Refused(#[from] Status),
    #[error("the instance does not answer in {} s", TIMEOUT.as_secs())]
    Timeout,
    #[error("reflection ends without an answer")]
    Ended,
    #[error("reflection answers what was not asked")]
    Unexpected,
    #[error("reflection knows nothing of `{0}`")]
    Unknown(String),
    #[error("a descriptor is malformed: {0}")]
    Malformed(#[from] prost::DecodeError),
    #[error("more than {MAX_FILES} files or {MAX_BYTES} bytes of descriptors")]
    TooLarge,
}

/// Fetches the contracts of an instance's application.
pub(super) async fn source(app: &App, instance: &Instance) -> Result<Source, FetchError> {
    // That very instance: during a rollout the others have the old contracts.
    let channel = match instance.address.as_str() {
        "" => app.channel(&instance.app),
        address => app.endpoint(address),
    };
    let fetch = async {
        let mut conversation = Conversation::begin(channel).await?;
        let services = conversation.services(instance).await?;
        let files = conversation.files(&services).await?;
        Ok(Source::new(&instance.app, services, files))
    };
    tokio::time::timeout(TIMEOUT, fetch).await.map_err(|_| FetchError::Timeout)?
}

/// One stream of questions and answers.
struct Conversation {
    questions: mpsc::Sender<ServerReflectionRequest>,
    answers: Streaming<ServerReflectionResponse>,
}

impl Conversation {
    async fn begin(channel: Channel) -> Result<Conversation, FetchError> {
        let (questions, receiver) = mpsc::channel(1);
        let stream = ReceiverStream::new(receiver);
        let answers = ServerReflectionClient::new(channel).server_reflection_info(stream).await?;
        Ok(Conversation { questions, answers: answers.into_inner() })
    }

    async fn ask(&mut self, question: MessageRequest) -> Result<MessageResponse, FetchError> {
        let request =
            ServerReflectionRequest { host: String::new(), message_request: Some(question) };
        self.questions.send(request).await.map_err(|_| FetchError::Ended)?;
        let answer = self.answers.message().await?.ok_or(FetchError::Ended)?;
        answer.message_response.ok_or(FetchError::Unexpected)
    }

    /// What the instance registered, or what it lists when it is known by name only.
    async fn services(&mut self, instance: &Instance) -> Result<Vec<String>, FetchError> {
        let all = if instance.services.is_empty() {
            match self.ask(MessageRequest::ListServices("*".to_owned())).await? {
                MessageResponse::ListServicesResponse(list) => {
                    list.service.into_iter().map(|service| service.name).collect()
                }
                _ => return Err(FetchError::Unexpected),
            }
        } else {
            instance.services.clone()
        };
        Ok(all.into_iter().filter(|service| is_exposed(service)).collect())
    }

    async fn files(&mut self, services: &[String]) -> Result<Vec<Bytes>, FetchError> {
        let mut files = Files::default();
        for service in services {
            let question = MessageRequest::FileContainingSymbol(service.clone());
            files.add(self.descriptors(question, service).await?)?;
        }
        while let Some(missing) = files.missing.pop_first() {
            let question = MessageRequest::FileByFilename(missing.clone());
            files.add(self.descriptors(question, &missing).await?)?;
        }
        Ok(files.by_name.into_values().collect())
    }

    async fn descriptors(
        &mut self,
        question: MessageRequest,
        asked: &str,
    ) -> Result<Vec<Vec<u8>>, FetchError> {
        match self.ask(question).await? {
            MessageResponse::FileDescriptorResponse(files) => Ok(files.file_descriptor_proto),
            MessageResponse::ErrorResponse(_) => Err(FetchError::Unknown(asked.to_owned())),
            _ => Err(FetchError::Unexpected),
        }
    }
}

/// Files that have come, and imports that have not.
#[derive(Default)]
struct Files {
    by_name: BTreeMap<String, Bytes>,
    missing: BTreeSet<String>,
    bytes: usize,
}

impl Files {
    fn add(&mut self, encoded: Vec<Vec<u8>>) -> Result<(), FetchError> {
        for encoded in encoded {
            let file = FileDescriptorProto::decode(encoded.as_slice())?;
            self.missing.remove(file.name());
            self.bytes += encoded.len();
            self.by_name.insert(file.name().to_owned(), encoded.into());
            for import in file.dependency {
                if !self.by_name.contains_key(&import) {
                    self.missing.insert(import);
                }
            }
        }
        if self.by_name.len() > MAX_FILES || self.bytes > MAX_BYTES {
            return Err(FetchError::TooLarge);
        }
        Ok(())
    }
}
