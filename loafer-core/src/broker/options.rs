//! Options of a route that only its broker knows.

use std::fmt;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The options of a route that only its broker knows: `options(…)` in `#[handler]`, `[routes.ROUTE.options]` in `loafer.toml`.
///
/// It is a struct of optional fields, with one setter by value for each, of the same name. The attribute calls the setters, and the
/// configuration overrides each field alone. For that the options are serialised, so a field that is not set must be left out.
///
/// ```
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Debug, Default, Deserialize, Serialize)]
/// #[serde(default, deny_unknown_fields)]
/// struct Options {
///     #[serde(skip_serializing_if = "Option::is_none")]
///     exchange: Option<String>,
/// }
///
/// impl Options {
///     fn exchange(mut self, exchange: impl Into<String>) -> Self {
///         self.exchange = Some(exchange.into());
///         self
///     }
/// }
/// # fn is_options<O: loafer::broker::BrokerOptions>() {}
/// # is_options::<Options>();
/// # _ = Options::default().exchange("event");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the options of a broker",
    label = "not `Serialize + Deserialize + Clone + Default + Debug`",
    note = "derive `Clone, Debug, Default, serde::Deserialize, serde::Serialize` with `#[serde(default, deny_unknown_fields)]`; a broker without options says `type Options = loafer::broker::NoOptions;`"
)]
pub trait BrokerOptions:
    Serialize + DeserializeOwned + Clone + Default + fmt::Debug + Send + Sync + 'static
{
}

#[diagnostic::do_not_recommend]
impl<O> BrokerOptions for O where
    O: Serialize + DeserializeOwned + Clone + Default + fmt::Debug + Send + Sync + 'static
{
}

/// The options of a broker that has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NoOptions {}
