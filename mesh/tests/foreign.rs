//! Contracts that were not written for the mesh: nobody may call what they
//! describe until the process that serves it says who.
#![allow(clippy::unwrap_used)]

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use mesh::{RequestBody, Routes, ServeError, contract::Access, testing::Mesh};
use tonic::{Code, Status, body::Body};

/// Two services; one method of the first has a rule of its own.
const CONTRACT: &str = r#"
    syntax = "proto3";
    package elsewhere;
    import "titan/mesh/v1/options.proto";
    message Nothing {}
    service First {
      rpc Open(Nothing) returns (Nothing);
      rpc Closed(Nothing) returns (Nothing) {
        option (titan.mesh.v1.policy) = {access: {roles: "admin"}};
      }
    }
    service Second { rpc Forgotten(Nothing) returns (Nothing); }
"#;

fn descriptors() -> &'static [u8] {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("elsewhere.proto"), CONTRACT).unwrap();
    let includes = [folder.path(), std::path::Path::new("../proto")];
    let mut compiler = protox::Compiler::new(includes).unwrap();
    compiler.include_imports(true).open_file("elsewhere.proto").unwrap();
    compiler.encode_file_descriptor_set().leak()
}

/// Answers ABORTED whatever it is asked.
#[derive(Clone)]
struct First;
#[derive(Clone)]
struct Second;

macro_rules! answers {
    ($service:ty, $name:literal) => {
        impl tonic::server::NamedService for $service {
            const NAME: &'static str = $name;
        }

        impl tower::Service<http::Request<RequestBody>> for $service {
            type Response = http::Response<Body>;
            type Error = Infallible;
            type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, _: http::Request<RequestBody>) -> Self::Future {
                Box::pin(async { Ok(Status::aborted("reached").into_http()) })
            }
        }
    };
}
answers!(First, "elsewhere.First");
answers!(Second, "elsewhere.Second");

async fn call(channel: mesh::Channel, path: &'static str) -> Code {
    let mut client = tonic::client::Grpc::new(channel);
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let path = http::uri::PathAndQuery::from_static(path);
    client.unary(tonic::Request::new(()), path, codec).await.unwrap_err().code()
}

#[tokio::test]
async fn a_foreign_service_is_open_to_whom_its_process_admits_and_to_nobody_else() {
    let mesh = Mesh::new().await;
    let app = mesh.app("foreign");
    let everyone = Access { public: true, ..Access::default() };
    let server = app
        .serve()
        .contracts(descriptors())
        .foreign("elsewhere.First", everyone)
        .routes(Routes::new().add(First).add(Second));
    let _running = mesh.start("foreign", server).await;

    let outsider = mesh.channel("foreign");
    assert_eq!(call(outsider.clone(), "/elsewhere.First/Open").await, Code::Aborted);
    assert_eq!(call(outsider.clone(), "/elsewhere.First/Closed").await, Code::Unauthenticated);
    assert_eq!(call(outsider, "/elsewhere.Second/Forgotten").await, Code::PermissionDenied);
    let admin = mesh.channel_as("foreign", "u1", &["admin"]);
    assert_eq!(call(admin, "/elsewhere.First/Closed").await, Code::Aborted);
}

#[tokio::test]
async fn a_rule_for_a_service_without_a_contract_is_a_mistake() {
    let mesh = Mesh::new().await;
    let server = mesh.app("foreign").serve().foreign("elsewhere.First", Access::default());
    let error = server.until(std::future::ready(())).await.unwrap_err();
    assert!(matches!(error, ServeError::Unknown("elsewhere.First")));
}
