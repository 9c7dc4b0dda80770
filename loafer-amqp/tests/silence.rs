//! Servers that accept connections and never speak: what is given up leaves no thread and no socket behind.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod private;
mod support;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use loafer_amqp::Amqp;
use loafer_core::{
    Error,
    broker::{Broker as _, Replies},
};
use loafer_test_servers::{Setup, Version};
use support::eventually;
use tokio::{
    io::AsyncReadExt,
    net::TcpListener,
    sync::{Mutex, MutexGuard},
};

private::on_both!(all: a_frozen_server_holds_no_threads_and_is_used_again);

const TRIES: usize = 8;

/// One at a time: they count threads of this process.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

/// How many threads the client has for connections.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names
        .filter(|name| name.starts_with("lapin-io-loop"))
        .count()
}

/// Asks for a connection, which is not made, this many times.
async fn fails(replies: &impl Replies, times: usize) {
    let mut failed = 0;
    while failed < times {
        match replies.address().await {
            Err(Error::Unreachable { cause, .. }) => {
                assert!(!cause.contains("guest:guest"), "{cause}");
                failed += 1;
            }
            // Until the connection misses its heartbeats.
            Ok(_) | Err(Error::Timeout { .. }) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_accepts_and_never_speaks_holds_no_threads_and_no_sockets() {
    let _alone = alone().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (open, accepted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (still, seen) = (open.clone(), accepted.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            seen.fetch_add(1, Ordering::SeqCst);
            still.fetch_add(1, Ordering::SeqCst);
            let still = still.clone();
            tokio::spawn(async move {
                while let Ok(1..) = stream.read(&mut [0; 64]).await {}
                still.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    // The address, and the setting in code that it outranks; with TLS, the other side never answers the first word of it.
    for scheme in ["amqp", "amqps"] {
        accepted.store(0, Ordering::SeqCst);
        let url = format!("{scheme}://guest:guest@127.0.0.1:{port}/%2f?connection_timeout=200");
        let amqp = Amqp::new(url).connect_timeout(Duration::from_secs(60));
        let replies = amqp.replies(Some("silence")).unwrap();
        fails(&replies, TRIES).await;
        assert!(accepted.load(Ordering::SeqCst) >= TRIES);
        eventually("end of all sockets", async || {
            open.load(Ordering::SeqCst) == 0
        })
        .await;
        eventually("end of all threads", async || threads() == 0).await;
    }
}

async fn a_frozen_server_holds_no_threads_and_is_used_again(version: Version) {
    let test = format!("silence-{version:?}").to_lowercase();
    let Some(broker) = private::broker(version, &test, &Setup::default()).await else {
        return;
    };
    let _alone = alone().await;
    let amqp = Amqp::new(broker.url());
    let amqp = amqp.connect_timeout(Duration::from_millis(500));
    let amqp = amqp.heartbeat(Duration::from_secs(1));
    let replies = amqp.replies(Some("silence")).unwrap();
    let first = replies.address().await.unwrap();
    assert_eq!(threads(), 1);
    broker.freeze().await;
    fails(&replies, TRIES).await;
    eventually("end of all threads", async || threads() == 0).await;
    broker.resume().await;
    let back = async || replies.address().await.is_ok();
    eventually("connection to the server that is back", back).await;
    assert_ne!(replies.address().await.unwrap(), first);
    assert_eq!(threads(), 1);
    replies.close().await;
}
