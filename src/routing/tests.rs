//! Which route a request takes, and which tables are refused.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// `"GET,POST shop.example/api/{id}"`; the route's name is its position.
fn specs(routes: &[&str]) -> Vec<RouteSpec> {
    let spec = |(position, text): (usize, &&str)| {
        let (methods, target) = text.split_once(' ').expect("methods and target");
        let (host, path) = target.split_at(target.find('/').unwrap_or(target.len()));
        RouteSpec {
            name: format!("r{position}").into(),
            host: (!host.is_empty()).then(|| host.to_owned()),
            path: path.to_owned(),
            methods: methods.split(',').filter(|method| *method != "*").map(str::to_owned).collect(),
        }
    };
    routes.iter().enumerate().map(spec).collect()
}

#[track_caller]
fn table(routes: &[&str]) -> RouteTable {
    RouteTable::build(&specs(routes)).expect("a valid table")
}

/// `"3"` for a hit, `"405 GET, HEAD"` or `"404"`.
fn ask(table: &RouteTable, host: &str, method: &str, path: &str) -> String {
    match table.lookup(host, path, method) {
        Lookup::Found { route } => route.to_string(),
        Lookup::MethodNotAllowed { allow } => format!("405 {allow}"),
        Lookup::NotFound => "404".to_owned(),
    }
}

#[track_caller]
fn check(routes: &[&str], expect: &[(&str, &str)]) {
    let table = table(routes);
    for (request, expect) in expect {
        let (method, target) = request.split_once(' ').expect("method and target");
        let (host, path) = target.split_at(target.find('/').unwrap_or(target.len()));
        assert_eq!(ask(&table, host, method, path), *expect, "{request}");
    }
}

#[track_caller]
fn refused(routes: &[&str], expect: &[(usize, Option<usize>, &str)]) {
    let conflicts = RouteTable::build(&specs(routes)).expect_err("a refused table");
    assert_eq!(conflicts.len(), expect.len(), "{conflicts:#?}");
    for (conflict, &(route, with, words)) in conflicts.iter().zip(expect) {
        assert_eq!((conflict.route, conflict.with), (route, with), "{conflict}");
        assert!(conflict.message.contains(words), "{conflict}");
    }
}

#[test]
fn static_comes_before_parameter_before_rest() {
    check(
        &["* /m/me", "* /m/{id}", "* /m/{*rest}", "* /{*rest}", "* /{shop}/items"],
        &[
            ("GET /m/me", "0"),
            ("GET /m/42", "1"),
            ("GET /m/42/x", "2"),
            ("GET /m/items", "1"),
            ("GET /a/items", "4"),
            ("GET /a/items/", "3"),
            ("GET /", "3"),
        ],
    );
}

#[test]
fn a_specific_branch_that_leads_nowhere_gives_way() {
    check(
        &["* /a/b/c", "* /a/{x}/d", "* /{y}/b/e", "* /{*rest}"],
        &[("GET /a/b/d", "1"), ("GET /a/b/e", "2"), ("GET /a/b/f", "3"), ("GET /a/b", "3")],
    );
}

#[test]
fn a_rest_may_be_empty_and_an_exact_route_comes_first() {
    check(&["* /a/{*rest}"], &[("GET /a", "0"), ("GET /a/", "0"), ("GET /ab", "404"), ("GET /", "404")]);
    check(
        &["* /a/{*rest}", "* /a", "* /a/"],
        &[("GET /a", "1"), ("GET /a/", "2"), ("GET /a/b", "0"), ("GET /a/b/", "0")],
    );
    check(&["* /a/{*rest}", "* /{id}"], &[("GET /a", "0"), ("GET /b", "1")]);
}

#[test]
fn a_parameter_is_never_empty_and_a_trailing_slash_counts() {
    check(
        &["* /m/{id}", "* /n/", "* /{a}/{b}/{c}/{d}/{e}"],
        &[
            ("GET /m/", "404"),
            ("GET /m", "404"),
            ("GET /m/1/", "404"),
            ("GET /n", "404"),
            ("GET /n/", "1"),
            ("GET /1/2/3/4/5", "2"),
        ],
    );
}

#[test]
fn get_includes_head() {
    check(
        &["GET /a", "HEAD /b", "POST /b"],
        &[("HEAD /a", "0"), ("HEAD /b", "1"), ("GET /b", "405 HEAD, POST"), ("POST /a", "405 GET, HEAD")],
    );
}

