//! What the log says about frames that were made readable.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use lapin::protocol::{
    AMQPClass,
    basic::{AMQPMethod, parse_properties},
    parse_class,
};

use super::{
    HEAD,
    mend::{HEADER, Mended, PROPERTIES},
};

/// How many messages are named within one [`SPAN`]. A publisher may send nothing but such messages.
const NAMED: u32 = 10;
const SPAN: Duration = Duration::from_secs(60);

/// The queue that each channel of one connection is for. Frames say only the number of their channel.
#[derive(Clone, Default)]
pub(crate) struct ChannelQueues(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// By the number of the channel, which later channels use again.
    queues: HashMap<u16, String>,
    /// When the last [`SPAN`] began.
    since: Option<Instant>,
    /// How many messages were named since then, and how many were not.
    named: u32,
    unnamed: u32,
}

impl Known {
    /// Returns how many messages were not named before this one. `None` means that this one is not named either.
    fn turn(&mut self, now: Instant) -> Option<u32> {
        if self.since.is_none_or(|since| now - since >= SPAN) {
            self.since = Some(now);
            self.named = 0;
        }
        if self.named == NAMED {
            self.unnamed += 1;
            return None;
        }
        self.named += 1;
        Some(std::mem::take(&mut self.unnamed))
    }
}

impl ChannelQueues {
    /// Notes what a channel was opened for.
    pub(crate) fn opened(&self, channel: u16, queue: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.queues.insert(channel, queue.to_owned());
    }

    /// Says what was replaced in a frame, and of which message.
    #[cold]
    pub(super) fn report(&self, frame: &[u8], mended: &Mended) {
        let payload = &frame[..frame.len() - 1];
        let channel = u16::from_be_bytes([frame[1], frame[2]]);
        let (mut message_id, mut app_id) = (None, None);
        let (mut exchange, mut routing_key) = (None, None);
        if frame[0] == HEADER {
            if let Ok((_, properties)) = parse_properties(&payload[PROPERTIES..]) {
                message_id = properties.message_id().clone();
                app_id = properties.app_id().clone();
            }
        } else {
            (exchange, routing_key) = match parse_class(&payload[HEAD..]) {
                Ok((_, AMQPClass::Basic(AMQPMethod::Deliver(of)))) => {
                    (Some(of.exchange), Some(of.routing_key))
                }
                Ok((_, AMQPClass::Basic(AMQPMethod::GetOk(of)))) => {
                    (Some(of.exchange), Some(of.routing_key))
                }
                // The text of an error: whoever gets the error says it.
                _ => return,
            };
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(unnamed) = known.turn(Instant::now()) else {
            return;
        };
        let queue = known.queues.get(&channel).map_or("", String::as_str);
        tracing::warn!(
            queue,
            message_id = message_id.as_ref().map(|id| id.as_str()),
            app_id = app_id.as_ref().map(|id| id.as_str()),
            exchange = exchange.as_ref().map(|name| name.as_str()),
            routing_key = routing_key.as_ref().map(|key| key.as_str()),
            replaced = mended.list(),
            unnamed = (unnamed > 0).then_some(unnamed),
            "a message has bytes where AMQP wants UTF-8: each wrong byte was replaced by one of A-Z, a-z, 0-9, - and _, and the message goes on so. Let its \
             sender write them in hex or base64"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publisher_of_nothing_else_is_named_ten_times_a_minute() {
        let (mut known, start) = (Known::default(), Instant::now());
        for _ in 0..NAMED {
            assert_eq!(known.turn(start), Some(0));
        }
        for _ in 0..5 {
            assert_eq!(known.turn(start + SPAN / 2), None);
        }
        assert_eq!(known.turn(start + SPAN), Some(5));
        assert_eq!(known.turn(start + SPAN), Some(0));
    }
}
