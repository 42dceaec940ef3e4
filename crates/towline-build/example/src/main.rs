//! A service from a `.proto` file, all four shapes of call, over a session: `cargo run -p towline-example-proto`.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use towline::call::{CallInfo, Caller, Code, Status, TypedReplies, TypedRequests};
use towline::codec::Prost;
use towline::{Client, Identity, Server};

use kitchen::{Dish, Heat, Meal, Weight};

/// What build.rs made of proto/kitchen.proto.
#[expect(unreachable_pub, reason = "it is made for libraries, too")]
mod kitchen {
    include!(concat!(env!("OUT_DIR"), "/kitchen.v1.rs"));
}

struct Chef;

fn made(dish: Dish) -> Meal {
    Meal { name: format!("warm {}", dish.name), minutes: dish.grams / 25 }
}

impl kitchen::cook::Handler for Chef {
    async fn bake(&self, dish: Dish, _: &CallInfo) -> Result<Meal, Status> {
        match dish.grams {
            0 => Err(Status::new(Code::InvalidArgument, "there is nothing to bake")),
            _ => Ok(made(dish)),
        }
    }

    async fn preheat(
        &self,
        to: Heat,
        mut replies: TypedReplies<'_, Prost<Heat, Heat>>,
        _: &CallInfo,
    ) -> Result<(), Status> {
        for celsius in (20..to.celsius).step_by(90).chain([to.celsius]) {
            replies.send(&Heat { celsius }).await?;
        }
        Ok(())
    }

    async fn weigh(&self, mut dishes: TypedRequests<'_, Prost<Dish, Weight>>, _: &CallInfo) -> Result<Weight, Status> {
        let mut grams = 0;
        while let Some(dish) = dishes.recv().await? {
            grams += u64::from(dish.grams);
        }
        Ok(Weight { grams })
    }

    async fn serve(
        &self,
        mut dishes: TypedRequests<'_, Prost<Dish, Meal>>,
        mut meals: TypedReplies<'_, Prost<Dish, Meal>>,
        _: &CallInfo,
    ) -> Result<(), Status> {
        while let Some(dish) = dishes.recv().await? {
            meals.send(&made(dish)).await?;
        }
        Ok(())
    }
}

fn dish(name: &str, grams: u32) -> Dish {
    Dish { name: name.to_owned(), grams }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hub = Arc::new(Identity::generate());
    let plugin = kitchen::cook::plugin(Chef);
    let server = Server::builder(hub.clone()).listen("127.0.0.1:0").serve(plugin).await?;

    let host = server.local_addrs()[0].to_string();
    let me = Arc::new(Identity::generate());
    let session = Client::new(me, hub.key_hash(), vec![host], Default::default()).connect().await?;
    let caller = Caller::new(session).with_timeout(Duration::from_secs(60));
    let cook = kitchen::cook::Client::new(caller);

    println!("one there, one back: {:?}", cook.bake(&dish("pie", 500)).await?);
    println!("a refusal: {}", cook.bake(&dish("air", 0)).await.unwrap_err());

    let mut heat = cook.preheat(&Heat { celsius: 200 }).await?;
    while let Some(Heat { celsius }) = heat.recv().await? {
        println!("many back: {celsius} degrees");
    }

    let mut weigh = cook.weigh().await?;
    for grams in [250, 500] {
        weigh.send(&dish("flour", grams)).await?;
    }
    println!("many there: {:?}", weigh.finish().await?);

    let mut orders = cook.serve().await?;
    for name in ["soup", "roll"] {
        orders.send(&dish(name, 100)).await?;
        println!("many both ways: {:?}", orders.recv().await?);
    }
    orders.end()?;
    println!("the end: {:?}", orders.recv().await?);
    Ok(())
}
