//! The attribute `#[event(…)]` of a type.

use syn::{DeriveInput, LitInt, LitStr, meta::ParseNestedMeta};

use super::Event;
use crate::{errors::Errors, nearest::suggestion};

const KNOWN: &[&str] = &["topic", "version"];

/// What the attributes say; none where they name no topic, and an error says so.
pub(super) fn event(input: &DeriveInput, errors: &mut Errors) -> Option<Event> {
    let before = errors.count();
    let mut keys = Keys::default();
    for attribute in &input.attrs {
        if attribute.path().is_ident("event") {
            let read = attribute.parse_nested_meta(|meta| keys.read(&meta, errors));
            errors.keep(read);
        }
    }
    if keys.topic.is_none() && errors.count() == before {
        let name = kebab_case(&input.ident.to_string());
        errors.at(
            &input.ident,
            format!("an event names its topic: `#[event(topic = {name:?})]`"),
        );
    }
    Some(Event {
        topic: keys.topic?,
        version: keys.version,
    })
}

#[derive(Default)]
struct Keys {
    topic: Option<LitStr>,
    version: Option<LitInt>,
}

impl Keys {
    fn read(&mut self, meta: &ParseNestedMeta<'_>, errors: &mut Errors) -> syn::Result<()> {
        if meta.path.is_ident("topic") {
            let what = "`topic` is a string, as `topic = \"friend-created\"`";
            let topic = value::<LitStr>(meta, what, errors);
            match topic {
                Some(topic) if topic.value().trim().is_empty() => {
                    errors.at(&topic, "`topic` is empty")
                }
                Some(_) if self.topic.is_some() => errors.at(&meta.path, "`topic` is set twice"),
                topic => self.topic = topic,
            }
            return Ok(());
        }
        if meta.path.is_ident("version") {
            let what = "`version` is a whole number, at least 1, as `version = 2`";
            let version = value::<LitInt>(meta, what, errors);
            let number = version.as_ref().map(LitInt::base10_parse::<u32>);
            match number {
                Some(Ok(1..)) if self.version.is_some() => {
                    errors.at(&meta.path, "`version` is set twice")
                }
                Some(Ok(1..)) => self.version = version,
                Some(_) => errors.at(&version, what),
                None => {}
            }
            return Ok(());
        }
        let name = meta
            .path
            .get_ident()
            .map(ToString::to_string)
            .unwrap_or_default();
        let what = format!("unknown key `{name}`: {}", suggestion(&name, KNOWN));
        errors.at(&meta.path, what);
        // Read over, so that what follows is told too.
        if let Ok(value) = meta.value() {
            _ = value.parse::<syn::Expr>();
        }
        Ok(())
    }
}

fn value<T: syn::parse::Parse>(
    meta: &ParseNestedMeta<'_>,
    what: &str,
    errors: &mut Errors,
) -> Option<T> {
    let Ok(value) = meta.value() else {
        errors.at(&meta.path, what);
        return None;
    };
    let ahead = value.fork();
    let read = ahead.parse::<T>().is_ok();
    if read {
        return errors.keep(value.parse());
    }
    let other = value.parse::<syn::Expr>();
    match other {
        Ok(other) => errors.at(&other, what),
        Err(_) => errors.at(&meta.path, what),
    }
    None
}

/// `FriendCreated` as a topic is usually written.
fn kebab_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut written = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let begins = letter.is_uppercase()
            && at > 0
            && (!letters[at - 1].is_uppercase()
                || letters.get(at + 1).is_some_and(|next| next.is_lowercase()));
        if begins {
            written.push('-');
        }
        written.extend(letter.to_lowercase());
    }
    written
}
