//! Calls through what is made of a `.proto` file that brings the names which Rust has a use for.

use std::sync::Arc;

use towline::call::{CallInfo, Caller, Status, TypedReplies, TypedRequests};
use towline::codec::Prost;
use towline::transport::memory;
use towline::{Identity, Server};

use made::names::v1::client::Handler;
use made::names::v1::{Client, r#match};
use made::pantry::v1::Jar;

/// As checked in: see made.rs.
#[expect(unreachable_pub, reason = "it is made for libraries, too")]
mod made {
    pub(crate) mod names {
        pub(crate) mod v1 {
            include!("made/names.v1.rs");
        }
    }
    pub(crate) mod pantry {
        pub(crate) mod v1 {
            include!("made/pantry.v1.rs");
        }
    }
}

struct Able;

impl r#match::Handler for Able {
    async fn new_(&self, request: Client, _: &CallInfo) -> Result<Handler, Status> {
        Ok(request.handler.unwrap_or_default())
    }

    async fn r#move(&self, (): (), mut replies: TypedReplies<'_, Prost<(), u64>>, _: &CallInfo) -> Result<(), Status> {
        for number in 0..3 {
            replies.send(&number).await?;
        }
        Ok(())
    }

    async fn jars(&self, mut requests: TypedRequests<'_, Prost<Jar, Jar>>, _: &CallInfo) -> Result<Jar, Status> {
        let mut label = String::new();
        while let Some(jar) = requests.recv().await? {
            label += &jar.label;
        }
        Ok(Jar { label })
    }

    async fn both(
        &self,
        mut requests: TypedRequests<'_, Prost<Client, String>>,
        mut replies: TypedReplies<'_, Prost<Client, String>>,
        info: &CallInfo,
    ) -> Result<(), Status> {
        replies.send(&info.method).await?;
        while let Some(client) = requests.recv().await? {
            replies.send(&format!("{:?}", client.handler.map(|handler| handler.number))).await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_service_from_a_proto_file_answers_every_shape_whatever_its_names() {
    let hub = Arc::new(Identity::generate());
    let (dialer, listener) = memory();
    let server = Server::builder(hub.clone()).listen_in_memory(listener).serve(r#match::plugin(Able)).await.unwrap();
    let own = Arc::new(Identity::generate());
    let session = towline::Client::in_memory(own, hub.key_hash(), dialer, Default::default()).connect().await.unwrap();
    let calls = r#match::Client::new(Caller::new(session));
    let client = |number| Client { handler: Some(Handler { number }) };

    assert_eq!(calls.new_(&client(7)).await.unwrap().number, 7);

    let (mut numbers, mut got) = (calls.r#move(&()).await.unwrap(), Vec::new());
    while let Some(number) = numbers.recv().await.unwrap() {
        got.push(number);
    }
    assert_eq!(got, [0, 1, 2]);

    let mut jars = calls.jars().await.unwrap();
    for label in ["plum ", "jam"] {
        jars.send(&Jar { label: label.to_owned() }).await.unwrap();
    }
    assert_eq!(jars.finish().await.unwrap().label, "plum jam");

    let mut both = calls.both().await.unwrap();
    both.send(&client(3)).await.unwrap();
    both.end().unwrap();
    for expected in ["names.v1.Match/Both", "Some(3)"] {
        assert_eq!(both.recv().await.unwrap().as_deref(), Some(expected));
    }
    assert_eq!(both.recv().await.unwrap(), None);
    drop(server);
}
