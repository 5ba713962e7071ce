//! Faults of a server that `scripts/servers` started, drawn into runs.

use serde_json::{Value, json};
use testkit::db_server::{DbServer, script};
use testkit::wait::eventually;

use crate::{Lab, adds_up, folder, offered};

/// The largest p99 of reads, in seconds, of some seconds of a run.
fn worst_p99(windows: &[Value], seconds: std::ops::Range<usize>) -> f64 {
    let p99 = windows[seconds].iter().filter_map(|window| window["read"]["p99"].as_f64());
    p99.fold(0.0, f64::max)
}

fn failed(windows: &[Value], seconds: std::ops::Range<usize>) -> u64 {
    windows[seconds].iter().map(|window| window["read"]["failed"].as_u64().unwrap()).sum()
}

async fn is_free(lab: &Lab) {
    eventually("the local server is registered and ready", async || {
        let all = lab.get("/db_lease").await;
        let local = |one: &&Value| one["resource_id"] == "local-sql-1";
        let found = all.as_array().unwrap().iter().find(local).cloned();
        let found = found.unwrap_or_else(|| panic!("not registered: {all}"));
        assert_ne!(found["state"], "broken", "{found}");
        found["state"] == "free"
    })
    .await;
}

#[tokio::test]
async fn a_server_is_paused_cut_off_and_killed_and_the_charts_show_it() {
    let server = DbServer::spawn(vec!["postgres"]).await;
    let (folder, script) = (folder(), script());
    let set = server.folder();
    let arguments =
        ["--servers-script", script.to_str().unwrap(), "--local", set.to_str().unwrap()];
    let lab = Lab::start(folder.path(), &arguments);
    is_free(&lab).await;
    for (fault, says) in [
        (json!([{ "at": 1, "target": "sqlrep", "action": "pause", "seconds": 1 }]), "does not run"),
        (
            json!([{ "at": 1, "target": "spanner-1", "action": "cut", "seconds": 1 }]),
            "does not run",
        ),
        (json!([{ "at": 1, "target": "moon", "action": "pause", "seconds": 1 }]), "no target"),
    ] {
        let (status, answer) = lab.post("/run", crate::run_body(json!({ "faults": fault }))).await;
        assert_eq!(status, 409, "{answer}");
        assert!(answer["detail"].as_str().unwrap().contains(says), "{answer}");
    }
    let faults = json!([
        { "at": 3, "target": "sql", "action": "pause", "seconds": 3 },
        { "at": 10, "target": "sql", "action": "cut", "seconds": 2 },
        { "at": 16, "target": "sql", "action": "kill", "seconds": 1 },
    ]);
    let ids = lab.run(json!({ "seconds": 24, "faults": faults })).await;
    let job = lab.ended(&ids[0]).await;
    assert_eq!(job["state"], "finished", "{job}");
    assert_eq!(job["faults"], faults);
    let windows = lab.windows(&ids[0], 24).await;
    windows.iter().for_each(adds_up);
    assert_eq!((offered(&windows, "read"), offered(&windows, "write")), (2_400, 2_400));
    // Open loop: what was due when the server stood still has waited for it.
    let paused = worst_p99(&windows, 3..6);
    assert!(paused >= 2.0, "{paused} {windows:?}");
    assert!(failed(&windows, 10..12) > 0, "{windows:?}");
    assert!(failed(&windows, 16..20) > 0, "{windows:?}");
    assert_eq!(failed(&windows, 8..9), 0, "it works again after the pause: {windows:?}");
    // The stand-ins beside it were not hit.
    let others = lab.get(&format!("/jobs/{}", ids[1])).await;
    assert_eq!(others["faults"], json!([]));
}

#[tokio::test]
async fn a_lab_that_is_killed_in_a_fault_undoes_it_when_it_starts_again() {
    let server = DbServer::spawn(vec!["postgres"]).await;
    let (folder, script) = (folder(), script());
    let set = server.folder();
    let arguments =
        ["--servers-script", script.to_str().unwrap(), "--local", set.to_str().unwrap()];
    let lab = Lab::start(folder.path(), &arguments);
    is_free(&lab).await;
    let mut lab = lab;
    for action in ["pause", "kill"] {
        let fault = json!([{ "at": 1, "target": "sql", "action": action, "seconds": 500 }]);
        let ids = lab.run(json!({ "seconds": 600, "faults": fault })).await;
        eventually("the fault", async || {
            let windows = lab.get(&format!("/jobs/{}/transactions", ids[0])).await;
            let failed = |window: &Value| window["read"]["failed"].as_u64() > Some(0);
            windows.as_array().unwrap().iter().any(failed)
        })
        .await;
        lab.server.signal("KILL");
        drop(lab);
        lab = Lab::start(folder.path(), &arguments);
        is_free(&lab).await;
    }
    let again = lab.run(json!({})).await;
    let job = lab.ended(&again[0]).await;
    assert_eq!((&job["state"], &job["database"]["stand_in"]), (&json!("finished"), &json!(false)));
}
