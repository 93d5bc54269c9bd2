//! Server reflection over everything behind the edge, v1 and v1alpha (grpcurl
//! before 1.8.7 speaks only the latter). Files are answered as their application
//! sent them, byte for byte, so that options and extensions survive.

use std::{collections::BTreeSet, pin::Pin, sync::OnceLock};

use bytes::Bytes;
use futures_util::Stream;
use prost_reflect::{DescriptorPool, FileDescriptor};
use tokio_stream::StreamExt as _;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::schema::{Live, Snapshot};

/// Most files in one answer, the asked one and its imports.
const MAX_FILES: usize = 1_000;

/// The edge's own services, which no application's contracts describe.
fn own() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| {
        let mut pool = DescriptorPool::new();
        for set in [
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ] {
            pool.decode_file_descriptor_set(set).expect("they are complete sets");
        }
        pool
    })
}

/// What can be asked.
enum Question {
    FileByName(String),
    FileWithSymbol(String),
    FileWithExtension(String, i32),
    ExtensionNumbers(String),
    Services,
}

/// What is answered.
enum Answer {
    Files(Vec<Bytes>),
    ExtensionNumbers(String, Vec<i32>),
    Services(Vec<String>),
}

fn answer(snapshot: &Snapshot, question: &Question) -> Option<Answer> {
    let pools = [snapshot.pool(), own()];
    let file = |find: &dyn Fn(&DescriptorPool) -> Option<FileDescriptor>| {
        let file = pools.into_iter().find_map(find)?;
        Some(Answer::Files(with_imports(snapshot, &file)))
    };
    match question {
        Question::FileByName(name) => file(&|pool| pool.get_file_by_name(name)),
        Question::FileWithSymbol(symbol) => file(&|pool| file_with_symbol(pool, symbol)),
        Question::FileWithExtension(message, number) => file(&|pool| {
            let number = u32::try_from(*number).ok()?;
            Some(pool.get_message_by_name(message)?.get_extension(number)?.parent_file())
        }),
        Question::ExtensionNumbers(message) => {
            let kind = pools.into_iter().find_map(|pool| pool.get_message_by_name(message))?;
            let numbers =
                kind.extensions().filter_map(|extension| extension.number().try_into().ok());
            Some(Answer::ExtensionNumbers(message.clone(), numbers.collect()))
        }
        Question::Services => {
            let own = own().services().map(|service| service.full_name().to_owned());
            let exposed = snapshot.services().map(|(name, _)| name.to_owned());
            let all: BTreeSet<String> = own.chain(exposed).collect();
            Some(Answer::Services(all.into_iter().collect()))
        }
    }
}

fn file_with_symbol(pool: &DescriptorPool, symbol: &str) -> Option<FileDescriptor> {
    let find = |name: &str| {
        pool.get_service_by_name(name)
            .map(|service| service.parent_file())
            .or_else(|| pool.get_message_by_name(name).map(|message| message.parent_file()))
            .or_else(|| pool.get_enum_by_name(name).map(|kind| kind.parent_file()))
            .or_else(|| pool.get_extension_by_name(name).map(|field| field.parent_file()))
    };
    // A method, field, oneof or enum value is found with what it belongs to.
    find(symbol).or_else(|| find(symbol.rsplit_once('.')?.0))
}

/// The file first, then everything it imports, so that one question is enough.
fn with_imports(snapshot: &Snapshot, file: &FileDescriptor) -> Vec<Bytes> {
    let mut seen = BTreeSet::from([file.name().to_owned()]);
    let mut files = vec![file.clone()];
    let mut at = 0;
    while at < files.len() && files.len() < MAX_FILES {
        let imports: Vec<_> = files[at].dependencies().collect();
        files.extend(imports.into_iter().filter(|import| seen.insert(import.name().to_owned())));
        at += 1;
    }
    files
        .iter()
        .map(|file| {
            // The edge's own files are not among those of the applications.
            let sent = snapshot.file(file.name()).filter(|_| file.parent_pool() == snapshot.pool());
            sent.cloned().unwrap_or_else(|| file.encode_to_vec().into())
        })
        .collect()
}

/// The service, in both versions.
#[derive(Clone, Debug)]
pub(super) struct EdgeReflection {
    live: Live,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

macro_rules! reflection {
    ($version:ident) => {
        pub(super) mod $version {
            use tonic_reflection::pb::$version::{
                ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse,
                ListServiceResponse, ServerReflectionRequest, ServerReflectionResponse,
                ServiceResponse,
                server_reflection_request::MessageRequest,
                server_reflection_response::MessageResponse,
                server_reflection_server::{ServerReflection, ServerReflectionServer},
            };

            use super::*;

            /// The server of the service.
            pub(in crate::edge) fn server(live: Live) -> ServerReflectionServer<EdgeReflection> {
                ServerReflectionServer::new(EdgeReflection { live })
            }

            fn question(request: &ServerReflectionRequest) -> Option<Question> {
                Some(match request.message_request.clone()? {
                    MessageRequest::FileByFilename(name) => Question::FileByName(name),
                    MessageRequest::FileContainingSymbol(name) => Question::FileWithSymbol(name),
                    MessageRequest::FileContainingExtension(asked) => {
                        Question::FileWithExtension(asked.containing_type, asked.extension_number)
                    }
                    MessageRequest::AllExtensionNumbersOfType(name) => {
                        Question::ExtensionNumbers(name)
                    }
                    MessageRequest::ListServices(_) => Question::Services,
                })
            }

            fn message(answer: Option<Answer>) -> MessageResponse {
                match answer {
                    Some(Answer::Files(files)) => {
                        let files = files.into_iter().map(Into::into).collect();
                        let files = FileDescriptorResponse { file_descriptor_proto: files };
                        MessageResponse::FileDescriptorResponse(files)
                    }
                    Some(Answer::ExtensionNumbers(base_type_name, extension_number)) => {
                        MessageResponse::AllExtensionNumbersResponse(ExtensionNumberResponse {
                            base_type_name,
                            extension_number,
                        })
                    }
                    Some(Answer::Services(names)) => {
                        let service = names.into_iter().map(|name| ServiceResponse { name });
                        let service = service.collect();
                        MessageResponse::ListServicesResponse(ListServiceResponse { service })
                    }
                    None => MessageResponse::ErrorResponse(ErrorResponse {
                        error_code: Code::NotFound as i32,
                        error_message: "nothing of this name is known here".to_owned(),
                    }),
                }
            }

            #[tonic::async_trait]
            impl ServerReflection for EdgeReflection {
                type ServerReflectionInfoStream = Answers<ServerReflectionResponse>;

                async fn server_reflection_info(
                    &self,
                    request: Request<Streaming<ServerReflectionRequest>>,
                ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
                    // One stream asks one schema, whatever is swapped meanwhile.
                    let snapshot = self.live.get();
                    let answers = request.into_inner().map(move |request| {
                        let request = request?;
                        let question = question(&request)
                            .ok_or_else(|| Status::invalid_argument("nothing is asked"))?;
                        Ok(ServerReflectionResponse {
                            valid_host: request.host.clone(),
                            message_response: Some(message(answer(&snapshot, &question))),
                            original_request: Some(request),
                        })
                    });
                    Ok(Response::new(Box::pin(answers)))
                }
            }
        }
    };
}

reflection!(v1);
reflection!(v1alpha);
