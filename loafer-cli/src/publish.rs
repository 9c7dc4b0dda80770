//! The command `publish`: a message on a route's queue.

use std::{
    fs,
    io::{self, IsTerminal as _, Read as _},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use loafer_core::{message::Message, outcome::BoxError};
use loafer_runtime::program::Manager;
use tokio::time::timeout;

use crate::{
    program::{MEMORY, Program},
    routes::print,
};

/// How long the broker may take to confirm.
const CONFIRMED: Duration = Duration::from_secs(15);

/// What to publish, and on which route.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub(crate) struct PublishArgs {
    /// The route
    route: String,
    /// The file with the payload, byte for byte [default: stdin]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A header, for example `event-type=order.placed` (can be given several times)
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// The message's group: FIFO queues need one
    #[arg(long, value_name = "GROUP", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    group: Option<String>,
}

impl PublishArgs {
    /// Returns what is wrong with the arguments together, if anything is.
    pub(crate) fn fault(&self) -> Option<String> {
        let mut names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1])?;
        Some(format!(
            "the header `{}` is given twice: a message has one of each name",
            twice[0]
        ))
    }

    fn message(self, payload: Vec<u8>) -> Message {
        let message = Message::new(payload);
        let message = match self.group {
            Some(group) => message.with_group(group),
            None => message,
        };
        let headers = self.headers.into_iter();
        headers.fold(message, |message, (name, value)| {
            message.with_header(name, value)
        })
    }
}

/// Reads `NAME=VALUE`. The value may have more `=` in it.
fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some(("", _)) => Err("it has no name before the `=`: write NAME=VALUE".to_owned()),
        Some((name, _)) if name.contains(char::is_whitespace) => Err(format!(
            "the name `{name}` has white space in it: write NAME=VALUE, without blanks around the `=`"
        )),
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => {
            Err("it has no `=`: write NAME=VALUE, for example `event-type=order.placed`".to_owned())
        }
    }
}

pub(crate) async fn publish(
    program: Program<'_>,
    manager: &Manager,
    what: PublishArgs,
) -> Result<ExitCode, BoxError> {
    let route = what.route.clone();
    if manager
        .routes()
        .iter()
        .any(|known| known.route == route && known.broker == MEMORY)
    {
        return Err(format!(
            "route `{route}` is in memory, and the message would end with this process; \
             pipe it into the service instead: `echo '{route} {{…}}' | {} --provider memory`",
            program.name
        )
        .into());
    }
    let payload = match &what.file {
        Some(file) => fs::read(file)
            .map_err(|error| format!("`{}` can't be read: {error}", file.display()))?,
        None => read_stdin().map_err(|error| format!("stdin can't be read: {error}"))?,
    };
    let published = timeout(CONFIRMED, manager.publish(&route, what.message(payload))).await;
    let id = published.map_err(|_| {
        format!("the broker did not confirm within {CONFIRMED:?}: it may have the message or not")
    })??;
    print(&format!("{id}\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn read_stdin() -> io::Result<Vec<u8>> {
    if io::stdin().is_terminal() {
        tracing::info!("type the message, and end it with Ctrl-D");
    }
    let mut payload = Vec::new();
    io::stdin().lock().read_to_end(&mut payload)?;
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_and_whatever_follows_the_first_equals_sign() {
        let read = |text| header(text).map(|(name, value)| format!("{name}|{value}"));
        assert_eq!(read("tenant=acme").as_deref(), Ok("tenant|acme"));
        assert_eq!(read("sum=a=b c").as_deref(), Ok("sum|a=b c"));
        assert_eq!(read("empty=").as_deref(), Ok("empty|"));
        for wrong in ["tenant", "=acme", "tenant =acme", " tenant=acme"] {
            assert!(
                read(wrong).is_err_and(|fault| fault.contains("NAME=VALUE")),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_message_has_the_headers_and_the_group_that_were_given() {
        let args = PublishArgs {
            route: "orders".to_owned(),
            file: None,
            headers: vec![
                ("event-type".into(), "order.placed".into()),
                ("tenant".into(), "acme".into()),
            ],
            group: Some("customer-7".to_owned()),
        };
        assert_eq!(args.fault(), None);
        let message = args.message(b"{}".to_vec());
        assert_eq!(message.headers().get("event-type"), Some("order.placed"));
        assert_eq!(message.headers().get("tenant"), Some("acme"));
        assert_eq!(
            (message.group(), &message.payload()[..]),
            (Some("customer-7"), &b"{}"[..])
        );
    }
}
