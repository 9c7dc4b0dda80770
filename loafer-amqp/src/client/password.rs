//! A password that changes while the service runs.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::future::BoxFuture;
use loafer_core::outcome::BoxError;
use tokio::time::{sleep, timeout};

use super::{ANSWER, Connected};

/// How often to look for a new password while a connection stands. Tokens are renewed minutes before they expire.
const LOOK: Duration = Duration::from_secs(10);

/// Returns the password of the moment.
type Ask = Arc<dyn Fn() -> BoxFuture<'static, Result<String, BoxError>> + Send + Sync>;

/// Where the password comes from, in place of the one in the address. It has no `Debug`: neither may what it returns.
#[derive(Clone)]
pub(crate) enum Password {
    /// A file that has the password alone.
    File(PathBuf),
    /// A function of the program.
    Function(Ask),
}

impl Password {
    /// Returns the password of the moment, or why there is none.
    pub(super) async fn get(&self) -> Result<String, String> {
        match self {
            Self::File(file) => match fs::read_to_string(file) {
                Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
                Err(error) => Err(format!(
                    "`password_file = \"{}\"` can't be read: {error}",
                    file.display()
                )),
            },
            Self::Function(ask) => match timeout(ANSWER, ask()).await {
                Ok(Ok(password)) => Ok(password),
                Ok(Err(error)) => Err(format!("the function of `Amqp::password` failed: {error}")),
                Err(_) => Err(format!(
                    "the function of `Amqp::password` did not return within {ANSWER:?}"
                )),
            },
        }
    }

    /// Tells RabbitMQ each new password while the connection of this name stands. RabbitMQ ends a connection whose token has expired.
    pub(super) async fn keep(self, mut told: String, connection: Weak<Connected>, name: &str) {
        let mut failing = false;
        loop {
            sleep(LOOK).await;
            let Some(made) = connection.upgrade() else {
                return;
            };
            if !made.connection.status().connected() {
                return;
            }
            let renewed = match self.get().await {
                Ok(password) if password == told => Ok(()),
                Ok(password) => made.tell(&password).await.map(|()| {
                    tracing::info!(connection = name, "RabbitMQ was told the new password");
                    told = password;
                }),
                Err(cause) => Err(cause),
            };
            let fails = renewed.is_err();
            if let Err(cause) = renewed
                && !failing
            {
                tracing::warn!(connection = name, %cause, "the password can't be renewed: RabbitMQ ends the connection once the last one expires");
            }
            failing = fails;
        }
    }
}

impl Connected {
    /// Tells RabbitMQ a new password. Why it does not take it is the error.
    async fn tell(&self, password: &str) -> Result<(), String> {
        let update = self
            .connection
            .update_secret(password.into(), "a new password".into());
        match timeout(ANSWER, update).await {
            Ok(told) => told.map_err(|error| crate::error::cause(&error)),
            Err(_) => Err(format!("no answer within {ANSWER:?}")),
        }
    }
}
