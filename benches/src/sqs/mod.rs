//! The SQS bench: Loafer, a hand-written loop and a peer, each a process of its own, on queues of the same depth and through the same kind
//! of counting proxy.
//!
//! | module | what it is |
//! |---|---|
//! | `task` | what every contestant has to do, and what its handler does |
//! | `bench` | the contestants, their proxies and their queues |
//! | `deep`, `idle`, `drain`, `in_flight`, `long` | what is measured |
//! | `program` | a contestant at work: its CPU time, memory, end |
//! | `proxy`, `requests`, `calls` | the calls that it makes |
//! | `queue` | queues, made and filled |
//! | `report` | medians, tables, RESULT lines |

pub mod bench;
pub mod calls;
pub mod deep;
pub mod drain;
pub mod idle;
pub mod in_flight;
pub mod long;
pub mod program;
pub mod proxy;
pub mod queue;
pub mod report;
mod requests;
pub mod task;
