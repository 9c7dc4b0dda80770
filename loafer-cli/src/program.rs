//! The program that a command line is for.

use loafer_runtime::program::BrokerKind;

/// The name of the broker in memory on the command line.
pub(crate) const MEMORY: &str = "memory";

/// The program that a command line is for.
#[derive(Clone, Copy, Debug)]
pub struct Program<'b> {
    /// Its name, in help, messages and reports.
    pub name: &'static str,
    /// Its package. This is the app's name, if neither `setup` nor `loafer.toml` sets one.
    pub package: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The kinds of brokers that `--provider` can name. The last one is the program's default: its `Bus` publishes on it, if a route runs
    /// on it.
    pub brokers: &'b [BrokerKind],
}
