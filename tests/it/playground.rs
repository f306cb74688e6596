//! The playground's pages, asked for over HTTP.

use std::{net::SocketAddr, sync::Arc};

use countersign::chat::playground::{Playground, router};
use tokio::net::TcpListener;

use crate::playground_fake::{Fake, playground};

/// A playground that is served on a free port of loopback.
pub struct Served {
    pub page: Arc<Playground>,
    pub fake: Arc<Fake>,
    pub address: SocketAddr,
}

impl Served {
    pub async fn start() -> Self {
        let (page, fake) = playground();
        let router = router(Arc::clone(&page), Arc::clone(&fake) as _);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { page, fake, address }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}
