//! Files: what can't be read, what is listed, what is kept from one load to the next.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use super::super::{Kept, Overlay, digest};
use super::{Setup, errors};

const JWKS: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
const ISSUER: &str = "auth: {issuers: [{issuer: i, audiences: [x], jwks: {file: jwks.json}}]}\n";

#[test]
fn an_unreadable_config_file_is_said_once() {
    let setup = Setup::exactly(b"");
    setup.errors(&[("", "the file is empty")]);
    std::fs::remove_file(setup.path().join("config/gateway.yaml")).expect("remove");
    setup.errors(&[("", "can't be read: No such file")]);
    Setup::exactly(b"server: \xff\n").errors(&[("1:9", "byte \"\\xff\" is not UTF-8")]);
    Setup::exactly(&vec![b'#'; (1 << 20) + 1]).errors(&[("", "larger than 1 MiB")]);
}

#[test]
fn variables_of_the_environment_take_the_type_of_their_place() {
    let setup =
        Setup::new("server: {listen: [\"127.0.0.1:0\"], threads: \"${PORT}\", debug_headers: \"${DEBUG:-true}\"}\n");
    setup.errors(&[("1:44 server.threads", "\"9000\" is out of range")]);
    let snapshot = Setup::new("server: {listen: [\"127.0.0.1:0\"], debug_headers: \"${DEBUG:-true}\"}\n").snapshot();
    assert!(snapshot.server.debug_headers);
    errors(
        "server:\n  listen: [\"${NOWHERE}:80\"]\n  access_log: ${LOG:-off}\n",
        &[("2:12", "\"${NOWHERE}\": the environment variable NOWHERE is not set")],
    );
}

#[test]
fn duplicate_keys_do_not_hide_other_mistakes() {
    errors(
        "admin: {listen: off, listen: off, anonimous: read}\n",
        &[
            ("1:22", "key \"listen\" stands here a second time"),
            ("1:35 admin.anonimous", "unknown key \"anonimous\"; did you mean \"anonymous\"?"),
        ],
    );
}

#[test]
fn every_file_is_listed_with_its_digest() {
    let setup = Setup::new(&format!("flags: {{dir: ../flags}}\n{ISSUER}"))
        .file("config/jwks.json", JWKS)
        .file("flags/a.yaml", "");
    let loaded = setup.load();
    let names: Vec<_> = loaded
        .files
        .iter()
        .map(|(path, _)| path.strip_prefix(setup.path()).expect("inside").display().to_string())
        .collect();
    assert_eq!(names, ["config/gateway.yaml", "config/../flags/a.yaml", "config/jwks.json"]);
    assert_eq!(loaded.files[2].1, digest::sha256(JWKS.as_bytes()));
    let before = loaded.snapshot.expect("sound").hash;
    assert_eq!(setup.snapshot().hash, before);
    let setup = setup.file("flags/a.yaml", "# more\n");
    assert_ne!(setup.snapshot().hash, before);
}

#[test]
fn an_overlay_is_loaded_instead_of_the_disk() {
    let setup = Setup::new("flags: {dir: ../flags}\nstate: {dir: /var/lib/figway}\n")
        .file("flags/a.yaml", "a: {kind: switch, state: off}\n");
    let load = |overlay: &Overlay| setup.load_over(&Kept::default(), overlay);
    let path = setup.path().join("config/../flags/a.yaml");
    let changed =
        Overlay { files: [(path.clone(), "a: {kind: switch, state: up}\n".to_owned())].into(), ..Overlay::default() };
    let loaded = load(&changed);
    assert!(loaded.snapshot.is_none() && loaded.diagnostics[0].message.contains("\"up\""));
    assert_eq!(loaded.state_dir, std::path::Path::new("/var/lib/figway"));
    let folders = loaded.flags_dir.into_iter().collect();
    let emptied = load(&Overlay { folders, ..Overlay::default() });
    assert_eq!(emptied.snapshot.map(|snapshot| snapshot.flags.flags.len()), Some(0));
}

