//! What the command line says of dead letters.

use clap::Subcommand;

/// What is to be done with dead letters.
#[derive(Debug, PartialEq, Eq, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum Letters {
    /// List them: id, when and why they failed; looking raises receive counts
    List {
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 100)]
        max: usize,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Show whole letters: headers, envelope, body
    Show {
        /// Their ids, as `list` prints them
        #[arg(value_name = "ID", required = true)]
        ids: Vec<String>,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Try again: back to the queue they came from, without the envelope
    Retry(Chosen),
    /// Move them to another queue, as they are
    Move {
        #[command(flatten)]
        chosen: Chosen,
        /// The queue: its name, URL or ARN
        #[arg(long, value_name = "QUEUE")]
        to: String,
    },
    /// Throw all of them away
    Purge {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Which letters.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub(crate) struct Chosen {
    /// Their ids, as `list` prints them
    #[arg(
        value_name = "ID",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    pub(crate) ids: Vec<String>,
    /// All of them
    #[arg(long)]
    pub(crate) all: bool,
}
