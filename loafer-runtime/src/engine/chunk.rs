//! A chunk: single messages that a worker took under one lock, and whose handler did not wait yet.

use std::task::{Context, Poll};

use tracing::{Span, level_filters::LevelFilter};

use super::Route;
use crate::{handler::CallSlot, scheduler::Job, watchdog::Pulse};
use loafer_core::{
    broker::Settlement,
    outcome::{Said, Verdict},
};

/// Runs through single messages until one of them is not acked at once. Returns its index, and its verdict or that the handler waits. Each
/// job stays where it is, and its settlement is written there. `blocks` says that the handler was seen to block.
pub(super) fn run(
    route: &Route,
    pulse: &Pulse,
    blocks: bool,
    slot: &mut Box<dyn CallSlot>,
    span: &mut Span,
    chunk: &mut [Job],
    cx: &mut Context<'_>,
) -> Option<(usize, Poll<Verdict>)> {
    if blocks {
        return pulse.blocking(|| run_through(route, pulse, slot, span, chunk, cx));
    }
    pulse.begin();
    let stopped = run_through(route, pulse, slot, span, chunk, cx);
    pulse.end();
    stopped
}

// Inlined, so that a handler that never waits pays a single instruction for being watched.
#[inline(always)]
fn run_through(
    route: &Route,
    pulse: &Pulse,
    slot: &mut Box<dyn CallSlot>,
    span: &mut Span,
    chunk: &mut [Job],
    cx: &mut Context<'_>,
) -> Option<(usize, Poll<Verdict>)> {
    let logged = LevelFilter::current() >= LevelFilter::ERROR;
    for (at, job) in chunk.iter_mut().enumerate() {
        pulse.next();
        let started = if logged {
            // Whatever the handler logs carries this span.
            *span = tracing::info_span!(
                "message",
                route = %route.policy.route,
                message_id = %job.message.id(),
                attempt = job.message.attempt()
            );
            let _entered = span.enter();
            slot.caught_start(&mut job.message, cx)
        } else {
            slot.caught_start(&mut job.message, cx)
        };
        match started {
            Poll::Ready(Verdict(Said::Ack)) => job.settlement = Some(Settlement::Ack),
            other => return Some((at, other)),
        }
    }
    None
}
