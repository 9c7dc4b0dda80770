//! Further configuration of a RabbitMQ of one test.

use std::{fs, path::Path};

/// Further configuration of a RabbitMQ of one test. The default adds nothing.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Keys of the Erlang application `rabbit`, each with a value that is an Erlang term.
    keys: Vec<(&'static str, String)>,
    /// `None` means that it does not listen for TLS.
    tls: Option<Tls>,
}

/// How it listens for TLS. Certificates and key are in PEM.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificates of the authorities that it trusts.
    pub ca: String,
    /// Its certificate.
    pub certificate: String,
    /// The key of its certificate.
    pub key: String,
    /// Whether clients must show a certificate of the same authority.
    pub demands_certificate: bool,
}

impl Setup {
    /// Sets a key of the Erlang application `rabbit` to an Erlang term. `advanced.config` of RabbitMQ has the same keys.
    #[must_use]
    pub fn key(mut self, key: &'static str, term: impl Into<String>) -> Self {
        self.keys.push((key, term.into()));
        self
    }

    /// Sets after how many milliseconds the broker takes back unsettled deliveries. It then checks this four times a second instead of once a
    /// minute.
    #[must_use]
    pub fn consumer_timeout(self, millis: u32) -> Self {
        self.key("consumer_timeout", millis.to_string())
            .key("channel_tick_interval", "250")
    }

    /// Makes it listen for TLS too, on [`Broker::tls_port`](crate::Broker::tls_port).
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    pub(crate) fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Writes it to the files that the broker reads when it starts. `@DATA@` in them stands for its folder, whose path may be another one for the
    /// broker than for us.
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
