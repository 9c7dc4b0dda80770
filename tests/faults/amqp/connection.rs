//! What the ledger is told of a connection: deliveries given, acks, copies sent and confirmed, and its end.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use lapin::protocol::basic::{AMQPMethod, AMQPProperties};

use super::frame::{Frame, Says, number};
use crate::ledger::Ledger;

/// How the exchange behind the delay queues ends: due retries go on there.
const DELAYS: &str = ".delays";
/// What stands between a service's name and the seconds that retries wait.
const RETRY: &str = ".delays.";
/// How the queue of due retries ends.
const DUE: &str = ".delays.due";
/// How the name of a dead-letter queue ends.
const DEAD: &str = ".dead";
/// How the name of a queue of isolated messages ends.
const ISOLATED: &str = ".isolated";
/// The header of a message that only asks whether a queue exists.
const PROBE: &str = "loafer-probe";
/// What the last byte of a delay queue's name becomes where there is to be no such queue.
const NOWHERE: u8 = b'x';

/// One connection of a proxy. Dropped when it ends, which is told.
#[derive(Debug)]
pub(super) struct Connection<'l> {
    name: &'l str,
    ledger: &'l Ledger,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Its end gives deliveries back.
    consumes: bool,
    /// Its end leaves publications unconfirmed.
    publishes: bool,
    channels: HashMap<u16, Channel>,
}

#[derive(Debug, Default)]
struct Channel {
    /// Message and attempt of what was given and not settled, by its tag.
    given: BTreeMap<u64, (u64, u64)>,
    /// Whether due retries come on it: they are carried on, and nobody handles them.
    due: bool,
    /// Publications so far: confirms count them.
    published: u64,
    unconfirmed: BTreeMap<u64, Sent>,
    asking: Option<Content>,
    answering: Option<Content>,
}

/// What was published.
#[derive(Clone, Copy, Debug)]
enum Sent {
    /// From the publisher, of this number.
    Message(u64),
    /// A copy that waits, by message and attempt.
    Retry(u64, u64),
    /// A copy that is handed over alone, by message and attempt.
    Isolated(u64, u64),
    /// A copy of this message.
    DeadLetter(u64),
    /// A due retry, on to its queue.
    Carried,
    /// Nothing of the ledger's.
    Probe,
    /// What no queue took.
    Returned(u64),
}

/// A message on its way through a channel.
#[derive(Debug)]
struct Content {
    what: What,
    /// From its headers.
    attempt: u64,
    /// From its headers: it is no message of the run, and has no body.
    probe: bool,
    /// Bytes still to come.
    left: u64,
    body: Vec<u8>,
}

#[derive(Clone, Debug)]
enum What {
    /// With this tag.
    Given(u64),
    /// A due retry, on to its queue.
    Carried,
    /// With this routing key; changed, so that no queue takes it.
    Published(String, bool),
    Returned,
}

