//! What a request is sent to: method, path, query and host in their one spelling, so that no two requests that an upstream
//! takes for the same look different to a policy.
//!
//! What can be written in one way only is brought to it (RFC 3986 §6.2.2). What upstreams differ over is refused: a path that is
//! decided as one thing and served as another is a wrong Allow.

use super::fields::{Fields, REPLACED};
use super::refusal::Refusal;
use crate::server::envoy::auth::attribute_context::HttpRequest;

/// Longest target, in bytes.
const MAX_TARGET_BYTES: usize = 8192;
/// Longest name of a host, in bytes (RFC 1035 §2.3.4).
const MAX_HOST_BYTES: usize = 255;
/// Longest method, in bytes.
const MAX_METHOD_BYTES: usize = 32;

/// Headers by which some upstreams take another method or path than the request's own.
const OVERRIDES: [&str; 5] =
    ["x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url"];

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// `GET`.
    pub(super) method: String,
    /// Begins with a slash; what need not be percent-encoded is not.
    pub(super) path: String,
    /// What stands after the question mark, as it came.
    pub(super) query: String,
    /// In lower case, without a port.
    pub(super) host: String,
}

impl Target {
    /// The target of a request.
    ///
    /// # Errors
    /// [`Refusal`]: it can be understood in two ways.
    pub(super) fn of(http: &HttpRequest, fields: &Fields<'_>) -> Result<Self, Refusal> {
        if let Some(name) = OVERRIDES.iter().find(|name| fields.names().any(|other| other == **name)) {
            let message = "asks for something else than the request's own method and path: leave it out";
            return Err(Refusal::bad(&format!("headers.{name}"), message));
        }
        if http.path.len() > MAX_TARGET_BYTES {
            let message = format!("is {} bytes long; the limit is {MAX_TARGET_BYTES}", http.path.len());
            return Err(Refusal::with_status(414, "path", message));
        }
        let (path, query) = http.path.split_once('?').unwrap_or((&http.path, ""));
        let ambiguous = |message| Refusal::bad("path", message);
        Ok(Self {
            method: method(&http.method)?,
            path: path_of(path).map_err(ambiguous)?,
            query: query_of(query).map_err(ambiguous)?,
            host: host_of(&http.host).map_err(|message| Refusal::bad("host", message))?,
        })
    }
}

fn method(method: &str) -> Result<String, Refusal> {
    let plain = method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    if plain && (1..=MAX_METHOD_BYTES).contains(&method.len()) {
        return Ok(method.to_owned());
    }
    Err(Refusal::bad("method", "must be a word in upper case, such as `GET`"))
}

/// A path in its one spelling.
fn path_of(raw: &str) -> Result<String, &'static str> {
    if !raw.starts_with('/') {
        return Err("must begin with `/`");
    }
    let mut path = String::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => decoded(&mut bytes, &mut path)?,
            b';' => return Err("holds `;`, which some servers cut the path at"),
            b'\\' => return Err("holds `\\`, which some servers take for `/`"),
            // A byte that is no text gets this far over HTTP/2, and stands there as this.
            REPLACED => return Err("holds `!`, which stands for any byte that is no text: write `%21`"),
            b'/' => path.push('/'),
            _ if is_plain(byte) => path.push(char::from(byte)),
            _ => return Err("holds a character that must be percent-encoded"),
        }
    }
    check_segments(&path)?;
    Ok(path)
}

