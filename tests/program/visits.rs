//! What users do with one or several programs on one database: everything once, and the right answers.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use testkit::games::game;
use testkit::process::Server;

/// Programs that share a database, asked in turn.
#[derive(Clone)]
pub struct Servers(Arc<Vec<Server>>);

impl Servers {
    pub fn new(servers: Vec<Server>) -> Self {
        Self(Arc::new(servers))
    }

    /// The body of the answer of one of them, which must have that status.
    pub async fn ask(
        &self,
        turn: usize,
        status: u16,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> String {
        let server = &self.0[turn % self.0.len()];
        let answer = server.send(method.clone(), path, body).await.expect("an answer");
        let found = answer.status().as_u16();
        let place =
            answer.headers().get("location").map(|place| place.to_str().unwrap().to_owned());
        let text = answer.text().await.expect("a whole body");
        assert_eq!(found, status, "{method} {path}: {text}\n{}", server.log());
        place.unwrap_or(text)
    }

    async fn done(&self, turn: usize, method: Method, path: &str) -> String {
        self.ask(turn, 200, method, path, None).await
    }

    /// The id in an answer.
    async fn made(&self, turn: usize, path: &str, key: &str) -> String {
        self.number(turn, Method::POST, path, key).await.as_str().expect("an id").to_owned()
    }

    async fn number(&self, turn: usize, method: Method, path: &str, key: &str) -> Value {
        let body = self.done(turn, method, path).await;
        serde_json::from_str::<Value>(&body).expect("JSON")[key].clone()
    }

    /// Creates, reads, lists, changes and removes a game.
    pub async fn games(&self, turn: usize) {
        let name = format!("game of {turn}");
        let path = self.ask(turn, 201, Method::POST, "/api/overview", Some(&game(&name))).await;
        assert!(self.done(turn + 1, Method::GET, &path).await.contains(&name));
        let page = self.done(turn, Method::GET, "/api/overview?limit=1").await;
        if let Some(next) = serde_json::from_str::<Value>(&page).expect("JSON")["next"].as_str() {
            let next = format!("/api/overview?limit=100&after={next}");
            assert!(self.done(turn + 1, Method::GET, &next).await.contains("game_name"));
        }
        let developer = format!("developer of {turn}");
        let change = json!({"developer": developer, "tags": ["a", &developer]});
        self.ask(turn + 1, 200, Method::PUT, &path, Some(&change)).await;
        let found = self.done(turn, Method::GET, &path).await;
        assert!(found.contains(&name) && found.contains(&developer), "{found}");
        self.done(turn + 1, Method::DELETE, &path).await;
        self.ask(turn, 404, Method::GET, &path, None).await;
        self.ask(turn, 404, Method::PUT, &path, Some(&change)).await;
    }

    /// Fills a cart, checks it out, cancels, and is refused what it cannot pay.
    pub async fn cart(&self, turn: usize) {
        let user = self.made(turn, "/payment/create_user", "user_id").await;
        let funds = 1_000 + turn;
        self.done(turn, Method::POST, &format!("/payment/add_funds/{user}/{funds}")).await;
        let item =
            self.made(turn + 1, &format!("/stock/item/create/{}", 1 + turn % 7), "item_id").await;
        self.done(turn, Method::POST, &format!("/stock/add/{item}/{}", 20 + turn)).await;
        let order = self.made(turn, &format!("/orders/create/{user}"), "order_id").await;
        self.done(turn + 1, Method::POST, &format!("/orders/addItem/{order}/{item}/5")).await;
        self.done(turn, Method::DELETE, &format!("/orders/removeItem/{order}/{item}")).await;
        let (stock, cost) = (20 + turn, 4 * (1 + turn % 7));
        let (credit_path, stock_path) =
            (format!("/payment/find_user/{user}"), format!("/stock/find/{item}"));
        for (act, paid) in [
            (format!("/orders/checkout/{order}"), true),
            (format!("/payment/cancel/{user}/{order}"), false),
            (format!("/orders/checkout/{order}"), true),
        ] {
            self.done(turn, Method::POST, &act).await;
            let (cost, quantity) = if paid { (cost, 4) } else { (0, 0) };
            let left = self.number(turn + 1, Method::GET, &credit_path, "credit").await;
            assert_eq!(left, funds - cost, "after {act}");
            let left = self.number(turn, Method::GET, &stock_path, "stock").await;
            assert_eq!(left, stock - quantity, "after {act}");
            let status = format!("/payment/status/{user}/{order}");
            assert_eq!(self.number(turn + 1, Method::GET, &status, "paid").await, paid);
        }
        let dear = self.made(turn, &format!("/orders/create/{user}"), "order_id").await;
        self.done(turn, Method::POST, &format!("/orders/addItem/{dear}/{item}/15000")).await;
        self.ask(turn, 409, Method::POST, &format!("/orders/checkout/{dear}"), None).await;
        self.done(turn + 1, Method::DELETE, &format!("/orders/remove/{dear}")).await;
    }

    /// Fixtures of each kind; they overwrite each other, so one at a time.
    pub async fn fixtures(&self) {
        for path in [
            "/payment/batch_init/50/1000",
            "/stock/batch_init/50/90/2",
            "/orders/batch_init/50/50/50/2",
        ] {
            self.done(0, Method::POST, path).await;
        }
        self.done(1, Method::POST, "/orders/checkout/7").await;
    }

    /// Many at once, at all programs.
    pub async fn many_at_once(&self, clients: usize, visits: usize) {
        let clients: Vec<_> = (0..clients)
            .map(|client| {
                let servers = self.clone();
                tokio::spawn(async move {
                    for visit in 0..visits {
                        let turn = client * visits + visit;
                        servers.games(turn).await;
                        servers.cart(turn).await;
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.expect("every answer is right");
        }
    }
}
