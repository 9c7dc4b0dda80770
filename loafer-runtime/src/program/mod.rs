//! The program: app, routes, configuration, and the manager that plans and runs them.

pub(crate) mod app;
mod backoff;
mod config;
pub(crate) mod dead_letters;
mod duration;
pub(crate) mod erased;
mod manager;
mod options;
pub(crate) mod registry;
mod route;
mod running;

pub use self::{
    app::App,
    config::Config,
    manager::{Manager, ManagerBuilder, RouteSummary},
    options::RouteOptions,
    route::{BrokerKind, Route},
    running::{Ended, Running},
};
