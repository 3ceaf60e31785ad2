//! What each section must look like by itself.

use std::time::Duration;

use super::{Setup, errors, warnings};
use crate::snapshot::{AccessLog, AnonymousAccess, AuthMode, Protocol, Role};

#[test]
fn a_minimal_config_gets_every_default() {
    let snapshot = Setup::new("").snapshot();
    assert_eq!(snapshot.startup.admin_listen, "127.0.0.1:9901".parse().ok());
    assert!(snapshot.startup.state_dir.is_absolute());
    assert_eq!(snapshot.server.max_connections, 100_000);
    assert_eq!(snapshot.server.limits.body_bytes, 10 << 20);
    assert_eq!(snapshot.admin.anonymous, AnonymousAccess::Read);
    assert_eq!(snapshot.backends[0].max_in_flight, 1_024);
    assert_eq!(snapshot.backends[0].protocol, Protocol::Http1);
    assert_eq!(snapshot.auth.identity_header_names(), ["x-user-id".into()]);
    assert!(snapshot.flags.flags.is_empty() && snapshot.payments.is_none());
    assert_eq!(snapshot.routes[0].policy.terms.max_body, None);
}

#[test]
fn what_is_written_is_what_the_snapshot_holds() {
    let snapshot = Setup::new(
        r#"
server:
  listen: ["127.0.0.1:${PORT}", "[::1]:8081"]
  threads: 3
  trusted_proxies: [10.0.0.0/8, 192.168.0.1]
  debug_headers: true
  limits: {header_bytes: 16KiB, header_lines: 50, uri: 4KiB, body: 1MiB}
  timeouts: {header: 5s, idle: 1m, body: 20s}
  max_connections: 500
  drain: {delay: 0ms, timeout: 3s}
  access_log: {file: access.log}
admin: {listen: "[::1]:9000", anonymous: none}
state: {dir: /var/lib/figway}
backends:
  shop: {endpoints: ["shop.internal:80"], protocol: h2, max_in_flight: 7, timeouts: {connect: 1s, request: 9s, response: 9s}}
routes:
  - name: items
    path: /items/{id}
    methods: [GET]
    host: Shop.Example
    auth: none
    backend: shop
    allow_encoded_slash: true
    max_body: 0B
    retries: 2
    timeouts: {idle: 1h}
    cors: {origins: ["https://shop.example"], headers: [X-A], credentials: true, max_age: 1m}
"#,
    )
    .snapshot();
    assert_eq!(snapshot.startup.listen[0].port(), 9000);
    assert_eq!((snapshot.startup.listen.len(), snapshot.startup.threads), (2, 3));
    assert_eq!(snapshot.startup.state_dir.to_str(), Some("/var/lib/figway"));
    let server = &snapshot.server;
    assert_eq!((server.trusted_proxies.len(), server.debug_headers, server.max_connections), (2, true, 500));
    assert_eq!((server.limits.header_bytes, server.limits.uri_bytes), (16 << 10, 4 << 10));
    assert_eq!(server.timeouts.idle, Duration::from_secs(60));
    assert_eq!(server.drain.delay, Duration::ZERO);
    assert!(matches!(&server.access_log, AccessLog::File(path) if path.ends_with("config/access.log")));
    assert_eq!(snapshot.admin.anonymous, AnonymousAccess::None);
    let backend = &snapshot.backends[0];
    assert_eq!((backend.protocol, backend.max_in_flight), (Protocol::H2, 7));
    assert_eq!(backend.timeouts.idle, Duration::from_secs(300));
    let route = &snapshot.routes[0];
    let terms = &route.policy.terms;
    assert_eq!((route.host.as_deref(), terms.auth, terms.max_body), (Some("shop.example"), AuthMode::None, Some(0)));
    assert_eq!((terms.retries, terms.timeouts.idle), (2, Some(Duration::from_secs(3_600))));
    let cors = terms.cors.as_ref().expect("rules");
    assert_eq!((&*cors.headers, &*cors.methods), (&["x-a".to_owned()][..], &["GET".to_owned()][..]));
}

