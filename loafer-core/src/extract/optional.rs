//! Extractors that a message, or the app, may lack.

use super::{Context, FromApp, FromContext, Missing, Rejection};
use crate::App;

/// None where the app lacks what it needs, or it refuses the message.
impl<E: FromContext> FromContext for Option<E> {
    type Needs = Option<E::Needs>;

    fn needs(app: &App) -> Result<Option<E::Needs>, Missing> {
        Ok(E::needs(app).ok())
    }

    fn from_context(needs: &Option<E::Needs>, context: &Context<'_>) -> Result<Self, Rejection> {
        let made = needs.as_ref().map(|needs| E::from_context(needs, context));
        Ok(made.and_then(Result::ok))
    }
}

impl<E: FromApp> FromApp for Option<E> {
    fn from_app(needs: &Option<E::Needs>) -> Self {
        needs.as_ref().map(E::from_app)
    }
}

/// What it says to the message, for the handler to judge. What it needs of the app must be there.
impl<E: FromContext> FromContext for Result<E, Rejection> {
    type Needs = E::Needs;

    fn needs(app: &App) -> Result<E::Needs, Missing> {
        E::needs(app)
    }

    fn from_context(needs: &E::Needs, context: &Context<'_>) -> Result<Self, Rejection> {
        Ok(E::from_context(needs, context))
    }
}
