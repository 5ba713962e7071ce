//! The floor of every measurement: a bare axum handler that answers a constant.
//!
//! Part of the load harness, not of the product. It does the HTTP work of an overview answer and
//! nothing else (no store, no extra headers, no validation), so the difference to the product is
//! the product's own cost. A rate that a client does not reach on the floor is the client's limit.

use std::net::SocketAddr;

use anyhow::Context;
use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::serve::ListenerExt;
use bytes::Bytes;
use clap::Parser;
use tokio::net::TcpListener;

// The product's allocator, so that the allocator makes no difference between the two.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(about = "Answers a constant to every request: the HTTP limit of this machine")]
struct Args {
    /// Address and port to listen on; port 0 takes a free one, printed when ready.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR:PORT")]
    listen: SocketAddr,
    /// Size of the JSON body that a GET answers.
    #[arg(long, default_value_t = 450, value_name = "N",
        value_parser = clap::value_parser!(u32).range(64..=1_048_576))]
    bytes: u32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}: choose another --listen", args.listen))?;
    println!("floor is ready: http://{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        // Fails only on a connection that is closed already.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router(args.bytes as usize)).await?;
    Ok(())
}

/// Answers every method on every path with the product's status for it.
fn router(bytes: usize) -> Router {
    let body = overview(bytes);
    let every = get(async move || json(body.clone()))
        .post(async || (StatusCode::CREATED, "Successfuly created game overview."))
        .put(async || "OK")
        .delete(async || "OK");
    Router::new().fallback(every)
}

fn json(body: Bytes) -> impl IntoResponse {
    let kind = HeaderValue::from_static("application/json; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], body)
}

/// An array with one object of the overview's shape, `bytes` long in all.
fn overview(bytes: usize) -> Bytes {
    let (head, tail) = (r#"[{"game_id":1,"description":""#, r#"","tags":["constant"]}]"#);
    let filler = "x".repeat(bytes.saturating_sub(head.len() + tail.len()));
    Bytes::from(format!("{head}{filler}{tail}"))
}
