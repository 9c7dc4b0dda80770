//! The turns of brokers that start: as many at a time as there are cores, over all test binaries of this user.

use std::{fs::File, thread, time::Duration};

use tokio::time::sleep;

use crate::port;

/// The pause between two looks for a free turn.
const TICK: Duration = Duration::from_millis(50);

/// Waits for a turn. It ends when the file is dropped, or this process ends in any way.
pub(crate) async fn take() -> File {
    let turns = thread::available_parallelism().map_or(1, usize::from);
    loop {
        let mut free = (0..turns).filter_map(|turn| port::lock(&format!("start-{turn}")));
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
    async fn a_start_waits_while_as_many_start_as_there_are_cores() {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let mut turns = Vec::new();
        for _ in 0..cores {
            turns.push(take().await);
        }
        let waits = tokio::spawn(take());
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        turns.pop();
        waits.await.unwrap();
    }
}