#[test]
fn a_method_that_only_less_specific_routes_take_goes_to_the_next_of_them() {
    check(
        &["GET /m/{id}", "PUT /m/{*rest}", "GET,DELETE /{*rest}", "POST /m/{id}"],
        &[
            ("GET /m/1", "0"),
            ("POST /m/1", "3"),
            ("PUT /m/1", "1"),
            ("DELETE /m/1", "2"),
            ("PATCH /m/1", "405 DELETE, GET, HEAD, POST, PUT"),
            ("PATCH /n", "405 DELETE, GET, HEAD"),
        ],
    );
}

#[test]
fn a_more_specific_route_for_any_method_comes_before_one_that_names_it() {
    check(&["* /m/me", "GET /m/{id}"], &[("GET /m/me", "0"), ("BREW /m/me", "0"), ("GET /m/1", "1")]);
    check(&["* /m/{id}", "GET /m/{key}"], &[("GET /m/1", "1"), ("HEAD /m/1", "1"), ("PUT /m/1", "0")]);
}

#[test]
fn routes_for_the_host_come_first_and_fall_back_to_any_host() {
    check(
        &["GET shop.example/{*rest}", "* /a", "PUT /b", "* [::1]/v6"],
        &[
            ("GET shop.example/a", "0"),
            ("GET SHOP.example.:8080/a", "0"),
            ("GET other.example/a", "1"),
            ("GET /a", "1"),
            ("PUT shop.example/a", "1"),
            ("PUT shop.example/b", "2"),
            ("POST shop.example/b", "405 GET, HEAD, PUT"),
            ("POST shop.example/c", "405 GET, HEAD"),
            ("GET [::1]:80/v6", "3"),
            ("GET shop.example.evil/b", "405 PUT"),
        ],
    );
}

#[test]
fn nothing_that_is_no_path_is_found() {
    check(&["* /{*rest}"], &[("OPTIONS *", "404"), ("GET ", "404")]);
}

