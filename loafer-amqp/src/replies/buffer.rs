//! Replies that came in and were not fetched yet: few enough, and small enough together.

use std::sync::Arc;

use loafer_core::Message;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::yield_now,
};

/// How many are kept; more than requests can wait.
const MOST: usize = 16 * 1024;
/// How many bytes they have together, bodies and headers. A larger one is kept where it is alone.
const BYTES: u32 = 64 * 1024 * 1024;

/// With the room it takes until it is fetched.
type Kept = (Message, OwnedSemaphorePermit);

/// Where replies are put.
pub(crate) struct Inlet {
    sender: mpsc::Sender<Kept>,
    room: Arc<Semaphore>,
}

/// Where they are fetched.
pub(crate) struct Unfetched(mpsc::Receiver<Kept>);

pub(crate) fn unfetched() -> (Inlet, Unfetched) {
    let (sender, receiver) = mpsc::channel(MOST);
    let room = Arc::new(Semaphore::new(BYTES as usize));
    (Inlet { sender, room }, Unfetched(receiver))
}

impl Inlet {
    /// Keeps a reply, or drops it where it is too much; whether anybody is there to fetch it.
    pub(crate) async fn put(&self, reply: Message) -> bool {
        let bytes = size(&reply);
        let mut room = self.room(bytes);
        if room.is_none() {
            // Whoever fetches may want this very thread.
            yield_now().await;
            room = self.room(bytes);
        }
        let Some(room) = room else {
            tracing::debug!(bytes, "a reply was dropped: too many wait to be fetched");
            return !self.sender.is_closed();
        };
        let put = self.sender.try_send((reply, room));
        !matches!(put, Err(mpsc::error::TrySendError::Closed(_)))
    }

    fn room(&self, bytes: u32) -> Option<OwnedSemaphorePermit> {
        self.room.clone().try_acquire_many_owned(bytes).ok()
    }
}

impl Unfetched {
    /// The next, once there is one; none where no more come in.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        self.0.recv().await.map(|(reply, _)| reply)
    }

    /// The next that is there.
    pub(crate) fn next_now(&mut self) -> Option<Message> {
        self.0.try_recv().ok().map(|(reply, _)| reply)
    }
}

/// What it takes of the room.
fn size(reply: &Message) -> u32 {
    let headers = reply.headers().iter();
    let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
    let all = reply.payload().len() + headers;
    u32::try_from(all).unwrap_or(BYTES).min(BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: usize = BYTES as usize / 2;

    fn reply(bytes: usize) -> Message {
        Message::new(vec![0; bytes])
    }

    fn sizes(unfetched: &mut Unfetched) -> Vec<usize> {
        let next = std::iter::from_fn(|| unfetched.next_now());
        next.map(|reply| reply.payload().len()).collect()
    }

    #[tokio::test]
    async fn what_is_too_large_together_is_dropped_until_some_is_fetched() {
        let (inlet, mut unfetched) = unfetched();
        for bytes in [HALF, HALF - 1, 2, 1] {
            assert!(inlet.put(reply(bytes)).await);
        }
        assert_eq!(sizes(&mut unfetched), [HALF, HALF - 1, 1]);
        assert!(inlet.put(reply(HALF)).await);
        assert_eq!(sizes(&mut unfetched), [HALF]);
    }

    #[tokio::test]
    async fn headers_take_room_too() {
        let (inlet, mut unfetched) = unfetched();
        let large = "x".repeat(HALF);
        let reply = Message::new("1").with_header("large", large);
        for _ in 0..2 {
            assert!(inlet.put(reply.clone()).await);
        }
        assert_eq!(sizes(&mut unfetched), [1]);
    }

    #[tokio::test]
    async fn one_larger_than_all_may_be_is_kept_alone() {
        let (inlet, mut unfetched) = unfetched();
        let huge = 2 * HALF + 1;
        assert!(inlet.put(reply(huge)).await);
        assert!(inlet.put(reply(1)).await);
        assert_eq!(sizes(&mut unfetched), [huge]);
    }

    #[tokio::test]
    async fn whoever_fetches_on_the_same_thread_is_let_in_first() {
        let (inlet, mut unfetched) = unfetched();
        let fetching = tokio::spawn(async move {
            let mut came = 0;
            while unfetched.next().await.is_some() {
                came += 1;
            }
            came
        });
        for _ in 0..5 {
            assert!(inlet.put(reply(HALF + 1)).await);
        }
        drop(inlet);
        assert_eq!(fetching.await.unwrap(), 5);
    }

    #[tokio::test]
    async fn as_many_as_requests_may_wait_are_kept_and_the_end_is_told() {
        let (inlet, mut unfetched) = unfetched();
        for _ in 0..=MOST {
            assert!(inlet.put(reply(1)).await);
        }
        assert_eq!(sizes(&mut unfetched).len(), MOST);
        drop(unfetched);
        assert!(!inlet.put(reply(1)).await);
    }
}
