//! The app's user code: handlers, layers and `on_error` functions that do what the seed says of each message.
//!
//! | module | what it is |
//! |---|---|
//! | `script` | what is done with a message |
//! | `call` | the futures of handlers and of `on_error` |
//! | `layers` | layers |
//! | `app` | all of it, put together |

mod app;
mod call;
mod layers;
mod script;

pub use self::app::manager;
