//! The AMQP bench: Loafer and hand-written loops, each a process of its own, publish into a quorum queue and then consume it.
//!
//! | module | what it is |
//! |---|---|
//! | `task` | the task of every contestant, and what its handler does |
//! | `lap` | one queue: all is published, then all is handled |
//! | `program` | a contestant at work |
//! | `queue` | queues, made and counted |
//! | `report` | medians, tables, RESULT lines |

pub mod lap;
pub mod program;
pub mod queue;
pub mod report;
pub mod task;