#[test]
fn unchanged_keys_keep_their_store_and_changed_ones_disturb_nobody() {
    let kept = Kept::default();
    let setup = Setup::new(ISSUER).file("config/jwks.json", JWKS);
    let first = setup.load_with(&kept).snapshot.expect("sound").auth;
    let second = setup.load_with(&kept).snapshot.expect("sound").auth;
    assert!(Arc::ptr_eq(&first, &second), "an unchanged verifier keeps its cache");
    assert!(first.issuers()[0].keys.is_ready());

    let setup = setup.file("config/jwks.json", "{}");
    assert!(setup.load_with(&kept).snapshot.is_none());
    setup.errors(&[("1:59 auth.issuers[0].jwks.file", "\"jwks.json\" is not a usable JWKS")]);
    assert!(first.issuers()[0].keys.is_ready());

    let setup = setup.file("config/jwks.json", &JWKS.replace("\"a\"", "\"b\""));
    let third = setup.load_with(&kept).snapshot.expect("sound").auth;
    assert!(!Arc::ptr_eq(&first.issuers()[0].keys, &third.issuers()[0].keys));
}

#[test]
fn keys_from_a_url_are_shared_by_every_later_snapshot() {
    let kept = Kept::default();
    let setup = Setup::new("auth: {issuers: [{issuer: i, audiences: [x], jwks: {url: \"https://i.example/\"}}]}\n");
    let first = setup.load_with(&kept).snapshot.expect("sound").auth;
    assert_eq!(kept.key_stores.lock().expect("lock").len(), 1);
    first.issuers()[0].keys.install(JWKS).expect("keys");
    let setup = setup.file("other", "");
    assert!(setup.load_with(&kept).snapshot.expect("sound").auth.issuers()[0].keys.is_ready());
}

#[test]
fn fetched_keys_outlive_a_change_of_their_issuer_s_other_settings() {
    let kept = Kept::default();
    let load = |more: &str, jwks: &str| {
        let jwks = format!("{{url: \"https://i.example/\"{jwks}}}");
        let issuer = format!("auth: {{issuers: [{{issuer: i, audiences: [x]{more}, jwks: {jwks}}}]}}\n");
        Setup::new(&issuer).load_with(&kept).snapshot.expect("sound").auth
    };
    let first = load("", "");
    assert!(!first.issuers()[0].keys.is_ready());
    first.issuers()[0].keys.install(JWKS).expect("keys");
    for (more, jwks) in [("", ", refresh: 1m"), (", leeway: 5s", ""), (", algorithms: [EdDSA]", ", refresh: 2m")] {
        assert!(load(more, jwks).issuers()[0].keys.is_ready(), "{more}{jwks}");
    }
    let elsewhere = Setup::new("auth: {issuers: [{issuer: i, audiences: [x], jwks: {url: \"https://o.example/\"}}]}\n");
    assert!(!elsewhere.load_with(&kept).snapshot.expect("sound").auth.issuers()[0].keys.is_ready());
}

