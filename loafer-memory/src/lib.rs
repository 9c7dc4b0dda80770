//! The broker in memory: topics that fan out to queues, with the leases, attempts, dead letters and delays of SNS and SQS, on tokio's clock.
//!
//! [`Memory`] runs a service without a server (`--provider memory`), and Loafer's test kit runs services on it. Nothing leaves the process,
//! and nothing outlives it. Under tokio's paused clock it is deterministic, and no test waits.
//!
//! | module | what it is |
//! |---|---|
//! | `broker` | [`Memory`], the broker value |
//! | `provider` | [`MemoryProvider`]: receive, settle, renew |
//! | `publisher` | [`MemoryPublisher`]: topics, and queues as `memory:NAME` |
//! | `dead_letters` | [`MemoryDeadLetters`]: a dead-letter queue to look into, to try again from, to purge |
//! | `replies` | [`MemoryReplies`]: a private address for replies to the requests of this process |
//! | `exchange` | all queues, topics and reply addresses of one broker |
//! | `queue` | one queue |
//! | `state` | what a queue keeps under its lock: what is visible, delayed, on lease, or isolated |
//! | `counts` | what a stored message counts: failures, deliveries |
//! | `isolated` | the messages that are handed over alone |
//! | `visible` | the visible messages of a queue, in the order in which they are delivered |
//! | `ingress` | what was sent to a queue since the last receive, and who waits for it |
//! | `receipt` | [`MemoryReceipt`], which names one lease |
//! | `names` | the names of queues and reply addresses |
//! | `clock` | moments far ahead |

mod broker;
mod clock;
mod counts;
mod dead_letters;
mod exchange;
mod ingress;
mod isolated;
mod names;
mod provider;
mod publisher;
mod queue;
mod receipt;
mod replies;
mod state;
mod visible;

pub use self::{
    broker::Memory, dead_letters::MemoryDeadLetters, provider::MemoryProvider,
    publisher::MemoryPublisher, receipt::MemoryReceipt, replies::MemoryReplies,
};
