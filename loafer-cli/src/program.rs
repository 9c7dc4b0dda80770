//! The program that a command line is for.

use loafer_runtime::program::BrokerKind;

/// The program that a command line is for.
#[derive(Clone, Copy, Debug)]
pub struct Program<'b> {
    /// Its name: in help, messages and reports.
    pub name: &'static str,
    /// Its package: what the app is called, where neither `setup` nor `loafer.toml` names it.
    pub package: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What `--provider` can name. The last is the program's default: what its `Bus` publishes on, where a route is on it.
    pub brokers: &'b [BrokerKind],
}
