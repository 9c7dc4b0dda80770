//! The cases, a file a concern.

mod bodies;
mod bounds;
mod counts;
mod crowds;
mod dead_letters;
mod delays;
mod delivery;
mod depth;
mod groups;
mod leases;
mod outages;
mod packed;
mod parts;
mod pauses;
mod publishers;
mod requests;
mod retries;
mod routes;
mod shutdowns;
mod topics;
mod tried_again;
mod typed_headers;

use super::{BrokerUnderTest, case::Checked, catalog::all_cases, stage::Stage};
use futures_util::future::BoxFuture;

macro_rules! bodies {
    ($($file:ident::$case:ident $from:expr, [$($needs:ident),*];)*) => {
        /// Runs a case.
        ///
        /// # Panics
        ///
        /// If there is no such case.
        pub(super) fn body<S: BrokerUnderTest>(case: &str, stage: Stage<S>) -> BoxFuture<'static, Checked> {
            match case {
                $(stringify!($case) => Box::pin($file::$case(stage)),)*
                _ => unreachable!("there is no case `{case}`"),
            }
        }
    };
}

all_cases!(bodies);
