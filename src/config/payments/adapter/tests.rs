//! Adapters as files: those that ship, and what is said of mistakes.

use crate::config::tests::Setup;
use crate::snapshot::Severity;

/// A gateway with one provider that speaks `adapter`.
fn setup(adapter: &str, rest: &str) -> Setup {
    Setup::new(&format!(
        "payments:\n  path: /pay\n  ledger: {{embedded: payments.db}}\n  auth: none\n  providers:\n    \
         - {{name: alpha, adapter: {adapter}, base_url: \"http://127.0.0.1:1\", weight: 1{rest}}}\n"
    ))
}

/// `line:column path: message` of everything that is said of the adapter's file.
fn said(setup: &Setup, severity: Severity) -> Vec<String> {
    let found = setup.load().diagnostics.into_iter().filter(|one| one.severity == severity);
    let ours = found.filter(|one| !one.message.contains("idempotency keys"));
    ours.map(|one| format!("{}:{} {}: {}", one.line, one.column, one.path, one.message)).collect()
}

const SHIPPED: &[(&str, &str)] = &[
    ("canonical", include_str!("../../../../config/providers/canonical.yaml")),
    ("stripe-like", include_str!("../../../../config/providers/stripe-like.yaml")),
    ("stripe-like-charges", include_str!("../../../../config/providers/stripe-like-charges.yaml")),
    ("toss-like", include_str!("../../../../config/providers/toss-like.yaml")),
];

#[test]
fn what_ships_loads_without_an_error_or_a_warning() {
    for (name, text) in SHIPPED {
        let credential = if *name == "canonical" { "api_key" } else { "secret_key" };
        let setup = setup("providers/x.yaml", &format!(", credentials: {{{credential}: {{env: PORT}}}}"))
            .file("config/providers/x.yaml", text);
        assert_eq!(said(&setup, Severity::Error), [""; 0], "{name}");
        assert_eq!(said(&setup, Severity::Warning), [""; 0], "{name}");
        assert!(setup.snapshot().payments.is_some());
    }
}

/// The least adapter, to be changed by the tests.
const LEAST: &str = r#"description: d
credentials: {key: required}
auth: {bearer: "{{ credentials.key }}"}
operations:
  charge:
    request:
      method: POST
      path: /v1/{{ method }}/charges
      json: {amount: "{{ amount }}"}
    read: {provider_ref: body.id, amount: body.amount}
    expect: [amount]
    classify:
      - {when: 'status == 200', as: succeeded}
examples:
  - name: charged
    operation: charge
    request: {method: POST, path: /v1/card/charges, json: {amount: 1234}, headers: {authorization: Bearer example-key}}
    answer: {status: 200, json: {id: ch_1, amount: 1234}}
    class: succeeded
    reads: {provider_ref: ch_1}
"#;

fn least(change: &[(&str, &str)]) -> Setup {
    let mut text = LEAST.to_owned();
    for (find, replace) in change {
        assert!(text.contains(find), "{find:?} is not there");
        text = text.replacen(find, replace, 1);
    }
    setup("a.yaml", ", credentials: {key: {env: PORT}}").file("config/a.yaml", &text)
}

#[test]
fn the_least_adapter_is_good() {
    assert_eq!(said(&least(&[]), Severity::Error), [""; 0]);
}

