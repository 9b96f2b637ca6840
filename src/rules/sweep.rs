//! Cleaning: sessions that are over end, and what was kept long enough goes.

use super::entry::SessionEntry;
use super::plan::{Plan, Write};
use super::terms::Terms;
use crate::model::login::Ban;

/// Ends a session that was looked for where it expires, or files it where it does, which uses may have moved; forgets one
/// of which nothing is told any more.
#[must_use]
pub fn sweep(entry: SessionEntry, terms: &Terms) -> Plan {
    let mut plan = Plan::default();
    match entry {
        SessionEntry::Record(_) => {
            if let SessionEntry::Record(record) = plan.settle(entry, terms) {
                plan.writes.push(Write::Reschedule(record));
            }
        }
        SessionEntry::Tombstone(kept) if kept.is_over(terms.now) => {
            plan.writes.push(Write::Forget(kept));
        }
        SessionEntry::Tombstone(_) | SessionEntry::Missing => {}
    }
    plan
}

/// Removes a ban that has run out: its end was told with it.
#[must_use]
pub fn sweep_ban(ban: Ban, terms: &Terms) -> Plan {
    let mut plan = Plan::default();
    if !ban.holds(terms.now) {
        plan.writes.push(Write::DropBan(ban.login_id));
    }
    plan
}
