//! The hand-written loop: a bounded channel and workers.

use std::sync::Arc;

use bytes::Bytes;
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
};

use crate::{Friend, handle};

/// Sends the preloaded bodies through a bounded channel to this many workers, which decode and handle them.
pub async fn run(bodies: Vec<Bytes>, capacity: usize, workers: usize) {
    let (sender, receiver) = mpsc::channel::<Bytes>(capacity);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        for body in bodies {
            if sender.send(body).await.is_err() {
                break;
            }
        }
    });
    if workers == 1 {
        tasks.spawn(alone(receiver));
    } else {
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..workers {
            tasks.spawn(shared(receiver.clone()));
        }
    }
    tasks.join_all().await;
}

async fn alone(mut receiver: mpsc::Receiver<Bytes>) {
    while let Some(body) = receiver.recv().await {
        work(&body).await;
    }
}

async fn shared(receiver: Arc<Mutex<mpsc::Receiver<Bytes>>>) {
    loop {
        let Some(body) = receiver.lock().await.recv().await else {
            return;
        };
        work(&body).await;
    }
}

async fn work(body: &Bytes) {
    if let Ok(friend) = serde_json::from_slice::<Friend>(body) {
        std::hint::black_box(async { handle(friend) }.await);
    }
}
