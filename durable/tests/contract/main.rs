//! What this crate promises, tested alike on SQLite and PostgreSQL. One binary,
//! so that one private PostgreSQL server serves all of it.
#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

mod aggregate;
mod append;
mod backup;
mod command;
mod consumer;
mod doctor;
mod fault;
mod feed;
mod forget;
mod group;
mod home;
mod jar;
mod list;
mod mesh;
mod metrics;
mod operate;
mod outage;
mod parking;
mod projection;
mod retention;
mod saga;
mod sharing;
mod store;
mod support;
mod task;
mod upkeep;