#[test]
fn every_mistake_in_an_adapter_is_said_with_its_place() {
    for (find, replace, expected) in [
        (
            "description: d",
            "descripton: d",
            "1:1 descripton: unknown key \"descripton\"; did you mean \"description\"?",
        ),
        ("charge:\n", "chagre:\n", "5:3 operations.chagre: unknown key \"chagre\"; did you mean \"charge\"?"),
        ("as: succeeded", "as: succeded", "did you mean \"succeeded\"?"),
        ("as: succeeded", "as: voided", "13:37 operations.charge.classify[0].as: charge can't be \"voided\""),
        (
            "status == 200",
            "statsu == 200",
            "13:16 operations.charge.classify[0].when: `statsu == 200`: there is no variable",
        ),
        ("status == 200", "status = 200", "13:16 operations.charge.classify[0].when: `status = 200` is no expression"),
        (
            "body.id",
            "body.id | frist",
            "10:26 operations.charge.read.provider_ref: `body.id | frist`: there is no filter",
        ),
        (
            "\"{{ amount }}\"",
            "\"{{ amuont }}\"",
            "9:22 operations.charge.request.json.amount: `amuont`: there is no variable",
        ),
        ("\"{{ amount }}\"", "\"{{ amount }\"", "9:22 operations.charge.request.json.amount: "),
        (
            "{{ credentials.key }}",
            "{{ credentials.kye }}",
            "3:16 auth.bearer: `credentials.kye`: the credential \"kye\"",
        ),
        ("method: POST", "method: SEND", "7:15 operations.charge.request.method: \"SEND\" is not one of"),
        ("method: POST", "method: GET", "7:15 operations.charge.request.method: a GET has no body"),
        (
            "/v1/{{",
            "v1/{{",
            "8:13 operations.charge.request.path: \"v1/{{ method }}/charges\" does not begin with a slash",
        ),
        ("/charges\n", "/charges?x=1\n", "8:13 operations.charge.request.path: "),
        ("expect: [amount]", "expect: [currency]", "11:14 operations.charge.expect[0]: read.currency does not say"),
        (
            "    classify:\n      - {when: 'status == 200', as: succeeded}\n",
            "",
            "6:5 operations.charge: key \"classify\" is missing",
        ),
        ("operations:", "flow: {charge_by: client}\noperations:", "6:3 operations: \"prepare\" is missing"),
        ("path: /v1/card", "path: /v1/cards", "17:35 examples[0].request.path: the path is \"/v1/card/charges\""),
        (
            "{amount: 1234}, headers",
            "{amount: 1235}, headers",
            "17:68 examples[0].request.json.amount: it is 1234, not 1235",
        ),
        (
            "class: succeeded",
            "class: declined",
            "19:12 examples[0].class: the answer is taken for \"succeeded\", not \"declined\"",
        ),
        (
            "amount: 1234}}\n",
            "amount: 1}}\n",
            "19:12 examples[0].class: the answer is taken for \"unknown\" (mismatch)",
        ),
        ("ch_1}\n", "ch_2}\n", "20:27 examples[0].reads.provider_ref: it is \"ch_1\", not \"ch_2\""),
    ] {
        let said = said(&least(&[(find, replace)]), Severity::Error);
        assert!(said.iter().any(|one| one.contains(expected)), "{replace}: {said:#?} lacks {expected}");
    }
}

#[test]
fn mistakes_of_shape_hide_none_in_templates_and_rules() {
    let said = said(
        &least(&[
            ("credentials.key", "credentials.kye"),
            ("      method: POST\n", "      method: SEND\n"),
            ("body.amount", "body.amount |"),
            ("as: succeeded}\n", "as: sucess}\n      - {when: 'statsu == 1', as: declined}\n      - {as: declined}\n"),
        ]),
        Severity::Error,
    );
    for (place, part) in [
        ("3:16 auth.bearer: ", "\"kye\" is not listed"),
        ("7:15 operations.charge.request.method: ", "\"SEND\" is not one of"),
        ("10:43 operations.charge.read.amount: ", "is no expression"),
        ("13:37 operations.charge.classify[0].as: ", "\"sucess\" is not one of"),
        ("14:16 operations.charge.classify[1].when: ", "no variable \"statsu\""),
        ("15:9 operations.charge.classify[2]: ", "key \"when\" is missing"),
    ] {
        assert!(said.iter().any(|one| one.starts_with(place) && one.contains(part)), "{place}{part}: {said:#?}");
    }
    assert_eq!(said.len(), 6, "{said:#?}");
}

#[test]
fn what_could_not_be_read_is_not_said_to_be_missing() {
    for (find, replace) in [
        ("charge:\n", "chagre:\n"),
        ("credentials: {key: required}", "credentials: {key: needed}"),
        ("    read: {", "    read: {x: y, "),
        ("    request:\n      method: POST\n      path", "    request:\n      mehtod: POST\n      path"),
        ("description: d", "descripton: d"),
    ] {
        let said = said(&least(&[(find, replace)]), Severity::Error);
        let is_of_shape = |one: &String| {
            ["unknown key", "is not one of", "key \"method\"", "key \"description\""]
                .iter()
                .any(|part| one.contains(part))
        };
        assert!(said.iter().all(is_of_shape), "{replace}: {said:#?}");
    }
}

/// What is said of [`LEAST`] with more operations.
fn said_of_least_with(operations: &str) -> Vec<String> {
    said(&least(&[("examples:\n", &format!("{operations}\nexamples:\n"))]), Severity::Error)
}

