//! What only the whole configuration shows: names that must exist, routes that must not collide.

use std::sync::Arc;

use super::{Setup, errors, warnings};
use crate::snapshot::Target;

const FLAGS: &str = "api: {kind: migration, stage: canary, percent: 10}
lamp: {kind: switch, state: off}
button: {kind: split, variants: {plain: 50, bold: 50}}
";

/// Two backends, the flags above, and these routes (from line 3 on).
fn with_routes(routes: &str) -> Setup {
    let text = format!(
        "flags: {{dir: ../flags}}\nroutes:\n{routes}backends: {{old: {{endpoints: [\"o:1\"]}}, new: {{endpoints: [\"n:1\"]}}}}\n"
    );
    Setup::new(&text).file("flags/a.yaml", FLAGS)
}

#[test]
fn flagged_routes_have_a_backend_for_each_variant_in_its_order() {
    let setup = with_routes(
        "  - {name: a, path: /a, auth: none, flag: api, backends: {new: new, legacy: old}}
  - {name: b, path: /b, auth: none, flag: lamp, backends: {on: new, off: old}}
  - {name: c, path: /c, auth: none, flag: button, backends: {bold: new, plain: old}}
",
    );
    setup.warnings(&[]);
    for route in &setup.snapshot().routes {
        let Target::Flagged { backends, .. } = &route.target else { panic!("{}", route.name) };
        let names: Vec<_> = backends.iter().flatten().map(|backend| backend.name.as_str()).collect();
        assert_eq!(names, ["old", "new"], "{}", route.name);
    }
}

