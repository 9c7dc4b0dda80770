use ::base64::{Engine, engine::general_purpose};
use loafer_core::{
    message::Message,
    translate::{Base64, Bytes},
};
use proptest::{collection::vec, prelude::*};

use crate::values::{Order, SECRET, decoded, order, quiet, wrong};

proptest! {
    #[test]
    fn what_was_put_in_comes_out(payload in vec(any::<u8>(), 0..200), line in 1_usize..80) {
        let engines = [
            general_purpose::STANDARD,
            general_purpose::STANDARD_NO_PAD,
            general_purpose::URL_SAFE,
            general_purpose::URL_SAFE_NO_PAD,
        ];
        for engine in engines {
            let text = engine.encode(&payload).into_bytes();
            for text in [text.chunks(line).collect::<Vec<_>>().join(&b"\r\n"[..]), text] {
                let opened: Vec<u8> = decoded(&Base64::of(Bytes::new()), &Message::new(text)).unwrap();
                prop_assert_eq!(&opened, &payload);
            }
        }
    }

    #[test]
    fn what_was_encoded_is_decoded(order in order()) {
        let text = general_purpose::STANDARD.encode(serde_json::to_vec(&order).unwrap());
        prop_assert_eq!(decoded::<_, Order>(&Base64::new(), &Message::new(text)).unwrap(), order);
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decoded::<_, Vec<u8>>(&Base64::of(Bytes::new()), &Message::new(bytes));
    }

    #[test]
    fn an_error_quotes_nothing(before in "[A-Za-z0-9+/]{0,40}", body in wrong()) {
        quiet(decoded::<_, Order>(&Base64::new(), &Message::new(format!("{before}{SECRET}"))))?;
        let text = general_purpose::STANDARD.encode(body.to_string());
        quiet(decoded::<_, Order>(&Base64::new(), &Message::new(text)))?;
    }
}
