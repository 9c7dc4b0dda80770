use loafer_core::{message::Message, translate::Json};
use proptest::{collection::vec, prelude::*};

use crate::values::{Order, decoded, order, quiet, wrong};

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(order in order()) {
        let message = Message::new(serde_json::to_vec(&order).unwrap());
        prop_assert_eq!(decoded::<_, Order>(&Json, &message).unwrap(), order);
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        let message = Message::new(bytes);
        let _ = decoded::<_, Order>(&Json, &message);
        let _ = decoded::<_, serde_json::Value>(&Json, &message);
    }

    #[test]
    fn an_error_quotes_nothing(body in wrong(), cut in 0_usize..4) {
        let mut body = body.to_string().into_bytes();
        body.truncate(body.len() - cut);
        quiet(decoded::<_, Order>(&Json, &Message::new(body)))?;
    }
}
