//! What the configuration of a test's own RabbitMQ says beyond the usual.

use std::{fs, path::Path};

/// What the configuration of a test's own RabbitMQ says beyond the usual.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Keys of the application `rabbit`, and Erlang's terms.
    keys: Vec<(&'static str, String)>,
    tls: Option<Tls>,
}

/// How it listens for TLS: all in PEM.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Whom it trusts.
    pub ca: String,
    /// Its certificate.
    pub certificate: String,
    /// The key of that.
    pub key: String,
    /// Whether clients must show a certificate as well, of the same authority.
    pub demands_certificate: bool,
}

impl Setup {
    /// The same with this key of the application `rabbit`, in Erlang's terms, as in `advanced.config`.
    #[must_use]
    pub fn key(mut self, key: &'static str, term: impl Into<String>) -> Self {
        self.keys.push((key, term.into()));
        self
    }

    /// The same with unsettled deliveries taken back after so many milliseconds, which is looked at four times a second instead of once a minute.
    #[must_use]
    pub fn consumer_timeout(self, millis: u32) -> Self {
        self.key("consumer_timeout", millis.to_string())
            .key("channel_tick_interval", "250")
    }

    /// The same with a port for TLS: [`Broker::tls_port`](crate::Broker::tls_port).
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Puts it where the broker looks when it starts. `@DATA@` is its folder as the broker sees it, which need not be as we do.
    pub(crate) fn write(&self, folder: &Path, tls_port: u16) {
        let put = |name: &str, text: &str| {
            fs::write(folder.join(name), text).expect("the broker's folder can be written");
        };
        let mut keys = self.keys.clone();
        if let Some(tls) = &self.tls {
            put("ca.pem", &tls.ca);
            put("certificate.pem", &tls.certificate);
            put("key.pem", &tls.key);
            let verify = match tls.demands_certificate {
                true => "{verify, verify_peer}, {fail_if_no_peer_cert, true}",
                false => "{verify, verify_none}, {fail_if_no_peer_cert, false}",
            };
            let options = format!(
                "[{{cacertfile, \"@DATA@/ca.pem\"}}, {{certfile, \"@DATA@/certificate.pem\"}}, {{keyfile, \"@DATA@/key.pem\"}}, {verify}]"
            );
            let listeners = format!("[{{\"127.0.0.1\", {tls_port}}}]");
            keys.extend([("ssl_listeners", listeners), ("ssl_options", options)]);
        }
        let keys: Vec<_> = keys
            .iter()
            .map(|(key, term)| format!("{{{key}, {term}}}"))
            .collect();
        if !keys.is_empty() {
            let text = format!("[{{rabbit, [{}]}}].\n", keys.join(", "));
            put("further.config", &text);
        }
    }
}
