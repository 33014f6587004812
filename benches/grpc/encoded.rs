//! Unary calls whose requests are encoded already, so that a client spends its time on asking.

use std::marker::PhantomData;

use prost::Message;
use prost::bytes::{BufMut as _, Bytes};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Status};

/// Makes one call; the answer is decoded as `M`, which may leave out fields that nobody looks at.
///
/// # Errors
/// The server cannot be reached or answers with an error.
pub(crate) async fn call<M: Message + Default + 'static>(
    grpc: &mut Grpc<Channel>,
    method: &'static str,
    message: Bytes,
) -> Result<M, Status> {
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = tonic::codegen::http::uri::PathAndQuery::from_static(method);
    Ok(grpc.unary(Request::new(message), path, Encoded(PhantomData)).await?.into_inner())
}

/// Requests are encoded already; answers are decoded as `M`.
#[derive(Debug)]
pub(crate) struct Encoded<M>(pub(crate) PhantomData<M>);

impl<M: Message + Default + 'static> Codec for Encoded<M> {
    type Encode = Bytes;
    type Decode = M;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self(PhantomData)
    }

    fn decoder(&mut self) -> Self {
        Self(PhantomData)
    }
}

impl<M> Encoder for Encoded<M> {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, target: &mut EncodeBuf<'_>) -> Result<(), Status> {
        target.put(item);
        Ok(())
    }
}

impl<M: Message + Default> Decoder for Encoded<M> {
    type Item = M;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<M>, Status> {
        M::decode(source).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
