//! The use cases as any way in calls them, without HTTP.

use std::sync::Arc;

use session_gateway::entropy::Entropy;
use session_gateway::gateway::auth::{Credentials, Presented};
use session_gateway::gateway::{
    Caller, Gateway, GatewayError, OpenSession, RegisterService, Verification,
};
use session_gateway::model::attribute::Attributes;
use session_gateway::model::id::{LoginId, ServiceId};
use session_gateway::model::permission::{Permission, Permissions, Scope};
use session_gateway::model::quota::Quotas;
use session_gateway::model::request::{Consistency, Precondition, Touch};
use session_gateway::model::service::ServiceName;
use session_gateway::model::session::{EndDetail, EndReason, FirstState};
use session_gateway::model::token::Token;
use zeroize::Zeroizing;

use crate::support::{ADMIN_SECRET, TestApp};

/// The caller with these credentials, of an operation that needs this permission.
async fn calls(
    gateway: &Gateway,
    service_id: &str,
    secret: &str,
    needed: Permission,
) -> Result<Caller, GatewayError> {
    let presented = Presented::Credentials(Credentials {
        service_id: ServiceId::parse(service_id).unwrap(),
        secret: Zeroizing::new(secret.as_bytes().to_vec()),
    });
    let authenticator = Arc::clone(&gateway.authenticator);
    let authenticated = authenticator.authenticate(presented, None, Consistency::Now);
    authenticated.await?.caller(Some(needed))
}

fn session_of(login_id: &LoginId) -> OpenSession {
    OpenSession {
        login_id: login_id.clone(),
        token: None,
        state: FirstState::Active,
        idle_timeout: None,
        max_age: None,
        limit: None,
        attributes: Attributes::default(),
        device: None,
        device_id: None,
        connection_id: None,
        client_ip: None,
        client_port: None,
        user_agent: None,
        server_addr: None,
    }
}

#[tokio::test]
async fn a_session_is_opened_verified_and_put_out() {
    let app = TestApp::new();
    let gateway = &app.state.gateway;
    let needed = Permission::SessionCreate;
    let admin = calls(gateway, "admin", ADMIN_SECRET, needed).await.unwrap();
    let login_id = LoginId::parse("ana").unwrap();
    let text = "a-token-of-the-caller-0123456789abcdef";
    let asked = OpenSession {
        token: Some(Token::foreign(text.to_owned()).unwrap()),
        ..session_of(&login_id)
    };
    let opened = gateway.open(&admin, &Entropy::Fresh, asked).await.unwrap();
    let verify = || gateway.verify(text, Touch::No, Consistency::Now);
    let Verification::Active { session, .. } = verify().await.unwrap() else {
        panic!("a session that was opened lives");
    };
    assert_eq!(session.session_id, opened.session.session_id);
    let reason = EndDetail::parse("fraud").unwrap();
    let banned = gateway.ban(&admin, login_id.clone(), None, reason);
    banned.await.unwrap();
    let Verification::Ended(ended) = verify().await.unwrap() else {
        panic!("a ban ends sessions");
    };
    assert_eq!(ended.reason, EndReason::Banned);
    let again = gateway.open(&admin, &Entropy::Fresh, session_of(&login_id));
    assert!(matches!(again.await, Err(GatewayError::LoginBanned)));
}

#[tokio::test]
async fn who_calls_and_what_they_may_is_found_out_once() {
    let app = TestApp::new();
    let gateway = &app.state.gateway;
    let wrong = calls(gateway, "admin", "wrong", Permission::SessionRead).await;
    assert!(matches!(wrong, Err(GatewayError::Unauthenticated)));
    let manage = Permission::ServiceManage;
    let admin = calls(gateway, "admin", ADMIN_SECRET, manage).await.unwrap();
    let shop = RegisterService {
        service_id: ServiceId::parse("shop").unwrap(),
        service_name: ServiceName::parse("Shop").unwrap(),
        permissions: ["session.delete:own".parse().unwrap()]
            .into_iter()
            .collect::<Permissions>(),
        secret: None,
        session_limit: None,
        quotas: Quotas::default(),
    };
    let registered = gateway.register_service(&admin, &Entropy::Fresh, shop);
    let (_, secret) = registered.await.unwrap();
    let denied = calls(gateway, "shop", secret.expose(), manage).await;
    assert!(
        matches!(denied, Err(GatewayError::PermissionDenied(needed)) if needed == manage.into())
    );
    let delete = Permission::SessionDelete;
    let shop = calls(gateway, "shop", secret.expose(), delete)
        .await
        .unwrap();
    assert_eq!(shop.scope, Scope::OpenedBy(shop.service.opener()));
    let foreign = gateway.open(
        &admin,
        &Entropy::Fresh,
        session_of(&LoginId::parse("ana").unwrap()),
    );
    let foreign = foreign.await.unwrap().session.session_id;
    let target = shop.target(foreign, Precondition::None, None);
    let ended = gateway.end(target, EndReason::Logout).await;
    assert!(matches!(ended, Err(GatewayError::SessionNotFound)));
}
