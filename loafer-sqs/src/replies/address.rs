//! The address of a reply, as a request names it. Only on SQS it can lead to somebody else's queue.

use loafer_core::{
    Error,
    broker::{Topic, is_reply_queue},
};

use super::NAME;
use crate::{
    client::Homes,
    names::{QueueAddress, is_account},
};

/// Returns the topic for a reply address that a request named.
///
/// An address is the URL of a queue whose name is that of a reply queue, in an account and region of ours, or in an account that the settings
/// allow. The host in the URL is never called: requests are signed for and sent to the endpoint of this service, or to that of AWS in the region
/// that the URL names.
///
/// # Errors
///
/// Says what the address is not, or which account is to be allowed.
pub(crate) fn topic(address: &str, homes: &Homes) -> Result<Topic, Error> {
    let Some(account) = reply_account(address) else {
        return Err(Error::Config(
            "the header `reply-to` is not the URL of a reply queue on SQS, as https://sqs.REGION.amazonaws.com/ACCOUNT/NAME-replies-UUID".to_owned(),
        ));
    };
    let region = QueueAddress::parse(address).region();
    if homes.allow(account, region) {
        return Ok(Topic::from(format!("sqs:{address}")));
    }
    let region = region.map_or_else(String::new, |region| format!(" in {region}"));
    Err(Error::Config(format!(
        "the header `reply-to` names a queue of account {account}{region}, and replies stay in the account and region of this service's queues; if          requests may come from there, add \"{account}\" to `reply_accounts` under [brokers.sqs] in loafer.toml"
    )))
}

/// Returns the account of the reply queue that an address names. `None` means that it is no such address.
fn reply_account(address: &str) -> Option<&str> {
    let url = address
        .strip_prefix("https://")
        .or_else(|| address.strip_prefix("http://"));
    let mut parts = url?.split('/');
    let (host, account, name) = (parts.next()?, parts.next()?, parts.next()?);
    let plain = |text: &str, also: &[u8]| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || also.contains(&byte))
    };
    let is_address = parts.next().is_none()
        && plain(host, b".-:")
        && is_account(account)
        && name.len() <= NAME
        && plain(name, b"-_")
        && is_reply_queue(name);
    is_address.then_some(account)
}

#[cfg(test)]
mod tests {
    use loafer_core::broker::reply_queue;

    use super::*;
    use crate::names::Endpoint;

    fn anywhere() -> Homes {
        Homes::with_allowed(vec!["000000000000".to_owned()])
    }

    #[test]
    fn replies_stay_in_the_accounts_and_regions_of_the_services_queues() {
        let homes = Homes::with_allowed(vec!["7".to_owned()]);
        let endpoint = Endpoint::new("sqs", "eu-west-1", None);
        let own = "https://sqs.eu-west-1.amazonaws.com/1/orders";
        homes.add(own, &endpoint);
        let name = reply_queue(None, NAME);
        for (home, allowed) in [
            ("sqs.eu-west-1.amazonaws.com/1", true),
            ("127.0.0.1:9324/1", true),
            ("sqs.us-east-1.amazonaws.com/1", false),
            ("sqs.eu-west-1.amazonaws.com/2", false),
            ("127.0.0.1:9324/2", false),
            ("sqs.us-east-1.amazonaws.com/7", true),
        ] {
            let topic = topic(&format!("https://{home}/{name}"), &homes);
            assert_eq!(topic.is_ok(), allowed, "{home}: {topic:?}");
        }
        let foreign = format!("https://sqs.us-east-1.amazonaws.com/2/{name}");
        let said = topic(&foreign, &homes).map(drop).unwrap_err().to_string();
        assert!(said.contains("account 2 in us-east-1"), "{said}");
        assert!(said.contains("add \"2\" to `reply_accounts`"), "{said}");
    }

    #[test]
    fn a_reply_queue_by_its_url_is_an_address_and_nothing_else_is() {
        let name = reply_queue(Some("friends"), NAME);
        for host in [
            "https://sqs.eu-west-1.amazonaws.com",
            "https://sqs.cn-north-1.amazonaws.com.cn",
            "http://127.0.0.1:9324",
            "http://sqs.us-east-1.localhost:4566",
        ] {
            let url = format!("{host}/000000000000/{name}");
            let topic = topic(&url, &anywhere()).unwrap();
            assert_eq!(topic.as_str(), format!("sqs:{url}"));
        }
        for address in [
            name.clone(),
            format!("sqs:{name}"),
            format!("arn:aws:sqs:eu-west-1:1:{name}"),
            "https://sqs.eu-west-1.amazonaws.com/1/orders".to_owned(),
            format!("https://sqs.eu-west-1.amazonaws.com/1/2/{name}"),
            format!("https://sqs.eu-west-1.amazonaws.com/{name}"),
            format!("https://sqs.eu-west-1.amazonaws.com/me/{name}"),
            format!("https://a:b@sqs.eu-west-1.amazonaws.com/1/{name}"),
            format!("https://sqs.eu-west-1.amazonaws.com/1/orders?{name}"),
            format!("https://sqs.eu-west-1.amazonaws.com/1/orders#{name}"),
            format!("https:///1/{name}"),
            String::new(),
        ] {
            let error = topic(&address, &anywhere())
                .map(|topic| topic.to_string())
                .unwrap_err();
            assert!(error.to_string().contains("reply-to"), "{address}");
        }
    }
}
