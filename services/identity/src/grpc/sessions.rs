//! `titan.identity.v1.SessionsService`.

use titan::identity::v1::{self as proto, sessions_service_server::SessionsService};
use tonic::{Request, Response, Status};

use super::{Grpc, caller, wire};
use crate::domain::secret::{Password, RefreshToken};

#[tonic::async_trait]
impl SessionsService for Grpc {
    async fn create_session(
        &self,
        request: Request<proto::CreateSessionRequest>,
    ) -> Result<Response<proto::Session>, Status> {
        let request = request.into_inner();
        let email = wire::email(&request.email)?;
        let signed_in = self.identity.sign_in(email, Password::new(request.password)).await?;
        Ok(Response::new(signed_in.into()))
    }

    async fn refresh_session(
        &self,
        request: Request<proto::RefreshSessionRequest>,
    ) -> Result<Response<proto::Session>, Status> {
        let token = RefreshToken::presented(request.into_inner().refresh_token);
        Ok(Response::new(self.identity.refresh(token).await?.into()))
    }

    async fn delete_session(
        &self,
        request: Request<proto::DeleteSessionRequest>,
    ) -> Result<Response<()>, Status> {
        let id = wire::session_id(&request.get_ref().name);
        self.identity.sign_out(&id, &caller()?.id).await?;
        Ok(Response::new(()))
    }
}
