//! What a RabbitMQ tells of its queues and connections, and what it does to them, by its management API.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};

/// Longer than numbers lag behind, which is a second.
const DEADLINE: Duration = Duration::from_secs(30);
/// Between two looks.
const TICK: Duration = Duration::from_millis(100);

/// The management API of one RabbitMQ. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Management {
    url: String,
    client: Client,
}

/// What is told of a queue. The counts lag behind by up to a second.
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    /// `quorum`, `classic`, `stream`.
    pub kind: String,
    /// Whether it outlives a restart.
    pub durable: bool,
    /// What it was declared with: `x-queue-type`, `x-dead-letter-exchange`…
    pub arguments: Map<String, Value>,
    /// The policy that holds for it.
    pub policy: Option<String>,
    /// Messages to be delivered.
    pub ready: u64,
    /// Messages delivered, and neither acked nor returned.
    pub unacknowledged: u64,
    /// Consumers.
    pub consumers: u64,
}

impl Queue {
    /// All its messages, delivered or not.
    pub fn depth(&self) -> u64 {
        self.ready + self.unacknowledged
    }

    fn read(told: &Value) -> Self {
        let text = |name: &str| told[name].as_str().map(str::to_owned);
        let number = |name: &str| told[name].as_u64().unwrap_or_default();
        Self {
            kind: text("type").unwrap_or_default(),
            durable: told["durable"].as_bool().unwrap_or_default(),
            arguments: told["arguments"].as_object().cloned().unwrap_or_default(),
            policy: text("policy").filter(|policy| !policy.is_empty()),
            ready: number("messages_ready"),
            unacknowledged: number("messages_unacknowledged"),
            consumers: number("consumers"),
        }
    }
}

impl Management {
    /// The one at `http://127.0.0.1:PORT`.
    pub fn at(url: &str) -> Self {
        // Whoever was first: all tests of a process take the same.
        _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(DEADLINE).no_proxy().build();
        Self {
            url: url.to_owned(),
            client: client.expect("a client needs nothing"),
        }
    }

    /// One queue of the virtual host `/`; none where there is no such.
    pub async fn queue(&self, name: &str) -> Option<Queue> {
        let told = self.get(&format!("queues/%2f/{}", encoded(name))).await?;
        Some(Queue::read(&told))
    }

    /// Waits until this holds for a queue: its counts lag behind.
    pub async fn queue_when(&self, name: &str, holds: impl Fn(&Queue) -> bool) -> Queue {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let told = self.queue(name).await;
            if let Some(queue) = told.as_ref().filter(|queue| holds(queue)) {
                return queue.clone();
            }
            assert!(Instant::now() < deadline, "it stays {name} {told:?}");
            sleep(TICK).await;
        }
    }

    /// Waits until a queue has this many messages, delivered or not.
    pub async fn depth_is(&self, name: &str, depth: u64) {
        self.queue_when(name, |queue| queue.depth() == depth).await;
    }

    /// The names of all queues of the virtual host `/`.
    pub async fn queues(&self) -> Vec<String> {
        names(&self.get("queues/%2f").await.unwrap_or_default())
    }

    /// The names of the connections, which are listed a second after they were made.
    pub async fn connections(&self) -> Vec<String> {
        names(&self.get("connections").await.unwrap_or_default())
    }

    /// Closes every connection, waiting for the first to be listed; gives how many there were. Their clients see 320, `CONNECTION_FORCED`.
    pub async fn close_connections(&self) -> usize {
        let deadline = Instant::now() + DEADLINE;
        let mut connections = self.connections().await;
        while connections.is_empty() {
            assert!(Instant::now() < deadline, "no connection is listed");
            sleep(TICK).await;
            connections = self.connections().await;
        }
        for name in &connections {
            self.delete(&format!("connections/{}", encoded(name))).await;
        }
        connections.len()
    }

    /// Whether it answers.
    pub(crate) async fn answers(&self) -> bool {
        let answer = self.request(Method::GET, "whoami", None).await;
        matches!(answer, Ok((StatusCode::OK, _)))
    }

    /// What it tells under this path, relative to `/api/`; none where there is no such thing.
    pub async fn get(&self, path: &str) -> Option<Value> {
        self.ask(Method::GET, path, None).await
    }

    /// Puts something under this path: a policy, a user, a virtual host.
    pub async fn put(&self, path: &str, body: &Value) {
        self.ask(Method::PUT, path, Some(body)).await;
    }

    /// Asks for something to be done under this path.
    pub async fn post(&self, path: &str, body: &Value) -> Option<Value> {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// Removes what is under this path; it may be gone.
    pub async fn delete(&self, path: &str) {
        self.ask(Method::DELETE, path, None).await;
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Option<Value> {
        let asked = self.request(method.clone(), path, body).await;
        let (status, text) = match asked {
            Ok(answer) => answer,
            Err(error) => panic!("{method} {path}: {error:?}"),
        };
        if status == StatusCode::NOT_FOUND {
            return None;
        }
        assert!(status.is_success(), "{method} {path}: {status}: {text}");
        Some(serde_json::from_str(&text).unwrap_or_default())
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<(StatusCode, String)> {
        let request = self
            .client
            .request(method, format!("{}/api/{path}", self.url));
        let mut request = request.basic_auth("guest", Some("guest"));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        Ok((answer.status(), answer.text().await?))
    }
}

fn encoded(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

fn names(told: &Value) -> Vec<String> {
    let each = told.as_array().into_iter().flatten();
    each.filter_map(|one| one["name"].as_str().map(str::to_owned))
        .collect()
}