#[test]
fn certificates_are_built_from_what_was_read_and_kept() {
    let certificate = rcgen::generate_simple_self_signed(vec!["shop.example".to_owned()]).expect("certificate");
    let text = "server:
  listen: [\"127.0.0.1:0\"]
  tls: {certificates: [{cert: a.pem, key: a.key}]}
";
    let setup = Setup::new(text)
        .file("config/a.pem", &certificate.cert.pem())
        .file("config/a.key", &certificate.signing_key.serialize_pem());
    let kept = Kept::default();
    let config = |kept: &Kept| {
        setup
            .load_with(kept)
            .snapshot
            .expect("sound")
            .server
            .tls
            .as_ref()
            .map(|tls| Arc::clone(&tls.config))
            .expect("tls")
    };
    assert!(Arc::ptr_eq(&config(&kept), &config(&kept)), "session tickets outlive a reload");
    assert!(!Arc::ptr_eq(&config(&kept), &config(&Kept::default())));

    let setup = setup.file("config/a.key", "");
    setup.errors(&[("3:31 server.tls.certificates[0].cert", "\"a.key\" contains no private key")]);
    std::fs::remove_file(setup.path().join("config/a.pem")).expect("remove");
    setup.errors(&[("3:31 server.tls.certificates[0].cert", "\"a.pem\" can't be read")]);
}

#[test]
fn every_certificate_that_is_no_good_is_named_at_once() {
    let pair = |name| format!("{{cert: {name}.pem, key: {name}.key}}");
    let text = format!(
        "server:\n  listen: [\"127.0.0.1:0\"]\n  tls:\n    certificates:\n      - {}\n      - {}\n      - {}\n",
        pair("a"),
        pair("b"),
        pair("c")
    );
    let setup = Setup::new(&text).file("config/a.pem", "").file("config/a.key", "");
    let setup = setup.file("config/b.pem", "none").file("config/b.key", "");
    setup.errors(&[
        ("5:16 server.tls.certificates[0].cert", "\"a.pem\""),
        ("6:16 server.tls.certificates[1].cert", "\"b.pem\""),
        ("7:16 server.tls.certificates[2].cert", "\"c.pem\" can't be read"),
        ("7:28 server.tls.certificates[2].key", "\"c.key\" can't be read"),
    ]);
}

#[test]
fn certificates_that_do_not_hold_for_long_are_worth_a_look() {
    let text = "server:
  listen: [\"127.0.0.1:0\"]
  tls: {certificates: [{cert: a.pem, key: a.key}]}
backends: {monolith: {endpoints: [\"a:1\"], tls: {ca: a.pem}}}
";
    let with = |from: (i32, u8, u8), until: (i32, u8, u8)| {
        let mut params = rcgen::CertificateParams::new(vec!["shop.example".to_owned()]).expect("params");
        params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
        let key = rcgen::KeyPair::generate().expect("key");
        let chain = params.self_signed(&key).expect("certificate").pem();
        let setup = Setup::new(text).file("config/a.pem", &chain).file("config/a.key", &key.serialize_pem());
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(setup.path().join("config/a.key"), private).expect("mode");
        setup
    };
    // The loader believes that it is 2026-11-21.
    let both =
        |message| [("3:31 server.tls.certificates[0].cert", message), ("4:53 backends.monolith.tls.ca", message)];
    with((2026, 1, 1), (2027, 1, 1)).warnings(&[]);
    with((2026, 11, 19), (2026, 11, 25)).warnings(&[]);
    with((2026, 1, 1), (9999, 12, 31)).warnings(&[]);
    with((2026, 1, 1), (2026, 12, 1)).warnings(&both("\"a.pem\" expires at 2026-12-01T00:00:00Z; renew it"));
    with((2026, 11, 17), (2026, 11, 22)).warnings(&both("\"a.pem\" expires at 2026-11-22T00:00:00Z"));
    with((2026, 1, 1), (2026, 11, 20)).warnings(&both("\"a.pem\" expired at 2026-11-20T00:00:00Z, and is refused"));
    with((2027, 1, 1), (2028, 1, 1)).warnings(&both("\"a.pem\" does not hold before 2027-01-01T00:00:00Z"));
}

#[test]
fn a_flood_of_problems_is_cut_short_and_says_so() {
    let text: String = (0..5_000).map(|i| format!("k{i}: 1\n")).collect();
    let loaded = Setup::new(&text).load();
    assert_eq!(loaded.diagnostics.len(), 1_001);
    assert!(loaded.diagnostics[1_000].message.contains("4000 more problems"));
}

mod property {
    use proptest::prelude::*;

    use super::*;
    use crate::types::property::config;

    proptest! {
        #![proptest_config(config(64))]

        #[test]
        fn no_bytes_make_the_loader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Setup::exactly(&bytes).load().snapshot.is_none());
        }

        #[test]
        fn no_cut_of_a_good_file_makes_the_loader_panic(cut in 0usize..400) {
            let text = "server: {listen: [\"127.0.0.1:0\"]}\nflags: {dir: .}\nbackends:\n  m: {endpoints: [\"a:1\"], tls: {sni: a}}\nroutes:\n  - {name: a, path: \"/{*rest}\", auth: none, backend: m, cors: {origins: [\"*\"]}}\n";
            let end = cut.min(text.len());
            let _ = Setup::exactly(&text.as_bytes()[..end]).load();
        }
    }
}
