//! Addresses of RabbitMQ, by its [URI specification](https://www.rabbitmq.com/docs/uri-spec). What the client would leave out or replace in one is read here.

use lapin::uri::AMQPUri;

/// The parameters that an address can have. Those about TLS are files under `[brokers.amqp]`.
const PARAMETERS: &[&str] = &[
    "frame_max",
    "channel_max",
    "heartbeat",
    "connection_timeout",
    "auth_mechanism",
];

/// Those of RabbitMQ's specification that can't be followed here. An error names them; any other name may be the rest of a password that has a `?`.
const OTHERS: &[&str] = &[
    "cacertfile",
    "certfile",
    "keyfile",
    "verify",
    "fail_if_no_peer_cert",
    "server_name_indication",
    "password",
];

/// Reads an address.
///
/// # Errors
///
/// What is wrong with it, without a word of the address, which may hold a password.
pub(super) fn parse(text: &str) -> Result<AMQPUri, String> {
    let mut address: AMQPUri = text.parse().map_err(|_| {
        "write it as \"amqp://user:password@host:5672/vhost\", the virtual host `/` as `%2f`, a comma as `%2C`"
    })?;
    let (before, parameters) = text.split_once('?').unwrap_or((text, ""));
    // The client takes such a host for none, and would connect to this machine.
    if let Some(host) = ipv6(before) {
        host.clone_into(&mut address.authority.host);
    }
    for parameter in parameters.split('&').filter(|text| !text.is_empty()) {
        let (name, _) = parameter.split_once('=').unwrap_or((parameter, ""));
        if !PARAMETERS.contains(&name) {
            let known = PARAMETERS.join("`, `");
            let what = match OTHERS.contains(&name) {
                true => format!("its parameter `{name}`"),
                false => "one of its parameters".to_owned(),
            };
            return Err(format!(
                "{what} can't be followed; it takes `{known}`, and certificates are set by `ca_file`, `cert_file` and `key_file`"
            ));
        }
    }
    if address.query.connection_timeout == Some(0) {
        return Err(
            "`connection_timeout=0` leaves no time to connect: it is in milliseconds".to_owned(),
        );
    }
    Ok(address)
}

/// Returns the host of an address if it is written in brackets.
fn ipv6(address: &str) -> Option<&str> {
    let (_, rest) = address.split_once("://")?;
    let authority = rest.split('/').next()?;
    let (_, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (host, _) = place.strip_prefix('[')?.split_once(']')?;
    Some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> String {
        parse(text).unwrap().authority.host
    }

    #[test]
    fn a_host_is_never_replaced_by_another() {
        assert_eq!(host("amqp://[2001:db8::7]:5673/%2f"), "2001:db8::7");
        assert_eq!(host("amqps://user:p%40ss@[::1]/vhost?heartbeat=5"), "::1");
        assert_eq!(host("amqp://10.0.0.7/a%5Bb%5D"), "10.0.0.7");
        assert_eq!(host("amqp://rabbit.example:5673"), "rabbit.example");
        // The specification's own default.
        assert_eq!(host("amqp:///vhost"), "localhost");
        for odd in [
            "amqp://[::1",
            "amqp://[7::8]x/",
            "rabbit:5672",
            "http://rabbit/",
        ] {
            assert!(parse(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn parameters_are_followed_or_refused() {
        let read = parse("amqp://h/v?heartbeat=5&connection_timeout=300&channel_max=9").unwrap();
        let query = read.query;
        assert_eq!((query.heartbeat, query.channel_max), (Some(5), Some(9)));
        assert_eq!(query.connection_timeout, Some(300));
        let refused = parse("amqps://u:secret@h/v?verify=verify_none").unwrap_err();
        assert!(
            refused.contains("`verify`") && !refused.contains("secret"),
            "{refused}"
        );
        let rest_of_password = parse("amqp://u:12?secret=@h/v").unwrap_err();
        assert!(!rest_of_password.contains("secret"), "{rest_of_password}");
        assert!(parse("amqp://h/v?heartbeat=soon").is_err());
        assert!(parse("amqp://h/v?connection_timeout=0").is_err());
    }
}
