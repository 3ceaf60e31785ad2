//! Health and metrics.

use figway::clock::Timestamp;
use figway::snapshot::{AnonymousAccess, ReloadStatus, Severity};
use figway::types::Revision;

use super::fakes::{VIEWER, diagnostic};
use super::gateway::Gateway;

fn failed() -> ReloadStatus {
    ReloadStatus {
        success: false,
        last_success: Timestamp(1_795_291_200_000),
        last_attempt: Timestamp(1_795_291_260_000),
        revision: Revision(12),
        problems: vec![diagnostic(Severity::Error, "\"250\" has no unit; write \"250ms\"")],
    }
}

#[tokio::test]
async fn a_started_process_is_alive_and_ready() {
    let gateway = Gateway::start().await;
    assert_eq!(gateway.get("/livez").await.status, 200);
    let reply = gateway.get("/readyz").await;
    assert_eq!(reply.status, 200);
    let detail = reply.json();
    assert_eq!((&detail["ready"], &detail["hash"]), (&true.into(), &"5f".repeat(32).into()));
}

#[tokio::test]
async fn a_process_that_ends_is_not_ready_but_alive() {
    let gateway = Gateway::start().await;
    gateway.readiness.drain();
    let document = gateway.get("/readyz").await.problem(503, "unavailable");
    assert_eq!((document["ready"].as_bool(), document["draining"].as_bool()), (Some(false), Some(true)));
    assert_eq!(gateway.get("/livez").await.status, 200);
}

#[tokio::test]
async fn a_failed_reload_is_told_and_does_not_end_readiness() {
    let gateway = Gateway::start().await;
    gateway.handle.set_status(failed());
    let reply = gateway.get("/readyz").await;
    assert_eq!(reply.status, 200);
    let reload = &reply.json()["last_reload"];
    assert_eq!(reload["success"], false);
    assert_eq!(
        reload["problems"][0]["text"],
        "config/gateway.yaml:14:12: routes[0]: \"250\" has no unit; write \"250ms\""
    );
}

#[tokio::test]
async fn problems_are_counted_but_not_shown_to_whom_may_not_read() {
    let gateway = Gateway::with(AnonymousAccess::None, Default::default()).await;
    gateway.handle.set_status(failed());
    let reload = gateway.get("/readyz").await.json()["last_reload"].clone();
    assert_eq!((reload["problem_count"].as_u64(), reload["problems"].is_null()), (Some(1), true));
    let viewer = format!("Bearer {VIEWER}");
    let reply = gateway.send("GET /readyz", &[("authorization", &viewer)], "").await;
    assert_eq!(reply.json()["last_reload"]["problems"][0]["line"], 14);
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let gateway = Gateway::start().await;
    let reply = gateway.get("/metrics").await;
    assert_eq!(reply.body, "figway_requests_total 1\n");
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
}

#[tokio::test]
async fn the_snapshot_tells_what_is_in_effect_and_what_went_wrong() {
    let gateway = Gateway::start().await;
    let document = gateway.get("/admin/v1/snapshot").await.json();
    assert_eq!(document["revision"], 12);
    assert_eq!(document["created"], "2026-11-21T20:00:00.000Z");
    assert!(document["last_error"].is_null());
    assert_eq!(document["warnings"][0]["severity"], "warning");
    assert_eq!(document["backends"][1]["endpoints"][0], "127.0.0.1:7002");
    gateway.handle.set_status(failed());
    let error = gateway.get("/admin/v1/snapshot").await.json()["last_error"].clone();
    assert_eq!(error["at"], "2026-11-21T20:01:00.000Z");
    assert_eq!((error["problems"][0]["line"].as_u64(), error["problems"][0]["column"].as_u64()), (Some(14), Some(12)));
    assert!(error["message"].as_str().is_some_and(|message| message.contains("\"250\"")));
}
