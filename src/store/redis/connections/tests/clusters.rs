//! A cluster whose slots move and whose masters die.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::servers::{RedisCluster, eventually};
use super::*;

/// Within which slots are served after they have another master; generous, as the machine may be busy.
const FOLLOWED: Duration = Duration::from_secs(10);

fn shards() -> impl Iterator<Item = Slot> {
    (0..=255).map(Slot::Shard)
}

async fn open_all(cluster: &RedisCluster) -> Connections {
    open(&format!("redis+cluster://{}", cluster.hosts())).await
}

async fn open_all_patiently(cluster: &RedisCluster) -> Connections {
    open_patiently(&format!("redis+cluster://{}", cluster.hosts())).await
}

/// Writers on all shards until told to stop; they give what failed, and how often each shard was added to.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    workers: Vec<tokio::task::JoinHandle<Vec<StoreError>>>,
}

impl Load {
    fn start(connections: &Connections) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicUsize::new(0));
        let workers = (0..16).map(|worker: u8| {
            let (connections, stop, done) =
                (connections.clone(), Arc::clone(&stop), Arc::clone(&done));
            tokio::spawn(async move {
                let mut errors = Vec::new();
                let mut shard = worker;
                while !stop.load(Ordering::Relaxed) {
                    match add_beside(&connections, Slot::Shard(shard)).await {
                        Ok(_) => {
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => errors.push(error),
                    }
                    shard = shard.wrapping_add(16);
                }
                errors
            })
        });
        let workers = workers.collect();
        Self {
            stop,
            done,
            workers,
        }
    }

    async fn end(self) -> (usize, Vec<StoreError>) {
        self.stop.store(true, Ordering::Relaxed);
        let mut errors = Vec::new();
        for worker in self.workers {
            errors.extend(worker.await.unwrap());
        }
        (self.done.load(Ordering::Relaxed), errors)
    }
}

/// Names a key that is never there as well, as scripts name keys that may be missing.
async fn add_beside(connections: &Connections, slot: Slot) -> Result<Value, StoreError> {
    let keys = ["count", "missing"].map(|name| key(slot, name).into_bytes());
    let args = [b"1".to_vec()];
    connections
        .script(slot, &ADD, &keys, &args, Effect::Once)
        .await
}

