use loafer_core::{
    message::Message,
    translate::{Bytes, Protobuf},
};
use proptest::{collection::vec, prelude::*};
use prost::Message as _;

use crate::values::{SECRET, decoded, quiet};

#[derive(Clone, PartialEq, prost::Message)]
struct Order {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(bytes = "bytes", tag = "3")]
    picture: Bytes,
    #[prost(sint32, repeated, tag = "4")]
    counts: Vec<i32>,
    #[prost(message, optional, boxed, tag = "5")]
    part_of: Option<Box<Self>>,
}

fn order() -> impl Strategy<Value = Order> {
    let one = (
        any::<u64>(),
        ".{0,12}",
        vec(any::<u8>(), 0..20),
        vec(any::<i32>(), 0..5),
    );
    let one = one.prop_map(|(id, name, picture, counts)| Order {
        id,
        name,
        picture: picture.into(),
        counts,
        part_of: None,
    });
    vec(one, 1..4).prop_map(|orders| {
        let nest = |inner: Option<Box<Order>>, mut order: Order| {
            order.part_of = inner;
            Some(Box::new(order))
        };
        *orders.into_iter().fold(None, nest).unwrap()
    })
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(order in order()) {
        let message = Message::new(order.encode_to_vec());
        prop_assert_eq!(decoded::<_, Order>(&Protobuf, &message).unwrap(), order);
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decoded::<_, Order>(&Protobuf, &Message::new(bytes));
    }

    #[test]
    fn an_error_quotes_nothing(mut order in order(), wrong in 0_usize..4) {
        order.name = SECRET.to_owned();
        let mut body = order.encode_to_vec();
        // A name that is no text, one that is a number, an end in the middle, a wire type that is none.
        match wrong {
            0 => body.extend([b"\x12\x0e", SECRET.as_bytes(), b"\xff"].concat()),
            1 => body.extend(b"\x10\x07"),
            2 => body.extend([b"\x12\x7f", SECRET.as_bytes()].concat()),
            _ => body.extend([b"\x0f", SECRET.as_bytes()].concat()),
        }
        quiet(decoded::<_, Order>(&Protobuf, &Message::new(body)))?;
    }
}
