//! One connection to the broker, made again when it breaks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use lapin::{
    Channel, Connection, ConnectionProperties, Event,
    uri::{AMQPScheme, AMQPUri},
};
use loafer_core::Error;
use tokio::{
    sync::{Mutex, watch},
    time::timeout,
};

use crate::{
    error::{self, cause, refused},
    tls::{self, Tls},
};

/// How long connecting to one address may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How long one answer of the broker may take.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// Seconds between heartbeats, where the address does not say: after two without any the connection is given up.
const HEARTBEAT: u16 = 10;

/// The largest frame, where no connection has said another: RabbitMQ's default (`frame_max`).
const FRAME_MAX: usize = 128 * 1024;

/// One connection to the broker, made when it is first asked for and again when it broke. Who asks decides how often.
pub(crate) struct Link {
    /// What it is for, as the broker's own pages show it.
    purpose: &'static str,
    addresses: Vec<AMQPUri>,
    tls: Tls,
    /// Which address is tried first: the one that answered last.
    first: AtomicUsize,
    connection: Mutex<Option<Arc<Connection>>>,
    /// Whether it came to its end.
    closed: AtomicBool,
    /// Which connection this is: counted up from 1.
    epoch: Arc<AtomicU64>,
    /// The largest frame that was agreed upon.
    frame_max: AtomicUsize,
    /// Why the broker takes no messages, where it says so.
    blocked: watch::Sender<Option<String>>,
}

impl Link {
    pub(crate) fn new(purpose: &'static str, addresses: Vec<AMQPUri>, tls: Tls) -> Self {
        let first = fastrand::usize(..addresses.len().max(1));
        Self {
            purpose,
            addresses,
            tls,
            first: AtomicUsize::new(first),
            connection: Mutex::default(),
            closed: AtomicBool::new(false),
            epoch: Arc::default(),
            frame_max: AtomicUsize::new(FRAME_MAX),
            blocked: watch::Sender::new(None),
        }
    }

    /// A new channel, on a connection that is made where there is none.
    pub(crate) async fn channel(&self, what: &'static str, queue: &str) -> Result<Channel, Error> {
        let connection = self.connection(what, queue).await?;
        answered(what, queue, connection.create_channel()).await
    }

    async fn connection(&self, what: &'static str, queue: &str) -> Result<Arc<Connection>, Error> {
        let mut known = self.connection.lock().await;
        if let Some(connection) = known.as_ref().filter(|known| known.status().connected()) {
            return Ok(connection.clone());
        }
        if self.closed.load(Ordering::Acquire) {
            return Err(refused(what, queue, "the connection was closed at the end"));
        }
        let connection = Arc::new(self.connect(what, queue).await?);
        let epoch = self.epoch.fetch_add(1, Ordering::AcqRel) + 1;
        let frame_max = usize::try_from(connection.configuration().frame_max());
        self.frame_max
            .store(frame_max.unwrap_or(FRAME_MAX), Ordering::Relaxed);
        self.blocked.send_replace(None);
        self.watch(&connection, epoch);
        Ok(known.insert(connection).clone())
    }

    async fn connect(&self, what: &'static str, queue: &str) -> Result<Connection, Error> {
        let first = self.first.load(Ordering::Relaxed);
        let mut failures = Vec::new();
        for at in (0..self.addresses.len()).map(|step| (first + step) % self.addresses.len()) {
            let mut address = self.addresses[at].clone();
            let place = format!("{}:{}", address.authority.host, address.authority.port);
            let scheme = address.scheme.clone();
            address.query.heartbeat.get_or_insert(HEARTBEAT);
            let name = format!("loafer {} ({queue})", self.purpose);
            let properties = ConnectionProperties::default().with_connection_name(name.into());
            match timeout(CONNECT, self.tls.connect(address, properties)).await {
                Ok(Ok(connection)) => {
                    self.first.store(at, Ordering::Relaxed);
                    return Ok(connection);
                }
                Ok(Err(error)) => failures.push(at_address(what, queue, (&scheme, &place), error)),
                Err(_) => failures.push(Error::Unreachable {
                    what,
                    queue: queue.to_owned(),
                    cause: format!(
                        "RabbitMQ at {place} did not answer within {CONNECT:?}: see that host and port are right, and that no firewall is between"
                    ),
                    source: None,
                }),
            }
        }
        Err(none_of(what, queue, failures))
    }

