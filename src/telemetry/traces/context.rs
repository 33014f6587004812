//! Which trace a caller says its call belongs to (W3C Trace Context).

use http::HeaderMap;

/// The versions that there may be have at most this many bytes of what this one reads.
const MAX_TRACEPARENT_BYTES: usize = 128;
/// Most bytes of OpenTelemetry's own member of `tracestate` (OpenTelemetry, "TraceState Handling").
const MAX_MEMBER_BYTES: usize = 256;

/// Where a caller says its call belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parent {
    /// The trace; never 0.
    pub(super) trace: u128,
    /// The caller's span; never 0.
    pub(super) span: u64,
    /// Flags of version 00: 1 for sampled, 2 for an id that is random.
    pub(super) flags: u8,
}

impl Parent {
    /// What `traceparent` says, if there is one that says it as the specification has it (§3.2). One that does not is as
    /// good as none (§3.2.2.5), and so are two.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut given = headers.get_all("traceparent").into_iter();
        let (Some(value), None) = (given.next(), given.next()) else { return None };
        Self::parse(value.as_bytes())
    }

    fn parse(value: &[u8]) -> Option<Self> {
        if value.len() > MAX_TRACEPARENT_BYTES {
            return None;
        }
        let mut parts = value.split(|byte| *byte == b'-');
        let mut part = |length: usize| parts.next().filter(|part| part.len() == length).and_then(number);
        let version = part(2)?;
        let (trace, span, flags) = (part(32)?, part(16)?, part(2)?);
        // Versions to come may say more behind it; 00 says no more, and ff is none.
        if version == 0xff || trace == 0 || span == 0 || (version == 0 && parts.next().is_some()) {
            return None;
        }
        Some(Self { trace, span: u64::try_from(span).ok()?, flags: u8::try_from(flags).ok()? & 3 })
    }
}

/// A number in lower-case hexadecimal digits.
fn number(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

/// OpenTelemetry's own member of `tracestate`, which says how the trace was sampled. The others are their vendors', may
/// say anything, and are left out.
pub(super) fn sampling(headers: &HeaderMap) -> String {
    let lists = headers.get_all("tracestate").into_iter().filter_map(|list| list.to_str().ok());
    let mut members = lists.flat_map(|list| list.split(',')).map(str::trim);
    let own = members.find(|member| member.starts_with("ot="));
    let is_sound = |byte: u8| byte.is_ascii_hexdigit() || b"ot=thrv:;".contains(&byte);
    let own = own.filter(|own| own.len() <= MAX_MEMBER_BYTES && own.bytes().all(is_sound));
    own.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn parse(text: &str) -> Option<Parent> {
        Parent::parse(text.as_bytes())
    }

    #[test]
    fn a_parent_is_read_as_the_specification_writes_it() {
        let parent = Parent {
            trace: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c,
            span: 0xb7ad_6b71_6920_3331,
            flags: 1,
        };
        assert_eq!(parse(&format!("00-{TRACE}-{SPAN}-01")), Some(parent));
        assert_eq!(parse(&format!("00-{TRACE}-{SPAN}-00")), Some(Parent { flags: 0, ..parent }));
        assert_eq!(parse(&format!("00-{TRACE}-{SPAN}-ff")), Some(Parent { flags: 3, ..parent }));
        // A version to come may say more.
        assert_eq!(parse(&format!("cc-{TRACE}-{SPAN}-01-what-the-future-holds")), Some(parent));
    }

    #[test]
    fn what_is_no_parent_is_none() {
        let (no_trace, no_span) = ("0".repeat(32), "0".repeat(16));
        for wrong in [
            String::new(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{no_trace}-{SPAN}-01"),
            format!("00-{TRACE}-{no_span}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!(" 00-{TRACE}-{SPAN}-01"),
            format!("cc-{TRACE}-{SPAN}-01-{}", "x".repeat(100)),
        ] {
            assert_eq!(parse(&wrong), None, "{wrong}");
        }
        let mut twice = HeaderMap::new();
        for span in [SPAN, "00f067aa0ba902b7"] {
            twice.append("traceparent", format!("00-{TRACE}-{span}-01").parse().unwrap());
        }
        assert_eq!(Parent::of(&twice), None);
    }

    #[test]
    fn of_tracestate_only_opentelemetrys_own_member_is_taken() {
        for (given, taken) in [
            (&["rojo=canary,ot=th:c8;rv:0123456789abcd,congo=t61"][..], "ot=th:c8;rv:0123456789abcd"),
            (&["rojo=canary", " ot=th:0 "], "ot=th:0"),
            (&["ot=canary"], ""),
            (&["rojo=canary"], ""),
            (&[], ""),
        ] {
            let mut headers = HeaderMap::new();
            for list in given {
                headers.append("tracestate", list.parse().unwrap());
            }
            assert_eq!(sampling(&headers), taken, "{given:?}");
        }
    }
}
