//! Calls whose items are values: a [`Content`] on every item, and services from a list of methods.

use std::fmt::Display;
use std::marker::PhantomData;

use towline_proto::call::{Code, Metadata, Status};

use super::caller::{Call, Caller, Request};
use super::halves::{Items, Replies};
use crate::codec::Content;

/// Reads an item of the other side; `blame` says what it is if it is no value.
fn read<C: Content<Error: Display>>(item: &[u8], blame: Code) -> Result<C::In, Status> {
    C::read(item).map_err(|error| Status::new(blame, format!("not a value of this type: {error}")))
}

/// Writes an item of ours.
fn write<C: Content<Error: Display>>(value: &C::Out) -> Result<Vec<u8>, Status> {
    let mut bytes = Vec::new();
    let wrong = |error: C::Error| Status::new(Code::Internal, format!("the value has no form: {error}"));
    C::write(value, &mut bytes).map_err(wrong).map(|()| bytes)
}

/// The only request of a call, as a value.
///
/// # Errors
/// As [`Items::one`]; `invalid-argument` if it is no value of the type.
pub async fn read_one<C: Content<Error: Display>>(requests: &mut Items) -> Result<C::In, Status> {
    read::<C>(&requests.one().await?, Code::InvalidArgument)
}

/// Sends the last reply, a value.
///
/// # Errors
/// As [`Replies::last`]; `internal` if the format cannot say it.
pub async fn write_last<C: Content<Error: Display>>(replies: &mut Replies, value: &C::Out) -> Result<(), Status> {
    replies.last(write::<C>(value)?).await
}

/// Requests that come, as values.
pub struct TypedRequests<'a, C> {
    items: &'a mut Items,
    content: PhantomData<fn() -> C>,
}

impl<'a, C: Content<Error: Display>> TypedRequests<'a, C> {
    /// The same items, as values.
    pub fn new(items: &'a mut Items) -> Self {
        Self { items, content: PhantomData }
    }

    /// The next request; `None` after the last.
    ///
    /// # Errors
    /// As [`Items::recv`]; `invalid-argument` if it is no value of the type.
    pub async fn recv(&mut self) -> Result<Option<C::In>, Status> {
        let item = self.items.recv().await?;
        item.map(|item| read::<C>(&item, Code::InvalidArgument)).transpose()
    }
}

/// Replies that go, as values.
pub struct TypedReplies<'a, C> {
    replies: &'a mut Replies,
    content: PhantomData<fn() -> C>,
}

impl<'a, C: Content<Error: Display>> TypedReplies<'a, C> {
    /// The same replies, as values.
    pub fn new(replies: &'a mut Replies) -> Self {
        Self { replies, content: PhantomData }
    }

    /// Sends a reply; waits while the caller reads slowly.
    ///
    /// # Errors
    /// As [`Replies::send`]; `internal` if the format cannot say it.
    pub async fn send(&mut self, value: &C::Out) -> Result<(), Status> {
        self.replies.send(write::<C>(value)?).await
    }

    /// What goes with the status.
    pub fn metadata(&mut self) -> &mut Metadata {
        &mut self.replies.metadata
    }
}

/// A call from the caller's side, as values. Dropped before its end it is cancelled.
pub struct TypedCall<C> {
    call: Call,
    content: PhantomData<fn() -> C>,
}

impl<C: Content<Error: Display>> TypedCall<C> {
    /// The same call, as values.
    pub fn new(call: Call) -> Self {
        Self { call, content: PhantomData }
    }

    /// The call over plain items.
    pub fn plain(&mut self) -> &mut Call {
        &mut self.call
    }

    /// Sends a request; waits while the other side reads slowly.
    ///
    /// # Errors
    /// As [`super::Sink::send`]; `internal` if the format cannot say it.
    pub async fn send(&mut self, value: &C::Out) -> Result<(), Status> {
        self.call.requests.send(write::<C>(value)?).await
    }

    /// There are no more requests.
    ///
    /// # Errors
    /// As [`super::Sink::end`].
    pub fn end(&mut self) -> Result<(), Status> {
        self.call.requests.end()
    }

    /// The next reply; `None` after the last.
    ///
    /// # Errors
    /// The status with which the call ended, if that is not `ok`.
    pub async fn recv(&mut self) -> Result<Option<C::In>, Status> {
        let item = self.call.replies.recv().await?;
        item.map(|item| read::<C>(&item, Code::Internal)).transpose()
    }

    /// Sends no more, and waits for the only reply.
    ///
    /// # Errors
    /// As [`Items::one`].
    pub async fn finish(mut self) -> Result<C::In, Status> {
        self.end()?;
        read::<C>(&self.call.replies.one().await?, Code::Internal)
    }
}

impl Caller {
    /// One value there, one back.
    ///
    /// # Errors
    /// As [`Caller::unary`]; `internal` if a value cannot be written or read.
    pub async fn ask<C: Content<Error: Display>>(
        &self,
        method: &'static str,
        request: &C::Out,
    ) -> Result<C::In, Status> {
        let request = Request::new(method, write::<C>(request)?);
        read::<C>(&self.unary(request).await?, Code::Internal)
    }

