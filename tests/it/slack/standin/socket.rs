//! The stand-in's Socket Mode.

use std::{sync::Arc, time::Duration};

use futures_util::SinkExt as _;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Instant, interval},
};
use tokio_stream::StreamExt as _;
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
    },
};

use super::{
    Inner,
    state::{Order, SOCKETS_MAX, Socket},
};

/// How often Slack asks whether we are there.
const PING_EVERY: Duration = Duration::from_secs(10);

pub async fn listen(inner: Arc<Inner>, listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(Arc::clone(&inner), stream));
    }
}

async fn serve(inner: Arc<Inner>, stream: TcpStream) {
    let mut mute = false;
    #[expect(clippy::result_large_err, reason = "the library's own type")]
    let admit = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        let ticket = request.uri().query().unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("ticket="));
        let mut state = inner.state();
        mute = state.mute_sockets;
        let known = ticket.and_then(|ticket| state.tickets.remove(ticket)).is_some_and(|until| until > Instant::now());
        if known && state.sockets.len() < SOCKETS_MAX {
            return Ok(response);
        }
        let mut refused = ErrorResponse::new(None);
        *refused.status_mut() = tokio_tungstenite::tungstenite::http::StatusCode::FORBIDDEN;
        Err(refused)
    };
    let Ok(mut socket) = accept_hdr_async(stream, admit).await else { return };
    let (orders, mut told) = mpsc::unbounded_channel();
    if mute {
        let _keep = socket;
        std::future::pending::<()>().await;
        return;
    }
    let id = {
        let mut state = inner.state();
        let id = state.next();
        state.sockets.push(Socket { id, orders, leaving: false });
        id
    };
    let hello = json!({
        "type": "hello", "num_connections": inner.state().sockets.len(),
        "debug_info": { "host": "applink-standin-1", "build_number": 10, "approximate_connection_time": 18_060 },
        "connection_info": { "app_id": "A0123456789" },
    });
    let _ = socket.send(Message::Text(hello.to_string().into())).await;
    inner.changed();
    talk(&inner, &mut socket, &mut told).await;
    inner.state().sockets.retain(|socket| socket.id != id);
    inner.changed();
}

async fn talk(inner: &Inner, socket: &mut WebSocketStream<TcpStream>, told: &mut mpsc::UnboundedReceiver<Order>) {
    let mut ping = interval(PING_EVERY);
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => acknowledged(inner, text.as_str()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
            order = told.recv() => match order {
                Some(Order::Send(envelope)) => {
                    if socket.send(Message::Text(envelope.to_string().into())).await.is_err() {
                        return;
                    }
                }
                // It stays open, is still counted, and says nothing until the other side gives up.
                Some(Order::Hang) => {
                    let mut rest = Vec::new();
                    let _ = tokio::io::AsyncReadExt::read_to_end(&mut Silent(socket), &mut rest).await;
                    return;
                }
                Some(Order::Close) => {
                    let _ = socket.close(None).await;
                    return;
                }
                Some(Order::Cut) | None => return,
            },
            _ = ping.tick() => {
                let _ = socket.send(Message::Ping(Vec::new().into())).await;
            }
        }
    }
}

/// Reads the raw line to its end and answers nothing.
struct Silent<'a>(&'a mut WebSocketStream<TcpStream>);

impl tokio::io::AsyncRead for Silent<'_> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(self.0.get_mut()).poll_read(context, buffer)
    }
}

fn acknowledged(inner: &Inner, text: &str) {
    let mut state = inner.state();
    let Ok(ack) = serde_json::from_str::<Value>(text) else {
        state.complain("socket", vec!["an acknowledgement that is no JSON".into()]);
        return;
    };
    let id = ack["envelope_id"].as_str().unwrap_or_default();
    match state.waiting.remove(id) {
        Some(waiting) => {
            // Whoever waited may have given up.
            let _ = waiting.send(ack["payload"].clone());
        }
        None if id.is_empty() => state.complain("socket", vec!["an acknowledgement without an envelope".into()]),
        // Too late: that was complained about already.
        None => {}
    }
}