/// The next encoded byte: as itself if it may stand so, and encoded if it must be.
fn decoded(bytes: &mut impl Iterator<Item = u8>, path: &mut String) -> Result<(), &'static str> {
    let mut digit = || char::from(bytes.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (Some(high), Some(low)) = (digit(), digit()) else {
        return Err("holds `%` that no two hex digits follow");
    };
    let byte = high * 16 + low;
    match byte {
        b'/' => return Err("holds an encoded `/`"),
        b'\\' => return Err("holds an encoded `\\`"),
        b'%' => return Err("holds an encoded `%`: it may have been encoded twice"),
        b';' => return Err("holds an encoded `;`"),
        b'?' | b'#' => return Err("holds an encoded `?` or `#`"),
        0..=0x1f | 0x7f => return Err("holds an encoded control character"),
        _ if is_plain(byte) => path.push(char::from(byte)),
        _ => {
            path.push('%');
            let digits = [byte >> 4, byte & 0xf];
            let digits = digits.iter().filter_map(|digit| char::from_digit(u32::from(*digit), 16));
            path.extend(digits.map(|digit| digit.to_ascii_uppercase()));
        }
    }
    Ok(())
}

/// Whether a byte may stand in a segment of a path as it is (RFC 3986 §3.3), `;` and `!` left out.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~$&'()*+,=:@".contains(&byte)
}

/// Only the last segment may be empty, and none is a way up or nowhere.
fn check_segments(path: &str) -> Result<(), &'static str> {
    if path.contains("//") {
        return Err("holds `//`");
    }
    if path.split('/').any(|segment| segment == "." || segment == "..") {
        return Err("holds `.` or `..` as a segment");
    }
    Ok(())
}

fn query_of(query: &str) -> Result<String, &'static str> {
    let plain = query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'\\');
    if plain { Ok(query.to_owned()) } else { Err("has a query with characters that must be percent-encoded") }
}

