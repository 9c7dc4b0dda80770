//! The turns of brokers that start: as many at a time as there are cores, over all test binaries of this user.

use std::{fs::File, thread, time::Duration};

use tokio::time::sleep;

use crate::port;

/// The pause between two looks for a free turn.
const TICK: Duration = Duration::from_millis(50);

/// Waits for a turn. It ends when the file is dropped, or this process ends in any way.
pub(crate) async fn take() -> File {
    let turns = thread::available_parallelism().map_or(1, usize::from);
    take_of("start", turns).await
}

async fn take_of(name: &str, turns: usize) -> File {
    loop {
        let mut free = (0..turns).filter_map(|turn| port::lock(&format!("{name}-{turn}")));
        if let Some(turn) = free.next() {
            return turn;
        }
        sleep(TICK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_start_waits_for_its_turn() {
        // Names of its own: a test that takes all turns could wait for another that does.
        let name = format!("test-{}", std::process::id());
        let first = take_of(&name, 2).await;
        let _second = take_of(&name, 2).await;
        let waits = tokio::spawn(async move { take_of(&name, 2).await });
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        drop(first);
        waits.await.unwrap();
    }
}
