//! The sessions of a login in the order of their ids, for what goes through them in steps.

use super::super::call::call;
use super::super::connections::Effect;
use super::super::keys::{login_key, slot_of_login};
use super::super::record::SESSION;
use super::Sessions;
use crate::model::Timestamp;
use crate::model::id::{LoginId, SessionId};
use crate::store::StoreError;

call! {
    struct FindMembers: "members.lua", "no-writes", [SHARD] {
        login_key: Vec<u8>,
        after: Option<SessionId>,
        most: usize,
    }
    SESSION, replicated: false, effect: Effect::Repeatable;
    (self, reply) -> (Timestamp, Vec<SessionId>) {
        "done" => (reply.moment()?, reply.ids()?),
    }
}

impl Sessions {
    /// The next sessions of a login after one, at most so many, and when they were all there.
    pub(super) async fn members(
        &self,
        login_id: &LoginId,
        after: Option<SessionId>,
        most: usize,
    ) -> Result<(Timestamp, Vec<SessionId>), StoreError> {
        let find = |_attempt| FindMembers {
            login_key: login_key(login_id),
            after,
            most,
        };
        let slot = slot_of_login(login_id);
        self.client.call_through(slot, find).await
    }
}
