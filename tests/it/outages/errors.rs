//! Each kind of error that Redis answers, provoked for real, as a caller of the gateway meets it: what was refused is
//! 503, and the session is as it was.

use deadpool_redis::redis::cmd;
use serde_json::json;

use super::{SETTLED, gateway_on, launch, open, patiently};
use crate::support::redis::{RedisCluster, RedisServer, ServerOptions, eventually};
use crate::support::{Answer, Call, Client, Gateway, Opened};

/// One Redis, a gateway on it, and a session.
struct Site {
    redis: RedisServer,
    gateway: Gateway,
    admin: Client,
    session: Opened,
}

impl Site {
    async fn start() -> Self {
        Self::on(RedisServer::start().await).await
    }

    async fn with(lines: &[&str]) -> Self {
        let lines = lines.iter().map(|&line| line.to_owned()).collect();
        let options = ServerOptions {
            lines,
            ..ServerOptions::default()
        };
        Self::on(RedisServer::start_with(options).await).await
    }

    async fn on(redis: RedisServer) -> Self {
        let gateway = gateway_on(&redis.url()).await;
        let admin = gateway.admin();
        Self {
            session: open(&admin, json!({"login_id": "ana"})).await,
            redis,
            gateway,
            admin,
        }
    }

    async fn tell(&self, command: &str) {
        self.redis.ask::<()>(command).await;
    }

    fn verification(&self) -> Call {
        let asked = json!({"token": self.session.token, "touch": false});
        self.admin.post("/v1/tokens/verify").json(&asked)
    }

    async fn assert_active(&self) {
        let verified = patiently(|| self.verification()).await;
        assert_eq!(verified.value(200)["active"], true);
    }

    async fn assert_logged_out(&self) {
        let verified = patiently(|| self.verification()).await;
        assert_eq!(verified.value(200)["reason"], "logout");
    }

    async fn verify(&self) -> Answer {
        self.verification().await
    }

    async fn end(&self) -> Answer {
        self.admin.delete(self.session.path()).await
    }

    async fn create(&self) -> Answer {
        let wanted = json!({"login_id": "bob"});
        self.admin.post("/v1/sessions").json(&wanted).await
    }

    async fn end_all(&self) -> Answer {
        self.admin.delete("/v1/logins/ana/sessions").await
    }

    /// Nothing that writes is answered by anything but 503.
    async fn assert_no_writes(&self) {
        for refused in [
            self.end().await,
            self.end_all().await,
            self.create().await,
            self.admin
                .patch(self.session.at("/attributes"))
                .json(&json!({"n": 1}))
                .await,
        ] {
            refused.problem(503, "store_unavailable");
            assert_eq!(refused.header("retry-after"), "1");
        }
    }

