//! TLS against servers that speak it, and against some that do not.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod private;

use std::{fs, path::PathBuf};

use loafer_amqp::{Amqp, Options};
use loafer_core::{
    broker::Open,
    message::{Message, MessageId},
    translate::Bytes,
};
use loafer_runtime::program::{App, Config, Ended, Manager, Route, RouteOptions};
use loafer_test_servers::{Setup, Tls, Version};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use tokio::sync::mpsc;

private::on_both!(
    a_server_of_a_trusted_authority_is_served_and_others_are_refused,
    a_server_that_demands_a_certificate_is_shown_it,
);

/// An authority of the test's own, whose certificates no machine trusts.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = named("authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// A certificate for this name, and its key.
    fn certificate(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> (String, String) {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name = named(name);
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.0).unwrap();
        (signed.pem(), key.serialize_pem())
    }

    /// How a server listens that has a certificate of this authority for `localhost`.
    fn server(&self, demands_certificate: bool) -> Tls {
        let (certificate, key) = self.certificate("localhost", ExtendedKeyUsagePurpose::ServerAuth);
        Tls {
            ca: self.0.pem(),
            certificate,
            key,
            demands_certificate,
        }
    }
}

/// Of the authority and of whom it certifies not the same, or a certificate looks like one that signed itself.
fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// A file of this test's own, for as long as it is needed.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("{}-{name}", MessageId::new());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

fn manager(amqp: Amqp, said: mpsc::UnboundedSender<Vec<u8>>) -> Manager {
    let app = App::new().name("tls").broker(amqp);
    let route = Route::new("paid")
        .provider::<Amqp>()
        .options(
            RouteOptions::new()
                .queue("paid")
                .broker_options::<Amqp>(Options::new().exchange("")),
        )
        .handler(Bytes::new(), move |message: Message| {
            said.send(message.payload().to_vec()).unwrap();
            std::future::ready(true)
        });
    let manager = Manager::builder()
        .app(app)
        .route(route)
        .open(Open::Existing);
    manager.build().unwrap()
}

/// A message there and back.
async fn serves(amqp: Amqp) {
    let (said, mut received) = mpsc::unbounded_channel();
    let running = manager(amqp, said).start().await.unwrap();
    running.publish("paid", Message::new("7")).await.unwrap();
    assert_eq!(received.recv().await.unwrap(), b"7");
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
}

/// Why a service does not start.
async fn refused(amqp: Amqp) -> String {
    let (said, _heard) = mpsc::unbounded_channel();
    let started = manager(amqp, said).start().await;
    let error = started.expect_err("it must not start").to_string();
    println!("{error}\n");
    error
}

#[track_caller]
fn says(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "`{part}` in: {error}");
    }
    // Nothing of the client's own words beside them, and no other remedy.
    assert!(!error.contains("AMQP_URL"), "{error}");
}

async fn a_server_of_a_trusted_authority_is_served_and_others_are_refused(version: Version) {
    let authority = Authority::new();
    let setup = Setup::default().tls(authority.server(false));
    let Some(broker) = private::broker(version, "TLS", &setup).await else {
        return;
    };
    let (plain, tls) = (broker.port(), broker.tls_port());
    let ca = File::new("ca.pem", &authority.0.pem());
    let at =
        |scheme: &str, host: &str, port: u16| format!("{scheme}://guest:guest@{host}:{port}/%2f");

    let url = at("amqps", "localhost", tls);
    serves(Amqp::new(&url).ca_file(&ca.0)).await;

    let error = refused(Amqp::new(&url)).await;
    says(&error, &["localhost", "not trusted", "`ca_file`"]);

    let other = File::new("other.pem", &Authority::new().0.pem());
    let error = refused(Amqp::new(&url).ca_file(&other.0)).await;
    says(&error, &["not trusted", "`ca_file`"]);

    let url = at("amqps", "127.0.0.1", tls);
    let error = refused(Amqp::new(&url).ca_file(&ca.0)).await;
    says(&error, &["127.0.0.1", "`localhost`"]);

    let url = at("amqps", "localhost", plain);
    let error = refused(Amqp::new(&url).ca_file(&ca.0)).await;
    says(&error, &["no TLS", "amqp://", "5671"]);

    let url = at("amqp", "localhost", tls);
    let error = refused(Amqp::new(&url).ca_file(&ca.0)).await;
    says(&error, &["what answers at localhost", "write amqps://"]);

    let none = PathBuf::from("/nowhere/ca.pem");
    let url = at("amqps", "localhost", tls);
    let error = refused(Amqp::new(&url).ca_file(none)).await;
    says(&error, &["`ca_file = \"/nowhere/ca.pem\"`", "No such file"]);
    let empty = File::new("empty.pem", "");
    let error = refused(Amqp::new(&url).ca_file(&empty.0)).await;
    says(&error, &["no certificate is in it"]);
}

async fn a_server_that_demands_a_certificate_is_shown_it(version: Version) {
    let authority = Authority::new();
    let setup = Setup::default().tls(authority.server(true));
    let Some(broker) = private::broker(version, "TLS with certificates of clients", &setup).await
    else {
        return;
    };
    let ca = File::new("ca.pem", &authority.0.pem());
    let url = format!("amqps://guest:guest@localhost:{}/%2f", broker.tls_port());
    let amqp = || Amqp::new(&url).ca_file(&ca.0);
    let shown = |authority: &Authority| {
        let (certificate, key) =
            authority.certificate("billing", ExtendedKeyUsagePurpose::ClientAuth);
        (
            File::new("cert.pem", &certificate),
            File::new("key.pem", &key),
        )
    };
    let (certificate, key) = shown(&authority);
    serves(amqp().client_certificate(&certificate.0, &key.0)).await;

    let error = refused(amqp()).await;
    says(&error, &["certificate", "`cert_file`", "`key_file`"]);

    let (others, others_key) = shown(&Authority::new());
    let error = refused(amqp().client_certificate(&others.0, &others_key.0)).await;
    says(&error, &["certificate", "`cert_file`"]);

    let error = refused(amqp().client_certificate(&certificate.0, &others_key.0)).await;
    says(&error, &["`key_file"]);
}

#[tokio::test]
async fn a_certificate_without_its_key_is_refused_before_anything_is_connected() {
    let amqp = Amqp::new("amqps://guest:guest@localhost:1/%2f");
    let config = "[brokers.amqp]\ncert_file = \"cert.pem\"";
    let config = Config::parse(config, [], &["paid"]).unwrap();
    let app = App::new().name("tls").broker(amqp);
    let route = Route::new("paid")
        .provider::<Amqp>()
        .handler(Bytes::new(), async |_: Message| true);
    let manager = Manager::builder().app(app).config(config).route(route);
    let error = match manager.build() {
        Ok(manager) => manager.start().await.err().unwrap().to_string(),
        Err(error) => error.to_string(),
    };
    assert!(error.contains("`key_file` is not"), "{error}");
}
