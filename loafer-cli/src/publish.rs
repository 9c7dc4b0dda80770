//! The command `publish`: a message on a route's queue.

use std::{
    fs,
    io::{self, IsTerminal as _, Read as _},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use loafer_core::{BoxError, Manager, Message};
use tokio::time::timeout;

use crate::{Program, prepare::MEMORY, routes::print};

/// How long the broker may take to confirm.
const CONFIRMED: Duration = Duration::from_secs(15);

pub(crate) async fn publish(
    program: Program<'_>,
    manager: &Manager,
    route: &str,
    file: Option<&Path>,
) -> Result<ExitCode, BoxError> {
    if manager
        .routes()
        .iter()
        .any(|known| known.route == route && known.provider == MEMORY)
    {
        return Err(format!(
            "route `{route}` is in memory, and the message would end with this process; \
             pipe it into the service instead: `echo '{route} {{…}}' | {} --provider memory`",
            program.name
        )
        .into());
    }
    let payload = match file {
        Some(file) => fs::read(file)
            .map_err(|error| format!("`{}` can't be read: {error}", file.display()))?,
        None => read_stdin().map_err(|error| format!("stdin can't be read: {error}"))?,
    };
    let published = timeout(CONFIRMED, manager.publish(route, Message::new(payload))).await;
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