#[test]
fn several_mistakes_are_reported_at_once_and_in_order() {
    let text = "server: {listen: 8080, thread: 4}
backends:
  shop: {endpoints: [shop], timeouts: {connect: 250, idle: 5 parsecs}}
routes:
  - {name: a, path: /a, auth: maybe, backend: shopp}
  - {path: /b, auth: none, backend: shop}
extra: 1
";
    errors(
        text,
        &[
            ("1:18 server.listen", "\"…\" is a single value; write a list, each item an address and port"),
            ("1:24 server.thread", "unknown key \"thread\"; did you mean \"threads\"?"),
            ("3:22 backends.shop.endpoints[0]", "\"shop\" has no port; write host:port"),
            ("3:49 backends.shop.timeouts.connect", "\"250\" has no unit; write \"250ms\""),
            ("3:60 backends.shop.timeouts.idle", "\"5 parsecs\" has an unknown unit; use one of ms, s, m, h, d"),
            ("5:31 routes[0].auth", "\"maybe\" is not one of required, optional, none"),
            ("5:47 routes[0].backend", "there is no backend \"shopp\"; did you mean \"shop\"?"),
            ("6:5 routes[1]", "key \"name\" is missing"),
            ("7:1 extra", "unknown key \"extra\"; known here: server, admin, flags"),
        ],
    );
}

#[test]
fn types_and_ranges_are_checked() {
    errors("server: {listen: []}\n", &[("1:18 server.listen", "at least 1")]);
    errors(
        "server:\n  listen: [\"127.0.0.1:0\"]\n  threads: 1025\n",
        &[("3:12 server.threads", "\"1025\" is out of range; write a value from 0 to 1024")],
    );
    errors(
        "server:\n  listen: [\"127.0.0.1:0\"]\n  threads: many\n",
        &[("3:12 server.threads", "\"many\" is not a number")],
    );
    errors(
        "server:\n  listen: [\"127.0.0.1:0\"]\n  threads: 1.5\n",
        &[("3:12 server.threads", "\"1.5\" is not a whole decimal number")],
    );
    errors(
        "server:\n  listen: [\"127.0.0.1:0\"]\n  debug_headers: yes\n",
        &[("3:18 server.debug_headers", "\"yes\" is neither true nor false")],
    );
    errors(
        "server:\n  listen: [\"127.0.0.1:0\"]\n  limits: {body: 10, uri: 1B}\n",
        &[
            ("3:18 server.limits.body", "\"10\" has no unit; write \"10B\""),
            ("3:27 server.limits.uri", "\"1B\" is out of range; write a value from 64B to 1MiB"),
        ],
    );
    errors(
        "server:\n  listen: [\"127.0.0.1:0\"]\n  drain: 5s\n  access_log: stderr\n",
        &[
            ("3:10 server.drain", "\"…\" is a single value; write a mapping with the keys delay, timeout"),
            ("4:15 server.access_log", "\"stderr\" is not one of stdout, off"),
        ],
    );
    errors(
        "server:\n  listen: [\"127.0.0.1:0\", \"127.0.0.1:0\"]\n  timeouts: [1s]\n  tls:\n",
        &[
            ("3:13 server.timeouts", "is a list; write a mapping"),
            ("4:6 server.tls", "key \"certificates\" is missing"),
        ],
    );
    errors(
        "server:\n  listen:\n  threads: ~\n",
        &[
            ("2:9 server.listen", "\"\" is no value; write a list"),
            ("3:12 server.threads", "\"~\" is no value; write a whole number"),
        ],
    );
    Setup::exactly(b"- a\n").errors(&[("1:1", "is a list; write a mapping with the keys server")]);
}

