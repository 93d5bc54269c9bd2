//! `mesh::reflection` through the clients that tonic generates.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{collections::HashMap, path::Path, sync::Arc};

use mesh::reflection::{self, Index, IndexError};
use prost::Message as _;
use prost_reflect::DescriptorPool;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use tonic_reflection::pb::{v1, v1alpha};
use v1::{
    server_reflection_request::MessageRequest as Ask,
    server_reflection_response::MessageResponse as Answer,
};

const PROJECTS: &str = "titan.projects.v1.ProjectsService";

/// The descriptors of a file of the repository, with its imports.
fn compile(file: &str, comments: bool) -> Vec<u8> {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
    let mut compiler = protox::Compiler::new([proto]).unwrap();
    compiler.include_imports(true).include_source_info(comments).open_file(file).unwrap();
    compiler.encode_file_descriptor_set()
}

fn index() -> Arc<Index> {
    let projects = compile("titan/projects/v1/projects.proto", true);
    let users = compile("titan/identity/v1/users.proto", false);
    Arc::new(Index::build(&[&projects, &users], [PROJECTS]).unwrap())
}

/// Asks one question after the other on one stream.
async fn ask(questions: Vec<Ask>) -> Vec<Answer> {
    let requests = questions.into_iter().map(|question| v1::ServerReflectionRequest {
        host: "here".to_owned(),
        message_request: Some(question),
    });
    let requests = tokio_stream::iter(requests.collect::<Vec<_>>());
    let server = reflection::v1(index());
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(server);
    let mut responses = client.server_reflection_info(requests).await.unwrap().into_inner();
    let mut answers = Vec::new();
    while let Some(response) = responses.message().await.unwrap() {
        assert_eq!(response.valid_host, "here");
        assert!(response.original_request.is_some());
        answers.push(response.message_response.unwrap());
    }
    answers
}

fn files(answer: &Answer) -> Vec<(String, Vec<u8>)> {
    let Answer::FileDescriptorResponse(response) = answer else { panic!("{answer:?}") };
    let name =
        |bytes: &Vec<u8>| FileDescriptorProto::decode(bytes.as_slice()).unwrap().name.unwrap();
    response.file_descriptor_proto.iter().map(|bytes| (name(bytes), bytes.clone())).collect()
}

fn names(answer: &Answer) -> Vec<String> {
    files(answer).into_iter().map(|(name, _)| name).collect()
}

fn symbol(name: &str) -> Ask {
    Ask::FileContainingSymbol(name.to_owned())
}

fn extension(of: &str, number: i32) -> Ask {
    Ask::FileContainingExtension(v1::ExtensionRequest {
        containing_type: of.to_owned(),
        extension_number: number,
    })
}

fn assert_not_found(answer: &Answer) {
    let Answer::ErrorResponse(error) = answer else { panic!("{answer:?}") };
    assert_eq!(error.error_code, tonic::Code::NotFound as i32);
}

#[tokio::test]
async fn only_the_named_services_are_listed() {
    let answers = ask(vec![Ask::ListServices(String::new())]).await;
    let [Answer::ListServicesResponse(list)] = answers.as_slice() else { panic!("{answers:?}") };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, [PROJECTS]);
}

#[tokio::test]
async fn a_file_comes_with_all_that_it_needs_and_its_options() {
    let answers = ask(vec![symbol(PROJECTS)]).await;
    let mut files = files(&answers[0]);
    assert_eq!(files[0].0, "titan/projects/v1/projects.proto", "the file asked for is first");

    // A client adds files after what they import.
    let mut pool = DescriptorPool::new();
    let mut waiting = files.len();
    while !files.is_empty() {
        files.retain(|(_, bytes)| pool.decode_file_descriptor_proto(bytes.as_slice()).is_err());
        assert!(files.len() < waiting, "an import is missing for {:?}", files[0].0);
        waiting = files.len();
    }
    let service = pool.get_service_by_name(PROJECTS).unwrap();
    let http = pool.get_extension_by_name("google.api.http").unwrap();
    assert!(service.methods().all(|method| method.options().has_extension(&http)));
}

#[tokio::test]
async fn an_import_is_sent_once_on_a_stream_and_a_file_asked_for_always() {
    let answers =
        ask(vec![symbol(PROJECTS), symbol("titan.identity.v1.User"), symbol(PROJECTS)]).await;
    let mut sent: HashMap<String, usize> = HashMap::new();
    answers[..2].iter().flat_map(names).for_each(|name| *sent.entry(name).or_default() += 1);
    assert!(sent.values().all(|times| *times == 1), "{sent:?}");
    assert!(sent.contains_key("google/api/http.proto"));
    assert_eq!(names(&answers[2]), ["titan/projects/v1/projects.proto"]);
}

