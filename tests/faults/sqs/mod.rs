//! SQS in a run: a fauxqs that keeps its data, or an ElasticMQ that nobody kills. Their deliveries are leases.

mod call;
mod frame;
mod server;
mod wire;

use std::{collections::HashMap, path::Path, time::Duration};

use aws_sdk_sqs::types::SendMessageBatchRequestEntry as Entry;
use tokio::{process::Command, sync::Mutex};

pub(crate) use self::server::Server;
use self::wire::Calls;
use crate::{
    broker::{Broker, Sender},
    job::Job,
    judge::{DeadMessage, Envelope, Hold, Rules},
    ledger::Ledger,
    support::aws::{Aws, Queue, unique},
};

/// Of the queue: every message that works longer is renewed, every stop that lasts longer loses leases.
const LEASE: Duration = Duration::from_secs(2);
/// Deliveries that kills and lost leases can't use up.
const MAX_RECEIVES: u32 = 1_000;

/// SQS.
pub(crate) struct OnSqs {
    /// None: it is somebody else's.
    server: Option<Mutex<Server>>,
    port: u16,
    queue: Queue,
}

impl OnSqs {
    pub(crate) async fn start(command: String, folder: &Path, ledger: &Ledger) -> Self {
        let server = Server::start(command, folder.join("fauxqs"), ledger.clone()).await;
        let port = server.port();
        Self::with(Some(server), port).await
    }

    /// On a server that is there.
    pub(crate) async fn on(port: u16) -> Self {
        Self::with(None, port).await
    }

    async fn with(server: Option<Server>, port: u16) -> Self {
        let queue = at(port).queue(&unique("faults"), LEASE, MAX_RECEIVES).await;
        Self {
            server: server.map(Mutex::new),
            port,
            queue,
        }
    }
}

fn at(port: u16) -> Aws {
    Aws::at(url(port))
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

impl Broker for OnSqs {
    const RULES: Rules = Rules {
        hold: Hold::Lease,
        max_attempts: None,
    };
    const BATCH: u64 = 10;
    type Wire = Calls;
    type Sender = Queue;

    fn port(&self) -> u16 {
        self.port
    }

    fn wire(&self, _: &str) -> Calls {
        Calls::default()
    }

    fn tell(&self, proxy: u16, consumer: &mut Command) {
        at(proxy).tell(consumer);
        consumer
            .args(["--provider", "sqs"])
            .env("LOAFER_ROUTES__RECORDED__QUEUE", &self.queue.name);
    }

    async fn prepared(&self) {}

    fn sender(&self, proxy: u16) -> Queue {
        self.queue.by(&Aws::once_at(url(proxy)))
    }

    async fn kill_for(&self, time: Duration) {
        let server = self.server.as_ref().unwrap();
        server.lock().await.kill_for(time).await;
    }

    async fn depth(&self) -> u64 {
        let (waiting, leased) = self.queue.depth().await;
        (waiting + leased) as u64
    }

    async fn dead_letters(&self) -> Vec<DeadMessage> {
        let count = self.queue.dead_letters.depth().await;
        let bodies = self.queue.dead_letters.bodies(count).await;
        let dead_letter = |body: &String| {
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            DeadMessage {
                id: body["id"].as_u64().unwrap(),
                envelope: Envelope::Unread,
            }
        };
        bodies.iter().map(dead_letter).collect()
    }
}

impl Sender for Queue {
    async fn send(&self, jobs: &HashMap<u64, Job>) -> Vec<u64> {
        let entries = jobs.iter().map(|(id, job)| {
            let entry = Entry::builder()
                .id(id.to_string())
                .message_body(job.body(*id));
            entry.build().unwrap()
        });
        let batch = self.client().send_message_batch().queue_url(self.url());
        match batch.set_entries(Some(entries.collect())).send().await {
            Ok(sent) => {
                let ids = sent.successful.iter().map(|sent| sent.id.parse().unwrap());
                ids.collect()
            }
            Err(_) => Vec::new(),
        }
    }
}
