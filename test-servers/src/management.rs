//! The management API of a RabbitMQ: what it says of queues and connections, and what it does to them.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};

/// How long to wait for something. Counts lag behind by a second, and this is longer.
const DEADLINE: Duration = Duration::from_secs(30);
/// The pause between two tries.
const TICK: Duration = Duration::from_millis(100);

/// The management API of one RabbitMQ. It is cheap to clone.
///
/// Every method panics if the broker does not answer within 30 s, or refuses.
#[derive(Clone, Debug)]
pub struct Management {
    url: String,
    client: Client,
}

/// What the management API says of a queue. The counts lag behind by up to a second.
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    /// Its type: `quorum`, `classic` or `stream`.
    pub kind: String,
    /// Whether it survives a restart of the broker.
    pub durable: bool,
    /// The arguments of its declaration: `x-queue-type`, `x-dead-letter-exchange`, …
    pub arguments: Map<String, Value>,
    /// The name of the policy that applies to it. `None` means that none applies.
    pub policy: Option<String>,
    /// How many messages wait to be delivered.
    pub ready: u64,
    /// How many messages are delivered, and neither acked nor returned.
    pub unacknowledged: u64,
    /// How many consumers it has.
    pub consumers: u64,
}

impl Queue {
    /// Returns how many messages it has, delivered or not.
    pub fn depth(&self) -> u64 {
        self.ready + self.unacknowledged
    }

    fn read(answer: &Value) -> Self {
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        let number = |name: &str| answer[name].as_u64().unwrap_or_default();
        Self {
            kind: text("type").unwrap_or_default(),
            durable: answer["durable"].as_bool().unwrap_or_default(),
            arguments: answer["arguments"].as_object().cloned().unwrap_or_default(),
            policy: text("policy").filter(|policy| !policy.is_empty()),
            ready: number("messages_ready"),
            unacknowledged: number("messages_unacknowledged"),
            consumers: number("consumers"),
        }
    }
}

impl Management {
    /// Returns the management API at this address: `http://127.0.0.1:PORT`.
    pub fn at(url: &str) -> Self {
        // An error means that another test of this process was first, with the same provider.
        _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(DEADLINE).no_proxy().build();
        Self {
            url: url.to_owned(),
            client: client.expect("a client needs nothing"),
        }
    }

    /// Returns a queue of the virtual host `/`. `None` means that there is no such queue.
    pub async fn queue(&self, name: &str) -> Option<Queue> {
        let answer = self.get(&format!("queues/%2f/{}", encoded(name))).await?;
        Some(Queue::read(&answer))
    }

    /// Waits until a queue is as it should be, and returns it. Its counts lag behind.
    ///
    /// # Panics
    ///
    /// If it is not so within 30 s.
    pub async fn queue_when(&self, name: &str, is_so: impl Fn(&Queue) -> bool) -> Queue {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let found = self.queue(name).await;
            if let Some(queue) = found.as_ref().filter(|queue| is_so(queue)) {
                return queue.clone();
            }
            assert!(Instant::now() < deadline, "it stays {name} {found:?}");
            sleep(TICK).await;
        }
    }

    /// Waits until a queue has this many messages, delivered or not.
    ///
    /// # Panics
    ///
    /// If it does not have them within 30 s.
    pub async fn depth_is(&self, name: &str, depth: u64) {
        self.queue_when(name, |queue| queue.depth() == depth).await;
    }

    /// Returns the names of all queues of the virtual host `/`.
    pub async fn queues(&self) -> Vec<String> {
        names(&self.get("queues/%2f").await.unwrap_or_default())
    }

    /// Returns the names of the connections. A connection is listed a second after it was made.
    pub async fn connections(&self) -> Vec<String> {
        names(&self.get("connections").await.unwrap_or_default())
    }

    /// Waits until a connection is listed, closes all that are listed, and returns how many there were. Their clients see the error 320,
    /// `CONNECTION_FORCED`.
    ///
    /// # Panics
    ///
    /// If no connection is listed within 30 s.
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

    /// Returns whether it answers.
    pub(crate) async fn answers(&self) -> bool {
        let answer = self.request(Method::GET, "whoami", None).await;
        matches!(answer, Ok((StatusCode::OK, _)))
    }

    /// Returns what is at this path, relative to `/api/`. `None` means that nothing is there.
    pub async fn get(&self, path: &str) -> Option<Value> {
        self.ask(Method::GET, path, None).await
    }

    /// Puts something at this path: a policy, a user, a virtual host.
    pub async fn put(&self, path: &str, body: &Value) {
        self.ask(Method::PUT, path, Some(body)).await;
    }

    /// Asks for an action at this path. Returns the answer; `None` means that nothing is there.
    pub async fn post(&self, path: &str, body: &Value) -> Option<Value> {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// Removes what is at this path. It may be gone already.
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

fn names(answer: &Value) -> Vec<String> {
    let each = answer.as_array().into_iter().flatten();
    each.filter_map(|one| one["name"].as_str().map(str::to_owned))
        .collect()
}
