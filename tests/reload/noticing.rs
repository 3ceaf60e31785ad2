//! However files change, it is noticed: by an event within a second, or by the rescan.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::site::{BY_EVENT, MEMBER, REVIEWS, Site, until};

#[tokio::test]
async fn a_file_written_in_place_takes_effect() {
    let site = Site::new();
    let gateway = site.start();
    assert_eq!(gateway.flag("member-api"), "canary:1000");
    site.write("flags/member.yaml", &MEMBER.replace("10", "25"));
    gateway.says("member-api", "canary:2500", BY_EVENT).await;
    assert!(gateway.handle.status().success);
}

#[tokio::test]
async fn a_file_renamed_over_another_takes_effect_every_time() {
    let site = Site::new();
    let gateway = site.start();
    for percent in [11, 12, 13] {
        site.rename_over("flags/member.yaml", &MEMBER.replace("10", &percent.to_string()));
        gateway.says("member-api", &format!("canary:{percent}00"), BY_EVENT).await;
    }
}

#[tokio::test]
async fn a_new_flag_file_and_a_removed_one_take_effect() {
    let site = Site::new();
    let gateway = site.start();
    site.write("flags/new.yaml", "banner: {kind: switch, state: on}\n");
    gateway.says("banner", "on", BY_EVENT).await;
    fs::remove_file(site.path("flags/shop.yaml")).expect("removed");
    gateway.says("reviews-offline", "", BY_EVENT).await;
}

/// Kubernetes mounts a ConfigMap as links through `..data`, and changes it by swapping that one link.
#[tokio::test]
async fn a_swapped_data_link_takes_effect_every_time() {
    let site = Site::new();
    fs::remove_file(site.path("flags/member.yaml")).expect("removed");
    let publish = |version: &str, text: &str| {
        fs::create_dir(site.path(&format!("flags/..{version}"))).expect("folder");
        site.write(&format!("flags/..{version}/member.yaml"), text);
        symlink(format!("..{version}"), site.path("flags/..data_tmp")).expect("link");
        fs::rename(site.path("flags/..data_tmp"), site.path("flags/..data")).expect("swap");
    };
    publish("one", MEMBER);
    symlink("..data/member.yaml", site.path("flags/member.yaml")).expect("link");
    let gateway = site.start();
    for (version, gone, percent) in [("two", "one", "20"), ("three", "two", "30"), ("four", "three", "40")] {
        publish(version, &MEMBER.replace("10", percent));
        fs::remove_dir_all(site.path(&format!("flags/..{gone}"))).expect("removed");
        gateway.says("member-api", &format!("canary:{percent}00"), BY_EVENT).await;
    }
}

#[tokio::test]
async fn a_folder_that_is_a_link_takes_effect_when_the_link_is_swapped() {
    let site = Site::new();
    fs::rename(site.path("flags"), site.path("release-1")).expect("renamed");
    symlink("release-1", site.path("flags")).expect("link");
    let gateway = site.start();
    fs::create_dir(site.path("release-2")).expect("folder");
    site.write("release-2/member.yaml", &MEMBER.replace("10", "20"));
    symlink("release-2", site.path("flags-next")).expect("link");
    fs::rename(site.path("flags-next"), site.path("flags")).expect("swap");
    gateway.says("member-api", "canary:2000", BY_EVENT).await;
    site.write("release-2/member.yaml", &MEMBER.replace("10", "30"));
    gateway.says("member-api", "canary:3000", BY_EVENT).await;
}

#[tokio::test]
async fn a_folder_deleted_and_made_again_is_watched_again() {
    let site = Site::new();
    let gateway = site.start();
    for percent in [21, 22, 23] {
        fs::remove_dir_all(site.path("flags")).expect("removed");
        gateway.refuses("member-api").await;
        fs::create_dir(site.path("flags")).expect("made");
        site.write("flags/member.yaml", &MEMBER.replace("10", &percent.to_string()));
        gateway.says("member-api", &format!("canary:{percent}00"), BY_EVENT).await;
        // The watch is on the new folder now, not only on its parent.
        site.write("flags/member.yaml", &MEMBER.replace("10", "50"));
        gateway.says("member-api", "canary:5000", BY_EVENT).await;
    }
}

