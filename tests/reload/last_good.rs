//! What outlives the process: the last good copy, revisions, and changes that a crash cut in half.

use std::fs;
use std::time::Duration;

use figway::reload::{Hints, StartError};
use serde_json::json;

use crate::site::{BY_EVENT, Gateway, MEMBER, REVIEWS, Site};

const RESCAN: Duration = Duration::from_secs(3600);

fn start_error(site: &Site) -> String {
    match site.try_start(Hints::Events, RESCAN) {
        Ok(_) => panic!("it started"),
        Err(error) => error.to_string(),
    }
}

/// Changes a flag through the control plane; gives the revision.
async fn set_to_twenty(gateway: &Gateway) -> u64 {
    let changed = gateway.change("member-api", json!({"percent": 20}), gateway.revision()).await;
    changed.expect("changed").revision.0
}

/// Stops as a crash would: nothing is written on the way out.
async fn crash(gateway: Gateway) {
    gateway.stop().await;
}

#[tokio::test]
async fn bad_files_at_start_serve_the_last_good_copy_and_say_so() {
    let site = Site::new();
    let gateway = site.start();
    site.write("flags/member.yaml", &MEMBER.replace("10", "25"));
    gateway.says("member-api", "canary:2500", BY_EVENT).await;
    let revision = gateway.revision();
    gateway.stop().await;

    site.write("flags/member.yaml", "member-api: {kind: migration, stage: canari}\n");
    site.write("flags/more.yaml", "more: {kind: switch, state: on}\n");
    let gateway = site.start();
    assert_eq!((gateway.flag("member-api").as_str(), gateway.flag("more").as_str()), ("canary:2500", ""));
    let snapshot = gateway.handle.load();
    assert!(snapshot.stale && snapshot.flags.stale && snapshot.revision.0 > revision);
    assert!(!gateway.handle.status().success && gateway.problems().contains("canari"));
    assert!(gateway.metrics.render().contains("figway_config_last_reload_success 0"));

    // Mended to exactly what is served: no longer stale all the same.
    site.write("flags/member.yaml", &MEMBER.replace("10", "25"));
    fs::remove_file(site.path("flags/more.yaml")).expect("removed");
    assert!(crate::site::until(BY_EVENT, || !gateway.handle.load().stale).await, "{}", gateway.problems());
    assert!(gateway.handle.status().success && gateway.revision() > snapshot.revision.0);
}

#[tokio::test]
async fn a_broken_config_file_finds_its_copy_too() {
    let site = Site::new();
    site.start().stop().await;
    site.write("config/gateway.yaml", "{listen: [\n");
    let gateway = site.start();
    assert!(gateway.handle.load().stale);
    assert_eq!(gateway.flag("member-api"), "canary:1000");
    fs::remove_file(site.path("config/gateway.yaml")).expect("removed");
    gateway.stop().await;
    assert!(site.start().handle.load().stale, "and without any config file");
}

#[tokio::test]
async fn without_a_copy_bad_files_are_no_start() {
    let site = Site::new();
    site.write("flags/member.yaml", "member-api: {kind: migration, stage: canari}\n");
    let error = start_error(&site);
    assert!(error.contains("canari") && error.contains("no last good copy"), "{error}");
    assert!(!site.path("data").exists(), "a start that fails leaves no folder behind");
}

#[tokio::test]
async fn a_copy_that_is_bad_itself_is_no_start() {
    let site = Site::new();
    site.write("cert.pem", "pem");
    site.write_config("127.0.0.1:8080", ", extra: ../cert.pem");
    site.start().stop().await;
    fs::remove_file(site.path("cert.pem")).expect("removed");
    assert!(matches!(site.try_start(Hints::Events, RESCAN), Err(StartError::CopyRefused { .. })));
    site.write("data/last-good.json", "{\"revision\": 1, \"conf");
    assert!(start_error(&site).contains("no last good copy"), "half a copy is none");
}

#[tokio::test]
async fn a_state_folder_that_cannot_be_used_is_no_start() {
    let site = Site::new();
    site.write("data", "a file where the folder should be");
    let error = start_error(&site);
    assert!(error.contains("the state folder can't be used") && error.contains("state.dir"), "{error}");
}