    /// The session is as it was, as soon as Redis is.
    async fn assert_unharmed(&self) {
        let verified = patiently(|| self.verification()).await.value(200);
        assert_eq!(verified["active"], true, "{verified}");
        assert_eq!(verified["session"]["version"], 1);
        patiently(|| self.admin.delete(self.session.path()))
            .await
            .expect(204);
        self.assert_logged_out().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_became_a_replica_is_neither_written_nor_read() {
    let site = Site::start().await;
    site.tell("REPLICAOF 127.0.0.1 1").await;
    site.assert_no_writes().await;
    site.verify().await.problem(503, "store_unavailable");
    site.tell("REPLICAOF NO ONE").await;
    site.assert_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_without_its_master_is_not_read() {
    let site = Site::with(&["replica-serve-stale-data no"]).await;
    site.tell("REPLICAOF 127.0.0.1 1").await;
    site.assert_no_writes().await;
    site.verify().await.problem(503, "store_unavailable");
    site.tell("REPLICAOF NO ONE").await;
    site.assert_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_enough_replicas_nothing_is_written_and_tokens_are_verified() {
    let site = Site::start().await;
    site.tell("CONFIG SET min-replicas-to-write 3").await;
    site.assert_no_writes().await;
    site.assert_active().await;
    let readiness = site.gateway.nobody().get("/readyz").await.value(503);
    let reason = readiness["reason"].as_str().unwrap();
    assert!(reason.contains(&site.redis.port.to_string()), "{reason}");
    assert!(
        reason.contains("NOREPLICAS") || reason.contains("replicas"),
        "{reason}"
    );
    site.tell("CONFIG SET min-replicas-to-write 0").await;
    site.assert_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_no_snapshot_can_be_saved_nothing_is_written_and_tokens_are_verified() {
    let site = Site::start().await;
    let mut operator = site.redis.connection().await;
    let mut save = cmd("CONFIG");
    save.arg("SET").arg("save").arg("1000 1");
    save.exec_async(&mut operator).await.unwrap();
    site.redis.break_snapshots();
    site.tell("BGSAVE").await;
    eventually(SETTLED, || async {
        site.redis.info("rdb_last_bgsave_status").await == "err"
    })
    .await;
    site.assert_no_writes().await;
    site.assert_active().await;
    site.tell("CONFIG SET stop-writes-on-bgsave-error no").await;
    site.assert_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_memory_is_full_sessions_can_be_verified_and_ended_but_not_opened() {
    let site = Site::start().await;
    let other = open(&site.admin, json!({"login_id": "eve"})).await;
    site.tell("CONFIG SET maxmemory 1mb").await;
    site.create().await.problem(503, "store_unavailable");
    let put = site.admin.put(site.session.at("/attributes/a"));
    put.json(&json!(1)).await.problem(503, "store_unavailable");
    site.assert_active().await;
    site.end().await.expect(204);
    assert_eq!(site.verify().await.value(200)["reason"], "logout");
    let ended = site
        .admin
        .delete("/v1/logins/eve/sessions")
        .await
        .value(200);
    assert_eq!(ended["session_ids"], json!([other.id]));
    site.tell("CONFIG SET maxmemory 0").await;
    open(&site.admin, json!({"login_id": "bob"})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_memory_is_full_a_service_id_in_use_is_told_and_a_new_one_is_unknown() {
    let site = Site::start().await;
    let register = |id: &str| {
        let service = json!({"service_id": id, "service_name": "Shop", "permissions": []});
        site.admin.post("/v1/services").json(&service)
    };
    register("shop").await.expect(201);
    site.tell("CONFIG SET maxmemory 1mb").await;
    register("shop").await.problem(409, "service_exists");
    register("game").await.problem(503, "store_unavailable");
    site.tell("CONFIG SET maxmemory 0").await;
    register("game").await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_redis_is_unknown() {
    let site = Site::start().await;
    site.tell("CONFIG SET busy-reply-threshold 10").await;
    let mut other = site.redis.connection().await;
    let endless = tokio::spawn(async move {
        let mut command = cmd("EVAL");
        command.arg("while true do end").arg(0);
        drop(command.exec_async(&mut other).await);
    });
    eventually(SETTLED, || async {
        let busy = site.redis.try_ask::<String>("PING").await;
        busy.is_err_and(|error| error.code() == Some("BUSY"))
    })
    .await;
    site.assert_no_writes().await;
    site.verify().await.problem(503, "store_unavailable");
    site.tell("SCRIPT KILL").await;
    endless.await.unwrap();
    site.assert_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_run_scripts_nothing_is_written() {
    let site = Site::start().await;
    site.tell("ACL SETUSER default -evalsha -eval").await;
    site.assert_no_writes().await;
    site.assert_active().await;
    site.tell("ACL SETUSER default +@all").await;
    site.assert_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_loads_its_data_is_waited_for() {
    let mut site = Site::with(&[
        "key-load-delay 50000",
        "loading-process-events-interval-bytes 1024",
    ])
    .await;
    for login in 0..20 {
        let session =
            json!({"login_id": format!("u{login}"), "attributes": {"a": "x".repeat(1_000)}});
        open(&site.admin, session).await;
    }
    site.tell("BGREWRITEAOF").await;
    eventually(SETTLED, || async {
        site.redis.info("aof_rewrite_in_progress").await == "0"
            && site.redis.info("aof_last_bgrewrite_status").await == "ok"
    })
    .await;
    site.redis.kill();
    site.redis.run().await;
    site.verify().await.problem(503, "store_unavailable");
    site.assert_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_is_forgotten_is_sent_again() {
    let site = Site::start().await;
    site.tell("SCRIPT FLUSH").await;
    open(&site.admin, json!({"login_id": "bob"})).await;
    site.tell("SCRIPT FLUSH").await;
    site.assert_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_another_type_concerns_one_login_only() {
    let site = Site::start().await;
    let keys: Vec<Vec<u8>> = site.redis.ask("KEYS sgw:*:l:*").await;
    let mut operator = site.redis.connection().await;
    let mut odd = cmd("SET");
    odd.arg(&keys[0]).arg("odd");
    odd.exec_async(&mut operator).await.unwrap();
    let wanted = json!({"login_id": "ana"});
    let create = site.admin.post("/v1/sessions").json(&wanted).await;
    create.problem(503, "store_unavailable");
    site.assert_active().await;
    open(&site.admin, json!({"login_id": "bob"})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_replicas_do_not_have_is_not_confirmed() {
    let redis = RedisServer::start().await;
    let gateway = launch(&redis.url())
        .set("SGW_REDIS_WAIT_REPLICAS", "1")
        .start()
        .await;
    let admin = gateway.admin();
    let replica = RedisServer::start_with(ServerOptions {
        lines: vec![
            format!("replicaof 127.0.0.1 {}", redis.port),
            "repl-diskless-sync-delay 0".to_owned(),
        ],
        ..ServerOptions::default()
    })
    .await;
    eventually(SETTLED, || async {
        replica.info("master_link_status").await == "up"
    })
    .await;
    let session = open(&admin, json!({"login_id": "ana"})).await;
    replica.freeze();
    let ended = admin.delete(session.path()).await;
    ended.problem(503, "store_unavailable");
    let wanted = json!({"login_id": "ana"});
    let created = admin.post("/v1/sessions").json(&wanted).await;
    created.problem(503, "store_unavailable");
    replica.thaw();
    eventually(SETTLED, || async {
        admin.delete(session.path()).await.status == 204
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_a_majority_is_unknown() {
    let mut cluster = RedisCluster::start().await;
    let gateway = gateway_on(&format!("redis+cluster://{}", cluster.hosts())).await;
    let admin = gateway.admin();
    let session = open(&admin, json!({"login_id": "ana"})).await;
    for server in cluster.servers.iter_mut().skip(1) {
        server.kill();
    }
    eventually(SETTLED, || async {
        let state: String = cluster.servers[0].ask("CLUSTER INFO").await;
        state.contains("cluster_state:fail")
    })
    .await;
    for refused in [
        admin.get(session.path()).await,
        admin.delete(session.path()).await,
    ] {
        refused.problem(503, "store_unavailable");
    }
    admin.get("/readyz").await.expect(503);
    admin.get("/livez").await.expect(200);
}
