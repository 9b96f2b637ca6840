//! Asking the nodes of a cluster who serves which slots.

use deadpool_redis::redis::{self, Cmd, Value};

use super::routes::SlotMap;
use super::url::Address;

pub(super) fn question() -> Cmd {
    let mut command = redis::cmd("CLUSTER");
    command.arg("SLOTS");
    command
}

/// Reads the answer of the node at `answered_by`; a node without slots, or of no cluster, tells nothing.
pub(super) fn slot_map(answer: &Value, answered_by: &Address) -> Option<SlotMap> {
    let Value::Array(ranges) = answer else {
        return None;
    };
    let slot_map: Option<SlotMap> = ranges
        .iter()
        .map(|range| {
            let Value::Array(parts) = range else {
                return None;
            };
            let start = number(parts.first()?)?;
            let end = number(parts.get(1)?)?;
            Some((start..=end, address(parts.get(2)?, answered_by)?))
        })
        .collect();
    slot_map.filter(|ranges| !ranges.is_empty())
}

/// A node that does not know its own name sends none; it is the one that was asked.
fn address(node: &Value, answered_by: &Address) -> Option<Address> {
    let Value::Array(parts) = node else {
        return None;
    };
    let port = number(parts.get(1)?)?;
    let host = if let Value::BulkString(host) = parts.first()? {
        std::str::from_utf8(host).ok()?
    } else {
        ""
    };
    Some(match host {
        "" | "?" => Address::new(&answered_by.host, port),
        host => Address::new(host, port),
    })
}

fn number(value: &Value) -> Option<u16> {
    let Value::Int(number) = value else {
        return None;
    };
    u16::try_from(*number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_without_a_name_is_the_one_that_answered() {
        let answer = redis::parse_redis_value(
            b"*2\r\n*3\r\n:0\r\n:99\r\n*3\r\n$1\r\na\r\n:1\r\n$2\r\nid\r\n\
              *3\r\n:100\r\n:16383\r\n*3\r\n$0\r\n\r\n:2\r\n$2\r\nid\r\n",
        )
        .unwrap();
        let slot_map = slot_map(&answer, &Address::new("asked", 9)).unwrap();
        assert_eq!(
            slot_map,
            [
                (0..=99, Address::new("a", 1)),
                (100..=16_383, Address::new("asked", 2))
            ]
        );
    }

    #[test]
    fn a_node_that_serves_nothing_tells_nothing() {
        let empty = Value::Array(Vec::new());
        assert_eq!(slot_map(&empty, &Address::new("a", 1)), None);
    }
}