#[test]
fn listening_twice_on_one_address_is_refused() {
    errors(
        "server: {listen: [\"127.0.0.1:81\", \"127.0.0.1:81\"]}\n",
        &[("1:35 server.listen[1]", "\"127.0.0.1:81\" stands here twice")],
    );
}

#[test]
fn trusting_everybody_is_worth_a_look() {
    warnings(
        "server: {listen: [\"127.0.0.1:0\"], trusted_proxies: [0.0.0.0/0]}\n",
        &[("1:53 server.trusted_proxies[0]", "trusts every client's")],
    );
}

#[test]
fn the_control_plane_is_not_opened_by_accident() {
    errors(
        "admin: {listen: \"0.0.0.0:9901\", anonymous: operate}\n",
        &[("1:44 admin.anonymous", "\"operate\" lets anybody change flags")],
    );
    warnings("admin: {listen: \"0.0.0.0:9901\"}\n", &[("1:17 admin.listen", "can be reached from other machines")]);
    warnings("admin: {listen: \"0.0.0.0:9901\", anonymous: none}\n", &[]);
    warnings("admin: {listen: \"[::1]:9901\", anonymous: operate}\n", &[]);
    errors("admin: {listen: 9901}\n", &[("1:17 admin.listen", "\"9901\" is not an address to listen on")]);
    errors("admin: {listen: \"9901\"}\n", &[("1:17 admin.listen", "or off for no control plane")]);
    assert_eq!(Setup::new("admin: {listen: off}\n").snapshot().startup.admin_listen, None);
}

#[test]
fn admin_tokens_are_read_and_checked() {
    let text = "admin:
  tokens:
    - {name: alice, role: operator, secret_file: a}
    - {name: bob, role: viewer, secret_file: b}
";
    let setup = Setup::new(text).file("config/a", "0123456789abcdef\n").file("config/b", "fedcba9876543210");
    let tokens = setup.snapshot().admin.tokens;
    assert_eq!(
        (tokens[0].name.as_str(), tokens[0].role, &*tokens[0].secret),
        ("alice", Role::Operator, "0123456789abcdef")
    );
    assert_eq!(tokens[1].role, Role::Viewer);
    assert!(!format!("{tokens:?}").contains("0123456789abcdef"));
    let setup = setup.file("config/a", "short").file("config/b", "with some spaces in it");
    setup.errors(&[
        ("3:50 admin.tokens[0].secret_file", "\"a\" must hold one secret of at least 16"),
        ("4:46 admin.tokens[1].secret_file", "\"b\" must hold one secret of at least 16"),
    ]);
    let same = setup.file("config/a", "0123456789abcdef").file("config/b", "0123456789abcdef");
    same.errors(&[("4:46 admin.tokens[1].secret_file", "same secret as the token \"alice\"")]);
    errors(
        &text.replace("bob", "alice"),
        &[
            ("3:50 admin.tokens[0].secret_file", "\"a\" can't be read"),
            ("4:7 admin.tokens[1]", "\"alice\" names two tokens"),
            ("4:48 admin.tokens[1].secret_file", "\"b\" can't be read"),
        ],
    );
    let setup = Setup::new(&text.replace("alice", "anonymous").replace("bob", "file"));
    let setup = setup.file("config/a", "0123456789abcdef").file("config/b", "fedcba9876543210");
    setup.errors(&[
        ("3:14 admin.tokens[0].name", "the history calls somebody else \"anonymous\""),
        ("4:14 admin.tokens[1].name", "the history calls somebody else \"file\""),
    ]);
}

#[test]
fn a_secret_that_everybody_can_read_is_worth_a_look() {
    use std::os::unix::fs::PermissionsExt;
    let text = "admin:\n  tokens: [{name: alice, role: viewer, secret_file: a}]\n";
    let setup = Setup::new(text).file("config/a", "0123456789abcdef");
    let set = |mode| {
        std::fs::set_permissions(setup.path().join("config/a"), std::fs::Permissions::from_mode(mode)).expect("mode")
    };
    set(0o644);
    setup.warnings(&[("2:53 admin.tokens[0].secret_file", "\"a\" can be read by every user")]);
    set(0o600);
    setup.warnings(&[]);
}

