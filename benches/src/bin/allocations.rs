//! Allocations of the dispatch. They are not part of the `memory` bench, because a counting allocator would add to its instructions.

use std::hint::black_box;

use loafer_benches::{
    BODY, Friend,
    loafer::{consume, preloaded, preloaded_on_the_heap},
    runtime::one_thread,
};

/// Prints the allocations of the dispatch: what a longer run makes more than a shorter one, less what decoding makes.
fn main() {
    const SHORT: u64 = 20_000;
    const LONG: u64 = 120_000;
    // The id and the username: the empty URL allocates nothing.
    let decoding =
        allocation_counter::measure(|| drop(black_box(serde_json::from_slice::<Friend>(BODY))))
            .count_total as f64;
    for (name, extractors, owned) in [
        ("loafer", false, false),
        ("loafer-extractors", true, false),
        ("loafer-heap", false, true),
    ] {
        let preloaded = if owned {
            preloaded_on_the_heap
        } else {
            preloaded
        };
        for batch in [10, 100] {
            for concurrency in [1, 8, 64] {
                let count = |messages: u64| {
                    let memory = preloaded(messages, batch);
                    let made = allocation_counter::measure(|| {
                        drop(one_thread().block_on(consume(&memory, concurrency, extractors)));
                    });
                    made.count_total as f64
                };
                let per_message = (count(LONG) - count(SHORT)) / (LONG - SHORT) as f64 - decoding;
                println!(
                    "RESULT bench=memory loop={name} batch={batch} concurrency={concurrency} allocs_per_msg={per_message:.3} allocs_per_batch={:.3}",
                    per_message * batch as f64
                );
            }
        }
    }
}
