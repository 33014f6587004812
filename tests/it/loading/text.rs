//! Files that are no text, or hide some of it.

use super::check_rejected;
use crate::support::Sources;

/// Every kind of source file.
const FILES: [&str; 5] = [
    "policies/odd.cedar",
    "policies/odd.links.json",
    "schemas/odd.cedarschema",
    "schemas/odd.tools.json",
    "entities/odd.json",
];

/// The last part of a path.
fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

#[test]
fn a_file_that_is_not_utf_8_is_rejected_with_the_byte() {
    for path in FILES {
        let sources = Sources::small().write(path, b"// ok\n// \xc3\x28\n");
        check_rejected(path, &sources, &[(name(path), "not UTF-8 text (byte 9)")]);
    }
}

#[test]
fn a_byte_order_mark_is_rejected() {
    for path in FILES {
        let sources = Sources::small().write(path, "\u{feff}// ok\n");
        check_rejected(path, &sources, &[(name(path), "a byte order mark, which no source may (byte 0)")]);
    }
}

#[test]
fn a_nul_is_rejected_wherever_it_stands() {
    for path in FILES {
        let sources = Sources::small().write(path, "// a\0b\n");
        check_rejected(path, &sources, &[(name(path), "a NUL character, which no source may (byte 4)")]);
    }
}

#[test]
fn an_empty_file_is_a_failed_write_and_not_an_intention() {
    for path in
        ["policies/odd.cedar", "policies/odd.links.json", "schemas/odd.tools.json", "entities/odd.json"]
    {
        check_rejected(path, &Sources::small().write(path, ""), &[(name(path), "")]);
    }
    let commented = Sources::small().policy("odd.cedar", "// nothing here\n");
    check_rejected("comments alone", &commented, &[("odd.cedar", "holds no policy")]);
}

#[test]
fn a_file_over_the_limit_is_not_read() {
    let sources = Sources::small().policy("huge.cedar", "");
    let limit = 64 * 1024 * 1024;
    std::fs::File::create(sources.path("policies/huge.cedar")).unwrap().set_len(limit + 1).unwrap();
    let saying = "it is 67108865 bytes long; the limit is 67108864";
    check_rejected("too long", &sources, &[("huge.cedar", saying)]);
}