#[test]
fn a_handle_keeps_nothing_that_a_client_sent_to_pay_with() {
    for (handle, expected) in [
        ("token", Some("no token of a client is kept")),
        ("token | default(order_reference)", Some("no token of a client is kept")),
        ("metadata.cart", Some("no metadata of a client is kept")),
        ("provider_ref | default(order_reference)", None),
    ] {
        let request = "request: {method: GET, path: \"/v1/{{ lookup }}\"}";
        let said = said_of_least_with(&format!(
            "  lookup:\n    handle: \"{{{{ {handle} }}}}\"\n    {request}\n    classify: [{{when: status == 404, as: not_found}}]"
        ));
        match expected {
            None => assert_eq!(said, [""; 0], "{handle}"),
            Some(part) => assert!(
                matches!(&*said, [one] if one.starts_with("15:13 operations.lookup.handle: ") && one.contains(part)),
                "{handle}: {said:?}"
            ),
        }
    }
}

#[test]
fn a_request_about_an_attempt_says_which() {
    for operation in ["lookup", "void", "refund"] {
        let ask = |path: &str| {
            said_of_least_with(&format!(
                "  {operation}:\n    request: {{method: POST, path: \"{path}\", form: {{amount: \"{{{{ amount }}}}\"}}}}\n    \
                 classify: [{{when: status == 202, as: pending}}]"
            ))
        };
        assert_eq!(ask("/v1/{{ order_reference }}"), [""; 0]);
        assert_eq!(ask("/v1/{{ provider_ref }}"), [""; 0]);
        let expected =
            format!("15:14 operations.{operation}.request: nothing in it says which attempt is meant; insert one of");
        for path in ["/v1/latest", "/v1/{{ refund_reference | default('') }}", "/v1/{{ found.class }}"] {
            let said = ask(path);
            assert!(matches!(&*said, [one] if one.starts_with(&expected)), "{path}: {said:?}");
        }
    }
}

#[test]
fn no_rule_concludes_anything_from_a_bare_5xx() {
    let with = |rule: &str| {
        let more = format!("as: succeeded}}\n      - {{when: '{rule}', as: not_processed}}\n");
        said(&least(&[("as: succeeded}\n", &more)]), Severity::Error)
    };
    for (rule, status) in
        [("status >= 500", 500), ("status == 503", 503), ("status in [502, 504]", 502), ("status != 400", 500)]
    {
        let expected =
            format!("14:16 operations.charge.classify[1].when: a bare {status} is taken for \"not_processed\"");
        let said = with(rule);
        assert!(matches!(&*said, [one] if one.starts_with(&expected)), "{rule}: {said:?}");
    }
    assert_eq!(with("status == 503 and body.error == \"maintenance\""), [""; 0]);
    assert_eq!(with("status == 429"), [""; 0]);
}

#[test]
fn no_rule_concludes_anything_from_what_a_proxy_says_by_itself() {
    for rule in [
        "status == 502 and headers[\"content-type\"] == \"text/html\"",
        "status == 500 and body == {}",
        "status == 500 and body is mapping",
        "status >= 500 and body is mapping and body.error is not defined",
        "status == 500 and body.error is defined",
        "status == 503 and body.message is string",
        "status == 504 and body.title is defined",
        "status >= 500 and body.error.code is number",
    ] {
        let more = format!("as: succeeded}}\n      - {{when: '{rule}', as: not_processed}}\n");
        let said = said(&least(&[("as: succeeded}\n", &more)]), Severity::Error);
        assert!(
            matches!(&*said, [one] if one.contains("anything before the provider may send one")),
            "{rule}: {said:?}"
        );
    }
}

#[test]
fn a_rule_that_no_example_reaches_is_worth_a_warning() {
    let setup = least(&[("as: succeeded}\n", "as: succeeded}\n      - {when: 'status == 429', as: full}\n")]);
    let said = said(&setup, Severity::Warning);
    let said: Vec<_> = said.iter().filter(|one| one.contains("operations.")).collect();
    assert!(
        matches!(&*said, [one] if one.starts_with("14:16 operations.charge.classify[1].when: no example")),
        "{said:?}"
    );
    assert!(setup.snapshot().payments.is_some());
}

