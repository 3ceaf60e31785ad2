//! No spelling of a protected path slips past its route: what is matched is what is forwarded.

use crate::support::{FakeBackend, TestGateway, TokenMint};

fn protected() -> (TestGateway, FakeBackend) {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::builder()
        .auth(&TokenMint::new())
        .backend("backend", &backend)
        .route(r#"{name: admin, path: "/admin/{*rest}", auth: required, backend: backend}"#)
        .route(r#"{name: raw, path: "/raw/{*rest}", auth: none, backend: backend, allow_encoded_slash: true}"#)
        .open_route("backend")
        .start();
    (gateway, backend)
}

#[test]
fn every_spelling_of_a_protected_path_needs_a_token() {
    let (gateway, backend) = protected();
    for target in [
        "/admin/secret",
        "//admin/secret",
        "/admin//secret",
        "///admin///secret",
        "/./admin/secret",
        "/admin/./secret",
        "/x/../admin/secret",
        "/x/y/../../admin/secret",
        "/admin/x/../secret",
        "/%61dmin/secret",
        "/%61%64%6D%69%6e/secret",
        "/x/%2e%2e/admin/secret",
        "/x/%2E%2E/admin/secret",
        "/x/.%2e/admin/secret",
        "/x/%2e./admin/secret",
        "/%2e/admin/secret",
        "/admin/secret?x=/../../public",
        "http://shop.example/admin/secret",
        "http://shop.example//x/../admin/secret",
    ] {
        assert_eq!(gateway.get(target, "").status, 401, "{target}");
    }
    assert_eq!(backend.connections(), 0);
}

#[test]
fn paths_that_backends_read_differently_are_refused() {
    let (gateway, backend) = protected();
    for target in [
        "/admin%2fsecret",
        "/admin%2Fsecret",
        "/x%2f..%2fadmin/secret",
        "/admin%5csecret",
        "/x%5C..%5Cadmin/secret",
        "/x/%00",
        "/admin%00/secret",
        "/x/%zz",
        "/x/%4",
        "/x/%",
        "/raw/%00",
    ] {
        let response = gateway.get(target, "");
        assert_eq!((response.status, response.problem().as_str()), (400, "invalid-path"), "{target}");
    }
    assert_eq!(backend.connections(), 0);
}

#[test]
fn climbing_past_the_root_reaches_nothing_unprotected() {
    let (gateway, backend) = protected();
    for target in ["/../admin/secret", "/../../admin/secret", "/x/../../admin/secret", "/%2e%2e/admin/secret"] {
        let status = gateway.get(target, "").status;
        assert!([400, 401].contains(&status), "{target}: {status}");
    }
    assert_eq!(backend.connections(), 0);
}

#[test]
fn backend_sees_the_very_path_that_was_matched() {
    let (gateway, backend) = protected();
    for (target, forwarded) in [
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("/A/b", "/A/b"),
        ("/a//b/./c/../d", "/a/b/d"),
        ("/a/b/..", "/a/"),
        ("/a/%7euser/%2d%5F%2e", "/a/~user/-_."),
        ("/a/%c3%a9", "/a/%C3%A9"),
        ("/a/%3f%23%3b%40%25", "/a/%3F%23%3B%40%25"),
        ("/a/%2561dmin", "/a/%2561dmin"),
        ("/a;v=1/b,c;d", "/a;v=1/b,c;d"),
        ("/a/...", "/a/..."),
        ("/raw/a%2fb", "/raw/a%2Fb"),
        ("/raw/a%5cb", "/raw/a%5Cb"),
    ] {
        assert_eq!(gateway.get(target, "").status, 200, "{target}");
        assert_eq!(backend.requests().last().expect("a request").target(), forwarded, "{target}");
    }
}

#[test]
fn dots_with_a_parameter_are_no_way_up() {
    // `..;` is a parent folder to some servlet containers. Whatever is let through goes out as it was matched.
    let (gateway, backend) = protected();
    for target in ["/x/..;/admin/secret", "/x/..;a=b/admin/secret", "/x/%2e%2e;/admin/secret"] {
        let response = gateway.get(target, "");
        assert!([200, 400, 401].contains(&response.status), "{target}: {}", response.status);
        for request in backend.requests() {
            assert!(request.target().starts_with("/x/..;"), "{target} went out as {}", request.target());
        }
    }
}

#[test]
fn query_is_untouched_byte_for_byte() {
    let (gateway, backend) = protected();
    for query in ["?", "?a=%2f%2F..//./%7e&b=a+b&&=&c", "?a=%zz%00%", "?x=%c3%A9?y=/../", "?{}|[]'"] {
        let status = gateway.get(&format!("/a/../b{query}"), "").status;
        assert_eq!(status, 200, "{query}");
        assert_eq!(backend.requests().last().expect("a request").target(), format!("/b{query}"));
    }
}

#[test]
fn unknown_paths_and_methods_are_told_apart() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::builder()
        .backend("backend", &backend)
        .route(r#"{name: item, path: "/items/{id}", methods: [GET, PUT], auth: none, backend: backend}"#)
        .start();
    let response = gateway.get("/nowhere", "");
    assert_eq!((response.status, response.problem().as_str()), (404, "no-route"));
    let response = gateway.exchange("DELETE /items/1 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((response.status, response.problem().as_str()), (405, "method-not-allowed"));
    let allow = response.get("allow").expect("Allow").to_owned();
    for method in ["GET", "HEAD", "PUT"] {
        assert!(allow.split(", ").any(|allowed| allowed == method), "{method} is not in {allow:?}");
    }
    assert_eq!(gateway.get("/items/1", "").status, 200);
    assert_eq!(gateway.get("/items/%31", "").text(), "/items/1");
}
