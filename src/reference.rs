//! The pages of `docs/reference`, which are made from what they describe.

use std::path::Path;
use std::{env, fs};

/// Holds a page to what it is made from. `make references` has it written instead.
pub(crate) fn hold(name: &str, fresh: &str) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(name);
    if env::var_os("MANDATE_REFERENCES").is_some_and(|word| word == "write") {
        fs::create_dir_all(page.parent().unwrap()).unwrap();
        fs::write(&page, fresh).unwrap();
        return;
    }
    let written = fs::read_to_string(&page).unwrap_or_default();
    let stale = fresh.lines().find(|line| !written.lines().any(|found| found == *line));
    assert!(
        written == fresh,
        "docs/reference/{name} is not current: run `make references`. New in it: {stale:?}"
    );
}

/// Text for a cell of a table.
pub(crate) fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// What a page begins with.
pub(crate) fn title(title: &str) -> String {
    format!("# {title}\n\nMade by `make references`; a test holds it to the code. Do not edit it.\n\n")
}
