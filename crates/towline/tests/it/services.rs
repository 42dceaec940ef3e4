//! Services from a list of methods, in each format.

use std::time::Duration;

use towline::call::{CallInfo, Caller, Code, Request, Status, TypedReplies, TypedRequests};
use towline::codec::{Json, MessagePack, Prost};

use crate::support::{over_memory, soon};

towline::service! {
    /// Numbers in Protocol Buffers.
    mod protobuf in Prost {
        /// One there, one back; `u64` is Google's `UInt64Value`.
        fn double(u64) -> u64;
    }
}

towline::service! {
    mod numbers in MessagePack {
        fn double(u64) -> u64;
        fn up_to(u64) -> stream u64;
        fn sum(stream u64) -> u64;
        fn doubles(stream u64) -> stream u64;
        fn caller(()) -> String;
    }
}

towline::service! {
    mod lines in Json {
        fn length(String) -> usize;
    }
}

struct Able;

impl protobuf::Handler for Able {
    async fn double(&self, number: u64, _: &CallInfo) -> Result<u64, Status> {
        Ok(2 * number)
    }
}

impl lines::Handler for Able {
    async fn length(&self, line: String, _: &CallInfo) -> Result<usize, Status> {
        Ok(line.len())
    }
}

impl numbers::Handler for Able {
    async fn double(&self, number: u64, _: &CallInfo) -> Result<u64, Status> {
        number.checked_mul(2).ok_or_else(|| Status::new(Code::OutOfRange, "too large to double"))
    }

    async fn up_to(
        &self,
        end: u64,
        mut replies: TypedReplies<'_, MessagePack<u64, u64>>,
        _: &CallInfo,
    ) -> Result<(), Status> {
        for number in 0..end {
            replies.send(&number).await?;
        }
        Ok(())
    }

    async fn sum(&self, mut requests: TypedRequests<'_, MessagePack<u64, u64>>, _: &CallInfo) -> Result<u64, Status> {
        let mut sum = 0;
        while let Some(number) = requests.recv().await? {
            sum += number;
        }
        Ok(sum)
    }

    async fn doubles(
        &self,
        mut requests: TypedRequests<'_, MessagePack<u64, u64>>,
        mut replies: TypedReplies<'_, MessagePack<u64, u64>>,
        _: &CallInfo,
    ) -> Result<(), Status> {
        while let Some(number) = requests.recv().await? {
            replies.send(&(2 * number)).await?;
        }
        Ok(())
    }

    async fn caller(&self, (): (), info: &CallInfo) -> Result<String, Status> {
        let token = info.metadata.get("token").map(|token| String::from_utf8_lossy(token).into_owned());
        Ok(format!("{} {}", info.method, token.unwrap_or_default()))
    }
}

#[tokio::test]
async fn a_typed_service_answers_every_shape() {
    let (_server, session) = over_memory(numbers::plugin(Able)).await;
    let caller = Caller::new(session).with_timeout(Duration::from_secs(60)).with_metadata("token", "t-1");
    let numbers = numbers::Client::new(caller.clone());
    assert_eq!(soon(numbers.double(&21)).await, Ok(42));
    assert_eq!(soon(numbers.double(&u64::MAX)).await.unwrap_err().code, Code::OutOfRange);
    assert_eq!(soon(numbers.caller(&())).await.unwrap(), "numbers/caller t-1");

    let mut up = soon(numbers.up_to(&3)).await.unwrap();
    let mut got = Vec::new();
    while let Some(number) = soon(up.recv()).await.unwrap() {
        got.push(number);
    }
    assert_eq!(got, [0, 1, 2]);

    let mut sum = soon(numbers.sum()).await.unwrap();
    for number in [1, 2, 3] {
        sum.send(&number).await.unwrap();
    }
    assert_eq!(soon(sum.finish()).await, Ok(6));

    let mut doubles = soon(numbers.doubles()).await.unwrap();
    for number in [5, 6] {
        doubles.send(&number).await.unwrap();
        assert_eq!(soon(doubles.recv()).await, Ok(Some(2 * number)));
    }
    doubles.end().unwrap();
    assert_eq!(soon(doubles.recv()).await, Ok(None));

    let wrong = soon(caller.unary(Request::new("numbers/double", "no number"))).await.unwrap_err();
    assert_eq!(wrong.code, Code::InvalidArgument, "{wrong}");
    let missing = soon(caller.unary(Request::new("numbers/halve", ""))).await.unwrap_err();
    assert_eq!(missing.code, Code::Unimplemented, "{missing}");
}

#[tokio::test]
async fn services_speak_protocol_buffers_and_json_too() {
    let (_server, session) = over_memory(protobuf::plugin(Able)).await;
    assert_eq!(soon(protobuf::Client::new(Caller::new(session)).double(&4)).await, Ok(8));
    let (_server, session) = over_memory(lines::plugin(Able)).await;
    assert_eq!(soon(lines::Client::new(Caller::new(session)).length(&"four".into())).await, Ok(4));
}
