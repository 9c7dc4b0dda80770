use loafer_core::{
    message::Message,
    translate::{Bytes, Text},
};
use proptest::{collection::vec, prelude::*};

use crate::values::{SECRET, decoded, quiet};

proptest! {
    #[test]
    fn text_is_what_was_sent(text: String) {
        let message = Message::new(text.clone());
        prop_assert_eq!(decoded::<_, String>(&Text, &message).unwrap(), text);
    }

    #[test]
    fn bytes_are_what_was_sent(bytes in vec(any::<u8>(), 0..200)) {
        let message = Message::new(bytes.clone());
        prop_assert_eq!(decoded::<_, Vec<u8>>(&Bytes::new(), &message).unwrap(), bytes);
    }

    #[test]
    fn what_is_no_text_is_not_quoted(before: String, after in vec(any::<u8>(), 0..50)) {
        let body = [before.as_bytes(), SECRET.as_bytes(), b"\xff", &after].concat();
        quiet(decoded::<_, String>(&Text, &Message::new(body)))?;
    }
}
