//! The reply buffer: replies that came and are not fetched yet, bounded in number and in bytes. Only a broker that pushes replies needs it.

use std::sync::Arc;

use loafer_core::message::Message;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::yield_now,
};

/// How many replies are kept: more than there can be requests that wait.
const MOST: usize = 16 * 1024;
/// How many bytes of bodies and headers they have together. A larger reply is kept if it is alone.
const BYTES: u32 = 64 * 1024 * 1024;

/// A reply, with the room that it takes until it is fetched.
type Kept = (Message, OwnedSemaphorePermit);

/// The side that puts replies in.
pub(super) struct Writer {
    sender: mpsc::Sender<Kept>,
    room: Arc<Semaphore>,
}

/// The side that fetches them.
pub(super) struct Reader(mpsc::Receiver<Kept>);

/// Returns the two sides of a new buffer.
pub(super) fn buffer() -> (Writer, Reader) {
    let (sender, receiver) = mpsc::channel(MOST);
    let room = Arc::new(Semaphore::new(BYTES as usize));
    (Writer { sender, room }, Reader(receiver))
}

impl Writer {
    /// Keeps a reply, or drops it if there is no room. Returns whether anybody can still fetch replies.
    pub(super) async fn put(&self, reply: Message) -> bool {
        let bytes = size(&reply);
        let mut room = self.room(bytes);
        if room.is_none() {
            // The task that fetches may need this very thread.
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

impl Reader {
    /// Waits for the next reply. `None` means that no more come.
    pub(super) async fn next(&mut self) -> Option<Message> {
        self.0.recv().await.map(|(reply, _)| reply)
    }

    /// Returns the next reply if there is one.
    pub(super) fn next_now(&mut self) -> Option<Message> {
        self.0.try_recv().ok().map(|(reply, _)| reply)
    }
}

/// Returns the room that a reply takes.
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

    fn sizes(reader: &mut Reader) -> Vec<usize> {
        let next = std::iter::from_fn(|| reader.next_now());
        next.map(|reply| reply.payload().len()).collect()
    }

    #[tokio::test]
    async fn what_is_too_large_together_is_dropped_until_some_is_fetched() {
        let (writer, mut reader) = buffer();
        for bytes in [HALF, HALF - 1, 2, 1] {
            assert!(writer.put(reply(bytes)).await);
        }
        assert_eq!(sizes(&mut reader), [HALF, HALF - 1, 1]);
        assert!(writer.put(reply(HALF)).await);
        assert_eq!(sizes(&mut reader), [HALF]);
    }

    #[tokio::test]
    async fn headers_take_room_too() {
        let (writer, mut reader) = buffer();
        let large = "x".repeat(HALF);
        let reply = Message::new("1").with_header("large", large);
        for _ in 0..2 {
            assert!(writer.put(reply.clone()).await);
        }
        assert_eq!(sizes(&mut reader), [1]);
    }

    #[tokio::test]
    async fn one_larger_than_all_may_be_is_kept_alone() {
        let (writer, mut reader) = buffer();
        let huge = 2 * HALF + 1;
        assert!(writer.put(reply(huge)).await);
        assert!(writer.put(reply(1)).await);
        assert_eq!(sizes(&mut reader), [huge]);
    }

    #[tokio::test]
    async fn a_task_that_fetches_on_the_same_thread_is_let_in_first() {
        let (writer, mut reader) = buffer();
        let fetching = tokio::spawn(async move {
            let mut came = 0;
            while reader.next().await.is_some() {
                came += 1;
            }
            came
        });
        for _ in 0..5 {
            assert!(writer.put(reply(HALF + 1)).await);
        }
        drop(writer);
        assert_eq!(fetching.await.unwrap(), 5);
    }

    #[tokio::test]
    async fn as_many_as_requests_may_wait_are_kept_and_the_end_is_noticed() {
        let (writer, mut reader) = buffer();
        for _ in 0..=MOST {
            assert!(writer.put(reply(1)).await);
        }
        assert_eq!(sizes(&mut reader).len(), MOST);
        drop(reader);
        assert!(!writer.put(reply(1)).await);
    }
}
