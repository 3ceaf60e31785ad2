//! All or nothing, and visible: what is refused keeps the whole last good revision, and says why.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use figway::clock::Timestamp;
use figway::config::Overlay;
use figway::reload::Options;
use figway::snapshot::{Diagnostic, Severity};
use figway::telemetry::Metrics;
use figway::types::Revision;

use crate::site::{BY_EVENT, Gateway, MEMBER, REVIEWS, Site, until};
use crate::small_loader::load;

#[tokio::test]
async fn one_bad_file_keeps_the_whole_last_good_revision() {
    let site = Site::new();
    let gateway = site.start();
    let revision = gateway.revision();
    site.write("flags/shop.yaml", "reviews-offline: {kind: switch, state: on}\n");
    site.write("flags/member.yaml", &MEMBER.replace("canary", "canari"));
    gateway.refuses("member.yaml:3:7: member-api: \"canari\" is not a stage").await;
    assert_eq!((gateway.flag("reviews-offline").as_str(), gateway.revision()), ("off", revision));
    let status = gateway.handle.status();
    assert_eq!(status.revision, Revision(revision));
    assert!(status.last_attempt >= status.last_success);
    let metrics = gateway.metrics.render();
    assert!(metrics.contains("figway_config_last_reload_success 0"), "{metrics}");
    assert!(metrics.contains("figway_config_reloads_total{outcome=\"refused\"} 1"), "{metrics}");

    site.write("flags/member.yaml", MEMBER);
    gateway.says("reviews-offline", "on", BY_EVENT).await;
    assert_eq!(gateway.revision(), revision + 1);
    assert!(gateway.handle.status().success && gateway.problems().is_empty());
    assert!(gateway.metrics.render().contains("figway_config_last_reload_success 1"));
}

#[tokio::test]
async fn a_mistake_taken_back_needs_no_new_revision() {
    let site = Site::new();
    let gateway = site.start();
    let revision = gateway.revision();
    site.write("flags/member.yaml", "member-api: [");
    gateway.refuses("member.yaml").await;
    site.write("flags/member.yaml", MEMBER);
    assert!(until(BY_EVENT, || gateway.handle.status().success).await);
    assert_eq!(gateway.revision(), revision);
}

/// A certificate or a flag may expire while nobody touches a file.
#[tokio::test]
async fn good_files_are_looked_at_again_after_a_day() {
    static NOW: AtomicI64 = AtomicI64::new(1_795_291_200_000);
    const DAY: i64 = 86_400_000;
    let site = Site::new();
    let (config, began) = (site.path("config/gateway.yaml"), NOW.load(Ordering::SeqCst));
    let path = config.clone();
    let loader = move |overlay: &Overlay| {
        let mut loaded = load(&path, overlay);
        let expired = NOW.load(Ordering::SeqCst) >= began + DAY;
        if let Some(snapshot) = loaded.snapshot.as_mut().filter(|_| expired) {
            let (file, message) = ("flags/member.yaml".into(), "it expired".into());
            let severity = Severity::Warning;
            snapshot.warnings.push(Diagnostic { severity, file, line: 1, column: 1, path: String::new(), message });
        }
        loaded
    };
    let mut options = Options::new(config, loader, Arc::new(Metrics::new()));
    options.clock = || Timestamp(NOW.load(Ordering::SeqCst));
    options.rescan = Duration::from_millis(20);
    let gateway = Gateway::run(options, Arc::default()).expect("started");
    let revision = gateway.revision();
    NOW.fetch_add(DAY, Ordering::SeqCst);
    assert!(until(BY_EVENT, || gateway.revision() == revision + 1).await, "{}", gateway.problems());
    assert_eq!(gateway.handle.load().warnings.len(), 1);
    NOW.fetch_add(DAY, Ordering::SeqCst);
    gateway.trigger.reload_now().await;
    assert_eq!(gateway.revision(), revision + 1, "what was said already is no news");
}

/// Cut at a document boundary it is good YAML with fewer flags.
#[tokio::test]
async fn a_file_cut_short_before_a_needed_flag_is_refused() {
    let site = Site::new();
    site.write("flags/member.yaml", &format!("other: {{kind: switch, state: on}}\n{MEMBER}"));
    let gateway = site.start();
    site.write("flags/member.yaml", "other: {kind: switch, state: on}\n");
    gateway.refuses("a route needs flag \"member-api\"").await;
    assert_eq!(gateway.flag("member-api"), "canary:1000");
}

#[tokio::test]
async fn many_flags_gone_at_once_are_a_warning() {
    let site = Site::new();
    let many: String = (0..10).map(|n| format!("flag-{n}: {{kind: switch, state: on}}\n")).collect();
    site.write("flags/shop.yaml", &many);
    let gateway = site.start();
    assert!(gateway.handle.load().warnings.is_empty());
    site.write("flags/shop.yaml", &many[..many.find("flag-3").expect("there")]);
    gateway.says("flag-9", "", BY_EVENT).await;
    let warnings = gateway.handle.load().warnings.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(warnings.concat().contains("7 of 11 flags are gone"), "{warnings:?}");
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused() {
    let site = Site::new();
    let gateway = site.start();
    site.write("flags/shop.yaml", &format!("{REVIEWS}# {}\n", "x".repeat(1 << 20)));
    gateway.refuses("1 MiB").await;
    assert_eq!(gateway.flag("reviews-offline"), "off");
    site.write("flags/shop.yaml", "reviews-offline: {kind: switch, state: on}\n");
    gateway.says("reviews-offline", "on", BY_EVENT).await;
}

#[tokio::test]
async fn a_setting_that_needs_a_restart_refuses_the_whole_reload() {
    let site = Site::new();
    let gateway = site.start();
    site.write("flags/shop.yaml", "reviews-offline: {kind: switch, state: on}\n");
    site.write_config("127.0.0.1:9090", "");
    gateway.refuses("server.listen: changing [127.0.0.1:8080] to [127.0.0.1:9090] needs a restart").await;
    assert_eq!(gateway.flag("reviews-offline"), "off");
}

#[tokio::test]
async fn a_call_reloads_at_once_and_says_how_it_went() {
    let site = Site::new();
    let gateway = site.start_rescanning(std::time::Duration::from_secs(3600));
    site.write("flags/member.yaml", &MEMBER.replace("canary", "new"));
    let status = gateway.trigger.reload_now().await;
    assert!(status.success);
    assert_eq!(gateway.flag("member-api"), "new:1000");
    fs::remove_file(site.path("flags/member.yaml")).expect("removed");
    let status = gateway.trigger.reload_now().await;
    assert_eq!((status.success, status.problems.len()), (false, 1));
    gateway.trigger.reload_now().await;
    let metrics = gateway.metrics.render();
    assert!(metrics.contains("reloads_total{outcome=\"refused\"} 1"), "the same failure is told once: {metrics}");
}