#[tokio::test]
async fn without_events_the_rescan_compares_content() {
    let site = Site::new();
    let gateway = site.start_rescanning(Duration::from_millis(50));
    let path = site.path("flags/member.yaml");
    let before = fs::metadata(&path).expect("metadata").modified().expect("time");
    // Same length, same time: only the content tells.
    site.write("flags/member.yaml", &MEMBER.replace("10", "90"));
    fs::File::options().write(true).open(&path).expect("open").set_modified(before).expect("time");
    gateway.says("member-api", "canary:9000", BY_EVENT).await;
}

/// Without events nothing tells that somebody is still writing, except that the content moves.
#[tokio::test]
async fn without_events_a_half_written_file_is_waited_for() {
    let site = Site::new();
    let banner = "banner: {kind: switch, state: on}\n";
    site.write("flags/shop.yaml", &format!("{REVIEWS}{banner}"));
    let gateway = site.start_rescanning(Duration::from_millis(10));
    site.write("flags/shop.yaml", REVIEWS);
    tokio::time::sleep(Duration::from_millis(50)).await;
    site.write("flags/shop.yaml", &format!("{}{banner}", REVIEWS.replace("state: off", "state: on")));
    gateway.says("reviews-offline", "on", BY_EVENT).await;
    assert!(gateway.writer.history(&"banner".into()).is_empty(), "the banner was never gone");
}

/// A refused configuration may name folders that the one in effect does not.
#[tokio::test]
async fn the_mend_of_a_refused_configuration_is_noticed_where_it_is_made() {
    let site = Site::new();
    let gateway = site.start();
    fs::create_dir(site.path("other")).expect("folder");
    fs::create_dir(site.path("other/flags")).expect("folder");
    let config = site.read("config/gateway.yaml").replace("../flags", "../other/flags");
    site.write("config/gateway.yaml", &config);
    gateway.refuses("member-api").await;
    site.write("other/flags/member.yaml", &MEMBER.replace("10", "20"));
    gateway.says("member-api", "canary:2000", BY_EVENT).await;
}

#[tokio::test]
async fn a_touch_is_no_change() {
    let site = Site::new();
    let gateway = site.start();
    let (revision, loads) = (gateway.revision(), gateway.loads.load(Ordering::SeqCst));
    site.rename_over("flags/member.yaml", MEMBER);
    site.write("flags/notes.txt", "not a flag file");
    site.write("flags/shop.yaml", "reviews-offline: {kind: switch, state: on}\n");
    gateway.says("reviews-offline", "on", BY_EVENT).await;
    assert_eq!(gateway.revision(), revision + 1);
    assert!(gateway.loads.load(Ordering::SeqCst) <= loads + 2, "one load is enough, two if the writes were far apart");
}

#[tokio::test]
async fn fifty_quick_edits_are_one_or_a_few_reloads() {
    let site = Site::new();
    let gateway = site.start();
    let revision = gateway.revision();
    for percent in 30..80 {
        site.write("flags/member.yaml", &MEMBER.replace("10", &percent.to_string()));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    gateway.says("member-api", "canary:7900", BY_EVENT).await;
    assert!(gateway.revision() <= revision + 5, "{} revisions", gateway.revision() - revision);
}

/// Our own reading must not look like somebody's change.
#[tokio::test]
async fn nothing_is_loaded_while_nothing_changes() {
    let site = Site::new();
    let gateway = site.start();
    site.write("flags/shop.yaml", "reviews-offline: {kind: switch, state: on}\n");
    gateway.says("reviews-offline", "on", BY_EVENT).await;
    let loads = gateway.loads.load(Ordering::SeqCst);
    assert!(!until(Duration::from_millis(700), || gateway.loads.load(Ordering::SeqCst) > loads).await);
}

/// A certificate or a key set is as much a part of a snapshot as a flag.
#[tokio::test]
async fn any_file_that_was_read_is_followed() {
    let site = Site::new();
    fs::create_dir(site.path("tls")).expect("folder");
    site.write("tls/shop.pem", "one");
    site.write_config("127.0.0.1:8080", ", extra: ../tls/shop.pem");
    let gateway = site.start();
    let (revision, hash) = (gateway.revision(), gateway.handle.load().hash.clone());
    site.write("tls/shop.pem", "two");
    assert!(until(BY_EVENT, || gateway.revision() == revision + 1).await, "{}", gateway.problems());
    assert_ne!(gateway.handle.load().hash, hash);
}
