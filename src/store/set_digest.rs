//! What a set of sources is, as one name: the same files are the same set wherever they stand and whatever they
//! compile to.

use sha2::{Digest as _, Sha256};

use crate::engine::compile::{Sources, base_name};
use crate::engine::digest;
use crate::engine::problem::Report;

/// Names a set by its files: kinds, names without folders, sums of their bytes. Emergency forbids are no part of it.
pub(super) fn of_sources(sources: &Sources) -> String {
    of_reading(sources, &Report::default())
}

/// Names what was found in the folders, good or broken: what is wrong is part of the name.
pub(super) fn of_reading(sources: &Sources, report: &Report) -> String {
    let mut hasher = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hasher.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(bytes);
    };
    let Sources { policies, links, schemas, definitions, entities, .. } = sources;
    for files in [policies, links, schemas, definitions, entities] {
        add(files.len().to_string().as_bytes());
        for file in files {
            add(base_name(&file.name).as_bytes());
            add(file.bytes.sum());
        }
    }
    for problem in report.errors() {
        add(problem.to_string().as_bytes());
    }
    digest::hex(&hasher.finalize())
}