#[test]
fn the_secrets_that_an_adapter_lists_are_needed_and_no_others() {
    let check = |credentials: &str, expected: &str| {
        let setup = setup("a.yaml", credentials).file("config/a.yaml", LEAST).file("config/empty", "\n");
        let said = said(&setup, Severity::Error);
        assert!(said.len() == 1 && said[0].contains(expected), "{credentials}: {said:?} lacks {expected}");
    };
    check("", "the adapter needs the credential \"key\"; write `credentials: {key: {env: VARIABLE}}`");
    check(", credentials: {key: {env: NOBODY}}", "\"NOBODY\" is not set in the environment");
    check(", credentials: {key: {file: nowhere}}", "can't be read");
    check(", credentials: {key: {file: empty}}", "holds no secret");
    check(", credentials: {key: sk_live_1}", "\"…\" is a single value; write a mapping with the keys env, file");
    check(", credentials: {key: {}}", "write exactly one of \"env\" and \"file\"");
    check(", credentials: {key: {env: PORT}, kye: {env: PORT}}", "no credential \"kye\"; did you mean \"key\"?");
}

#[test]
fn a_key_is_written_as_the_adapter_says() {
    for (encoding, key) in [("hex", "6b6579"), ("base64", "a2V5"), ("text", "key")] {
        let sign = format!(
            "sign: {{algorithm: sha256, key: \"{{{{ credentials.key }}}}\", key_encoding: {encoding}, over: x, header: x-s}}\noperations:"
        );
        let text = LEAST.replace("operations:", &sign).replace(", headers: {authorization: Bearer example-key}", "");
        let with = |secret: &str| {
            setup("a.yaml", ", credentials: {key: {file: secret}}")
                .file("config/a.yaml", &text)
                .file("config/secret", secret)
        };
        assert_eq!(said(&with(key), Severity::Error), [""; 0], "{encoding}: the examples' own key is written so too");
        if encoding != "text" {
            let said = said(&with("no-such-key!"), Severity::Error);
            let expected = format!("the key of the signature is not written in {encoding}, as sign.key_encoding says");
            assert!(
                matches!(&*said, [one] if one.contains("providers[0].credentials: ") && one.contains(&expected)),
                "{said:?}"
            );
            assert!(!said[0].contains("no-such-key"), "{said:?}");
        }
    }
}

#[test]
fn a_secret_of_a_file_is_read_noticed_and_never_shown() {
    let setup = setup("a.yaml", ", credentials: {key: {file: secret}}")
        .file("config/a.yaml", LEAST)
        .file("config/secret", "hunter2hunter2\n");
    let loaded = setup.load();
    let watched = |name: &str| loaded.files.iter().any(|(path, _)| path.ends_with(name));
    assert!(watched("a.yaml") && watched("secret"), "{:?}", loaded.files);
    let snapshot = loaded.snapshot.expect("good");
    let payments = snapshot.payments.expect("payments");
    assert!(!format!("{payments:?}").contains("hunter2"));
    assert_eq!(payments.providers[0].adapter.masked("Bearer hunter2hunter2"), "Bearer [key]");
}

#[test]
fn a_file_for_two_providers_is_judged_once() {
    let text = "payments:\n  path: /pay\n  ledger: {embedded: payments.db}\n  auth: none\n  providers:\n    \
         - {name: alpha, adapter: a.yaml, base_url: \"http://127.0.0.1:1\", weight: 1, credentials: {key: {env: PORT}}}\n    \
         - {name: beta, adapter: a.yaml, base_url: \"http://127.0.0.1:2\", weight: 1, credentials: {key: {env: PORT}}}\n";
    let setup = Setup::new(text).file("config/a.yaml", &LEAST.replace("status ==", "statsu =="));
    assert_eq!(said(&setup, Severity::Error).len(), 1);
}

#[test]
fn what_is_no_adapter_at_all_is_refused() {
    for (text, expected) in [
        ("", "the file is empty"),
        ("[]", "is a list; write a mapping"),
        ("description: d\noperations: {charge: {request: {method: POST, path: {{ x }}}}}", "can't be a key"),
        ("description: &a d\noperations: {}", "an anchor"),
        ("description: d\noperations: {}", "\"charge\" is missing"),
    ] {
        let setup = setup("a.yaml", "").file("config/a.yaml", text);
        let said = said(&setup, Severity::Error);
        assert!(said.iter().any(|one| one.contains(expected)), "{text}: {said:?} lacks {expected}");
    }
    let said = said(&setup("canonicle", ""), Severity::Error);
    assert!(said[0].contains("did you mean \"canonical\"?"), "{said:?}");
}

#[test]
fn what_an_adapter_cannot_do_is_worth_a_warning_at_the_provider() {
    let warnings = said(&least(&[]), Severity::Warning);
    for expected in ["has no lookup", "has no void", "has no refund", "has no prepare and confirm"] {
        assert!(
            warnings.iter().any(|one| one.contains("providers[0].adapter: a ") && one.contains(expected)),
            "{warnings:?}"
        );
    }
}
