//! Certificates: what a connection trusts, and what it shows.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use async_rs::{
    Runtime, Tokio,
    traits::{Executor, Reactor},
};
use lapin::{
    Connection, ConnectionProperties, ErrorKind,
    tcp::{AMQPUriTcpExt, AsyncTcpStream, RustlsConnector, RustlsConnectorConfig},
    uri::{AMQPScheme, AMQPUri},
};
use loafer_core::Error;
use rustls::{
    AlertDescription, CertificateError,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{runtime::Handle, sync::oneshot};

use super::{
    frames::ChannelQueues,
    stream::{Stream, client_runtime},
};

/// The files that TLS connections use, all in PEM.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tls {
    /// The only authorities to trust. `None` means those that this machine trusts.
    pub(crate) ca_file: Option<PathBuf>,
    /// The certificate to show.
    pub(crate) cert_file: Option<PathBuf>,
    /// The key of `cert_file`.
    pub(crate) key_file: Option<PathBuf>,
}

impl Tls {
    /// Checks the files before anything is connected: a certificate without its key is an error. `section` is the one of `loafer.toml` that sets them.
    pub(crate) fn check(&self, section: &str) -> Result<(), Error> {
        let (is, missing) = match (&self.cert_file, &self.key_file) {
            (Some(_), None) => ("cert_file", "key_file"),
            (None, Some(_)) => ("key_file", "cert_file"),
            _ => return Ok(()),
        };
        Err(Error::Config(format!(
            "`{is}` is set under [{section}] and `{missing}` is not: a certificate is shown with its key, so set both or neither"
        )))
    }

    /// Warns of files that an address does not use.
    pub(crate) fn warn_of_plain(&self, addresses: &[AMQPUri], section: &str) {
        let is_set = self.ca_file.is_some() || self.cert_file.is_some();
        let plain = |address: &AMQPUri| address.scheme == AMQPScheme::AMQP;
        if is_set && let Some(address) = addresses.iter().find(|address| plain(address)) {
            let (host, port) = (&address.authority.host, address.authority.port);
            tracing::warn!(
                "files for TLS are set under [{section}], and RabbitMQ at {host}:{port} is connected to without it: its address begins with amqp:// and not with amqps://"
            );
        }
    }

    /// Connects, by TLS if the address says so. `runtime` drives the connection, and `queues` learns what is wrong with frames.
    ///
    /// Each connection reads the files again, so that certificates can be renewed while the service runs. If the future is dropped, the connection that
    /// is being made ends, and the client's thread with it.
    pub(crate) async fn connect(
        &self,
        address: AMQPUri,
        properties: ConnectionProperties,
        runtime: &Handle,
        queues: ChannelQueues,
    ) -> lapin::Result<Connection> {
        let tokio = Tokio::default().with_handle(runtime.clone());
        let stream = self.stream(address.clone(), &tokio).await?;
        let (made, waits) = oneshot::channel();
        let stream = Mutex::new(Some(Stream::new(stream, queues, waits)));
        let connection = Connection::connector(
            address,
            client_runtime(tokio),
            // The client asks once, since it is not told to connect again by itself.
            async move |_, _| {
                let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
                let stream = stream.map(AsyncTcpStream::Plain);
                stream.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected).into())
            },
            properties,
        );
        let connection = connection.await?;
        // The stream may have ended by now, which the connection tells.
        _ = made.send(());
        Ok(connection)
    }

    /// Connects to the host. The client's own connecting would go on in a thread of its own after it was given up.
    async fn stream(
        &self,
        mut address: AMQPUri,
        tokio: &Tokio,
    ) -> io::Result<AsyncTcpStream<<Tokio as Reactor>::TcpStream>> {
        let scheme = std::mem::replace(&mut address.scheme, AMQPScheme::AMQP);
        let runtime = Runtime::new(tokio.clone());
        let stream = address.connect_async(&runtime).await?;
        if scheme == AMQPScheme::AMQP {
            return Ok(stream);
        }
        let tls = self.clone();
        let connector = runtime.spawn_blocking(move || tls.connector()).await?;
        stream
            .into_rustls(&connector, &address.authority.host)
            .await
    }

    fn connector(&self) -> io::Result<RustlsConnector> {
        let config = match &self.ca_file {
            None => RustlsConnectorConfig::new_with_native_certs()?,
            Some(file) => {
                let mut config = RustlsConnectorConfig::default();
                config.add_parsable_certificates(certificates("ca_file", file)?);
                config
            }
        };
        let (Some(cert_file), Some(key_file)) = (&self.cert_file, &self.key_file) else {
            return config.connector_with_no_client_auth();
        };
        let certificates = certificates("cert_file", cert_file)?;
        let key = PrivateKeyDer::from_pem_slice(&read("key_file", key_file)?);
        let key = key.map_err(|error| unusable("key_file", key_file, error))?;
        let connector = config.connector_with_single_cert(certificates, key);
        connector.map_err(|error| unusable("key_file", key_file, error))
    }
}

/// Reads the certificates in a file. There must be at least one.
fn certificates(key: &str, file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let text = read(key, file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if found.is_empty() => Err(unusable(key, file, "no certificate is in it")),
        Ok(found) => Ok(found),
        Err(error) => Err(unusable(key, file, error)),
    }
}

fn read(key: &str, file: &Path) -> io::Result<Vec<u8>> {
    fs::read(file).map_err(|error| unusable(key, file, error))
}

