//! The attribute `#[event(…)]` of a type.

use syn::{DeriveInput, LitInt, LitStr, Type, meta::ParseNestedMeta};

use super::{Event, part::Part};
use crate::{errors::Errors, nearest::suggestion};

const KNOWN: &[&str] = &["topic", "version", "encoding", "group", "deduplication_id"];

/// Returns what the attributes say; `None` means that they name no topic, and that an error says so.
pub(super) fn event(input: &DeriveInput, errors: &mut Errors) -> Option<Event> {
    let before = errors.count();
    let mut keys = Keys::default();
    for attribute in &input.attrs {
        if attribute.path().is_ident("event") {
            let read = attribute.parse_nested_meta(|meta| keys.read(&meta, input, errors));
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
        encoding: keys.encoding,
        group: keys.group,
        deduplication_id: keys.deduplication_id,
    })
}

#[derive(Default)]
struct Keys {
    topic: Option<LitStr>,
    version: Option<LitInt>,
    encoding: Option<Type>,
    group: Option<Part>,
    deduplication_id: Option<Part>,
}

impl Keys {
    fn read(
        &mut self,
        meta: &ParseNestedMeta<'_>,
        input: &DeriveInput,
        errors: &mut Errors,
    ) -> syn::Result<()> {
        let name = meta
            .path
            .get_ident()
            .map(ToString::to_string)
            .unwrap_or_default();
        let twice = match name.as_str() {
            "topic" => self.topic.is_some(),
            "version" => self.version.is_some(),
            "encoding" => self.encoding.is_some(),
            "group" => self.group.is_some(),
            "deduplication_id" => self.deduplication_id.is_some(),
            _ => {
                let what = format!("unknown key `{name}`: {}", suggestion(&name, KNOWN));
                errors.at(&meta.path, what);
                read_over(meta);
                return Ok(());
            }
        };
        if twice {
            errors.at(&meta.path, format!("`{name}` is set twice"));
            read_over(meta);
            return Ok(());
        }
        match name.as_str() {
            "topic" => self.topic = topic(meta, errors),
            "version" => self.version = version(meta, errors),
            "encoding" => self.encoding = encoding(meta, errors),
            "group" => self.group = Part::parse(meta, &name, input, errors),
            _ => self.deduplication_id = Part::parse(meta, &name, input, errors),
        }
        Ok(())
    }
}

/// Skips a value, so that mistakes behind it are reported too.
fn read_over(meta: &ParseNestedMeta<'_>) {
    if let Ok(value) = meta.value() {
        _ = value.parse::<syn::Expr>();
    }
}

fn topic(meta: &ParseNestedMeta<'_>, errors: &mut Errors) -> Option<LitStr> {
    let what = "`topic` is a string, as `topic = \"friend-created\"`";
    let topic = value::<LitStr>(meta, what, errors)?;
    let empty = topic.value().trim().is_empty();
    if empty {
        errors.at(&topic, "`topic` is empty");
    }
    (!empty).then_some(topic)
}

fn version(meta: &ParseNestedMeta<'_>, errors: &mut Errors) -> Option<LitInt> {
    let what = "`version` is a whole number, at least 1, as `version = 2`";
    let version = value::<LitInt>(meta, what, errors)?;
    let positive = matches!(version.base10_parse::<u32>(), Ok(1..));
    if !positive {
        errors.at(&version, what);
    }
    positive.then_some(version)
}

fn encoding(meta: &ParseNestedMeta<'_>, errors: &mut Errors) -> Option<Type> {
    let what = "`encoding` names a type that encodes, as `encoding = Protobuf`";
    value(meta, what, errors)
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