impl<'l> Connection<'l> {
    pub(super) fn new(name: &'l str, ledger: &'l Ledger) -> Self {
        Self {
            name,
            ledger,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client says this. Where it is to be refused some, RabbitMQ gets to see a queue of retries that is not there.
    pub(super) fn asked(&self, frame: &mut Frame, refuse: bool) {
        let mut state = self.state();
        let says = frame.says();
        if let Says::Basic(method) = &says {
            state.consumes |= matches!(method, AMQPMethod::Consume(_) | AMQPMethod::Get(_));
            state.publishes |= matches!(method, AMQPMethod::Publish(_));
        }
        let channel = state.channels.entry(frame.channel()).or_default();
        match says {
            Says::Opens => *channel = Channel::default(),
            Says::Basic(AMQPMethod::Consume(consume)) => {
                channel.due |= consume.queue.as_str().ends_with(DUE);
            }
            Says::Basic(AMQPMethod::Publish(publish))
                if publish.exchange.as_str().ends_with(DELAYS) =>
            {
                channel.asking = Some(Content::of(What::Carried));
            }
            Says::Basic(AMQPMethod::Publish(publish)) => {
                let key = publish.routing_key.to_string();
                let changed = refuse && key.contains(RETRY) && fastrand::u8(..5) < 2;
                if changed {
                    // Behind the key there are the flags and the end of the frame.
                    let last = frame.0.len() - 3;
                    frame.0[last] = NOWHERE;
                }
                channel.asking = Some(Content::of(What::Published(key, changed)));
            }
            Says::Basic(AMQPMethod::Ack(ack)) => {
                let word = if channel.due { "carried" } else { "deleting" };
                for (id, attempt) in settled(&mut channel.given, ack.delivery_tag, ack.multiple) {
                    let name = self.name;
                    self.ledger.write(&format!("{word} {id} {attempt} {name}"));
                }
            }
            Says::Basic(AMQPMethod::Nack(nack)) => {
                settled(&mut channel.given, nack.delivery_tag, nack.multiple);
            }
            says => {
                if let Some(content) = whole(&mut channel.asking, &says, frame) {
                    channel.published += 1;
                    let sent = self.publishing(&content);
                    channel.unconfirmed.insert(channel.published, sent);
                }
            }
        }
    }

    /// A message is published: what of.
    fn publishing(&self, content: &Content) -> Sent {
        let Some(id) = content.id() else {
            return Sent::Probe;
        };
        let (attempt, name) = (content.attempt, self.name);
        let What::Published(key, changed) = &content.what else {
            self.ledger
                .write(&format!("carrying {id} {attempt} {name}"));
            return Sent::Carried;
        };
        match key.split_once(RETRY) {
            Some(_) if *changed => Sent::Returned(id),
            Some((_, delay)) => {
                let seconds: u64 = delay.trim_end_matches('s').parse().unwrap();
                let ms = 1_000 * seconds;
                self.ledger
                    .write(&format!("copying {id} {attempt} {ms} {name}"));
                Sent::Retry(id, attempt)
            }
            None if key.ends_with(ISOLATED) => {
                self.ledger
                    .write(&format!("isolating {id} {attempt} {name}"));
                Sent::Isolated(id, attempt)
            }
            None if key.ends_with(DEAD) => {
                self.ledger.write(&format!("burying {id} {name}"));
                Sent::DeadLetter(id)
            }
            None => {
                self.ledger.write(&format!("published {id} {name}"));
                Sent::Message(id)
            }
        }
    }

    /// The server says this.
    pub(super) fn answered(&self, frame: &mut Frame) {
        let mut state = self.state();
        let channel = state.channels.entry(frame.channel()).or_default();
        match frame.says() {
            Says::Basic(AMQPMethod::Deliver(deliver)) => {
                channel.answering = Some(Content::of(What::Given(deliver.delivery_tag)));
            }
            Says::Basic(AMQPMethod::GetOk(got)) => {
                channel.answering = Some(Content::of(What::Given(got.delivery_tag)));
            }
            Says::Basic(AMQPMethod::Return(returned)) => {
                let last = frame.0.len() - 2;
                if returned.routing_key.as_str().contains(RETRY) && frame.0[last] == NOWHERE {
                    frame.0[last] = b's';
                }
                channel.answering = Some(Content::of(What::Returned));
            }
            Says::Basic(AMQPMethod::Ack(ack)) => {
                for sent in settled(&mut channel.unconfirmed, ack.delivery_tag, ack.multiple) {
                    match sent {
                        Sent::Message(id) => self.ledger.write(&format!("accepted {id}")),
                        Sent::Retry(id, next) => self.ledger.write(&format!("waiting {id} {next}")),
                        Sent::Isolated(id, attempt) => {
                            self.ledger.write(&format!("isolated {id} {attempt}"));
                        }
                        Sent::DeadLetter(id) => self.ledger.write(&format!("copied {id}")),
                        Sent::Returned(id) => self.ledger.write(&format!("returned {id}")),
                        Sent::Carried | Sent::Probe => {}
                    }
                }
            }
            Says::Basic(AMQPMethod::Nack(nack)) => {
                settled(&mut channel.unconfirmed, nack.delivery_tag, nack.multiple);
            }
            says => {
                let Some(content) = whole(&mut channel.answering, &says, frame) else {
                    return;
                };
                let Some(id) = content.id() else {
                    return;
                };
                let What::Given(tag) = content.what else {
                    return channel.returned(id);
                };
                let (attempt, name) = (content.attempt, self.name);
                let word = if channel.due { "due" } else { "given" };
                self.ledger.write(&format!("{word} {id} {attempt} {name}"));
                channel.given.insert(tag, (id, attempt));
            }
        }
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        let (consumes, publishes) = {
            let state = self.state();
            (state.consumes, state.publishes)
        };
        for (does, word) in [(consumes, "closed"), (publishes, "dropped")] {
            if does {
                self.ledger.write(&format!("{word} {}", self.name));
            }
        }
    }
}

impl Channel {
    /// No queue took a copy of this message. Of two copies it is the one that was changed.
    fn returned(&mut self, id: u64) {
        let changed = |sent: &Sent| matches!(sent, Sent::Returned(of) if *of == id);
        if self.unconfirmed.values().any(changed) {
            return;
        }
        let copy = |sent: &&mut Sent| matches!(**sent, Sent::Message(of) | Sent::Retry(of, _) | Sent::Isolated(of, _) | Sent::DeadLetter(of) if of == id);
        if let Some(sent) = self.unconfirmed.values_mut().find(copy) {
            *sent = Sent::Returned(id);
        }
    }
}

impl Content {
    fn of(what: What) -> Self {
        Self {
            what,
            attempt: 0,
            probe: false,
            left: 0,
            body: Vec::new(),
        }
    }

    /// The number of the message; none: it is a probe.
    fn id(&self) -> Option<u64> {
        if self.probe && self.body.is_empty() {
            return None;
        }
        let job: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        Some(job["id"].as_u64().unwrap())
    }
}

/// Goes on with a message; gives it once all of it is there.
fn whole(content: &mut Option<Content>, says: &Says, frame: &Frame) -> Option<Content> {
    let under_way = content.as_mut()?;
    match says {
        Says::Header(length, properties) => {
            under_way.left = *length;
            under_way.attempt = attempt(properties);
            let headers = properties.headers().as_ref();
            under_way.probe = headers.is_some_and(|headers| headers.contains_key(PROBE));
        }
        Says::Body => {
            under_way.body.extend(frame.payload());
            under_way.left -= frame.payload().len() as u64;
        }
        _ => return None,
    }
    match under_way.left {
        0 => content.take(),
        _ => None,
    }
}

/// Which attempt a delivery is, or a copy is for: what the last copy says. How often that was delivered costs no attempt.
fn attempt(properties: &AMQPProperties) -> u64 {
    number(properties, "loafer-attempt").unwrap_or(1)
}

/// Takes out what is settled by this.
fn settled<T>(open: &mut BTreeMap<u64, T>, tag: u64, multiple: bool) -> Vec<T> {
    let tags: Vec<u64> = match (multiple, tag) {
        (true, 0) => open.keys().copied().collect(),
        (true, tag) => open.range(..=tag).map(|(tag, _)| *tag).collect(),
        (false, tag) => vec![tag],
    };
    tags.iter().filter_map(|tag| open.remove(tag)).collect()
}