fn unusable(key: &str, file: &Path, why: impl fmt::Display) -> io::Error {
    io::Error::other(Unusable {
        what: format!("`{key} = \"{}\"`", file.display()),
        why: why.to_string(),
    })
}

/// An error about a file that can't be used.
#[derive(Debug)]
struct Unusable {
    /// The key and its value.
    what: String,
    why: String,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} can't be used: {}", self.what, self.why)
    }
}

impl std::error::Error for Unusable {}

/// Where a connection failed.
pub(crate) struct Site<'s> {
    pub(crate) scheme: &'s AMQPScheme,
    /// Host and port.
    pub(crate) place: &'s str,
    /// The section of `loafer.toml` that sets address and files.
    pub(crate) section: &'s str,
}

impl Site<'_> {
    /// Returns what went wrong with TLS at this address, and what to do. `None` means that the error is about something else.
    pub(crate) fn cause(&self, failed: &lapin::Error) -> Option<String> {
        let Self { place, section, .. } = self;
        let inner = match failed.kind() {
            ErrorKind::IOError(error) => match error.get_ref() {
                Some(inner) => inner,
                None => return self.hung_up(error),
            },
            // The other side answered with something that is no AMQP frame.
            ErrorKind::ParsingError(_) | ErrorKind::InvalidProtocolVersion(_) => {
                return Some(format!(
                    "what answers at {place} speaks no AMQP 0-9-1: where that is the port for TLS (as a rule 5671), write amqps://; without TLS RabbitMQ listens \
                     on another (as a rule 5672)"
                ));
            }
            _ => return None,
        };
        if let Some(Unusable { what, why }) = inner.downcast_ref() {
            return Some(format!("{what} under [{section}] can't be used: {why}"));
        }
        Some(match inner.downcast_ref()? {
            rustls::Error::InvalidCertificate(wrong) => self.certificate(wrong),
            rustls::Error::InvalidMessage(_) => format!(
                "what answers at {place} speaks no TLS: amqps:// needs the port for it (as a rule 5671); without TLS write amqp://"
            ),
            rustls::Error::AlertReceived(alert) => match alert {
                AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure => {
                    format!(
                        "RabbitMQ at {place} demands a certificate ({alert:?}): set `cert_file` and `key_file` under [{section}] in loafer.toml"
                    )
                }
                AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity => {
                    format!(
                        "RabbitMQ at {place} offers no TLS that is safe ({alert:?}): let its `ssl_options.versions` have tlsv1.2 or tlsv1.3"
                    )
                }
                _ => format!(
                    "RabbitMQ at {place} does not accept the certificate it was shown ({alert:?}): its `ssl_options.cacertfile` must have the authority of \
                     `cert_file` under [{section}] in loafer.toml"
                ),
            },
            other => format!("no TLS with RabbitMQ at {place}: {other}"),
        })
    }

    /// Returns what may be wrong if the other side closed the connection at once. A TLS alert that it sent before may be lost.
    fn hung_up(&self, error: &io::Error) -> Option<String> {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        let closed = [
            BrokenPipe,
            ConnectionAborted,
            ConnectionReset,
            UnexpectedEof,
        ];
        let Self { place, section, .. } = self;
        let demands = || {
            format!(
                "where it demands a certificate, set `cert_file` and `key_file` under [{section}] in loafer.toml to one that it trusts; where that is no port for \
                 TLS, write amqp://"
            )
        };
        let remedy = match self.scheme {
            _ if !closed.contains(&error.kind()) => return None,
            AMQPScheme::AMQP => {
                "where that is the port for TLS (as a rule 5671), write amqps://".to_owned()
            }
            AMQPScheme::AMQPS => demands(),
        };
        Some(format!(
            "what answers at {place} closed the connection before it said a word of AMQP ({error}): {remedy}; else RabbitMQ's log tells more"
        ))
    }

    /// Returns what is wrong with the server's certificate.
    fn certificate(&self, wrong: &CertificateError) -> String {
        let Self { place, section, .. } = self;
        match wrong {
            CertificateError::NotValidForName => format!(
                "the certificate of RabbitMQ at {place} is for another name: connect by a name that stands in it"
            ),
            CertificateError::NotValidForNameContext { presented, .. } => {
                let names: Vec<_> = presented.iter().map(|name| bare(name)).collect();
                let names = match &names[..] {
                    [] => "names nobody".to_owned(),
                    names => format!("is for {}", names.join(", ")),
                };
                format!(
                    "the certificate of RabbitMQ at {place} {names}: connect by a name that stands in it, or have one made with this name"
                )
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("the certificate of RabbitMQ at {place} has expired: renew it there")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => format!(
                "the certificate of RabbitMQ at {place} is not valid yet: look at the clocks of both machines"
            ),
            CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
                "the certificate of RabbitMQ at {place} is by an authority that is not trusted: set `ca_file` under [{section}] in loafer.toml to the authority's own \
                 certificate (PEM), or make it known to this machine"
            ),
            other => format!("the certificate of RabbitMQ at {place} is not accepted: {other}"),
        }
    }
}

/// Returns the name in rustls' form `DnsName("localhost")`.
fn bare(name: &str) -> String {
    let name = name.split_once('(').map_or(name, |(_, name)| name);
    format!("`{}`", name.trim_matches([')', '"']))
}
