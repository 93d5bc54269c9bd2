//! Who may call a method: the access rule of its contract, before a byte of the
//! request is decoded. A method without a rule admits nobody.

use tonic::{Code, Status};

use crate::{call::Caller, contract::Access, identity::TokenError, status};

/// Admits or refuses a caller. `token` is what was wrong with the token when the
/// caller is no user.
///
/// # Errors
/// UNAUTHENTICATED when a better token could help, PERMISSION_DENIED when who
/// the caller is settles it.
pub(crate) fn admit(
    access: &Access,
    caller: &Caller,
    token: Option<&TokenError>,
) -> Result<(), Status> {
    if access.public || service_admitted(access, caller) || user_admitted(access, caller) {
        return Ok(());
    }
    let for_users = access.authenticated || !access.roles.is_empty() || !access.scopes.is_empty();
    match token {
        Some(error) if for_users => Err(error.clone().into()),
        _ => Err(status::refuse(
            Code::PermissionDenied,
            "ACCESS_DENIED",
            "the access rule of this method does not admit the caller",
        )),
    }
}

fn service_admitted(access: &Access, caller: &Caller) -> bool {
    caller.service.as_deref().is_some_and(|name| {
        access.services.iter().any(|admitted| admitted == "*" || admitted == name)
    })
}

fn user_admitted(access: &Access, caller: &Caller) -> bool {
    caller.user.as_ref().is_some_and(|user| {
        access.authenticated
            || user.roles.iter().any(|role| access.roles.contains(role))
            || user.scopes.iter().any(|scope| access.scopes.contains(scope))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::User;

    fn user(roles: &[&str]) -> Caller {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        Caller { user: Some(User { id: "1".into(), roles, ..User::default() }), service: None }
    }

    fn service(name: &str) -> Caller {
        Caller { user: None, service: Some(name.into()) }
    }

    fn code(access: &Access, caller: &Caller) -> Code {
        let token = caller.user.is_none().then_some(TokenError::Missing);
        admit(access, caller, token.as_ref()).map_or_else(|status| status.code(), |()| Code::Ok)
    }

    #[test]
    fn each_rule_admits_its_own() {
        let list = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
        let nobody = Access::default();
        let public = Access { public: true, ..Access::default() };
        let users = Access { authenticated: true, ..Access::default() };
        let admins = Access { roles: list(&["admin"]), ..Access::default() };
        let billing = Access { services: list(&["billing"]), ..Access::default() };
        let mesh = Access { services: list(&["*"]), ..Access::default() };
        for (access, caller, expected) in [
            (&nobody, user(&["admin"]), Code::PermissionDenied),
            (&nobody, Caller::default(), Code::PermissionDenied),
            (&public, Caller::default(), Code::Ok),
            (&users, Caller::default(), Code::Unauthenticated),
            (&users, user(&[]), Code::Ok),
            (&users, service("billing"), Code::Unauthenticated),
            (&admins, user(&[]), Code::PermissionDenied),
            (&admins, user(&["admin"]), Code::Ok),
            (&billing, service("billing"), Code::Ok),
            (&billing, service("shipping"), Code::PermissionDenied),
            (&billing, user(&["admin"]), Code::PermissionDenied),
            (&mesh, service("anything"), Code::Ok),
            (&mesh, Caller::default(), Code::PermissionDenied),
        ] {
            assert_eq!(code(access, &caller), expected, "{access:?} {caller:?}");
        }
    }
}