#[tokio::test]
async fn every_kind_of_symbol_is_found() {
    let cases = [
        ("titan.projects.v1.ProjectsService", "titan/projects/v1/projects.proto"),
        ("titan.projects.v1.ProjectsService.CreateProject", "titan/projects/v1/projects.proto"),
        ("titan.projects.v1.Project", "titan/projects/v1/projects.proto"),
        ("titan.projects.v1.Project.title", "titan/projects/v1/projects.proto"),
        (".titan.projects.v1.Project", "titan/projects/v1/projects.proto"),
        ("titan.identity.v1.User.PreferencesEntry", "titan/identity/v1/users.proto"),
        ("google.protobuf.FieldDescriptorProto.Type", "google/protobuf/descriptor.proto"),
        ("google.protobuf.FieldDescriptorProto.TYPE_BOOL", "google/protobuf/descriptor.proto"),
        ("buf.validate.StringRules.well_known", "buf/validate/validate.proto"),
        ("google.api.http", "google/api/annotations.proto"),
    ];
    let answers = ask(cases.map(|(name, _)| symbol(name)).to_vec()).await;
    for ((name, file), answer) in cases.iter().zip(&answers) {
        assert_eq!(names(answer)[0], *file, "{name}");
    }
}

#[tokio::test]
async fn extensions_are_found_by_type_and_number() {
    let of = "google.protobuf.MethodOptions";
    let answers = ask(vec![
        extension(of, 72_295_728),
        Ask::AllExtensionNumbersOfType(of.to_owned()),
        Ask::AllExtensionNumbersOfType("titan.projects.v1.Project".to_owned()),
        Ask::FileByFilename("google/api/http.proto".to_owned()),
    ])
    .await;
    assert_eq!(names(&answers[0])[0], "google/api/annotations.proto");
    let Answer::AllExtensionNumbersResponse(numbers) = &answers[1] else { panic!("{answers:?}") };
    assert_eq!(numbers.base_type_name, of);
    assert!(numbers.extension_number.contains(&72_295_728), "google.api.http");
    assert!(numbers.extension_number.len() > 1, "and the mesh's own");
    let Answer::AllExtensionNumbersResponse(none) = &answers[2] else { panic!("{answers:?}") };
    assert!(none.extension_number.is_empty());
    assert_eq!(names(&answers[3])[0], "google/api/http.proto");
}

#[tokio::test]
async fn what_is_unknown_is_an_answer_and_the_stream_goes_on() {
    let answers = ask(vec![
        symbol("titan.projects.v1.Nothing"),
        symbol(""),
        Ask::FileByFilename("nothing.proto".to_owned()),
        extension("google.protobuf.MethodOptions", 1),
        extension("nothing", 1),
        Ask::AllExtensionNumbersOfType("nothing".to_owned()),
        symbol(PROJECTS),
    ])
    .await;
    answers[..6].iter().for_each(assert_not_found);
    assert_eq!(names(&answers[6])[0], "titan/projects/v1/projects.proto");
}

#[tokio::test]
async fn an_empty_request_is_an_invalid_argument() {
    let server = reflection::v1(index());
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(server);
    let requests = tokio_stream::iter([v1::ServerReflectionRequest::default()]);
    let mut responses = client.server_reflection_info(requests).await.unwrap().into_inner();
    let answer = responses.message().await.unwrap().unwrap().message_response.unwrap();
    let Answer::ErrorResponse(error) = answer else { panic!("{answer:?}") };
    assert_eq!(error.error_code, tonic::Code::InvalidArgument as i32);
}

#[tokio::test]
async fn older_clients_are_served_as_well() {
    use v1alpha::{
        ServerReflectionRequest, server_reflection_request::MessageRequest,
        server_reflection_response::MessageResponse,
    };
    let server = reflection::v1alpha(index());
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(server);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileContainingSymbol(PROJECTS.to_owned())),
    };
    let responses = client.server_reflection_info(tokio_stream::iter([request])).await.unwrap();
    let response = responses.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::FileDescriptorResponse(files)) = response.message_response else {
        panic!("{response:?}");
    };
    assert!(files.file_descriptor_proto.len() > 3);
}

#[test]
fn descriptors_that_contradict_each_other_are_refused() {
    let projects = compile("titan/projects/v1/projects.proto", true);
    let uncommented = compile("titan/projects/v1/projects.proto", false);
    assert!(Index::build(&[&projects, &uncommented], [PROJECTS]).is_ok(), "comments may differ");

    let renamed = {
        // Through prost-types, which drops the options: another content.
        let mut set = FileDescriptorSet::decode(uncommented.as_slice()).unwrap();
        set.file.retain(|file| !file.name().starts_with("google/protobuf/"));
        set.encode_to_vec()
    };
    let conflict = Index::build(&[&projects, &renamed], [PROJECTS]);
    assert!(matches!(conflict, Err(IndexError::Conflict(_))), "{conflict:?}");
    let missing = Index::build(&[&renamed], [PROJECTS]);
    assert!(matches!(missing, Err(IndexError::MissingImport { .. })), "{missing:?}");
    let unknown = Index::build(&[&projects], ["titan.projects.v1.Nothing"]);
    assert!(matches!(unknown, Err(IndexError::UnknownService(name)) if name.ends_with("Nothing")));
    let malformed = Index::build(&[&[0xff]], []);
    assert!(matches!(malformed, Err(IndexError::Malformed(_))));
}
