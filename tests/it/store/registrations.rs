//! Services that are registered again under the same id: another service, to which the sessions of the one before are those
//! of a stranger.

use session_gateway::model::Timestamp;
use session_gateway::model::filter::SessionFilter;
use session_gateway::model::limit::{LimitPer, Overflow, SessionLimit};
use session_gateway::model::page::PageLimit;
use session_gateway::model::permission::{Opener, Scope};
use session_gateway::model::request::{Access, Target};
use session_gateway::model::service::Manager;
use session_gateway::model::session::EndReason;
use session_gateway::rules::create::NewSession;
use session_gateway::rules::end::EndAll;
use session_gateway::rules::entry::Lookup;
use session_gateway::rules::refusal::Refusal;
use session_gateway::store::node::EndExtent;

use super::backend::{Backend, HOUR, draft, login_id, merge, refusal, service, target};
use super::services::register;

contract! {
    sessions_of_another_registration_are_out_of_sight,
    a_session_that_does_not_tell_is_seen_if_it_is_not_older,
    no_two_registrations_of_an_id_have_one_moment,
}

fn access(registered_at: Timestamp) -> Access {
    Access {
        service_id: service("api"),
        scope: Scope::OpenedBy(Opener {
            service_id: service("api"),
            registered_at,
        }),
    }
}

fn opened(registration: Option<Timestamp>) -> NewSession {
    NewSession {
        registration,
        ..draft("alice")
    }
}

/// How many sessions are listed, and how many would end.
async fn seen(b: &Backend, access: &Access) -> (usize, u64) {
    let all = SessionFilter::default();
    let list = b
        .stores
        .sessions
        .list(&all, &access.scope, PageLimit::LARGEST, None);
    let of_login = SessionFilter {
        login_id: Some(login_id("alice")),
        ..all.clone()
    };
    let sessions = &b.stores.sessions;
    let found = sessions
        .find_where(&of_login, access, None, EndExtent::All)
        .await;
    (list.await.unwrap().items.len(), found.unwrap().count)
}

async fn sessions_of_another_registration_are_out_of_sight(b: &Backend) {
    let first = b.now();
    let (before, after) = (access(first), access(first.plus(HOUR)));
    let new = opened(Some(first));
    let id = b.create(new.clone()).await.session.session_id;
    assert_eq!(seen(b, &before).await, (1, 1));
    assert_eq!(seen(b, &after).await, (0, 0));
    let sessions = &b.stores.sessions;
    for life in ["live", "ended"] {
        let found = sessions.find(id, &after.scope).await.unwrap();
        assert_eq!(found, Lookup::Unknown, "{life}");
        let own = sessions.find(id, &before.scope).await.unwrap();
        assert_ne!(own, Lookup::Unknown, "{life}");
        let stranger = Target {
            access: after.clone(),
            ..target(id)
        };
        let changed = sessions
            .change(stranger.clone(), merge(&[("a", "1")]))
            .await;
        assert_eq!(refusal(changed), Refusal::SessionUnknown, "{life}");
        let ended = sessions.end(stranger, EndReason::Logout).await;
        assert_eq!(refusal(ended), Refusal::SessionUnknown, "{life}");
        let which = EndAll {
            login_id: login_id("alice"),
            except: None,
            device: None,
            reason: EndReason::Logout,
            detail: None,
        };
        let ended = sessions.end_all(which, &after, None, EndExtent::All).await;
        assert_eq!(ended.unwrap().count, 0);
        let limited = NewSession {
            limit: Some(SessionLimit {
                max: 1,
                per: LimitPer::Login,
                overflow: Overflow::EvictOldest,
            }),
            limit_scope: after.scope.clone(),
            ..opened(Some(first.plus(HOUR)))
        };
        let created = b.create(limited).await;
        b.end(created.session.session_id).await;
        assert_eq!(created.evicted, []);
        b.end(id).await;
    }
}

async fn a_session_that_does_not_tell_is_seen_if_it_is_not_older(b: &Backend) {
    let new = opened(None);
    let made_at = new.session_id.made_at();
    b.create(new).await;
    assert_eq!(seen(b, &access(made_at)).await, (1, 1));
    assert_eq!(seen(b, &access(made_at.plus(HOUR))).await, (0, 0));
}

async fn no_two_registrations_of_an_id_have_one_moment(b: &Backend) {
    let (shop, admin) = (service("shop"), Manager::admin());
    let mut moments = Vec::new();
    for _ in 0..3 {
        moments.push(register(b, "shop").await.created_at);
        let services = &b.stores.services;
        let removed = services.remove_service(&shop, &admin).await;
        removed.unwrap();
    }
    assert!(
        moments.is_sorted_by(|before, after| before < after),
        "{moments:?}"
    );
}
