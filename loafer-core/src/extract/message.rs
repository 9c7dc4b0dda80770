//! The message itself, and its headers, as arguments.

use super::{Context, FromContext, Missing, Rejection, Resources};
use crate::message::{Headers, Message};

/// The message as the broker delivered it, with its envelope closed.
impl FromContext for Message {
    type Needs = ();

    fn needs(_: &Resources) -> Result<(), Missing> {
        Ok(())
    }

    fn from_context((): &(), context: &Context<'_>) -> Result<Self, Rejection> {
        Ok(context.raw().clone())
    }
}

/// The headers of the opened message, those of the envelope included.
impl FromContext for Headers {
    type Needs = ();

    fn needs(_: &Resources) -> Result<(), Missing> {
        Ok(())
    }

    fn from_context((): &(), context: &Context<'_>) -> Result<Self, Rejection> {
        Ok(context.message().headers().clone())
    }
}
