//! Where calls go: region and endpoint.

use std::fmt;

use crate::remedy::quoted;

/// Where the clients look: region, and endpoint where it is not the region's own.
#[derive(Clone)]
pub(crate) struct Place {
    /// `sqs` or `sns`.
    service: &'static str,
    region: String,
    endpoint: Option<String>,
}

impl Place {
    pub(crate) fn new(service: &'static str, region: &str, endpoint: Option<&str>) -> Self {
        let of_service = std::env::var(format!("AWS_ENDPOINT_URL_{}", service.to_uppercase())).ok();
        let endpoint = of_service.as_deref().or(endpoint).map(without_password);
        Self {
            service,
            region: region.to_owned(),
            endpoint,
        }
    }

    pub(crate) fn in_region(&self, region: &str) -> Self {
        Self {
            region: region.to_owned(),
            ..self.clone()
        }
    }

    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    /// What tells `aws` to look there: ` --region us-east-1`, and the endpoint where it is not the region's own.
    pub(crate) fn options(&self) -> String {
        let endpoint = self.endpoint.as_ref();
        let endpoint = endpoint.map(|endpoint| format!(" --endpoint-url {}", quoted(endpoint)));
        format!(" --region {}{}", self.region, endpoint.unwrap_or_default())
    }

    /// Whether the endpoint is not the region's own.
    #[cfg(feature = "s3")]
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.endpoint.is_some()
    }

    /// Where calls go.
    pub(crate) fn endpoint(&self) -> String {
        self.endpoint
            .clone()
            .unwrap_or_else(|| format!("https://{}.{}.amazonaws.com", self.service, self.region))
    }
}

/// As ` in us-east-1 at http://127.0.0.1:9324`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " in {}", self.region)?;
        match &self.endpoint {
            Some(endpoint) => write!(f, " at {endpoint}"),
            None => Ok(()),
        }
    }
}

/// A URL may carry `user:password@`.
fn without_password(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest
                .split_once('/')
                .map_or((rest, None), |(host, path)| (host, Some(path)));
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            path.map_or_else(
                || format!("{scheme}://{host}"),
                |path| format!("{scheme}://{host}/{path}"),
            )
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_loses_its_password() {
        assert_eq!(
            without_password("http://a:b@host:1/p@q"),
            "http://host:1/p@q"
        );
        assert_eq!(without_password("http://host:1"), "http://host:1");
    }
}
