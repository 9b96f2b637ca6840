//! Registered services.

use session_gateway::model::event::{Change, ServiceChange};
use session_gateway::model::page::Cursor;
use session_gateway::model::permission::Permissions;
use session_gateway::model::quota::Quotas;
use session_gateway::model::request::OperationId;
use session_gateway::model::service::{Manager, Service, ServiceName, ServiceUpdate};
use session_gateway::model::token::CredentialHash;
use session_gateway::rules::refusal::Refusal;
use session_gateway::rules::services::NewService;

use super::backend::{Backend, MINUTE, SECOND, limit, refusal, service};

contract! {
    a_service_is_registered_once,
    a_service_is_changed_in_part,
    a_rotated_secret_is_good_until_its_grace_is_over,
    a_removed_service_is_gone,
    nobody_touches_a_service_that_holds_more,
    services_are_listed_in_the_order_of_their_ids,
}

fn draft(id: &str, secret: &str) -> NewService {
    NewService {
        service_id: service(id),
        service_name: ServiceName::parse(&format!("Service {id}")).unwrap(),
        permissions: ["session.*", "attribute.read:own"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect(),
        session_limit: None,
        quotas: Quotas::default(),
        secret: hash(secret),
        operation_id: Some(OperationId([7; 32])),
    }
}

fn hash(secret: &str) -> CredentialHash {
    CredentialHash::of(secret.as_bytes())
}

pub(super) async fn register(b: &Backend, id: &str) -> Service {
    let registered = b
        .stores
        .services
        .register(draft(id, "first"), &Manager::admin())
        .await;
    registered.unwrap()
}

async fn told(b: &Backend) -> Vec<ServiceChange> {
    let facts = b.feed().await.into_iter().map(|event| event.fact);
    facts
        .map(|fact| match fact.change {
            Change::ServiceChanged { change, by } => {
                assert_eq!(by, service("admin"));
                assert_eq!(fact.service_id, service("shop"));
                change
            }
            other => panic!("nothing else happened: {other:?}"),
        })
        .collect()
}

async fn a_service_is_registered_once(b: &Backend) {
    let services = &b.stores.services;
    let shop = register(b, "shop").await;
    assert_eq!(shop.permissions, draft("shop", "first").permissions);
    assert_eq!((shop.enabled, shop.created_at), (true, b.now()));
    let record = services
        .find_service(&shop.service_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(record.service, shop);
    assert!(record.accepts(&hash("first"), || b.now()));
    b.advance(SECOND);
    assert_eq!(register(b, "shop").await, shop);
    let other = draft("shop", "other");
    let unmarked = NewService {
        operation_id: None,
        ..draft("shop", "first")
    };
    for again in [other, unmarked] {
        let refused = services.register(again, &Manager::admin()).await;
        assert_eq!(refusal(refused), Refusal::ServiceExists);
    }
    assert_eq!(told(b).await, [ServiceChange::Registered]);
}

async fn a_service_is_changed_in_part(b: &Backend) {
    let shop = register(b, "shop").await;
    b.advance(SECOND);
    let update = ServiceUpdate {
        permissions: Some(Permissions::everything()),
        enabled: Some(false),
        ..ServiceUpdate::default()
    };
    let services = &b.stores.services;
    let changed = services
        .update_service(&shop.service_id, update.clone(), &Manager::admin())
        .await;
    let changed = changed.unwrap();
    assert_eq!(changed.service_name, shop.service_name);
    assert_eq!(changed.permissions, Permissions::everything());
    assert_eq!(changed.updated_at, b.now());
    let record = services
        .find_service(&shop.service_id)
        .await
        .unwrap()
        .unwrap();
    assert!(!record.accepts(&hash("first"), || b.now()));
    let unknown = services
        .update_service(&service("nobody"), update, &Manager::admin())
        .await;
    assert_eq!(refusal(unknown), Refusal::ServiceUnknown);
    let expected = [ServiceChange::Registered, ServiceChange::Updated];
    assert_eq!(told(b).await, expected);
}

async fn a_rotated_secret_is_good_until_its_grace_is_over(b: &Backend) {
    let shop = register(b, "shop").await.service_id;
    let services = &b.stores.services;
    let admin = Manager::admin();
    for _ in 0..2 {
        let rotated = services
            .rotate_secret(&shop, hash("second"), MINUTE, &admin)
            .await;
        rotated.unwrap();
        b.advance(SECOND);
    }
    let record = services.find_service(&shop).await.unwrap().unwrap();
    assert!(record.accepts(&hash("second"), || b.now()));
    assert!(record.accepts(&hash("first"), || b.now()));
    b.advance(MINUTE - 2 * SECOND);
    assert!(!record.accepts(&hash("first"), || b.now()));
    let third = services
        .rotate_secret(&shop, hash("third"), MINUTE, &admin)
        .await;
    third.unwrap();
    let record = services.find_service(&shop).await.unwrap().unwrap();
    assert!(!record.accepts(&hash("first"), || b.now()));
    let rotated = ServiceChange::SecretRotated;
    assert_eq!(told(b).await, [ServiceChange::Registered, rotated, rotated]);
}

async fn a_removed_service_is_gone(b: &Backend) {
    let shop = register(b, "shop").await.service_id;
    let services = &b.stores.services;
    services
        .remove_service(&shop, &Manager::admin())
        .await
        .unwrap();
    assert_eq!(services.find_service(&shop).await.unwrap(), None);
    let again = services.remove_service(&shop, &Manager::admin()).await;
    assert_eq!(refusal(again), Refusal::ServiceUnknown);
    let expected = [ServiceChange::Registered, ServiceChange::Removed];
    assert_eq!(told(b).await, expected);
}

async fn nobody_touches_a_service_that_holds_more(b: &Backend) {
    let shop = register(b, "shop").await;
    let manager = Manager {
        service_id: service("manager"),
        permissions: ["service.manage", "session.*"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect(),
    };
    let id = &shop.service_id;
    let services = &b.stores.services;
    let not_held = Refusal::NotHeld("attribute.read:own".parse().unwrap());
    let off = ServiceUpdate {
        enabled: Some(false),
        ..ServiceUpdate::default()
    };
    let refused = services.update_service(id, off, &manager).await;
    assert_eq!(refusal(refused), not_held);
    let refused = services.rotate_secret(id, hash("second"), MINUTE, &manager);
    assert_eq!(refusal(refused.await), not_held);
    let refused = services.remove_service(id, &manager).await;
    assert_eq!(refusal(refused), not_held);
    let refused = services.register(draft("other", "first"), &manager).await;
    assert_eq!(refusal(refused), not_held);
    let record = services.find_service(id).await.unwrap().unwrap();
    assert_eq!(record.service, shop);
    assert!(record.accepts(&hash("first"), || b.now()));
    assert_eq!(told(b).await, [ServiceChange::Registered]);
    let less = NewService {
        permissions: ["session.read:own".parse().unwrap()].into_iter().collect(),
        ..draft("less", "first")
    };
    services.register(less, &manager).await.unwrap();
    let removed = services.remove_service(&service("less"), &manager).await;
    removed.unwrap();
}

async fn services_are_listed_in_the_order_of_their_ids(b: &Backend) {
    for id in ["delta", "alpha", "charlie", "bravo"] {
        register(b, id).await;
    }
    let services = &b.stores.services;
    let first = services.list_services(limit(3), None).await.unwrap();
    let second = services
        .list_services(limit(3), first.next.as_ref())
        .await
        .unwrap();
    let listed = first.items.iter().chain(&second.items);
    let ids: Vec<_> = listed.map(|item| item.service_id.as_str()).collect();
    assert_eq!(ids, ["alpha", "bravo", "charlie", "delta"]);
    assert_eq!(second.next, None);
    for place in [&b""[..], b"v", b"vno id", b"salpha"] {
        let cursor = Cursor::new(place.to_vec());
        let refused = services.list_services(limit(3), Some(&cursor)).await;
        assert_eq!(refusal(refused), Refusal::CursorInvalid);
    }
}
