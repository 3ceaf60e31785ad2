//! Hosts: the part of `Host` that routes are chosen by.

use std::cmp::Ordering;

/// The name in a `Host` header or an authority: without port, brackets and the root's trailing dot.
pub(super) fn name_of(host: &str) -> &str {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        return address;
    }
    let name = match host.split_once(':') {
        // More than one colon without brackets is an IPv6 address, which has no port then.
        Some((name, port)) if !port.contains(':') => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

/// Orders names without regard to letter case; `known` is in lower case.
pub(super) fn compare(known: &str, asked: &str) -> Ordering {
    known.bytes().cmp(asked.bytes().map(|byte| byte.to_ascii_lowercase()))
}

/// A route's host as [`compare`] knows it.
///
/// # Errors
/// What is wrong with it, and the mend.
pub(super) fn parse(host: &str) -> Result<Box<str>, String> {
    let name = name_of(host);
    let address = name.parse::<std::net::Ipv6Addr>().is_ok();
    if !address && host.contains(':') {
        return Err(format!("host {host:?} has a port; write {name:?}, which holds on every port"));
    }
    if host.contains('*') {
        return Err(format!("host {host:?} is a pattern; name each host in a route of its own, or leave host out"));
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let labels = name.split('.').all(|label| !label.is_empty() && label.bytes().all(legal));
    if !address && !labels {
        return Err(format!("host {host:?} is no host name; write one like \"shop.example\" (in ASCII)"));
    }
    Ok(name.to_ascii_lowercase().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_what_remains_without_port_brackets_and_final_dot() {
        for (host, name) in [
            ("shop.example", "shop.example"),
            ("shop.example:8080", "shop.example"),
            ("shop.example.", "shop.example"),
            ("shop.example.:80", "shop.example"),
            ("[::1]:80", "::1"),
            ("[::1]", "::1"),
            ("::1", "::1"),
            ("", ""),
            ("[", "["),
        ] {
            assert_eq!(name_of(host), name, "{host}");
        }
    }

    #[test]
    fn refuses_hosts_that_no_request_can_have() {
        for host in
            ["", ".", "*.shop.example", "shop.example:80", "shop/example", "a..b", "käse.example", "a b", "[::1]:80x"]
        {
            let parsed = parse(host);
            assert!(parsed.is_err() || host.starts_with('['), "{host}: {parsed:?}");
        }
        assert_eq!(parse("Shop.Example.").as_deref(), Ok("shop.example"));
        assert_eq!(parse("[::1]").as_deref(), Ok("::1"));
    }
}
