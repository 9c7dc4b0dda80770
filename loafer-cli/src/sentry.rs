//! Failures, sent to Sentry.

use std::{borrow::Cow, env, error::Error as StdError, fmt, time::Duration};

use loafer_runtime::handler::{Failure, Report};
use sentry::{
    ClientInitGuard, ClientOptions,
    protocol::{Event, Exception, Map, Value, Values},
    types::Dsn,
};

/// How long the last reports may take, unless something else is set.
const FLUSH: Duration = Duration::from_secs(2);

/// Sends every failure to Sentry: kind, reason, route, queue, message id and attempt. It never sends a body or a header.
///
/// Failures make one issue if they have the same route and kind and, if it shows its name, the same type of error.
pub struct Sentry {
    /// Sends what is left when it is dropped.
    client: ClientInitGuard,
}

/// `SENTRY_DSN` is set to something that is not a DSN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidDsn;

impl Sentry {
    /// Returns what the environment asks for: `SENTRY_DSN` says where failures go, `SENTRY_ENVIRONMENT` and `SENTRY_RELEASE` (unless set,
    /// `name@version`) what is said of the program. `None` means that there is no DSN.
    ///
    /// # Errors
    ///
    /// If `SENTRY_DSN` is not a DSN. The error does not repeat it, because it is a secret.
    pub fn from_environment(name: &str, version: &str) -> Result<Option<Self>, InvalidDsn> {
        let set = |variable| {
            env::var(variable)
                .ok()
                .filter(|value| !value.trim().is_empty())
        };
        let Some(dsn) = set("SENTRY_DSN") else {
            return Ok(None);
        };
        let release = set("SENTRY_RELEASE").unwrap_or_else(|| format!("{name}@{version}"));
        Self::new(&dsn, release, set("SENTRY_ENVIRONMENT")).map(Some)
    }

    /// Returns a reporter to this DSN, with this release and environment. Binds the client to the current hub, so that the program's own
    /// `sentry::capture_…` calls go there too.
    ///
    /// # Errors
    ///
    /// If it is not a DSN.
    pub fn new(
        dsn: &str,
        release: String,
        environment: Option<String>,
    ) -> Result<Self, InvalidDsn> {
        let dsn: Dsn = dsn.trim().parse().map_err(|_| InvalidDsn)?;
        // The client's TLS panics if no provider is installed. An installed one stays.
        _ = rustls::crypto::ring::default_provider().install_default();
        let mut options = ClientOptions::new()
            .release(release)
            .send_default_pii(false)
            .shutdown_timeout(FLUSH);
        options.dsn = Some(dsn);
        options.environment = environment.map(Cow::Owned);
        Ok(Self {
            client: sentry::init(options),
        })
    }
}

impl Report for Sentry {
    fn failed(&self, failure: &Failure) {
        // Without a scope: breadcrumbs and requests of other messages don't belong to this one.
        self.client.capture_event(event(failure), None);
    }

    fn flush(&self, within: Duration) {
        self.client.flush(Some(within.min(FLUSH)));
    }
}

fn event(failure: &Failure) -> Event<'static> {
    let (kind, metadata) = (failure.kind().as_str(), failure.metadata());
    let exception = Exception {
        ty: kind.to_owned(),
        value: Some(failure.reason()),
        ..Exception::default()
    };
    let tags = [
        ("route", metadata.route().to_owned()),
        ("queue", metadata.queue().to_owned()),
        ("message_id", metadata.message_id().to_string()),
        ("attempt", metadata.attempt().to_string()),
        ("kind", kind.to_owned()),
    ];
    let fingerprint = [
        Some(metadata.route().to_owned()),
        Some(kind.to_owned()),
        type_name(failure.error()),
    ];
    Event {
        level: sentry::Level::Error,
        logger: Some("loafer".to_owned()),
        transaction: Some(metadata.route().to_owned()),
        fingerprint: fingerprint.into_iter().flatten().map(Cow::Owned).collect(),
        exception: Values {
            values: vec![exception],
        },
        tags: tags
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect::<Map<_, _>>(),
        extra: Map::<String, Value>::new(),
        ..Event::default()
    }
}

/// Returns the type's name as a derived `Debug` shows it: a capitalised word with nothing, or with its fields, behind it. A text is not a
/// type.
fn type_name(error: &(dyn StdError + 'static)) -> Option<String> {
    let debug = format!("{error:?}");
    let end = debug
        .find(|character: char| !character.is_alphanumeric() && character != '_')
        .unwrap_or(debug.len());
    let (name, rest) = debug.split_at(end);
    let is_type = name.starts_with(char::is_uppercase)
        && (rest.is_empty() || rest.starts_with('(') || rest.starts_with(" {"));
    is_type.then(|| name.to_owned())
}

impl fmt::Debug for Sentry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sentry").finish_non_exhaustive()
    }
}

impl fmt::Display for InvalidDsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`SENTRY_DSN` is no DSN: it should look like https://KEY@HOST/PROJECT; leave it empty to report nothing")
    }
}

impl StdError for InvalidDsn {}

#[cfg(test)]
mod tests {
    use loafer_core::{message::Message, outcome::FailureKind};

    use super::*;

    #[test]
    fn what_is_no_dsn_is_refused_and_not_repeated() {
        let refused =
            Sentry::new("https://secret-key", String::new(), None).expect_err("should be refused");
        assert!(!refused.to_string().contains("secret-key"));
    }

    #[test]
    fn types_are_distinguished_from_texts() {
        let name = |error: loafer_core::outcome::BoxError| type_name(&*error);
        assert_eq!(name(Box::new(InvalidDsn)).as_deref(), Some("InvalidDsn"));
        assert_eq!(
            name(Box::new("x".parse::<i32>().expect_err("no number"))).as_deref(),
            Some("ParseIntError")
        );
        assert_eq!(name("Order missing".into()), None);
        assert_eq!(name(anyhow::anyhow!("Order 7 is missing").into()), None);
    }

    #[test]
    fn an_event_has_no_body() {
        let message = Message::new("{\"card\":\"4111\"}")
            .with_attempt(2)
            .with_header("token", "hush");
        let event = event(&Failure::new(FailureKind::Error, "no stock", message));
        let text = format!("{event:?}");
        assert!(!text.contains("4111") && !text.contains("hush"), "{text}");
        assert_eq!(event.tags["attempt"], "2");
        assert_eq!(*event.fingerprint, ["test", "error"].map(Cow::Borrowed));
    }
}
