//! `titan.identity.v1.UsersService`.

use durable::list::Request as Page;
use titan::identity::v1::{self as proto, users_service_server::UsersService};
use tonic::{Request, Response, Status};

use super::{Grpc, caller, wire};
use crate::{
    domain::{
        secret::Password,
        user::{Change, Profile, User},
    },
    store::LISTING,
};

fn answer(user: User) -> Response<proto::User> {
    Response::new(user.into())
}

#[tonic::async_trait]
impl UsersService for Grpc {
    async fn create_user(
        &self,
        request: Request<proto::CreateUserRequest>,
    ) -> Result<Response<proto::User>, Status> {
        let request = request.into_inner();
        let profile = Profile {
            email: wire::email(&request.email)?,
            display_name: wire::text("display_name", request.display_name)?,
            preferences: request.preferences.into_iter().collect(),
        };
        let password = Password::new(request.password);
        let validate_only = request.validate_only;
        let user = self.identity.register(profile, password, validate_only).await?;
        if validate_only {
            // Nobody can be found under a name that was not registered.
            let (name, etag) = (String::new(), String::new());
            return Ok(Response::new(proto::User { name, etag, ..user.into() }));
        }
        Ok(answer(user))
    }

    async fn get_user(
        &self,
        request: Request<proto::GetUserRequest>,
    ) -> Result<Response<proto::User>, Status> {
        let caller = caller()?;
        let id = wire::user_id("name", &request.get_ref().name, &caller)?;
        caller.may_touch(&id)?;
        Ok(answer(self.identity.store().user(&id).await?))
    }

    async fn list_users(
        &self,
        request: Request<proto::ListUsersRequest>,
    ) -> Result<Response<proto::ListUsersResponse>, Status> {
        let proto::ListUsersRequest { page_size, page_token } = request.get_ref();
        let (page_size, page_token) = (*page_size, page_token.as_str());
        let query = LISTING.query(Page { page_size, page_token, ..Page::default() })?;
        let (users, next_page_token) = self.identity.store().list_users(query).await?;
        let users = users.into_iter().map(Into::into).collect();
        Ok(Response::new(proto::ListUsersResponse { users, next_page_token }))
    }

    async fn update_user(
        &self,
        request: Request<proto::UpdateUserRequest>,
    ) -> Result<Response<proto::User>, Status> {
        let request = request.into_inner();
        let wanted = request.user.unwrap_or_default();
        let caller = caller()?;
        let id = wire::user_id("user.name", &wanted.name, &caller)?;
        caller.may_touch(&id)?;
        let change = wire::change(wanted, request.update_mask.as_ref())?;
        Ok(answer(self.identity.change(&id, change).await?))
    }

    async fn set_user_roles(
        &self,
        request: Request<proto::SetUserRolesRequest>,
    ) -> Result<Response<proto::User>, Status> {
        let request = request.into_inner();
        let id = wire::user_id("name", &request.name, &caller()?)?;
        let roles = Some(request.roles.into_iter().collect());
        let change = Change { roles, ..Change::default() };
        Ok(answer(self.identity.change(&id, change).await?))
    }
}
