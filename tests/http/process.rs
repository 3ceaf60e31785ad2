//! The life of the process: ready, drained, killed, started again.

use std::time::{Duration, Instant};

use crate::support::{FakeBackend, TestGateway, eventually};

fn slow_backend(time: Duration) -> FakeBackend {
    FakeBackend::start(move |connection| {
        while let Some(request) = connection.request() {
            if request.target() == "/slow" {
                std::thread::sleep(time);
            }
            connection.ok("done");
        }
    })
}

fn draining(backend: &FakeBackend, drain: &str) -> TestGateway {
    TestGateway::builder().server("drain", drain).backend("backend", backend).open_route("backend").start()
}

#[test]
fn readiness_does_not_depend_on_backends() {
    let gateway = TestGateway::builder()
        .backend_with("backend", &[crate::support::refusing_port()], "")
        .open_route("backend")
        .start();
    assert_eq!(gateway.admin_get("/readyz").status, 200);
    assert_eq!(gateway.admin_get("/livez").status, 200);
}

#[test]
fn drain_announces_itself_before_anything_is_refused() {
    let backend = slow_backend(Duration::ZERO);
    let mut gateway = draining(&backend, "{delay: 700ms, timeout: 5s}");
    gateway.signal("TERM");
    let begun = Instant::now();
    eventually("readiness ends", || gateway.admin_get("/readyz").status == 503);
    assert_eq!(gateway.admin_get("/livez").status, 200);
    assert_eq!(gateway.get("/x", "").status, 200, "new connections are still served");
    assert_eq!(gateway.await_exit().code(), Some(0));
    assert!(begun.elapsed() >= Duration::from_millis(700), "the delay was cut short");
    assert!(std::net::TcpStream::connect(gateway.address).is_err());
}

#[test]
fn request_in_flight_is_answered_and_its_connection_closed() {
    let backend = slow_backend(Duration::from_millis(500));
    let mut gateway = draining(&backend, "{delay: 0s, timeout: 5s}");
    let mut idle = gateway.client();
    assert_eq!(idle.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").response().status, 200);
    let mut busy = gateway.client();
    busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the slow request is under way", || backend.requests().len() == 2);
    gateway.signal("TERM");
    let response = busy.response();
    assert_eq!((response.status, response.text().as_str()), (200, "done"));
    assert_eq!(response.get("connection"), Some("close"));
    assert!(busy.rest().is_empty());
    assert!(idle.rest().is_empty(), "an idle connection does not hold up the end");
    assert_eq!(gateway.await_exit().code(), Some(0));
}

#[test]
fn drain_waits_no_longer_than_configured() {
    let backend = FakeBackend::start(|connection| {
        connection.request();
        connection.is_abandoned();
    });
    let mut gateway = draining(&backend, "{delay: 0s, timeout: 300ms}");
    let mut client = gateway.client();
    client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the request is under way", || backend.requests().len() == 1);
    let begun = Instant::now();
    gateway.signal("TERM");
    assert_eq!(gateway.await_exit().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

/// It once took a third one, after the delay, while the documentation promised the second.
#[test]
fn whoever_is_told_twice_ends_at_once() {
    for (drain, second) in [("{delay: 60s, timeout: 60s}", "TERM"), ("{delay: 0s, timeout: 60s}", "INT")] {
        let backend = FakeBackend::start(|connection| {
            connection.request();
            connection.is_abandoned();
        });
        let mut gateway = draining(&backend, drain);
        let mut client = gateway.client();
        client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
        eventually("the request is under way", || backend.requests().len() == 1);
        gateway.signal("TERM");
        eventually("readiness ends", || gateway.admin_get("/readyz").status == 503);
        let begun = Instant::now();
        gateway.signal(second);
        assert_eq!(gateway.await_exit().code(), Some(0), "{drain}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{drain}: {:?}", begun.elapsed());
    }
}

/// Clients once took every descriptor: probes of readiness hung, reloads and connections to backends failed.
#[test]
fn clients_leave_descriptors_for_everything_else() {
    let backend = FakeBackend::echoing();
    let flag = |state: &str| format!("lamp: {{kind: switch, state: {state}}}\n");
    let gateway = TestGateway::builder()
        .descriptors(160)
        .file("flags/lamp.yaml", &flag("off"))
        .backend("backend", &backend)
        .open_route("backend")
        .start();
    let mut clients: Vec<_> = (0..200).map(|_| gateway.client()).collect();
    let pauses = || gateway.metric("figway_accept_pauses_total");
    eventually("accepting pauses", || pauses() > 0.0);
    assert_eq!(gateway.admin_get("/readyz").status, 200);
    for client in clients.iter_mut().take(20) {
        assert_eq!(client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").response().status, 200);
    }
    let revision = gateway.metric("figway_config_revision_number");
    gateway.replace("flags/lamp.yaml", &flag("on"));
    eventually("the reload", || gateway.metric("figway_config_revision_number") > revision);
    clients.truncate(20);
    assert_eq!(gateway.get("/x", "").status, 200, "accepting goes on once there is room");
}

#[test]
fn killed_gateway_starts_again_on_the_same_ports() {
    let backend = FakeBackend::echoing();
    let mut gateway = TestGateway::before(&backend);
    let mut client = gateway.client();
    assert_eq!(client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").response().status, 200);
    gateway.kill_and_restart();
    assert!(client.rest().is_empty());
    assert_eq!(gateway.get("/x", "").status, 200);
}

#[test]
fn every_request_leaves_one_line_in_the_access_log() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::before(&backend);
    let id = gateway.get("/logged?secret=1", "").get("x-request-id").expect("an id").to_owned();
    let refused = gateway.exchange("GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    let refused_id = refused.get("x-request-id").expect("an id").to_owned();
    eventually("both lines are written", || gateway.log().contains(&id) && gateway.log().contains(&refused_id));
    let log = gateway.log();
    let line = log.lines().find(|line| line.contains(&id)).expect("a line");
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!((&line["method"], &line["path"], &line["status"]), (&"GET".into(), &"/logged".into(), &200.into()));
    assert_eq!(log.matches(&id).count(), 1);
    assert!(!log.contains("secret=1"), "queries are not logged");
}
