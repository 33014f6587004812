//! Defects that the laws must notice: planted in this process's tests, one at a time for each thread.

use std::cell::Cell;

/// A defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Of delegation: grants are not checked.
    GrantNotChecked,
    /// Every principal of a chain is judged as if it acted by itself.
    RoleIgnored,
    /// Only the leaf is asked whether it was revoked.
    RevokedAncestorIgnored,
    /// Only the actor is judged.
    ChainDropped,
    /// Of the cache: what an entity is in is stamped without what that is in.
    AncestorNotStamped,
    /// What is not stored is not stamped.
    AbsentNotStamped,
    /// Stamps are taken to hold in every world because they did in the one they were taken in.
    CheckedWhereTaken,
    /// Entities that a request supplies are no part of its key.
    SuppliedNotInKey,
    /// What is asked for, whether it is there, is not counted as read of the context.
    PresenceNotRead,
    /// What decides between two branches is not.
    TestNotRead,
    /// The world is loaded before there is room for the record.
    WorldBeforeRoom,
}

thread_local! {
    static PLANTED: Cell<Option<Mutant>> = const { Cell::new(None) };
}

/// Whether this thread has the defect.
pub fn planted(mutant: Mutant) -> bool {
    PLANTED.get() == Some(mutant)
}

/// Runs with a defect.
pub fn with<T>(mutant: Mutant, run: impl FnOnce() -> T) -> T {
    struct Uproot;
    impl Drop for Uproot {
        fn drop(&mut self) {
            PLANTED.set(None);
        }
    }
    PLANTED.set(Some(mutant));
    let _uproot = Uproot;
    run()
}
