use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::*;

const MILLI: Duration = Duration::from_millis(1);

fn gate() -> Arc<Gate> {
    Gate::new(Deadlines::default())
}

/// Takes as much as may be under way.
fn fill(gate: &Arc<Gate>) -> Vec<Turn> {
    let turn = |_| match gate.ask(Urgency::Later) {
        Ok(Entry::Turn(turn)) => turn,
        Ok(Entry::Wait(_)) | Err(Shed) => panic!("there is room"),
    };
    (0..gate.limit()).map(turn).collect()
}

impl Gate {
    /// As a request does.
    async fn enter_or_hear(self: &Arc<Self>, urgency: Urgency) -> Result<Turn, Shed> {
        let entered = self.enter(urgency).await;
        if entered.is_err() {
            self.shed_one(urgency).await;
        }
        entered
    }

    fn deadline(&self) -> Duration {
        2 * self.wait
    }
}

/// A server that answers one request after the other, each within `each`, and is asked by many who ask again at once.
async fn answer_for(gate: &Arc<Gate>, askers: usize, each: Duration, time: Duration) -> usize {
    let server = Arc::new(tokio::sync::Mutex::new(()));
    let end = Instant::now() + time;
    let mut tasks = JoinSet::new();
    for _ in 0..askers {
        let (gate, server) = (Arc::clone(gate), Arc::clone(&server));
        tasks.spawn(async move {
            let mut answered = 0;
            while Instant::now() < end {
                let Ok(mut turn) = gate.enter_or_hear(Urgency::Later).await else {
                    sleep(MILLI).await;
                    continue;
                };
                let sent_at = Instant::now();
                let one = server.lock().await;
                sleep(each).await;
                drop(one);
                if sent_at.elapsed() <= gate.deadline() {
                    turn.answered(sent_at.elapsed());
                    answered += 1;
                } else {
                    turn.missed();
                }
            }
            answered
        });
    }
    tasks.join_all().await.into_iter().sum()
}

#[tokio::test(start_paused = true)]
async fn what_is_urgent_waits_only_behind_its_like() {
    let gate = gate();
    let mut turns = fill(&gate);
    let Ok(Entry::Wait(mut later)) = gate.ask(Urgency::Later) else {
        panic!("nothing is free");
    };
    for _ in 0..FIRST {
        let Ok(Entry::Turn(turn)) = gate.ask(Urgency::First) else {
            panic!("it need not wait");
        };
        turns.push(turn);
    }
    let Ok(Entry::Wait(mut first)) = gate.ask(Urgency::First) else {
        panic!("there is a bound");
    };
    drop(turns.pop());
    first.try_recv().unwrap();
    assert!(later.try_recv().is_err());
    turns.clear();
    later.try_recv().unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_would_wait_for_too_long_is_shed_and_counted() {
    let gate = gate();
    let _turns = fill(&gate);
    // Nothing was answered for the whole of a window.
    sleep(Duration::from_millis(100)).await;
    drop(gate.ask(Urgency::Later));
    let room = gate.queue().room(Urgency::Later, gate.wait);
    assert_eq!(room, 256);
    let waiting: Vec<_> = (0..room).map(|_| gate.ask(Urgency::Later)).collect();
    let start = Instant::now();
    assert!(matches!(
        gate.enter_or_hear(Urgency::Later).await,
        Err(Shed)
    ));
    assert_eq!(start.elapsed(), Duration::ZERO);
    drop(waiting);
    assert!(matches!(
        gate.enter_or_hear(Urgency::Later).await,
        Err(Shed)
    ));
    assert!(start.elapsed() >= gate.wait);
    assert_eq!(gate.shed(), 2);
}

/// However many ask again at once, most of the work is left for what is answered.
#[tokio::test(start_paused = true)]
async fn of_many_who_are_shed_few_are_told_at_once_and_all_within_a_second() {
    let gate = gate();
    answer_for(&gate, 1_000, MILLI, Duration::from_secs(2)).await;
    let before = gate.shed();
    let answered = answer_for(&gate, 1_000, MILLI, Duration::from_secs(10)).await;
    let shed = usize::try_from(gate.shed() - before).unwrap();
    // Without a pause each would come again within a millisecond or two.
    assert!(
        shed < answered + 10 * 1_000,
        "{shed} shed, {answered} answered"
    );
    let _turns = fill(&gate);
    let mut held = JoinSet::new();
    for _ in 0..3_000 {
        let gate = Arc::clone(&gate);
        held.spawn(async move { gate.enter_or_hear(Urgency::Later).await.is_err() });
    }
    let start = Instant::now();
    held.join_all().await;
    let bound = HELD + gate.wait + 10 * MILLI;
    assert!(start.elapsed() <= bound, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_leaves_takes_no_turn_along() {
    let gate = gate();
    let mut turns = fill(&gate);
    let left = gate.ask(Urgency::Later).ok();
    let Ok(Entry::Wait(stays)) = gate.ask(Urgency::Later) else {
        panic!("nothing is free");
    };
    drop(left);
    drop(turns.pop());
    let turn = stays.await.unwrap();
    // One that has its turn and is gone before it looks gives it back.
    let Ok(Entry::Wait(late)) = gate.ask(Urgency::Later) else {
        panic!("nothing is free");
    };
    drop(turn);
    drop(late);
    drop(turns);
    assert_eq!(gate.queue().under_way(), 0);
}

#[tokio::test(start_paused = true)]
async fn no_more_is_under_way_than_a_slow_server_answers_in_time() {
    let gate = gate();
    // 500 answers a second, of 1,000 who ask: unguarded, the last would wait two seconds.
    let time = Duration::from_secs(5);
    let answered = answer_for(&gate, 1_000, 2 * MILLI, time).await;
    assert!(answered >= 1_500, "{answered} answers in time");
    assert!((8..=60).contains(&gate.limit()), "{}", gate.limit());
    assert!(gate.shed() > 0);
    // When the server is quicker, more is let in.
    answer_for(&gate, 1_000, MILLI, time).await;
    assert!((15..=110).contains(&gate.limit()), "{}", gate.limit());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_becomes_slow_is_asked_for_less_though_it_was_never_full() {
    let gate = gate();
    answer_for(&gate, 60, 2 * MILLI, Duration::from_secs(2)).await;
    assert!(gate.limit() < 60, "{}", gate.limit());
}

#[tokio::test(start_paused = true)]
async fn what_was_measured_long_ago_sheds_nobody() {
    let gate = gate();
    answer_for(&gate, 100, 5 * MILLI, Duration::from_secs(2)).await;
    assert!(gate.limit() <= 64, "{}", gate.limit());
    sleep(Duration::from_secs(2)).await;
    let turns: Vec<_> = (0..200).map(|_| gate.ask(Urgency::Later)).collect();
    assert!(turns.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stood_still_is_soon_asked_as_before() {
    let gate = gate();
    answer_for(&gate, 100, Duration::from_secs(2), Duration::from_secs(3)).await;
    let answered = answer_for(&gate, 100, MILLI, Duration::from_secs(2)).await;
    assert!(answered > 1_000, "{answered} answers");
}
