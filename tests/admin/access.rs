//! Who may call. The rules themselves are tested beside their code; here, that every path obeys them.

use figway::admin::operations;
use figway::snapshot::{AnonymousAccess, Role};

use super::fakes::{OPERATOR, VIEWER, snapshot};
use super::gateway::Gateway;

fn concrete(path: &str) -> String {
    path.replace("{key}", "member-api").replace("{id}", "p1")
}

#[tokio::test]
async fn a_rebound_name_reaches_only_what_is_open() {
    let gateway = Gateway::start().await;
    for (path, method, needs) in operations() {
        let request =
            format!("{method} {} HTTP/1.1\r\nhost: evil.example:9901\r\nconnection: close\r\n\r\n", concrete(path));
        let reply = gateway.raw(&request).await;
        match needs {
            Some(_) => drop(reply.problem(403, "forbidden")),
            None => assert_eq!(reply.status, 200, "{method} {path}"),
        }
    }
}

#[tokio::test]
async fn a_page_of_another_origin_reaches_only_what_is_open() {
    let gateway = Gateway::with(AnonymousAccess::Operate, Default::default()).await;
    for (path, method, needs) in operations() {
        for header in [("origin", "http://evil.example"), ("sec-fetch-site", "cross-site")] {
            let reply = gateway.send(&format!("{method} {}", concrete(path)), &[header], "").await;
            match needs {
                Some(_) => drop(reply.problem(403, "forbidden")),
                None => assert_eq!(reply.status, 200, "{method} {path}"),
            }
        }
    }
}

#[tokio::test]
async fn without_anonymous_access_only_health_and_metrics_are_open() {
    let gateway = Gateway::with(AnonymousAccess::None, Default::default()).await;
    for (path, method, needs) in operations() {
        let reply = gateway.send(&format!("{method} {}", concrete(path)), &[], "").await;
        match needs {
            Some(_) => {
                reply.problem(401, "token-missing");
                assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"figway\""));
            }
            None => assert_eq!(reply.status, 200, "{method} {path}"),
        }
    }
    let open: Vec<_> = operations().iter().filter(|(_, _, needs)| needs.is_none()).map(|(path, ..)| *path).collect();
    assert_eq!(open, ["/livez", "/readyz", "/metrics"]);
}

#[tokio::test]
async fn a_wrong_token_is_refused_even_where_none_is_needed() {
    let gateway = Gateway::start().await;
    for value in ["Bearer wrong", "Basic eDp5"] {
        let reply = gateway.send("GET /admin/v1/flags", &[("authorization", value)], "").await;
        reply.problem(401, "token-invalid");
        assert!(reply.header("www-authenticate").is_some_and(|challenge| challenge.contains("invalid_token")));
    }
}

#[tokio::test]
async fn a_viewer_reads_and_may_not_change() {
    let gateway = Gateway::with(AnonymousAccess::None, Default::default()).await;
    let viewer = format!("Bearer {VIEWER}");
    let reply = gateway.send("GET /admin/v1/flags", &[("authorization", &viewer)], "").await;
    assert_eq!(reply.status, 200);
    for (path, method, needs) in operations() {
        if needs == Some(Role::Operator) {
            let reply = gateway.send(&format!("{method} {}", concrete(path)), &[("authorization", &viewer)], "").await;
            reply.problem(403, "forbidden");
        }
    }
}

#[tokio::test]
async fn an_anonymous_caller_who_may_only_read_is_asked_for_a_token() {
    let gateway = Gateway::start().await;
    let body = r#"{"changes": {"percent": 25}, "reason": "ramp"}"#;
    let headers = [("if-match", "\"12\""), ("content-type", "application/json")];
    gateway.send("PATCH /admin/v1/flags/member-api", &headers, body).await.problem(401, "token-missing");

    let gateway = Gateway::with(AnonymousAccess::Operate, Default::default()).await;
    let reply = gateway.send("PATCH /admin/v1/flags/member-api", &headers, body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.json()["last_changed"]["actor"], "anonymous");
}

#[tokio::test]
async fn a_reload_of_the_tokens_applies_to_the_next_request() {
    let gateway = Gateway::with(AnonymousAccess::None, Default::default()).await;
    let operator = format!("Bearer {OPERATOR}");
    assert_eq!(gateway.send("GET /admin/v1/flags", &[("authorization", &operator)], "").await.status, 200);
    let mut next = snapshot(13, 1_000, AnonymousAccess::None);
    next.admin.tokens.clear();
    gateway.handle.publish(next.into());
    let reply = gateway.send("GET /admin/v1/flags", &[("authorization", &operator)], "").await;
    reply.problem(401, "token-invalid");
}

#[tokio::test]
async fn a_request_without_a_host_is_not_well_formed() {
    let gateway = Gateway::start().await;
    let reply = gateway.raw("GET /admin/v1/flags HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    reply.problem(400, "invalid-host");
}