    /// Notes when the broker takes no messages for a while.
    fn watch(&self, connection: &Arc<Connection>, epoch: u64) {
        let mut events = Box::pin(connection.events_listener());
        let connection = Arc::downgrade(connection);
        let blocked = self.blocked.clone();
        let purpose = self.purpose;
        let current = self.epoch.clone();
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                match event {
                    Event::ConnectionBlocked(reason) => {
                        tracing::warn!(
                            connection = purpose,
                            reason,
                            "RabbitMQ is short of memory or disk and takes no messages: publishing waits"
                        );
                        blocked.send_replace(Some(reason));
                    }
                    Event::ConnectionUnblocked => {
                        tracing::info!(connection = purpose, "RabbitMQ takes messages again");
                        blocked.send_replace(None);
                    }
                    // Told of channels, too: the connection may be as good as before.
                    Event::Error(_) => {
                        let alive = connection.upgrade();
                        if alive.is_none_or(|connection| !connection.status().connected()) {
                            break;
                        }
                    }
                    _ => {}
                }
            }
            // Another connection may be blocked by now.
            if current.load(Ordering::Acquire) == epoch {
                blocked.send_replace(None);
            }
        });
    }

    /// Whether the broker says that it takes no messages on it.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.borrow().is_some()
    }

    /// Waits while the broker takes no messages.
    pub(crate) async fn unblocked(&self) {
        if self.is_blocked() {
            // The sender is here: it can't be gone.
            _ = self.blocked.subscribe().wait_for(Option::is_none).await;
        }
    }

    /// Which connection this is: what was declared on one may be unknown on the next.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The largest frame, in bytes.
    pub(crate) fn frame_max(&self) -> usize {
        self.frame_max.load(Ordering::Relaxed)
    }

    /// Ends the connection, after all that was written on it. None is made any more.
    pub(crate) async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let connection = self.connection.lock().await.take();
        if let Some(connection) = connection {
            _ = timeout(ANSWER, connection.close(200, "OK".into())).await;
        }
    }
}

/// Waits for an answer, but not for ever.
pub(crate) async fn answered<T>(
    what: &'static str,
    queue: &str,
    call: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Error> {
    let answer = timed(what, queue, call).await?;
    answer.map_err(|failed| error::unreachable(what, queue, failed))
}

/// The same where a refusal is an answer, too.
pub(crate) async fn timed<T>(
    what: &'static str,
    queue: &str,
    call: impl Future<Output = lapin::Result<T>>,
) -> Result<lapin::Result<T>, Error> {
    timeout(ANSWER, call).await.map_err(|_| Error::Timeout {
        what,
        queue: queue.to_owned(),
        after: ANSWER,
    })
}

/// An address that could not be connected to, and what to look at.
fn at_address(
    what: &'static str,
    queue: &str,
    (scheme, place): (&AMQPScheme, &str),
    failed: lapin::Error,
) -> Error {
    if error::code(&failed) == Some(error::ACCESS_REFUSED) {
        return refused(
            what,
            queue,
            format!(
                "RabbitMQ at {place} refused user, password or virtual host: set AMQP_URL, or `url` under [amqp] in loafer.toml, to amqp://user:password@host/vhost"
            ),
        );
    }
    let said = cause(&failed);
    let cause = match (tls::cause(&failed, scheme, place), error::code(&failed)) {
        (Some(cause), _) => cause,
        (None, Some(_)) => format!("at {place} {said}"),
        (None, None) => format!(
            "RabbitMQ at {place} can't be reached: {said}; set AMQP_URL, or `url` under [amqp] in loafer.toml"
        ),
    };
    Error::Unreachable {
        what,
        queue: queue.to_owned(),
        cause,
        source: Some(failed.into()),
    }
}

/// Why no address answered: each is told, since which of them is wrong is not known here.
fn none_of(what: &'static str, queue: &str, mut failures: Vec<Error>) -> Error {
    if failures.len() < 2 {
        let none = || refused(what, queue, "no address of RabbitMQ is set");
        return failures.pop().unwrap_or_else(none);
    }
    let causes = failures.iter().map(|failure| match failure {
        Error::Unreachable { cause, .. } | Error::Refused { cause, .. } => cause.clone(),
        other => other.to_string(),
    });
    let cause = causes.collect::<Vec<_>>().join(". ");
    // What is refused everywhere is not for trying again.
    match failures
        .iter()
        .all(|failure| matches!(failure, Error::Refused { .. }))
    {
        true => refused(what, queue, cause),
        false => Error::Unreachable {
            what,
            queue: queue.to_owned(),
            cause,
            source: None,
        },
    }
}
