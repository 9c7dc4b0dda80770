//! What the command line can do with dead letters.

use clap::Subcommand;

/// What to do with dead letters.
#[derive(Debug, PartialEq, Eq, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum Action {
    /// List dead letters: id, when and why they failed; this raises their receive counts
    List {
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 100)]
        max: usize,
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Show whole dead letters: headers, envelope, body
    Show {
        /// Their ids, as `list` prints them
        #[arg(value_name = "ID", required = true)]
        ids: Vec<String>,
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Retry: copy them to the queue they came from, without `loafer-dead-letter`
    Retry(Chosen),
    /// Move them unchanged to another queue
    Move {
        #[command(flatten)]
        chosen: Chosen,
        /// The queue: its name, URL or ARN
        #[arg(long, value_name = "QUEUE")]
        to: String,
    },
    /// Delete all of them
    Purge {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

impl Action {
    /// Returns why it can't be done on all routes. `None` means that it can.
    pub(crate) fn fault_on_all_routes(&self) -> Option<&'static str> {
        let named = match self {
            Self::Show { .. } => true,
            Self::Retry(chosen) | Self::Move { chosen, .. } => !chosen.all,
            Self::List { .. } | Self::Purge { .. } => false,
        };
        named.then_some("with `--all-routes` no ids are given: name the route, or give `--all`")
    }
}

/// Which dead letters.
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
    /// No more than so many messages a second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: Option<u32>,
}
