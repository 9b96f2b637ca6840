//! A store that is slow when the gateway starts.

use crate::support::Launch;
use crate::support::redis::RedisServer;

#[tokio::test]
async fn a_gateway_starts_as_soon_as_redis_takes_its_first_write() {
    let redis = RedisServer::start().await;
    redis.ask::<()>("CLIENT PAUSE 1500 WRITE").await;
    let launch = Launch::new().unset("SGW_STORE");
    let gateway = launch.set("SGW_STORE", &redis.url()).start().await;
    gateway.admin().get("/v1/whoami").await.expect(200);
}
