//! Learns a method's schema from the server itself, by gRPC reflection v1.

use std::collections::{HashMap, HashSet, VecDeque};

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{DescriptorPool, MessageDescriptor, MethodDescriptor, ServiceDescriptor};
use prost_types::FileDescriptorProto;
use tonic::Code;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::{args::Method, failure::Refused};

/// Files that a schema may consist of; more are a server gone wrong.
const MAX_FILES: usize = 1_000;

/// Bytes of one answer: a contract with its comments is larger than gRPC's usual
/// 4 MiB only when something is wrong.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Asks a server for the schema of a method.
///
/// # Errors
/// A server that cannot be reached or has no reflection; a service or method
/// that it does not have, with those that it has.
pub(crate) async fn method(
    channel: &mesh::Channel,
    method: &Method,
) -> anyhow::Result<MethodDescriptor> {
    let client = ServerReflectionClient::new(channel.clone());
    let mut server = Reflection(client.max_decoding_message_size(MAX_ANSWER_BYTES));
    let pool = server.schema(&method.service).await?;
    let service = pool.get_service_by_name(&method.service);
    let service = service.with_context(|| format!("{} is not a service", method.service))?;
    let found = service.methods().find(|found| found.name() == method.name);
    found.with_context(|| no_such_method(&service, &method.name))
}

/// Asks a server for the schema of a message.
///
/// # Errors
/// A server that cannot be reached, has no reflection or does not know the message.
pub(crate) async fn message(
    channel: &mesh::Channel,
    name: &str,
) -> anyhow::Result<MessageDescriptor> {
    let client = ServerReflectionClient::new(channel.clone());
    let mut server = Reflection(client.max_decoding_message_size(MAX_ANSWER_BYTES));
    let message = server.schema(name).await?.get_message_by_name(name);
    message.with_context(|| format!("{name} is not a message"))
}

/// Asks a server for the schemas of all its services.
///
/// # Errors
/// A server that cannot be reached, has no reflection, or does not know what it
/// serves itself.
pub(crate) async fn services(channel: &mesh::Channel) -> anyhow::Result<Vec<ServiceDescriptor>> {
    let client = ServerReflectionClient::new(channel.clone());
    let mut server = Reflection(client.max_decoding_message_size(MAX_ANSWER_BYTES));
    let mut services = Vec::new();
    for name in server.services().await? {
        let pool = server.schema(&name).await?;
        let service = pool.get_service_by_name(&name);
        services.push(service.with_context(|| format!("{name} is not a service"))?);
    }
    Ok(services)
}

fn no_such_method(service: &ServiceDescriptor, name: &str) -> String {
    let names: Vec<String> = service.methods().map(|method| method.name().to_owned()).collect();
    format!("{} has no method {name}; it has {}", service.full_name(), names.join(", "))
}

/// A `FileDescriptorSet` whose files stay encoded: the types of prost-types would
/// drop the options that policies and rules are.
#[derive(prost::Message)]
struct RawSet {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    files: Vec<Bytes>,
}

struct Reflection(ServerReflectionClient<mesh::Channel>);

impl Reflection {
    async fn schema(&mut self, service: &str) -> anyhow::Result<DescriptorPool> {
        let symbol = MessageRequest::FileContainingSymbol(service.to_owned());
        let Some(first) = self.files(symbol).await? else {
            let known = self.services().await?;
            bail!("the server has no service {service}; it has {}", known.join(", "));
        };
        let mut files: HashMap<String, Bytes> = HashMap::new();
        let mut wanted = VecDeque::new();
        let mut asked = HashSet::new();
        let mut arrived = first;
        loop {
            for bytes in arrived {
                let file = FileDescriptorProto::decode(bytes.clone());
                let file = file.context("the server's schema cannot be read")?;
                files.insert(file.name().to_owned(), bytes);
                wanted.extend(file.dependency);
            }
            if files.len() > MAX_FILES {
                bail!("the server's schema of {service} has more than {MAX_FILES} files");
            }
            wanted.retain(|name| !files.contains_key(name));
            let Some(name) = wanted.pop_front() else { break };
            // A server that answers a question with other files must not be
            // asked forever.
            if !asked.insert(name.clone()) {
                bail!("the server does not give away {name}");
            }
            let answer = self.files(MessageRequest::FileByFilename(name.clone())).await?;
            arrived = answer.with_context(|| format!("the server lacks {name}"))?;
        }
        let mut pool = DescriptorPool::new();
        let set = RawSet { files: files.into_values().collect() };
        pool.decode_file_descriptor_set(set.encode_to_vec().as_slice())
            .map_err(|error| anyhow!("the server's schema of {service} is broken: {error}"))?;
        Ok(pool)
    }

    async fn services(&mut self) -> anyhow::Result<Vec<String>> {
        match self.ask(MessageRequest::ListServices(String::new())).await? {
            MessageResponse::ListServicesResponse(list) => {
                Ok(list.service.into_iter().map(|service| service.name).collect())
            }
            _ => bail!("the server's reflection answered something else"),
        }
    }

    /// The files that answer a question; `None` when the server knows nothing.
    async fn files(&mut self, question: MessageRequest) -> anyhow::Result<Option<Vec<Bytes>>> {
        match self.ask(question).await? {
            MessageResponse::FileDescriptorResponse(answer) => {
                Ok(Some(answer.file_descriptor_proto.into_iter().map(Bytes::from).collect()))
            }
            MessageResponse::ErrorResponse(error) if error.error_code == Code::NotFound as i32 => {
                Ok(None)
            }
            MessageResponse::ErrorResponse(error) => bail!("reflection: {}", error.error_message),
            _ => bail!("the server's reflection answered something else"),
        }
    }

    async fn ask(&mut self, question: MessageRequest) -> anyhow::Result<MessageResponse> {
        let question =
            ServerReflectionRequest { host: String::new(), message_request: Some(question) };
        let answers = self.0.server_reflection_info(tokio_stream::once(question)).await;
        let mut answers = answers.map_err(Refused)?.into_inner();
        let answer = answers.message().await.map_err(Refused)?;
        answer.and_then(|answer| answer.message_response).context("reflection gave no answer")
    }
}
