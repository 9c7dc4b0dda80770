//! The message itself, and its headers, as arguments.

use super::Resources;
use super::{Context, FromContext, Missing, Rejection};
use crate::message::{Headers, Message};

/// The message as the broker delivered it, its envelope closed.
impl FromContext for Message {
    type Needs = ();

    fn needs(_: &Resources) -> Result<(), Missing> {
        Ok(())
    }

    fn from_context((): &(), context: &Context<'_>) -> Result<Self, Rejection> {
        Ok(context.raw().clone())
    }
}

/// The headers, its envelope opened.
impl FromContext for Headers {
    type Needs = ();

    fn needs(_: &Resources) -> Result<(), Missing> {
        Ok(())
    }

    fn from_context((): &(), context: &Context<'_>) -> Result<Self, Rejection> {
        Ok(context.message().headers().clone())
    }
}
