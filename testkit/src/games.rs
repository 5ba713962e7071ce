//! Games as clients send them.

use serde_json::{Value, json};

/// The body of a create.
pub fn game(name: &str) -> Value {
    json!({
        "game_name": name,
        "description": "Inherit your grandfather's farm.",
        "release_date": "2016-02-26T00:00:00.000Z",
        "developer": "ConcernedApe",
        "publisher": "Chucklefish",
        "tags": ["Farming Sim", "RPG"],
    })
}

/// The same with some fields added or replaced.
pub fn game_with(fields: Value) -> Value {
    let mut game = game("Stardew_Valley");
    for (name, value) in fields.as_object().expect("fields") {
        game[name] = value.clone();
    }
    game
}
