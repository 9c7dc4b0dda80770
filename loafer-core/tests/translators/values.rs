//! What the properties are held against.

use std::collections::BTreeMap;

use loafer_core::{
    message::Message,
    translate::{Envelope, TranslateError, Translator},
};
use proptest::{
    collection::{btree_map, vec},
    prelude::*,
};
use serde::{Deserialize, Serialize};

/// In every wrong body, in no error. It is no name: keys that look like a field's are told.
pub(crate) const SECRET: &str = "s3cr3t m@rker";

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Order {
    id: u64,
    name: String,
    tags: Vec<String>,
    kind: Kind,
    price: Option<i32>,
    counts: BTreeMap<String, u8>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
enum Kind {
    Plain,
    Letter(char),
    Sized { width: u16, height: i64 },
}

pub(crate) fn order() -> impl Strategy<Value = Order> {
    let kind = prop_oneof![
        Just(Kind::Plain),
        any::<char>().prop_map(Kind::Letter),
        any::<(u16, i64)>().prop_map(|(width, height)| Kind::Sized { width, height }),
    ];
    let text = ".{0,12}";
    (
        (any::<u64>(), text, vec(text, 0..4), any::<Option<i32>>()),
        kind,
        btree_map(text, any::<u8>(), 0..4),
    )
        .prop_map(|((id, name, tags, price), kind, counts)| Order {
            id,
            name,
            tags,
            kind,
            price,
            counts,
        })
}

/// A value with the secret somewhere, that no type of these tests takes.
pub(crate) fn wrong() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::json;
    prop_oneof![
        Just(json!(SECRET)),
        Just(json!([SECRET])),
        Just(json!({ SECRET: 1 })),
        Just(json!({"id": SECRET, "name": "n"})),
        Just(json!({"id": 1, "name": "n", "tags": SECRET})),
        Just(json!({"id": 1, "name": "n", "tags": [], "kind": SECRET})),
        Just(json!({"id": 1, "name": "n", "tags": [], "kind": {"Letter": SECRET}})),
        Just(json!({"id": 1, "name": "n", "tags": [], "kind": {SECRET: 1}})),
        Just(json!({"id": 1, "name": "n", "tags": [], "kind": "Plain", "counts": {SECRET: -1}})),
        any::<i64>().prop_map(|id| json!({"id": id, "tags": [{"name": SECRET}]})),
        any::<String>().prop_map(|name| json!({"id": -1, "name": name, "tags": [SECRET]})),
    ]
}

/// Opens and decodes.
pub(crate) fn decoded<E, X>(translator: &E, raw: &Message) -> Result<X, TranslateError>
where
    E: Envelope + for<'m> Translator<'m, X>,
{
    translator.translate(&*translator.open(raw)?)
}

/// The text of an error that there must be, and that must not quote.
pub(crate) fn quiet<X>(result: Result<X, TranslateError>) -> Result<(), TestCaseError> {
    let Err(error) = result else {
        return Err(TestCaseError::fail("a wrong body was decoded"));
    };
    for text in [error.to_string(), format!("{error:?}")] {
        prop_assert!(!text.contains(SECRET), "{}", text);
    }
    Ok(())
}