#[test]
fn two_routes_for_the_same_requests_are_refused_by_name() {
    refused(
        &["GET,POST /m/{id}", "POST,PUT /m/{key}"],
        &[(1, Some(0), r#"route "r1" (/m/{key}) takes the same requests as route "r0" (/m/{id}): POST"#)],
    );
    refused(&["* /a", "* /a", "* /a"], &[(1, Some(0), "any method"), (2, Some(0), "any method")]);
    refused(
        &["GET,PUT /a", "POST /a", "POST,PUT,GET /a"],
        &[(2, Some(0), "GET, HEAD, PUT on"), (2, Some(1), "POST on")],
    );
    refused(&["GET /a", "HEAD /a"], &[(1, Some(0), "HEAD (which GET includes)")]);
    refused(&["* A.example/a", "* a.EXAMPLE./a"], &[(1, Some(0), "host")]);
    table(&["GET /a", "POST /a", "* /a", "* /a/", "* h/a", "* i/a", "* /{a}", "* /{*a}"]);
}

#[test]
fn a_route_that_others_cover_completely_is_refused_with_their_names() {
    refused(
        &["* /a/{*rest}", "* /a", "* /a/", "* /a/{x}/{*rest}"],
        &[(0, Some(1), r#""r1" (/a), "r2" (/a/), "r3" (/a/{x}/{*rest})"#)],
    );
    refused(
        &["GET /{*rest}", "* /", "GET /{x}", "* /{x}/", "* /{x}/{y}/{*rest}", "HEAD /h/{*rest}"],
        &[(0, Some(1), "can never be reached")],
    );
    table(&["* /a/{*rest}", "* /a", "* /a/{x}/{*rest}"]);
    table(&["* /a/{*rest}", "* /a", "* /a/", "GET /a/{x}/{*rest}"]);
    table(&["* /{*rest}", "* h/{*rest}"]);
}

#[test]
fn every_malformed_route_is_reported() {
    refused(
        &["get,CONNECT,G@T a:80/v{n}", "* /ok", "* /{}", "* /ok"],
        &[
            (0, None, r#"route "r0": path "/v{n}" has a parameter in only a part"#),
            (0, None, r#"host "a:80" has a port; write "a""#),
            (0, None, r#"write "GET""#),
            (0, None, "opens no tunnels"),
            (0, None, r#""G@T" is not a method"#),
            (2, None, "empty or odd"),
            (3, Some(1), "any method"),
        ],
    );
}

#[track_caller]
fn falls(routes: &[&str], expect: &[(usize, usize, &str)]) {
    let found = table(routes).fall_throughs();
    let found: Vec<_> = found.iter().map(|fall| (fall.route, fall.next, fall.methods.join(","))).collect();
    let expect: Vec<_> = expect.iter().map(|&(route, next, methods)| (route, next, methods.to_owned())).collect();
    assert_eq!(found, expect);
}

#[test]
fn lists_where_methods_fall_through() {
    falls(&["GET /m/{id}", "* /{*rest}"], &[(0, 1, "")]);
    falls(&["GET /m/{id}", "POST /m/{*rest}", "* /{*rest}"], &[(0, 1, "POST"), (0, 2, ""), (1, 2, "")]);
    falls(&["POST /m", "GET,POST h/m", "GET,PUT /{x}"], &[(0, 2, "GET,HEAD,PUT"), (1, 2, "PUT")]);
    falls(&["GET /a/{x}", "PUT,GET /{y}/b"], &[(0, 1, "PUT")]);
    falls(&["GET /m", "* /m", "* /{*rest}"], &[(0, 1, "")]);
    falls(&["GET /m", "POST /m"], &[]);
    falls(&["* /m", "GET /n", "POST /o", "GET i/p", "POST h/p"], &[]);
    // Only the bare path falls to the last: what follows it is taken on the way.
    falls(&["GET /a/{*r}", "* /a/{x}/{*r}", "* /a/", "* /{*r}"], &[(0, 3, "")]);
}

/// Templates of few words, so that they meet often.
fn template() -> impl Strategy<Value = String> {
    let segment = proptest::sample::select(vec!["a", "b", "{x}"]);
    let end = proptest::sample::select(vec!["", "", "/", "/{*r}"]);
    (proptest::collection::vec(segment, 0..4), end).prop_map(|(segments, end)| {
        let named =
            segments.iter().enumerate().map(|(at, segment)| format!("/{}", segment.replace('x', &format!("p{at}"))));
        let path = named.collect::<String>() + end;
        if path.is_empty() { "/".to_owned() } else { path }
    })
}

fn route() -> impl Strategy<Value = String> {
    let methods = proptest::sample::select(vec!["*", "GET", "POST", "GET,PUT", "HEAD"]);
    let host = proptest::sample::select(vec!["", "", "h"]);
    (methods, host, template()).prop_map(|(methods, host, path)| format!("{methods} {host}{path}"))
}

/// Methods that random routes name, one that they imply, and one that nobody names.
const METHODS: [&str; 5] = ["GET", "HEAD", "POST", "PUT", "BREW"];

/// How specific a template is on a path that it takes; the least is the most specific.
fn rank(spec: &RouteSpec, path: &str) -> Option<Vec<u8>> {
    let (mut rank, mut path) = (vec![], path.split('/').skip(1));
    for segment in spec.path.split('/').skip(1) {
        match (segment, path.next()) {
            (rest, _) if rest.starts_with("{*") => return Some([rank, vec![2]].concat()),
            (parameter, Some(value)) if parameter.starts_with('{') && !value.is_empty() => rank.push(1),
            (text, Some(value)) if text == value => rank.push(0),
            _ => return None,
        }
    }
    path.next().is_none().then_some(rank)
}

fn takes(spec: &RouteSpec, method: &str) -> bool {
    let named = |wanted: &str| spec.methods.iter().any(|known| known == wanted);
    spec.methods.is_empty() || named(method) || (method == "HEAD" && named("GET"))
}

/// Any host, the template's rank, any method: in this order, the least is the most specific.
type Rank = (bool, Vec<u8>, bool);

/// The routes that a request could go to by the rules of this module's head, with what ranks them, most specific first.
fn candidates(specs: &[RouteSpec], host: &str, path: &str) -> Vec<(Rank, usize)> {
    let fitting = specs.iter().enumerate().filter(|(_, spec)| spec.host.as_deref().is_none_or(|known| known == host));
    let ranked =
        fitting.filter_map(|(at, spec)| Some(((spec.host.is_none(), rank(spec, path)?, spec.methods.is_empty()), at)));
    let mut ranked: Vec<_> = ranked.collect();
    ranked.sort();
    ranked
}

/// The route that gets a request by the rules, and the more specific ones that it passed on the way.
fn by_the_rules(specs: &[RouteSpec], host: &str, path: &str, method: &str) -> Option<(usize, Vec<usize>)> {
    let candidates = candidates(specs, host, path);
    let (rank, taker) = candidates.iter().find(|&&(_, at)| takes(&specs[at], method))?;
    Some((*taker, candidates.iter().filter(|(passed, _)| passed < rank).map(|&(_, at)| at).collect()))
}

/// What was wrong, and with which specs.
type Refused = (Conflict, Vec<RouteSpec>);

/// Takes out what can't stand beside the others, until the rest is a valid table.
fn valid_part(routes: &[String]) -> (RouteTable, Vec<RouteSpec>, Vec<Refused>) {
    let mut specs = specs(&routes.iter().map(String::as_str).collect::<Vec<_>>());
    let mut refused = vec![];
    loop {
        match RouteTable::build(&specs) {
            Ok(table) => return (table, specs, refused),
            Err(mut conflicts) => {
                let conflict = conflicts.swap_remove(0);
                refused.push((conflict.clone(), specs.clone()));
                specs.remove(conflict.route);
            }
        }
    }
}

/// Every path of up to five segments of three words, with and without a trailing slash.
fn all_paths() -> Vec<String> {
    let mut paths = vec![String::new()];
    let mut last = paths.clone();
    for _ in 0..5 {
        last = last.iter().flat_map(|path| ["a", "b", "c"].map(|word| format!("{path}/{word}"))).collect();
        paths.extend_from_slice(&last);
    }
    paths.iter().flat_map(|path| [format!("{path}/"), path.clone()]).filter(|path| !path.is_empty()).collect()
}

mod property {
    use proptest::prelude::*;

    use super::*;
    use crate::types::property::config;

    proptest! {
        #![proptest_config(config(256))]

        #[test]
        fn a_lookup_follows_the_rules(
            routes in proptest::collection::vec(route(), 1..8),
            paths in proptest::collection::vec("(/[abc]){0,4}/?", 8),
        ) {
            let (table, specs, _) = valid_part(&routes);
            for path in paths.iter().filter(|path| !path.is_empty()) {
                for (method, host) in [("GET", "h"), ("HEAD", ""), ("POST", "h"), ("PUT", "i"), ("BREW", "h")] {
                    let found = match table.lookup(host, path, method) {
                        Lookup::Found { route } => Some(route),
                        _ => None,
                    };
                    let expect = by_the_rules(&specs, host, path, method).map(|(taker, _)| taker);
                    prop_assert_eq!(found, expect, "{} {}{} in {:?}", method, host, path, specs);
                }
            }
        }

        #[test]
        fn arbitrary_templates_never_panic(routes in proptest::collection::vec((".{0,3}", "/?[a{}*/.%;é2F]{0,12}", ".{0,3}"), 1..4)) {
            let specs: Vec<_> = routes.iter().map(|(host, path, method)| RouteSpec {
                name: "r".into(),
                host: Some(host.clone()).filter(|host| !host.is_empty()),
                path: path.clone(),
                methods: vec![method.clone()].into_iter().filter(|method| !method.is_empty()).collect(),
            }).collect();
            match RouteTable::build(&specs) {
                Ok(table) => prop_assert!(table.fall_throughs().len() < 10),
                Err(conflicts) => prop_assert!(!conflicts.is_empty()),
            }
        }
    }

    proptest! {
        // Each case tries every short path, so a few cases go far.
        #![proptest_config(config(16))]

        #[test]
        fn reach_and_fall_throughs_are_what_trying_every_path_shows(routes in proptest::collection::vec(route(), 1..8)) {
            let (table, specs, refused) = valid_part(&routes);
            let (mut reached, mut fallen) = (BTreeSet::new(), BTreeSet::new());
            for (path, host) in all_paths().iter().flat_map(|path| [(path, "h"), (path, "")]) {
                for method in METHODS {
                    if let Some((taker, passed)) = by_the_rules(&specs, host, path, method) {
                        reached.insert(taker);
                        fallen.extend(passed.into_iter().map(|passed| (passed, taker)));
                    }
                }
            }
            prop_assert_eq!(reached.len(), specs.len(), "a route of a valid table gets no request: {:?}", specs);
            let found: BTreeSet<_> = table.fall_throughs().iter().map(|fall| (fall.route, fall.next)).collect();
            prop_assert_eq!(found, fallen, "{:?}", specs);
            for (conflict, specs) in refused.iter().filter(|(conflict, _)| conflict.message.contains("never be reached")) {
                for path in all_paths() {
                    let takers = METHODS.map(|method| by_the_rules(specs, "h", &path, method).map(|(taker, _)| taker));
                    let gets_one = takers.contains(&Some(conflict.route));
                    prop_assert!(!gets_one, "{} gets {}", conflict, path);
                }
            }
        }
    }
}
