//! A chat room with presence, over sessions: who joins and who leaves is told to all. A member whose link is cut stays a
//! member, for its session comes back by itself; it is gone when it says so, or does not come back in time.
//!
//! ```sh
//! cargo run --example chat -- serve 127.0.0.1:7000            # prints the room's key
//! cargo run --example chat -- join 127.0.0.1:7000 KEY anna    # lines of standard input are said
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncBufReadExt, BufReader};
use towline::{Client, ClientConfig, Close, CloseCode, Identity, Lane, Plugin, Server, Session};

/// The members by name. Clones are the same room.
#[derive(Clone, Default)]
struct Room(Arc<Mutex<BTreeMap<String, Session>>>);

impl Room {
    fn members(&self) -> MutexGuard<'_, BTreeMap<String, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells every member. Who has no room for it now misses it: a slow reader must not stop the talk.
    fn tell(&self, line: &str) {
        for member in self.members().values() {
            let _ = member.try_send(Lane::NORMAL, line.to_owned());
        }
    }

    /// Lets a member in under a name that nobody has yet.
    fn enter(&self, name: &str, session: &Session) -> bool {
        let mut members = self.members();
        let is_new = !members.contains_key(name);
        if is_new {
            members.insert(name.to_owned(), session.clone());
        }
        is_new
    }

    fn present(&self) -> String {
        self.members().keys().map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

impl Plugin for Room {
    async fn session(&self, session: Session) {
        // The first message is the name.
        let Ok(name) = session.recv(Lane::NORMAL).await else { return };
        let name = String::from_utf8_lossy(&name).into_owned();
        if !self.enter(&name, &session) {
            session.close(Close::new(CloseCode::NotPermitted).with_text("this name is taken"));
            return;
        }
        self.tell(&format!("* {name} is here; present: {}", self.present()));
        while let Ok(line) = session.recv(Lane::NORMAL).await {
            self.tell(&format!("{name}: {}", String::from_utf8_lossy(&line)));
        }
        self.members().remove(&name);
        self.tell(&format!("* {name} is gone; present: {}", self.present()));
    }
}

async fn serve(address: &str) -> Result<(), Box<dyn Error>> {
    let identity = Arc::new(Identity::generate());
    let server = Server::builder(identity.clone()).listen(address).serve(Room::default()).await?;
    println!("listening on {} key {}", server.local_addrs()[0], identity.key_hash());
    std::future::pending::<()>().await;
    Ok(())
}

async fn join(address: String, key: &str, name: String) -> Result<(), Box<dyn Error>> {
    let key = key.parse().map_err(|_| "this is no key")?;
    let own = Arc::new(Identity::generate());
    let session = Client::new(own, key, vec![address], ClientConfig::default()).connect().await?;
    session.send(Lane::NORMAL, name).await?;
    let mut typed = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            heard = session.recv(Lane::NORMAL) => println!("{}", String::from_utf8_lossy(&heard?)),
            line = typed.next_line() => match line? {
                Some(line) => session.send(Lane::NORMAL, line).await?,
                None => break,
            },
        }
    }
    // What was said is confirmed first.
    session.close(Close::new(CloseCode::Done));
    session.closed().await;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", address] => serve(address).await,
        ["join", address, key, name] => join(address.to_owned(), key, name.to_owned()).await,
        _ => Err("chat serve ADDRESS | chat join ADDRESS KEY NAME".into()),
    }
}
