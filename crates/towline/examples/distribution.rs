//! Data distribution: subscribers get what publishers publish, in lines. A subscriber that does not keep up loses its oldest
//! lines and gets the newest; it slows nobody and costs the server no more than its queue.
//!
//! ```sh
//! cargo run --example distribution -- 127.0.0.1:7000 &
//! nc 127.0.0.1 7000                                                    # type: sub weather
//! printf 'pub weather rain\n' | nc -q1 127.0.0.1 7000
//! ```

use std::collections::HashMap;
use std::error::Error;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use towline::codec::Delimited;
use towline::connection::{Connection, ConnectionConfig, Reactor, Replies, Sender, WhenFull};
use towline::listen::{ListenConfig, Listener};

const LINE_MAX_BYTES: usize = 64 * 1024;

/// Lines that may wait for one subscriber.
const WAITING_MAX: usize = 32;

/// Who wants what: the same for all connections.
#[derive(Clone, Default)]
struct Topics(Arc<Mutex<HashMap<String, Vec<Sender<Bytes>>>>>);

impl Topics {
    fn subscribe(&self, topic: &str, subscriber: &Sender<Bytes>) {
        let mut topics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        topics.entry(topic.to_owned()).or_default().push(subscriber.when_full(WhenFull::DropOldest));
    }

    /// Never waits for anybody. Returns how many get it; who is gone is forgotten.
    fn publish(&self, topic: &str, line: &Bytes) -> usize {
        let mut topics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(subscribers) = topics.get_mut(topic) else { return 0 };
        subscribers.retain(|subscriber| subscriber.try_send(line.clone()).is_ok());
        subscribers.len()
    }
}

/// One connection: a publisher, a subscriber, or both.
struct Peer {
    topics: Topics,
    own: Arc<OnceLock<Sender<Bytes>>>,
}

impl Reactor<Delimited> for Peer {
    type Outbound = Bytes;

    fn message(&mut self, line: &[u8], replies: &mut Replies<Bytes>) -> ControlFlow<()> {
        let line = String::from_utf8_lossy(line);
        let mut words = line.trim_end().splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("sub"), Some(topic), None) => {
                self.topics.subscribe(topic, self.own.get().expect("it is set before the connection runs"));
                replies.push(format!("subscribed {topic}").into());
            }
            (Some("pub"), Some(topic), Some(text)) => {
                let count = self.topics.publish(topic, &format!("{topic} {text}").into());
                replies.push(format!("published to {count}").into());
            }
            _ => replies.push("sub TOPIC | pub TOPIC TEXT".into()),
        }
        ControlFlow::Continue(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7000".into());
    let mut listener = Listener::bind(&address, ListenConfig::default()).await?;
    println!("listening on {}", listener.local_addr()?);
    let topics = Topics::default();
    loop {
        let (stream, topics) = (listener.accept().await.plain(), topics.clone());
        tokio::spawn(async move {
            let mut config = ConnectionConfig::default();
            config.queue_messages = WAITING_MAX;
            // The reactor is there before its connection's sender is.
            let own = Arc::new(OnceLock::new());
            let peer = Peer { topics, own: own.clone() };
            let (sender, connection) = Connection::new(stream, Delimited::lines(LINE_MAX_BYTES), peer, config);
            let stats = own.get_or_init(|| sender);
            let end = connection.await;
            println!("a connection ended: {end}; it missed {} lines", stats.stats().dropped_oldest);
        });
    }
}
