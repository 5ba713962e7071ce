//! Creates, changes and removes games.

use rand::RngExt;
use rand::rngs::StdRng;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Acknowledged, Outcome, Progress, Sender};
use crate::games::game;
use crate::process::Server;

/// Far above what the counter reaches.
const EXPLICIT: u64 = 1_000_000;

/// One of four numbers names the ids of its games, the others have them assigned.
pub(super) struct GameClient {
    rng: StdRng,
    number: u64,
    created: u64,
    /// Places of games whose state it knows.
    own: Vec<String>,
    acknowledged: Acknowledged,
}

impl GameClient {
    pub(super) fn new(number: u64, rng: StdRng) -> Self {
        Self { rng, number, created: 0, own: Vec::new(), acknowledged: Acknowledged::default() }
    }

    pub(super) async fn run(mut self, sender: &impl Sender, progress: &Progress) -> Acknowledged {
        while !progress.stopped() {
            match self.rng.random_range(0..10) {
                0..2 if !self.own.is_empty() => self.change(sender, progress).await,
                2 if !self.own.is_empty() => self.remove(sender, progress).await,
                _ => self.create(sender, progress).await,
            }
        }
        self.acknowledged
    }

    /// One that names its id is repeated until the store has it, as clients are told to do; that it is
    /// there already is then as good.
    async fn create(&mut self, sender: &impl Sender, progress: &Progress) {
        self.created += 1;
        let name = format!("client_{}_{}_{}", self.number, self.created, self.rng.random::<u64>());
        let id = self.number.is_multiple_of(4).then(|| self.rng.random_range(EXPLICIT..1 << 31));
        let mut body = game(&name);
        if let Some(id) = id {
            body["game_id"] = id.into();
        }
        let mut tries = 0;
        loop {
            let outcome = sender.send(Method::POST, "/api/overview", Some(body.clone())).await;
            progress.count("create", &outcome).await;
            let place = match (outcome, id) {
                (Outcome::Done(place), _) => place,
                (Outcome::Refused(409), Some(id)) if tries > 0 => format!("/api/overview/{id}"),
                (Outcome::Unknown, Some(_)) if !progress.stopped() => {
                    tries += 1;
                    continue;
                }
                (Outcome::Unknown, _) => return,
                other => panic!("a create: {other:?}"),
            };
            self.now(&place, vec![Some(name)]);
            return self.own.push(place);
        }
    }

    async fn change(&mut self, sender: &impl Sender, progress: &Progress) {
        let place = self.draw();
        let name = format!("changed_{}", self.rng.random::<u64>());
        let body = json!({ "game_name": name });
        self.write(sender, progress, "change", (Method::PUT, place, Some(body)), Some(name)).await;
    }

    async fn remove(&mut self, sender: &impl Sender, progress: &Progress) {
        let place = self.draw();
        self.write(sender, progress, "remove", (Method::DELETE, place, None), None).await;
    }

    fn draw(&mut self) -> String {
        self.own.swap_remove(self.rng.random_range(0..self.own.len()))
    }

    /// Writes to a game of its own, which has the name `after` then. One whose state has become unknown is
    /// not used again, because the write may still take effect.
    async fn write(
        &mut self,
        sender: &impl Sender,
        progress: &Progress,
        kind: &'static str,
        (method, place, body): (Method, String, Option<Value>),
        after: Option<String>,
    ) {
        let outcome = sender.send(method, &place, body).await;
        progress.count(kind, &outcome).await;
        match outcome {
            Outcome::Done(_) => {
                self.now(&place, vec![after.clone()]);
                if after.is_some() {
                    self.own.push(place);
                }
            }
            Outcome::Unknown => {
                self.acknowledged.games.get_mut(&place).expect("a game of its own").push(after);
            }
            Outcome::Refused(status) => panic!("{kind} of {place}: {status}"),
        }
    }

    fn now(&mut self, place: &str, names: Vec<Option<String>>) {
        self.acknowledged.games.insert(place.to_owned(), names);
    }
}

/// The name of a game; `None` if it is not there.
pub(super) async fn name(server: &Server, path: &str) -> Option<String> {
    let answer = server.send(Method::GET, path, None).await.expect("an answer");
    if answer.status() == 404 {
        return None;
    }
    assert_eq!(answer.status(), 200, "{path}");
    let body: Value = serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
    Some(body[0]["game_name"].as_str().expect("a name").to_owned())
}
