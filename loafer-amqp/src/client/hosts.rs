//! The addresses of RabbitMQ: a connection goes to one that answers.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lapin::{
    ConnectionProperties,
    uri::{AMQPScheme, AMQPUri},
};
use loafer_core::Error;
use tokio::{runtime::Handle, time::timeout};

use super::{
    Connected,
    frames::ChannelQueues,
    identity::Identity,
    password::Password,
    tls::{self, Tls},
};
use crate::error::{self, cause, refused};

/// How long connecting to one address may take, unless the address or the configuration says otherwise.
const CONNECT: Duration = Duration::from_secs(5);

/// Seconds between heartbeats, unless the address or the configuration says otherwise. After two intervals without one the connection is given up.
const HEARTBEAT: u16 = 10;

/// The addresses of one cluster, shared by all connections of a program.
pub(crate) struct Hosts {
    addresses: Vec<AMQPUri>,
    tls: Tls,
    /// `None` means the passwords in the addresses.
    password: Option<Password>,
    /// Whose connections they are.
    identity: Identity,
    /// The index of the address to try first: the one that answered last, for whichever connection. So what consumes and what publishes use the same
    /// host, which they must if the other addresses are standby servers and no cluster.
    first: AtomicUsize,
    /// What drives every connection, wherever that is made again. `None` means the runtime of whoever connects.
    runtime: Mutex<Option<Handle>>,
}

impl Hosts {
    pub(crate) fn new(
        addresses: Vec<AMQPUri>,
        tls: Tls,
        password: Option<Password>,
        identity: Identity,
    ) -> Self {
        // Spreads programs over the nodes.
        let first = fastrand::usize(..addresses.len().max(1));
        Self {
            addresses,
            tls,
            password,
            identity,
            first: AtomicUsize::new(first),
            runtime: Mutex::default(),
        }
    }

    /// Lets the runtime of the caller drive the connections that are made from now on. The program calls from where no handler blocks a thread, and
    /// a connection that is lost is made again by whoever needs it: its heartbeats must not depend on him.
    pub(crate) fn stay_here(&self) {
        if let Ok(here) = Handle::try_current() {
            *self.runtime() = Some(here);
        }
    }

    fn runtime(&self) -> MutexGuard<'_, Option<Handle>> {
        self.runtime.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Connects to one of the addresses, each tried once.
    pub(crate) async fn connect(
        &self,
        purpose: &str,
        what: &'static str,
        queue: &str,
    ) -> Result<Connected, Error> {
        let runtime = self.runtime().clone().unwrap_or_else(Handle::current);
        let password = match &self.password {
            Some(password) => Some(password.get().await.map_err(|cause| Error::Unreachable {
                what,
                queue: queue.to_owned(),
                cause,
                source: None,
            })?),
            None => None,
        };
        let first = self.first.load(Ordering::Relaxed);
        let mut failures = Vec::new();
        for at in (0..self.addresses.len()).map(|step| (first + step) % self.addresses.len()) {
            let mut address = self.addresses[at].clone();
            let place = format!("{}:{}", address.authority.host, address.authority.port);
            let scheme = address.scheme.clone();
            address.query.heartbeat.get_or_insert(HEARTBEAT);
            if let Some(password) = &password {
                address.authority.userinfo.password.clone_from(password);
            }
            let name = self.identity.connection(purpose);
            let properties = ConnectionProperties::default().with_connection_name(name.into());
            let within = address.query.connection_timeout;
            let within = within.map_or(CONNECT, Duration::from_millis);
            let queues = ChannelQueues::default();
            let connected = self
                .tls
                .connect(address, properties, &runtime, queues.clone());
            match timeout(within, connected).await {
                Ok(Ok(connection)) => {
                    self.first.store(at, Ordering::Relaxed);
                    return Ok(Connected {
                        connection,
                        queues,
                        password,
                    });
                }
                Ok(Err(error)) => failures.push(self.at_address(what, queue, (&scheme, &place), error)),
                Err(_) => failures.push(Error::Unreachable {
                    what,
                    queue: queue.to_owned(),
                    cause: format!(
                        "RabbitMQ at {place} did not answer within {within:?}: see that host and port are right, and that no firewall is between; if it is only slow, raise \
                         `connect_timeout` under [{}] in loafer.toml",
                        self.identity.section()
                    ),
                    source: None,
                }),
            }
        }
        Err(none_of(what, queue, &self.identity.remedy(), failures))
    }

    /// Tells RabbitMQ each new password as long as this connection stands, if the password may change.
    pub(super) fn keep_password(&self, made: &Arc<Connected>, purpose: &str) {
        if let (Some(password), Some(told)) = (&self.password, &made.password) {
            let (password, told) = (password.clone(), told.clone());
            let (connection, name) = (Arc::downgrade(made), self.identity.connection(purpose));
            let runtime = self.runtime().clone().unwrap_or_else(Handle::current);
            runtime.spawn(async move { password.keep(told, connection, &name).await });
        }
    }

    /// Returns why one address could not be connected to, and what to look at.
    fn at_address(
        &self,
        what: &'static str,
        queue: &str,
        (scheme, place): (&AMQPScheme, &str),
        failed: lapin::Error,
    ) -> Error {
        let remedy = self.identity.remedy();
        if error::code(&failed) == Some(error::ACCESS_REFUSED) {
            return refused(
                what,
                queue,
                format!(
                    "RabbitMQ at {place} refused user, password or virtual host: {remedy}, to amqp://user:password@host/vhost"
                ),
            );
        }
        let said = cause(&failed);
        if error::code(&failed) == Some(error::NOT_ALLOWED) {
            let cause = format!(
                "at {place} {said}: see that the virtual host in the address is right (`/` is written `%2f`), and that the user may use it (`rabbitmqctl \
                 set_permissions -p VHOST USER CONFIGURE WRITE READ`)"
            );
            return refused(what, queue, cause);
        }
        let section = self.identity.section();
        let site = tls::Site {
            scheme,
            place,
            section: &section,
        };
        let cause = match (site.cause(&failed), error::code(&failed)) {
            (Some(cause), _) => cause,
            (None, Some(_)) => format!("at {place} {said}"),
            (None, None) => format!("RabbitMQ at {place} can't be reached: {said}; {remedy}"),
        };
        Error::Unreachable {
            what,
            queue: queue.to_owned(),
            cause,
            source: Some(failed.into()),
        }
    }
}

/// Returns why no address answered. It names each cause, since any of the addresses may be the wrong one.
fn none_of(what: &'static str, queue: &str, remedy: &str, mut failures: Vec<Error>) -> Error {
    if failures.len() < 2 {
        let none = || refused(what, queue, "no address of RabbitMQ is set");
        return failures.pop().unwrap_or_else(none);
    }
    let causes = failures.iter().map(|failure| match failure {
        Error::Unreachable { cause, .. } | Error::Refused { cause, .. } => cause.clone(),
        other => other.to_string(),
    });
    // The remedy is the same for all addresses, so only the last cause keeps it.
    let (mut causes, remedy) = (causes.collect::<Vec<_>>(), format!("; {remedy}"));
    if let [others @ .., _] = &mut causes[..] {
        for other in others {
            *other = other.replace(&remedy, "");
        }
    }
    let cause = causes.join(". ");
    // If every address refused, trying again won't help.
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
