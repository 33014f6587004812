//! HTTP/2 as nobody sends it who means well: frames by hand (RFC 9113 §§4, 6; RFC 7541 §6.2.2).

/// What every connection begins with.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// Kinds of frames, by number.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Data = 0,
    Headers = 1,
    Reset = 3,
    Settings = 4,
    Ping = 6,
    Continuation = 9,
}

/// A frame.
pub(super) fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind as u8, flags], &stream.to_be_bytes(), payload].concat()
}

/// The preface and the client's settings: none but these.
pub(super) fn greeting(settings: &[(u16, u32)]) -> Vec<u8> {
    let settings =
        settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat());
    [PREFACE, &frame(Kind::Settings, 0, 0, &settings.collect::<Vec<_>>())].concat()
}

/// A header field, under a name of its own and in the clear.
pub(super) fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("short");
    [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

/// The header fields of a call.
pub(super) fn call() -> Vec<u8> {
    [
        field(":method", "POST"),
        field(":scheme", "http"),
        field(":path", "/mandate.v1.AuthorizationService/Authorize"),
        field(":authority", "localhost"),
        field("content-type", "application/grpc"),
        field("te", "trailers"),
    ]
    .concat()
}

/// The header fields of a call, in a frame.
pub(super) fn headers(stream: u32) -> Vec<u8> {
    frame(Kind::Headers, END_HEADERS, stream, &call())
}
