//! Addresses of RabbitMQ.

use fastrand::Rng;
use loafer_amqp::__private::read_address;
use loafer_core::translate::TranslateError;

use crate::{Seen, Target};

#[derive(Debug)]
pub(crate) struct AmqpAddress;

impl Target for AmqpAddress {
    fn name(&self) -> &'static str {
        "amqp_address"
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "amqp://",
            "amqps://",
            "@",
            ":5672",
            "/%2f",
            "?heartbeat=",
            "&connection_timeout=",
            "channel_max=",
            "frame_max=",
            "auth_mechanism=",
            "verify=",
            "[2001:db8::7]",
            "%40",
        ]
    }

    fn decode(&self, input: &[u8], seen: &mut Seen) {
        let text = String::from_utf8_lossy(input);
        seen.result(read_address(&text).map_err(TranslateError::new));
    }

    fn round_trip(&self, random: &mut Rng) -> Vec<u8> {
        let word = |random: &mut Rng| -> String {
            (0..random.usize(1..9))
                .map(|_| random.lowercase())
                .collect()
        };
        let host = match random.u8(..3) {
            0 => "[2001:db8::7]".to_owned(),
            1 => format!("10.0.{}.{}", random.u8(..), random.u8(..)),
            _ => word(random),
        };
        let address = format!(
            "amqp{}://{}:{}@{host}:{}/{}?heartbeat={}",
            if random.bool() { "s" } else { "" },
            word(random),
            word(random),
            random.u16(1..),
            word(random),
            random.u16(..)
        );
        if let Err(error) = read_address(&address) {
            panic!("an address is not read: {error}");
        }
        address.into_bytes()
    }
}