async fn total(connections: &Connections) -> usize {
    let mut total = 0;
    for shard in shards() {
        if let Value::BulkString(count) = get(connections, shard, "count").await.unwrap() {
            total += String::from_utf8(count).unwrap().parse::<usize>().unwrap();
        }
    }
    total
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_move_and_scripts_are_flushed_without_a_failed_request() {
    let cluster = RedisCluster::start().await;
    let connections = open_all_patiently(&cluster).await;
    let load = Load::start(&connections);
    let mut move_slots = cluster.reshard(0, 1, 1_000);
    while move_slots.try_wait().unwrap().is_none() {
        for server in &cluster.servers {
            server.ask::<()>("SCRIPT FLUSH").await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (done, errors) = load.end().await;
    assert!(
        errors.is_empty(),
        "{} of {done}: {:?}",
        errors.len(),
        errors.first()
    );
    assert_eq!(total(&connections).await, done);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_all_break_at_once_are_replaced_at_once() {
    let cluster = RedisCluster::start().await;
    let connections = open_all_patiently(&cluster).await;
    for server in &cluster.servers {
        server.ask::<i64>("CLIENT KILL TYPE normal").await;
    }
    for shard in shards() {
        get(&connections, shard, "any").await.unwrap();
    }
    for shard in shards() {
        set(&connections, shard, "any", "1").await.unwrap();
    }
}

/// Begins to move a slot to another master; tells which masters these are.
async fn half_move(cluster: &RedisCluster, slot: Slot) -> [usize; 2] {
    let from = cluster.master_of(slot.number()).await;
    let sides = [from, (from + 1) % 3];
    let [from, to] = sides.map(|side| &cluster.servers[side]);
    let ids: [String; 2] = [from.ask("CLUSTER MYID").await, to.ask("CLUSTER MYID").await];
    let number = slot.number();
    let importing = format!("CLUSTER SETSLOT {number} IMPORTING {}", ids[0]);
    let migrating = format!("CLUSTER SETSLOT {number} MIGRATING {}", ids[1]);
    to.ask::<()>(&importing).await;
    from.ask::<()>(&migrating).await;
    sides
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_waits_longer_for_its_slot_than_for_anything_else() {
    let cluster = RedisCluster::start().await;
    let mut settings = settings(&format!("redis+cluster://{}", cluster.hosts()));
    settings.deadlines.command = Duration::from_millis(400);
    let connections = Connections::open(&settings).await.unwrap();
    let slot = Slot::Shard(1);
    add_beside(&connections, slot).await.unwrap();
    let sides = half_move(&cluster, slot).await;
    let settle = async {
        tokio::time::sleep(settings.deadlines.operation() + Duration::from_millis(150)).await;
        let stable = format!("CLUSTER SETSLOT {} STABLE", slot.number());
        for side in sides {
            cluster.servers[side].ask::<()>(&stable).await;
        }
    };
    let (added, ()) = tokio::join!(add_beside(&connections, slot), settle);
    assert_eq!(added.unwrap(), Value::Int(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_is_half_moved_is_served_from_both_sides() {
    let cluster = RedisCluster::start().await;
    let connections = open_all(&cluster).await;
    let slot = Slot::Shard(1);
    set(&connections, slot, "old", "1").await.unwrap();
    half_move(&cluster, slot).await;

    assert_eq!(get(&connections, slot, "old").await.unwrap(), text("1"));
    set(&connections, slot, "new", "2").await.unwrap();
    assert_eq!(get(&connections, slot, "new").await.unwrap(), text("2"));
    add(&connections, slot, Effect::Once).await.unwrap();

    let keys = ["old", "new"].map(|name| key(slot, name).into_bytes());
    let start = Instant::now();
    let torn = connections
        .script(slot, &ADD, &keys, &[b"1".to_vec()], Effect::Once)
        .await;
    assert!(torn.is_err(), "keys on both sides were used together");
    assert!(start.elapsed() <= deadline::MOVING_SLOT + BOUND);
}

fn on_another_master(connections: &Connections, slot: Slot) -> Slot {
    let now = connections.topology().borrow().clone();
    let master = |slot| &now.master_of(slot).unwrap().address;
    let mut slots = (0..=255).map(Slot::Shard);
    slots.find(|other| master(*other) != master(slot)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_master_is_replaced_while_the_others_go_on() {
    let mut cluster = RedisCluster::start().await;
    let connections = open_all(&cluster).await;
    let patient = open_all_patiently(&cluster).await;
    let mut topology = connections.topology();
    topology.borrow_and_update();
    for shard in shards() {
        set(&patient, shard, "any", "1").await.unwrap();
    }
    for number in 0..100 {
        let own = Slot::Hash([number; 32]);
        set(&patient, own, "}{any", "1").await.unwrap();
        assert_eq!(get(&patient, own, "}{any").await.unwrap(), text("1"));
    }
    let lost = Slot::Shard(1);
    let other = on_another_master(&connections, lost);
    let master = cluster.master_of(lost.number()).await;
    let replicas: i64 = cluster.servers[master].ask("WAIT 1 5000").await;
    assert_eq!(replicas, 1);
    cluster.servers[master].kill();
    eventually(Duration::from_secs(20), || async {
        assert!(get(&patient, other, "any").await.is_ok());
        let asked = Instant::now();
        drop(get(&connections, lost, "any").await);
        assert!(asked.elapsed() <= BOUND);
        cluster.master_of(lost.number()).await != master
    })
    .await;
    for follower in [&connections, &patient] {
        eventually(FOLLOWED, || async {
            get(follower, lost, "any").await.is_ok()
        })
        .await;
    }
    assert!(topology.has_changed().unwrap());
    for shard in shards() {
        assert_eq!(get(&patient, shard, "any").await.unwrap(), text("1"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_down_is_an_error_in_time() {
    let mut cluster = RedisCluster::start().await;
    let connections = open_all(&cluster).await;
    let slot = Slot::Shard(1);
    let master = cluster.master_of(slot.number()).await;
    for (index, server) in cluster.servers.iter_mut().enumerate() {
        if index != master {
            server.kill();
        }
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let start = Instant::now();
    let answer = set(&connections, slot, "any", "1").await;
    assert!(
        matches!(
            answer,
            Err(StoreError::Unavailable(_) | StoreError::TimedOut)
        ),
        "{answer:?}"
    );
    assert!(start.elapsed() <= BOUND);
}
