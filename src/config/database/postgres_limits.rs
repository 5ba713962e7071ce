//! How many connections a server has to PostgreSQL, how they are shared out, and the limit of time.

use std::time::Duration;

use crate::config::loader::SettingsLoader;
use crate::config::serve::seconds;
use crate::config::setting::{Setting, settings};

/// Connections that find games: one batch forms while the other is at the database.
const FIND: usize = 2;
/// The connection that creates games.
const CREATE: usize = 1;
/// The connection that changes and removes games.
const CHANGE: usize = 1;
/// The connection that asks the primary, or the replica, for its position in the log.
const POSITION: usize = 1;
/// The connection that checks out.
const CHECKOUT: usize = 1;
/// The connection that accepts activities. It is the cart's: both have all else in one pool.
const ACCEPT: usize = 1;
/// The fewest connections of the cart and of the games: those of the batches, and one for all else.
const LEAST_CART: usize = CHECKOUT + ACCEPT + 1;
const LEAST_GAMES: usize = FIND + CREATE + CHANGE + 1;
/// More than any server of PostgreSQL has.
const MOST: usize = 10_000;

settings! {
    /// Limits of a server on PostgreSQL.
    pub struct PostgresLimits {
        /// Connections of this server to PostgreSQL, all together, at least 8, with a replica 9.
        /// Requests wait for a free one. The worker of the activities has up to 4 besides
        postgres_connections: usize = connections("N"), default "9";
        /// How many of these are the cart's and the activities', at least 3; the others are for
        /// games. Without it half
        postgres_cart_connections: Option<usize> = cart_connections("N");
        /// Seconds for an operation on PostgreSQL; then its statement is cancelled, and it is a 503
        postgres_statement_timeout: Duration = seconds("SECONDS"), default "5";
    }
}

/// What the settings come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections for games, and those for the cart.
    games: usize,
    cart: usize,
    /// How long an operation may take.
    pub statement_timeout: Duration,
}

/// Sizes of the pools: the connections that are left when the batches have theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pools {
    /// Games, on the primary.
    pub games: usize,
    /// The cart, and activities.
    pub cart: usize,
    /// Games, on the replica.
    pub replica: usize,
}

impl Limits {
    /// Reads the settings, and refuses a number that leaves a part without any connection.
    pub(super) fn read(loader: &mut SettingsLoader, has_replica: bool) -> Self {
        let given = PostgresLimits::read(loader);
        let (all, timeout) = (given.postgres_connections, given.postgres_statement_timeout);
        let least = LEAST_GAMES + if has_replica { POSITION } else { 0 };
        let most_cart = all.saturating_sub(least);
        let cart = given.postgres_cart_connections.unwrap_or_else(|| most_cart.min(all / 2));
        if most_cart < LEAST_CART {
            let why = format!("with a replica at least {} are needed", least + LEAST_CART);
            loader.refuse(&PostgresLimits::postgres_connections, &why);
        } else if cart > most_cart {
            let why = format!("of {all} connections at most {most_cart}: games need {least}");
            loader.refuse(&PostgresLimits::postgres_cart_connections, &why);
        }
        Self { games: all.saturating_sub(cart), cart, statement_timeout: timeout }
    }
}

impl Limits {
    /// Those without any setting.
    pub(super) fn usual(has_replica: bool) -> Self {
        Self::read(&mut SettingsLoader::default(), has_replica)
    }

    /// How many connections each pool has. With a replica the server has there at most as many as
    /// it has for games on the primary.
    #[must_use]
    pub fn pools(&self, has_replica: bool) -> Pools {
        let position = if has_replica { POSITION } else { 0 };
        let left = |all: usize, batches: usize| all.saturating_sub(batches).max(1);
        Pools {
            games: left(self.games, FIND + CREATE + CHANGE + position),
            cart: left(self.cart, CHECKOUT + ACCEPT),
            replica: left(self.games, FIND + POSITION),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::usual(false)
    }
}

fn connections(text: &str) -> Result<usize, String> {
    number(text, LEAST_GAMES + LEAST_CART)
}

fn cart_connections(text: &str) -> Result<usize, String> {
    number(text, LEAST_CART)
}

fn number(text: &str, least: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (least..=MOST).contains(&number) => Ok(number),
        _ => Err(format!("`{text}` is not a whole number from {least} to {MOST}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::database::{Database, Url};
    use crate::config::{ConfigErrors, Sources};

    fn pools(flags: &[(&'static str, &str)]) -> Result<Pools, ConfigErrors> {
        let all = [("database_url", "postgres://u@h/d")].iter().chain(flags);
        let flags = all.map(|(key, value)| (*key, (*value).to_owned())).collect();
        let mut loader = SettingsLoader::of(Sources { flags, ..Sources::default() });
        let database = Database::read(&mut loader);
        let Url::Postgres(postgres) = database.url else { panic!("{database:?}") };
        loader.finish(postgres.limits.pools(postgres.replica.is_some()))
    }

    #[test]
    fn the_connections_of_the_batches_and_of_the_pools_are_as_many_as_the_setting_says() {
        let replica = ("replica_url", "postgres://u@r/d");
        for (flags, games, cart, on_replica) in [
            (&[][..], 1, 2, 2),
            (&[replica], 1, 1, 3),
            (&[("postgres_connections", "8"), ("postgres_cart_connections", "3")], 1, 1, 2),
            (&[("postgres_connections", "9"), replica], 1, 1, 3),
            (&[("postgres_connections", "30")], 11, 13, 12),
            (
                &[("postgres_connections", "30"), ("postgres_cart_connections", "4"), replica],
                21,
                2,
                23,
            ),
        ] {
            let expected = Pools { games, cart, replica: on_replica };
            assert_eq!(pools(flags).unwrap(), expected, "{flags:?}");
        }
    }

    #[test]
    fn too_few_connections_are_refused() {
        let replica = ("replica_url", "postgres://u@r/d");
        for (flags, setting) in [
            (&[("postgres_connections", "7")][..], "--postgres-connections"),
            (&[("postgres_connections", "8"), replica], "--postgres-connections"),
            (&[("postgres_cart_connections", "2")], "--postgres-cart-connections"),
            (&[("postgres_cart_connections", "6")], "--postgres-cart-connections"),
            (&[("postgres_statement_timeout", "0")], "--postgres-statement-timeout"),
        ] {
            let error = pools(flags).unwrap_err().to_string();
            assert!(error.starts_with(setting), "{flags:?}: {error}");
        }
    }
}
