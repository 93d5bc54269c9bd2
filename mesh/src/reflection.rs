//! Server reflection: tells `grpcurl` and its like what a process serves.
//!
//! tonic-reflection's own server passes descriptors through the types of
//! prost-types, which drop extensions, and with them the HTTP bindings, rules and
//! policies that a contract consists of. Here files travel as the bytes that the
//! compiler wrote. Its generated types are used, for `grpc.reflection.v1` and for
//! `v1alpha`, which older clients ask for.
//!
//! See <https://github.com/grpc/grpc/blob/master/doc/server-reflection.md>.

mod index;

use std::{collections::HashSet, sync::Arc};

use futures_util::{StreamExt as _, stream::BoxStream};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_reflection::pb;

pub use index::{Index, IndexError};

/// A request holds one name; the longest that a compiler takes is far shorter.
const MAX_REQUEST_BYTES: usize = 16 * 1024;

/// Services that every process serves beside its own.
pub const STANDARD_SERVICES: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// The contracts of [`STANDARD_SERVICES`].
pub const STANDARD_DESCRIPTORS: [&[u8]; 3] = [
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    pb::v1::FILE_DESCRIPTOR_SET,
    pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// The servers of both versions.
#[derive(Clone, Debug)]
pub struct Reflection {
    index: Arc<Index>,
}

/// The server of `grpc.reflection.v1`.
#[must_use]
pub fn v1(
    index: Arc<Index>,
) -> pb::v1::server_reflection_server::ServerReflectionServer<Reflection> {
    pb::v1::server_reflection_server::ServerReflectionServer::new(Reflection { index })
        .max_decoding_message_size(MAX_REQUEST_BYTES)
}

/// The server of `grpc.reflection.v1alpha`: the same under its former name.
#[must_use]
pub fn v1alpha(
    index: Arc<Index>,
) -> pb::v1alpha::server_reflection_server::ServerReflectionServer<Reflection> {
    pb::v1alpha::server_reflection_server::ServerReflectionServer::new(Reflection { index })
        .max_decoding_message_size(MAX_REQUEST_BYTES)
}

/// A question, whichever version it was asked in.
enum Question {
    FileByName(String),
    FileOfSymbol(String),
    FileOfExtension(String, i32),
    ExtensionsOf(String),
    Services,
}

enum Answer {
    Files(Vec<Vec<u8>>),
    Extensions(String, Vec<i32>),
    Services(Vec<String>),
}

/// One stream: a client keeps the files that it was sent, so that each import is
/// sent once.
struct Session {
    index: Arc<Index>,
    sent: HashSet<usize>,
}

impl Session {
    /// `None` when nothing of that name is known.
    fn answer(&mut self, question: Question) -> Option<Answer> {
        let file = match question {
            Question::FileByName(name) => self.index.file(&name),
            Question::FileOfSymbol(symbol) => self.index.file_of_symbol(&symbol),
            Question::FileOfExtension(of, number) => self.index.file_of_extension(&of, number),
            Question::ExtensionsOf(of) => {
                let numbers = self.index.extensions(&of)?;
                return Some(Answer::Extensions(of, numbers));
            }
            Question::Services => return Some(Answer::Services(self.index.services().to_vec())),
        };
        Some(Answer::Files(self.files(file?)))
    }

    /// A file, which was asked for and is sent even if it was before, and what it
    /// imports and was not.
    fn files(&mut self, file: usize) -> Vec<Vec<u8>> {
        self.sent.insert(file);
        let mut files = vec![file];
        let mut next = 0;
        while let Some(&file) = files.get(next) {
            files.extend(self.index.imports(file).iter().filter(|it| self.sent.insert(**it)));
            next += 1;
        }
        files.into_iter().map(|file| self.index.bytes(file).to_vec()).collect()
    }
}

/// Both versions have the same messages, as distinct types.
macro_rules! serve {
    ($version:ident) => {
        mod $version {
            use super::*;
            use tonic_reflection::pb::$version::{
                ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse,
                ListServiceResponse, ServerReflectionRequest, ServerReflectionResponse,
                ServiceResponse, server_reflection_request::MessageRequest,
                server_reflection_response::MessageResponse,
                server_reflection_server::ServerReflection,
            };

            #[tonic::async_trait]
            impl ServerReflection for Reflection {
                type ServerReflectionInfoStream =
                    BoxStream<'static, Result<ServerReflectionResponse, Status>>;

                async fn server_reflection_info(
                    &self,
                    requests: Request<Streaming<ServerReflectionRequest>>,
                ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
                    let index = self.index.clone();
                    let mut session = Session { index, sent: HashSet::new() };
                    let respond =
                        move |request: Result<_, Status>| Ok(respond(&mut session, request?));
                    Ok(Response::new(requests.into_inner().map(respond).boxed()))
                }
            }

            fn respond(
                session: &mut Session,
                request: ServerReflectionRequest,
            ) -> ServerReflectionResponse {
                let response = match request.message_request.clone().map(question) {
                    None => error(Code::InvalidArgument, "the request asks for nothing"),
                    Some(question) => session
                        .answer(question)
                        .map_or_else(|| error(Code::NotFound, "not found"), response),
                };
                ServerReflectionResponse {
                    valid_host: request.host.clone(),
                    original_request: Some(request),
                    message_response: Some(response),
                }
            }

            fn question(request: MessageRequest) -> Question {
                match request {
                    MessageRequest::FileByFilename(name) => Question::FileByName(name),
                    MessageRequest::FileContainingSymbol(name) => Question::FileOfSymbol(name),
                    MessageRequest::FileContainingExtension(extension) => {
                        Question::FileOfExtension(
                            extension.containing_type,
                            extension.extension_number,
                        )
                    }
                    MessageRequest::AllExtensionNumbersOfType(of) => Question::ExtensionsOf(of),
                    MessageRequest::ListServices(_) => Question::Services,
                }
            }

            fn response(answer: Answer) -> MessageResponse {
                match answer {
                    Answer::Files(file_descriptor_proto) => {
                        MessageResponse::FileDescriptorResponse(FileDescriptorResponse {
                            file_descriptor_proto,
                        })
                    }
                    Answer::Extensions(base_type_name, extension_number) => {
                        MessageResponse::AllExtensionNumbersResponse(ExtensionNumberResponse {
                            base_type_name,
                            extension_number,
                        })
                    }
                    Answer::Services(names) => {
                        let named = |name| ServiceResponse { name };
                        MessageResponse::ListServicesResponse(ListServiceResponse {
                            service: names.into_iter().map(named).collect(),
                        })
                    }
                }
            }

            fn error(code: Code, message: &str) -> MessageResponse {
                MessageResponse::ErrorResponse(ErrorResponse {
                    error_code: code.into(),
                    error_message: message.to_owned(),
                })
            }
        }
    };
}

serve!(v1);
serve!(v1alpha);
