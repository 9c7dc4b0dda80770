//! The options of a route that only RabbitMQ has: how its queue is made, and where it is bound.

use loafer_core::broker::Source;
pub(crate) use loafer_core::{
    Argument, Bindings, DeadLetterTarget, Declare, QueueType, Topology as Options,
};

/// Returns what a route says about its queue.
pub(crate) fn of(source: &Source) -> &Options {
    &source.topology
}
