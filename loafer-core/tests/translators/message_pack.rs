use loafer_core::{message::Message, translate::MessagePack};
use proptest::{collection::vec, prelude::*};

use crate::values::{Order, decoded, order, quiet, wrong};

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(order in order()) {
        for bytes in [rmp_serde::to_vec(&order).unwrap(), rmp_serde::to_vec_named(&order).unwrap()] {
            prop_assert_eq!(&decoded::<_, Order>(&MessagePack, &Message::new(bytes)).unwrap(), &order);
        }
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        let message = Message::new(bytes);
        let _ = decoded::<_, Order>(&MessagePack, &message);
        let _ = decoded::<_, serde_json::Value>(&MessagePack, &message);
    }

    #[test]
    fn a_byte_more_is_an_error(order in order(), more: u8) {
        let mut bytes = rmp_serde::to_vec(&order).unwrap();
        bytes.push(more);
        prop_assert!(decoded::<_, Order>(&MessagePack, &Message::new(bytes)).is_err());
    }

    #[test]
    fn an_error_quotes_nothing(body in wrong(), cut in 0_usize..4) {
        let mut body = rmp_serde::to_vec_named(&body).unwrap();
        body.truncate(body.len() - cut);
        quiet(decoded::<_, Order>(&MessagePack, &Message::new(body)))?;
    }
}
