//! Amazon resource names.

/// `arn:PARTITION:SERVICE:REGION:ACCOUNT:NAME`, split once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arn<'a> {
    text: &'a str,
    partition: &'a str,
    service: &'a str,
    region: &'a str,
    account: &'a str,
    name: &'a str,
}

impl<'a> Arn<'a> {
    /// Splits a text. `None` means that it is not an ARN.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix("arn:")?.splitn(5, ':');
        let (partition, service) = (parts.next()?, parts.next()?);
        Some(Self {
            text,
            partition,
            service,
            region: parts.next()?,
            account: parts.next()?,
            name: parts.next()?,
        })
    }

    /// Returns whether it names an SNS topic.
    pub(crate) fn is_topic(&self) -> bool {
        self.service == "sns"
    }

    /// Returns the whole ARN.
    pub(crate) fn as_str(&self) -> &'a str {
        self.text
    }

    /// Returns the name of the queue or topic.
    pub(crate) fn name(&self) -> &'a str {
        self.name
    }

    /// Returns the region. `None` means that the ARN leaves it empty.
    pub(crate) fn region(&self) -> Option<&'a str> {
        Some(self.region).filter(|region| !region.is_empty())
    }

    /// Returns the account. `None` means that the ARN leaves it empty.
    pub(crate) fn account(&self) -> Option<&'a str> {
        Some(self.account).filter(|account| !account.is_empty())
    }

    /// Returns whether both are in one service, region and account.
    pub(crate) fn is_beside(&self, other: &Arn<'_>) -> bool {
        let home = |arn: &Arn<'_>| arn.text.len() - arn.name.len();
        self.text[..home(self)] == other.text[..home(other)]
    }

    /// Returns the ARN of another queue or topic in the same service, region and account.
    pub(crate) fn beside(&self, name: &str) -> String {
        format!("{}{name}", &self.text[..self.text.len() - self.name.len()])
    }

    /// Returns the ARN of an SNS topic in the same partition, region and account.
    pub(crate) fn of_topic(&self, topic: &str) -> String {
        let Self {
            partition,
            region,
            account,
            ..
        } = self;
        format!("arn:{partition}:sns:{region}:{account}:{topic}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_has_its_parts() {
        let arn = Arn::parse("arn:aws-cn:sqs:cn-north-1:1:orders").unwrap();
        assert_eq!((arn.name(), arn.region()), ("orders", Some("cn-north-1")));
        assert_eq!(arn.account(), Some("1"));
        assert!(!arn.is_topic());
        assert!(
            Arn::parse("arn:aws:sns:eu-west-1:1:orders")
                .unwrap()
                .is_topic()
        );
        assert_eq!(
            arn.beside("orders-dlq"),
            "arn:aws-cn:sqs:cn-north-1:1:orders-dlq"
        );
        assert_eq!(arn.of_topic("orders"), "arn:aws-cn:sns:cn-north-1:1:orders");
        let beside = arn.beside("others");
        assert!(arn.is_beside(&Arn::parse(&beside).unwrap()));
        let elsewhere = Arn::parse("arn:aws-cn:sqs:cn-north-1:2:orders").unwrap();
        assert!(!arn.is_beside(&elsewhere));
    }

    #[test]
    fn what_is_empty_is_none() {
        let arn = Arn::parse("arn:aws:sns:::orders").unwrap();
        assert_eq!((arn.region(), arn.account()), (None, None));
    }

    #[test]
    fn a_name_is_no_arn() {
        for text in [
            "orders",
            "arn:q",
            "arn:aws:sqs:eu-west-1:1",
            "https://a/1/q",
        ] {
            assert_eq!(Arn::parse(text), None, "{text}");
        }
    }
}
