//! How a queue is named: by its name, its URL or its ARN.

use super::Arn;

/// A queue as somebody named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueueAddress<'a> {
    /// Its bare name: a queue of the own account and region.
    Name(&'a str),
    /// Its URL.
    Url(&'a str),
    /// Its ARN.
    Arn(Arn<'a>),
}

impl<'a> QueueAddress<'a> {
    /// Reads a configured queue.
    pub(crate) fn parse(queue: &'a str) -> Self {
        if queue.starts_with("https://") || queue.starts_with("http://") {
            return Self::Url(queue);
        }
        Arn::parse(queue).map_or(Self::Name(queue), Self::Arn)
    }

    /// Returns the bare name.
    pub(crate) fn name(&self) -> &'a str {
        match self {
            Self::Name(name) => name,
            Self::Url(url) => url.rsplit('/').next().unwrap_or(url),
            Self::Arn(arn) => arn.name(),
        }
    }

    /// Returns the account in an ARN or in `…/ACCOUNT/NAME`. `None` means that the address names none.
    pub(crate) fn account(&self) -> Option<&'a str> {
        let account = match self {
            Self::Name(_) => None,
            Self::Arn(arn) => arn.account(),
            Self::Url(url) => url.rsplit('/').nth(1),
        };
        account.filter(|account| is_account(account))
    }

    /// Returns the region in an ARN or in the host of a URL: `sqs.REGION.amazonaws.com`, and the hosts of FIPS, of VPC endpoints and of old. `None` means
    /// that the address names none.
    pub(crate) fn region(&self) -> Option<&'a str> {
        match self {
            Self::Name(_) => None,
            Self::Arn(arn) => arn.region(),
            Self::Url(url) => {
                let host = url.split_once("://")?.1.split(['/', ':']).next()?;
                let host = host.strip_suffix(".cn").unwrap_or(host);
                let name = host.strip_suffix(".amazonaws.com");
                let name = name.or_else(|| host.strip_suffix(".api.aws"))?;
                match name.split('.').collect::<Vec<_>>()[..] {
                    ["sqs" | "sqs-fips", region]
                    | [_, "sqs", region, "vpce"]
                    | [region, "queue"] => Some(region),
                    ["queue"] => Some("us-east-1"),
                    _ => None,
                }
            }
        }
    }
}

/// Returns whether a text can be the id of an account.
pub(crate) fn is_account(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the name in the name, URL or ARN of a queue.
pub(crate) fn queue_name(queue: &str) -> &str {
    QueueAddress::parse(queue).name()
}

/// Returns the name of the dead-letter queue that is made for a queue: `orders-dlq` for `orders`, `orders-dlq.fifo` for `orders.fifo`.
pub(crate) fn dead_letter_queue(queue: &str) -> String {
    match queue.strip_suffix(".fifo") {
        Some(name) => format!("{name}-dlq.fifo"),
        None => format!("{queue}-dlq"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_named_or_addressed() {
        let url = "http://127.0.0.1:9324/000000000000/orders";
        assert_eq!(QueueAddress::parse(url), QueueAddress::Url(url));
        for queue in ["httpd-events", "arn:q"] {
            assert_eq!(QueueAddress::parse(queue), QueueAddress::Name(queue));
        }
        for queue in ["orders", url, "arn:aws:sqs:eu-west-1:1:orders"] {
            assert_eq!(queue_name(queue), "orders");
        }
    }

    #[test]
    fn a_queues_address_tells_its_region() {
        for (queue, expected) in [
            ("arn:aws-cn:sqs:cn-north-1:1:q", Some("cn-north-1")),
            ("eu-west-1", None),
            ("https://sqs.eu-west-1.amazonaws.com/1/q", Some("eu-west-1")),
            (
                "https://sqs.cn-north-1.amazonaws.com.cn/1/q",
                Some("cn-north-1"),
            ),
            (
                "https://sqs-fips.us-east-2.amazonaws.com/1/q",
                Some("us-east-2"),
            ),
            (
                "https://vpce-0a-1b.sqs.eu-west-1.vpce.amazonaws.com/1/q",
                Some("eu-west-1"),
            ),
            (
                "https://eu-west-1.queue.amazonaws.com/1/q",
                Some("eu-west-1"),
            ),
            ("https://queue.amazonaws.com/1/q", Some("us-east-1")),
            ("https://sqs.eu-west-1.api.aws/1/q", Some("eu-west-1")),
            ("https://sns.eu-west-1.amazonaws.com/1/q", None),
            ("http://127.0.0.1:9324/0/q", None),
            (
                "http://sqs.us-east-1.localhost.localstack.cloud:4566/0/q",
                None,
            ),
        ] {
            assert_eq!(QueueAddress::parse(queue).region(), expected, "{queue}");
        }
    }

    #[test]
    fn a_queues_address_tells_its_account() {
        for (queue, expected) in [
            ("arn:aws:sqs:eu-west-1:12:q", Some("12")),
            ("https://sqs.eu-west-1.amazonaws.com/12/q", Some("12")),
            ("http://127.0.0.1:9324/q", None),
            ("q", None),
        ] {
            assert_eq!(QueueAddress::parse(queue).account(), expected, "{queue}");
        }
    }

    #[test]
    fn a_dead_letter_queue_is_fifo_as_its_source_is() {
        assert_eq!(dead_letter_queue("orders"), "orders-dlq");
        assert_eq!(dead_letter_queue("orders.fifo"), "orders-dlq.fifo");
    }
}
