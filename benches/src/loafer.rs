//! Loafer's loop: a route on the broker in memory.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use loafer_core::{
    extract::{Metadata, State},
    message::Message,
    translate::Json,
};
use loafer_memory::Memory;
use loafer_runtime::program::{App, Manager, Route, RouteOptions, Running};

use crate::{BODY, Friend, HANDLED, handle};

/// Runs a route until its queue is empty.
pub async fn consume(memory: &Memory, concurrency: usize, extractors: bool) -> Option<Running> {
    let route = Route::new("friends").options(RouteOptions::new().concurrency(concurrency));
    let route = if extractors {
        route.handler(
            Json,
            async |friend: Friend, metadata: Metadata, state: State<u32>| {
                handle(friend) && metadata.attempt() > *state
            },
        )
    } else {
        route.handler(Json, async |friend: Friend| handle(friend))
    };
    let app = App::new().broker(memory.clone()).state(0_u32);
    let running = match Manager::builder().app(app).route(route).build() {
        Ok(manager) => manager.start().await,
        Err(error) => Err(error),
    };
    match running {
        Ok(running) => {
            memory.settled().await;
            Some(running)
        }
        Err(error) => {
            eprintln!("error: {error}");
            None
        }
    }
}

/// Returns a broker whose queue `friends` has this many messages. They share one body, like those of `raw-static`.
pub fn preloaded(messages: u64, batch: usize) -> Memory {
    let message = Message::new(Bytes::from_static(BODY));
    loaded(batch, (0..messages).map(|_| message.clone()))
}

/// Returns a broker whose queue `friends` has this many messages. Each owns its body, like those of `raw-heap`, so freeing it counts too.
pub fn preloaded_on_the_heap(messages: u64, batch: usize) -> Memory {
    loaded(
        batch,
        (0..messages).map(|_| Message::new(Bytes::copy_from_slice(BODY))),
    )
}

fn loaded(batch: usize, messages: impl Iterator<Item = Message>) -> Memory {
    HANDLED.store(0, Ordering::Relaxed);
    let memory = Memory::new().with_batch(batch);
    memory.send("friends", messages);
    memory
}
