//! Where the clients of one instance call.

use aws_config::{Region, SdkConfig};

use super::Endpoint;

/// Where the clients of one instance call: SQS, SNS and S3 alike.
#[derive(Clone, Default)]
pub(crate) enum Endpoints {
    /// Where the configuration of the SDK says: `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_SQS`, a profile, or the code.
    #[default]
    OfConfig,
    /// At this URL, whatever else says.
    At(String),
    /// At the endpoints of AWS in the region, whatever the environment says.
    OfAws,
}

impl Endpoints {
    /// Returns what the clients are to be told. The outer `None` means nothing: they read the configuration of the SDK.
    pub(crate) fn overridden(&self) -> Option<Option<String>> {
        match self {
            Self::OfConfig => None,
            Self::At(url) => Some(Some(url.clone())),
            Self::OfAws => Some(None),
        }
    }

    /// Returns where the client of one service calls.
    pub(crate) fn of(
        &self,
        service: &'static str,
        region: &Region,
        config: &SdkConfig,
    ) -> Endpoint {
        let region = region.as_ref();
        match self {
            Self::OfConfig => Endpoint::of_config(service, region, config.endpoint_url()),
            Self::At(url) => Endpoint::new(service, region, Some(url)),
            Self::OfAws => Endpoint::new(service, region, None),
        }
    }
}
