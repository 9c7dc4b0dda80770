//! Loafer beside hand-written loops, in one run: the bodies, handlers and raw loops that the bench programs share.

#[cfg(feature = "amqp")]
pub mod amqp;
pub mod beside;
pub mod loafer;
pub mod orders;
pub mod raw;
pub mod runtime;
pub mod spread;
#[cfg(feature = "sqs")]
pub mod sqs;

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;

/// The body of every message in memory.
pub static BODY: &[u8] = &ALIGNED.0;

/// On 16 bytes, as the allocator puts the bodies that messages own: checking for UTF-8 costs fewer instructions on whole words, and decoding
/// must cost the same in every loop and in every build.
static ALIGNED: Aligned<73> = Aligned(
    *br#"{
    "id": "test-1",
    "username": "georgeyk",
    "github_url": ""
}
"#,
);

#[repr(align(16))]
struct Aligned<const N: usize>([u8; N]);

/// What the body decodes to.
#[derive(Debug, Deserialize)]
pub struct Friend {
    /// The friend's id.
    pub id: String,
    /// The friend's name.
    pub username: String,
    /// Where the friend's code is.
    pub github_url: String,
}

/// How many messages were handled so far, by whichever loop runs.
pub static HANDLED: AtomicU64 = AtomicU64::new(0);
/// The message at which the process ends, so that two runs differ only by the messages between. 0 means that it does not end.
pub static LAST: AtomicU64 = AtomicU64::new(0);

/// The handler of every loop.
#[expect(clippy::needless_pass_by_value, reason = "a handler owns its message")]
pub fn handle(friend: Friend) -> bool {
    let handled = HANDLED.fetch_add(1, Ordering::Relaxed) + 1;
    if handled == LAST.load(Ordering::Relaxed) {
        std::process::exit(0);
    }
    !friend.username.is_empty()
}