/// A host in lower case: a name or an address, whose port is not the host's.
fn host_of(authority: &str) -> Result<String, &'static str> {
    const WRONG: &str = "must be the name or address of a host, with or without a port";
    let (name, port) = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']').ok_or(WRONG)?,
        None => authority.find(':').map_or((authority, ""), |colon| authority.split_at(colon)),
    };
    let port = port.strip_prefix(':').unwrap_or(port);
    if !port.bytes().all(|byte| byte.is_ascii_digit()) || port.len() > 5 {
        return Err(WRONG);
    }
    if authority.starts_with('[') {
        let address: std::net::Ipv6Addr = name.parse().map_err(|_error| WRONG)?;
        return Ok(format!("[{address}]"));
    }
    // A dot at the end says that the name is whole, as this one is.
    let name = name.strip_suffix('.').unwrap_or(name);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let whole = !name.is_empty() && name.len() <= MAX_HOST_BYTES && !name.starts_with('.');
    if whole && !name.contains("..") && !name.ends_with('.') && name.bytes().all(plain) {
        return Ok(name.to_ascii_lowercase());
    }
    Err(WRONG)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_path_has_one_spelling() {
        for (raw, path) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("/%61/%7Eb", "/a/~b"),
            ("/%41dmin", "/Admin"),
            ("/a%2eb", "/a.b"),
            ("/a%20b", "/a%20b"),
            ("/a%21b", "/a%21b"),
            ("/%c3%a9", "/%C3%A9"),
            ("/%40%3a%2C", "/@:,"),
            ("/...", "/..."),
            ("/.well-known/x", "/.well-known/x"),
        ] {
            assert_eq!(path_of(raw).as_deref(), Ok(path), "{raw}");
        }
    }

    #[test]
    fn what_upstreams_differ_over_is_refused() {
        for raw in [
            "",
            "*",
            "a",
            "http://a/b",
            "a/b",
            "//",
            "//a",
            "/a//b",
            "/a/.",
            "/a/./b",
            "/./a",
            "/..",
            "/a/../b",
            "/../a",
            "/a/%2e%2e/b",
            "/a/.%2E/b",
            "/%2e/a",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a%5C..%5Cb",
            "/a\\b",
            "/a\\..\\b",
            "/a%00",
            "/a%00.png",
            "/a%0d%0ab",
            "/a%7f",
            "/a%1fb",
            "/a%25b",
            "/a%252fb",
            "/a%252e%252e/b",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%u002f",
            "/a;b",
            "/a;/../b",
            "/a%3bb",
            "/a%3Bjsessionid",
            "/a%3fb",
            "/a%23b",
            "/a#b",
            "/a b",
            "/a\tb",
            "/a\0",
            "/a!b",
            "/a\"b",
            "/a<b",
            "/a|b",
            "/a^b",
            "/a[b]",
            "/a{b}",
            "/a`b",
            "/é",
            "/a\u{2215}b",
            "/a\u{ff0f}b",
        ] {
            assert!(path_of(raw).is_err(), "{raw:?} is {:?}", path_of(raw));
        }
    }

    #[test]
    fn a_host_is_one_name_in_lower_case() {
        for (raw, host) in [
            ("Example.ORG", "example.org"),
            ("example.org:8443", "example.org"),
            ("example.org.", "example.org"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]:80", "[::1]"),
            ("[0:0::1]", "[::1]"),
        ] {
            assert_eq!(host_of(raw).as_deref(), Ok(host), "{raw}");
        }
        for raw in [
            "",
            ":80",
            ".",
            "a..b",
            ".a",
            "a..",
            "user@a",
            "a,b",
            "a b",
            "a/b",
            "a\0",
            "a:80:81",
            "a:x",
            "[::1",
            "[::1]x",
            "[x]",
            "::1",
            "é.example",
            "a:123456",
        ] {
            let refused = host_of(raw);
            assert!(refused.is_err(), "{raw:?} is {refused:?}");
        }
    }

    #[test]
    fn methods_and_queries_are_plain() {
        for wrong in ["", "get", "GET ", "G3T", "GET\0", &"A".repeat(33)] {
            assert!(method(wrong).is_err(), "{wrong:?}");
        }
        assert!(method("M-SEARCH").is_ok());
        assert_eq!(query_of("a=%2F..&b=c?d").as_deref(), Ok("a=%2F..&b=c?d"));
        for wrong in ["a b", "a#b", "a\\b", "é", "a\0"] {
            assert!(query_of(wrong).is_err(), "{wrong:?}");
        }
    }

    /// What an upstream that decodes once takes a path for.
    fn decode(path: &str) -> Vec<u8> {
        let mut bytes = path.bytes();
        let mut decoded = Vec::new();
        while let Some(byte) = bytes.next() {
            if byte != b'%' {
                decoded.push(byte);
                continue;
            }
            let digits = String::from_utf8(vec![bytes.next().unwrap(), bytes.next().unwrap()]).unwrap();
            decoded.push(u8::from_str_radix(&digits, 16).unwrap());
        }
        decoded
    }

    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("/".to_owned()),
            Just(".".to_owned()),
            Just("%2e".to_owned()),
            "[a-zA-Z0-9@:!~]",
            (0_u8..=255).prop_map(|byte| format!("%{byte:02x}")),
            (0_u8..=255).prop_map(|byte| format!("%{byte:02X}")),
            any::<char>().prop_map(String::from),
        ]
    }

    proptest! {
        #[test]
        fn the_one_spelling_is_its_own_and_means_the_same(pieces in prop::collection::vec(piece(), 0..12)) {
            let raw = format!("/{}", pieces.concat());
            let Ok(path) = path_of(&raw) else { return Ok(()) };
            prop_assert_eq!(path_of(&path), Ok(path.clone()));
            prop_assert_eq!(decode(&path), decode(&raw));
        }

        #[test]
        fn paths_that_mean_the_same_are_spelt_the_same(
            one in prop::collection::vec((piece(), any::<bool>()), 1..10)
        ) {
            let spelt = |other: bool| -> String {
                let spell = |(piece, again): &(String, bool)| match piece.as_bytes() {
                    [byte] if other && *again && *byte != b'/' => format!("%{byte:02x}"),
                    _ => piece.clone(),
                };
                one.iter().map(spell).collect()
            };
            let (one, other) = (format!("/{}", spelt(false)), format!("/{}", spelt(true)));
            if let (Ok(one), Ok(other)) = (path_of(&one), path_of(&other)) {
                prop_assert_eq!(one, other);
            }
        }
    }
}
