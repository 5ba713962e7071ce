//! Runs on embedded stand-ins, which need no server.

use serde_json::json;

use crate::{Lab, adds_up, folder, offered};

#[tokio::test]
async fn three_databases_are_loaded_side_by_side_out_of_the_box() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &[]);
    let jobs = lab.run(json!({ "intensity": 2, "write_pattern": "2" })).await;
    assert_eq!(jobs.len(), 3);
    for (id, target) in jobs.iter().zip(["sql", "sqlrep", "spanner"]) {
        let job = lab.ended(id).await;
        assert_eq!(job["state"], "finished", "{job}");
        assert_eq!(job["target"], target);
        assert_eq!(job["database"]["stand_in"], true);
        let windows = lab.windows(id, 5).await;
        assert_eq!(windows.len(), 5);
        for (second, window) in windows.iter().enumerate() {
            assert_eq!(window["second"], second);
            assert_eq!(window["final"], true, "{window}");
            adds_up(window);
        }
        // Two workers, each at the whole pattern.
        assert_eq!((offered(&windows, "read"), offered(&windows, "write")), (1_000, 2_000));
    }
    let listed = lab.get("/jobs").await;
    assert_eq!(listed.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn jobs_in_turns_follow_each_other() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &[]);
    let ids = lab.run(json!({ "mode": "in_turns" })).await;
    let mut jobs = Vec::new();
    for id in &ids {
        jobs.push(lab.ended(id).await);
    }
    for pair in jobs.windows(2) {
        let (first, second) = (&pair[0]["finished_at"], &pair[1]["started_at"]);
        let at =
            |time: &serde_json::Value| time.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        assert!(at(first) <= at(second), "{first} {second}");
    }
}

#[tokio::test]
async fn a_job_that_waits_for_its_turn_can_be_stopped() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &[]);
    let ids = lab.run(json!({ "mode": "in_turns", "seconds": 600 })).await;
    lab.windows(&ids[0], 1).await;
    lab.post(&format!("/jobs/{}/stop", ids[2]), json!({})).await;
    let job = lab.ended(&ids[2]).await;
    assert_eq!((&job["state"], &job["started_at"]), (&json!("stopped"), &json!(null)));
    assert_eq!(lab.get(&format!("/jobs/{}", ids[1])).await["state"], "waiting");
}

#[tokio::test]
async fn a_small_database_is_shown_failing_by_one_job() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &["--seconds", "5"]);
    let (status, answer) =
        lab.post("/fail", json!({ "read_pattern": 1, "write_pattern": 1 })).await;
    assert_eq!(status, 200, "{answer}");
    let job = lab.ended(answer["jobs_id"].as_str().unwrap()).await;
    assert_eq!(
        (&job["target"], &job["database_size"], &job["intensity"]),
        (&json!("sql"), &json!(1), &json!(3))
    );
    assert_eq!(job["seconds"], 5);
}

#[tokio::test]
async fn a_job_can_be_stopped_early_and_cannot_be_kept_then() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &[]);
    let ids = lab.run(json!({ "seconds": 600 })).await;
    lab.windows(&ids[0], 1).await;
    let (status, _) = lab.post(&format!("/jobs/{}/stop", ids[0]), json!({})).await;
    assert_eq!(status, 200);
    let job = lab.ended(&ids[0]).await;
    assert_eq!(job["state"], "stopped");
    for window in lab.windows(&ids[0], 1).await {
        assert_eq!(window["final"], true, "{window}");
        adds_up(&window);
    }
    let (status, _) = lab.post(&format!("/jobs/{}/keep", ids[0]), json!({})).await;
    assert_eq!(status, 409);
    // The others go on.
    assert_eq!(lab.get(&format!("/jobs/{}", ids[1])).await["state"], "running");
}

#[tokio::test]
async fn a_finished_run_is_kept_and_replays_without_a_database() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &[]);
    let ids = lab.run(json!({ "sql_size": 2 })).await;
    let job = lab.ended(&ids[0]).await;
    assert_eq!(job["valid"], true, "{job}");
    let (status, kept) = lab.post(&format!("/jobs/{}/keep", ids[0]), json!({})).await;
    assert_eq!((status.as_u16(), &kept["cached_as"]), (200, &json!("sql-2-1")));
    let windows = lab.get(&format!("/jobs/{}/transactions", ids[0])).await;
    drop(lab);
    let lab = Lab::start(folder.path(), &[]);
    let listed = lab.get("/cached").await;
    let key = |one: &serde_json::Value| {
        (one["key"].clone(), one["read_pattern"].clone(), one["write_pattern"].clone())
    };
    let kept = (json!("sql-2-1"), json!(1), json!(1));
    assert!(listed.as_array().unwrap().iter().any(|one| key(one) == kept), "{listed}");
    let replayed = lab.get("/cached/sql-2-1/patterns/1-1/transactions").await;
    assert_eq!(replayed, windows);
}

#[tokio::test]
async fn a_run_is_saved_as_csv_json_and_a_page_that_needs_nothing_else() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &["--keys", "zipf:0.9"]);
    let ids = lab.run(json!({})).await;
    for id in &ids {
        lab.ended(id).await;
    }
    let csv = lab.server.get(&format!("/jobs/{}/export.csv", ids[0])).await;
    assert_eq!(csv.lines().count(), 1 + 5 * 2);
    let columns = csv.lines().map(|line| line.split(',').count());
    assert!(columns.clone().all(|count| Some(count) == columns.clone().next()), "{csv}");
    let report = lab.get(&format!("/jobs/{}/export.json", ids[0])).await;
    assert_eq!(report["windows"].as_array().unwrap().len(), 5);
    assert_eq!(report["job"]["keys"], "zipf:0.9");
    assert!(report["machine"]["cores"].as_u64().unwrap() >= 1);
    let page = lab.server.get(&format!("/jobs/{}/report", ids[2])).await;
    assert_eq!(page.matches("<section>").count(), 3);
    assert!(
        !page.contains("<script") && !page.contains("src=") && !page.contains("href="),
        "{page}"
    );
}

#[tokio::test]
async fn a_second_run_waits_for_databases_or_says_when_one_is_free() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &[]);
    let first = lab.run(json!({ "seconds": 600 })).await;
    let (status, answer) = lab.post("/run", crate::run_body(json!({}))).await;
    assert_eq!(status, 503, "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("sql database of size 1"), "{answer}");
    for id in &first {
        lab.post(&format!("/jobs/{id}/stop"), json!({})).await;
        lab.ended(id).await;
    }
    // The databases are being reset, for which this one waits.
    let second = lab.run(json!({})).await;
    assert_eq!(lab.ended(&second[0]).await["state"], "finished");
}

#[tokio::test]
async fn the_runs_that_come_with_the_program_are_replayed_and_are_no_history() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &[]);
    let listed = lab.get("/cached").await;
    let first = &listed.as_array().unwrap().first().expect("the program has cached runs");
    let (key, read, write) =
        (first["key"].as_str().unwrap(), &first["read_pattern"], &first["write_pattern"]);
    let windows = lab.get(&format!("/cached/{key}/patterns/{read}-{write}/transactions")).await;
    assert_eq!(windows.as_array().unwrap().len() as u64, first["seconds"].as_u64().unwrap());
    windows.as_array().unwrap().iter().for_each(adds_up);
    assert_eq!(lab.get("/jobs").await, json!([]));
}