#[test]
fn identity_headers_must_not_be_http_s_own() {
    let text = "auth:\n  identity_headers: {sub: Host, role: X-Forwarded-For, a: x-a, b: X-A, c: x_c, d: connection}\n";
    errors(
        text,
        &[
            ("2:27 auth.identity_headers.sub", "\"Host\" is written by HTTP"),
            ("2:39 auth.identity_headers.role", "\"X-Forwarded-For\" is written by HTTP"),
            ("2:67 auth.identity_headers.b", "\"X-A\" already carries the claim \"a\""),
            ("2:75 auth.identity_headers.c", "\"x_c\" has an underscore"),
            ("2:83 auth.identity_headers.d", "\"connection\" is written by HTTP"),
        ],
    );
}

#[test]
fn issuers_are_checked() {
    let text = "auth:
  issuers:
    - {issuer: a, jwks: {}}
    - {issuer: a, audiences: [x], algorithms: [HS256], jwks: {file: k, url: \"https://a/\"}}
    - {issuer: b, audiences: [x], leeway: 6m, jwks: {url: \"http://b.example/jwks\", refresh: 1s}}
";
    errors(
        text,
        &[
            ("3:25 auth.issuers[0].jwks", "write exactly one of \"file\" and \"url\" (neither is there)"),
            ("4:16 auth.issuers[1].issuer", "\"a\" is configured twice"),
            ("4:48 auth.issuers[1].algorithms[0]", "\"HS256\" is not one of RS256"),
            ("4:62 auth.issuers[1].jwks", "(both are there)"),
            ("4:69 auth.issuers[1].jwks.file", "\"k\" can't be read"),
            ("5:43 auth.issuers[2].leeway", "\"6m\" is out of range; write a value from 0ms to 5m"),
            ("5:93 auth.issuers[2].jwks.refresh", "\"1s\" is out of range"),
        ],
    );
    Setup::new(text).warnings(&[
        ("3:7 auth.issuers[0]", "\"a\" has no `audiences`"),
        ("5:59 auth.issuers[2].jwks.url", "fetched without TLS"),
    ]);
}

#[test]
fn backends_are_checked() {
    errors(
        "backends: {}\n",
        &[("1:11 backends", "at least 1"), ("3:61 routes[0].backend", "there is no backend \"monolith\"")],
    );
    errors(
        "backends:\n  monolith: {endpoints: [\"a:1\", \"A:1\"], protocol: http2, max_in_flight: 0}\n  \"b c\": {endpoints: [\"b:1\"]}\n",
        &[
            ("2:33 backends.monolith.endpoints[1]", "\"a:1\" stands here twice"),
            ("2:51 backends.monolith.protocol", "\"http2\" is not one of http1, h2"),
            ("2:73 backends.monolith.max_in_flight", "\"0\" is out of range"),
            ("3:3 backends[\"b c\"]", "\"b c\" is not a name"),
        ],
    );
    errors(
        "backends:\n  monolith: {endpoints: [\"a:1\"], tls: {ca: none.pem, sni: \"a b\"}}\n",
        &[
            ("2:44 backends.monolith.tls.ca", "\"none.pem\" can't be read"),
            ("2:59 backends.monolith.tls.sni", "\"a b\" is not a name that a certificate can have"),
        ],
    );
    warnings(
        "backends:\n  monolith: {endpoints: [\"a:1\"], timeouts: {response: 60s}}\n",
        &[("2:55 backends.monolith.timeouts.response", "\"60s\" has no effect: `request` ends everything after 30s")],
    );
}

#[test]
fn a_ledger_is_in_a_file_or_in_a_database_whose_password_is_never_shown() {
    let with = |ledger: &str| {
        let providers = "[{name: alpha, adapter: canonical, base_url: \"http://a:1\", weight: 1}]";
        format!("payments:\n  path: /pay\n  auth: none\n  ledger: {ledger}\n  providers: {providers}\n")
    };
    let setup = Setup::new(&with("{postgres: \"postgres://u:secret@db/shop?sslmode=verify-full\"}"));
    let ledger = setup.snapshot().startup.ledger.as_ref().map(ToString::to_string);
    assert_eq!(ledger.as_deref(), Some("PostgreSQL at db, database shop"));
    errors(&with("{}"), &[("4:11 payments.ledger", "write exactly one of \"embedded\" and \"postgres\"")]);
    errors(
        &with("{embedded: p.db, postgres: \"postgres://u@db/shop\"}"),
        &[("4:11 payments.ledger", "write exactly one of \"embedded\" and \"postgres\"")],
    );
    errors(
        &with("{postgres: \"postgres://u:secret@db/shop?sslmode=prefer\"}"),
        &[(
            "4:22 payments.ledger.postgres",
            "the URL says \"sslmode=prefer\", which is not supported; write verify-full",
        )],
    );
}

#[test]
fn payments_become_settings_and_two_routes() {
    let text = "payments:
  path: /pay
  auth: none
  ledger: {embedded: p.db}
  deadline: 10s
  providers:
    - {name: alpha, adapter: canonical, base_url: \"http://a:1\", weight: 70, timeouts: {connect: 2s}, currencies: [EUR]}
    - {name: beta, adapter: canonical, base_url: \"http://b:1\", weight: 30, quiesce: 1s, methods: [card]}
";
    let setup = Setup::new(text);
    let snapshot = setup.snapshot();
    let payments = snapshot.payments.as_ref().expect("payments");
    assert_eq!(
        (payments.path.as_str(), payments.deadline, payments.max_attempts),
        ("/pay", Duration::from_secs(10), 2)
    );
    assert_eq!(payments.providers[0].timeouts.connect, Duration::from_secs(2));
    assert_eq!(payments.providers[0].timeouts.response, Duration::from_secs(5));
    assert_eq!((payments.providers[0].currencies.len(), payments.providers[1].weight), (1, 30));
    let ledger = setup.path().join("config/p.db");
    assert_eq!(snapshot.startup.ledger, Some(crate::payments::LedgerPlace::Embedded(ledger)));
    for path in ["/pay", "/pay/1", "/pay/1/refund"] {
        let crate::routing::Lookup::Found { route, .. } = snapshot.table.lookup("", path, "POST") else {
            panic!("{path}")
        };
        assert!(matches!(snapshot.routes[route].target, crate::snapshot::Target::Payments), "{path}");
    }
    errors(
        &text.replace("beta", "alpha").replace("/pay\n", "/pay/\n").replace("EUR", "eur").replace("[card]", "[Card]"),
        &[
            ("2:9 payments.path", "\"/pay/\" is not a plain path"),
            ("7:115 payments.providers[0].currencies[0]", "\"eur\" is no currency in use"),
            ("8:14 payments.providers[1].name", "\"alpha\" is also the name of the provider on line 7"),
            ("8:100 payments.providers[1].methods[0]", "\"Card\" is no payment method"),
        ],
    );
    errors(&text.replace("10s", "0s"), &[("5:13 payments.deadline", "\"0s\" is out of range")]);
    errors(&text.replace("70", "0").replace("30", "0"), &[("7:5 payments.providers", "all weights are 0")]);
    errors(
        &text.replace("beta", "alpha").replacen("http://", "ftp://", 1),
        &[
            ("7:51 payments.providers[0].base_url", "must start with http"),
            ("8:14 payments.providers[1].name", "\"alpha\" is also the name of the provider on line 7"),
        ],
    );
}
