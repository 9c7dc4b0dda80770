//! The words that name nothing any more, and what to say instead: data.

use super::matching::{Pattern, Retired};

/// Words that are retired wherever they are a part of a name.
const WORDS: &[Retired] = &[
    Retired::word(&["bait"], "wake of a long poll"),
    Retired::word(&["board"], "scheduler"),
    Retired::word(&["desk", "desks"], "worker slot(s)"),
    Retired::word(&["fate", "fates"], "settlement"),
    Retired::word(&["gathering"], "batch window"),
    Retired::word(&["heard"], "subscriptions"),
    Retired::word(&["hears"], "matches"),
    Retired::word(&["held"], "leased, or in flight"),
    Retired::word(&["hold"], "set_capacity"),
    Retired::word(&["holds"], "is_live"),
    Retired::word(&["in_hand"], "in flight"),
    Retired::word(&["keeper"], "lease renewer"),
    Retired::word(&["ladder", "ladders"], "delay queues"),
    Retired::word(&["lane", "lanes"], "(ordered) group(s)"),
    Retired {
        pattern: Pattern::Word {
            words: &["letter", "letters"],
            not_after: &["dead"],
        },
        instead: "dead letter(s)",
    },
    Retired::word(&["outlet", "outlets"], "publish channel(s)"),
    Retired::word(&["parcel", "parcels"], "outgoing (entry)"),
    Retired::word(
        &["place", "places"],
        "what it is: in-flight limit, capacity, call slot, index, location",
    ),
    Retired::word(&["rung", "rungs"], "delay queue(s)"),
    Retired::word(&["shelf"], "visible store"),
    Retired::word(&["told"], "reported or said"),
    Retired::word(&["unfetched"], "reply buffer"),
    Retired::word(&["watcher"], "connection monitor"),
];

/// Whole names that are retired, while the words in them are not.
const NAMES: &[Retired] = &[
    Retired::name("Bulk", "BrokerMove"),
    Retired::name("Declaration", "BrokerProfile"),
    Retired::name("Listed", "Listing"),
    Retired::name("Made", "TestQueue"),
    Retired::name("Sent", "MoveResult"),
    Retired::name("Subject", "BrokerUnderTest"),
    Retired::name("Wanted", "QueueSpec"),
    Retired::name("Watch", "ProgressFn"),
    Retired::name("elsewhere", "from_other_queue"),
    Retired::module("handled", "ack dedup"),
    Retired::member("Argument", "Text", "String"),
    Retired::member("Argument", "Truth", "Bool"),
    Retired::member("Argument", "Whole", "Int"),
    Retired::member("Broker", "NAME", "KIND"),
    Retired::member("Open", "Look", "ReadOnly"),
];

/// Returns all retired names.
pub(super) fn all() -> impl Iterator<Item = &'static Retired> {
    WORDS.iter().chain(NAMES)
}
