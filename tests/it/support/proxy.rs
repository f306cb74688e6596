//! A line to a server that is cut, or goes dead, at a chosen word.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What happens to the line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// The word arrives and is answered; then the line is cut and the answer is lost.
    AnswerLost,
    /// The line is cut and the word doesn't arrive.
    WordLost,
    /// The word arrives; nothing comes back, and the line stays up.
    Silence,
}

/// A line to `port` of loopback; the mishap happens once.
pub struct Proxy {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    /// Whether the mishap has happened.
    pub happened: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// Starts it.
    pub async fn start(port: u16, word: &'static str, mishap: Mishap) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap().port();
        let happened = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&happened);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                tokio::spawn(line(client, server, word, mishap, Arc::clone(&flag)));
            }
        });
        Self { port: here, happened, task }
    }
}

async fn line(mut client: TcpStream, mut server: TcpStream, word: &str, mishap: Mishap, happened: Arc<AtomicBool>) {
    let (mut asked, mut answered) = (vec![0; 65536], vec![0; 65536]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                let hit = asked[..length].windows(word.len()).any(|part| part == word.as_bytes());
                if hit && !happened.swap(true, Ordering::SeqCst) {
                    if mishap == Mishap::WordLost {
                        return;
                    }
                    server.write_all(&asked[..length]).await.unwrap();
                    let _ = server.read(&mut answered).await;
                    if mishap == Mishap::AnswerLost {
                        return;
                    }
                    // The client gives up some time.
                    while let Ok(1..) = client.read(&mut asked).await {}
                    return;
                }
                if server.write_all(&asked[..length]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                if client.write_all(&answered[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
