//! Rights: which one is missing on what, and whether a queue may be consumed.
//!
//! RabbitMQ has three a user and virtual host, each a pattern of names: configure, write, read. Before 3.13 its answer names the resource and not the
//! right, which then follows from what was asked for (RabbitMQ docs, "Access Control").

use lapin::{
    options::BasicConsumeOptions,
    types::{AMQPValue, FieldTable},
};
use loafer_core::Error;

use crate::{
    client::{Link, timed},
    error::{self, ACCESS_REFUSED},
    topology::close,
};

/// What consuming is called in errors.
const CONSUMING: &str = "consuming";

/// What RabbitMQ's answer 403 says, where it is about a right: "write access to exchange 'event' in vhost '/' refused for user 'billing'", before 3.13
/// without its first word.
struct Denied<'t> {
    right: Option<&'t str>,
    /// `queue`, `exchange`.
    kind: &'t str,
    name: &'t str,
    vhost: &'t str,
    user: &'t str,
}

impl<'t> Denied<'t> {
    fn read(text: &'t str) -> Option<Self> {
        let (right, resource) = text.split_once("access to ")?;
        let (kind, rest) = resource.split_once(" '")?;
        let (name, rest) = rest.split_once("' in vhost '")?;
        let (vhost, rest) = rest.split_once("' refused for user '")?;
        let rights = ["configure", "write", "read"];
        let word = right.trim().rsplit(' ').next();
        Some(Self {
            right: word.filter(|word| rights.contains(word)),
            kind,
            name,
            vhost,
            user: rest.split_once('\'')?.0,
        })
    }

    /// Which right this call takes on this resource.
    fn right(&self, what: &str) -> &'t str {
        match (self.right, self.kind) {
            (Some(right), _) => right,
            (None, "queue") if what == "binding" => "write",
            (None, "queue") if what.starts_with("declaring") => "configure",
            (None, "queue") => "read",
            (None, _) if what == "binding" => "read",
            (None, _) if what == "declaring the exchange" => "configure",
            (None, _) => "write",
        }
    }
}

/// Which right is missing on what, and how to give it; none where RabbitMQ's text is about something else.
pub(crate) fn denied(what: &str, text: &str) -> Option<String> {
    let denied = Denied::read(text)?;
    let Denied {
        kind,
        name,
        vhost,
        user,
        ..
    } = denied;
    let right = denied.right(what);
    let named = match (kind, name) {
        ("exchange", "amq.default") => "the default exchange, which is called".to_owned(),
        _ => format!("the {kind}"),
    };
    // One that has dead letters is read from, too: what comes second is only guessed where RabbitMQ does not say.
    let or = match (denied.right, right) {
        (None, "configure") if kind == "queue" => " (or `read`, for its dead letters)",
        _ => "",
    };
    Some(format!(
        "user `{user}` lacks the right `{right}`{or} on {named} `{name}`: give it by `rabbitmqctl set_permissions -p {vhost} {user} CONFIGURE WRITE READ`, which sets \
         all three patterns of names anew; that one must match `{name}`"
    ))
}

/// Makes sure that a queue may be consumed, without consuming it: what is asked for is invalid, which RabbitMQ says after it has looked at the rights.
/// A queue that is not there is none of this.
pub(crate) async fn may_consume(link: &Link, queue: &str) -> Result<(), Error> {
    let channel = link.channel(CONSUMING, queue).await?;
    let mut arguments = FieldTable::default();
    let invalid = AMQPValue::LongString("only asking".into());
    arguments.insert("x-priority".into(), invalid);
    let options = BasicConsumeOptions::default();
    let asked = channel.basic_consume(queue.into(), "".into(), options, arguments);
    match timed(CONSUMING, queue, asked).await? {
        Err(failed) if error::code(&failed) == Some(ACCESS_REFUSED) => {
            Err(error::unreachable(CONSUMING, queue, failed))
        }
        Err(_) => Ok(()),
        Ok(_) => {
            close(&channel).await;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "ACCESS_REFUSED - access to queue 'paid' in vhost '/' refused for user 'ana'";
    const NEW: &str = "write access to exchange 'event' in vhost 'shop' refused for user 'ana'";

    #[test]
    fn a_right_is_named_with_its_resource_and_its_remedy() {
        let told = denied("consuming", OLD).unwrap();
        assert!(told.contains("lacks the right `read` on the queue `paid`"));
        assert!(told.contains("set_permissions -p / ana "), "{told}");
        let told = denied("binding", OLD).unwrap();
        assert!(told.contains("`write` on the queue `paid`"), "{told}");
        let told = denied("anything", NEW).unwrap();
        assert!(told.contains("`write` on the exchange `event`"), "{told}");
        assert!(told.contains("set_permissions -p shop ana "), "{told}");
    }

    #[test]
    fn an_answer_about_something_else_is_left_as_it_is() {
        let other = "queue 'paid' in vhost '/' in exclusive use";
        assert!(denied("consuming", other).is_none());
    }
}
