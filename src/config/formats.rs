//! The forms that texts must have: addresses, names, header fields, origins.
//!
//! Each reader gives the value or a message with the mend; the [`Format`] beside it judges by the
//! same reader, so that what passes the check is what gets built.

use std::net::SocketAddr;

use ipnet::IpNet;

use super::quote::quoted;
use super::shape::Format;
use crate::clock::Timestamp;
use crate::snapshot::EndpointAddress;
use crate::tls;

/// Names that end up in metrics and in `x-figway-decision`.
pub(super) static NAME: Format = Format {
    name: "a name of letters, digits, dots, dashes and underscores",
    pattern: Some(NAME_PATTERN),
    check: name,
};
const NAME_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$";
/// Keys of flags and names of providers.
pub(super) static SLUG: Format =
    Format { name: "a name of lower-case letters, digits and dashes", pattern: Some("^[a-z0-9-]{1,64}$"), check: slug };
pub(super) static ANY: Format = Format { name: "a text", pattern: None, check: any };
pub(super) static FILE: Format = Format { name: "a path, relative to this file", pattern: None, check: file };
pub(super) static LISTEN: Format =
    Format { name: "an address and port such as 0.0.0.0:8080", pattern: None, check: |text| listen(text).map(drop) };
pub(super) static ENDPOINT: Format =
    Format { name: "host:port", pattern: None, check: |text| endpoint(text).map(drop) };
pub(super) static NETWORK: Format =
    Format { name: "a network such as 10.0.0.0/8", pattern: None, check: |text| network(text).map(drop) };
pub(super) static HOST: Format = Format { name: "a host name without port", pattern: None, check: host };
pub(super) static SERVER_NAME: Format = Format { name: "a DNS name or an address", pattern: None, check: server_name };
pub(super) static HEADER: Format =
    Format { name: "a header name", pattern: Some("^[A-Za-z0-9!#$%&'*+.^`|~-]+$"), check: header };
pub(super) static ORIGIN: Format =
    Format { name: "an origin such as https://shop.example, or *", pattern: None, check: origin };
pub(super) static URL: Format =
    Format { name: "a URL that begins with https:// or http://", pattern: Some("^https?://"), check: url };
pub(super) static DAY: Format =
    Format { name: "a day such as 2027-03-31", pattern: Some("^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), check: day };

fn any(text: &str) -> Result<(), String> {
    if text.is_empty() { Err("\"\" is empty; write a text, or remove the key".into()) } else { Ok(()) }
}

fn name(text: &str) -> Result<(), String> {
    let good = !text.is_empty()
        && text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if good {
        return Ok(());
    }
    Err(format!("{} is not a name; use up to 64 letters, digits, dots, dashes and underscores", quoted(text)))
}

fn slug(text: &str) -> Result<(), String> {
    let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if plain && (1..=64).contains(&text.len()) {
        return Ok(());
    }
    let mend: String =
        text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(64).collect();
    let mend = if mend.is_empty() { "member-api".to_owned() } else { mend };
    Err(format!("{} is not a key; use 1 to 64 lower-case letters, digits and dashes, such as {mend:?}", quoted(text)))
}

fn file(text: &str) -> Result<(), String> {
    if text.is_empty() || text.contains('\0') {
        return Err(format!("{} is not a path; write one, relative to this file or absolute", quoted(text)));
    }
    Ok(())
}

/// A listening socket's address.
pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let mend = match text.parse::<u16>().ok().or_else(|| text.strip_prefix(':')?.parse().ok()) {
            Some(port) => {
                format!("write \"0.0.0.0:{port}\" for every IPv4 interface or \"127.0.0.1:{port}\" for loopback")
            }
            None => "write an IP address and a port such as 127.0.0.1:8080 or [::]:8080".to_owned(),
        };
        format!("{} is not an address to listen on; {mend}", quoted(text))
    })
}

/// `host:port` of an endpoint; an IPv6 address stands in brackets.
pub(super) fn endpoint(text: &str) -> Result<EndpointAddress, String> {
    let wrong = |why: &str| Err(format!("{} {why}", quoted(text)));
    if let Some((_, rest)) = text.split_once("://") {
        let rest = rest.split('/').next().unwrap_or(rest);
        return Err(format!("{} is a URL; write host:port, such as {rest:?}, and set `tls` for https", quoted(text)));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(bracketed) => match bracketed.split_once("]:") {
            Some((host, port)) if host.parse::<std::net::Ipv6Addr>().is_ok() => (host, port),
            _ => return wrong("is not an IPv6 address with a port; write [address]:port, such as [::1]:7001"),
        },
        None => match text.rsplit_once(':') {
            Some((host, _)) if host.contains(':') => {
                return wrong("needs brackets around its IPv6 address: [::1]:7001");
            }
            Some(parts) => parts,
            None => return wrong("has no port; write host:port, such as member.internal:8080"),
        },
    };
    let Some(port) = port.parse().ok().filter(|port| *port > 0 && !text.contains('+')) else {
        return wrong("has no valid port; write a number from 1 to 65535 after the colon");
    };
    if !tls::is_server_name(host) {
        return wrong("has no valid host; write a DNS name or an IP address before the colon");
    }
    Ok(EndpointAddress { host: host.to_ascii_lowercase(), port })
}