    /// Begins a call over values. With `only` this is all that is sent, without it requests follow.
    ///
    /// # Errors
    /// As [`Caller::open`]; `internal` if the value cannot be written.
    pub async fn open_typed<C: Content<Error: Display>>(
        &self,
        method: &'static str,
        only: Option<&C::Out>,
    ) -> Result<TypedCall<C>, Status> {
        let Some(value) = only else { return self.open(Request::begin(method)).await.map(TypedCall::new) };
        let mut call = self.open(Request::new(method, write::<C>(value)?)).await?;
        call.requests.end()?;
        Ok(TypedCall::new(call))
    }
}

/// Makes a module for a service: `Handler`, the trait to implement; `Client`, which calls it; `plugin` and `service`,
/// which answer calls with a handler.
///
/// ```
/// # #[cfg(feature = "json")] mod example {
/// use towline::codec::Json;
///
/// towline::service! {
///     /// Numbers, in every shape.
///     pub mod numbers in Json {
///         /// One there, one back.
///         fn double(u32) -> u32;
///         /// One there, many back.
///         fn up_to(u32) -> stream u32;
///         /// Many there, one back.
///         fn sum(stream u32) -> u64;
///         /// Many there, many back.
///         fn doubles(stream u32) -> stream u32;
///     }
/// }
/// # }
/// ```
/// The name behind `in` is a [`Content`](crate::codec::Content) with two parameters: what is read, what is written. On the
/// wire a method is called `module/method`, unless they have other names there: `pub mod numbers in Json as "math.Numbers"`
/// and `fn up_to(u32) -> stream u32 as "UpTo";` make it `math.Numbers/UpTo`.
#[macro_export]
macro_rules! service {
    ($(#[$about:meta])* $vis:vis mod $name:ident in $($format:ident)::+ $(as $wire:literal)? { $($methods:tt)* }) => {
        $(#[$about])*
        $vis mod $name {
            #[allow(unused_imports, reason = "what the types of the methods are called where the service stands")]
            use super::*;

            $crate::service!(@read ($name $($wire)?) [$($format)::+] [] $($methods)*);
        }
    };

    // Each method in one form: its shape, what comes, what goes. The word `stream` tells the shape.
    (@read $service:tt $format:tt [$($done:tt)*]
        $(#[$about:meta])* fn $method:ident(stream $in:ty) -> stream $out:ty $(as $wire:literal)?; $($rest:tt)*) => {
        $crate::service!(@read $service $format [$($done)* { [$(#[$about])*] both ($method $($wire)?) ($in) ($out) }] $($rest)*);
    };
    (@read $service:tt $format:tt [$($done:tt)*]
        $(#[$about:meta])* fn $method:ident(stream $in:ty) -> $out:ty $(as $wire:literal)?; $($rest:tt)*) => {
        $crate::service!(@read $service $format [$($done)* { [$(#[$about])*] requests ($method $($wire)?) ($in) ($out) }] $($rest)*);
    };
    (@read $service:tt $format:tt [$($done:tt)*]
        $(#[$about:meta])* fn $method:ident($in:ty) -> stream $out:ty $(as $wire:literal)?; $($rest:tt)*) => {
        $crate::service!(@read $service $format [$($done)* { [$(#[$about])*] replies ($method $($wire)?) ($in) ($out) }] $($rest)*);
    };
    (@read $service:tt $format:tt [$($done:tt)*]
        $(#[$about:meta])* fn $method:ident($in:ty) -> $out:ty $(as $wire:literal)?; $($rest:tt)*) => {
        $crate::service!(@read $service $format [$($done)* { [$(#[$about])*] unary ($method $($wire)?) ($in) ($out) }] $($rest)*);
    };

    (@read $service:tt $format:tt [$({ [$($about:tt)*] $shape:ident $method:tt ($in:ty) ($out:ty) })*]) => {
        /// What answers the calls.
        pub trait Handler: Send + Sync + 'static {
            $($crate::service!(@declare $format [$($about)*] $shape $method ($in) ($out));)*
        }

        /// Calls it.
        #[derive(Clone, Debug)]
        pub struct Client($crate::call::Caller);

        impl Client {
            /// Calls through this caller.
            pub fn new(caller: $crate::call::Caller) -> Self {
                Self(caller)
            }

            $($crate::service!(@call $service $format [$($about)*] $shape $method ($in) ($out));)*
        }

        struct Answering<H>(H);

        impl<H: Handler> $crate::call::Service for Answering<H> {
            async fn call(&self, call: &mut $crate::call::Incoming) -> Result<(), $crate::call::Status> {
                let $crate::call::Incoming { info, requests, replies, .. } = call;
                match info.method.as_str() {
                    $($crate::service!(@path $service $method) => {
                        $crate::service!(@answer $format $shape $method ($in) ($out) self.0, info, requests, replies)
                    })*
                    other => {
                        let text = format!("there is no method {other}");
                        Err($crate::call::Status::new($crate::call::Code::Unimplemented, text))
                    }
                }
            }
        }

        /// Answers calls with this handler.
        pub fn service(handler: impl Handler) -> impl $crate::call::Service {
            Answering(handler)
        }

        /// A server's plug-in that answers every stream as a call, with this handler.
        pub fn plugin(handler: impl Handler) -> impl $crate::Plugin {
            $crate::call::Calls::new(Answering(handler))
        }
    };

    // What a method is called on the wire; of each name there is the one in Rust and perhaps the one on the wire.
    (@path $service:tt $method:tt) => {
        concat!($crate::service!(@name $service), "/", $crate::service!(@name $method))
    };
    (@name ($name:ident)) => { stringify!($name) };
    (@name ($name:ident $wire:literal)) => { $wire };

    (@declare [$($format:tt)+] [$($about:tt)*] unary ($method:ident $($wire:literal)?) ($in:ty) ($out:ty)) => {
        $($about)*
        fn $method(&self, request: $in, info: &$crate::call::CallInfo)
            -> impl Future<Output = Result<$out, $crate::call::Status>> + Send;
    };
    (@declare [$($format:tt)+] [$($about:tt)*] replies ($method:ident $($wire:literal)?) ($in:ty) ($out:ty)) => {
        $($about)*
        fn $method(&self, request: $in, replies: $crate::call::TypedReplies<'_, $($format)+<$in, $out>>, info: &$crate::call::CallInfo)
            -> impl Future<Output = Result<(), $crate::call::Status>> + Send;
    };
    (@declare [$($format:tt)+] [$($about:tt)*] requests ($method:ident $($wire:literal)?) ($in:ty) ($out:ty)) => {
        $($about)*
        fn $method(&self, requests: $crate::call::TypedRequests<'_, $($format)+<$in, $out>>, info: &$crate::call::CallInfo)
            -> impl Future<Output = Result<$out, $crate::call::Status>> + Send;
    };
    (@declare [$($format:tt)+] [$($about:tt)*] both ($method:ident $($wire:literal)?) ($in:ty) ($out:ty)) => {
        $($about)*
        fn $method(
            &self,
            requests: $crate::call::TypedRequests<'_, $($format)+<$in, $out>>,
            replies: $crate::call::TypedReplies<'_, $($format)+<$in, $out>>,
            info: &$crate::call::CallInfo,
        ) -> impl Future<Output = Result<(), $crate::call::Status>> + Send;
    };

    (@call $service:tt [$($format:tt)+] [$($about:tt)*] unary ($method:ident $($wire:literal)?) ($in:ty) ($out:ty)) => {
        $($about)*
        pub async fn $method(&self, request: &$in) -> Result<$out, $crate::call::Status> {
            self.0.ask::<$($format)+<$out, $in>>($crate::service!(@path $service ($method $($wire)?)), request).await
        }
    };
    (@call $service:tt [$($format:tt)+] [$($about:tt)*] replies ($method:ident $($wire:literal)?) ($in:ty) ($out:ty)) => {
        $($about)*
        pub async fn $method(&self, request: &$in)
            -> Result<$crate::call::TypedCall<$($format)+<$out, $in>>, $crate::call::Status> {
            self.0.open_typed($crate::service!(@path $service ($method $($wire)?)), Some(request)).await
        }
    };
    // Many there, one back or many: the same for the caller.
    (@call $service:tt [$($format:tt)+] [$($about:tt)*] $shape:ident ($method:ident $($wire:literal)?) ($in:ty) ($out:ty)) => {
        $($about)*
        pub async fn $method(&self) -> Result<$crate::call::TypedCall<$($format)+<$out, $in>>, $crate::call::Status> {
            self.0.open_typed($crate::service!(@path $service ($method $($wire)?)), None).await
        }
    };

    (@answer [$($format:tt)+] unary ($method:ident $($wire:literal)?) ($in:ty) ($out:ty) $handler:expr, $info:ident, $requests:ident, $replies:ident) => {{
        let request = $crate::call::read_one::<$($format)+<$in, $out>>($requests).await?;
        let reply = $handler.$method(request, $info).await?;
        $crate::call::write_last::<$($format)+<$in, $out>>($replies, &reply).await
    }};
    (@answer [$($format:tt)+] replies ($method:ident $($wire:literal)?) ($in:ty) ($out:ty) $handler:expr, $info:ident, $requests:ident, $replies:ident) => {{
        let request = $crate::call::read_one::<$($format)+<$in, $out>>($requests).await?;
        $handler.$method(request, $crate::call::TypedReplies::new($replies), $info).await
    }};
    (@answer [$($format:tt)+] requests ($method:ident $($wire:literal)?) ($in:ty) ($out:ty) $handler:expr, $info:ident, $requests:ident, $replies:ident) => {{
        let reply = $handler.$method($crate::call::TypedRequests::new($requests), $info).await?;
        $crate::call::write_last::<$($format)+<$in, $out>>($replies, &reply).await
    }};
    (@answer [$($format:tt)+] both ($method:ident $($wire:literal)?) ($in:ty) ($out:ty) $handler:expr, $info:ident, $requests:ident, $replies:ident) => {{
        let requests = $crate::call::TypedRequests::new($requests);
        $handler.$method(requests, $crate::call::TypedReplies::new($replies), $info).await
    }};
}
