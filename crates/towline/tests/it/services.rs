//! Services from a list of methods, in each format.

use std::time::Duration;

use towline::call::{CallInfo, Caller, Code, Request, Status, TypedReplies, TypedRequests};
use towline::codec::{MessagePack, Prost};

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
    /// Under names that are not Rust's.
    mod lines in towline::codec::Json as "text.Lines" {
        fn length(String) -> usize as "Length";
        fn words(String) -> stream String as "Words";
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

    async fn words(
        &self,
        line: String,
        mut replies: TypedReplies<'_, towline::codec::Json<String, String>>,
        info: &CallInfo,
    ) -> Result<(), Status> {
        replies.send(&info.method).await?;
        for word in line.split(' ') {
            replies.send(&word.to_owned()).await?;
        }
        Ok(())
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

#[tokio::test]
async fn a_service_and_its_methods_have_the_names_on_the_wire_that_they_are_given() {
    let (_server, session) = over_memory(lines::plugin(Able)).await;
    let caller = Caller::new(session);
    assert_eq!(soon(caller.unary(Request::new("text.Lines/Length", "\"four\""))).await.unwrap(), "4");
    let mut words = soon(lines::Client::new(caller.clone()).words(&"a b".to_owned())).await.unwrap();
    for word in ["text.Lines/Words", "a", "b"] {
        assert_eq!(soon(words.recv()).await.unwrap().as_deref(), Some(word));
    }
    assert_eq!(soon(words.recv()).await, Ok(None));
    let missing = soon(caller.unary(Request::new("lines/length", "\"four\""))).await.unwrap_err();
    assert_eq!(missing.code, Code::Unimplemented);
}