#[test]
fn routes_with_the_same_terms_share_them() {
    let setup = with_routes(
        "  - {name: a, path: /a, auth: none, backend: old}
  - {name: b, path: /b, auth: none, backend: new, methods: [GET], host: shop.example}
  - {name: c, path: /c, auth: none, backend: old, retries: 1}
  - {name: d, path: /d, auth: none, backend: old, retries: 1, cors: {origins: [\"https://shop.example\"]}}
",
    );
    let snapshot = setup.snapshot();
    let [a, b, c, d] = &snapshot.routes[..] else { panic!("{} routes", snapshot.routes.len()) };
    assert!(Arc::ptr_eq(&a.policy, &b.policy));
    for (one, other) in [(a, c), (c, d)] {
        assert!(!Arc::ptr_eq(&one.policy, &other.policy), "{} and {}", one.name, other.name);
    }
    assert_eq!((c.policy.filters.len(), d.policy.filters.len()), (1, 2));
}

#[test]
fn wrong_flags_and_variants_are_named() {
    with_routes(
        "  - {name: a, path: /a, auth: none, flag: apj, backends: {legacy: old, new: gnu}}
  - {name: b, path: /b, auth: none, flag: lamp, backends: {on: new, of: old}}
  - {name: c, path: /c, auth: none, flag: button}
  - {name: d, path: /d, auth: none, flag: nothing-like-it, backends: {legacy: old, new: new}}
",
    )
    .errors(&[
        ("3:43 routes[0].flag", "there is no flag \"apj\"; did you mean \"api\"?"),
        ("3:77 routes[0].backends.new", "there is no backend \"gnu\""),
        ("4:59 routes[1].backends", "may say \"off\", and no backend is named for it: add it"),
        ("4:69 routes[1].backends.of", "has no variant \"of\"; it has off, on; did you mean \"off\"?"),
        ("5:43 routes[2].flag", "\"button\" needs `backends`, a backend for plain, bold"),
        ("6:43 routes[3].flag", "no flag \"nothing-like-it\"; add it to a flag file"),
    ]);
}

#[test]
fn a_route_has_one_target() {
    with_routes(
        "  - {name: a, path: /a, auth: none}
  - {name: b, path: /b, auth: none, backend: old, flag: api, backends: {legacy: old, new: new}}
  - {name: c, path: /c, auth: none, backend: old, backends: {legacy: old}}
",
    )
    .errors(&[
        ("3:5 routes[0]", "exactly one of \"backend\" and \"flag\" (neither is there)"),
        ("4:5 routes[1]", "(both are there)"),
        ("5:61 routes[2].backends", "\"backends\" is for routes with a `flag`"),
    ]);
}

#[test]
fn a_retired_migration_may_leave_legacy_out_unless_it_can_still_say_so() {
    let route = "  - {name: a, path: /a, auth: none, flag: gone, backends: {new: new}}\n";
    let with = |flag: &str| with_routes(route).file("flags/b.yaml", &format!("gone: {{kind: migration, {flag}}}\n"));
    let snapshot = with("stage: retired").snapshot();
    let Target::Flagged { backends, .. } = &snapshot.routes[0].target else { panic!("flagged") };
    assert!(backends[0].is_none() && backends[1].is_some());
    with("stage: new").errors(&[("3:59 routes[0].backends", "may say \"legacy\"")]);
    with("stage: retired, killed: true").errors(&[("3:59 routes[0].backends", "the flag is killed")]);
    with("stage: retired, rules: [{when: {claim.a: b}, serve: legacy}]")
        .errors(&[("3:59 routes[0].backends", "rules[0] serves it")]);
}

#[test]
fn parameters_as_other_routers_write_them_are_worth_a_look() {
    warnings(
        "routes:\n  - {name: a, path: \"/a/:id\", auth: none, backend: monolith}\n  - {name: b, path: \"/*\", auth: none, backend: monolith}\n",
        &[
            (
                "2:21 routes[0].path",
                "\"/a/:id\" has \":id\", which means these very characters; a parameter is written {id}",
            ),
            ("3:21 routes[1].path", "is written {*rest}"),
        ],
    );
}

#[test]
fn a_route_whose_flag_may_be_in_an_unreadable_file_is_not_blamed_for_it() {
    let route = "  - {name: a, path: /a, auth: none, flag: gone, backends: {legacy: old, new: new}}\n";
    let setup = with_routes(route);
    setup.errors(&[("3:43 routes[0].flag", "there is no flag \"gone\"")]);
    let setup = setup.file("flags/b.yaml", "gone: {kind: [\n");
    setup.errors(&[("1:14", "is never closed")]);
    let setup = setup.file("flags/b.yaml", "- gone\n");
    setup.errors(&[("1:1", "is a list")]);
    std::fs::remove_dir_all(setup.path().join("flags")).expect("removed");
    setup.errors(&[("1:14 flags.dir", "the flags folder \"../flags\" can't be read")]);
}

#[test]
fn a_route_that_names_a_broken_flag_is_not_blamed_for_it() {
    let route = "  - {name: a, path: /a, auth: none, flag: bad, backends: {legacy: old, new: new}}\n";
    with_routes(route)
        .file("flags/b.yaml", "bad: {kind: migration, stage: warm}\n")
        .errors(&[("1:31 bad.stage", "\"warm\" is not one of legacy, canary")]);
}

#[test]
fn routes_that_collide_name_each_other() {
    with_routes(
        "  - {name: a, path: \"/a/{id}\", auth: none, backend: old}
  - {name: b, path: \"/a/{other}\", auth: none, backend: old}
  - {name: a, path: \"/c/{\", auth: none, backend: old}
",
    )
    .errors(&[
        ("4:21 routes[1].path", "\"a\""),
        ("5:12 routes[2].name", "\"a\" is also the name of the route on line 3"),
        ("5:21 routes[2].path", "unbalanced braces"),
    ]);
}

#[test]
fn a_route_that_leads_nowhere_has_its_path_judged_all_the_same() {
    with_routes(
        "  - {name: a, path: \"/a/{id}\", auth: none, backend: old}
  - {name: b, path: \"/a/{other}\", auth: none, backend: gone}
  - {name: c, path: c, auth: none, flag: gone, backends: {legacy: old, new: new}}
  - {path: \"/{*rest}/x\", methods: [GTE, GET], auth: never}
",
    )
    .errors(&[
        ("4:21 routes[1].path", "takes the same requests as route \"a\""),
        ("4:56 routes[1].backend", "there is no backend \"gone\""),
        ("5:21 routes[2].path", "does not start with a slash; write \"/c\""),
        ("5:42 routes[2].flag", "there is no flag \"gone\""),
        ("6:5 routes[3]", "key \"name\" is missing"),
        ("6:5 routes[3]", "exactly one of \"backend\" and \"flag\""),
        ("6:12 routes[3].path", "before its end"),
        ("6:36 routes[3].methods[0]", "\"GTE\" is not one of"),
        ("6:53 routes[3].auth", "\"never\" is not one of"),
    ]);
}

#[test]
fn weaker_protection_behind_a_method_is_worth_a_look() {
    let setup = with_routes(
        "  - {name: a, path: /a, methods: [GET], backend: old}
  - {name: rest, path: \"/{*rest}\", auth: optional, backend: old}
",
    );
    let issuer = "auth: {issuers: [{issuer: i, audiences: [x], jwks: {url: \"https://i.example/\"}}]}\n";
    let text = std::fs::read_to_string(setup.path().join("config/gateway.yaml")).expect("config");
    let setup = setup.file("config/gateway.yaml", &format!("{text}{issuer}")).file("flags/a.yaml", "");
    setup.errors(&[]);
    setup.warnings(&[("3:21 routes[0].path", "goes to the route \"rest\" (line 4), whose auth is weaker")]);
}

#[test]
fn a_token_that_no_browser_can_send_is_worth_a_look() {
    for (auth, headers, expected) in [
        ("required", "", &[("3:61 routes[0].cors", "a token that browsers may not send")][..]),
        ("required", ", headers: [x-a]", &[("3:106 routes[0].cors.headers", "add authorization to `headers`")]),
        ("required", ", headers: [Authorization]", &[]),
        ("optional", "", &[]),
    ] {
        let cors = format!("{{origins: [\"https://shop.example\"]{headers}}}");
        let setup = with_routes(&format!("  - {{name: a, path: /a, auth: {auth}, backend: old, cors: {cors}}}\n"));
        let issuer = "auth: {issuers: [{issuer: i, audiences: [x], jwks: {url: \"https://i.example/\"}}]}\n";
        let text = std::fs::read_to_string(setup.path().join("config/gateway.yaml")).expect("config");
        let setup = setup.file("config/gateway.yaml", &format!("{text}{issuer}")).file("flags/a.yaml", "");
        setup.warnings(expected);
    }
}

#[test]
fn required_tokens_need_an_issuer() {
    errors(
        "routes:\n  - {name: a, path: /a, backend: monolith}\n",
        &[("2:5 routes[0]", "\"auth: required\" (the default) without any `auth.issuers`")],
    );
    warnings(
        "routes:\n  - {name: a, path: /a, auth: optional, backend: monolith}\n",
        &[("2:31 routes[0].auth", "every token is refused")],
    );
}

#[test]
fn cross_origin_rules_are_checked() {
    let route =
        |cors: &str| format!("routes:\n  - {{name: a, path: /a, auth: none, backend: monolith, cors: {{{cors}}}}}\n");
    errors(
        &route("origins: [\"*\"], credentials: true"),
        &[("2:92 routes[0].cors.credentials", "\"credentials: true\" does not go with")],
    );
    errors(
        &route("origins: [\"*\", \"https://a.example\"]"),
        &[("2:72 routes[0].cors.origins", "\"*\" includes every other origin")],
    );
    errors(
        &route("origins: [a.example], methods: [get], headers: [a b]"),
        &[
            ("2:73 routes[0].cors.origins[0]", "\"a.example\" is not an origin"),
            ("2:95 routes[0].cors.methods[0]", "\"get\" is not one of GET, HEAD"),
            ("2:111 routes[0].cors.headers[0]", "\"a b\" is not a header name"),
        ],
    );
}

#[test]
fn methods_are_known_and_written_once() {
    errors(
        "routes:\n  - {name: a, path: /a, auth: none, backend: monolith, methods: [GTE, GET, GET, CONNECT]}\n",
        &[
            ("2:66 routes[0].methods[0]", "\"GTE\" is not one of"),
            ("2:76 routes[0].methods[2]", "\"GET\" stands here twice"),
            ("2:81 routes[0].methods[3]", "\"CONNECT\" is not one of"),
        ],
    );
}

#[test]
fn flags_that_nobody_needs_or_that_are_overdue_are_worth_a_look() {
    let route = "  - {name: a, path: /a, auth: none, flag: old-one, backends: {legacy: old, new: new}}\n";
    let flags = "old-one: {kind: migration, stage: retired, expires: 2026-11-20, owner: team}\nlonely: {kind: migration, stage: new}\nlamp: {kind: switch, state: on}\n";
    let setup = with_routes(route).file("flags/a.yaml", flags);
    setup.errors(&[]);
    setup.warnings(&[
        ("1:1 old-one", "expired on 2026-11-20 (ask team)"),
        ("1:1 old-one", "is finished"),
        ("2:1 lonely", "no route names the migration \"lonely\""),
    ]);
}
