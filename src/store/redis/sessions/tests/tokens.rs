//! Creates that overtake each other on the way to one token.

use super::super::tokens::Taken;
use super::{session, world::World};
use crate::model::session_token::{StoredToken, TokenOrigin};
use crate::model::token::{CredentialHash, PresentedToken};
use crate::rules::create::NewSession;
use crate::rules::refusal::Refusal;
use crate::store::OpError;

const TOKEN: &[u8] = b"from elsewhere";

fn with_the_token(world: &mut World, number: u8) -> NewSession {
    NewSession {
        session_id: session(&world.login_id, number, world),
        token: StoredToken {
            hash: CredentialHash::of(TOKEN),
            origin: TokenOrigin::Caller,
        },
        limit: None,
        operation_id: None,
        ..world.new_session()
    }
}

#[tokio::test]
async fn a_create_whose_token_was_taken_over_opens_nothing() {
    let mut world = World::open(1).await;
    world.begin(0).await;
    let slow = with_the_token(&mut world, 101);
    let quick = with_the_token(&mut world, 102);
    let sessions = &world.sessions;
    assert_eq!(sessions.take_token(&slow).await.unwrap(), Taken::Now);
    assert_eq!(sessions.take_token(&slow).await.unwrap(), Taken::Before);
    sessions.create(quick.clone()).await.unwrap();
    for _ in 0..2 {
        let late = sessions.insert(&slow).await;
        assert!(matches!(late, Err(OpError::Refused(Refusal::TokenInUse))));
        let again = sessions.create(slow.clone()).await;
        assert!(matches!(again, Err(OpError::Refused(Refusal::TokenInUse))));
        sessions.give_back(&slow).await;
    }
    let token = PresentedToken {
        session_id: None,
        hash: quick.token.hash,
    };
    let found = sessions.session_of(&token).await.unwrap();
    assert_eq!(found, Some(quick.session_id));
}