/// Two processes would give the same revisions, and each would undo what the other keeps.
#[tokio::test]
async fn a_state_folder_in_use_is_no_start_and_stays_as_it_is() {
    let site = Site::new();
    let gateway = site.start();
    let copy = site.read("data/last-good.json");
    let error = start_error(&site);
    assert!(error.contains("another gateway is using it") && error.contains("state.dir"), "{error}");
    assert_eq!(site.read("data/last-good.json"), copy);
    gateway.stop().await;
    site.start();
}

#[tokio::test]
async fn revisions_never_go_back() {
    let site = Site::new();
    let mut last = 0;
    for round in 0..3 {
        let gateway = site.start();
        assert!(gateway.revision() > last, "round {round}");
        site.write("flags/member.yaml", &MEMBER.replace("10", &format!("{}", 40 + round)));
        gateway.says("member-api", &format!("canary:4{round}00"), BY_EVENT).await;
        last = gateway.revision();
        gateway.stop().await;
    }
    // Without the copy, the history still knows.
    fs::remove_file(site.path("data/last-good.json")).expect("removed");
    assert!(site.start().revision() > last);
}

#[tokio::test]
async fn the_history_survives_and_learns_what_changed_meanwhile() {
    let site = Site::new();
    let gateway = site.start();
    set_to_twenty(&gateway).await;
    gateway.stop().await;
    site.write("flags/shop.yaml", "reviews-offline: {kind: switch, state: on}\n");

    let gateway = site.start();
    let history = gateway.writer.history(&"member-api".into());
    assert_eq!(history.len(), 1);
    assert_eq!((history[0].actor.as_str(), &history[0].after["percent"]), ("alice", &json!(20)));
    let history = gateway.writer.history(&"reviews-offline".into());
    assert_eq!((history.len(), history[0].actor.as_str()), (1, "file"));
    assert_eq!((&history[0].before["state"], &history[0].after["state"]), (&"off".into(), &"on".into()));
    gateway.stop().await;
    assert_eq!(site.start().writer.recent(10).len(), 2, "each change once, however often the gateway starts");
}

/// The crash falls between the rename of the flag file and the line in the history.
#[tokio::test]
async fn a_change_cut_off_by_a_crash_is_recorded_under_its_authors_name() {
    let site = Site::new();
    let gateway = site.start();
    set_to_twenty(&gateway).await;
    let line = site.read("data/flag-history.jsonl");
    crash(gateway).await;

    // Back to the moment before the history line: its announcement is there, copy and history are the old ones.
    let intent = line.trim().replace("\"actor\":\"alice\"", "\"actor\":\"bob\"").replace(":20", ":30");
    site.write("data/flag-change.json", &intent);
    site.write("flags/member.yaml", &MEMBER.replace("10", "30"));
    let gateway = site.start();
    let history = gateway.writer.history(&"member-api".into());
    assert_eq!(history.len(), 2);
    assert_eq!((history[0].actor.as_str(), history[0].reason.as_str()), ("bob", "a test"));
    assert_eq!(history[0].before["percent"], 20);
    assert!(!site.path("data/flag-change.json").exists());
}

/// The crash falls between the line in the history and the last good copy.
#[tokio::test]
async fn a_change_that_is_in_the_history_is_not_recorded_again() {
    let site = Site::new();
    let gateway = site.start();
    let copy = site.read("data/last-good.json");
    let revision = set_to_twenty(&gateway).await;
    crash(gateway).await;
    site.write("data/last-good.json", &copy);
    let gateway = site.start();
    assert!(gateway.revision() > revision);
    assert_eq!(gateway.writer.history(&"member-api".into()).len(), 1);
}

/// The crash falls before the rename: what was announced never happened.
#[tokio::test]
async fn an_announced_change_that_was_not_made_is_forgotten() {
    let site = Site::new();
    let gateway = site.start();
    set_to_twenty(&gateway).await;
    let intent = site.read("data/flag-history.jsonl").replace(":20", ":30");
    crash(gateway).await;
    site.write("data/flag-change.json", intent.trim());
    let gateway = site.start();
    assert_eq!(gateway.writer.history(&"member-api".into()).len(), 1);
    assert!(!site.path("data/flag-change.json").exists());
    assert_eq!(site.read("flags/shop.yaml"), REVIEWS);
}
