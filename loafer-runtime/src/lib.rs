//! What runs Loafer's services: the bus, the handlers, the engine, the program and the test kit.
//!
//! Users of Loafer name these types through the facade `loafer`. Each module names only `loafer_core` and modules above it in this table.
//!
//! | module | what it holds |
//! |---|---|
//! | `clock`, `pause`, `sync` | timers; pauses of the program; how tasks wait for and wake each other |
//! | `limits`, `stats`, `coverage` | what a route may hold, what it has done, and which transitions of its scheduler were reached |
//! | `ack_dedup` | messages that were handled and whose acks were late |
//! | [`bus`] | publishing, requests and replies |
//! | [`handler`] | prepared handlers, the call slots that their calls run in, layers, failures and reports |
//! | `watchdog` | which handlers block their threads, and which calls run long |
//! | `engine` | the way of a message: receiver, scheduler, workers, settler, leases |
//! | [`program`] | app, routes, configuration, manager |
//! | [`dead_letters`] | what may be done with dead letters |
//! | `expansion` | what the macros' expansions call |
//! | [`testing`] | services in memory, for tests |

mod ack_dedup;
pub mod bus;
mod clock;
mod coverage;
mod dead_letter_outage;
mod engine;
#[doc(hidden)]
pub mod expansion;
pub mod handler;
mod limits;
#[cfg(test)]
#[path = "../tests/support/logged.rs"]
mod logged;
mod pause;
pub mod program;
#[cfg(test)]
mod proof;
mod scheduler;
mod stats;
mod sync;
pub mod testing;
mod watchdog;

/// What may be done with dead letters: list, show, retry, move and purge them.
pub mod dead_letters {
    pub use crate::program::dead_letters::{
        DeadLetterMessage, DeadLetterSummary, DeadLetters, Listing, MoveResult, Selection,
    };
}

pub use self::stats::RouteStats;

/// What the macros' expansions name. Users do not name it.
#[doc(hidden)]
pub mod __private {
    pub use inventory;

    /// The traits that an expansion imports.
    pub mod traits {
        pub use crate::expansion::{
            checks::StandIn as _,
            replied::{Encoded as _, EventReply as _, Given as _},
            returned::{EventValue as _, Plain as _, Single as _, Value as _},
            topics::PlainType as _,
        };
    }

    pub use crate::{
        __given as given, __location as location,
        coverage::transitions,
        expansion::{checks::*, handlers::*, replied::*, returned::*, topics::*},
        handler::{BatchCall, Calls, Env, Opened, PreparedHandler, refused, undecodable, unpacked},
        program::registry::Registration,
    };
}
