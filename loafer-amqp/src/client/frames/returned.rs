//! Messages that RabbitMQ returned, without what their publisher put into them.
//!
//! The client logs each of them whole, with its headers and its body, before anybody could take it. The publisher knows its message by exchange, routing
//! key and id, so the client is given nothing else.

use std::collections::BTreeMap;

use lapin::protocol::basic::parse_properties;

use super::{
    HEAD,
    mend::{HEADER, METHOD, PROPERTIES},
};

/// basic.return, as its class and number.
const RETURN: &[u8] = &[0, 60, 0, 50];

/// The byte that ends a frame.
const END: u8 = 0xce;

/// The flags of properties that are a message id alone.
const MESSAGE_ID_ALONE: u16 = 1 << 7;

/// What is still to come of the messages that are being returned, by channel.
#[derive(Default)]
pub(super) struct Returned(BTreeMap<u16, Rest>);

enum Rest {
    /// The header, and the body after it.
    Header,
    /// This many bytes of the body.
    Body(u64),
}

impl Returned {
    /// Shortens a whole frame that the client can read, if it is the header of a returned message. Returns how many bytes are left of it.
    pub(super) fn shorten(&mut self, frame: &mut [u8]) -> usize {
        let channel = channel(frame);
        match frame[0] {
            METHOD if frame[HEAD..].starts_with(RETURN) => {
                self.0.insert(channel, Rest::Header);
            }
            // Another message begins.
            METHOD => _ = self.0.remove(&channel),
            // Properties have two bytes of flags, and one more byte ends the frame.
            HEADER if frame.len() > PROPERTIES + 2 && self.0.remove(&channel).is_some() => {
                let (head, rest) = frame.split_at_mut(PROPERTIES);
                let size = &mut head[PROPERTIES - 8..];
                let body = size.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
                if body > 0 {
                    self.0.insert(channel, Rest::Body(body));
                }
                size.fill(0);
                let properties = message_id_alone(&rest[..rest.len() - 1]);
                let whole = PROPERTIES + properties.len() + 1;
                rest[..properties.len()].copy_from_slice(&properties);
                rest[properties.len()] = END;
                let size = u32::try_from(whole - HEAD - 1).unwrap_or(u32::MAX);
                head[3..HEAD].copy_from_slice(&size.to_be_bytes());
                return whole;
            }
            _ => {}
        }
        frame.len()
    }

    /// Returns whether a frame of a body, of which at least the head is here, is part of a returned message. It is asked once for each frame.
    pub(super) fn takes(&mut self, head: &[u8], size: usize) -> bool {
        let channel = channel(head);
        let Some(Rest::Body(left)) = self.0.get_mut(&channel) else {
            return false;
        };
        *left = left.saturating_sub(size as u64);
        if *left == 0 {
            self.0.remove(&channel);
        }
        true
    }
}

/// Returns properties without all but the message id. They are no longer than these.
fn message_id_alone(properties: &[u8]) -> Vec<u8> {
    let parsed = parse_properties(properties).ok();
    let id = parsed.and_then(|(_, properties)| properties.message_id().clone());
    let id = id.as_ref().map(|id| id.as_str().as_bytes());
    let length = id.and_then(|id| u8::try_from(id.len()).ok());
    match id.zip(length) {
        Some((id, length)) => [&MESSAGE_ID_ALONE.to_be_bytes()[..], &[length], id].concat(),
        None => vec![0, 0],
    }
}

fn channel(frame: &[u8]) -> u16 {
    u16::from_be_bytes([frame[1], frame[2]])
}
