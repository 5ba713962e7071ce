//! Workers in other processes.

use std::process::Stdio;

use serde_json::json;
use testkit::process::storefront;

use crate::{Lab, adds_up, folder, offered};

#[tokio::test]
async fn children_of_the_lab_offer_the_same_load() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &["--workers", "children"]);
    let ids = lab.run(json!({ "intensity": 2 })).await;
    for id in &ids {
        let job = lab.ended(id).await;
        assert_eq!(job["state"], "finished", "{job}");
        let windows = lab.windows(id, 5).await;
        windows.iter().for_each(adds_up);
        assert_eq!((offered(&windows, "read"), offered(&windows, "write")), (1_000, 1_000));
    }
}

#[tokio::test]
async fn a_worker_elsewhere_needs_the_token_that_the_lab_prints() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &["--workers", "elsewhere"]);
    let without =
        lab.server.client.post(format!("{}/workers/next", lab.server.base)).send().await.unwrap();
    assert_eq!(without.status(), 403);
    let mut worker = storefront(folder.path());
    worker.args(["lab", "worker", "--orchestrator", &lab.server.base, "--token", "wrong"]);
    let output = testkit::process::output(&mut worker);
    assert!(!output.status.success());
    assert!(testkit::process::stderr(&output).contains("token"), "{output:?}");
}

#[tokio::test]
async fn a_job_without_workers_fails_and_says_how_to_start_some() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &["--workers", "elsewhere"]);
    let ids = lab.run(json!({})).await;
    let job = lab.ended(&ids[0]).await;
    assert_eq!(job["state"], "failed");
    assert!(job["why"].as_str().unwrap().contains("storefront lab worker"), "{job}");
}

#[tokio::test]
async fn a_worker_that_is_killed_fails_its_job() {
    let folder = folder();
    let mut lab = Lab::start(folder.path(), &["--workers", "elsewhere"]);
    let line = lab.server.line();
    let token = line.split("TOKEN=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let mut workers: Vec<_> = (0..3)
        .map(|_| {
            let mut worker = storefront(folder.path());
            worker.args(["lab", "worker", "--orchestrator", &lab.server.base]);
            worker.env("STOREFRONT_LAB_TOKEN", &token).stderr(Stdio::null());
            worker.spawn().unwrap()
        })
        .collect();
    let ids = lab.run(json!({ "seconds": 60 })).await;
    for id in &ids {
        lab.windows(id, 1).await;
    }
    for worker in &mut workers {
        worker.kill().unwrap();
        worker.wait().unwrap();
    }
    for id in &ids {
        let job = lab.ended(id).await;
        assert_eq!((&job["state"], &job["valid"]), (&json!("failed"), &json!(false)));
        assert!(job["why"].as_str().unwrap().contains("was lost"), "{job}");
    }
}

#[tokio::test]
async fn a_lab_that_is_told_to_stop_gets_the_last_windows_of_its_children() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &["--workers", "children"]);
    let ids = lab.run(json!({ "seconds": 600 })).await;
    for id in &ids {
        lab.windows(id, 1).await;
    }
    lab.server.signal("TERM");
    let (status, _) = lab.server.end();
    assert!(status.success(), "{status}");
    let lab = Lab::start(folder.path(), &[]);
    for id in &ids {
        let job = lab.ended(id).await;
        assert_eq!(job["state"], "stopped", "{job}");
        for window in lab.windows(id, 1).await {
            assert_eq!(window["final"], true, "{window}");
            adds_up(&window);
        }
    }
}
