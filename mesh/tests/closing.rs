//! A channel that is dropped lets go of its connections.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use mesh::{
    Routes,
    proto::{
        ListKeysRequest, ListKeysResponse,
        key_service_client::KeyServiceClient,
        key_service_server::{KeyService, KeyServiceServer},
    },
    testing::Mesh,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tonic::{Request, Response, Status};

struct NoKeys;

#[tonic::async_trait]
impl KeyService for NoKeys {
    async fn list_keys(
        &self,
        _: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        Ok(Response::new(ListKeysResponse::default()))
    }
}

#[tokio::test]
async fn a_dropped_channel_closes_its_connections() {
    let mesh = Mesh::new().await;
    let routes = Routes::new().add(KeyServiceServer::new(NoKeys));
    let server = mesh.serve("keys", mesh::DESCRIPTORS, routes).await;
    let relay = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = relay.local_addr().unwrap().to_string();
    // Ends when the connection that it carries is closed.
    let carried = tokio::spawn(async move {
        let (mut client, _) = relay.accept().await.unwrap();
        let mut server = TcpStream::connect(server.address).await.unwrap();
        let _ = copy_bidirectional(&mut client, &mut server).await;
        drop(client);
    });

    let app = mesh.app("caller");
    let mut client = KeyServiceClient::new(app.endpoint(&address));
    client.list_keys(ListKeysRequest {}).await.unwrap();
    assert!(!carried.is_finished());
    drop(client);
    tokio::time::timeout(Duration::from_secs(5), carried).await.unwrap().unwrap();
}
