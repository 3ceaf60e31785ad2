//! Flags and config that change under traffic: seen within a second, never half, and never felt otherwise.

use std::fs;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::support::{FakeBackend, LIMIT, TestGateway, eventually};

const SUCCESS: &str = "figway_config_last_reload_success";

struct Migration {
    gateway: TestGateway,
    _backends: [FakeBackend; 2],
}

fn flag(stage: &str) -> String {
    format!("items:\n  kind: migration\n  stage: {stage}\n")
}

fn migration() -> Migration {
    let named = |name: &'static str| {
        FakeBackend::answering(move |_| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len()))
    };
    let backends = [named("old"), named("new")];
    let gateway = TestGateway::builder()
        .file("flags/items.yaml", &flag("legacy"))
        .backend("monolith", &backends[0])
        .backend("items", &backends[1])
        .route(r#"{name: items, path: "/{*rest}", auth: none, flag: items, backends: {legacy: monolith, new: items}}"#)
        .start();
    assert_eq!(gateway.get("/x", "").text(), "old");
    Migration { gateway, _backends: backends }
}

#[test]
fn flag_takes_effect_within_a_second_however_it_is_written() {
    let Migration { gateway, .. } = &migration();
    let written = |how: &dyn Fn(&str)| {
        for (stage, answer) in [("new", "new"), ("legacy", "old")] {
            how(&flag(stage));
            let begun = Instant::now();
            eventually("the flag's effect", || gateway.get("/x", "").text() == answer);
            assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        }
    };
    written(&|text| gateway.replace("flags/items.yaml", text));
    written(&|text| fs::write(gateway.path("flags/items.yaml"), text).expect("written in place"));
}

#[test]
fn hangup_reloads_at_once() {
    let Migration { gateway, .. } = &migration();
    gateway.replace("flags/items.yaml", &flag("new"));
    gateway.signal("HUP");
    eventually("the flag's effect", || gateway.get("/x", "").text() == "new");
}

#[test]
fn bad_file_keeps_the_last_good_state_and_says_so() {
    let Migration { gateway, .. } = &migration();
    for bad in
        ["items:\n  kind: migration\n  stage: nowhere\n", "items: [", "", "items:\n  kind: switch\n  state: on\n"]
    {
        gateway.replace("flags/items.yaml", bad);
        eventually("the bad file is noticed", || gateway.metric(SUCCESS) < 0.5);
        assert_eq!(gateway.get("/x", "").text(), "old", "{bad:?}");
        assert_eq!(gateway.admin_get("/readyz").status, 200);
        gateway.replace("flags/items.yaml", &flag("legacy"));
        eventually("the good file is noticed", || gateway.metric(SUCCESS) > 0.5);
    }
}

#[test]
fn route_comes_with_the_configuration_and_the_port_does_not() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::builder()
        .backend("backend", &backend)
        .route(r#"{name: first, path: "/first", auth: none, backend: backend}"#)
        .start();
    let text = fs::read_to_string(gateway.path("gateway.yaml")).expect("the configuration");
    assert_eq!(gateway.get("/second", "").status, 404);
    let longer = format!("{text}  - {{name: second, path: /second, auth: none, backend: backend}}\n");
    gateway.replace("gateway.yaml", &longer);
    eventually("the route is there", || gateway.get("/second", "").status == 200);
    gateway.replace("gateway.yaml", &longer.replace("threads: 1", "threads: 2").replace("/second", "/third"));
    eventually("the refusal is visible", || gateway.metric(SUCCESS) < 0.5);
    assert_eq!((gateway.get("/second", "").status, gateway.get("/third", "").status), (200, 404));
    let line = 1 + text.lines().position(|line| line.contains("threads: 1")).expect("the setting");
    let told = gateway.admin_get("/admin/v1/snapshot").text();
    assert!(told.contains("needs a restart") && told.contains(&format!("gateway.yaml:{line}:")), "{told}");
}

/// Reloads that named new routes and backends once let the metrics grow for ever.
#[test]
fn metrics_forget_what_a_reload_took_away_and_keep_the_rest() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::builder()
        .backend("kept", &backend)
        .backend("gone", &backend)
        .route(r#"{name: stays, path: "/stays", auth: none, backend: kept}"#)
        .route(r#"{name: leaves, path: "/leaves", auth: none, backend: gone}"#)
        .start();
    for path in ["/stays", "/leaves"] {
        assert_eq!(gateway.get(path, "").status, 200);
    }
    let shows = |label: &str| gateway.admin_get("/metrics").text().contains(label);
    assert!(shows("route=\"leaves\"") && shows("backend=\"gone\""));
    let text = fs::read_to_string(gateway.path("gateway.yaml")).expect("the configuration");
    let left: Vec<_> = text.lines().filter(|line| !line.contains("gone")).collect();
    gateway.replace("gateway.yaml", &left.join("\n"));
    eventually("they are forgotten", || !shows("\"leaves\"") && !shows("\"gone\""));
    assert_eq!(gateway.get("/stays", "").status, 200);
    let counted = "figway_requests_total{backend=\"kept\",route=\"stays\",status=\"2xx\"} 2";
    eventually("both requests are counted", || shows(counted));
}

#[test]
fn reload_is_not_felt_by_what_is_under_way() {
    let (finish, finishing) = mpsc::channel::<()>();
    let finishing = std::sync::Mutex::new(finishing);
    let backend = FakeBackend::start(move |connection| {
        while let Some(head) = connection.head() {
            if head.get("upgrade").is_some() {
                connection.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n");
                while let Some(bytes) = connection.exactly(4) {
                    connection.send(bytes);
                }
                return;
            }
            let _ = finishing.lock().expect("a turn").recv_timeout(LIMIT);
            connection.ok("done");
        }
    });
    let gateway = TestGateway::before(&backend);
    let (mut upgraded, mut waiting) = (gateway.client(), gateway.client());
    upgraded.send("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n");
    assert_eq!(upgraded.response().status, 101);
    waiting.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("both are under way", || backend.connections() == 2);
    let text = fs::read_to_string(gateway.path("gateway.yaml")).expect("the configuration");
    let revision = gateway.metric("figway_config_revision_number");
    gateway.replace("gateway.yaml", &text.replace("name: all", "name: other"));
    eventually("the reload", || gateway.metric("figway_config_revision_number") > revision);
    assert_eq!(upgraded.send("ping").exactly(4), b"ping");
    finish.send(()).expect("the backend listens");
    assert_eq!(waiting.response().text(), "done");
}

#[test]
fn no_request_fails_while_the_flag_flies_to_and_fro() {
    let Migration { gateway, .. } = &migration();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let (mut client, begun) = (gateway.client(), Instant::now());
                    let (mut old, mut new) = (0, 0);
                    while (old == 0 || new == 0 || old + new < 500) && begun.elapsed() < LIMIT {
                        let response = client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").response();
                        match (response.status, response.text().as_str()) {
                            (200, "old") => old += 1,
                            (200, "new") => new += 1,
                            other => panic!("{other:?}"),
                        }
                    }
                    assert!(old > 0 && new > 0, "the flag never changed");
                })
            })
            .collect();
        while clients.iter().any(|client| !client.is_finished()) {
            for stage in ["new", "legacy"] {
                gateway.replace("flags/items.yaml", &flag(stage));
                gateway.signal("HUP");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    });
}
