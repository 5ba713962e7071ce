//! A lab that is killed in a run.

use serde_json::json;
use testkit::wait::eventually;

use crate::{Lab, folder};

#[tokio::test]
async fn after_a_kill_windows_are_there_and_databases_come_back() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &[]);
    let ids = lab.run(json!({ "seconds": 60 })).await;
    let before = lab.windows(&ids[0], 2).await;
    let finals: Vec<_> = before.iter().filter(|window| window["final"] == true).collect();
    lab.server.signal("KILL");
    drop(lab);
    let lab = Lab::start(folder.path(), &[]);
    let after = lab.windows(&ids[0], before.len()).await;
    for window in finals {
        assert!(after.contains(window), "{window}");
    }
    // The leases of the dead lab run out, its databases are reset, and its jobs have failed.
    eventually("three free databases of size 1", async || {
        let all = lab.get("/db_lease").await;
        let free = |one: &&serde_json::Value| one["database_size"] == 1 && one["state"] == "free";
        all.as_array().unwrap().iter().filter(free).count() == 3
    })
    .await;
    for id in &ids {
        let job = lab.ended(id).await;
        assert_eq!((&job["state"], &job["valid"]), (&json!("failed"), &json!(false)));
        assert!(job["why"].as_str().unwrap().contains("has ended"), "{job}");
    }
    let again = lab.run(json!({})).await;
    assert_eq!(lab.ended(&again[0]).await["state"], "finished");
}
