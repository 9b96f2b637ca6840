//! One load of a thing at a time in this node: whoever else asks for it waits for the same answer.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tracing::Instrument;

/// The loads that are under way. A load goes on when all who wait for it have left.
#[derive(Debug)]
pub struct Flights<K, T>(Mutex<HashMap<K, watch::Receiver<Option<T>>>>);

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K, T> Flights<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// What the load comes to that is under way, or else this one; nothing if it breaks down.
    pub async fn join(
        self: &Arc<Self>,
        key: &K,
        load: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let mut answer = self.enter(key, load);
        let landed = answer.wait_for(Option::is_some).await;
        landed.ok().and_then(|answer| answer.clone())
    }

    fn enter(
        self: &Arc<Self>,
        key: &K,
        load: impl Future<Output = T> + Send + 'static,
    ) -> watch::Receiver<Option<T>> {
        let mut under_way = self.under_way();
        if let Some(answer) = under_way.get(key) {
            return answer.clone();
        }
        let (tell, answer) = watch::channel(None);
        under_way.insert(key.clone(), answer.clone());
        // A runtime that shuts down drops the load here and now, which takes it off the list.
        drop(under_way);
        let landing = Landing {
            flights: Arc::clone(self),
            key: key.clone(),
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

    fn under_way(&self) -> MutexGuard<'_, HashMap<K, watch::Receiver<Option<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a load off the list, however it ends.
struct Landing<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    flights: Arc<Flights<K, T>>,
    key: K,
}

impl<K, T> Drop for Landing<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    fn drop(&mut self) {
        self.flights.under_way().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::LoginId;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;

    fn ana() -> LoginId {
        LoginId::parse("ana").unwrap()
    }

    #[tokio::test]
    async fn all_who_come_meanwhile_share_one_load() {
        let flights: Arc<Flights<LoginId, usize>> = Arc::default();
        let (go, loads) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        let load = || {
            let (go, loads) = (Arc::clone(&go), Arc::clone(&loads));
            async move {
                go.notified().await;
                loads.fetch_add(1, Ordering::SeqCst) + 1
            }
        };
        let ana = ana();
        let all = futures_util::future::join_all((0..100).map(|_| flights.join(&ana, load())));
        go.notify_one();
        assert_eq!(all.await, vec![Some(1); 100]);
        go.notify_one();
        assert_eq!(flights.join(&ana, load()).await, Some(2));
        assert!(flights.under_way().is_empty());
    }

    #[tokio::test]
    async fn a_load_goes_on_without_those_who_left() {
        let flights: Arc<Flights<LoginId, ()>> = Arc::default();
        let (go, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (begin, end) = (Arc::clone(&go), Arc::clone(&done));
        let load = async move {
            begin.notified().await;
            end.notify_one();
        };
        drop(flights.enter(&ana(), load));
        go.notify_one();
        done.notified().await;
    }

    #[tokio::test]
    async fn a_load_that_breaks_down_holds_nobody_up() {
        let flights: Arc<Flights<LoginId, ()>> = Arc::default();
        let ana = ana();
        let broken = flights.join(&ana, async { panic!("a bug") });
        assert_eq!(broken.await, None);
        assert!(flights.under_way().is_empty());
        assert_eq!(flights.join(&ana, async {}).await, Some(()));
    }
}
