//! Streams of events.

use serde_json::{Value, json};

use crate::{Lab, folder};

/// One event of a stream.
#[derive(Debug, Clone, PartialEq)]
struct Event {
    id: u64,
    kind: String,
    data: Value,
}

/// The events of a stream, at most `count` of them, or all to its end.
async fn events(lab: &Lab, path: &str, after: Option<u64>, count: usize) -> Vec<Event> {
    let mut request = lab.server.client.get(format!("{}{path}", lab.server.base));
    if let Some(after) = after {
        request = request.header("last-event-id", after.to_string());
    }
    let mut answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let (mut text, mut found) = (String::new(), Vec::new());
    while let Some(chunk) = answer.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
        while let Some((event, rest)) = text.split_once("\n\n") {
            found.extend(parsed(event));
            text = rest.to_owned();
            if found.len() == count {
                return found;
            }
        }
    }
    found
}

/// `None` for a comment that keeps the connection open.
fn parsed(text: &str) -> Option<Event> {
    let field = |name| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    Some(Event {
        id: field("id")?.parse().unwrap(),
        kind: field("event")?.to_owned(),
        data: serde_json::from_str(field("data")?).unwrap(),
    })
}

/// The last version of each second's window.
fn latest(events: &[Event]) -> Vec<Value> {
    let mut windows = std::collections::BTreeMap::new();
    for event in events.iter().filter(|event| event.kind == "window") {
        let mut window = event.data.clone();
        window.as_object_mut().unwrap().remove("job_id");
        windows.insert(window["second"].as_u64().unwrap(), window);
    }
    windows.into_values().collect()
}

#[tokio::test]
async fn a_stream_that_is_cut_continues_behind_its_last_event() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &[]);
    let ids = lab.run(json!({ "seconds": 8 })).await;
    let path = format!("/jobs/{}/events", ids[0]);
    let mut all = events(&lab, &path, None, 4).await;
    lab.ended(&ids[0]).await;
    all.extend(events(&lab, &path, all.last().map(|event| event.id), usize::MAX).await);
    assert!(all.windows(2).all(|pair| pair[0].id < pair[1].id), "{all:?}");
    assert_eq!(all.last().unwrap().kind, "end");
    let whole = events(&lab, &path, None, usize::MAX).await;
    assert_eq!(all, whole, "nothing is missing, and nothing comes twice");
    let stored = lab.get(&format!("/jobs/{}/transactions", ids[0])).await;
    assert_eq!(json!(latest(&all)), stored);
    // Nothing follows the end.
    let answer = lab.server.client.get(format!("{}{path}", lab.server.base));
    let answer = answer.header("last-event-id", all.last().unwrap().id.to_string());
    assert_eq!(answer.send().await.unwrap().status(), 204);
}

#[tokio::test]
async fn one_stream_has_the_events_of_all_jobs() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &[]);
    let ids = lab.run(json!({})).await;
    let path = format!("/jobs/events?ids={}", ids.join(","));
    let all = events(&lab, &path, None, usize::MAX).await;
    for id in &ids {
        let of_job: Vec<Event> = all
            .iter()
            .filter(|event| event.data["job_id"] == **id || event.data["id"] == **id)
            .cloned()
            .collect();
        assert_eq!(of_job.last().unwrap().kind, "end");
        assert_eq!(latest(&of_job).len(), 5);
        let states: Vec<&Value> = of_job
            .iter()
            .filter(|event| event.kind == "state")
            .map(|event| &event.data["state"])
            .collect();
        assert_eq!(states, ["waiting", "running", "finished"]);
    }
}

#[tokio::test]
async fn a_lab_that_shuts_down_does_not_wait_for_open_streams() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &[]);
    let ids = lab.run(json!({ "seconds": 600 })).await;
    let path = format!("{}/jobs/{}/events", lab.server.base, ids[0]);
    let mut stream = lab.server.client.get(path).send().await.unwrap();
    stream.chunk().await.unwrap().unwrap();
    lab.server.signal("TERM");
    let (status, _) = lab.server.end();
    assert!(status.success(), "{status}");
}
