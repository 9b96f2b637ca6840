use super::exact::Checkpoint;
use super::*;
use crate::model::event::{Change, Event};
use crate::model::id::ServiceId;
use crate::model::page::Cursor;

const SHARDS: Partitions = Partitions::Shards;
const NOW: u64 = 1_800_000_000_000;

fn at(millis: u64) -> Position {
    Position { millis, number: 0 }
}

/// Of two servers, one of which tells every third partition; all was told until a second ago.
fn histories() -> Vec<Option<History>> {
    let of = |partition: Partition| {
        let name = if partition.0.is_multiple_of(3) {
            "first"
        } else {
            "second"
        };
        Some(History::of(name))
    };
    SHARDS.all().map(of).collect()
}

fn quiet() -> Vec<Mark> {
    let mark = |(partition, history)| Mark {
        position: at(NOW - 900_000),
        last: at(NOW - 60_000 - partition),
        until: NOW - 1_000,
        history,
    };
    (0..).zip(histories()).map(mark).collect()
}

fn lasts(marks: &[Mark]) -> Vec<Position> {
    marks.iter().map(|mark| mark.last).collect()
}

fn place(marks: &[Mark]) -> Place {
    let cursor = FeedPosition::new(SHARDS, marks.to_vec()).cursor();
    let text = cursor.encode();
    Place::of(SHARDS, &Cursor::parse(&text).unwrap()).unwrap()
}

#[test]
fn a_short_cursor_tells_a_moment_and_what_is_beyond_it() {
    let mut marks = quiet();
    for (number, partition) in [3, 4, 200, 256].into_iter().enumerate() {
        marks[partition].last = at(NOW - 900 + 10 * number as u64);
    }
    let cursor = FeedPosition::new(SHARDS, marks.clone()).cursor();
    assert!(cursor.encode().len() < 80, "{}", cursor.encode().len());
    let (place, histories) = (place(&marks), histories());
    for (partition, history) in SHARDS.all().zip(&histories) {
        let beyond = [3, 4, 200, 256].contains(&partition.0);
        let moment = Position {
            millis: NOW - 1_000,
            number: u64::MAX,
        };
        let wanted = if beyond {
            marks[partition.0].last
        } else {
            moment
        };
        assert_eq!(place.position(partition, *history), wanted);
        assert_eq!(place.read_from(partition, *history), wanted);
    }
    assert_eq!(place.overtaken(&histories, &lasts(&marks)), []);
}

#[test]
fn an_event_that_comes_later_and_stands_before_the_moment_is_noticed() {
    let mut marks = quiet();
    marks[5].last = at(NOW);
    let (place, histories) = (place(&marks), histories());
    let mut found = lasts(&marks);
    // What is beyond the moment has a position of its own.
    found[5] = at(NOW - 2_000);
    assert_eq!(place.overtaken(&histories, &found), []);
    found[6] = at(NOW - 1_000);
    let of_the_first = SHARDS
        .all()
        .filter(|partition| partition.0.is_multiple_of(3));
    let overtaken = place.overtaken(&histories, &found);
    assert_eq!(overtaken, of_the_first.collect::<Vec<_>>());
    // What was over when the cursor was made tells nothing.
    let mut found = lasts(&marks);
    marks[6].last = at(NOW - 2_000_000);
    found[6] = Position::default();
    let place = self::place(&marks);
    assert_eq!(place.overtaken(&histories, &found), []);
}

#[test]
fn another_history_is_read_from_before_the_moment() {
    let marks = quiet();
    let (place, mut histories) = (place(&marks), histories());
    let third = Some(History::of("third"));
    let from = at(NOW - 1_000).rewound(SKEW);
    assert_eq!(place.read_from(Partition(3), third), from);
    assert_eq!(place.read_from(Partition(3), None), from);
    // A partition that moved to the other server changes what both have.
    histories[3] = Some(History::of("second"));
    let overtaken = place.overtaken(&histories, &lasts(&marks));
    assert_eq!(overtaken.len(), SHARDS.count());
}

#[test]
fn the_moment_follows_what_is_heard_and_never_a_clock_that_is_ahead() {
    let mut position = FeedPosition::new(SHARDS, quiet());
    let event = |millis, told_at| Event {
        id: SHARDS.event_id(Partition(7), at(millis)).unwrap(),
        fact: Fact {
            at: Timestamp::from_millis(told_at),
            session_id: None,
            login_id: None,
            service_id: ServiceId::admin(),
            change: Change::SessionRotated {
                by: ServiceId::admin(),
            },
        },
    };
    let moment = |position: &FeedPosition, partition: usize| {
        let place = Place::of(SHARDS, &position.cursor()).unwrap();
        let history = histories()[partition];
        place.position(Partition(partition), history).millis
    };
    let later = i64::try_from(NOW + 60_000).unwrap();
    let heard = event(NOW + 60_000, later);
    assert!(position.pass(&heard.id));
    position.heard(&heard);
    assert_eq!(moment(&position, 8), NOW + 59_000);
    assert_eq!(moment(&position, 6), NOW - 1_000);
    let ahead = event(NOW + 7_200_000, later);
    assert!(position.pass(&ahead.id));
    position.heard(&ahead);
    assert_eq!(moment(&position, 8), NOW + 59_000);
    assert_eq!(moment(&position, 7), NOW + 7_200_000);
    position.told_before(&heard.id);
    assert_eq!(moment(&position, 6), NOW + 59_999);
}

