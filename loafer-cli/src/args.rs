//! The command line, and its help.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{
    CommandFactory, FromArgMatches, Parser, Subcommand,
    error::{Error, ErrorKind},
};

use crate::{dead_letters::Action, logging::LogFormat, program::Program, publish::PublishArgs};

const AFTER_HELP: &str = "\
Examples:
  run every route                      SERVICE
  run every route without a broker     SERVICE --provider memory
  one message through a handler        echo 'friend-created {\"id\":\"1\"}' | SERVICE --provider memory
  one route, a minute to drain         SERVICE run --only friend-created --drain 1m
  is everything in place?              SERVICE check
  which rights does it need?           SERVICE check --policy
  put a message on a route's queue     SERVICE publish friend-created --file friend.json
  put an event there, with its type    SERVICE publish orders --header event-type=order.placed --file order.json
  list dead letters, and retry them    SERVICE dead-letters friend-created list
                                       SERVICE dead-letters friend-created retry --all --rate 20
                                       SERVICE dead-letters --all-routes list

Exit codes:
  0  done; or stopped with everything finished and settled
  1  could not start, had to cancel something, `check` found a problem, or a dead letter is not where it should be; the reason is on stderr
  2  the command line is wrong

Environment:
  RUST_LOG         what is logged: `info` (default), `debug`, `warn,my_service=debug`
  LOAFER_…         any key of loafer.toml: LOAFER_DRAIN=20s, LOAFER_ROUTES__FRIEND_CREATED__QUEUE=friends
  AWS_…            the AWS SDK's own: AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL
  SENTRY_DSN       where failures are reported (with the feature `sentry`); SENTRY_ENVIRONMENT, SENTRY_RELEASE
  NO_COLOR         no colours on a terminal

Strongest first: the command line, the environment, loafer.toml, the code.
Logs go to stderr; stdout carries what was asked for and nothing else.";

const RUN: &str = "\
Runs every route until SIGTERM, SIGINT (Ctrl-C), SIGQUIT or SIGHUP. Then it receives no more, lets running handlers finish for as long as `--drain` allows, \
settles, and exits 0. A second signal cancels what still runs: those messages are redelivered, and it exits 1.

With `--provider memory` there is no broker: lines `ROUTE JSON` on stdin are published. A message that fails is retried after 5 s, and \
is given up after 3 attempts. At the end of stdin it exits once all is settled. Without input on stdin it keeps running until told to stop.";

/// The command line, parsed.
#[derive(Debug, Parser)]
#[command(about = None, long_about = None, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    pub(crate) global: Global,
    /// `run` is the default: its options can stand without the word.
    #[command(flatten)]
    run: RunArgs,
}

/// Options of every command.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Global {
    /// Run every route on this broker instead of its own
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// The configuration file [default: loafer.toml, if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How logs are written
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
}

