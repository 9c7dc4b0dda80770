//! The program: app, routes, configuration, and the manager that plans and runs them.

pub(crate) mod app;
mod at_work;
mod backoff;
mod broker_table;
mod config;
pub(crate) mod dead_letters;
mod duration;
pub(crate) mod erased;
pub(crate) mod instances;
mod manager;
mod options;
pub(crate) mod registry;
mod route;
mod running;
mod stop;

pub use self::{
    app::App,
    config::Config,
    instances::BrokerKind,
    manager::{Manager, ManagerBuilder, RouteSummary},
    options::RouteOptions,
    route::Route,
    running::{Ended, Running},
    stop::Shutdown,
};