#[test]
fn a_cursor_keeps_every_position_and_its_history() {
    let mut checkpoints = vec![Checkpoint::default(); SHARDS.count()];
    let first = Position {
        millis: NOW,
        number: 7,
    };
    let second = Position {
        millis: NOW + 604_800_000,
        number: 300,
    };
    checkpoints[3] = Checkpoint::new(first, Some(History::of("first")));
    checkpoints[256] = Checkpoint::new(second, Some(History::of("second")));
    let marks = checkpoints.iter().map(|checkpoint| Mark {
        position: checkpoint.position,
        history: checkpoint.history,
        ..Mark::default()
    });
    let exact = FeedPosition::new(SHARDS, marks.collect()).exact();
    let decoded = Place::of(SHARDS, &exact).unwrap();
    assert_eq!(decoded, Place::Exact(checkpoints));
    let (other, none) = (Some(History::of("other")), None);
    assert_eq!(
        decoded.read_from(Partition(3), Some(History::of("first"))),
        first
    );
    for history in [other, none] {
        assert_eq!(
            decoded.read_from(Partition(3), history),
            first.rewound(SKEW)
        );
    }
}

#[test]
fn cursors_of_versions_before_are_read() {
    // All of a feed of which nothing was told, and one event of the first partition.
    let mut bytes = [
        b"e",
        &NOW.to_be_bytes()[..],
        &[1],
        &[1, 2, 3, 4],
        &[1, 2, 1],
    ]
    .concat();
    bytes.extend([0; 256 * 3]);
    let place = Place::of(SHARDS, &Cursor::new(bytes)).unwrap();
    let history = Some(History([1, 2, 3, 4]));
    let first = Position {
        millis: NOW,
        number: 2,
    };
    assert_eq!(place.read_from(Partition(0), history), first);
    assert_eq!(place.read_from(Partition(1), history), Position::default());
}

#[test]
fn a_short_cursor_is_the_same_in_every_version() {
    let mut marks = quiet();
    marks[4].last = at(NOW);
    let cursor = FeedPosition::new(SHARDS, marks).cursor();
    let golden = "bZiY8cKxNAKnk3tkhWfCUgAWNnqsty1vOwAE6AcA";
    assert_eq!(cursor.encode(), golden);
}

#[test]
fn what_is_no_cursor_is_no_place() {
    let short = FeedPosition::new(SHARDS, quiet()).cursor();
    let bytes = short.position();
    for wrong in [
        &bytes[..bytes.len() - 1],
        &[bytes, &[1]].concat(),
        &[bytes, &[0x81, 2, 0, 0]].concat(),
        b"e12345678",
        b"m",
        b"m\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00",
        b"x",
        b"",
    ] {
        let place = Place::of(SHARDS, &Cursor::new(wrong.to_vec()));
        assert_eq!(place, None, "{}", wrong.escape_ascii());
    }
}

#[test]
fn a_cursor_fits_whatever_the_places_are() {
    let marks = (0..257_u64).map(|stream| {
        let position = Position {
            millis: NOW + (stream << 34),
            number: u64::from(u32::MAX),
        };
        Mark {
            position,
            last: position,
            until: stream,
            history: Some(History::of(&stream.to_string())),
        }
    });
    let position = FeedPosition::new(SHARDS, marks.collect());
    for cursor in [position.cursor(), position.exact()] {
        let parsed = Cursor::parse(&cursor.encode()).unwrap();
        assert!(Place::of(SHARDS, &parsed).is_some());
    }
}

#[test]
fn an_event_tells_its_position() {
    let position = Position {
        millis: NOW,
        number: 2,
    };
    for partition in [0, 255, 256].map(Partition) {
        let id = SHARDS.event_id(partition, position).unwrap();
        assert_eq!(SHARDS.locate(&id), Some((partition, position)));
    }
    for text in ["never", "ffffffffffffffff", "7f-01-0", "7F-1-0", "100-1-0"] {
        assert_eq!(
            SHARDS.locate(&EventId::parse(text).unwrap()),
            None,
            "{text}"
        );
    }
}