/// What the program does.
#[derive(Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum Command {
    /// Run the routes until told to stop (the default)
    #[command(long_about = RUN)]
    Run(RunArgs),
    /// List the routes: queue, provider, translator, concurrency, handler
    Routes,
    /// Connect, and verify queues, dead letters, leases and permissions; exit 1 if there is a problem
    Check {
        /// First create what is missing: queues, their dead-letter queues, topics, subscriptions. Never change what exists
        #[arg(long)]
        create: bool,
        /// Print the rights that each route needs, as JSON in the form of its broker (for SQS policies of IAM), and check nothing
        #[arg(long, conflicts_with_all = ["create", "json"])]
        policy: bool,
        /// Print what was found as JSON
        #[arg(long)]
        json: bool,
        /// Delete reply queues on SQS that crashed processes left behind: those of this service that are older than a day. A process that still runs makes another, and loses the replies that are on their way
        #[arg(long, conflicts_with = "policy")]
        delete_reply_queues: bool,
    },
    /// Put a message on a route's queue, and print its id
    Publish(PublishArgs),
    /// List, show, retry, move or purge the dead letters of a route, or of all routes
    #[command(name = "dead-letters")]
    DeadLetters {
        /// The route
        #[arg(required_unless_present = "all_routes", conflicts_with = "all_routes")]
        route: Option<String>,
        /// All routes: one dead-letter queue after the other, and one that several routes share only once
        #[arg(long)]
        all_routes: bool,
        #[command(subcommand)]
        action: Action,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Options of run")]
pub(crate) struct RunArgs {
    /// Run this route only (can be given several times)
    #[arg(long, value_name = "ROUTE")]
    pub(crate) only: Vec<String>,
    /// How long running handlers may take at shutdown, for example `30s` or `2m` [default: 25s]
    #[arg(long, value_name = "DURATION", value_parser = loafer_core::policy::parse_duration)]
    pub(crate) drain: Option<Duration>,
    /// Receive once on every route, handle those messages, and exit
    #[arg(long)]
    pub(crate) once: bool,
}

impl Global {
    /// Returns the broker and the configuration that were given, for a command line that is printed: `" --provider NAME --config FILE"`.
    pub(crate) fn as_given(&self) -> String {
        let config = self.config.as_ref().map(|file| file.display().to_string());
        let options = [("provider", self.provider.clone()), ("config", config)];
        let given = options
            .into_iter()
            .filter_map(|(name, value)| Some(format!(" --{name} {}", quoted(&value?))));
        given.collect()
    }
}

/// Returns a value as a shell reads it.
fn quoted(value: &str) -> String {
    let plain = |character: char| character.is_alphanumeric() || "._-/:\\".contains(character);
    match !value.is_empty() && value.chars().all(plain) {
        true => value.to_owned(),
        false => format!("'{}'", value.replace('\'', r"'\''")),
    }
}

impl Args {
    /// Returns the command. It is `run` if none was given.
    pub(crate) fn into_command(self) -> Command {
        self.command.unwrap_or(Command::Run(self.run))
    }
}

impl Command {
    /// Returns what the command could not do. It stands between the program's name and the reason.
    pub(crate) fn cannot(&self) -> &'static str {
        match self {
            Self::Run(_) => "can't start",
            Self::Routes => "can't list its routes",
            Self::Check { .. } => "can't be checked",
            Self::Publish(_) => "can't publish",
            Self::DeadLetters { .. } => "can't access its dead letters",
        }
    }
}

/// Parses the command line. The error prints itself: help and version are errors too.
pub(crate) fn parse(
    program: Program<'_>,
    line: impl IntoIterator<Item = OsString>,
) -> Result<Args, Error> {
    let brokers: Vec<&'static str> = program.brokers.iter().map(|broker| broker.name()).collect();
    let mut command = Args::command()
        .name(program.name)
        .version(program.version)
        .about(format!(
            "{} {}: an event service",
            program.name, program.version
        ))
        .after_help(AFTER_HELP.replace("SERVICE", program.name))
        .mut_arg("provider", |arg| {
            let known = brokers.join(", ");
            arg.help(format!(
                "Run every route on this broker instead of its own: {known}, or one under [brokers]"
            ))
        });
    let mut matches = command.try_get_matches_from_mut(line)?;
    let mut args = Args::from_arg_matches_mut(&mut matches)?;
    match &mut args.command {
        None => {}
        Some(Command::Run(run)) => run.join(std::mem::take(&mut args.run)),
        Some(Command::Publish(what)) if args.run == RunArgs::default() => {
            if let Some(fault) = what.fault() {
                return Err(command.error(ErrorKind::ArgumentConflict, fault));
            }
        }
        Some(Command::DeadLetters {
            all_routes: true,
            action,
            ..
        }) if args.run == RunArgs::default() => {
            if let Some(fault) = action.fault_on_all_routes() {
                return Err(command.error(ErrorKind::ArgumentConflict, fault));
            }
        }
        Some(_) if args.run == RunArgs::default() => {}
        Some(_) => {
            let text = "`--only`, `--drain` and `--once` are options of `run`";
            return Err(command.error(ErrorKind::ArgumentConflict, text));
        }
    }
    Ok(args)
}

impl RunArgs {
    /// Adds the options that stood before the word `run`: they mean the same there.
    fn join(&mut self, before: Self) {
        self.only.extend(before.only);
        self.drain = self.drain.or(before.drain);
        self.once |= before.once;
    }
}

#[cfg(test)]
mod tests;
