//! The HTTP client: TLS by rustls with ring, and the proxy that the environment names. Only AWS is called over HTTP.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_sqs::config::SharedHttpClient;
use aws_smithy_http_client::{
    Builder, Connector,
    proxy::ProxyConfig,
    tls::{self, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient as _, HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    },
    orchestrator::HttpRequest,
};

/// The variables that name a proxy, as all SDKs of AWS read them. `NO_PROXY` names what is called without it.
const PROXIES: [&str; 6] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
];
const TLS: tls::Provider = tls::Provider::Rustls(CryptoMode::Ring);

/// Makes the HTTP client. The SDK's default would bring a C library that needs cmake.
pub(super) fn https() -> SharedHttpClient {
    let direct = Builder::new().tls_provider(TLS).build_https();
    let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if !PROXIES.iter().any(is_set) {
        return direct;
    }
    // The connectors of the proxy by their timeouts. Each keeps its connections.
    let connectors = Mutex::new(HashMap::<[Option<Duration>; 2], SharedHttpConnector>::new());
    http_client_fn(move |settings, components| {
        let timeouts = [settings.connect_timeout(), settings.read_timeout()];
        let mut connectors = connectors.lock().unwrap_or_else(PoisonError::into_inner);
        let by_proxy = connectors.entry(timeouts).or_insert_with(|| {
            let mut connector = Connector::builder()
                .connector_settings(settings.clone())
                .proxy_config(ProxyConfig::from_env());
            connector.set_sleep_impl(components.sleep_impl());
            SharedHttpConnector::new(connector.tls_provider(TLS).build())
        });
        SharedHttpConnector::new(ByHost {
            direct: direct.http_connector(settings, components),
            by_proxy: by_proxy.clone(),
        })
    })
}

/// Calls this machine and the metadata services of its host directly, and everything else by the proxy: no proxy can reach those.
#[derive(Debug)]
struct ByHost {
    direct: SharedHttpConnector,
    by_proxy: SharedHttpConnector,
}

impl HttpConnector for ByHost {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match is_of_machine(request.uri()) {
            true => self.direct.call(request),
            false => self.by_proxy.call(request),
        }
    }
}

/// Returns whether a URL leads to this machine, or to a metadata service: 169.254.0.0/16, and fd00:ec2::/32 on EC2 and EKS.
fn is_of_machine(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    match name.parse() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.segments()[..2] == [0xfd00, 0xec2],
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::is_of_machine;

    #[test]
    fn this_machine_and_its_metadata_are_called_without_a_proxy() {
        for url in [
            "http://127.0.0.1:9324/",
            "http://localhost:4566/0/q?a=b",
            "http://sqs.us-east-1.localhost:4566",
            "http://169.254.169.254/latest/meta-data/",
            "http://169.254.170.2/v2/credentials",
            "http://[::1]:80/",
            "http://[fd00:ec2::254]/latest",
        ] {
            assert!(is_of_machine(url), "{url}");
        }
        for url in [
            "https://sqs.eu-west-1.amazonaws.com/",
            "http://10.0.0.1/",
            "https://localhost@sqs.eu-west-1.amazonaws.com/",
            "https://169.254.example.com",
            "http://[fd00::1]/",
        ] {
            assert!(!is_of_machine(url), "{url}");
        }
    }
}
