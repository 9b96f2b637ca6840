//! A slot that is half moved from one master to another: a script cannot tell a session that has moved already from one
//! that is gone, so none may run there.

use deadpool_redis::redis::{Value, cmd};
use serde_json::json;

use super::{SETTLED, gateway_on, open, patiently};
use crate::support::redis::{RedisCluster, eventually};
use crate::support::{Client, Opened};

/// A slot on its way.
struct Move<'a> {
    cluster: &'a RedisCluster,
    slot: u16,
    from: usize,
    to: usize,
}

impl<'a> Move<'a> {
    /// Begins to move the slot of a session.
    async fn begin(cluster: &'a RedisCluster, session: &Opened) -> Self {
        let tag = &session.id[session.id.len() - 2..];
        let question = format!("CLUSTER KEYSLOT {{{tag}}}");
        let slot: u16 = cluster.servers[0].ask(&question).await;
        let from = cluster.master_of(slot).await;
        let to = (from + 1) % 3;
        let (source, target) = (&cluster.servers[from], &cluster.servers[to]);
        let source_id: String = source.ask("CLUSTER MYID").await;
        let target_id: String = target.ask("CLUSTER MYID").await;
        let importing = format!("CLUSTER SETSLOT {slot} IMPORTING {source_id}");
        target.ask::<()>(&importing).await;
        let migrating = format!("CLUSTER SETSLOT {slot} MIGRATING {target_id}");
        source.ask::<()>(&migrating).await;
        Self {
            cluster,
            slot,
            from,
            to,
        }
    }

    /// Moves those keys that are wanted.
    async fn keys(&self, wanted: impl Fn(&[u8]) -> bool) {
        let mut source = self.cluster.servers[self.from].connection().await;
        let mut list = cmd("CLUSTER");
        list.arg("GETKEYSINSLOT").arg(self.slot).arg(100);
        let keys: Vec<Vec<u8>> = list.query_async(&mut source).await.unwrap();
        for key in keys.into_iter().filter(|key| wanted(key)) {
            let target = &self.cluster.servers[self.to];
            let mut migrate = cmd("MIGRATE");
            migrate.arg("127.0.0.1").arg(target.port).arg(key).arg(0);
            migrate.arg(5_000);
            let moved: Value = migrate.query_async(&mut source).await.unwrap();
            assert_eq!(moved, Value::Okay);
        }
    }

    /// Moves what is left, and tells everybody.
    async fn end(self) {
        self.keys(|_| true).await;
        let servers = &self.cluster.servers;
        let id: String = servers[self.to].ask("CLUSTER MYID").await;
        let told = format!("CLUSTER SETSLOT {} NODE {id}", self.slot);
        for index in [self.to, self.from, 3 - self.to - self.from] {
            servers[index].ask::<()>(&told).await;
        }
    }
}

fn is_record(key: &[u8]) -> bool {
    key.windows(4).any(|part| part == b"}:s:")
}

/// Reads answer, and writes are unknown rather than about a session that seems to be gone.
async fn assert_half_there(admin: &Client, login: &str, session: &Opened) {
    let patch = admin.patch(session.at("/attributes"));
    let patched = patch.json(&json!({"seen": true})).await;
    patched.problem(503, "store_unavailable");
    let ended = admin.delete(session.path()).await;
    ended.problem(503, "store_unavailable");
    let second = admin.post("/v1/sessions").json(&json!({"login_id": login}));
    second.await.problem(503, "store_unavailable");
    let all = admin.delete(format!("/v1/logins/{login}/sessions")).await;
    all.problem(503, "store_unavailable");
    eventually(SETTLED, || async {
        let found = admin.get(session.path()).await;
        assert!(
            matches!(found.status.as_u16(), 200 | 503),
            "{}",
            found.text()
        );
        found.status == 200 && found.json()["version"] == 1
    })
    .await;
}

async fn assert_whole(admin: &Client, login: &str, session: &Opened) {
    let patched = || async {
        let patch = admin.patch(session.at("/attributes"));
        patch.json(&json!({"seen": true})).await.status == 200
    };
    eventually(SETTLED, patched).await;
    let replace = || {
        let call = admin.post("/v1/sessions").header("Idempotency-Key", login);
        call.json(&json!({"login_id": login, "limit": {"max": 1}}))
    };
    let created = patiently(replace).await.value(201);
    assert_eq!(created["evicted"], json!([session.id]));
    let token = json!({"token": session.token});
    let verify = || admin.post("/v1/tokens/verify").json(&token);
    let verified = patiently(verify).await.value(200);
    assert_eq!(verified["reason"], "replaced");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_keys_are_on_two_masters_is_neither_changed_nor_lost() {
    let cluster = RedisCluster::start().await;
    let gateway = gateway_on(&format!("redis+cluster://{}", cluster.hosts())).await;
    let admin = gateway.admin();
    let nothing: fn(&[u8]) -> bool = |_| false;
    let all_but_record: fn(&[u8]) -> bool = |key| !is_record(key);
    for (login, first) in [
        ("ana", nothing),
        ("bob", is_record),
        ("eve", all_but_record),
    ] {
        let session = open(&admin, json!({"login_id": login})).await;
        let moving = Move::begin(&cluster, &session).await;
        moving.keys(first).await;
        assert_half_there(&admin, login, &session).await;
        moving.end().await;
        assert_whole(&admin, login, &session).await;
    }
}
