//! Hundreds of good and bad reloads leave descriptors and tasks as they were.

use std::fs;

use serde_json::json;

use crate::site::{BY_EVENT, MEMBER, Site, alice, members, until};

const ROUNDS: usize = 200;

fn descriptors_below(folder: &std::path::Path) -> usize {
    let links =
        fs::read_dir("/proc/self/fd").expect("descriptors").filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.filter(|target| target.starts_with(folder)).count()
}

#[tokio::test]
async fn hundreds_of_reloads_leak_neither_descriptors_nor_tasks() {
    let site = Site::new();
    let gateway = site.start();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    gateway.trigger.reload_now().await;
    let before = (descriptors_below(&site.path("")), tasks());
    let (mut good, mut bad) = (0, 0);
    for round in 0..ROUNDS {
        site.rename_over("flags/member.yaml", &MEMBER.replace("10", &format!("{}", 10 + round % 80)));
        good += usize::from(gateway.trigger.reload_now().await.success);
        site.write("flags/member.yaml", &format!("member-api: [{round}"));
        bad += usize::from(!gateway.trigger.reload_now().await.success);
    }
    assert_eq!((good, bad), (ROUNDS, ROUNDS));
    // The rescan may just be reading a file.
    let after = || (descriptors_below(&site.path("")), tasks());
    assert!(until(BY_EVENT, || after() == before).await, "{before:?} became {:?}", after());
}

#[tokio::test]
async fn many_writers_at_once_all_get_their_turn() {
    let site = Site::new();
    let gateway = site.start();
    let start = gateway.revision();
    let writers: Vec<_> = (0..20)
        .map(|n| {
            let changes = members(json!({"description": format!("number {n}")}));
            let (writer, handle) = (gateway.writer.clone(), gateway.handle.clone());
            tokio::spawn(async move {
                // Each looks anew until nobody came between.
                loop {
                    let wish = alice("reviews-offline", handle.load().revision.0);
                    if writer.clone().change(wish, changes.clone()).await.is_ok() {
                        return;
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("done");
    }
    assert_eq!(gateway.revision(), start + 20);
    assert_eq!(gateway.writer.history(&"reviews-offline".into()).len(), 20);
    assert_eq!(site.read("flags/member.yaml"), MEMBER);
}