/// A network in CIDR notation; a bare address is a network of one.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from)).map_err(|_| {
        format!("{} is not a network; write an address and a prefix length such as 10.0.0.0/8", quoted(text))
    })
}

fn host(text: &str) -> Result<(), String> {
    if tls::is_server_name(text) {
        return Ok(());
    }
    Err(format!("{} is not a host; write one DNS name or address without scheme, port or wildcard", quoted(text)))
}

fn server_name(text: &str) -> Result<(), String> {
    if tls::is_server_name(text) {
        return Ok(());
    }
    Err(format!("{} is not a name that a certificate can have; write a DNS name or an address", quoted(text)))
}

fn header(text: &str) -> Result<(), String> {
    if text.contains('_') {
        let mend = text.replace('_', "-");
        return Err(format!("{} has an underscore, which servers confuse with a dash; write {mend:?}", quoted(text)));
    }
    if http::HeaderName::from_bytes(text.as_bytes()).is_err() {
        return Err(format!("{} is not a header name; use letters, digits and dashes", quoted(text)));
    }
    Ok(())
}

fn origin(text: &str) -> Result<(), String> {
    let wrong = || {
        Err(format!("{} is not an origin; write https://host or https://host:port without a path, or *", quoted(text)))
    };
    if text == "*" {
        return Ok(());
    }
    let Ok(uri) = text.parse::<http::Uri>() else { return wrong() };
    let Some(authority) = uri.authority() else { return wrong() };
    // Browsers send origins in this spelling, and they are compared as text.
    let canonical = format!("{}://{}", uri.scheme_str().unwrap_or_default(), authority.as_str()).to_lowercase();
    if canonical == text && !authority.as_str().contains('@') { Ok(()) } else { wrong() }
}

fn url(text: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("{} {why}", quoted(text)));
    let Ok(uri) = text.parse::<http::Uri>() else { return wrong("is not a URL; write https://host/path") };
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(authority)) if authority.as_str().contains('@') => {
            // The message must not repeat the password.
            Err("a URL with a user name or password is not accepted; remove the part before the @".into())
        }
        (Some("http" | "https"), Some(_)) => Ok(()),
        _ => wrong("is not a URL; write https://host/path"),
    }
}

fn day(text: &str) -> Result<(), String> {
    match Timestamp::end_of_day(text) {
        Some(_) => Ok(()),
        None => Err(format!("{} is not a day of the calendar; write it as 2027-03-31", quoted(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(judge: fn(&str) -> Result<(), String>, good: &[&str], bad: &[(&str, &str)]) {
        for text in good {
            assert_eq!(judge(text), Ok(()), "{text}");
        }
        for (text, part) in bad {
            let message = judge(text).expect_err(text);
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn endpoints_are_host_and_port() {
        check(
            ENDPOINT.check,
            &["127.0.0.1:7001", "member.internal:80", "[::1]:7001", "localhost:1"],
            &[
                ("member", "has no port"),
                ("member:", "has no valid port"),
                ("member:0", "has no valid port"),
                ("member:65536", "has no valid port"),
                ("member:+80", "has no valid port"),
                (":80", "has no valid host"),
                ("mem ber:80", "has no valid host"),
                ("::1:7001", "needs brackets"),
                ("[::1]", "not an IPv6 address with a port"),
                ("[member]:80", "not an IPv6 address with a port"),
                ("http://member:80/x", "write host:port, such as \"member:80\""),
            ],
        );
        let address = endpoint("[::1]:7001").expect("IPv6");
        assert_eq!((address.host.as_str(), address.port), ("::1", 7001));
    }

    #[test]
    fn listening_needs_an_address() {
        check(
            LISTEN.check,
            &["127.0.0.1:8080", "[::]:0"],
            &[("8080", "0.0.0.0:8080"), (":8080", "0.0.0.0:8080"), ("localhost:8080", "an IP address and a port")],
        );
    }

    #[test]
    fn origins_are_spelled_as_browsers_send_them() {
        let bad = ["https://shop.example/", "shop.example", "HTTPS://shop.example", "https://a@shop.example", "null"];
        check(
            ORIGIN.check,
            &["*", "https://shop.example", "http://localhost:3000"],
            &bad.map(|text| (text, "not an origin")),
        );
    }

    #[test]
    fn other_forms_say_the_mend() {
        check(HEADER.check, &["x-user-id"], &[("x_user_id", "\"x-user-id\""), ("x user", "not a header name")]);
        check(NETWORK.check, &["10.0.0.0/8", "::1", "10.0.0.1"], &[("10.0.0.0/33", "not a network")]);
        check(HOST.check, &["shop.example"], &[("shop.example:80", "without scheme"), ("*.shop.example", "wildcard")]);
        check(DAY.check, &["2027-03-31"], &[("2027-02-30", "not a day"), ("31.3.2027", "not a day")]);
        check(
            URL.check,
            &["https://auth.example/jwks.json"],
            &[("auth.example", "not a URL"), ("ftp://x/", "not a URL")],
        );
        let message = (URL.check)("https://alice:hunter2@x/").expect_err("password");
        assert!(!message.contains("hunter2"), "{message}");
    }
}
