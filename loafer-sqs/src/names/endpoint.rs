//! Where calls go: a region, and the URL of an endpoint.

use std::fmt;

/// Where a client sends its calls.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// `sqs`, `sns` or `s3`.
    service: &'static str,
    region: String,
    /// `None` means the region's own endpoint.
    url: Option<String>,
}

impl Endpoint {
    /// The endpoint of a service.
    pub(crate) fn new(service: &'static str, region: &str, url: Option<&str>) -> Self {
        Self {
            service,
            region: region.to_owned(),
            url: url.map(without_password),
        }
    }

    /// The endpoint of a service by the configuration of the SDK, in which `AWS_ENDPOINT_URL_SERVICE` is stronger than `url`.
    pub(crate) fn of_config(service: &'static str, region: &str, url: Option<&str>) -> Self {
        let of_service = std::env::var(format!("AWS_ENDPOINT_URL_{}", service.to_uppercase())).ok();
        Self::new(service, region, of_service.as_deref().or(url))
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

    /// Returns the options with which the program `aws` calls the same endpoint, with a leading space.
    pub(crate) fn options(&self) -> String {
        let url = self.url.as_ref();
        let url = url.map(|url| format!(" --endpoint-url {}", quoted(url)));
        format!(" --region {}{}", self.region, url.unwrap_or_default())
    }

    /// Returns whether the endpoint is not the region's own.
    #[cfg(feature = "s3")]
    pub(crate) fn is_custom(&self) -> bool {
        self.url.is_some()
    }

    /// Returns the URL that is called.
    pub(crate) fn url(&self) -> String {
        let of_china = match self.region.starts_with("cn-") {
            true => ".cn",
            false => "",
        };
        let (service, region) = (self.service, &self.region);
        self.url
            .clone()
            .unwrap_or_else(|| format!("https://{service}.{region}.amazonaws.com{of_china}"))
    }
}

/// Writes ` in us-east-1`, or ` in us-east-1 at http://127.0.0.1:9324`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " in {}", self.region)?;
        match &self.url {
            Some(url) => write!(f, " at {url}"),
            None => Ok(()),
        }
    }
}

/// Quotes a text for a shell.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Takes `user:password@` out of a URL, which is shown in errors.
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

    #[test]
    fn quotes_survive_a_shell() {
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
