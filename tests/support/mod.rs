//! Databases of a test's own on real servers, shared by the test programs.

pub mod audit;
pub mod cassandra;
pub mod database;
pub mod postgres;
pub mod whole_database;
