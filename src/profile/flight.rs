//! One load of a profile at a time in this node: whoever else asks for it waits for the same answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tracing::Instrument;

use crate::model::id::LoginId;

/// The loads that are under way. A load goes on when all who wait for it have left.
#[derive(Debug)]
pub(super) struct Flights<T>(Mutex<HashMap<LoginId, watch::Receiver<Option<T>>>>);

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// What the load comes to that is under way, or else this one; nothing if it breaks down.
    pub(super) async fn join(
        self: &Arc<Self>,
        login_id: &LoginId,
        load: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let mut answer = self.enter(login_id, load);
        let landed = answer.wait_for(Option::is_some).await;
        landed.ok().and_then(|answer| answer.clone())
    }

    fn enter(
        self: &Arc<Self>,
        login_id: &LoginId,
        load: impl Future<Output = T> + Send + 'static,
    ) -> watch::Receiver<Option<T>> {
        let mut under_way = self.under_way();
        if let Some(answer) = under_way.get(login_id) {
            return answer.clone();
        }
        let (tell, answer) = watch::channel(None);
        under_way.insert(login_id.clone(), answer.clone());
        // A runtime that shuts down drops the load here and now, which takes it off the list.
        drop(under_way);
        let landing = Landing {
            flights: Arc::clone(self),
            login_id: login_id.clone(),
        };
        let flight = async move {
            let outcome = load.await;
            // Whoever comes from now on asks the store.
            drop(landing);
            tell.send_replace(Some(outcome));
        };
        tokio::spawn(flight.in_current_span());
        answer
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<LoginId, watch::Receiver<Option<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a load off the list, however it ends.
struct Landing<T: Clone + Send + Sync + 'static> {
    flights: Arc<Flights<T>>,
    login_id: LoginId,
}

impl<T: Clone + Send + Sync + 'static> Drop for Landing<T> {
    fn drop(&mut self) {
        self.flights.under_way().remove(&self.login_id);
    }
}
